"""Try many inputs on a target: counted, timed, each reproducible by its number alone."""

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
        """Draw an input."""

    def check(self, raw: bytes) -> str:
        """Return the outcome in a few words; raise anything that must not happen."""


@dataclass
class Defect:
    """An input that did what it must not."""

    number: int
    raw: bytes
    error: BaseException


@dataclass
class Result:
    """The counts of outcomes, and the defects."""

    count: int = 0
    seconds: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)
    defects: list[Defect] = field(default_factory=list)


def draw_input(target: Target, seed: int, number: int) -> bytes:
    """Draw input ``number`` of a seed, whichever were drawn before it."""
    return target.draw(Random(f"{target.name} {seed} {number}"))


def try_inputs(
    target: Target, seed: int, numbers: Iterable[int], minutes: float = 0.0, most_defects: int = 1
) -> Result:
    """Draw inputs and check them.

    Args:
        target: The target to try.
        seed: Of the inputs.
        numbers: The numbers of the inputs.
        minutes: The time limit; 0: none.
        most_defects: The number of defects at which to stop.
    """
    result, begun = Result(), time.monotonic()
    for number in numbers:
        raw = draw_input(target, seed, number)
        try:
            with time_limited():
                outcome = target.check(raw)
        except Exception as error:  # noqa: BLE001  any error that escapes is a defect
            result.defects.append(Defect(number, raw, error))
            outcome = f"DEFECT: {type(error).__name__}"
        result.count += 1
        result.outcomes[outcome] += 1
        if len(result.defects) >= most_defects or (minutes and time.monotonic() - begun > 60 * minutes):
            break
    result.seconds = time.monotonic() - begun
    return result
