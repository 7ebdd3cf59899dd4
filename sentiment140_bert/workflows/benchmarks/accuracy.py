"""Two ways to fine-tune the same encoder, seed by seed: this package's, and a plain Trainer's in random order."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import DataCollatorWithPadding, Trainer, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from sentiment140_bert import modeling
from sentiment140_bert.errors import Interrupted
from sentiment140_bert.recipe import Recipe
from sentiment140_bert.workflows.preparing import Data

SCORED = {"validation", "test", "manual"}
QUIET = {"eval_strategy": "no", "save_strategy": "no", "load_best_model_at_end": False}


@dataclass(frozen=True)
class Tuned:
    """One fine-tuning: tweets passed, seconds, and by name of the split which of its tweets were answered rightly."""

    tweets: float
    seconds: float
    right: dict[str, np.ndarray]


def package(recipe: Recipe, data: Data) -> Tuned:
    """As ``s140 train`` does it, from the recipe's own seed.

    Args:
        recipe: Model and training.
        data: Of the recipe, as :func:`preparing.tokenized` gives it.
    """
    from sentiment140_bert.training import arguments, trainer

    _, tokens, tokenizer = data
    splits = tokens.splits()
    name, revision = recipe.model.model_name_or_path, recipe.model.model_revision
    model = modeling.load_encoder(name, revision, recipe.training.seed, recipe.model.dropouts())
    config = recipe.with_values(QUIET).training
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="s140-benchmark-") as folder:
        settings = arguments.training_arguments(config, arguments.choose_precision(config), Path(folder))
        history = Path(folder) / "history.jsonl"
        outcome = trainer.train(model, tokenizer, splits, settings, history=history, compute_metrics=lambda _: {})
    if outcome.signal:
        raise Interrupted("The comparison was stopped.", "Start it again: it keeps nothing.", outcome.signal)
    seconds = time.perf_counter() - began
    return Tuned(outcome.epochs * len(splits["train"]), seconds, _right(model, data))


def plain(recipe: Recipe, data: Data) -> Tuned:
    """As tutorials do it: Trainer's own loss and random order, every token of the last layer, the same settings."""
    from sentiment140_bert.training.arguments import choose_precision

    _, tokens, tokenizer = data
    train = tokens.splits()["train"]
    config = recipe.training
    name, revision = recipe.model.model_name_or_path, recipe.model.model_revision
    model = modeling.load_encoder(name, revision, config.seed, recipe.model.dropouts(), plain=True)
    precision = choose_precision(config).name
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="s140-benchmark-") as folder:
        arguments = TrainingArguments(
            folder,
            per_device_train_batch_size=config.per_device_train_batch_size,
            num_train_epochs=config.num_train_epochs,
            max_steps=config.max_steps,
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            warmup_steps=config.warmup_steps,
            lr_scheduler_type=config.lr_scheduler_type,
            seed=config.seed,
            bf16=precision == "bf16",
            fp16=precision == "fp16",
            use_cpu=not torch.cuda.is_available(),
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        trainer = Trainer(model, arguments, DataCollatorWithPadding(tokenizer), train)
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    seconds = time.perf_counter() - began
    return Tuned((trainer.state.epoch or 0.0) * len(train), seconds, _right(model, data))


def _right(model: Any, data: Data) -> dict[str, np.ndarray]:
    """Which tweets of each scored split are answered rightly: their texts, in fp32, as ``s140 evaluate`` asks."""
    from sentiment140_bert.inference.torch_backend import TorchClassifier

    prepared, _, tokenizer = data
    classifier = TorchClassifier(model, tokenizer)
    found = {}
    for name, split in prepared.splits().items():
        if name in SCORED:
            table = split.with_format("arrow")[:]
            answers = classifier.probabilities(table["text"].to_pylist()).argmax(1)
            found[name] = answers == table["label"].to_numpy()
    return found
