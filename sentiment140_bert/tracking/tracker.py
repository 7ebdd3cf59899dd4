"""What each tracker can do. Whatever it raises is :mod:`sentiment140_bert.tracking.sender`'s to report."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal

from sentiment140_bert.tracking.story import Point, State, Story

PROJECT = "sentiment140-bert"
Remember = Callable[[dict[str, Any]], None]


class Tracker(ABC):
    """One tracked run of one service. It is made where the caller is; all else is called from one thread of its own.

    Args:
        story: The run that is tracked.
        known: What ``tracking.json`` remembers of it; empty at first.
    """

    name: ClassVar[str]
    # When what it was told survives a kill of this process: at once, the next time it is told something, or closed.
    safe: ClassVar[Literal["at once", "next time", "closed"]] = "at once"

    # As long as it is open: variables of the environment, those that the caller may have set otherwise, and loggers
    # that say nothing (we report what fails).
    environment: Mapping[str, str] = {}
    defaults: ClassVar[Mapping[str, str]] = {}
    quiet: ClassVar[Sequence[str]] = ()
    how_to_name: ClassVar[str] = ""  # the variable of the environment that names where it is told

    def __init__(self, story: Story, known: dict[str, Any]) -> None:
        self.story = story
        self.known = known

    def switched_off(self) -> str:
        """Return what switches this tracker off here, such as a variable of the environment; empty if nothing does."""
        return ""

    def unnamed_place(self) -> str:
        """Return where the run or its recipe would have things sent although its user named no such place.

        Empty where nothing of the kind is asked for; see :mod:`sentiment140_bert.trust`.
        """
        return ""

    def how_to_trust(self, place: str) -> str:
        """Return what to do so that a place is told."""
        return f"If you trust it, name it: {self.how_to_name}={place}"

    @staticmethod
    def shown(known: dict[str, Any]) -> dict[str, Any]:
        """What of ``known`` may be published: no address of a server that is not there for everybody."""
        return {"id": known.get("id")}

    @abstractmethod
    def open(self, remember: Remember) -> None:
        """Finds the run, or begins it.

        Args:
            remember: Takes what is to be found in ``tracking.json`` from now on, ``id`` and ``url`` for two.
        """

    @abstractmethod
    def points(self, points: Sequence[Point]) -> None:
        """Tells further values of the curves, in order of their steps."""

    @abstractmethod
    def file(self, name: str, content: bytes) -> None:
        """Keeps a file; of the same name it takes the place of an earlier one."""

    @abstractmethod
    def scores(self) -> None:
        """Tells the scores of every split; they are new, or others than before."""

    @abstractmethod
    def published(self) -> None:
        """Tells where the run was published."""

    def model(self) -> None:
        """Keeps the model, if that was asked for and there is a place for it."""
        return None

    @abstractmethod
    def close(self, state: State) -> None:
        """Ends this process's part of it."""

    def kept_here(self) -> str | None:
        """The command that sends what the service keeps on this machine; None if nothing is."""
        return None
