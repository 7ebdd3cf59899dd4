"""Tells one tracker what stands in the run directory, from a thread of its own, and never tells it twice."""

from __future__ import annotations

import logging
import re
import shlex
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from sentiment140_bert.errors import first_line
from sentiment140_bert.run_dir import RunDir, write_json
from sentiment140_bert.tracking.story import METRICS, PUBLISHED, Point, State, Story, digest
from sentiment140_bert.tracking.tracker import Tracker

log = logging.getLogger(__name__)
PAUSE = 60.0  # seconds before a tracker that failed is tried again
GATHER = 1.0  # seconds in which new values are gathered, to be sent as one


class Book:
    """``tracking.json``: for each tracker which run it is, and under ``sent`` what it has been told."""

    def __init__(self, run: RunDir) -> None:
        self.run = run
        self.lock = threading.Lock()
        self.content: dict[str, dict[str, Any]] = run.read(run.tracking) if run.tracking.is_file() else {}

    def of(self, tracker: str) -> dict[str, Any]:
        """What is remembered of a tracker."""
        return dict(self.content.get(tracker, {}))

    def write(self, tracker: str, **values: Any) -> None:
        """Remembers ``values`` of a tracker, at once."""
        with self.lock:
            self.content[tracker] = self.content.get(tracker, {}) | values
            write_json(self.run.tracking, self.content)


class Sender:
    """One tracker, its thread and its place in the story.

    What the tracker raises ends in a future: it is reported once, and tried again after :data:`PAUSE` and at the end.
    """

    def __init__(self, tracker: Tracker, story: Story, book: Book) -> None:
        self.tracker, self.story, self.book = tracker, story, book
        sent = book.of(tracker.name).get("sent", {})
        self.steps: dict[str, int] = dict(sent.get("steps", {}))
        self.files: dict[str, str] = dict(sent.get("files", {}))
        self.opened = self.reported = self.behind = False
        self.not_before = 0.0
        self.thread = ThreadPoolExecutor(1, thread_name_prefix=f"s140-{tracker.name}")
        self.going_on: Future[None] | None = None

    def notify(self) -> None:
        """There may be news. Returns at once."""
        if self._idle() and time.monotonic() >= self.not_before:
            self.not_before = time.monotonic() + GATHER
            self.going_on = self.thread.submit(self._catch_up)

    def flush(self) -> bool:
        """Sends all that is there and waits for it; whether that succeeded. One that just failed is left alone."""
        self._wait()
        if not self.behind or time.monotonic() >= self.not_before:
            self._do(self._catch_up)
        return not self.behind

    def close(self, state: State) -> bool:
        """Sends the rest, ends the tracked run for this process; whether the tracker now has everything."""
        self._wait()
        self._do(self._catch_up)
        complete = not self.behind
        if self.opened:
            self._do(lambda: self._end(state))
        self.thread.shutdown()
        return complete and not self.behind

    def unsent(self) -> list[str]:
        """Names of what the tracker was not told."""
        curves = sorted({point.name for point in self._new_points()})
        return [*curves, *self._new_files(), *(["model"] if self._new_weights() else [])]

    def _do(self, work: Callable[[], None]) -> None:
        self.going_on = self.thread.submit(work)
        self._wait()

    def _wait(self) -> None:
        if self.going_on is not None:
            self.going_on.exception()
            self._idle()

    def _idle(self) -> bool:
        """Whether nothing is being sent; what went wrong meanwhile is reported."""
        if self.going_on is None:
            return True
        if not self.going_on.done():
            return False
        error = self.going_on.exception()
        self.going_on = None
        self.behind = error is not None
        if error is not None:
            self.not_before = time.monotonic() + PAUSE
            self._report(error)
        return True

    def _report(self, error: BaseException) -> None:
        if self.reported:
            log.debug("%s: %s", self.tracker.name, plain(error))
            return
        self.reported = True
        log.warning(
            "%s: %s. It is tried again; what it misses is kept, and sent by: s140 track sync %s",
            self.tracker.name,
            plain(error),
            shlex.quote(str(self.story.run.path)),
        )

    def _end(self, state: State) -> None:
        self.tracker.close(state)
        self._write()

    def _catch_up(self) -> None:
        """In the thread: tells everything that was not told yet, and notes each part once it is safe."""
        points, files, weights = self._new_points(), self._new_files(), self._new_weights()
        if not (points or files or weights):
            return
        if self.tracker.safe == "next time":
            self._write()
        if not self.opened:
            self.tracker.open(self._remember)
            self.opened = True
        if points:
            self.tracker.points(points)
            self.steps |= {point.name: point.step for point in points}
            self._note()
        for name, content in files.items():
            self._tell(name, content)
        if weights:
            self.tracker.model()
            self.files["weights"] = weights
            self._note()

    def _remember(self, values: dict[str, Any]) -> None:
        self.tracker.known |= values
        self.book.write(self.tracker.name, **values)

    def _new_points(self) -> Sequence[Point]:
        return [point for point in self.story.points() if point.step > self.steps.get(point.name, -1)]

    def _new_files(self) -> dict[str, bytes]:
        return {
            name: content for name, content in self.story.files().items() if self.files.get(name) != digest(content)
        }

    def _new_weights(self) -> str | None:
        weights = self.story.weights()
        return weights if weights != self.files.get("weights") else None

    def _tell(self, name: str, content: bytes) -> None:
        self.tracker.file(name, content)
        if name == METRICS:
            self.tracker.scores()
        elif name == PUBLISHED:
            self.tracker.published()
        self.files[name] = digest(content)
        self._note()

    def _note(self) -> None:
        if self.tracker.safe == "at once":
            self._write()

    def _write(self) -> None:
        self.book.write(self.tracker.name, sent={"steps": self.steps, "files": self.files})


def plain(error: BaseException) -> str:
    """What went wrong, in one line and without the passwords that an address may hold."""
    return re.sub(r"//[^/@\s]+@", "//", first_line(error))[:300]
