"""Pictures of ``metrics.json`` and ``history.jsonl``; nothing is computed here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment140_bert import schemas
from sentiment140_bert.files import write_whole
from sentiment140_bert.models.labels import order_names
from sentiment140_bert.run import CALIBRATION, CONFUSION, LEARNING, RISK_COVERAGE, SLICES
from sentiment140_bert.schemas import SPLIT_NAMES
from sentiment140_bert.schemas.history import LogEntry

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREY = "#2a6f97", "#e07a1f", "#9a9a9a"
Lines = tuple[tuple[str, str, str], ...]  # keys of the history, their labels and colors
LOSSES: Lines = (("loss", "training", BLUE), ("eval_loss", "validation", ORANGE))
ACCURACIES: Lines = (("eval_accuracy", "validation", ORANGE),)
HELD_OUT = ("test", "manual")


@contextmanager
def default_style() -> Iterator[None]:
    """Draw by matplotlib's own defaults, not by the ``matplotlibrc`` of the current folder, which may be a stranger's:
    it can name a TeX program and any resolution."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        yield


@default_style()
def draw_figures(folder: Path, splits: dict[str, schemas.SplitScores], history: list[LogEntry]) -> None:
    """Draw the pictures of a run into ``folder``; the same content gives the same bytes.

    Args:
        folder: The folder to write to; it is created if missing.
        splits: ``metrics.json``'s scores of each split.
        history: The Trainer's log entries, each with ``step``.
    """
    held_out = {name: splits[name] for name in HELD_OUT if "accuracy" in splits.get(name, {})} or splits
    _draw_splits(folder / CONFUSION, held_out, _draw_confusion, height=2.8)
    calibrated = {name: split for name, split in held_out.items() if "calibration" in split}
    if calibrated:
        _draw_splits(folder / CALIBRATION, calibrated, _draw_calibration)
        _draw_splits(folder / RISK_COVERAGE, calibrated, _draw_risk_coverage)
    most = max(len(split["slices"]) for split in held_out.values())
    _draw_splits(folder / SLICES, held_out, _draw_slices, height=0.8 + 0.24 * most)
    if any("loss" in entry for entry in history):
        figure = _figure(2)
        _draw_history(figure.axes[0], history, LOSSES, "loss")
        _draw_history(figure.axes[1], history, ACCURACIES, "accuracy")
        save_figure(figure, folder / LEARNING)


def _figure(columns: int, height: float = 3.8) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * columns, height), dpi=110, layout="constrained")
    figure.subplots(1, columns, squeeze=False)
    return figure


def _draw_splits(path: Path, splits: dict[str, schemas.SplitScores], plot: Any, height: float = 3.8) -> None:
    figure = _figure(len(splits), height)
    for axes, (name, split) in zip(figure.axes, splits.items(), strict=True):
        axes.set_title(f"{SPLIT_NAMES.get(name, name)} ({split['n']:,} tweets)", fontsize=11)
        plot(axes, split)
    save_figure(figure, path)


def save_figure(figure: Figure, path: Path, **options: Any) -> None:
    """Write a PNG; the same content gives the same bytes."""
    with write_whole(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None}, **options)


def _add_legend(axes: Axes) -> None:
    """Add a legend below the axes, where it hides no point."""
    axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, frameon=False)


def _draw_confusion(axes: Axes, split: schemas.SplitScores) -> None:
    counts = schemas.get_matrix(split)
    names = order_names(len(counts))
    shares = [[count / max(1, sum(row)) for count in row] for row in counts]
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for y, row in enumerate(counts):
        for x, count in enumerate(row):
            colour = "white" if shares[y][x] > 0.5 else "black"
            axes.text(
                x, y, f"{count:,}\n{shares[y][x]:.1%}", ha="center", va="center", color=colour, fontsize=28 / len(names)
            )
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), names, rotation=90, va="center")
    axes.set_xlabel("prediction (shares are of each row)")
    axes.set_ylabel("label")


def _draw_calibration(axes: Axes, split: schemas.SplitScores) -> None:
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1, label="perfect")
    for calibration, label, colour, marker in (
        (split["calibration"], "uncalibrated", BLUE, "o"),
        (split.get("calibrated"), "with temperature", ORANGE, "s"),
    ):
        if not calibration:
            continue
        bins = calibration["bins"]
        error = calibration["expected_calibration_error"]["value"]
        predicted, observed = ([place[name] for place in bins] for name in ("predicted", "observed"))
        label = f"{label}: error {error:.3f}"
        axes.plot(predicted, observed, color=colour, marker=marker, markersize=4, linewidth=1, label=label)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="probability of positive", ylabel="share of positive tweets")
    _add_legend(axes)


def _draw_risk_coverage(axes: Axes, split: schemas.SplitScores) -> None:
    points = split["risk_coverage"]
    coverage, risk = ([point[name] for point in points] for name in ("coverage", "risk"))
    axes.plot(coverage, risk, color=BLUE, marker="o", markersize=3, linewidth=1, label="most confident first")
    abstaining = split.get("abstaining", {})
    if "accuracy" in abstaining:
        answered, wrong = abstaining["coverage"]["value"], 1 - abstaining["accuracy"]["value"]
        axes.plot([answered], [wrong], color=ORANGE, marker="s", linestyle="", label="with the abstention threshold")
    axes.set(xlim=(0, 1.02), xlabel="share of tweets answered", ylabel="share of these wrong")
    axes.set_ylim(bottom=0)
    _add_legend(axes)


def _draw_slices(axes: Axes, split: schemas.SplitScores) -> None:
    """Draw a point with its interval for each slice; filled and orange where it is significantly worse."""
    for at, part in enumerate(split["slices"]):
        score = part["accuracy"]
        bar = [[score["value"] - score["low"]], [score["high"] - score["value"]]]
        colour, marker, face = (ORANGE, "s", ORANGE) if part["worse"] else (BLUE, "o", "white")
        look: dict[str, Any] = {"marker": marker, "markersize": 4, "markerfacecolor": face, "linewidth": 1}
        axes.errorbar([score["value"]], [at], xerr=bar, color=colour, **look)
    axes.axvline(split["accuracy"]["value"], color=GREY, linestyle="--", linewidth=1)
    names = [f"{_shorten(part['name'])} ({part['n']:,})" for part in split["slices"]]
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.invert_yaxis()
    axes.set_xlabel("accuracy (line: all tweets; square: significantly worse)")


def _shorten(name: str) -> str:
    plain = name.replace("$", r"\$")  # not a formula
    return plain if len(plain) <= 28 else f"{plain[:27]}…"


def _draw_history(axes: Axes, history: list[LogEntry], lines: Lines, ylabel: str) -> None:
    for name, label, colour in lines:
        points = [(entry["step"], entry[name]) for entry in history if entry.get(name) is not None]
        columns: Any = zip(*points, strict=True) if points else ([], [])
        axes.plot(*columns, color=colour, marker="o", markersize=3, linewidth=1, label=label)
    axes.set(xlabel="step", ylabel=ylabel)
    _add_legend(axes)
