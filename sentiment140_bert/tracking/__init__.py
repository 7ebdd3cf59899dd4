"""Track a run from the first step to the push, on Weights & Biases, MLflow, Trackio, TensorBoard, or several.

A run directory holds everything that trackers get. Each tracker is synced from a thread of its own, which remembers in
``tracking.json`` what was sent: a slow tracker slows nothing, what a failed one has missed is sent later, and each
command, in any process, continues where the last one ended. Nothing here ever prompts.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache
from importlib import import_module
from typing import Any, cast
from urllib.parse import urlparse

from sentiment140_bert import schemas
from sentiment140_bert.errors import Interrupted, MissingExtra, TrackerError
from sentiment140_bert.recipe import TRACKERS
from sentiment140_bert.results import TrackedAt
from sentiment140_bert.run import RunDir
from sentiment140_bert.tracking.sync import Sync
from sentiment140_bert.tracking.sync_state import SyncState, foreign_run
from sentiment140_bert.tracking.tracked_run import FAILED, FINISHED, KILLED, TrackedRun
from sentiment140_bert.tracking.tracker import Tracker

log = logging.getLogger(__name__)
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read while mlflow is imported, which reports to its makers


class Tracking:
    """The open trackers of one run; without any, every method does nothing."""

    def __init__(self, syncs: Sequence[Sync] = ()) -> None:
        self.syncs = syncs
        self.is_complete = True

    def notify(self) -> None:
        """Send what is new in the run directory, without waiting for it."""
        for sync in self.syncs:
            sync.notify()

    def flush(self) -> None:
        """Wait until the trackers have everything, or have failed."""
        for sync in self.syncs:
            sync.flush()


def resolve(report_to: Sequence[str]) -> list[str]:
    """Return the trackers that a recipe's ``report_to`` means on this machine.

    Raises:
        MissingExtra: The package of one is not installed.
    """
    names = [("mlflow" if is_databricks() else "wandb") if name == "auto" else name for name in report_to]
    names = [name for name in dict.fromkeys(names) if name != "none"]
    for name in names:
        if name not in list_installed():
            raise MissingExtra(f"report_to {name}", name)
    return names


def list_installed() -> list[str]:
    """Return the trackers that can be used here."""
    return [name for name in TRACKERS if _class_of(name).is_installed()]


def list_trackers(run: RunDir) -> list[str]:
    """Return the trackers that a run has already."""
    return [name for name in SyncState(run).content if name in TRACKERS]


def is_databricks() -> bool:
    """Return True on a Databricks machine."""
    return "DATABRICKS_RUNTIME_VERSION" in os.environ


@contextmanager
def open_trackers(names: Sequence[str], describe: Callable[[], TrackedRun]) -> Iterator[Tracking]:
    """Start a run on each tracker, or resume it there, and end this process's part of it with the block.

    Args:
        names: Result of :func:`resolve`; without any, only MLflow's autologging is kept away.
        describe: Returns what they get.
    """
    if not names:
        with _no_autologging():
            yield Tracking()
        return
    tracked_run = describe()
    state = SyncState(tracked_run.run)
    trackers = _make_trackers(names, tracked_run, state)
    refused = [tracker for tracker in trackers if _refuse_unnamed_place(tracker, tracked_run)]
    syncs = [Sync(tracker, tracked_run, state) for tracker in trackers if tracker not in refused]
    for sync in syncs:
        state.write(sync.tracker.name, {})  # from now on the run has this tracker, even if it does not answer today
    tracking = Tracking(syncs)
    with _no_autologging(), _environment_of(syncs):
        status = FAILED
        try:
            if tracked_run.live:  # else everything is sent at the end, when no more imports follow
                tracking.notify()
            yield tracking
            status = FINISHED
        except (Interrupted, KeyboardInterrupt):
            status = KILLED
            raise
        finally:
            status = FINISHED if tracked_run.run.is_finished() else status
            ended = [sync.close(status) for sync in syncs]  # all of them, whatever becomes of one
            tracking.is_complete = all(ended) and not refused
            for sync in syncs:
                if command := sync.tracker.offline_command():
                    log.info("%s", command)


def _make_trackers(names: Sequence[str], tracked_run: TrackedRun, state: SyncState) -> list[Tracker]:
    """Make the trackers that nothing switches off."""
    trackers = [_class_of(name)(tracked_run, state.get(name)) for name in names]
    for tracker in trackers:
        if reason := tracker.switched_off():
            _report_switched_off(tracker.name, reason)
    return [tracker for tracker in trackers if not tracker.switched_off()]


@cache
def _report_switched_off(name: str, reason: str) -> None:
    """Log it once in a process, not with every trial."""
    log.info("%s: nothing is tracked, because %s", name, reason)


def _refuse_unnamed_place(tracker: Tracker, tracked_run: TrackedRun) -> bool:
    """Return True, and log it, if a tracker would use a place that only a file names, or another person's run.

    Raises:
        TrackerError: It would, and the run is about to be trained: it would not be tracked.
    """
    if not tracker.is_own():
        refusal = foreign_run(tracker.name, tracked_run.run)
    elif place := tracker.unnamed_place():
        refusal = TrackerError(
            f"{tracker.name}: {tracked_run.run.path} names {place}, which was never named on this machine. Nothing is "
            "sent there, because the run or its recipe may come from a stranger.",
            tracker.how_to_trust(place),
        )
    else:
        return False
    if tracked_run.live:
        raise refusal
    log.warning("%s", refusal)
    return True


def describe_state(name: str, tracked_run: TrackedRun) -> TrackedAt:
    """Return a tracker's ``id`` and ``url``, the names of ``unsent`` parts, and folders that are kept ``offline``."""
    from sentiment140_bert.tracking import wandb

    state = SyncState(tracked_run.run)
    values = state.get(name)
    offline = wandb.list_offline(tracked_run.run) if name == "wandb" else []
    return {
        "id": values.get("id"),
        "url": values.get("url"),
        "unsent": Sync(_class_of(name)(tracked_run, values), tracked_run, state).unsent(),
        "offline": [str(folder) for folder in offline],
    }


def public_state(run: RunDir) -> schemas.Tracking:
    """Return the part of ``tracking.json`` that may be published: which run it is, and where people can see it."""
    states = {name: values for name, values in SyncState(run).content.items() if name in TRACKERS and values.get("id")}
    public = {}
    for name, values in states.items():
        tracker = _class_of(name)
        host = urlparse(values.get("url") or "").hostname or ""
        is_public = not tracker.public_host or f".{host}".endswith(f".{tracker.public_host}")
        public[name] = {key: values.get(key) for key in (tracker.public if is_public else ("id",))}
    return cast(schemas.Tracking, public)


def _class_of(name: str) -> type[Tracker]:
    tracker: type[Tracker] = getattr(import_module(f"{__name__}.{name}"), name.title())
    return tracker


@contextmanager
def _environment_of(syncs: Sequence[Sync]) -> Iterator[None]:
    """Set the trackers' variables and silence their loggers as long as the block lasts."""
    variables: dict[str, str] = {}
    for sync in syncs:
        defaults = {name: value for name, value in sync.tracker.defaults.items() if name not in os.environ}
        variables |= defaults | dict(sync.tracker.environment)
    loggers = [logging.getLogger(name) for sync in syncs for name in sync.tracker.quiet]
    before, levels = {name: os.environ.get(name) for name in variables}, [logger.level for logger in loggers]
    os.environ.update(variables)
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _no_autologging() -> Any:
    """Keep MLflow's autologging from starting a second run."""
    if "mlflow" not in sys.modules:
        return nullcontext()
    from mlflow.utils.autologging_utils import disable_autologging

    return disable_autologging()
