"""Differences between architectures: the names of their dropouts, the tokens they take, the rows of their heads."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from sentiment140_bert.errors import ModelError
from sentiment140_bert.models.labels import LABEL_NAMES, NEGATIVE, POSITIVE, list_names, map_labels
from sentiment140_bert.trust.model_files import UnusableFile

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedConfig, PreTrainedModel

NO_LIMIT = 1 << 20  # tokens, where neither tokenizer nor model knows a limit
INPUT_ERRORS = (IndexError, TypeError, ValueError, AttributeError)  # of a model that does not take its inputs


def count_positions(model: PreTrainedModel) -> int | None:
    """Return the tokens that a model has positions for, fewer by its padding's in RoBERTa's family.

    None is a model without a limit, such as XLNet, which calls that -1.
    """
    positions = getattr(model.config, "max_position_embeddings", None)
    positions = positions if positions and positions > 0 else None
    embeddings = getattr(getattr(model, "base_model", None), "embeddings", None)
    padding = getattr(getattr(embeddings, "position_embeddings", None), "padding_idx", None)
    return positions - padding - 1 if positions and padding is not None else positions


def find_padding_id(model: Any, tokenizer: Any) -> int:
    """Return the id that pads a model's rows: its own, by which GPT-2 finds a text's end, or its tokenizer's."""
    own = getattr(model.config, "pad_token_id", None)
    return own if own is not None and own >= 0 else tokenizer.pad_token_id or 0


DROPOUTS = ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout")
# What DistilBERT calls them; BERT, RoBERTa, XLM-RoBERTa and ELECTRA have the names above.
DISTILBERT_NAMES = {
    "hidden_dropout_prob": "dropout",
    "attention_probs_dropout_prob": "attention_dropout",
    "classifier_dropout": "seq_classif_dropout",
}


def read_dropouts(config: PreTrainedConfig) -> dict[str, float]:
    """Return the dropouts that a classifier of this config trains with, by :data:`DROPOUTS`, as far as it has them."""
    values: dict[str, Any] = {name: getattr(config, _translate_dropout(config, name), None) for name in DROPOUTS}
    if values["classifier_dropout"] is None and hasattr(config, "classifier_dropout"):
        values["classifier_dropout"] = values["hidden_dropout_prob"]  # as transformers reads it
    return {name: float(value) for name, value in values.items() if value is not None}


def set_dropouts(config: PreTrainedConfig, dropouts: Mapping[str, float | None]) -> PreTrainedConfig:
    """Set the dropouts of a config in place, and return it.

    Args:
        config: The config of a model.
        dropouts: Values by the names of :data:`DROPOUTS`; None keeps the model's own.

    Raises:
        ModelError: Models of this kind have no such dropout.
    """
    dropouts = {name: value for name, value in dropouts.items() if value is not None}
    before = read_dropouts(config)
    for name, value in dropouts.items():
        if name not in before:
            raise ModelError(
                f"{name}: {config.model_type} models have no such dropout.",
                f"It has {', '.join(before) or 'none that is known'}; omit {name}.",
            )
        setattr(config, _translate_dropout(config, name), value)
    if "hidden_dropout_prob" in dropouts and "classifier_dropout" in before and "classifier_dropout" not in dropouts:
        # It would follow the hidden one otherwise.
        setattr(config, _translate_dropout(config, "classifier_dropout"), before["classifier_dropout"])
    return config


def _translate_dropout(config: PreTrainedConfig, name: str) -> str:
    return DISTILBERT_NAMES[name] if config.model_type == "distilbert" else name


def keep_layers(model: PreTrainedModel, count: int) -> None:
    """Keep some of a model's layers, evenly spaced, the last one among them: of 6 layers 2 are the third and the last.

    Args:
        model: Any with one list of layers, such as BERT, DistilBERT or RoBERTa; changed in place.
        count: How many to keep.

    Raises:
        ModelError: It does not have so many, or its layers are not in one list of equal ones.
    """
    import torch

    total = model.config.num_hidden_layers
    lists = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.ModuleList) and len(module) == total
    }
    if count > total:
        raise ModelError(f"layers: {model.name_or_path} has {total}, not {count}.", "Lower --layers, or omit it.")
    if len(lists) != 1 or getattr(model.config, "layer_types", None):
        raise ModelError(f"layers: those of {model.config.model_type} models cannot be chosen.", "Omit --layers.")
    ((name, layers),) = lists.items()
    kept = [layers[(at + 1) * total // count - 1] for at in range(count)]
    model.set_submodule(name, torch.nn.ModuleList(kept))
    model.config.num_hidden_layers = count


ID2LABEL = {side: LABEL_NAMES[side] for side in (NEGATIVE, POSITIVE)}


def make_label_settings(count: int) -> dict[str, Any]:
    """Return the settings of ``config.json`` for a classifier of two labels, or of three with neutral."""
    names = dict(islice(LABEL_NAMES.items(), count))
    return {
        "num_labels": count,
        "id2label": names,
        "label2id": {label: number for number, label in names.items()},
        "problem_type": None,  # the base's may be another, and then ``pipeline`` would compute other scores
    }


class Head:
    """The head of a base model: its rows are kept, in our order, if its labels are ours; else it is new.

    Args:
        config: The config of the classifier to train, with our labels.
        labels: The base's own, by position; None where they make no sense.
    """

    def __init__(self, config: PreTrainedConfig, labels: Sequence[str] | None) -> None:
        self.labels, self.assumed, self.rows = labels, "", None
        self.names: dict[int, str] = config.id2label
        if labels and len(labels) == len(self.names):
            try:
                mapping = map_labels(labels)
            except ModelError:  # a classifier of something else than sentiment
                pass
            else:
                self.assumed = mapping.assumed
                self.rows = [mapping.meanings.index(side) for side in self.names]
        self.tensors = find_label_tensors(config) if self.rows != [*self.names] else []

    @property
    def is_new(self) -> bool:
        """Return True if no row is kept."""
        return self.rows is None

    def settle(self, model: PreTrainedModel, loading: Mapping[str, Collection[Any]]) -> str:
        """Put the rows in our order, or make new ones.

        Args:
            model: Loaded with a head of any shape, after the seed for what is new was set.
            loading: The loading info of transformers.

        Returns:
            The change in words; empty for a base that has no head, or just ours.

        Raises:
            UnusableFile: Other weights do not have the shape of the model's.
        """
        mismatched = {name for name, *_ in loading["mismatched_keys"]} - {*self.tensors}
        if mismatched:
            raise UnusableFile(f"its weights do not have the shapes that config.json describes: {min(mismatched)}")
        if {*self.tensors} & {*loading["missing_keys"]} or (not self.tensors and loading["missing_keys"]):
            return ""
        labels = list_names(self.labels) if self.labels else "that make no sense"
        if self.rows is None:
            for name in self.tensors:
                _initialize(model.get_parameter(name), getattr(model.config, "initializer_range", 0.02))
            names = ", ".join(self.names.values())
            return f"its head has the labels {labels}; it is replaced by a new head with {names}"
        if not self.tensors:
            return self.assumed
        for name in self.tensors:
            parameter = model.get_parameter(name)
            parameter.data = parameter.data[self.rows].contiguous()
        return f"its labels are {labels}; the rows of its head are reordered to match ours"


def _initialize(parameter: torch.Tensor, deviation: float) -> None:
    import torch

    if parameter.dim() > 1:
        torch.nn.init.normal_(parameter, std=deviation)
    else:
        torch.nn.init.zeros_(parameter)


def find_label_tensors(config: PreTrainedConfig) -> list[str]:
    """Return the names of a classifier's parameters that have a row for each label."""
    import torch
    from transformers import AutoModelForSequenceClassification

    shapes = []
    for count in (config.num_labels, config.num_labels + 1):
        sized = copy.deepcopy(config)
        sized.num_labels = count
        with torch.device("meta"):
            model = AutoModelForSequenceClassification.from_config(sized, trust_remote_code=False)
        shapes.append({name: parameter.shape for name, parameter in model.named_parameters()})
    fewer, more = shapes
    return [name for name in fewer if fewer[name] != more[name]]
