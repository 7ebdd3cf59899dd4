"""Override what transformers' Trainer keeps private, where no public hook does the same.

Any version of transformers may change a name of :data:`PRIVATE`; a test checks that the installed one has them all.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import Trainer, TrainingArguments

from sentiment140_bert.full_disk import build_full_disk_error, is_disk_full
from sentiment140_bert.locks import check_still_locked
from sentiment140_bert.training import resume
from sentiment140_bert.training.checkpoints import MANIFEST, CheckpointSealer, remove_checkpoint

PRIVATE = {
    "Trainer._save_checkpoint": "No hook comes before a checkpoint or sees its failure, and none writes one.",
    "Trainer._load_from_checkpoint": "No hook can turn the error of damaged or foreign weights into one sentence.",
    "Trainer._load_optimizer_and_scheduler": "No hook comes between loading their states and computing with them.",
    "Trainer._load_scaler": "As for the weights.",
    "Trainer._load_rng_state": "As for the weights.",
    "Trainer._load_best_model": "As for the weights.",
    "PreTrainedConfig._attn_implementation": "Nothing else tells which attention a loaded model uses.",
    "TrainingArguments._n_gpu": "Nothing else keeps Trainer from DataParallel, which is slow and sums the loss twice.",
}


class PrivateTrainer(Trainer):  # type: ignore[misc]
    """Trainer that refuses unusable checkpoints and leaves no part of one on a full disk."""

    optimizer: torch.optim.Optimizer | None

    def save_now(self) -> None:
        """Write a checkpoint of the last step, outside of Trainer's own loop."""
        self._save_checkpoint(self.model, None)
        self.callback_handler.on_save(self.args, self.state, self.control)

    def _save_checkpoint(self, *arguments: Any, **options: Any) -> None:
        """Write a checkpoint as Trainer does.

        Raises:
            RunError: The disk is full; the part that was written is removed. Or the run directory was moved.
        """
        check_still_locked(Path(self.args.output_dir).parent)
        folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        if folder.is_dir():  # it is written once more, and may be being sealed
            self.finish_sealing()
        (folder / MANIFEST).unlink(missing_ok=True)  # the folder may hold a damaged checkpoint
        try:
            super()._save_checkpoint(*arguments, **options)
        except (OSError, RuntimeError, SafetensorError) as error:
            if not is_disk_full(error):
                raise
            failure = build_full_disk_error(folder)  # before the removal, which makes room
            if folder.is_dir():
                remove_checkpoint(folder)
            raise failure from None

    def _load_from_checkpoint(self, resume_from_checkpoint: str, *positional: Any, **named: Any) -> None:
        with resume.refuse_unreadable(f"model.safetensors of {Path(resume_from_checkpoint).name}"):
            super()._load_from_checkpoint(resume_from_checkpoint, *positional, **named)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint:
            resume.check_schedule(Path(checkpoint), self.lr_scheduler.state_dict().keys())
            with resume.refuse_unreadable(f"optimizer.pt or scheduler.pt of {Path(checkpoint).name}"):
                super()._load_optimizer_and_scheduler(checkpoint)
            resume.check_loaded(self.optimizer, self.lr_scheduler)

    def _load_scaler(self, checkpoint: str | None) -> None:
        with resume.refuse_unreadable(f"scaler.pt of {Path(checkpoint or '').name}"):
            super()._load_scaler(checkpoint)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        with resume.refuse_unreadable(f"The random states of {Path(checkpoint or '').name}"):
            super()._load_rng_state(checkpoint)

    def finish_sealing(self) -> None:
        """Wait for the checkpoint that is being sealed; raise RunError if that failed."""
        for callback in self.callback_handler.callbacks:
            if isinstance(callback, CheckpointSealer):
                callback.finish()

    def _load_best_model(self) -> None:
        self.finish_sealing()  # where that fails, the files are emptied, and reading them would kill the process
        with resume.refuse_unreadable(f"The best checkpoint, {self.state.best_model_checkpoint},"):
            super()._load_best_model()


def uses_sdpa(config: Any) -> bool:
    """Return True if a loaded model computes attention by torch's ``scaled_dot_product_attention``."""
    return bool(config._attn_implementation == "sdpa")


def use_one_gpu(settings: TrainingArguments) -> None:
    """Keep Trainer from wrapping the model into DataParallel."""
    settings._n_gpu = 1
