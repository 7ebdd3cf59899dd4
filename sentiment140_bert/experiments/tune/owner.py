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
DEAD, ALIVE, SILENT = "dead", "alive", "silent"  # silent: elsewhere, and not yet known to be either


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
        patience: Seconds without a sign of life, after which a process on another machine counts as dead.
        one_machine: No other machine takes part: one of the same name that was started another time is this one before
            a reboot.
    """

    own: Owner
    patience: float = PATIENCE
    one_machine: bool = True
    seen: dict[str, tuple[Any, float, bool]] = field(default_factory=dict)

    def state(self, owner: Mapping[str, Any], beat: Any) -> str:
        """Whether a process is ``DEAD``, ``ALIVE``, or ``SILENT``, which is neither as far as was seen.

        On this machine the kernel knows. Of another one it lives when ``beat`` has changed while it was looked at, and
        is dead when that has been the same for ``patience`` seconds.

        Args:
            owner: As :meth:`Owner.to_plain` gave it.
            beat: Its last sign of life; it changes with each.
        """
        if owner["mark"] == self.own.mark:
            return ALIVE
        if owner["place"] == self.own.place:
            return ALIVE if _started(owner["pid"]) == owner["started"] else DEAD
        if self.one_machine and _is_before_a_reboot(owner["place"], self.own.place):
            return DEAD
        if owner["mark"] not in self.seen:
            self.seen[owner["mark"]] = (beat, time.monotonic(), False)
            return SILENT
        before, since, moved = self.seen[owner["mark"]]
        if before != beat:
            self.seen[owner["mark"]] = (beat, time.monotonic(), True)
            return ALIVE
        if time.monotonic() - since > self.patience:
            return DEAD
        return ALIVE if moved else SILENT

    def is_dead(self, owner: Mapping[str, Any], beat: Any) -> bool:
        """Whether a process is surely gone; see :meth:`state`."""
        return self.state(owner, beat) == DEAD


def _place() -> str:
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):  # no Linux
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text("utf-8").strip())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(parts)


def _is_before_a_reboot(place: str, own: str) -> bool:
    """Whether it is the machine of ``own``, by its name, at an earlier start."""
    theirs, mine = place.split(" "), own.split(" ")
    return len(theirs) > 1 and len(mine) > 1 and theirs[0] == mine[0] and theirs[1] != mine[1]


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
