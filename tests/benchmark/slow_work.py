"""Contenders whose work is known, in processes of their own."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from benchmark import Work
from sentiment140_bert.errors import HardwareError


def timed(log: str, name: str, seconds: float, tweets: int = 12) -> Callable[[], Work]:
    """Log when it was built and when it worked, and report this many seconds for each turn."""

    def turn() -> Work:
        with Path(log).open("a", encoding="utf-8") as file:
            file.write(f"{name} {os.getpid()}\n")
        return Work(tweets=tweets, tokens=tweets * 10, seconds=seconds, flops=1e9)

    return turn


def large(mib: int) -> Callable[[], Work]:
    """Hold this much memory for a moment."""

    def turn() -> Work:
        block = bytearray(mib * 2**20)
        return Work(tweets=len(block[:1]), tokens=1, seconds=1.0)

    return turn


def unable() -> Callable[[], Work]:
    raise HardwareError("There is no such device.")


def dying(turns: int) -> Callable[[], Work]:
    """Get killed in the turn after this many."""
    left = [turns]

    def turn() -> Work:
        if not left[0]:
            os._exit(9)
        left[0] -= 1
        return Work(tweets=1, tokens=1, seconds=1.0)

    return turn
