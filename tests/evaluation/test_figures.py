"""The pictures of a run: whole PNG files, the same bytes for the same numbers, whatever there is to show."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sentiment140_bert.evaluation.answers import Answers
from sentiment140_bert.evaluation.calibration import Calibration
from sentiment140_bert.evaluation.figures import CALIBRATION, CONFUSION, LEARNING, RISK_COVERAGE, SLICES, draw
from sentiment140_bert.evaluation.lift import Baselines
from sentiment140_bert.evaluation.protocol import scores_of

HISTORY: list[dict[str, Any]] = [
    {"loss": 0.7, "learning_rate": 1e-5, "epoch": 0.5, "step": 5},
    {"loss": 0.5, "learning_rate": 0.0, "epoch": 1.0, "step": 10},
    {"eval_loss": 0.6, "eval_accuracy": 0.71, "epoch": 1.0, "step": 10},
    {"train_runtime": 3.2, "train_loss": 0.6, "epoch": 1.0, "step": 10},
]


def scored(truth: list[int], shares: list[float] | None = None) -> dict[str, Any]:
    positive = np.array(shares if shares is not None else np.linspace(0.05, 0.95, len(truth)))
    texts = [f"tweet $number$ {at} is not it, but {'why?' * (at % 2)}" for at in range(len(truth))]
    return scores_of(Answers(texts, np.array(truth), positive), Calibration(1.3, 0.7), Baselines(0.5))


def drawn(folder: Path, splits: dict[str, Any], history: list[dict[str, Any]] = HISTORY) -> dict[str, tuple[int, int]]:
    """Size of each picture, all of which can be read."""
    draw(folder, splits, history)
    sizes = {}
    for file in sorted(folder.iterdir()):
        with Image.open(file) as picture:
            picture.load()
            assert (picture.format, not picture.info.get("Software")) == ("PNG", True)
            assert len(picture.convert("RGB").getcolors(1 << 24)) > 10  # not blank
            sizes[file.name] = picture.size
    return sizes


MIXED = [0, 1, 0, 1, 1, 0, 1, 1, 0, 1, 1, 1]


PICTURES = {CONFUSION, CALIBRATION, RISK_COVERAGE, SLICES, LEARNING}


def test_the_pictures(tmp_path: Path) -> None:
    splits = {"validation": scored(MIXED), "test": scored(MIXED[::-1]), "manual": scored(MIXED[2:])}
    sizes = drawn(tmp_path / "figures", splits)
    assert sizes.keys() == PICTURES
    alone = drawn(tmp_path / "alone", {"validation": scored(MIXED), "test": scored(MIXED)})
    assert sizes[CONFUSION][0] > 1.8 * alone[CONFUSION][0]  # test and manual side by side; validation is not shown


def test_the_same_numbers_give_the_same_bytes_in_another_process_too(tmp_path: Path) -> None:
    splits = {"test": scored(MIXED)}
    draw(tmp_path / "here", splits, HISTORY)
    program = (
        "import json, sys, pathlib; from sentiment140_bert.evaluation.figures import draw;"
        "draw(pathlib.Path(sys.argv[1]), *json.loads(sys.argv[2]))"
    )
    arguments = [sys.executable, "-c", program, str(tmp_path / "there"), json.dumps([splits, HISTORY])]
    subprocess.run(arguments, check=True, capture_output=True)
    for name in (CONFUSION, CALIBRATION, LEARNING):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()


def test_other_numbers_give_other_pictures(tmp_path: Path) -> None:
    draw(tmp_path / "one", {"test": scored(MIXED)}, HISTORY)
    draw(tmp_path / "other", {"test": scored(MIXED[::-1])}, [*HISTORY, {"loss": 0.2, "step": 20}])
    for name in (CONFUSION, CALIBRATION, LEARNING):
        assert (tmp_path / "one" / name).read_bytes() != (tmp_path / "other" / name).read_bytes()


@pytest.mark.parametrize(
    "splits",
    [
        {"validation": scored(MIXED)},
        {"manual": scored(MIXED)},
        {"test": scored([1, 1, 1])},
        {"test": scored([0, 0, 0])},
        {"test": scored([1])},
        {"test": scored([0], [0.5])},
        {"test": scored(MIXED), "manual": {"n": 0, "neutral_left_out": 2}},
    ],
    ids=["validation alone", "manual alone", "positive alone", "negative alone", "one tweet", "a half", "all neutral"],
)
@pytest.mark.filterwarnings("error")
def test_whatever_was_scored(tmp_path: Path, splits: dict[str, Any]) -> None:
    assert drawn(tmp_path / "figures", splits).keys() == PICTURES


@pytest.mark.parametrize(
    ("history", "there"),
    [
        ([], False),
        ([{"eval_accuracy": 0.5, "eval_loss": 0.7, "step": 1}], False),
        ([{"loss": 0.7, "step": 1}], True),
        ([{"loss": 0.7, "step": 1}, {"eval_loss": 0.7, "eval_accuracy": None, "step": 1}], True),
    ],
    ids=["none", "no loss", "nothing scored on the way", "scored without accuracy"],
)
@pytest.mark.filterwarnings("error")
def test_whatever_was_logged(tmp_path: Path, history: list[dict[str, Any]], there: bool) -> None:
    assert (LEARNING in drawn(tmp_path / "figures", {"test": scored(MIXED)}, history)) == there


def test_nothing_half_written_is_left(tmp_path: Path) -> None:
    draw(tmp_path, {"test": scored(MIXED)}, HISTORY)
    assert {each.name for each in tmp_path.iterdir()} == PICTURES
