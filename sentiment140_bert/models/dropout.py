"""The dropout of a classifier, by BERT's names for it, whatever its own architecture calls it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sentiment140_bert.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

NAMES = ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout")
# What DistilBERT calls them; BERT, RoBERTa, XLM-RoBERTa and ELECTRA have the names above.
DISTILBERT = {
    "hidden_dropout_prob": "dropout",
    "attention_probs_dropout_prob": "attention_dropout",
    "classifier_dropout": "seq_classif_dropout",
}


def dropouts_of(config: PreTrainedConfig) -> dict[str, float]:
    """The dropout that a classifier of this config trains with, by :data:`NAMES`; those that it does not know are left
    out."""
    values: dict[str, Any] = {name: getattr(config, _own_name(config, name), None) for name in NAMES}
    if values["classifier_dropout"] is None and hasattr(config, "classifier_dropout"):
        values["classifier_dropout"] = values["hidden_dropout_prob"]  # as transformers reads it
    return {name: float(value) for name, value in values.items() if value is not None}


def with_dropouts(config: PreTrainedConfig, asked: Mapping[str, float | None]) -> PreTrainedConfig:
    """The same config with the dropout that was asked for; changed in place.

    Args:
        config: Of a model.
        asked: By :data:`NAMES`; None leaves the model's own.

    Raises:
        ModelError: Models of this kind have no such dropout.
    """
    asked = {name: value for name, value in asked.items() if value is not None}
    known = dropouts_of(config)
    classifiers_own = known.get("classifier_dropout")
    for name, value in asked.items():
        if name not in known:
            raise ModelError(
                f"{name}: a model of the kind {config.model_type} has no such dropout.",
                f"It has {', '.join(known) or 'none that is known'}; leave {name} away.",
            )
        setattr(config, _own_name(config, name), value)
    if "hidden_dropout_prob" in asked and "classifier_dropout" not in asked and classifiers_own is not None:
        setattr(config, _own_name(config, "classifier_dropout"), classifiers_own)  # else it would follow the hidden one
    return config


def _own_name(config: PreTrainedConfig, name: str) -> str:
    return DISTILBERT[name] if config.model_type == "distilbert" else name
