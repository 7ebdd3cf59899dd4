"""Tries many damaged inputs on what reads them: ``python scripts/fuzz.py csv --inputs 20000 --seed 1``.

Prints how many were tried, how long that took and what became of them. An input that did what it must not is saved, and
the exit code is 1; ``--input FILE`` tries a saved one again. Each input is made by its seed and number alone.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import traceback
from functools import partial
from pathlib import Path

os.environ.setdefault("TQDM_DISABLE", "1")
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fuzzing.limits import memory_limited, time_limited
from fuzzing.loop import Result, try_inputs
from fuzzing.targets import NAMES, target_of


def main() -> None:
    """Reads the arguments and tries."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", choices=NAMES)
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--minutes", type=float, default=0, help="stop after so many")
    parser.add_argument("--most-defects", type=int, default=1)
    parser.add_argument("--gigabytes", type=float, default=4, help="memory beyond what the libraries take")
    parser.add_argument("--folder", type=Path, help="where inputs lie while they are tried, and defects are saved")
    parser.add_argument("--input", type=Path, help="try this saved one alone")
    parser.add_argument("--engine", choices=["seeded", "atheris"], default="seeded", help="atheris: led by coverage")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="fuzz-"))
    folder.mkdir(parents=True, exist_ok=True)
    if given.engine == "atheris":
        from fuzzing.coverage import explored

        explored(partial(target_of, given.target, folder), folder, given.inputs, given.seed, given.minutes)
        return
    target = target_of(given.target, folder)
    memory_limited(given.gigabytes)
    if given.input:
        with time_limited():
            print(target.check(given.input.read_bytes()))
        return
    numbers = range(given.first, given.first + given.inputs)
    result = try_inputs(target, given.seed, numbers, given.minutes, given.most_defects)
    report(given.target, given.seed, result, folder)
    sys.exit(1 if result.defects else 0)


def report(name: str, seed: int, result: Result, folder: Path) -> None:
    """Prints a result, and saves the inputs that are defects."""
    print(f"{name}: {result.count:,} inputs, seed {seed}, {result.seconds:.0f} s")
    for outcome, count in result.outcomes.most_common():
        print(f"{count:>10,}  {outcome}")
    for defect in result.defects:
        file = folder / f"defect-{name}-{seed}-{defect.number}"
        file.write_bytes(defect.raw)
        print(f"\n{file}", file=sys.stderr)
        traceback.print_exception(defect.error)


if __name__ == "__main__":
    main()
