"""What is done when a batch does not fit into a device's memory."""

from __future__ import annotations

import gc
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from accelerate.utils.memory import should_reduce_batch_size

from sentiment140_bert.errors import HardwareError, first_line

if TYPE_CHECKING:
    from sentiment140_bert.training.batching import Share

log = logging.getLogger(__name__)


class TooLarge(RuntimeError):
    """A part did not fit, in this process or another one; raised in all of them at the same place."""


def is_out_of_memory(error: Exception) -> bool:
    """Whether a device's memory was the reason, as accelerate tells it (CUDA, ROCm, XPU, MPS, a CPU's allocator)."""
    return isinstance(error, TooLarge | torch.OutOfMemoryError) or bool(should_reduce_batch_size(error))


def reason(error: Exception) -> str:
    """The first two sentences; torch adds advice and figures of the allocator."""
    return ". ".join(first_line(error).split(". ")[:2])


def smaller(share: Share, error: Exception, finds_batch: bool) -> Share:
    """The same step in parts of half the size.

    Raises:
        HardwareError: It was not asked for, cannot be, or would leave less than a tweet.
    """
    problem = f"A batch of {share.per_device} tweets does not fit into memory: {reason(error)}."
    if not finds_batch:
        raise HardwareError(
            problem,
            "--auto-find-batch-size shares a batch out into parts that fit, and learns the same from it; or lower "
            "--per-device-train-batch-size and raise --gradient-accumulation-steps by the same factor.",
        )
    if share.processes > 1 and not isinstance(error, TooLarge):
        raise HardwareError(
            problem, "In the middle of training several processes cannot agree on less: halve the batch by hand."
        )
    if share.per_device == 1:
        raise HardwareError(problem, "Lower --max-length, or choose a smaller model such as distilbert-100k's.")
    return share.halved()


def everywhere(failed: bool, device: torch.device) -> bool:
    """Whether any process failed; all must ask."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        flag = torch.tensor(int(failed), device=device)
        torch.distributed.all_reduce(flag, torch.distributed.ReduceOp.MAX)
        return bool(flag)
    return failed


def release(model: Any) -> None:
    """Gives back what a failed attempt held on the device, the model's own weights aside."""
    model.zero_grad(set_to_none=True)
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def copy_of(model: Any) -> dict[str, torch.Tensor]:
    """The weights, in the CPU's memory."""
    return {name: weight.detach().to("cpu", copy=True) for name, weight in model.state_dict().items()}


def restore(model: Any, weights: Mapping[str, torch.Tensor]) -> None:
    """Makes the weights what they were when they were copied."""
    model.load_state_dict(weights)
