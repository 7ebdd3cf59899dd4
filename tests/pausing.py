"""A process that stops at a chosen line of its stderr until a test lets it continue.

A test that must signal or kill a process at a point of its work names the line that the process prints there. Writing
that line, the process tells the test and waits, so nothing depends on how fast either of them is. As a script it runs
the command line: ``python pausing.py train …``, for processes that a launcher starts.
"""

from __future__ import annotations

import io
import os
import sys
from multiprocessing.connection import Client

ADDRESS = "PAUSING_ADDRESS"  # environment variable: the socket of the test that waits
LINES = "PAUSING_LINES"  # environment variable: how these lines begin, one per line; each pauses once


class PausingStream(io.TextIOWrapper):
    """Text output that waits for a test after the first line beginning with each of ``starts``."""

    def __init__(self, descriptor: int, address: str, starts: list[str]) -> None:
        super().__init__(io.FileIO(descriptor, "w", closefd=False), write_through=True)
        self._address, self._starts, self._line = address, starts, ""

    def write(self, text: str) -> int:
        length = super().write(text)
        *ended, self._line = (self._line + text).replace("\r", "\n").split("\n")
        for line in ended:
            for start in [start for start in self._starts if line.startswith(start)]:
                self._starts.remove(start)
                with Client(self._address) as test:
                    test.send(line)
                    test.recv()
        return length


def pause_stderr() -> None:
    """Make this process pause where its environment says, if it says so."""
    if address := os.environ.get(ADDRESS):
        sys.stderr = PausingStream(2, address, os.environ[LINES].splitlines())


if __name__ == "__main__":
    from sentiment140_bert.cli import main

    pause_stderr()
    main(prog_name="s140")
