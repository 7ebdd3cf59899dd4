"""Feed many damaged inputs to what reads them: ``python scripts/fuzz.py csv --inputs 20000 --seed 1``.

Prints how many were tried, how long that took and with which outcomes. An input that causes a defect is saved, and the
exit code is 1; ``--input FILE`` tries a saved one again. Each input depends on its seed and number alone.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import traceback
from pathlib import Path

os.environ.setdefault("TQDM_DISABLE", "1")
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fuzzing.limits import memory_limited, time_limited
from fuzzing.loop import Result, try_inputs
from fuzzing.targets import NAMES, target_of


def main() -> None:
    """Read the arguments and try the inputs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", choices=NAMES)
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--minutes", type=float, default=0, help="stop after this many minutes")
    parser.add_argument("--most-defects", type=int, default=1)
    parser.add_argument("--gigabytes", type=float, default=4, help="memory to allow beyond what the libraries take")
    parser.add_argument("--folder", type=Path, help="folder for inputs while they are tried, and for defects")
    parser.add_argument("--input", type=Path, help="try only this saved input")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="fuzz-"))
    folder.mkdir(parents=True, exist_ok=True)
    target = target_of(arguments.target, folder)
    memory_limited(arguments.gigabytes)
    if arguments.input:
        with time_limited():
            print(target.check(arguments.input.read_bytes()))
        return
    numbers = range(arguments.first, arguments.first + arguments.inputs)
    result = try_inputs(target, arguments.seed, numbers, arguments.minutes, arguments.most_defects)
    report(arguments.target, arguments.seed, result, folder)
    sys.exit(1 if result.defects else 0)


def report(name: str, seed: int, result: Result, folder: Path) -> None:
    """Print a result, and save the inputs that cause defects."""
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
