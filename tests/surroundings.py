"""Odd conditions of a machine, made in a forked process, and every verb of the command line with what it needs.

Nothing is imitated: streams are closed, limits are set, file systems are mounted, all in the forked process alone.
"""

from __future__ import annotations

import ctypes
import json
import locale
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from command_line import Command
from sentiment140_bert.files import TEMPORARY, hash_file

MIB = 2**20
CLONE_NEWNS, MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 1, 32, 4096, 0x4000, 0x40000
LATER = 4_000_000_000  # seconds since 1970: the year 2096
WEIGHTS = "run/model/model.safetensors"
WRITTEN = ("run", "cache", "out", "tmp")  # folders of a place that a verb writes to


class Place(NamedTuple):
    """The folder of one command: ``run`` is a finished run, ``cache`` its prepared tweets, ``out`` is for new files."""

    path: Path

    @property
    def environment(self) -> dict[str, str]:
        folders = {"S140_CACHE": "cache", "TMPDIR": "tmp", "HOME": "home"}
        return {name: str(self.path / folder) for name, folder in folders.items()} | {"OMP_NUM_THREADS": "1"}


def make_place(path: Path, run: Path, cache: Path) -> Place:
    shutil.copytree(run, path / "run")
    shutil.copytree(cache, path / "cache")
    for name in ("out", "tmp", "home"):
        (path / name).mkdir()
    shutil.copytree(run / "model", path / "pickled", ignore=shutil.ignore_patterns("*.safetensors"))
    torch.save(load_file(run / "model" / "model.safetensors"), path / "pickled" / "pytorch_model.bin")
    (path / "tweets.txt").write_text("what a fine day\nthis is so sad\n")
    return Place(path)


def verbs(place: Path, train: list[str], tune: Path) -> dict[str, list[object]]:
    """Return the arguments of every command.

    Args:
        place: What :func:`make_place` made.
        train: Flags of a small training.
        tune: A recipe with ranges.
    """
    run, out = place / "run", place / "out"
    prepare = [word for at in range(0, len(train), 2) if train[at] in PREPARING for word in train[at : at + 2]]
    return {
        "recipes ls": ["recipes", "ls"],
        "recipes show": ["recipes", "show", "quickstart"],
        "recipes cp": ["recipes", "cp", "quickstart", out / "mine.yaml"],
        "recipes validate": ["recipes", "validate", "quickstart"],
        "doctor": ["doctor", "--no-probe", "--output-dir", out / "new", *train],
        "prepare": ["prepare", *prepare, "--split-seed", "7"],
        "train": ["train", "--output-dir", out / "new", *train],
        "evaluate": ["evaluate", run],
        "evaluate --dataset": ["evaluate", run / "model", "--dataset", "sample", "--output", out / "scores.json"],
        "predict": ["predict", run, "what a fine day"],
        "predict --input": ["predict", run, "--input", place / "tweets.txt", "--output", out / "answers.parquet"],
        "card": ["card", run],
        "report": ["report", run],
        "verify": ["verify", run, "--json"],
        "export": ["export", run],
        "convert": ["convert", place / "pickled", "--output", out / "converted"],
        "suspects": ["suspects", run, "--output", out / "suspects.csv"],
        "track show": ["track", "show", run],
        "track sync": ["track", "sync", run, "--report-to", "tensorboard"],
        "push-to-hub --dry-run": ["push-to-hub", run, "--repo-id", "tester/model", "--dry-run"],
        "push-to-hub": ["push-to-hub", run, "--repo-id", "tester/model", "--dataset-repo-id", "tester/data"],
        "learning-curve": ["learning-curve", out / "curve", *train, "--sizes", "40,80,160", "--seeds", "1"],
        "tune": ["tune", out / "study", "--recipe", tune, "--trials", "1", "--final-seeds", "0"],
    }


PREPARING = {f"--{name}" for name in ("model-name-or-path", "dataset", "max-samples", "validation-size", "test-size")}


def without_home() -> None:
    """Run as a user whom the machine does not know, as in a container started with a user's number."""
    os.environ.pop("HOME", None)
    _private_mounts()
    _mount("/dev/null", Path("/etc/passwd"), "", MS_BIND)


def without_cache() -> None:
    """Unset every variable that names the cache."""
    without_home()
    del os.environ["S140_CACHE"]


def home_at(name: str) -> None:
    os.environ["HOME"] = name


def read_only(*folders: Path) -> None:
    """Make some folders read-only, even for root."""
    _private_mounts()
    for folder in folders:
        _mount(str(folder), folder, "", MS_BIND)
        _mount("", folder, "", MS_BIND | MS_REMOUNT | MS_RDONLY)


def small_disk(folder: Path, size: int = MIB) -> None:
    """Mount a file system with this many free bytes on a folder."""
    _private_mounts()
    holds = tempfile.mkdtemp(dir=folder.parent)
    shutil.copytree(folder, holds, dirs_exist_ok=True)
    used = sum(path.stat().st_blocks * 512 for path in folder.rglob("*"))
    _mount("tmpfs", folder, "tmpfs", 0, f"size={used + size}")
    shutil.copytree(holds, folder, dirs_exist_ok=True)
    shutil.rmtree(holds)


def can_mount() -> bool:
    """Return True if our processes may mount file systems."""
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0


def _private_mounts() -> None:
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), "unshare")
    _mount("none", Path("/"), "", MS_REC | MS_PRIVATE)


def _mount(source: str, folder: Path, kind: str, flags: int, options: str = "") -> None:
    mount = ctypes.CDLL(None, use_errno=True).mount
    words = (source.encode(), str(folder).encode(), kind.encode(), flags, options.encode())
    if mount(words[0], words[1], words[2], ctypes.c_ulong(flags), words[4]):
        raise OSError(ctypes.get_errno(), "mount", str(folder))


def close(descriptor: int) -> None:
    """Close a stream, as ``>&-`` does in a shell; Python then has no such stream."""
    os.close(descriptor)
    setattr(sys, ("stdin", "stdout", "stderr")[descriptor], None)


def reader_gone(descriptor: int = 1) -> None:
    reading, writing = os.pipe()
    os.dup2(writing, descriptor)
    os.close(reading)
    os.close(writing)


def limit(kind: int, most: int) -> None:
    resource.setrlimit(kind, (most, most))


def limit_memory(more: int) -> None:
    """Allow this many bytes of address space more than are in use."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit(resource.RLIMIT_AS, pages * resource.getpagesize() + more)


def plain_locale() -> None:
    """Set up the streams as Python does in the locale C, with its UTF-8 mode off."""
    os.environ |= {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    locale.setlocale(locale.LC_ALL, "C")
    sys.stdout = open(1, "w", encoding="ascii", errors="surrogateescape", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, encoding="ascii", errors="backslashreplace", closefd=False)  # noqa: SIM115


def encode_output(encoding: str) -> None:
    """Set up the streams as Python does where PYTHONIOENCODING or the locale names an encoding."""
    sys.stdout = open(1, "w", encoding=encoding, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, encoding=encoding, errors="backslashreplace", closefd=False)  # noqa: SIM115


def set_times(folder: Path, seconds: int) -> None:
    """Set the time of every file, as if the clock was wrong then, or is now."""
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (seconds, seconds))


def without_folder() -> None:
    """Change to a working directory, and remove it."""
    os.chdir(tempfile.mkdtemp())
    Path.cwd().rmdir()


def umask(mask: int) -> None:
    os.umask(mask)


# What every verb must do its work under.
HARMLESS: dict[str, Callable[[Path], Callable[[], None]]] = {
    "plain": lambda place: partial(umask, 0o022),
    "no HOME": lambda place: without_home,
    "HOME is no folder": lambda place: partial(home_at, "/proc/none/home"),
    "HOME is a file": lambda place: partial(home_at, str(place / "tweets.txt")),
    "HOME read-only": lambda place: partial(read_only, place / "home"),
    "stdin closed": lambda place: partial(close, 0),
    "stdout closed": lambda place: partial(close, 1),
    "stderr closed": lambda place: partial(close, 2),
    "umask 000": lambda place: partial(umask, 0),
    "umask 077": lambda place: partial(umask, 0o077),
    "locale C": lambda place: plain_locale,
    "files of the future": lambda place: partial(set_times, place, LATER),
    "files of 1970": lambda place: partial(set_times, place, 0),
    "64 open files": lambda place: partial(limit, resource.RLIMIT_NOFILE, 64),
}
# What a verb may end by, with an error.
SCARCE: dict[str, Callable[[Path], Callable[[], None]]] = {
    "no working directory": lambda place: without_folder,
    "no folder for the cache": lambda place: without_cache,
    "stdout's reader gone": lambda place: partial(reader_gone, 1),
    "stderr's reader gone": lambda place: partial(reader_gone, 2),
    "24 open files": lambda place: partial(limit, resource.RLIMIT_NOFILE, 24),
    "files of 100 KB": lambda place: partial(limit, resource.RLIMIT_FSIZE, 100_000),
    "files of 1 KB": lambda place: partial(limit, resource.RLIMIT_FSIZE, 1_000),
    "output full": lambda place: partial(small_disk, place / "out", 64 * 1024),
    "run full": lambda place: partial(small_disk, place / "run", 64 * 1024),
    "cache full": lambda place: partial(small_disk, place / "cache", 16 * 1024),
    "TMPDIR full": lambda place: partial(small_disk, place / "tmp", 16 * 1024),
    "all read-only": lambda place: partial(read_only, *(place / name for name in (*WRITTEN, "home"))),
    "8 MiB of memory": lambda place: partial(limit_memory, 8 * MIB),
    "64 MiB of memory": lambda place: partial(limit_memory, 64 * MIB),
    "600 MiB of memory": lambda place: partial(limit_memory, 600 * MIB),
}
CONDITIONS = HARMLESS | SCARCE
ABORTED = (-signal.SIGABRT, -signal.SIGSEGV)  # of a library in C++ or Rust that gets no memory
ALLOWED = {
    "stdout's reader gone": (0, 141),
    "stderr's reader gone": (0, 1, 141),
    "8 MiB of memory": (0, 1, 2, *ABORTED),
    "64 MiB of memory": (0, 1, 2, *ABORTED),
    "no working directory": (1,),
}


class Outcome(NamedTuple):
    """The end of a process, and what is wrong with it or with the files that it left."""

    code: int
    stderr: str
    faults: list[str]


def run_under(condition: str, place: Path, words: Sequence[object]) -> Outcome:
    """Run a command under a condition, in a folder that :func:`make_place` made."""
    weights, before = hash_file(place / WEIGHTS), modes(place)
    prepare = CONDITIONS[condition](place)
    with Command(*words, env=Place(place).environment, cwd=place, prepare=prepare) as command:
        code = command.wait(300)
        stderr = command.stderr.whole()
    faults = ["a traceback"] if "Traceback (most recent call last)" in stderr else []
    if code not in ((0,) if condition in HARMLESS else ALLOWED.get(condition, (0, 1, 2))):
        faults.append(f"ended with {code}")
    if code == 1 and "Error: " not in stderr and condition not in ("stderr closed", "stderr's reader gone"):
        faults.append("no error was shown")
    faults += damage(place)
    if hash_file(place / WEIGHTS) != weights:
        faults.append("other weights")
    if condition.startswith("umask"):
        mask = int(condition.split()[1], 8)
        faults += [
            f"{name}: mode {mode:o}"
            for name, mode in modes(place).items()
            if name not in before and mode != (0o777 if (place / name).is_dir() else 0o666) & ~mask
        ]
    return Outcome(code, stderr, faults)


def damage(place: Path) -> list[str]:
    """Return half-written files: leftovers, and files that cannot be read."""
    faults = [str(path.relative_to(place)) for path in (place / "tmp").iterdir()]
    for path in (path for name in WRITTEN for path in sorted((place / name).rglob("*"))):
        try:
            if path.name.startswith(TEMPORARY):
                faults.append(f"left: {path.relative_to(place)}")
            elif path.suffix == ".json":
                json.loads(path.read_text("utf-8"))
            elif path.suffix == ".safetensors":
                load_file(path)
            elif path.suffix == ".parquet":
                pq.read_metadata(path)
        except (OSError, ValueError, SafetensorError) as error:
            faults.append(f"{path.relative_to(place)}: {error}")
    return faults


def modes(place: Path) -> dict[str, int]:
    """Return the permissions of every file and folder that a command may write."""
    paths = [path for name in WRITTEN for path in (place / name).rglob("*")]
    return {str(path.relative_to(place)): stat.S_IMODE(path.stat().st_mode) for path in paths}
