"""Contenders in training: the original notebook, the example script of transformers, a plain Trainer, this package.

All have the same model (random weights: they do not change the time), tweets and precision, and count what passes
through the model from the end of the first step to the end of the last one.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import DataCollatorWithPadding, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from sentiment140_bert import modeling
from sentiment140_bert.benchmark import Work
from sentiment140_bert.benchmark.clock import now
from sentiment140_bert.recipe import Recipe

QUIET = {"eval_strategy": "no", "save_strategy": "no", "load_best_model_at_end": False, "logging_steps": 50}
Tokens = Sequence[Sequence[int]]


class Watch(TrainerCallback):  # type: ignore[misc]
    """Counts tweets and tokens of every step but the first, and their seconds."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.counts: list[tuple[int, torch.Tensor]] = []
        self.began = self.ended = 0.0
        self.hook = model.register_forward_pre_hook(self._count, with_kwargs=True)

    def _count(self, module: Any, positional: Any, named: dict[str, Any]) -> None:
        mask = named["attention_mask"]
        self.counts.append((len(mask), mask.sum()))  # on a GPU it is not waited for

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == 1:
            self.counts.clear()
            self.began = now()

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.ended = now()
        self.hook.remove()

    def work(self) -> Work:
        """Of the steps that were watched."""
        tokens = sum(int(each) for _, each in self.counts)
        return Work(sum(tweets for tweets, _ in self.counts), tokens, self.ended - self.began)


def plain_trainer(model: str, tokens: Tokens, batch: int, width: int | None = None) -> Callable[[], Work]:
    """Trainer as tutorials use it: batches in random order.

    Args:
        model: Whose shape is trained.
        tokens: ``input_ids`` of each tweet; an epoch of them is one turn.
        batch: Tweets of a step.
        width: Tokens that every tweet is padded to; None for those of the longest one in a batch.
    """
    made = modeling.untrained(model, plain=True)
    tokenizer = modeling.padding_only(made.config)
    padding = {"padding": "max_length", "max_length": width} if width else {"padding": True}
    rows = [
        {"input_ids": list(ids), "attention_mask": [1] * len(ids), "labels": at % 2} for at, ids in enumerate(tokens)
    ]
    precision = _precision()

    def turn() -> Work:
        watch = Watch(made)
        with tempfile.TemporaryDirectory(prefix="s140-benchmark-") as folder:
            arguments = TrainingArguments(
                folder,
                per_device_train_batch_size=batch,
                num_train_epochs=1,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                weight_decay=0.01,
                bf16=precision == "bf16",
                fp16=precision == "fp16",
                use_cpu=not torch.cuda.is_available(),
            )
            collate = DataCollatorWithPadding(tokenizer, **padding)
            trainer = Trainer(made, arguments, collate, rows, callbacks=[watch])
            trainer.remove_callback(PrinterCallback)
            trainer.train()
        return watch.work()

    return turn


def package(model: str, tokens: Tokens, batch: int) -> Callable[[], Work]:
    """This package's own training, as ``s140 train`` does it.

    Args:
        model: Whose shape is trained.
        tokens: ``input_ids`` of each tweet; an epoch of them is one turn.
        batch: Tweets of a step.
    """
    from datasets import Dataset

    from sentiment140_bert.training import arguments, trainer

    made = modeling.untrained(model)
    tokenizer = modeling.padding_only(made.config)
    rows = Dataset.from_dict({"input_ids": tokens, "labels": [at % 2 for at in range(len(tokens))]})
    values = QUIET | {"num_train_epochs": 1, "per_device_train_batch_size": batch}
    config = Recipe().with_values(values).training

    def turn() -> Work:
        watch = Watch(made)
        with tempfile.TemporaryDirectory(prefix="s140-benchmark-") as folder:
            settings = arguments.training_arguments(config, arguments.choose_precision(config), Path(folder))
            trainer.train(
                made,
                tokenizer,
                {"train": rows, "validation": rows.select([0])},
                settings,
                history=Path(folder) / "history.jsonl",
                compute_metrics=lambda _: {},
                callbacks=[watch],
                shown=False,
            )
        return watch.work()

    return turn


def _precision() -> str:
    """What this package would choose here: the others get it, too."""
    from sentiment140_bert.training.arguments import choose_precision

    return choose_precision(Recipe().training).name
