"""Compute the loss of a whole step, and decay the learning rate layer by layer.

The nearer to the words a layer is, the less it changes: Howard and Ruder 2018 (discriminative fine-tuning); with one
factor for all layers as in ELECTRA, whose name for it this is (Clark et al. 2020).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import cross_entropy

from sentiment140_bert.training.batching import IGNORED

if TYPE_CHECKING:
    from sentiment140_bert.training.distillation import Distillation

LAYER = re.compile(r"(?:^|\.)(?:layer|layers|h|block)\.(\d+)\.")
EMBEDDINGS = re.compile(r"(?:^|\.)embeddings(?:_project)?\.")


def depths(names: Iterable[str]) -> dict[str, int]:
    """Return the number of layers from the classifier down to each parameter.

    The classifier and the pooler have 0, the last layer has 1, the one below it 2, and the embeddings are one below the
    first layer.

    Args:
        names: The parameters of a sequence classifier.
    """
    layers = {name: int(match[1]) for name in names if (match := LAYER.search(name))}
    above = max(layers.values(), default=-1) + 1
    return {
        name: above - layers[name] if name in layers else above + 1 if EMBEDDINGS.search(name) else 0 for name in names
    }


def groups(model: Any, decayed: Iterable[str], learning_rate: float, weight_decay: float, factor: float) -> list[Any]:
    """Return an optimizer's parameter groups, with the learning rate times ``factor`` to the power of the depth.

    Args:
        model: A sequence classifier.
        decayed: Names of the parameters with weight decay.
        learning_rate: The classifier's.
        weight_decay: For the parameters in ``decayed``.
        factor: Greater than 0, at most 1.

    Returns:
        Groups by depth, so that the first one's learning rate, which is logged, is the peak.
    """
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    by_group: dict[tuple[int, bool], list[Any]] = {}
    chosen = set(decayed)
    for name, depth in depths(list(trained)).items():
        by_group.setdefault((depth, name not in chosen), []).append(trained[name])
    return [
        {"params": parameters, "lr": learning_rate * factor**depth, "weight_decay": 0.0 if without else weight_decay}
        for (depth, without), parameters in sorted(by_group.items(), key=lambda item: item[0])
    ]


class ExactLoss:
    """The loss function for ``Trainer(compute_loss_func=…)``.

    Summed cross entropy over the number of tweets in the whole global batch, so that accumulation, several
    processes and batches of unequal size give the loss and gradient of one large batch. BERT's own forward
    takes ``num_items_in_batch`` and ignores it, by which Trainer's default loss comes out too large by the
    number of accumulation steps.

    With a teacher, its soft targets have a share of it: their cross entropy with the student's probabilities, both at
    the temperature T, times T squared (Hinton, Vinyals and Dean 2015, section 2). Scores are those of the labels alone.

    Args:
        label_smoothing: The share of each label that is spread over all.
        distillation: Temperature and weight.
    """

    soft_targets: torch.Tensor | None = None  # of the batch that is computed; shape (tweets, labels)

    def __init__(self, label_smoothing: float = 0.0, distillation: Distillation | None = None) -> None:
        self.label_smoothing = label_smoothing
        self.distillation = distillation

    def __call__(
        self, outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor | int | None = None
    ) -> torch.Tensor:
        """Return the loss of a batch: of scored tweets their mean, of training tweets their part of the step's."""
        logits = outputs["logits"].float()
        if num_items_in_batch is None:
            return cross_entropy(logits, labels, label_smoothing=self.label_smoothing)
        summed = cross_entropy(logits, labels, reduction="sum", label_smoothing=self.label_smoothing)
        if self.distillation and self.soft_targets is not None:
            temperature, weight = self.distillation.temperature, self.distillation.weight
            soft = cross_entropy(logits / temperature, self.soft_targets, reduction="none")[labels != IGNORED]
            summed = (1 - weight) * summed + weight * temperature**2 * soft.sum()
        return summed / num_items_in_batch
