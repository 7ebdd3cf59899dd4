"""Trains again and again in one process, and looks for what stays behind: memory, files, threads, processes.

    python scripts/soak.py --runs 50
    python scripts/soak.py --runs 10 --set max_steps=3 --set max_samples=300 --set report_to=mlflow

Each run is `sentiment140_bert.train(recipe, folder)`, and its folder is removed afterwards. A line for each run says
what the process holds then; the last lines say what grew after the first runs, which load libraries and fill caches
(wandb keeps the last 100 artifacts, with their files: 17 runs). Exit code 1: something grew.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import os
import shutil
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any, NamedTuple

import yaml

MEMORY = 1.0  # MiB a run by which resident memory may grow, fitted over all runs after these


class Held(NamedTuple):
    """What a process holds: MiB of resident memory, open files, threads, child processes, files in its ``TMPDIR``."""

    memory: float
    files: int
    threads: int
    children: int
    temporary: int


def held(temporary: Path) -> Held:
    """What this process holds now. What Python and malloc only keep for later is given back before."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    resident = int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    children = [task.read_text("ascii").split() for task in Path("/proc/self/task").glob("*/children")]
    return Held(
        round(resident / 2**20, 1),
        len(os.listdir("/proc/self/fd")),  # noqa: PTH208 - a generator's own descriptor would count, or not
        len(os.listdir("/proc/self/task")),  # noqa: PTH208 - of libraries as well as Python's
        sum(map(len, children)),
        sum(1 for _ in temporary.rglob("*")),
    )


def slope(values: list[float]) -> float:
    """By how much ``values`` grow from one to the next, by least squares."""
    middle, mean = (len(values) - 1) / 2, sum(values) / len(values)
    below = sum((at - middle) ** 2 for at in range(len(values)))
    return sum((at - middle) * (value - mean) for at, value in enumerate(values)) / below if below else 0.0


def grown(after: list[Held]) -> list[str]:
    """A sentence for each thing of which there is more and more after the first runs."""
    found = []
    a_run = slope([row.memory for row in after])
    if a_run > MEMORY:
        found.append(f"memory grows by {a_run:.2f} MiB a run; {MEMORY:g} are allowed")
    for name in Held._fields[1:]:
        first, last = getattr(after[0], name), getattr(after[-1], name)
        if last > first:
            found.append(f"{name}: {first} after the first runs, {last} at the end")
    return found


def soak(recipe: Any, runs: int, folder: Path, temporary: Path) -> list[Held]:
    """Trains ``runs`` times, each time into a folder that is removed afterwards.

    Args:
        recipe: Of every run.
        runs: How many.
        folder: An empty one, where they lie meanwhile.
        temporary: What ``TMPDIR`` names.
    """
    import sentiment140_bert

    rows = []
    print("run  MiB  files  threads  children  temporary", flush=True)
    for number in range(1, runs + 1):
        sentiment140_bert.train(recipe, folder / f"run-{number}")
        shutil.rmtree(folder / f"run-{number}")
        rows.append(held(temporary))
        print(number, *rows[-1], sep="  ", flush=True)
    return rows


def main() -> int:
    """The whole soak, in a ``TMPDIR`` of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--recipe", default="quickstart")
    parser.add_argument("--warm-up", type=int, help="Runs that are not looked at (default: a fifth, at least 2).")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="changes")
    given = parser.parse_args()
    first = max(2, given.runs // 5) if given.warm_up is None else given.warm_up
    if not 1 <= first < given.runs:
        parser.error(f"1 <= --warm-up < --runs: nothing can be seen to grow in {given.runs} runs, {first} to warm up")
    with tempfile.TemporaryDirectory(prefix="s140-soak-") as place:
        folder, temporary = Path(place, "runs"), Path(place, "tmp")
        folder.mkdir()
        temporary.mkdir()
        os.environ["TMPDIR"] = tempfile.tempdir = str(temporary)
        import sentiment140_bert

        changes = {key: yaml.safe_load(value) for key, _, value in (each.partition("=") for each in given.changes)}
        recipe = sentiment140_bert.load_recipe(given.recipe).with_values(changes)
        rows = soak(recipe, given.runs, folder, temporary)
        left = sorted(str(each.relative_to(temporary)) for each in temporary.rglob("*"))
    after = rows[first - 1 :]  # with the state that they left behind
    problems = grown(after)
    print(f"\nmemory: {slope([row.memory for row in after]):+.2f} MiB a run over the last {len(after)} runs")
    print(f"threads of Python: {', '.join(sorted(each.name for each in threading.enumerate()))}")
    print(f"temporary files: {', '.join(left[:20]) or 'none'}")
    print("\n".join(problems) or f"nothing grew in {given.runs} runs")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
