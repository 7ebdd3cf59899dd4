"""Measure training: the original notebook, the example script of transformers, a plain Trainer, this package.

    python scripts/benchmarks/training.py --tokenizer bundled:minilm --dataset tweets.csv.gz

All have the same model (random weights: they do not change the time), tweets and precision, one aside that is in
fp32, and count what passes through the model from the end of the first step to the end of the last one.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from transformers import DataCollatorWithPadding, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from benchmark import (
    Contender,
    Script,
    Work,
    dataset_option,
    log,
    measure,
    now,
    only_option,
    print_report,
    rounds_option,
    seed_option,
)
from ceiling import TRAINING, count_parameters, model_ceiling
from sentiment140_bert import models
from sentiment140_bert.cli.options import output_options
from sentiment140_bert.cli.output import stdout_kept_clean
from sentiment140_bert.data import loading
from sentiment140_bert.errors import S140Error
from sentiment140_bert.recipe import Recipe, TrainingConfig
from sentiment140_bert.training import arguments
from sentiment140_bert.training.trainer import Outcome, train

NOTEBOOK_BATCH, NOTEBOOK_WIDTH = 16, 512  # of the original notebook
SCRIPT_BATCH, SCRIPT_WIDTH = 8, 128  # defaults of transformers' run_classification.py
UNSAVED = {"eval_strategy": "no", "save_strategy": "no", "load_best_model_at_end": False}
UNSAVED |= {"early_stopping_patience": None}
Tokens = Sequence[Sequence[int]]


class Watch(TrainerCallback):  # type: ignore[misc]
    """Counts tweets and tokens of every step but the first, and their seconds."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.counts: list[tuple[int, torch.Tensor]] = []
        self.started = self.ended = 0.0
        self.hook = model.register_forward_pre_hook(self._count, with_kwargs=True)

    def _count(self, module: Any, positional: Any, named: dict[str, Any]) -> None:
        mask = named["attention_mask"]
        self.counts.append((len(mask), mask.sum()))  # on a GPU it is not waited for

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == 1:
            self.counts.clear()
            self.started = now()

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.ended = now()
        self.hook.remove()

    def work(self) -> Work:
        """Return the work of the steps that were watched."""
        tokens = sum(int(count) for _, count in self.counts)
        return Work(sum(tweets for tweets, _ in self.counts), tokens, self.ended - self.started)


def train_as_tutorials(
    model: Any, rows: Any, collate: Any, config: TrainingConfig, callbacks: Sequence[TrainerCallback] = (), **own: Any
) -> Trainer:
    """Train as tutorials do, in random order, with the precision of this package; return the Trainer.

    Args:
        model: A sequence classifier as transformers makes it.
        rows: Rows with ``input_ids`` and ``labels``.
        collate: Pads the rows of a batch.
        config: Decides on the precision alone.
        callbacks: Added to the Trainer's own.
        own: Arguments of TrainingArguments.
    """
    precision = arguments.choose_precision(config).name
    with tempfile.TemporaryDirectory(prefix="s140-benchmark-") as folder:
        settings = TrainingArguments(
            folder,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            bf16=precision == "bf16",
            fp16=precision == "fp16",
            use_cpu=not torch.cuda.is_available(),
            **own,
        )
        trainer = Trainer(model, settings, collate, rows, callbacks=list(callbacks))
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return trainer


def train_as_package(model: Any, tokenizer: Any, splits: Any, config: TrainingConfig, **options: Any) -> Outcome:
    """Train as ``s140 train`` does; ``options`` are those of :func:`sentiment140_bert.training.trainer.train`."""
    with tempfile.TemporaryDirectory(prefix="s140-benchmark-") as folder:
        settings = arguments.training_arguments(config, arguments.choose_precision(config), Path(folder))
        history = Path(folder) / "history.jsonl"
        return train(model, tokenizer, splits, settings, history=history, compute_metrics=lambda _: {}, **options)


def plain_trainer(model: str, tokens: Tokens, batch: int, width: int | None = None) -> Callable[[], Work]:
    """Build a contender: Trainer as tutorials use it.

    Args:
        model: Whose shape is trained.
        tokens: ``input_ids`` of each tweet; an epoch of them is one turn.
        batch: Tweets of a step.
        width: Tokens that every tweet is padded to; None for those of the longest one in a batch.
    """
    classifier = models.build_untrained(model, plain=True)
    padding = {"padding": "max_length", "max_length": width} if width else {"padding": True}
    collate = DataCollatorWithPadding(models.make_padding_tokenizer(classifier.config), **padding)
    rows = [
        {"input_ids": list(ids), "attention_mask": [1] * len(ids), "labels": index % 2}
        for index, ids in enumerate(tokens)
    ]
    config = Recipe().training
    settings = {"per_device_train_batch_size": batch, "num_train_epochs": 1, "weight_decay": 0.01}

    def turn() -> Work:
        watch = Watch(classifier)
        train_as_tutorials(classifier, rows, collate, config, [watch], **settings)
        return watch.work()

    return turn


def package(model: str, tokens: Tokens, batch: int, precision: str = "auto") -> Callable[[], Work]:
    """Build a contender: this package's own training.

    Args:
        model: Whose shape is trained.
        tokens: ``input_ids`` of each tweet; an epoch of them is one turn.
        batch: Tweets of a step.
        precision: As for ``s140 train``.
    """
    from datasets import Dataset

    classifier = models.build_untrained(model)
    tokenizer = models.make_padding_tokenizer(classifier.config)
    rows = Dataset.from_dict({"input_ids": tokens, "labels": [index % 2 for index in range(len(tokens))]})
    splits = {"train": rows, "validation": rows.select([0])}
    values = {"num_train_epochs": 1, "per_device_train_batch_size": batch, "logging_steps": 50, "precision": precision}
    config = Recipe().with_values(UNSAVED | values).training

    def turn() -> Work:
        watch = Watch(classifier)
        train_as_package(classifier, tokenizer, splits, config, callbacks=[watch], shown=False)
        return watch.work()

    return turn


def draw_tokens(tokenizer: str, dataset: str, count: int, seed: int) -> list[list[int]]:
    """Draw the tokens of tweets of the training split at random; with repeats where there are too few."""
    recipe = Recipe().with_values({"model_name_or_path": tokenizer, "dataset": dataset})
    train_split = loading.load_data(recipe)[1].splits()["train"]
    rows = np.random.default_rng(seed).choice(len(train_split), count, replace=count > len(train_split))
    if count > len(train_split):
        log.info("data: %s has %s tweets to train on; they are drawn more than once", dataset, f"{len(train_split):,}")
    ids: list[list[int]] = train_split.select(rows)["input_ids"][:]
    return ids


def list_contenders(model: str, tokens: Tokens, tweets: int, batch: int, slow_steps: int) -> list[Contender]:
    """List the six ways to train; slow ones get the first of the same tokens, for so many steps after the first."""
    plain = [
        ("notebook", f"the notebook: padded to {NOTEBOOK_WIDTH}", slow_steps + 1, NOTEBOOK_BATCH, NOTEBOOK_WIDTH),
        ("script", f"run_classification.py: padded to {SCRIPT_WIDTH}", slow_steps + 1, SCRIPT_BATCH, SCRIPT_WIDTH),
        ("tutorial", "Trainer: padded to the longest", 4 * slow_steps + 1, NOTEBOOK_BATCH, None),
    ]
    contenders = [
        Contender(
            name,
            f"{title}, batch {size}",
            plain_trainer,
            {"model": model, "tokens": tokens[: steps * size], "batch": size, "width": width},
        )
        for name, title, steps, size, width in plain
    ]
    whole = {"model": model, "tokens": tokens[:tweets], "batch": batch}
    return [
        *contenders,
        Contender("trainer", f"Trainer: padded to the longest, batch {batch}", plain_trainer, whole),
        Contender("package", f"s140 train, batch {batch}", package, whole),
        Contender("fp32", f"s140 train --precision fp32, batch {batch}", package, whole | {"precision": "fp32"}),
    ]


@click.command(cls=Script)
@click.option("--model", default="google-bert/bert-base-uncased", show_default=True, help="Whose shape is trained.")
@click.option("--tokenizer", help="Whose tokens the tweets become.  [default: the model's]")
@dataset_option
@click.option(
    "--tweets", type=click.IntRange(1), help="In a turn of trainer, package and fp32.  [default: 320; on a GPU 40,960]"
)
@click.option("--batch-size", type=click.IntRange(1), help="Of trainer, package and fp32.  [default: 32; on a GPU 512]")
@click.option(
    "--slow-steps",
    type=click.IntRange(1),
    help="In a turn of notebook and script; tutorial makes four times as many.  [default: 1; on a GPU 20]",
)
@rounds_option
@only_option("notebook", "script", "tutorial", "trainer", "package", "fp32")
@seed_option
@output_options
def main(
    model: str,
    tokenizer: str | None,
    dataset: str,
    tweets: int | None,
    batch_size: int | None,
    slow_steps: int | None,
    rounds: int,
    only: tuple[str, ...],
    seed: int,
    as_json: bool,
) -> None:
    """Train a model of some shape: as the original notebook, as transformers' script, as a plain Trainer, as we do."""
    on_gpu = torch.cuda.is_available()
    tweets = tweets or (40_960 if on_gpu else 320)
    batch = batch_size or (512 if on_gpu else 32)
    slow_steps = slow_steps or (20 if on_gpu else 1)
    if tweets < 2 * batch:
        raise S140Error(
            f"{tweets} tweets are less than two batches of {batch}: the first step is not counted.",
            "Raise --tweets or lower --batch-size.",
        )
    with stdout_kept_clean():
        config = models.load_config(model)
        settings = {"model": model, "tokenizer": tokenizer or model, "dataset": dataset, "seed": seed}
        tokens = draw_tokens(tokenizer or model, dataset, max(tweets, (4 * slow_steps + 1) * NOTEBOOK_BATCH), seed)
        contenders = list_contenders(model, tokens, tweets, batch, slow_steps)
        contenders.append(model_ceiling(config, batch * round(float(np.mean([len(ids) for ids in tokens])))))
        flops = TRAINING * count_parameters(config)
        report = measure("training", settings, contenders, rounds, only, flops_per_token=flops)
    print_report(report, as_json)


if __name__ == "__main__":
    main()
