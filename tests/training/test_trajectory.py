"""A committed trajectory of losses: eight tweets a step learn alike, at once or one after the other.

``trajectory.json`` holds the log of batches of 8 without accumulation. A change that is meant to change what is learned
fails here, and the assertion shows the new values.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from datasets import Dataset

from sentiment140_bert import models
from sentiment140_bert.recipe import Recipe
from sentiment140_bert.training.arguments import Precision, training_arguments
from sentiment140_bert.training.trainer import train

pytest_plugins = "model_fixtures"

COMMITTED = json.loads((Path(__file__).parent / "trajectory.json").read_text("utf-8"))


def tweets() -> Dataset:
    """48 rows without chance: lengths of 3 to 18 tokens, a label that the second token tells."""
    labels = [(row * 7 % 5) % 2 for row in range(48)]
    ids = [[101, 2000 + label, *range(1500 + row, 1500 + row + row % 16), 102] for row, label in enumerate(labels)]
    return Dataset.from_dict({"input_ids": ids, "labels": labels})


def test_losses_are_those_that_were_committed(classifier_folder: Path, tmp_path: Path) -> None:
    model, tokenizer = models.load_model_and_tokenizer(str(classifier_folder))
    values = {
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 4,
        "num_train_epochs": 3,
        "learning_rate": 1e-3,
        "warmup_steps": 2,
        "logging_steps": 1,
        "eval_strategy": "no",
        "save_strategy": "no",
        "load_best_model_at_end": False,
    }
    settings = training_arguments(Recipe().with_values(values).training, Precision("fp32", ""), tmp_path)
    history = tmp_path / "history.jsonl"
    splits = {"train": tweets(), "validation": tweets()}
    train(model, tokenizer, splits, settings, history=history, compute_metrics=lambda _: {}, shown=False)
    log = [json.loads(line) for line in history.read_text("utf-8").splitlines()]
    logged = {
        name: [entry[name] for entry in log if "loss" in entry] for name in ("loss", "grad_norm", "learning_rate")
    }
    assert len(logged["loss"]) == 18
    for name, values in logged.items():
        assert values == pytest.approx(COMMITTED[name], rel=2e-3), name
