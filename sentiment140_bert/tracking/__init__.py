"""One tracked run from the first step to the push, on Weights & Biases, MLflow, Trackio or TensorBoard, or on several.

A run directory holds everything that there is to tell. Each tracker is told it by a thread of its own, which notes in
``tracking.json`` how far it came: so a slow tracker slows nothing, what one that failed has missed is sent later, and
every verb, in whatever process, goes on where the last one ended. Nothing here ever prompts.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from sentiment140_bert import trust
from sentiment140_bert.errors import Interrupted, MissingExtra, TrackerError
from sentiment140_bert.run_dir import RunDir
from sentiment140_bert.tracking.sender import Book, Sender
from sentiment140_bert.tracking.story import FAILED, FINISHED, KILLED, Story
from sentiment140_bert.tracking.tracker import Tracker

__all__ = [
    "Story",
    "Tracking",
    "chosen",
    "has_wandb_credentials",
    "installed",
    "of_run",
    "offline_folders",
    "send_offline",
    "shown",
    "state_of",
    "tracked",
]

log = logging.getLogger(__name__)
CLASSES = {"wandb": "Wandb", "mlflow": "Mlflow", "trackio": "Trackio", "tensorboard": "Tensorboard"}


class Tracking:
    """The trackers of one run, open. Without any every method does nothing."""

    def __init__(self, senders: Sequence[Sender] = ()) -> None:
        self.senders = senders
        self.complete = True

    def notify(self) -> None:
        """Something was written into the run directory. Returns at once."""
        for sender in self.senders:
            sender.notify()

    def flush(self) -> None:
        """Waits until the trackers know what there is, or have failed."""
        for sender in self.senders:
            sender.flush()


def chosen(report_to: Sequence[str]) -> list[str]:
    """The trackers that a recipe's ``report_to`` means here.

    Raises:
        MissingExtra: The package of one is not installed.
    """
    names = [("mlflow" if on_databricks() else "wandb") if name == "auto" else name for name in report_to]
    names = [name for name in dict.fromkeys(names) if name != "none"]
    for name in names:
        if name not in installed():
            raise MissingExtra(f"report_to {name}", name)
    return names


def installed() -> list[str]:
    """The trackers whose packages are here."""
    return [name for name in CLASSES if importlib.util.find_spec(name)]


def of_run(run: RunDir) -> list[str]:
    """The trackers that a run is tracked by already."""
    return [name for name in Book(run).content if name in CLASSES]


def on_databricks() -> bool:
    return "DATABRICKS_RUNTIME_VERSION" in os.environ


@contextmanager
def tracked(names: Sequence[str], told: Callable[[], Story]) -> Iterator[Tracking]:
    """Begins a run's tracked run on each tracker, or goes on in it, and ends this process's part of it.

    Args:
        names: As of :func:`chosen`; without any only autologging is kept away.
        told: Gives what they are told.
    """
    if not names:
        with _no_autologging():
            yield Tracking()
        return
    story = told()
    book = Book(story.run)
    trackers = [_class_of(name)(story, book.of(name)) for name in names]
    for tracker in trackers:
        if reason := tracker.switched_off():
            _report_switched_off(tracker.name, reason)
    trackers = [tracker for tracker in trackers if not tracker.switched_off()]
    refused = [tracker for tracker in trackers if _refuse_unnamed_place(tracker, story)]
    senders = [Sender(tracker, story, book) for tracker in trackers if tracker not in refused]
    for sender in senders:
        book.write(sender.tracker.name)  # it is this run's from now on, even if it does not answer today
    tracking = Tracking(senders)
    with _no_autologging(), _as_they_want(senders):
        state = FAILED
        try:
            if story.live:  # else it is told at the end, when nothing else is imported any more
                tracking.notify()
            yield tracking
            state = FINISHED
        except (Interrupted, KeyboardInterrupt):
            state = KILLED
            raise
        finally:
            state = FINISHED if story.run.is_finished() else state
            ended = [sender.close(state) for sender in senders]
            tracking.complete = all(ended) and not refused
            for sender in senders:
                if command := sender.tracker.kept_here():
                    log.info("%s", command)


@cache
def _report_switched_off(name: str, reason: str) -> None:
    """Say it once in a process, not with every trial."""
    log.info("%s: nothing is tracked, for %s", name, reason)


def _refuse_unnamed_place(tracker: Tracker, story: Story) -> bool:
    """Return True, and say so, where a tracker would be told at a place that only a file names.

    Raises:
        TrackerError: It is so, and the run is about to be trained: it would not be tracked.
    """
    place = tracker.unnamed_place()
    if not place:
        return False
    refusal = TrackerError(
        f"{tracker.name}: {story.run.path} names {place}, and nobody on this machine has named it before. Nothing is "
        "sent there, for the run or its recipe may come from somebody else.",
        tracker.how_to_trust(place),
    )
    if story.live:
        raise refusal
    log.warning("%s", refusal)
    return True


def state_of(name: str, story: Story) -> dict[str, Any]:
    """How far a tracker was told: ``id``, ``url``, names of ``unsent`` parts, and folders that are kept ``offline``."""
    book = Book(story.run)
    known = book.of(name)
    offline = [str(folder) for folder in offline_folders(story.run)] if name == "wandb" else []
    return {
        "id": known.get("id"),
        "url": known.get("url"),
        "unsent": Sender(_class_of(name)(story, known), story, book).unsent(),
        "offline": offline,
    }


def offline_folders(run: RunDir) -> list[Path]:
    """What wandb kept of a run on this machine and has not sent."""
    from sentiment140_bert.tracking import wandb_tracker

    run_id = Book(run).of("wandb").get("id")
    return wandb_tracker.waiting(run, run_id) if run_id else []


def has_wandb_credentials() -> bool:
    """Whether wandb can log in without asking."""
    from sentiment140_bert.tracking import wandb_tracker

    return wandb_tracker.has_credentials()


def send_offline(run: RunDir) -> None:
    """Has wandb send what it kept of a run on this machine.

    Raises:
        TrackerError: It cannot; all of it is still here.
    """
    from sentiment140_bert.tracking import wandb_tracker

    folders = offline_folders(run)
    if folders and not trust.is_known_place("wandb", wandb_tracker.place_of(run, Book(run).of("wandb")["id"])):
        raise TrackerError(
            f"What wandb kept in {run.path} was not kept on this machine; it may name files of yours to be sent.",
            f"If you trust it: wandb sync {shlex.join(map(str, folders))}",
        )
    wandb_tracker.send(folders)


def shown(run: RunDir) -> dict[str, Any]:
    """What of ``tracking.json`` may be published: which run it is, and where people can see it."""
    known = {name: entry for name, entry in Book(run).content.items() if name in CLASSES and entry.get("id")}
    return {name: _class_of(name).shown(entry) for name, entry in known.items()}


def _class_of(name: str) -> type[Tracker]:
    found: type[Tracker] = getattr(import_module(f"{__name__}.{name}_tracker"), CLASSES[name])
    return found


@contextmanager
def _as_they_want(senders: Sequence[Sender]) -> Iterator[None]:
    """The trackers' variables in the environment and their loggers silent; afterwards all is as it was."""
    variables: dict[str, str] = {}
    for sender in senders:
        defaults = {name: value for name, value in sender.tracker.defaults.items() if name not in os.environ}
        variables |= defaults | dict(sender.tracker.environment)
    loggers = [logging.getLogger(name) for sender in senders for name in sender.tracker.quiet]
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
    """MLflow's autologging would begin a second run for what is tracked here."""
    if "mlflow" not in sys.modules:
        return nullcontext()
    from mlflow.utils.autologging_utils import disable_autologging

    return disable_autologging()
