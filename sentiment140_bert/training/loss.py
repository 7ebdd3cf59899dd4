"""Compute the loss of a whole step, in any number of parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn.functional import cross_entropy


def exact_loss(label_smoothing: float = 0.0) -> Callable[..., torch.Tensor]:
    """Return the loss function for ``Trainer(compute_loss_func=…)``.

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
