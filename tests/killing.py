"""Runs of the command line that are killed, and what must be the same afterwards."""

from __future__ import annotations

import random
import signal
import threading
import time
from pathlib import Path
from typing import NamedTuple

from command_line import Command
from sentiment140_bert.run_dir import sha256_of
from sentiment140_bert.training.checkpoints import MANIFEST

RESULTS = ("model/model.safetensors", "metrics.json")


class Ended(NamedTuple):
    """How a process ended, and what it said."""

    code: int
    told: str


def trained(
    folder: Path,
    words: list[str],
    kill_at: str | None = None,
    later: float = 0.0,
    threads: int | None = None,
    whole: bool = False,
) -> Ended:
    """Runs ``s140 train``; perhaps SIGKILL ends it ``later`` seconds after it has begun a line with ``kill_at``, and if
    it is to leave a ``whole`` checkpoint, not before there is one."""
    env = {"OMP_NUM_THREADS": str(threads)} if threads else {}
    with Command("train", "--output-dir", folder, *words, env=env) as started:

        def kill() -> None:
            if whole:
                until_whole(folder, started)
            started.send_signal(signal.SIGKILL)

        told = []
        for line in started.stderr:
            told.append(line)
            if kill_at and line.startswith(kill_at):
                threading.Timer(later, kill).start()
                kill_at = None
        started.wait()
    return Ended(started.returncode, "".join(told))


def until_whole(folder: Path, started: Command) -> None:
    """Waits until a run has a whole checkpoint, or has ended without: steps may be faster than the disk."""
    while started.poll() is None and not any(folder.glob(f"checkpoints/*/{MANIFEST}")):
        time.sleep(0.001)


def same(folder: Path, undisturbed: Path) -> bool:
    """Whether weights and scores of two finished runs agree in every byte."""
    return all(sha256_of(folder / file) == sha256_of(undisturbed / file) for file in RESULTS)


def damaged(checkpoint: Path, draw: random.Random) -> str:
    """Cuts, changes or removes one file of a checkpoint; says what was done."""
    file = draw.choice(sorted(checkpoint.iterdir()))
    size = file.stat().st_size
    way = draw.choice(["cut", "changed", "removed"])
    if way == "removed":
        file.unlink()
        return f"{file.name} removed"
    at = draw.randrange(size)
    with file.open("r+b") as opened:
        if way == "cut":
            opened.truncate(at)
        else:
            opened.seek(at)
            byte = opened.read(1)[0] ^ draw.randrange(1, 256)
            opened.seek(at)
            opened.write(bytes([byte]))
    return f"{file.name} {way} at byte {at:,} of {size:,}"
