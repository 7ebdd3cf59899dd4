"""Telling trackers of a finished run in this process, without a training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sentiment140_bert.run import RunDir, saved_recipe
from sentiment140_bert.tracking import open_trackers, tracks


def tell(path: Path, *names: str, **settings: Any) -> bool:
    """Tells them all that they have not heard; ``settings`` change the recipe, the model stays here unless it is
    to be logged. Whether they know everything now.
    """
    recipe = saved_recipe(path).with_values({"report_to": list(names), "log_model": False} | settings)
    with open_trackers(names, lambda: tracks.describe_tracked_run(RunDir(path), recipe)) as tracking:
        pass
    return tracking.is_complete


def change_scores(path: Path) -> None:
    """As after scoring again: there is something new to tell."""
    metrics = path / "metrics.json"
    before = metrics.read_text()
    metrics.write_text(before.replace('"n": 60', '"n": 59', 1))
    assert metrics.read_text() != before
