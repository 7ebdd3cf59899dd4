"""Fine-tuning with the Hugging Face Trainer: exact loss, batches of like lengths, and a checkpoint whenever it
stops."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from transformers import DataCollatorWithPadding, Trainer, TrainerCallback
from transformers.trainer_callback import PrinterCallback

from sentiment140_bert.errors import diverged
from sentiment140_bert.training.batching import LengthGroupedBatches
from sentiment140_bert.training.callbacks import Progress, StopOnSignal, WholeCheckpoints, seconds_until

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import TrainingArguments


class SentimentTrainer(Trainer):  # type: ignore[misc]
    """Trainer with length-grouped training batches; evaluation and prediction keep the data's order."""

    def get_train_dataloader(self) -> DataLoader[Any]:
        dataset = self.train_dataset.with_format("numpy")
        seed = self.args.seed if self.args.data_seed is None else self.args.data_seed
        batches = LengthGroupedBatches(lengths_of(self.train_dataset), self._train_batch_size, seed)
        self.add_callback(_EachEpochItsOrder(batches))
        loader: DataLoader[Any] = DataLoader(
            dataset,
            batch_sampler=batches,
            collate_fn=self.data_collator,
            num_workers=self.args.dataloader_num_workers,
            pin_memory=self.args.dataloader_pin_memory,
        )
        return self.accelerator.prepare(loader)  # type: ignore[no-any-return]

    def _save_checkpoint(self, *arguments: Any, **options: Any) -> None:
        """Removes no older checkpoint: ``WholeCheckpoints`` does, once the new one is whole."""
        limit, self.args.save_total_limit = self.args.save_total_limit, None
        super()._save_checkpoint(*arguments, **options)
        self.args.save_total_limit = limit


class _EachEpochItsOrder(TrainerCallback):  # type: ignore[misc]
    """Tells the batches their epoch; in an epoch that is resumed by several processes Trainer does not reach them."""

    def __init__(self, batches: LengthGroupedBatches) -> None:
        self.batches = batches

    def on_epoch_begin(self, args: TrainingArguments, state: Any, control: Any, **kwargs: Any) -> None:
        self.batches.set_epoch(int(state.epoch or 0))


def lengths_of(dataset: Any) -> np.ndarray:
    """Tokens of each row of a tokenized split, from Arrow's offsets, without reading the tokens."""
    import pyarrow.compute as pc

    return np.asarray(pc.list_value_length(dataset.with_format("arrow")[:]["input_ids"]).to_numpy())


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


@dataclass(frozen=True)
class Outcome:
    """How training ended, earlier parts of a resumed run included.

    ``signal`` is its number if one stopped it; the model then is not the finished one.
    """

    steps: int
    epochs: float
    best_step: int | None
    best_metric: float | None
    seconds: float
    tweets_per_second: float
    signal: int | None


def train(
    model: Any,
    tokenizer: Any,
    splits: Any,
    arguments: TrainingArguments,
    *,
    history: Path,
    compute_metrics: Callable[[Any], dict[str, float]],
    resume_from: Path | None = None,
    callbacks: list[TrainerCallback] | None = None,
) -> Outcome:
    """Fine-tunes ``model`` in place; afterwards it holds the best checkpoint's weights if the arguments say so.

    Args:
        model: A sequence classifier.
        tokenizer: Pads the batches.
        splits: ``train`` and ``validation`` with ``input_ids`` and ``labels``.
        arguments: From :func:`sentiment140_bert.training.arguments.training_arguments`.
        history: File that gets a JSON line for each log entry.
        compute_metrics: From an ``EvalPrediction`` to named numbers.
        resume_from: A whole checkpoint.
        callbacks: Further ones, such as a tracker's.
    """
    train_split: Dataset = splits["train"]
    stop = StopOnSignal()
    seconds_before = seconds_until(resume_from) if resume_from else 0.0
    trainer = SentimentTrainer(
        model=model,
        args=arguments,
        train_dataset=train_split,
        eval_dataset=splits["validation"],
        processing_class=tokenizer,
        data_collator=DataCollatorWithPadding(
            tokenizer, pad_to_multiple_of=8 if arguments.fp16 or arguments.bf16 else None
        ),
        compute_loss_func=exact_loss(arguments.label_smoothing_factor),
        compute_metrics=compute_metrics,
        callbacks=[Progress(history, len(train_split)), WholeCheckpoints(seconds_before), stop, *(callbacks or [])],
    )
    trainer.remove_callback(PrinterCallback)
    before = time.perf_counter()
    in_main_thread = threading.current_thread() is threading.main_thread()
    with stop if in_main_thread else nullcontext():
        result = trainer.train(resume_from_checkpoint=str(resume_from) if resume_from else None)
    if not math.isfinite(result.training_loss):
        raise diverged("the loss is no longer a number")
    seconds = seconds_before + time.perf_counter() - before
    state = trainer.state
    seen = (state.epoch or 0.0) * len(train_split)
    return Outcome(
        steps=state.global_step,
        epochs=round(state.epoch or 0.0, 4),
        best_step=state.best_global_step,
        best_metric=state.best_metric,
        seconds=round(seconds, 2),
        tweets_per_second=round(seen / seconds, 1),
        signal=stop.received,
    )
