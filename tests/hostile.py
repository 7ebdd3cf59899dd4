"""Ask models that mean harm for answers in one process of bounded memory, and list what is opened for it."""

from __future__ import annotations

import json
import os
import resource
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from command_line import FORKS

MEMORY = 2 << 30  # more than the process has when it begins
SECONDS = 200  # of its processor, against hanging
TEXTS = ("so good", "no, not this one")
Change = Callable[[Path], object]


class Outcome(NamedTuple):
    """The end of ``s140 predict``: its exit code, outputs, traceback, and the files that Python opened for it."""

    code: int
    stdout: str
    stderr: str
    failure: str
    opened: list[str]


def answer_all(folders: Sequence[Path]) -> list[Outcome]:
    """Run ``s140 predict FOLDER`` for each folder in one forked process with bounded memory."""
    end, other_end = FORKS.Pipe()
    process = FORKS.Process(target=answer, args=([str(folder) for folder in folders], dict(os.environ), other_end))
    process.start()
    other_end.close()
    outcomes = []
    try:
        while len(outcomes) < len(folders):
            outcomes.append(Outcome(*end.recv()))
    except EOFError:
        process.join()
        raise AssertionError(f"{folders[len(outcomes)]} ended the process: {process.exitcode}") from None
    process.join()
    return outcomes


def answer(folders: list[str], environment: dict[str, str], end: Connection) -> None:
    from click.testing import CliRunner

    from sentiment140_bert.cli import main

    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None
    opened: list[str] = []
    sys.addaudithook(lambda event, values: opened.append(str(values[0])) if event == "open" else None)
    CliRunner().invoke(main, ["predict", folders[0], *TEXTS])  # whatever is imported late is imported now
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    for folder in folders:
        opened.clear()
        result = CliRunner().invoke(main, ["predict", folder, *TEXTS])
        failed = result.exception and not isinstance(result.exception, SystemExit)
        failure = "".join(traceback.format_exception(result.exception)) if failed else ""
        end.send((result.exit_code, result.stdout, result.stderr, failure, list(opened)))


def complain(name: str, outcome: Outcome) -> Iterator[str]:
    """Yield what is wrong with an outcome: it must be an error that the package explains, or two right rows."""
    if outcome.failure:
        yield f"{name}: {outcome.failure[-600:]}"
    elif outcome.code == 0:
        rows = [line.split("\t") for line in outcome.stdout.splitlines()]
        if [row[2:] for row in rows] != [[text] for text in TEXTS] or not all(0 <= float(row[1]) <= 1 for row in rows):
            yield f"{name}: {outcome.stdout!r}"
    elif outcome.code != 1 or outcome.stdout or not outcome.stderr.startswith("Error: "):
        yield f"{name}: {outcome}"


def copy_with(source: Path, folder: Path, change: Change) -> Path:
    """Copy a model and change the copy."""
    shutil.copytree(source, folder)
    change(folder)
    return folder


@contextmanager
def changed_json(file: Path) -> Iterator[dict[str, Any]]:
    """Give the content of a JSON file, and write what became of it."""
    content = json.loads(file.read_text("utf-8")) if file.exists() else {}
    yield content
    file.write_text(json.dumps(content), "utf-8")


def put(file: str, *path: str | int, value: Any) -> Change:
    """Return what sets one value in a JSON file, by the keys that lead to it."""

    def change(folder: Path) -> None:
        with changed_json(folder / file) as content:
            place: Any = content
            for key in path[:-1]:
                place = place[key]
            place[path[-1]] = value

    return change


def write(file: str, content: bytes) -> Change:
    return lambda folder: (folder / file).write_bytes(content)


def remove(*files: str) -> Change:
    return lambda folder: [(folder / file).unlink() for file in files]


def damage(file: str) -> dict[str, Change]:
    """Return what makes a JSON file something else, by name."""
    contents = {
        "empty": b"",
        "null": b"null",
        "list": b"[1, 2]",
        "number": b"7",
        "no UTF-8": b"\xff\xfe{}",
        "deep": b'{"a":' * 100_000,
        "deep and closed": b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
        "half": b'{"a": 1, ',
        "empty object": b"{}",
        "NaN": b'{"a": NaN}',
        "many digits": b'{"a": 1' + b"0" * 10_000 + b"}",
    }
    changes = {f"{file}: {name}": write(file, content) for name, content in contents.items()}
    return changes | {f"{file}: missing": lambda folder: (folder / file).unlink(missing_ok=True)}
