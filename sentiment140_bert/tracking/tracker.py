"""Define the interface of a tracker. What it raises is reported by :mod:`sentiment140_bert.tracking.sync`."""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Literal

from sentiment140_bert.schemas import TrackerState
from sentiment140_bert.tracking.tracked_run import Point, RunStatus, TrackedRun

PROJECT = "sentiment140-bert"
Remember = Callable[[TrackerState], None]


class Tracker(ABC):
    """One tracked run of one service. It is made in the caller's thread; its methods run in one of their own.

    Args:
        tracked_run: The run that is tracked.
        state: The tracker's part of ``tracking.json``; empty at first.
    """

    name: ClassVar[str]
    # When sent values survive a kill of this process.
    durable_after: ClassVar[Literal["each call", "next call", "close"]] = "each call"

    # As long as it is open: variables of the environment, those that the caller may set otherwise, and silent loggers.
    environment: Mapping[str, str] = {}
    defaults: ClassVar[Mapping[str, str]] = {}
    quiet: ClassVar[Sequence[str]] = ()
    public: ClassVar[Sequence[str]] = ("id",)  # published parts of the state: no address of a private server
    public_host: ClassVar[str] = ""  # of the runs that anyone may know of; of others only the id is published
    how_to_name: ClassVar[str] = ""  # the variable of the environment that names its server or folder

    def __init__(self, tracked_run: TrackedRun, state: TrackerState) -> None:
        self.tracked_run = tracked_run
        self.state = state

    @classmethod
    def is_installed(cls) -> bool:
        """Return True if the package of its name is installed; override it for a tracker that needs none."""
        return importlib.util.find_spec(cls.name) is not None

    def switched_off(self) -> str:
        """Return what switches this tracker off here, such as a variable of the environment; empty if nothing does."""
        return ""

    def is_own(self) -> bool:
        """Return True unless ``tracking.json`` names a run that this run directory did not start: ids are public."""
        return True

    def unnamed_place(self) -> str:
        """Return the place that only the run or its recipe names, not its user; else an empty string.

        Nothing is sent to such a place; see :mod:`sentiment140_bert.trust`.
        """
        return ""

    def how_to_trust(self, place: str) -> str:
        """Return how the user can name a place."""
        return f"If you trust it, name it: {self.how_to_name}={place}"

    @abstractmethod
    def open(self, remember: Remember) -> None:
        """Find the run, or start it.

        Args:
            remember: Writes values, such as ``id`` and ``url``, into ``tracking.json``.
        """

    @abstractmethod
    def points(self, points: Sequence[Point]) -> None:
        """Send further values of the curves, in order of their steps."""

    @abstractmethod
    def file(self, name: str, content: bytes) -> None:
        """Send a file; it replaces an earlier one of the same name."""

    @abstractmethod
    def scores(self) -> None:
        """Send the scores of every split, which are new or have changed."""

    @abstractmethod
    def published(self) -> None:
        """Send the addresses of what was published."""

    def model(self) -> bool:
        """Send the model, if that was asked for and the service keeps models; return True if nothing of it is left."""
        return True

    @abstractmethod
    def close(self, status: RunStatus) -> None:
        """End this process's part of the tracked run."""

    def offline_command(self) -> str | None:
        """Return the command that sends what the service keeps on this machine; None if nothing is kept."""
        return None
