"""The pictures of a run: whole PNG files, the same bytes for the same numbers, whatever there is to show."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from command_line import FORKS
from sentiment140_bert.cards import figures as figures_module
from sentiment140_bert.cards.figures import CALIBRATION, CONFUSION, LEARNING, RISK_COVERAGE, SLICES, draw_figures
from sentiment140_bert.evaluation.baseline import Baselines
from sentiment140_bert.evaluation.calibration import Calibration
from sentiment140_bert.evaluation.predictions import Predictions
from sentiment140_bert.evaluation.scores import score_split

HISTORY: list[dict[str, Any]] = [
    {"loss": 0.7, "learning_rate": 1e-5, "epoch": 0.5, "step": 5},
    {"loss": 0.5, "learning_rate": 0.0, "epoch": 1.0, "step": 10},
    {"eval_loss": 0.6, "eval_accuracy": 0.71, "epoch": 1.0, "step": 10},
    {"train_runtime": 3.2, "train_loss": 0.6, "epoch": 1.0, "step": 10},
]


def scored(truth: list[int], shares: list[float] | None = None) -> dict[str, Any]:
    positive = np.array(shares if shares is not None else np.linspace(0.05, 0.95, len(truth)))
    texts = [f"tweet $number$ {at} is not it, but {'why?' * (at % 2)}" for at in range(len(truth))]
    return score_split(
        Predictions(texts, np.array(truth), positive), Calibration(1.3, 0.7), Baselines(np.array([0.5, 0.5]))
    )


def drawn(folder: Path, splits: dict[str, Any], history: list[dict[str, Any]] = HISTORY) -> dict[str, tuple[int, int]]:
    """Return the size of each picture, all of which can be read."""
    draw_figures(folder, splits, history)  # leaves nothing half written
    sizes = {}
    for file in sorted(folder.iterdir()):
        with Image.open(file) as picture:
            picture.load()
            assert (picture.format, not picture.info.get("Software")) == ("PNG", True)
            assert len(picture.convert("RGB").getcolors(1 << 24)) > 10  # not blank
            sizes[file.name] = picture.size
    return sizes


MIXED = [0, 1, 0, 1, 1, 0, 1, 1, 0, 1, 1, 1]


CELLS = ("true_negative", "false_positive", "false_negative", "true_positive")
PICTURES = {CONFUSION, CALIBRATION, RISK_COVERAGE, SLICES, LEARNING}


def test_the_pictures(tmp_path: Path) -> None:
    splits = {"validation": scored(MIXED), "test": scored(MIXED[::-1]), "manual": scored(MIXED[2:])}
    assert drawn(tmp_path / "figures", splits).keys() == PICTURES


@pytest.mark.long
def test_the_same_numbers_give_the_same_bytes_in_another_process_too(tmp_path: Path) -> None:
    splits = {"test": scored(MIXED)}
    draw_figures(tmp_path / "here", splits, HISTORY)
    process = FORKS.Process(target=draw_figures, args=(tmp_path / "there", splits, HISTORY))
    process.start()
    process.join()
    assert process.exitcode == 0
    for name in PICTURES:
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> dict[str, Figure]:
    """Collect the pictures by name before they are written."""
    drawn: dict[str, Figure] = {}
    monkeypatch.setattr(figures_module, "save_figure", lambda figure, path: drawn.update({path.name: figure}))
    return drawn


def lines(axes: Axes) -> dict[str, list[tuple[float, float]]]:
    """Return the points of each line that has a label."""
    return {
        str(line.get_label()): [*zip(*map(list, line.get_data()), strict=True)]
        for line in axes.get_lines()
        if not str(line.get_label()).startswith("_")
    }


def test_pictures_show_the_numbers(figures: dict[str, Figure], tmp_path: Path) -> None:
    splits = {"validation": scored(MIXED), "test": scored(MIXED[::-1]), "manual": scored(MIXED[2:])}
    draw_figures(tmp_path, splits, HISTORY)
    assert figures.keys() == PICTURES
    shown = {name: splits[name] for name in ("test", "manual")}
    for name in (CONFUSION, CALIBRATION, RISK_COVERAGE, SLICES):
        titles = [axes.get_title() for axes in figures[name].axes]
        counts = [split["n"] for split in shown.values()]
        assert titles == [f"test ({counts[0]:,} tweets)", f"hand-labeled ({counts[1]:,} tweets)"], name
    for at, split in enumerate(shown.values()):
        counts = {name: split[name]["value"] for name in CELLS}
        negative, positive = (sum(counts[cell] for cell in row) for row in (CELLS[:2], CELLS[2:]))
        texts = {text.get_position(): text.get_text() for text in figures[CONFUSION].axes[at].texts}
        assert texts == {
            (column, row): f"{counts[cell]:,}\n{counts[cell] / (negative, positive)[row]:.1%}"
            for (row, column), cell in zip(itertools.product((0, 1), (0, 1)), CELLS, strict=True)
        }
        bins = {}
        for key, label in (("calibration", "uncalibrated"), ("calibrated", "with temperature")):
            error = split[key]["expected_calibration_error"]["value"]
            bins[f"{label}: error {error:.3f}"] = [(part["predicted"], part["observed"]) for part in split[key]["bins"]]
        assert lines(figures[CALIBRATION].axes[at]) == {"perfect": [(0, 0), (1, 1)]} | bins
        abstaining = split["abstaining"]
        place = (abstaining["coverage"]["value"], 1 - abstaining["accuracy"]["value"])
        assert lines(figures[RISK_COVERAGE].axes[at]) == {
            "most confident first": [(point["coverage"], point["risk"]) for point in split["risk_coverage"]],
            "with the abstention threshold": [place],
        }
    assert lines(figures[LEARNING].axes[0]) == {"training": [(5, 0.7), (10, 0.5)], "validation": [(10, 0.6)]}
    (accuracies,) = figures[LEARNING].axes[1].get_lines()
    assert [*map(list, accuracies.get_data())] == [[10], [0.71]]


def test_no_legend_hides_a_point(figures: dict[str, Figure], tmp_path: Path) -> None:
    splits = {"test": scored(MIXED), "manual": scored(MIXED[2:])}
    draw_figures(tmp_path, splits, HISTORY)
    legends = 0
    for figure in figures.values():
        figure.draw_without_rendering()
        for axes in figure.axes:
            if legend := axes.get_legend():
                legends += 1
                assert not legend.get_window_extent().overlaps(axes.get_window_extent())
    assert legends == 6


def test_the_picture_of_slices(figures: dict[str, Figure], tmp_path: Path) -> None:
    """Draw them from the top in order, each with its interval; worse ones are filled and orange."""
    parts = [("why $5", 0.6, False), ("topic: a name of more than 28 letters", 0.2, True)]
    slices = [
        {
            "name": name,
            "n": 1_000 + at,
            "accuracy": {"value": value, "low": value - 0.1, "high": value + 0.15},
            "worse": worse,
        }
        for at, (name, value, worse) in enumerate(parts)
    ]
    draw_figures(tmp_path, {"test": scored(MIXED) | {"slices": slices}}, [])
    assert figures.keys() == PICTURES - {LEARNING}
    (axes,) = figures[SLICES].axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        r"why \$5 (1,000)",
        "topic: a name of more than … (1,001)",
    ]
    assert axes.yaxis_inverted()
    for at, (bar, (_, value, worse)) in enumerate(zip(axes.containers, parts, strict=True)):
        point, _, (interval,) = bar
        assert [*map(float, point.get_xydata()[0])] == [value, at]
        assert interval.get_segments()[0][:, 0] == pytest.approx([value - 0.1, value + 0.15])
        assert (point.get_marker(), point.get_color()) == (("s", "#e07a1f") if worse else ("o", "#2a6f97"))


@pytest.mark.filterwarnings("error")
def test_figures_of_any_scores(tmp_path: Path) -> None:
    """Draw even one class or one tweet alone, and two splits at the same time."""
    cases: list[dict[str, Any]] = [
        {"validation": scored(MIXED)},
        {"test": scored([1, 1, 1]), "manual": scored([0, 0, 0])},
        {"test": scored([1]), "manual": scored([0], [0.5])},
        {"test": {"n": 0, "neutral_left_out": 2}, "manual": scored(MIXED)},
    ]
    for at, splits in enumerate(cases):
        assert drawn(tmp_path / str(at), splits, []).keys() == PICTURES - {LEARNING}, at


@pytest.mark.filterwarnings("error")
def test_figures_of_any_history(figures: dict[str, Figure], tmp_path: Path) -> None:
    histories: list[tuple[list[dict[str, Any]], bool]] = [
        ([], False),
        ([{"eval_accuracy": 0.5, "eval_loss": 0.7, "step": 1}], False),
        ([{"loss": 0.7, "step": 1}], True),
        ([{"loss": 0.7, "step": 1}, {"eval_loss": 0.7, "eval_accuracy": None, "step": 1}], True),
    ]
    for history, there in histories:
        figures.clear()
        draw_figures(tmp_path, {"test": scored(MIXED)}, history)
        assert (LEARNING in figures) == there, history
