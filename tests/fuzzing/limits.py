"""What one input may take: time, and memory of the process."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager

SECONDS = 10.0  # of one input, which takes a millisecond


class Hang(Exception):
    """An input that took too long."""


@contextmanager
def time_limited(seconds: float = SECONDS) -> Iterator[None]:
    """Raises Hang inside the block where it takes longer."""

    def stop(*_: object) -> None:
        raise Hang(f"more than {seconds:g} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def memory_limited(gigabytes: float) -> None:
    """From now on this process gets no more address space than it has and so much: a bomb is a MemoryError."""
    with open("/proc/self/statm") as file:  # noqa: PTH123
        has = int(file.read().split()[0]) * resource.getpagesize()
    limit = has + int(gigabytes * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))
