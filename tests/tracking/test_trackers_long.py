"""A long training: the cost of a sync does not grow with what was already sent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sentiment140_bert.recipe import Recipe
from sentiment140_bert.run import RunDir
from sentiment140_bert.tracking import tracked_run as telling
from sentiment140_bert.tracking.sync import Sync
from sentiment140_bert.tracking.sync_state import SyncState
from sentiment140_bert.tracking.tensorboard import Tensorboard
from sentiment140_bert.tracking.tracked_run import FINISHED, TrackedRun

LONG, MORE = 2000, 20


def lines(first: int, last: int) -> str:
    return "".join(json.dumps({"step": step, "time": 1.0, "loss": 0.5}) + "\n" for step in range(first, last + 1))


def test_the_history_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    parse = telling._points_of
    monkeypatch.setattr(telling, "_points_of", lambda line: (read.append(line), parse(line))[1])
    run = RunDir(tmp_path)
    run.history.write_text(lines(1, LONG))
    tracked_run = TrackedRun(run, "long", Recipe(), "f")
    state = SyncState(run)
    sender = Sync(Tensorboard(tracked_run, {}), tracked_run, state)
    sender.flush()
    before = len(read)
    for step in range(LONG + 1, LONG + MORE + 1):
        with run.history.open("a") as file:
            file.write(lines(step, step))
        sender.flush()
    again = len(read) - before
    assert sender.close(FINISHED)
    assert json.loads(run.tracking.read_text())["tensorboard"]["sent"]["steps"]["train/loss"] == LONG + MORE
    assert again < 2 * LONG
