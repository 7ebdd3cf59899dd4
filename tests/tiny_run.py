"""The flags of a tiny training run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sentiment140_bert.recipe import Recipe

# 180 tweets in 6 steps an epoch, 60 to validate, 60 to test.
TINY = {
    "model-name-or-path": "bundled:minilm",
    "dataset": "sample",
    "max-samples": 300,
    "validation-size": 60,
    "test-size": 60,
    "num-train-epochs": 2,
    "learning-rate": 1e-4,
    "per-device-train-batch-size": 32,
    "logging-steps": 1,
    "precision": "fp32",  # the same on every processor
    "report-to": "none",
}


def flags(**changes: Any) -> list[str]:
    """TINY as flags; ``changes`` are given with underscores."""
    chosen = TINY | {name.replace("_", "-"): value for name, value in changes.items()}
    return [word for name, value in chosen.items() for word in (f"--{name}", str(value))]


def tiny_recipe(encoder: Path, **changes: Any) -> Recipe:
    """TINY as a recipe of one epoch."""
    values = {name.replace("-", "_"): value for name, value in TINY.items()}
    return Recipe().with_values(values | {"model_name_or_path": str(encoder), "num_train_epochs": 1} | changes)
