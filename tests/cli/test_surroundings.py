"""Every verb under odd conditions of the machine: a right result or an error, no traceback, nothing half written."""

from __future__ import annotations

import errno
import importlib
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

import surroundings
from command_line import Command
from hub_server import HubServer
from once import make_once
from sentiment140_bert.cli.surroundings import explain, share_processors
from surroundings import CONDITIONS, make_place, run_under, verbs

pytest_plugins = ("model_fixtures", "tune_fixtures")

QUICK = {
    "plain": ["track sync"],
    "no HOME": ["doctor"],
    "HOME is no folder": ["predict"],
    "stdin closed": ["predict --input"],
    "stdout closed": ["recipes show"],
    "stdout's reader gone": ["doctor"],
    "stderr closed": ["predict --input"],
    "umask 000": ["prepare", "convert"],
    "umask 077": ["convert"],
    "locale C": ["predict"],
    "no working directory": ["recipes ls"],
    "no folder for the cache": ["prepare"],
    "24 open files": ["prepare"],
    "files of 1 KB": ["convert"],
    "output full": ["convert"],
    "cache full": ["prepare"],
    "run full": ["track sync"],
    "all read-only": ["convert"],
}
TAKES_ROOT = {"no HOME", "no folder for the cache", "HOME read-only", "all read-only"} | {
    name for name in CONDITIONS if name.endswith("full")
}


@pytest.fixture
def prepared(tmp_path_factory: pytest.TempPathFactory, smallest_words: list[str], tunable: Path) -> Path:
    """Return a cache with the tweets of :func:`smallest_run`; not to be changed."""

    def prepare(folder: Path) -> None:
        words = verbs(folder, smallest_words, tunable)["prepare"][:-2]
        with Command(*words, env={"S140_CACHE": str(folder)}) as command:
            assert command.wait() == 0, command.stderr.whole()

    return make_once(tmp_path_factory, "prepared_cache", prepare)


@pytest.fixture
def faults_under(tmp_path: Path, smallest_run: Path, smallest_words: list[str], tunable: Path, prepared: Path):
    """Return what goes wrong with some commands under a condition."""

    def run_verbs(condition: str, names: list[str]) -> dict[str, list[str]]:
        if condition in TAKES_ROOT and not surroundings.can_mount():
            pytest.skip("mounting a file system takes root")
        faults = {}
        for number, (name, words) in enumerate(verbs(tmp_path / "place", smallest_words, tunable).items()):
            if name in names:
                place = make_place(tmp_path / "place", smallest_run, prepared).path
                outcome = run_under(condition, place, words)
                if outcome.faults:
                    faults[f"{condition}: {name}"] = [*outcome.faults, outcome.stderr[-2000:]]
                place.rename(tmp_path / f"done-{number}")
                shutil.rmtree(tmp_path / f"done-{number}")
        return faults

    return run_verbs


@pytest.mark.parametrize("condition", QUICK)
def test_a_cut_of_the_table(condition: str, faults_under) -> None:
    assert faults_under(condition, QUICK[condition]) == {}


@pytest.mark.long
@pytest.mark.parametrize(("number", "condition"), list(enumerate(CONDITIONS)))
def test_every_verb(number: int, condition: str, faults_under, hub: HubServer) -> None:
    """Try a fifth of the verbs under each condition, the next fifth under the next one: all take half an hour."""
    names = [*verbs(Path(), [], Path())][number % 5 :: 5]
    assert faults_under(condition, names) == {}


def raised_from(cause: BaseException) -> BaseException:
    error = ValueError("a library's own error")
    error.__cause__ = cause
    return error


EXPLAINED = [
    (MemoryError(), "Memory ran out:"),
    (OSError(errno.ENOMEM, "Cannot allocate memory"), "Memory ran out (["),
    (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes"), "Memory ran out (Def"),
    (RuntimeError("can't start new thread"), "Memory ran out (can't"),
    (RuntimeError("ThreadPoolBuildError { kind: IOError }"), "Memory ran out (Thread"),
    (ImportError("libtorch_cpu.so: failed to map segment from shared object"), "Memory ran out (libtorch"),
    (raised_from(MemoryError()), "Memory ran out:"),
    (OSError(errno.EMFILE, "Too many open files", "x"), "Too many files are open at once: this process may open"),
    (RuntimeError("cannot open file: Too many open files"), "Too many files are open at once"),
    (OSError(errno.ENOSPC, "No space left on device", "/tmp/x"), "The disk is full: /tmp/x"),
    (sqlite3.OperationalError("database or disk is full"), "The disk is full: a file"),
    (raised_from(sqlite3.OperationalError("attempt to write a readonly database")), "A file cannot be accessed: "),
    (OSError(errno.EROFS, "Read-only file system", "/x"), "'/x' cannot be accessed: Read-only file system."),
    (PermissionError(errno.EACCES, "Permission denied", b"/x"), "'/x' cannot be accessed: Permission denied"),
    (OSError(errno.EIO, "Input/output error", "/x"), "'/x' cannot be read or written: Input/output error."),
    (OSError(errno.ENAMETOOLONG, "File name too long", "x" * 9), "'xxxxxxxxx' is too long for a file name."),
    (RuntimeError("Could not determine home directory."), "This user has no home folder"),
]


def test_what_the_system_refuses_becomes_an_error() -> None:
    wrong = {}
    for error, start in EXPLAINED:
        explained = explain(error)
        if explained is None or not explained.message.startswith(start) or not explained.hint:
            wrong[repr(error)] = explained
    assert wrong == {}


def test_a_library_that_cannot_be_imported_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many read variables of the environment then."""
    (tmp_path / "impatient.py").write_text("import os\nWAIT = int(os.environ['IMPATIENT_WAIT'])\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("IMPATIENT_WAIT", "long")
    with pytest.raises(ValueError, match="long") as caught:
        importlib.import_module("impatient")
    explained = explain(caught.value)
    assert explained is not None
    assert explained.message.startswith("impatient cannot be imported: invalid literal for int()")


def test_a_proxy_that_cannot_be_used_concerns_the_hub_alone(smallest_run: Path, tmp_path: Path) -> None:
    """Set it in the way of GNOME."""
    environment = {"ALL_PROXY": "socks://127.0.0.1:1080/", "HF_TOKEN": "hf_x", "HOME": str(tmp_path)}
    words = {("predict", smallest_run, "so good"): 0, ("push-to-hub", smallest_run, "--repo-id", "you/model"): 1}
    for command, code in words.items():
        started = Command(*command, env=environment)
        _, stderr = started.communicate()
        assert started.returncode == code, stderr
        assert "Traceback" not in stderr
    assert "The Hub cannot be asked: " in stderr


def test_a_defect_keeps_its_traceback() -> None:
    defects = (ValueError("a defect"), RuntimeError("a defect"), FileNotFoundError(2, "No such file or directory", "x"))
    assert [explain(error) for error in defects] == [None] * len(defects)


@pytest.mark.long
@pytest.mark.parametrize("megabytes", [100, 300, 450, 600, 900])
def test_little_memory_from_the_start(megabytes: int, smallest_run: Path) -> None:
    for words in (["recipes", "ls"], ["predict", str(smallest_run), "hi"], ["prepare", "--dataset", "sample"]):
        ended = subprocess.run(
            [sys.executable, "-m", "sentiment140_bert", *words],
            preexec_fn=partial(surroundings.limit, resource.RLIMIT_AS, megabytes << 20),
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in ended.stderr, words
        assert ended.returncode == (words[0] != "recipes"), ended.stderr
        assert ended.returncode == 0 or "MiB of memory (ulimit -v), and at least" in ended.stderr


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [({}, "3000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, None)],
)
def test_waiting_threads_sleep_soon_unless_the_user_chose(
    monkeypatch: pytest.MonkeyPatch, chosen: dict[str, str], expected: str | None
) -> None:
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    share_processors()
    assert os.environ.get("GOMP_SPINCOUNT") == expected


def test_streams_that_were_closed_are_no_files(tmp_path: Path) -> None:
    """Open the null device instead: a file would get the number of a closed stream, and receive its output."""
    program = (
        "import os, sys\n"
        "from sentiment140_bert.cli.surroundings import open_missing_streams\n"
        "open_missing_streams()\n"
        "file = open(sys.argv[1], 'w')\n"
        "os.write(1, b'printed'); os.write(2, b'printed'); print('printed'); print('printed', file=sys.stderr)\n"
        "assert sys.stdin.read() == ''\n"
    )
    words = [sys.executable, "-c", program, str(tmp_path / "file")]
    ended = subprocess.run(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *words], env=os.environ, check=False)
    assert (ended.returncode, (tmp_path / "file").read_text()) == (0, "")
