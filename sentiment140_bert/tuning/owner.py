"""Who works on a trial, and whether that process still lives."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BEAT = 20.0  # seconds between two signs of life
PATIENCE = 300.0  # seconds without one, after which a process on another machine counts as dead


@dataclass(frozen=True)
class Owner:
    """A process, as others know it.

    Args:
        place: Machine and, where there are such, boot and process namespace: within it ``pid`` means something.
        pid: Its number.
        started: When it began, as the kernel counts; numbers are given again.
        mark: Its own, in case all of that is the same.
    """

    place: str
    pid: int
    started: str
    mark: str

    def to_plain(self) -> dict[str, Any]:
        """As it is kept in a store."""
        return dict(self.__dict__)


def this_process() -> Owner:
    """The process that asks."""
    return Owner(_place(), os.getpid(), _started(os.getpid()), secrets.token_hex(4))


@dataclass
class Watch:
    """What one process has seen of the others. Clocks of two machines are never compared.

    Args:
        own: Who watches.
    """

    own: Owner
    seen: dict[str, tuple[Any, float]] = field(default_factory=dict)

    def is_dead(self, owner: Mapping[str, Any], beat: Any) -> bool:
        """Whether a process is surely gone.

        On this machine the kernel knows. Of another one it is dead when ``beat`` has been the same for
        ``PATIENCE`` seconds of being looked at.

        Args:
            owner: As :meth:`Owner.to_plain` gave it.
            beat: Its last sign of life; it changes with each.
        """
        if owner["mark"] == self.own.mark:
            return False
        if owner["place"] == self.own.place:
            return bool(_started(owner["pid"]) != owner["started"])
        before, since = self.seen.get(owner["mark"], (None, 0.0))
        if before != beat or owner["mark"] not in self.seen:
            self.seen[owner["mark"]] = (beat, time.monotonic())
            return False
        return time.monotonic() - since > PATIENCE


def _place() -> str:
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):  # no Linux
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text("utf-8").strip())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(parts)


def _started(pid: int) -> str:
    """When a living process began; empty where there is none, or only its corpse."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8")
    except OSError:
        if Path("/proc/self/stat").exists():
            return ""
        return "alive" if _answers(pid) else ""
    state, *fields = stat.rpartition(")")[2].split()
    return "" if state in "ZX" else fields[18]


def _answers(pid: int) -> bool:
    """Whether there is such a process, where there is no /proc."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
