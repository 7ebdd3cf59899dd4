"""The search space: the settings, their ranges, and how the next values are chosen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from sentiment140_bert.recipe import Range

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.trial import Trial

Space = Mapping[str, Range]
AT_RANDOM = 5  # trials before anything is learned from them

# For a recipe without ranges. Around what Devlin et al. 2019 (appendix A.3) and Mosbach et al. 2021 found to work for
# BERT, a little wider, for smaller encoders need more; tweets have 20 to 50 tokens.
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


def suggest(trial: Trial, space: Space) -> dict[str, Any]:
    """Return a value for each setting; those that the trial has already stay."""
    return {name: _suggest_one(trial, name, limits) for name, limits in space.items()}


def _suggest_one(trial: Trial, name: str, limits: Range) -> Any:
    if limits.choices:
        return trial.suggest_categorical(name, limits.choices)
    suggest_number = trial.suggest_int if isinstance(limits.low, int) else trial.suggest_float
    step = {"step": limits.step} if limits.step else {}
    return suggest_number(name, limits.low, limits.high, log=limits.log, **step)


def get_distribution(limits: Range) -> BaseDistribution:
    """Return the distribution by which Optuna's storage describes a range."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if limits.choices:
        return CategoricalDistribution(limits.choices)
    if isinstance(limits.low, int):
        return IntDistribution(limits.low, limits.high, log=limits.log, step=limits.step or 1)
    return FloatDistribution(limits.low, limits.high, log=limits.log, step=limits.step)


def select_within(space: Space, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return those values that lie within their ranges."""
    return {name: values[name] for name, limits in space.items() if name in values and limits.holds(values[name])}


def find_longest(space: Space, default: int) -> int:
    """Return the greatest ``max_length`` that is tried; ``default`` where it is not tuned."""
    if "max_length" not in space:
        return default
    limits = space["max_length"]
    return int(max(limits.choices) if limits.choices else limits.high or 0)


def to_plain(space: Space) -> dict[str, Any]:
    """Return the ranges as a recipe and JSON hold them."""
    return {name: limits.to_plain() for name, limits in space.items()}


def from_plain(plain: Mapping[str, Any]) -> dict[str, Range]:
    """Return the ranges that :func:`to_plain` gave; JSON has lists in place of tuples."""
    return {name: Range.from_plain(limits) for name, limits in plain.items()}


def make_sampler(name: str, seed: int, number: int) -> BaseSampler:
    """Return the sampler of one trial.

    Each trial has its own, so what it draws depends on the trials before, not on how often the process was started.

    Args:
        name: A name in :data:`~sentiment140_bert.experiments.tune.SAMPLERS`.
        seed: Seed of the study.
        number: Number of the trial.
    """
    import optuna

    own = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    if name == "random":
        return optuna.samplers.RandomSampler(seed=own)
    # Trials that run elsewhere count as bad (constant_liar), so that two processes do not try the same.
    return optuna.samplers.TPESampler(seed=own, n_startup_trials=AT_RANDOM, constant_liar=True)


def make_pruner(name: str) -> BasePruner:
    """Return the pruner of a name in :data:`~sentiment140_bert.experiments.tune.PRUNERS`."""
    import optuna

    if name == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=AT_RANDOM)
    return optuna.pruners.HyperbandPruner() if name == "hyperband" else optuna.pruners.NopPruner()
