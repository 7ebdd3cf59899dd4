"""Sync the trackers of a finished run in this process, without training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sentiment140_bert.run import RunDir, saved_recipe
from sentiment140_bert.tracking import open_trackers, tracks


def tell(path: Path, *names: str, **settings: Any) -> bool:
    """Send the trackers everything they lack; return True if they then have everything.

    ``settings`` change the recipe; the model is not sent unless it is to be logged.
    """
    recipe = saved_recipe(path).with_values({"report_to": list(names), "log_model": False} | settings)
    with open_trackers(names, lambda: tracks.describe_tracked_run(RunDir(path), recipe)) as tracking:
        pass
    return tracking.is_complete


def change_scores(path: Path) -> None:
    """Change the scores, as scoring again would, so that there is something new to sync."""
    metrics = path / "metrics.json"
    before = metrics.read_text()
    metrics.write_text(before.replace('"n": 60', '"n": 59', 1))
    assert metrics.read_text() != before
