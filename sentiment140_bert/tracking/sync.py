"""Sync one tracker with the run directory, from a thread of its own, and never send anything twice."""

from __future__ import annotations

import logging
import shlex
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from pathlib import Path

from sentiment140_bert.errors import S140Error, first_line
from sentiment140_bert.files import hash_file
from sentiment140_bert.locks import check_still_locked
from sentiment140_bert.schemas import TrackerState
from sentiment140_bert.tracking.sync_state import SyncState
from sentiment140_bert.tracking.tracked_run import (
    FINISHED,
    KILLED,
    METRICS,
    PUBLISHED,
    Point,
    RunStatus,
    TrackedRun,
    digest,
)
from sentiment140_bert.tracking.tracker import Tracker

log = logging.getLogger(__name__)
PAUSES = (1.0, 2.0, 4.0, 60.0)  # seconds before a tracker that failed is tried again; then the failure is reported
GATHER = 1.0  # seconds in which new values are gathered, to be sent together
ENDING = 30.0  # seconds after which, at the end, a tracker that fails is not tried again, and scoring waits no more


class Sync:
    """Sync one tracker with one run, in a thread.

    What the tracker raises ends in a future. It is tried again after :data:`PAUSES` and at the end, and reported once.
    """

    def __init__(self, tracker: Tracker, tracked_run: TrackedRun, state: SyncState) -> None:
        self.tracker, self.tracked_run, self.state = tracker, tracked_run, state
        sent = state.get(tracker.name).get("sent", {})
        self.steps: dict[str, int] = dict(sent.get("steps", {}))
        self.files: dict[str, str] = dict(sent.get("files", {}))
        self.read = (0, 0)  # the version of the history, and the count of its values
        self.is_open = self.is_reported = False
        self.failures = 0  # in a row
        self.error: BaseException | None = None  # the last one
        self.not_before = 0.0
        self.thread = ThreadPoolExecutor(1, thread_name_prefix=f"s140-{tracker.name}")
        self.job: Future[None] | None = None

    def notify(self) -> None:
        """Send what is new, without waiting for it."""
        if self._is_idle() and time.monotonic() >= self.not_before:
            self.not_before = time.monotonic() + GATHER
            self.job = self.thread.submit(self._send_new)

    def flush(self) -> bool:
        """Send everything and wait for it, but not long; return True if that succeeded.

        A tracker that failed just now is skipped.
        """
        return self._wait(ENDING) and not self.failures and self._do(self._send_new, once=True, longest=ENDING)

    def close(self, status: RunStatus) -> bool:
        """Send the rest, and end the tracked run for this process; return True if the tracker has everything.

        A user who stopped the process does not wait: a tracker that failed just now is not tried again.
        """
        self._wait()
        is_stopped = status is KILLED
        is_complete = not (is_stopped and self.failures) and self._do(self._send_new, once=is_stopped)
        if self.is_open and not (is_stopped and not is_complete):
            is_complete = self._do(lambda: self._end(status), once=is_stopped) and is_complete
        self.thread.shutdown(wait=is_complete)
        if not is_complete and not self.is_reported and self.error is not None:
            self._report(self.error)
        return is_complete

    def unsent(self) -> list[str]:
        """Return the names of the curves, files and other parts that the tracker does not have."""
        if self._is_of_other_weights():
            return []
        curves = sorted({point.name for point in self._new_points(*self.tracked_run.history.read())})
        model, end = bool(self._new_weights()), self._must_end()
        return [*curves, *self._new_files(), *(["model"] if model else []), *(["end"] if end else [])]

    def _do(self, work: Callable[[], None], once: bool = False, longest: float | None = None) -> bool:
        """Do ``work`` in the thread and wait; retry after a pause unless retries failed before; return True if done."""
        until = time.monotonic() + ENDING
        while True:
            self.job = self.thread.submit(work)
            if not self._wait(longest):
                return False
            if not self.failures or self._has_given_up() or once or time.monotonic() > until:
                return not self.failures
            time.sleep(max(0.0, self.not_before - time.monotonic()))

    def _has_given_up(self) -> bool:
        return self.failures >= len(PAUSES)

    def _wait(self, longest: float | None = None) -> bool:
        """Wait until nothing is being sent; return False if that takes longer, in seconds."""
        if self.job is not None:
            try:
                self.job.exception(longest)
            except TimeoutError:
                return False
            self._is_idle()
        return True

    def _is_idle(self) -> bool:
        """Return True if nothing is being sent; count and report the failure of what was."""
        if self.job is None:
            return True
        if not self.job.done():
            return False
        error = self.job.exception()
        self.job = None
        if error is None:
            self.failures = 0
            return True
        self.error = error
        self.failures = min(self.failures + 1, len(PAUSES))
        self.not_before = time.monotonic() + PAUSES[self.failures - 1]
        log.debug("%s: %s", self.tracker.name, plain(error))
        if self._has_given_up() and not self.is_reported:
            self._report(error)
        return True

    def _report(self, error: BaseException) -> None:
        self.is_reported = True
        log.warning(
            "%s: %s. It will be retried; what is missing is kept, and can be sent later: s140 track sync %s",
            self.tracker.name,
            plain(error),
            shlex.quote(str(self.tracked_run.run.path)),
        )

    def _end(self, status: RunStatus) -> None:
        check_still_locked(self.tracked_run.run.path)
        self.tracker.close(status)
        self.files["end"] = status.name
        self._write()

    def _send_new(self) -> None:
        """Send, in the thread, everything that was not sent yet, and remember each part once it is durable."""
        check_still_locked(self.tracked_run.run.path)
        if self._is_of_other_weights():
            return
        version, history = self.tracked_run.history.read()
        points, files, weights = self._new_points(version, history), self._new_files(), self._new_weights()
        if not (points or files or weights or self._must_end()):
            return
        if self.tracker.durable_after == "next call":
            self._write()
        if not self.is_open:
            self.tracker.open(self._remember)
            self.is_open = True
        if points:
            self.tracker.points(points)
            self.steps |= {point.name: point.step for point in points}
            self._remember_sent()
        self.read = version, len(history)
        for name, content in files.items():
            self._send_file(name, content)
        if weights and self.tracker.model():
            self.files["weights"] = weights
            self._remember_sent()

    def _must_end(self) -> bool:
        """Return True if the run is finished and the tracker does not know it."""
        return self.tracked_run.run.is_finished() and self.files.get("end") != FINISHED.name

    def _remember(self, values: TrackerState) -> None:
        self.tracker.state |= values
        self.state.write(self.tracker.name, values)

    def _is_of_other_weights(self) -> bool:
        """Return True, and report it, if the scores here are of other weights than those of the tracked run.

        They may be those of a copy of the run directory, whose scores are not the tracked run's.
        """
        tracked, scored = self.files.get("weights"), self.tracked_run.weights()
        if tracked is None or scored in (None, tracked):
            return False
        _report_other_weights(self.tracker.name, self.tracked_run.run.metrics, tracked)
        return True

    def _new_points(self, version: int, points: Sequence[Point]) -> Sequence[Point]:
        start = self.read[1] if version == self.read[0] else 0
        return [point for point in points[start:] if point.step > self.steps.get(point.name, -1)]

    def _new_files(self) -> dict[str, bytes]:
        files = self.tracked_run.files()
        return {name: content for name, content in files.items() if self.files.get(name) != digest(content)}

    def _new_weights(self) -> str | None:
        """Return the sha256 of the weights that were scored, if they are there and the tracker does not have them."""
        weights = self.tracked_run.weights()
        if weights is None or weights == self.files.get("weights"):
            return None
        if weights != hash_file(file := self.tracked_run.run.weights):
            _report_unscored(self.tracker.name, file)
            return None
        return weights

    def _send_file(self, name: str, content: bytes) -> None:
        self.tracker.file(name, content)
        if name == METRICS:
            self.tracker.scores()
        elif name == PUBLISHED:
            self.tracker.published()
        self.files[name] = digest(content)
        self._remember_sent()

    def _remember_sent(self) -> None:
        if self.tracker.durable_after == "each call":
            self._write()

    def _write(self) -> None:
        self.state.write(self.tracker.name, {"sent": {"steps": self.steps, "files": self.files}})


def plain(error: BaseException) -> str:
    """Return in one line, without secrets, what went wrong, and what to do if that is known."""
    hint = error.hint.rstrip(".") if isinstance(error, S140Error) else ""
    return first_line(error)[:300] + (f". {hint}" if hint else "")


@cache
def _report_other_weights(tracker: str, scores: Path, tracked: str) -> None:
    """Log it once in a process."""
    message = "%s: %s is not sent, for it scores other weights than those of the tracked run (%s…)"
    log.warning(message, tracker, scores, tracked[:12])


@cache
def _report_unscored(tracker: str, weights: Path) -> None:
    """Log it once in a process."""
    log.warning("%s: the model is not sent, because %s is not what was scored", tracker, weights)
