"""Runs of the command line that are killed, and what must be the same afterwards."""

from __future__ import annotations

import contextlib
import random
import subprocess
from pathlib import Path
from typing import NamedTuple

from command_line import Command
from sentiment140_bert.files import hash_file
from sentiment140_bert.training.checkpoints import MANIFEST

RESULTS = ("model/model.safetensors", "metrics.json")


class Ended(NamedTuple):
    """The end of a process: its exit code and stderr."""

    code: int
    stderr: str


def trained(
    folder: Path,
    words: list[str],
    kill_at: str | None = None,
    later: float | None = None,
    threads: int | None = None,
    whole: int | None = None,
) -> Ended:
    """Run ``s140 train`` to its end, or kill it while it pauses at a line of stderr beginning with ``kill_at``.

    ``whole``: not before the checkpoint of this step is whole, which a thread of it writes meanwhile. ``later``: let it
    continue for so many seconds before it is killed, wherever it is by then.
    """
    env = {"OMP_NUM_THREADS": str(threads)} if threads else {}
    with Command("train", "--output-dir", folder, *words, env=env, pause_at=kill_at or ()) as command:
        if kill_at and command.reach_pause():
            if whole is not None:
                until_whole(folder, whole, command)
            if later is not None:
                command.resume()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    command.wait(later)
            command.kill()
        command.wait()
        return Ended(command.returncode, command.stderr.whole())


def until_whole(folder: Path, step: int, command: Command) -> None:
    """Wait until a run's checkpoint of a step is whole."""
    command.wait_for((folder / "checkpoints" / f"checkpoint-{step}" / MANIFEST).exists)


def same(folder: Path, undisturbed: Path) -> bool:
    """Return True if weights and scores of two finished runs agree in every byte."""
    return all(hash_file(folder / file) == hash_file(undisturbed / file) for file in RESULTS)


def damaged(checkpoint: Path, draw: random.Random) -> str:
    """Cut, change or remove one file of a checkpoint; return what was done."""
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
