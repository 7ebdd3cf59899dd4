"""Train repeatedly in one process, and look for leaks: memory, files, threads, processes.

    python scripts/soak.py --runs 50
    python scripts/soak.py --runs 10 --set max_steps=3 --set max_samples=300 --set report_to=mlflow

Each run is `sentiment140_bert.train(recipe, folder)`, and its folder is removed afterwards. A line for each run shows
what the process holds; the last lines show what grew after the first runs, which load libraries and fill caches
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


class Resources(NamedTuple):
    """Resources of a process: MiB of resident memory, open files, threads, child processes, files in its ``TMPDIR``."""

    memory: float
    files: int
    threads: int
    children: int
    temporary: int


def measure_resources(temporary: Path) -> Resources:
    """Measure this process, after Python and malloc have returned the memory that they only cache."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    resident = int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    children = [task.read_text("ascii").split() for task in Path("/proc/self/task").glob("*/children")]
    return Resources(
        round(resident / 2**20, 1),
        len(os.listdir("/proc/self/fd")),  # noqa: PTH208 - a generator's own descriptor would count, or not
        len(os.listdir("/proc/self/task")),  # noqa: PTH208 - of libraries as well as Python's
        sum(map(len, children)),
        sum(1 for _ in temporary.rglob("*")),
    )


def fit_slope(values: list[float]) -> float:
    """Return by how much ``values`` grow from one to the next, by least squares."""
    middle, mean = (len(values) - 1) / 2, sum(values) / len(values)
    below = sum((at - middle) ** 2 for at in range(len(values)))
    return sum((at - middle) * (value - mean) for at, value in enumerate(values)) / below if below else 0.0


def find_growth(after: list[Resources]) -> list[str]:
    """Return a sentence for each resource that grows after the first runs."""
    problems = []
    a_run = fit_slope([row.memory for row in after])
    if a_run > MEMORY:
        problems.append(f"memory grows by {a_run:.2f} MiB a run; {MEMORY:g} are allowed")
    for name in Resources._fields[1:]:
        first, last = getattr(after[0], name), getattr(after[-1], name)
        if last > first:
            problems.append(f"{name}: {first} after the first runs, {last} at the end")
    return problems


def soak(recipe: Any, runs: int, folder: Path, temporary: Path) -> list[Resources]:
    """Train ``runs`` times, each time into a folder that is removed afterwards.

    Args:
        recipe: The recipe of every run.
        runs: Number of runs.
        folder: An empty folder for the runs.
        temporary: The folder that ``TMPDIR`` names.
    """
    import sentiment140_bert

    rows = []
    print("run  MiB  files  threads  children  temporary", flush=True)
    for number in range(1, runs + 1):
        sentiment140_bert.train(recipe, folder / f"run-{number}")
        shutil.rmtree(folder / f"run-{number}")
        rows.append(measure_resources(temporary))
        print(number, *rows[-1], sep="  ", flush=True)
    return rows


def main() -> int:
    """Run the whole soak, in a ``TMPDIR`` of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--recipe", default="quickstart")
    parser.add_argument("--warm-up", type=int, help="Runs to ignore at the start (default: a fifth, at least 2).")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="changes")
    arguments = parser.parse_args()
    first = max(2, arguments.runs // 5) if arguments.warm_up is None else arguments.warm_up
    if not 1 <= first < arguments.runs:
        parser.error(f"--warm-up must be at least 1 and less than --runs: {first} of {arguments.runs} runs to warm up")
    with tempfile.TemporaryDirectory(prefix="s140-soak-") as place:
        folder, temporary = Path(place, "runs"), Path(place, "tmp")
        folder.mkdir()
        temporary.mkdir()
        os.environ["TMPDIR"] = tempfile.tempdir = str(temporary)
        import sentiment140_bert

        pairs = (change.partition("=") for change in arguments.changes)
        changes = {key: yaml.safe_load(value) for key, _, value in pairs}
        recipe = sentiment140_bert.load_recipe(arguments.recipe).with_values(changes)
        rows = soak(recipe, arguments.runs, folder, temporary)
        left = sorted(str(path.relative_to(temporary)) for path in temporary.rglob("*"))
    after = rows[first - 1 :]  # with the state that they left behind
    problems = find_growth(after)
    print(f"\nmemory: {fit_slope([row.memory for row in after]):+.2f} MiB a run over the last {len(after)} runs")
    print(f"threads of Python: {', '.join(sorted(thread.name for thread in threading.enumerate()))}")
    print(f"temporary files: {', '.join(left[:20]) or 'none'}")
    print("\n".join(problems) or f"nothing grew in {arguments.runs} runs")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
