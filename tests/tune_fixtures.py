"""A pytest plugin for tests of ``s140 tune``: studies, a recipe with ranges, a tiny BERT, and a finished tuning."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from model_fixtures import write_small_bert
from once import make_once
from sentiment140_bert.cli import main
from sentiment140_bert.experiments.tune import space
from sentiment140_bert.experiments.tune.store import SECONDS, Store
from sentiment140_bert.experiments.tune.study import Study
from sentiment140_bert.recipe import Range
from tiny_run import TINY

TUNING = {
    "learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
    "per_device_train_batch_size": [32, 64],
    "max_length": [12, 32],
    "layerwise_lr_decay": {"low": 0.5, "high": 1.0},
    "hidden_dropout_prob": {"low": 0.0, "high": 0.3},
}
SPACE = {
    "learning_rate": Range(1e-5, 1e-3, log=True),
    "max_length": Range(16, 64, step=16),
    "per_device_train_batch_size": Range(choices=(8, 16)),
}
IDENTITY: dict[str, Any] = {
    "space": space.to_plain(SPACE),
    "recipe": {"training": {"seed": 42}},
    "data": "0" * 64,
    "metric": "eval_accuracy",
    "direction": "maximize",
    "sampler": "tpe",
    "pruner": "none",
    "seed": 42,
}


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Return the address of a store that does not exist yet."""
    return f"sqlite:///{tmp_path}/study.db"


def open_study(url: str, *, seconds: float = SECONDS, **changes: Any) -> Study:
    """Open a study of three settings."""
    return Study(Store(url, seconds), "mine", IDENTITY | changes)


@pytest.fixture(scope="session")
def tunable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a recipe: 180 training, 60 validation, 60 test tweets; five settings to tune, one out of its range."""
    return make_once(tmp_path_factory, "tunable", write_tunable) / "mine.yaml"


def write_tunable(folder: Path) -> None:
    model = write_small_bert(folder / "model", "BertModel")
    plain: dict[str, Any] = {"model": {"model_name_or_path": str(model)}, "tuning": TUNING}
    plain["data"] = {"dataset": "sample", "max_samples": 300, "validation_size": 60, "test_size": 60, "max_length": 32}
    plain["training"] = {
        name.replace("-", "_"): TINY[name] for name in ("num-train-epochs", "logging-steps", "report-to")
    } | {"per_device_train_batch_size": 32, "learning_rate": 5e-5}
    (folder / "mine.yaml").write_text(yaml.safe_dump(plain))


@pytest.fixture(scope="session")
def tuned(tmp_path_factory: pytest.TempPathFactory, tunable: Path) -> Path:
    """Return a finished study; not to be changed."""

    def tune(folder: Path) -> None:
        words = ["tune", str(folder / "mine"), "--recipe", str(tunable), "--trials", "6", "--final-seeds", "2"]
        result = CliRunner().invoke(main, words, catch_exceptions=False)
        assert result.exit_code == 0, result.output

    return make_once(tmp_path_factory, "tuned", tune) / "mine"


@pytest.fixture
def copied(tuned: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tuned, tmp_path / "mine"))


def read(folder: Path, name: str = "tuning.json") -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / name).read_text("utf-8"))
    return content


def what_came_out(folder: Path) -> list[tuple[Any, ...]]:
    names = ("number", "state", "value", "values", "scores")
    return [tuple(trial[name] for name in names) for trial in read(folder)["trials"]]


def rows_of(folder: Path) -> list[tuple[int, str]]:
    with sqlite3.connect(folder / "study.db") as connection:
        return connection.execute("select number, state from trials order by number").fetchall()
