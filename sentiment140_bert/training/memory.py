"""Share a step out into smaller parts when a batch does not fit into memory, and explain why a batch fails."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate.utils.memory import should_reduce_batch_size

from sentiment140_bert.errors import HardwareError, ModelError, first_line
from sentiment140_bert.training.checkpoints import CheckpointSealer, newest_complete

if TYPE_CHECKING:
    from sentiment140_bert.training.batching import Share
    from sentiment140_bert.training.callbacks import Progress
    from sentiment140_bert.training.trainer import SentimentTrainer

log = logging.getLogger(__name__)


class TooLarge(RuntimeError):
    """A part did not fit, in this process or another one; raised in all of them at the same place."""


@dataclass
class Attempts:
    """Train a model, in parts of half the size after each that did not fit into memory.

    Each attempt starts where a resumed run would: at a checkpoint of the last complete step, or with the weights of the
    first attempt. ``halvings`` counts the attempts that failed.

    Args:
        make_trainer: Makes the Trainer for a share.
        model: The model that is trained in place.
        checkpoints: Seals them.
        progress: Shows them.
        finds_batch: False raises at the first failure.
    """

    make_trainer: Callable[[Share], SentimentTrainer]
    model: Any
    checkpoints: CheckpointSealer
    progress: Progress
    finds_batch: bool
    halvings: int = 0

    def run(self, share: Share, resume_from: Path | None) -> tuple[SentimentTrainer, float]:
        """Return the Trainer that came to the end, and its loss.

        Raises:
            HardwareError: A part does not fit, and no smaller one may or can be tried.
        """
        initial = copy_weights(self.model) if self.finds_batch and not resume_from else None
        while True:
            trainer = self.make_trainer(share)
            try:
                result = trainer.train(resume_from_checkpoint=str(resume_from) if resume_from else None)
                return trainer, result.training_loss
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                failure = error.with_traceback(None)  # whose frames would hold what was computed so far
            share = halve(share, failure, self.finds_batch)
            self.halvings += 1
            resume_from = self._end(trainer, resume_from)
            if trainer.is_world_process_zero():
                log.warning(
                    "memory: %s; a step's %d tweets are now computed in %d parts of %d, with the same loss; from %s",
                    reason(failure),
                    share.tweets,
                    share.parts,
                    share.per_device,
                    resume_from.name if resume_from else "step 0",
                )
            del trainer
            release(self.model)
            if initial and not resume_from:
                self.model.load_state_dict(initial)

    def _end(self, trainer: SentimentTrainer, resume_from: Path | None) -> Path | None:
        """End a failed attempt; return the checkpoint for the next one."""
        trainer.keep_last_step()
        self.checkpoints.finish()
        trainer.accelerator.wait_for_everyone()  # all are to find the same checkpoint
        if trainer.state.global_step:
            resume_from = newest_complete(Path(trainer.args.output_dir))
        trainer.accelerator.unwrap_model(self.model, keep_fp32_wrapper=False)  # the next attempt wraps it again
        trainer.accelerator.free_memory()
        self.progress.close()
        return resume_from


def is_out_of_memory(error: Exception) -> bool:
    """Return True if a device's memory was the reason, as accelerate knows it (CUDA, ROCm, XPU, MPS, CPU)."""
    return isinstance(error, TooLarge | torch.OutOfMemoryError) or bool(should_reduce_batch_size(error))


@contextmanager
def explain_failed_batch(name: str, compiled: bool) -> Iterator[None]:
    """Explain errors of a model that computes a batch.

    Args:
        name: The model's.
        compiled: Its layers are compiled.

    Raises:
        ModelError: The model does not take such a batch.
        HardwareError: Its layers cannot be compiled here.
    """
    try:
        yield
    except (IndexError, ValueError) as error:
        raise ModelError(
            f"The model {name!r} cannot compute a batch of tweets: {first_line(error)}.",
            "Choose another model. If a tweet is too long for it, lower --max-length; if one contains the "
            "model's own end token, such as </s>, remove that tweet.",
        ) from error
    except RuntimeError as error:
        if not compiled or is_out_of_memory(error):
            raise
        raise HardwareError(
            f"The model {name!r} cannot be compiled here: {first_line(error)}.",
            "Install a C++ compiler, such as g++, or train without torch_compile.",
        ) from error


def reason(error: Exception) -> str:
    """Return the first two sentences; torch adds advice and figures of the allocator."""
    return ". ".join(first_line(error).split(". ")[:2])


def halve(share: Share, error: Exception, finds_batch: bool) -> Share:
    """Return the same step in parts of half the size.

    Raises:
        HardwareError: It was not asked for, cannot be, or would leave less than a tweet.
    """
    problem = f"A batch of {share.per_device} tweets does not fit into memory: {reason(error)}."
    if not finds_batch:
        raise HardwareError(
            problem,
            "--auto-find-batch-size splits a batch into parts that fit, with the same result; or lower "
            "--per-device-train-batch-size and raise --gradient-accumulation-steps by the same factor.",
        )
    if share.processes > 1 and not isinstance(error, TooLarge):
        raise HardwareError(
            problem, "Several processes cannot reduce it during training: halve the batch size yourself."
        )
    if share.per_device == 1:
        raise HardwareError(problem, "Lower --max-length, or choose a smaller model such as distilbert-100k's.")
    return share.halved()


def any_process(failed: bool, device: torch.device) -> bool:
    """Return True if any process failed; all must ask."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        flag = torch.tensor(int(failed), device=device)
        torch.distributed.all_reduce(flag, torch.distributed.ReduceOp.MAX)
        return bool(flag)
    return failed


def release(model: Any) -> None:
    """Give back what a failed attempt held on the device, the model's own weights aside."""
    model.zero_grad(set_to_none=True)
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def copy_weights(model: Any) -> Mapping[str, torch.Tensor]:
    """Copy the weights into the CPU's memory."""
    return {name: weight.detach().to("cpu", copy=True) for name, weight in model.state_dict().items()}
