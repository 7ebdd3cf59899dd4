"""Which settings are tried, between which values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sentiment140_bert.recipe import Range

if TYPE_CHECKING:
    from optuna.trial import Trial

Space = Mapping[str, Range]

# Where a recipe has no ranges of its own. Around what Devlin et al. 2019 (appendix A.3) and Mosbach et al. 2021 found
# to work for BERT, a little wider, for smaller encoders want more; tweets have 20 to 50 tokens.
DEFAULT: dict[str, Range] = {
    "learning_rate": Range(1e-5, 2e-4, log=True),
    "per_device_train_batch_size": Range(choices=(16, 32, 64)),
    "num_train_epochs": Range(1.0, 4.0, step=1.0),
    "weight_decay": Range(0.0, 0.1),
    "warmup_steps": Range(0.0, 0.2),
    "layerwise_lr_decay": Range(0.7, 1.0),
    "label_smoothing_factor": Range(0.0, 0.1),
    "hidden_dropout_prob": Range(0.0, 0.3),
    "attention_probs_dropout_prob": Range(0.0, 0.3),
    "classifier_dropout": Range(0.0, 0.5),
    "max_length": Range(choices=(32, 64, 128)),
}


def suggested(trial: Trial, space: Space) -> dict[str, Any]:
    """A value for each setting; those that the trial has already stay."""
    return {name: _one(trial, name, each) for name, each in space.items()}


def _one(trial: Trial, name: str, each: Range) -> Any:
    if each.choices:
        return trial.suggest_categorical(name, each.choices)
    if isinstance(each.low, int):
        return trial.suggest_int(name, each.low, each.high, step=each.step or 1, log=each.log)
    return trial.suggest_float(name, each.low, each.high, step=each.step, log=each.log)


def within(space: Space, values: Mapping[str, Any]) -> dict[str, Any]:
    """Those values that are among the ones that are tried."""
    return {name: values[name] for name, each in space.items() if name in values and each.holds(values[name])}


def plain(space: Space) -> dict[str, Any]:
    """As a recipe holds it, and JSON."""
    return {name: each.to_plain() for name, each in space.items()}


def longest(space: Space, otherwise: int) -> int:
    """The greatest ``max_length`` that is tried."""
    if "max_length" not in space:
        return otherwise
    each = space["max_length"]
    return int(max(each.choices) if each.choices else each.high or 0)


def of_plain(plain: Mapping[str, Any]) -> dict[str, Range]:
    """From what :func:`plain` gave; JSON has lists where there were tuples."""
    return {name: Range.from_plain(each) for name, each in plain.items()}
