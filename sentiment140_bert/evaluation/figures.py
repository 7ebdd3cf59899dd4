"""Pictures of what ``metrics.json`` and ``history.jsonl`` say; nothing is computed here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment140_bert.run_dir import CALIBRATION, CONFUSION, LEARNING, written_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREY = "#2a6f97", "#e07a1f", "#9a9a9a"
SHOWN = ("test", "manual")


def draw(folder: Path, splits: dict[str, Any], history: list[dict[str, Any]]) -> None:
    """Writes the pictures of a run into ``folder``; the same content gives the same bytes.

    Args:
        folder: Is made where it does not exist.
        splits: ``metrics.json``'s scores of each split.
        history: The Trainer's log entries, each with ``step``.
    """
    held_out = {name: splits[name] for name in SHOWN if "accuracy" in splits.get(name, {})} or splits
    _save(folder / CONFUSION, held_out, _confusion)
    _save(folder / CALIBRATION, held_out, _calibration)
    if any("loss" in entry for entry in history):
        figure = _figure(2)
        _losses(figure.axes[0], history)
        _accuracies(figure.axes[1], history)
        _write(figure, folder / LEARNING)


def _figure(columns: int) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * columns, 3.8), dpi=110, layout="constrained")
    figure.subplots(1, columns, squeeze=False)
    return figure


def _save(path: Path, splits: dict[str, Any], plot: Any) -> None:
    figure = _figure(len(splits))
    for axes, (name, split) in zip(figure.axes, splits.items(), strict=True):
        axes.set_title(f"{name} ({split['n']:,} tweets)", fontsize=10)
        plot(axes, split)
    _write(figure, path)


def _write(figure: Figure, path: Path) -> None:
    with written_whole(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})


def _confusion(axes: Axes, split: dict[str, Any]) -> None:
    names = (("true_negative", "false_positive"), ("false_negative", "true_positive"))
    counts = [[split[name]["value"] for name in row] for row in names]
    shares = [[count / max(1, sum(row)) for count in row] for row in counts]
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for y, row in enumerate(counts):
        for x, count in enumerate(row):
            colour = "white" if shares[y][x] > 0.5 else "black"
            axes.text(x, y, f"{count:,}\n{shares[y][x]:.1%}", ha="center", va="center", color=colour)
    axes.set_xticks([0, 1], ["negative", "positive"])
    axes.set_yticks([0, 1], ["negative", "positive"], rotation=90, va="center")
    axes.set_xlabel("said by the model")
    axes.set_ylabel("label (shares are of each row)")


def _calibration(axes: Axes, split: dict[str, Any]) -> None:
    bins = split["calibration"]["bins"]
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1, label="perfect")
    predicted, observed = [each["predicted"] for each in bins], [each["observed"] for each in bins]
    axes.plot(predicted, observed, color=BLUE, marker="o", markersize=4, label="model, bins of equal size")
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="probability of positive", ylabel="share of positive tweets")
    axes.legend(fontsize=8, loc="upper left")


def _losses(axes: Axes, history: list[dict[str, Any]]) -> None:
    for name, label, colour in (("loss", "training", BLUE), ("eval_loss", "validation", ORANGE)):
        points = [(entry["step"], entry[name]) for entry in history if entry.get(name) is not None]
        axes.plot(*zip(*points, strict=True), color=colour, marker="o", markersize=3, linewidth=1, label=label)
    axes.set(xlabel="step", ylabel="loss")
    axes.legend(fontsize=8)


def _accuracies(axes: Axes, history: list[dict[str, Any]]) -> None:
    points = [(entry["step"], entry["eval_accuracy"]) for entry in history if entry.get("eval_accuracy") is not None]
    axes.plot(*(zip(*points, strict=True) if points else ([], [])), color=ORANGE, marker="o", markersize=4, linewidth=1)
    axes.set(xlabel="step", ylabel="validation accuracy")
