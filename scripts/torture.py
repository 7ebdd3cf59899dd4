"""Try to break everything, and print a table of what was tried, survived and lost; ``--short`` tries less."""

from __future__ import annotations

import argparse
import itertools
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HERE / "tests"))

from killing import damaged, same, trained
from model_fixtures import write_small_bert
from sentiment140_bert.training.checkpoints import newest_complete
from tiny_run import flags

OFTEN = {"save_strategy": "steps", "save_steps": 2, "eval_strategy": "steps", "eval_steps": 2}
SHAPES = ({}, OFTEN, OFTEN | {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 4})
IN_A_ROW = 4  # kills of one run before it may end
FUZZED = {"csv": 20_000, "clean": 2_000, "recipe": 5_000, "card": 500, "labels": 5_000}
FUZZED_SHORT = {"csv": 2_000, "clean": 200, "recipe": 500, "card": 20, "labels": 500}
TESTS = {
    "stopped by a signal": ["tests/training/test_interrupt.py"],
    "full disk": ["tests/e2e/test_full_disk.py"],
    "two processes, one run": ["tests/test_locks.py"],
    "memory too small": ["tests/training/test_memory.py"],
    "faults of the Hub": ["tests/hub/test_faults.py"],
    "checkpoints on the Hub": ["tests/hub/test_checkpoint_repository.py", "tests/hub/test_checkpoint_refusals.py"],
    "hostile files and recipes": ["tests/cli/test_hostile_files.py", "tests/cli/test_hostile_recipes.py"],
    "hostile text on a page": ["tests/cli/test_terminal.py", "tests/cli/test_report_in_browser.py"],
    "malicious repositories": [
        "tests/hub",
        "tests/models/test_convert.py",
        "-k",
        "malicious or one_commit or conversion",
    ],
    "odd machines": ["tests/cli/test_surroundings.py"],
    "planted secrets": [
        "tests/trust/test_planted_secrets.py",
        "tests/hub/test_secrets.py",
    ],
    "run after run": ["tests/e2e/test_soak.py"],
}


class Row(NamedTuple):
    """One line of the table; ``skipped`` counts what cannot be tried on this machine (no GPU, not root)."""

    case: str
    tried: int
    survived: int
    skipped: int
    seconds: float


def kill_runs(kills: int, seed: int) -> Iterator[bool]:
    """Kill runs at random moments, several times each, between their first and last output.

    Every third time a file of the newest checkpoint is damaged as well. Each run must resume by the same command, and
    end with weights and scores that are equal, byte by byte, to those of an undisturbed run.
    """
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as place:
        model = write_small_bert(Path(place) / "bert", dropout=0.1)
        undisturbed = [Path(place) / f"undisturbed-{at}" for at in range(len(SHAPES))]
        done = 0
        for number in itertools.count():
            shape = number % len(SHAPES)
            words, run = flags(model_name_or_path=model, **SHAPES[shape]), Path(place) / f"run-{number}"
            if not undisturbed[shape].exists():
                trained(undisturbed[shape], words)
            hit = 0
            while hit < min(IN_A_ROW, kills - done):
                moment = draw.choice(["splits", "precision", *(f"step {step}/" for step in range(1, 13))])
                ended = trained(run, words, moment, draw.random() * 0.5)
                if ended.code != -signal.SIGKILL:  # it had passed that moment, or was faster; or it failed
                    break
                hit += 1
                checkpoint = newest_complete(run / "checkpoints")
                if (done + hit) % 3 == 0 and checkpoint:
                    print(f"also: {checkpoint.name}: {damaged(checkpoint, draw)}", file=sys.stderr)
            else:
                ended = trained(run, words)
            whole = ended.code == 0 and same(run, undisturbed[shape])
            if not whole:
                print(ended.stderr, file=sys.stderr)
            hit = hit or (ended.code != 0)
            yield from [whole] * hit
            done += hit
            if done == kills:
                return


def find_damage(count: int, seed: int) -> Iterator[bool]:
    """Damage a checkpoint in a random way; it must not pass as complete."""
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as place:
        words = flags(model_name_or_path=write_small_bert(Path(place) / "bert"), num_train_epochs=1)
        trained(Path(place) / "run", [*words, "--keep-checkpoints"])
        newest = newest_complete(Path(place) / "run" / "checkpoints")
        for _ in range(count):
            copy = Path(place) / "copies" / newest.name
            shutil.copytree(newest, copy)
            done = damaged(copy, draw)
            is_detected = newest_complete(copy.parent) is None
            if not is_detected:
                print(f"not detected: {done}", file=sys.stderr)
            yield is_detected
            shutil.rmtree(copy)


def count_survivors(case: str, tries: Iterator[bool]) -> Row:
    """Go through all tries."""
    started = time.monotonic()
    survived = list(tries)
    return Row(case, len(survived), sum(survived), 0, time.monotonic() - started)


def fuzz(target: str, inputs: int, seed: int) -> Row:
    """Try mutated inputs until the first defect."""
    started = time.monotonic()
    words = [sys.executable, "scripts/fuzz.py", target, "--inputs", str(inputs), "--seed", str(seed)]
    ended = subprocess.run(words, cwd=HERE, check=False, capture_output=True, text=True)
    if ended.returncode:
        print(ended.stdout + ended.stderr, file=sys.stderr)
    return Row(f"fuzzed: {target}", inputs, inputs - (ended.returncode != 0), 0, time.monotonic() - started)


def run_tests(case: str, selection: list[str]) -> Row:
    """Run tests and count them."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        words = [sys.executable, "-m", "pytest", "-q", f"--junitxml={place}/counts.xml", *selection]
        ended = subprocess.run(words, cwd=HERE, check=False, capture_output=True, text=True)
        if ended.returncode:
            print(ended.stdout + ended.stderr, file=sys.stderr)
        if ended.returncode not in (0, 1):  # no test was found, or pytest itself failed
            return Row(case, 1, 0, 0, time.monotonic() - started)
        suite = ElementTree.parse(f"{place}/counts.xml").getroot().find("testsuite").attrib
    skipped = int(suite["skipped"])
    tried = int(suite["tests"]) - skipped
    return Row(case, tried, tried - int(suite["failures"]) - int(suite["errors"]), skipped, time.monotonic() - started)


def list_cases(seed: int, short: bool) -> dict[str, Callable[[], Row]]:
    """Return what to try, by name."""
    kills, cuts = (4, 50) if short else (20, 300)
    cases: dict[str, Callable[[], Row]] = {
        "killed at a random moment": lambda: count_survivors("killed at a random moment", kill_runs(kills, seed)),
        "damaged checkpoints": lambda: count_survivors("damaged checkpoints", find_damage(cuts, seed)),
    }
    for target, inputs in (FUZZED_SHORT if short else FUZZED).items():
        cases[f"fuzzed: {target}"] = lambda target=target, inputs=inputs: fuzz(target, inputs, seed)
    if not short:  # the short form is itself a test, and the other tests run next to it
        cases |= {case: lambda case=case, chosen=chosen: run_tests(case, chosen) for case, chosen in TESTS.items()}
    return cases


def main() -> None:
    """Try everything, print the table, and exit with 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="the name of one case")
    arguments = parser.parse_args()
    chosen = list_cases(arguments.seed, arguments.short)
    if arguments.only:
        if arguments.only not in chosen:
            parser.error(f"there is no case {arguments.only!r}; choose one of: {', '.join(chosen)}")
        chosen = {arguments.only: chosen[arguments.only]}
    rows = []
    print(f"{'case':<28}{'tried':>8}{'survived':>10}{'lost':>6}{'skipped':>9}{'seconds':>9}", flush=True)
    for run in chosen.values():
        row = run()
        lost = row.tried - row.survived
        numbers = f"{row.tried:>8,}{row.survived:>10,}{lost:>6,}{row.skipped:>9,}{row.seconds:>9.0f}"
        print(f"{row.case:<28}{numbers}", flush=True)
        rows.append(row)
    tried, survived = sum(row.tried for row in rows), sum(row.survived for row in rows)
    print(f"Lost: {tried - survived}, of {tried:,} tried in {sum(row.seconds for row in rows) / 60:.1f} minutes")
    sys.exit(0 if survived == tried else 1)


if __name__ == "__main__":
    main()
