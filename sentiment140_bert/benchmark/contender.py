"""What is measured: a way to do some work, and how much of it was done in how long."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Work:
    """What one turn of a contender did.

    Args:
        tweets: That came out of it.
        tokens: Of these tweets, padding not counted.
        seconds: Where the contender timed itself, to leave out what only a first step costs.
        flops: Floating point operations, where these were counted.
        notes: Further figures to be reported, such as an accuracy.
    """

    tweets: int = 0
    tokens: int = 0
    seconds: float | None = None
    flops: float = 0.0
    notes: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Contender:
    """A way to do the work.

    Args:
        name: Its key in the report.
        title: What people read.
        build: A function of a module, called once in a process of its own; what it returns does the work of one turn.
        arguments: For ``build``.
    """

    name: str
    title: str
    build: Callable[..., Callable[[], Work]]
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Measured:
    """One turn: its work, its seconds, and the most memory that its process ever held.

    ``memory`` and ``gpu_memory`` (allocated by torch) are in MiB, None where unknown.
    """

    work: Work
    seconds: float
    memory: int | None
    gpu_memory: int | None = None
