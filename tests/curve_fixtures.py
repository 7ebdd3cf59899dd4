"""A pytest plugin for tests of the learning curve: a finished one of a BERT so small that it is trained at once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from once import make_once
from sentiment140_bert.cli import main
from sentiment140_bert.files import hash_file
from sentiment140_bert.run import RunDir
from tiny_run import flags

SIZES = (40, 80, 160)
SEEDS = (42, 43)


@pytest.fixture(scope="session")
def words(small_bert: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return recipe, sizes and seeds as flags; 180 tweets to train on, 60 to test."""
    model = make_once(tmp_path_factory, "curve_bert", lambda folder: shutil.copytree(small_bert("BertModel"), folder))
    tiny = flags(model_name_or_path=model, num_train_epochs=1, per_device_train_batch_size=16, learning_rate=1e-3)
    return [*tiny, "--sizes", ",".join(map(str, SIZES)), "--seeds", "2"]


@pytest.fixture(scope="session")
def finished_curve(tmp_path_factory: pytest.TempPathFactory, words: list[str]) -> Path:
    """Return a finished curve named mine; not to be changed."""

    def make(folder: Path) -> None:
        arguments = ["learning-curve", str(folder / "mine"), *words, "--price-per-hour", "3.5"]
        result = CliRunner().invoke(main, arguments, catch_exceptions=False)
        assert result.exit_code == 0, result.output

    return make_once(tmp_path_factory, "curve", make) / "mine"


@pytest.fixture
def curve(finished_curve: Path, tmp_path: Path) -> Path:
    """Return a copy of the finished curve that may be changed."""
    return Path(shutil.copytree(finished_curve, tmp_path / "mine"))


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return content


def read_points(folder: Path) -> dict[tuple[int, int], dict[str, Any]]:
    """Return the points of a curve.json by size and seed."""
    sizes = read(folder / "curve.json")["sizes"]
    return {(size["size"], point["seed"]): point for size in sizes for point in size["points"]}


def find_run(folder: Path, size: int, seed: int) -> RunDir:
    return RunDir(folder / "points" / f"size-{size}-seed-{seed}")


def hash_files(folder: Path) -> dict[str, str]:
    return {str(file.relative_to(folder)): hash_file(file) for file in folder.rglob("*") if file.is_file()}
