"""Trying many inputs on a target: counted, timed, each reproducible by its number alone."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from fuzzing.limits import time_limited


class Target(Protocol):
    """Something that takes bytes."""

    name: str

    def draw(self, random: Random) -> bytes:
        """An input."""

    def corpus(self) -> list[bytes]:
        """Where a fuzzer that is led by coverage begins."""

    def check(self, given: bytes) -> str:
        """What became of it, in a few words; raises whatever must not happen."""


@dataclass
class Defect:
    """An input that did what it must not."""

    number: int
    given: bytes
    error: BaseException


@dataclass
class Result:
    """How often each outcome came, and what was wrong."""

    count: int = 0
    seconds: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)
    defects: list[Defect] = field(default_factory=list)


def drawn(target: Target, seed: int, number: int) -> bytes:
    """Input ``number`` of a seed, whichever were drawn before it."""
    return target.draw(Random(f"{target.name} {seed} {number}"))


def tried(target: Target, seed: int, numbers: Iterable[int], minutes: float = 0.0, most_defects: int = 1) -> Result:
    """Draws inputs and checks them.

    Args:
        target: What is tried.
        seed: Of the inputs.
        numbers: Which of them.
        minutes: After which no more are tried; 0: no limit.
        most_defects: After which no more are tried.
    """
    result, begun = Result(), time.monotonic()
    for number in numbers:
        given = drawn(target, seed, number)
        try:
            with time_limited():
                outcome = target.check(given)
        except Exception as error:  # noqa: BLE001  whatever escapes is what is looked for
            result.defects.append(Defect(number, given, error))
            outcome = f"DEFECT: {type(error).__name__}"
        result.count += 1
        result.outcomes[outcome] += 1
        if len(result.defects) >= most_defects or (minutes and time.monotonic() - begun > 60 * minutes):
            break
    result.seconds = time.monotonic() - begun
    return result
