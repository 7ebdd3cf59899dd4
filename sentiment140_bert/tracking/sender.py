"""Tells one tracker what stands in the run directory, from a thread of its own, and never tells it twice."""

from __future__ import annotations

import logging
import shlex
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from sentiment140_bert import shapes
from sentiment140_bert.errors import RunError, S140Error, TrackerError, first_line
from sentiment140_bert.run_dir import RunDir, write_json
from sentiment140_bert.tracking.story import FINISHED, KILLED, METRICS, PUBLISHED, Point, State, Story, digest
from sentiment140_bert.tracking.tracker import Tracker

log = logging.getLogger(__name__)
PAUSES = (1.0, 2.0, 4.0, 60.0)  # seconds before a tracker that failed is tried again; after that it is reported
GATHER = 1.0  # seconds in which new values are gathered, to be sent as one
ENDING = 30.0  # seconds after which, at the end, a tracker that fails is not tried again


class Book:
    """``tracking.json``: for each tracker which run it is, and under ``sent`` what it has been told."""

    def __init__(self, run: RunDir) -> None:
        self.run = run
        self.lock = threading.Lock()
        self.content: dict[str, dict[str, Any]] = {}
        if run.tracking.is_file():
            self.content = run.read(run.tracking)

    def of(self, tracker: str) -> dict[str, Any]:
        """What is remembered of a tracker."""
        return dict(self.content.get(tracker, {}))

    def write(self, tracker: str, **values: Any) -> None:
        """Remember ``values`` of a tracker, at once.

        Raises:
            TrackerError: The tracker named its run so that the file could not be read again.
        """
        try:
            shapes.checked(values, shapes.Tracked, f"The answer of {tracker}")
        except RunError as error:
            raise TrackerError(error.message, "Is it the right server?") from None
        with self.lock:
            self.content[tracker] = self.content.get(tracker, {}) | values
            write_json(self.run.tracking, self.content)


class Sender:
    """One tracker, its thread and its place in the story.

    What the tracker raises ends in a future. It is tried again after :data:`PAUSES` and at the end, and reported once.
    """

    def __init__(self, tracker: Tracker, story: Story, book: Book) -> None:
        self.tracker, self.story, self.book = tracker, story, book
        sent = book.of(tracker.name).get("sent", {})
        self.steps: dict[str, int] = dict(sent.get("steps", {}))
        self.files: dict[str, str] = dict(sent.get("files", {}))
        self.heard = (0, 0)  # of which history, and how many of its values
        self.opened = self.reported = False
        self.failures = 0  # in a row
        self.error: BaseException | None = None  # the last one
        self.not_before = 0.0
        self.thread = ThreadPoolExecutor(1, thread_name_prefix=f"s140-{tracker.name}")
        self.going_on: Future[None] | None = None

    def notify(self) -> None:
        """There may be news. Returns at once."""
        if self._idle() and time.monotonic() >= self.not_before:
            self.not_before = time.monotonic() + GATHER
            self.going_on = self.thread.submit(self._catch_up)

    def flush(self) -> bool:
        """Sends all that is there and waits for it; whether that succeeded. One that failed just now is left alone."""
        self._wait()
        return not self.failures and self._do(self._catch_up, once=True)

    def close(self, state: State) -> bool:
        """Sends the rest, ends the tracked run for this process; whether the tracker now has everything.

        Who was stopped is not held up: a tracker that failed just now is not tried again.
        """
        self._wait()
        stopped = state is KILLED
        complete = not (stopped and self.failures) and self._do(self._catch_up, once=stopped)
        if self.opened and not (stopped and not complete):
            complete = self._do(lambda: self._end(state), once=stopped) and complete
        self.thread.shutdown(wait=complete)
        if not complete and not self.reported and self.error is not None:
            self._report(self.error)
        return complete

    def unsent(self) -> list[str]:
        """Names of what the tracker was not told."""
        curves = sorted({point.name for point in self._untold(*self.story.history.read())})
        model, end = bool(self._new_weights()), self._to_be_ended()
        return [*curves, *self._new_files(), *(["model"] if model else []), *(["end"] if end else [])]

    def _do(self, work: Callable[[], None], once: bool = False) -> bool:
        """Has it done, now; again after a pause, unless that was in vain before. Whether it was done."""
        until = time.monotonic() + ENDING
        while True:
            self.going_on = self.thread.submit(work)
            self._wait()
            if not self.failures or self._given_up() or once or time.monotonic() > until:
                return not self.failures
            time.sleep(max(0.0, self.not_before - time.monotonic()))

    def _given_up(self) -> bool:
        return self.failures >= len(PAUSES)

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
        if error is None:
            self.failures = 0
            return True
        self.error = error
        self.failures = min(self.failures + 1, len(PAUSES))
        self.not_before = time.monotonic() + PAUSES[self.failures - 1]
        log.debug("%s: %s", self.tracker.name, plain(error))
        if self._given_up() and not self.reported:
            self._report(error)
        return True

    def _report(self, error: BaseException) -> None:
        self.reported = True
        log.warning(
            "%s: %s. It is tried again; what it misses is kept, and sent by: s140 track sync %s",
            self.tracker.name,
            plain(error),
            shlex.quote(str(self.story.run.path)),
        )

    def _end(self, state: State) -> None:
        self.tracker.close(state)
        self.files["end"] = state.name
        self._write()

    def _catch_up(self) -> None:
        """In the thread: tells everything that was not told yet, and notes each part once it is safe."""
        version, so_far = self.story.history.read()
        points, files, weights = self._untold(version, so_far), self._new_files(), self._new_weights()
        if not (points or files or weights or self._to_be_ended()):
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
        self.heard = version, len(so_far)
        for name, content in files.items():
            self._tell(name, content)
        if weights:
            self.tracker.model()
            self.files["weights"] = weights
            self._note()

    def _to_be_ended(self) -> bool:
        """Whether the run is finished, and the tracker was not told."""
        return self.story.run.is_finished() and self.files.get("end") != FINISHED.name

    def _remember(self, values: dict[str, Any]) -> None:
        self.tracker.known |= values
        self.book.write(self.tracker.name, **values)

    def _untold(self, version: int, points: Sequence[Point]) -> Sequence[Point]:
        start = self.heard[1] if version == self.heard[0] else 0
        return [point for point in points[start:] if point.step > self.steps.get(point.name, -1)]

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
    """What went wrong, and what to do where that is known, in one line and without secrets."""
    hint = error.hint.rstrip(".") if isinstance(error, S140Error) else ""
    return first_line(error)[:300] + (f". {hint}" if hint else "")
