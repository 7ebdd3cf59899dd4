"""The loss of a whole step, however it is shared out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn.functional import cross_entropy


def exact_loss(label_smoothing: float = 0.0) -> Callable[..., torch.Tensor]:
    """The loss function for ``Trainer(compute_loss_func=…)``.

    Summed cross entropy over the number of tweets in the whole global batch, so that accumulation, several
    processes and batches of unequal size give the loss and gradient of one large batch. BERT's own forward
    takes ``num_items_in_batch`` and ignores it, by which Trainer's default loss comes out too large by the
    number of accumulation steps.
    """

    def loss(outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor | int | None = None) -> torch.Tensor:
        logits = outputs["logits"].float()
        if num_items_in_batch is None:
            return cross_entropy(logits, labels, label_smoothing=label_smoothing)
        summed = cross_entropy(logits, labels, reduction="sum", label_smoothing=label_smoothing)
        return summed / num_items_in_batch

    return loss


class Collator:
    """The Trainer's collator; a part without tweets becomes one row whose label counts for nothing."""

    IGNORED = -100  # as torch's cross entropy and Trainer's count of labels know it

    def __init__(self, collate: Callable[[list[Any]], Any]) -> None:
        self.collate = collate

    def __call__(self, rows: list[Any]) -> Any:
        return self.collate(rows or [{"input_ids": [0, 0], "attention_mask": [1, 1], "labels": self.IGNORED}])
