"""Limit the time of one input, and the memory of the process."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager

SECONDS = 10.0  # of computing for one input, which takes a millisecond
WAITING = 12  # times as long on the clock: other processes take turns, too


class Hang(Exception):
    """An input that took too long."""


@contextmanager
def time_limited(seconds: float = SECONDS) -> Iterator[None]:
    """Raises Hang inside the block where it computes longer, or waits much longer."""

    def stop(*_: object) -> None:
        raise Hang(f"more than {seconds:g} seconds")

    timers = {signal.SIGPROF: (signal.ITIMER_PROF, seconds), signal.SIGALRM: (signal.ITIMER_REAL, WAITING * seconds)}
    before = {number: signal.signal(number, stop) for number in timers}
    for timer, limit in timers.values():
        signal.setitimer(timer, limit)
    try:
        yield
    finally:
        for timer, _ in timers.values():
            signal.setitimer(timer, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def memory_limited(gigabytes: float) -> None:
    """From now on this process gets no more address space than it has and so much: a bomb is a MemoryError."""
    with open("/proc/self/statm") as file:  # noqa: PTH123
        has = int(file.read().split()[0]) * resource.getpagesize()
    limit = has + int(gigabytes * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))
