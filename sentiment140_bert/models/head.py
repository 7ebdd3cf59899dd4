"""The head of a base model: its rows are kept where they say what ours say, in our order; else it is new."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sentiment140_bert.errors import ModelError
from sentiment140_bert.models.labels import LABEL_NAMES, NEGATIVE, POSITIVE, list_names, map_labels
from sentiment140_bert.trust.model_files import UnusableFile

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedConfig, PreTrainedModel

ID2LABEL = {side: LABEL_NAMES[side] for side in (NEGATIVE, POSITIVE)}
LABELS: dict[str, Any] = {
    "num_labels": len(ID2LABEL),
    "id2label": ID2LABEL,
    "label2id": {label: number for number, label in ID2LABEL.items()},
    "problem_type": None,  # the base's may be another, and then ``pipeline`` would compute other scores
}


class Head:
    """What becomes of the head of a base model.

    Args:
        config: Of the classifier that is to be, with our labels.
        labels: The base's own, by position; None where they make no sense.
    """

    def __init__(self, config: PreTrainedConfig, labels: Sequence[str] | None) -> None:
        self.labels, self.assumed, self.rows = labels, "", None
        if labels and len(labels) == len(ID2LABEL):
            try:
                mapping = map_labels(labels)
            except ModelError:  # it tells other things apart
                pass
            else:
                self.assumed = mapping.assumed
                self.rows = [mapping.meanings.index(side) for side in ID2LABEL]
        self.tensors = find_label_tensors(config) if self.rows != [*ID2LABEL] else []

    @property
    def is_new(self) -> bool:
        """Return True if no row is kept."""
        return self.rows is None

    def settle(self, model: PreTrainedModel, loading: Mapping[str, Collection[Any]]) -> str:
        """Put the rows in our order, or make new ones.

        Args:
            model: As it was loaded, whatever the shape of its head; with a seed for what is new.
            loading: What transformers says of that.

        Returns:
            What was done, in words; nothing for a base that has no head, or just ours.

        Raises:
            UnusableFile: Other weights do not have the shape of the model's.
        """
        wrong = {name for name, *_ in loading["mismatched_keys"]} - {*self.tensors}
        if wrong:
            raise UnusableFile(f"its weights do not have the shapes that config.json describes: {min(wrong)}")
        if {*self.tensors} & {*loading["missing_keys"]} or (not self.tensors and loading["missing_keys"]):
            return ""
        labels = list_names(self.labels) if self.labels else "that make no sense"
        if self.rows is None:
            for name in self.tensors:
                _initialize(model.get_parameter(name), getattr(model.config, "initializer_range", 0.02))
            return f"its head has the labels {labels}; the head is new, with {', '.join(ID2LABEL.values())}"
        for name in self.tensors:
            parameter = model.get_parameter(name)
            parameter.data = parameter.data[self.rows].contiguous()
        return f"its labels are {labels}; the rows of its head are put in our order" if self.tensors else self.assumed


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
    for count in (len(ID2LABEL), len(ID2LABEL) + 1):
        sized = copy.deepcopy(config)
        sized.num_labels = count
        with torch.device("meta"):
            model = AutoModelForSequenceClassification.from_config(sized, trust_remote_code=False)
        shapes.append({name: parameter.shape for name, parameter in model.named_parameters()})
    fewer, more = shapes
    return [name for name in fewer if fewer[name] != more[name]]
