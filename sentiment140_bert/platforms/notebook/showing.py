"""A run's scores and pictures, inline."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from sentiment140_bert.run_dir import CALIBRATION, CONFUSION, LEARNING, RunDir
from sentiment140_bert.settings import SCORES


def show_scores(run: Path) -> None:
    """The scores of each split, with their intervals, from ``metrics.json``."""
    shown = import_module("IPython.display")
    directory = RunDir(run)
    splits: dict[str, Any] = directory.read(directory.metrics)["splits"]
    rows = [
        ["", *splits],
        ["---", *("---:" for _ in splits)],
        ["tweets", *(f"{each['n']:,}" for each in splits.values())],
    ]
    rows += [[name.replace("_", " "), *(_cell(each.get(name)) for each in splits.values())] for name in SCORES]
    shown.display(shown.Markdown("\n".join(f"| {' | '.join(row)} |" for row in rows)))


def _cell(score: dict[str, float] | None) -> str:
    if score is None:
        return "–"
    interval = f" ({score['low']:.3f} to {score['high']:.3f})" if "low" in score else ""
    return f"{score['value']:.4f}{interval}"


def show_curves(run: Path) -> None:
    """Loss and validation accuracy over the steps."""
    _show(run, LEARNING)


def show_confusion_matrix(run: Path) -> None:
    """What the model said of the tweets of each label."""
    _show(run, CONFUSION)


def show_calibration(run: Path) -> None:
    """How often the model is right when it is so and so sure."""
    _show(run, CALIBRATION)


def _show(run: Path, name: str) -> None:
    shown = import_module("IPython.display")
    file = RunDir(run).figures / name
    if file.is_file():
        shown.display(shown.Image(filename=str(file)))
    else:
        print(f"{run} has no {name}")
