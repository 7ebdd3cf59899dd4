"""Sync a run directory with a test tracker that can fail."""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path

import pytest

from sentiment140_bert.recipe import Recipe
from sentiment140_bert.run import RunDir
from sentiment140_bert.tracking import sync
from sentiment140_bert.tracking.sync import Sync, plain
from sentiment140_bert.tracking.sync_state import SyncState
from sentiment140_bert.tracking.tracked_run import FINISHED, KILLED, TrackedRun
from sentiment140_bert.tracking.tracker import Tracker


class Notebook(Tracker):
    """Write down every call."""

    name = "notebook"

    def __init__(self, tracked_run: TrackedRun, state: dict) -> None:
        super().__init__(tracked_run, state)
        self.heard: list = []
        self.opened = 0
        self.trouble: Exception | None = None
        self.busy = threading.Event()
        self.busy.set()

    def _hear(self, what) -> None:
        self.busy.wait(30)
        if self.trouble:
            raise self.trouble
        self.heard.append(what)

    def open(self, remember) -> None:
        self._hear("open")
        remember({"id": "x1"})

    def points(self, points) -> None:
        self._hear([(point.name, point.step, point.value) for point in points])

    def file(self, name: str, content: bytes) -> None:
        self._hear(name)

    def scores(self) -> None:
        self._hear("scores")

    def published(self) -> None:
        self._hear("published")

    def close(self, status) -> None:
        self._hear(status.name)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry at once."""
    monkeypatch.setattr(sync, "PAUSES", (0.0,) * 4)


@pytest.fixture
def tracked_run(tmp_path: Path) -> TrackedRun:
    return TrackedRun(RunDir(tmp_path), "mine", Recipe(), "f")


def sender_of(tracked_run: TrackedRun, **attributes) -> tuple[Notebook, Sync]:
    state = SyncState(tracked_run.run)
    tracker = type("Mine", (Notebook,), attributes)(tracked_run, state.get("notebook"))
    return tracker, Sync(tracker, tracked_run, state)


def log_step(tracked_run: TrackedRun, step: int, **values: float) -> None:
    with tracked_run.run.history.open("a") as file:
        file.write(json.dumps({"step": step, "time": 1.0 * step} | (values or {"loss": 1.0 / step})) + "\n")


def curve(tracker: Notebook) -> list[int]:
    return [
        step for heard in tracker.heard if isinstance(heard, list) for name, step, _ in heard if name == "train/loss"
    ]


def test_nothing_is_sent_twice_even_by_another_process(tracked_run: TrackedRun) -> None:
    log_step(tracked_run, 1)
    tracker, sender = sender_of(tracked_run)
    assert sender.close(FINISHED)
    assert tracker.heard == ["open", [("train/loss", 1, 1.0)], "recipe.yaml", "FINISHED"]
    second, sender = sender_of(tracked_run)
    assert second.state["id"] == "x1"
    assert sender.close(FINISHED)
    assert second.heard == []
    log_step(tracked_run, 2)
    third, sender = sender_of(tracked_run)
    assert sender.close(FINISHED)
    assert third.heard == ["open", [("train/loss", 2, 0.5)], "FINISHED"]


def test_steps_repeated_after_a_resume_are_not_sent_again(tracked_run: TrackedRun) -> None:
    for step in (1, 2, 3):
        log_step(tracked_run, step)
    _, sender = sender_of(tracked_run)
    sender.close(FINISHED)
    tracked_run.run.history.write_text("")
    for step in (1, 2, 3, 4):
        log_step(tracked_run, step)
    tracker, sender = sender_of(tracked_run)
    sender.close(FINISHED)
    assert curve(tracker) == [4]


def test_a_failure_is_reported_once_and_retried(tracked_run: TrackedRun, caplog, monkeypatch) -> None:
    monkeypatch.setattr(sync, "GATHER", 0.0)
    tracker, sender = sender_of(tracked_run)
    tracker.trouble = ValueError("no answer from https://me:my-password@host/x")
    with caplog.at_level(logging.INFO):
        for step in (1, 2, 3):
            log_step(tracked_run, step)
            for _ in range(2):
                sender.notify()
                sender._wait()
        assert len(caplog.messages) == 1
        tracker.trouble = None
        assert sender.close(FINISHED)
    assert len(caplog.messages) == 1
    assert "my-password" not in caplog.text
    assert "s140 track sync" in caplog.text
    assert curve(tracker) == [1, 2, 3]


def test_what_a_tracker_missed_is_known(tracked_run: TrackedRun) -> None:
    log_step(tracked_run, 1)
    tracker, sender = sender_of(tracked_run)
    tracker.trouble = OSError("gone")
    assert not sender.close(FINISHED)
    assert sender_of(tracked_run)[1].unsent() == ["train/loss", "recipe.yaml"]


def test_a_hanging_tracker_delays_nothing(tracked_run: TrackedRun, monkeypatch) -> None:
    monkeypatch.setattr(sync, "GATHER", 0.0)
    tracker, sender = sender_of(tracked_run)
    tracker.busy.clear()
    for step in range(1, 51):
        log_step(tracked_run, step)
        sender.notify()
    assert tracker.heard == []
    tracker.busy.set()
    assert sender.close(FINISHED)
    assert curve(tracker) == list(range(1, 51))


@pytest.mark.parametrize(("durable_after", "again"), [("each call", []), ("next call", [2]), ("close", [1, 2])])
def test_after_a_kill_everything_that_may_be_lost_is_sent_again(
    tracked_run: TrackedRun, durable_after: str, again: list[int]
) -> None:
    _, sender = sender_of(tracked_run, durable_after=durable_after)
    for step in (1, 2):
        log_step(tracked_run, step)
        sender.flush()
    sender.thread.shutdown()  # the end, and close was never called
    tracker, sender = sender_of(tracked_run, durable_after=durable_after)
    sender.close(FINISHED)
    assert curve(tracker) == again


def test_later_values_of_the_same_step_are_sent(tracked_run: TrackedRun) -> None:
    log_step(tracked_run, 1)
    tracker, sender = sender_of(tracked_run)
    sender.flush()
    log_step(tracked_run, 1, eval_loss=0.5, eval_accuracy=0.75)
    sender.close(FINISHED)
    assert [("eval/loss", 1, 0.5), ("eval/accuracy", 1, 0.75)] in tracker.heard


def test_an_address_is_sent_without_its_password() -> None:
    for password in ("plain", "p@ss", "a@b@c"):
        error = ValueError(f"HTTPConnectionPool: http://me:{password}@127.0.0.1:5000/api failed\nsecond line")
        assert plain(error) == "HTTPConnectionPool: http://127.0.0.1:5000/api failed"


def test_stopping_reports_what_is_missing_without_delay(tracked_run: TrackedRun, caplog) -> None:
    log_step(tracked_run, 1)
    tracker, sender = sender_of(tracked_run)
    tracker.trouble = OSError("gone")
    sender.flush()
    with caplog.at_level(logging.WARNING):
        assert not sender.close(KILLED)
    assert len(caplog.messages) == 1
    assert "gone" in caplog.text
    assert tracker.heard == []
