"""One process at a time in a run directory; the lock goes with the process, however that ends."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from command_line import Command, complete
from sentiment140_bert.errors import RunError
from sentiment140_bert.files import DAY, TEMPORARY, write_text
from sentiment140_bert.locks import LOCK, check_still_locked, lock_folder, make_lock
from sentiment140_bert.run import RunDir
from sentiment140_bert.training.checkpoints import MANIFEST
from stranger_fixtures import contents
from tiny_run import flags

pytest_plugins = "model_fixtures"
HOLDER = """
import os, sys, pathlib, time
from sentiment140_bert.locks import lock_folder
with lock_folder(pathlib.Path(sys.argv[1]), "training", create=True):
    parent = not sys.argv[2:] or os.fork()
    if not parent or not sys.argv[2:]:
        print("held", flush=True)
    sys.stdin.read() if parent else signal.pause()
"""


def test_a_circular_link_is_one_error_message(tmp_path: Path) -> None:
    (tmp_path / "run").symlink_to("run")
    with pytest.raises(RunError, match="run"), lock_folder(tmp_path / "run", "training", create=True):
        pass


def test_a_child_does_not_hold_on_to_it(tmp_path: Path) -> None:
    """Start processes that read ahead: they outlive a killed training by seconds."""
    words = [sys.executable, "-c", HOLDER, str(tmp_path / "run"), "with a child"]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        try:
            with lock_folder(tmp_path / "run", "training"):
                pass
        finally:
            os.killpg(holder.pid, signal.SIGKILL)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Start another process that holds ``run``."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path / "run")], **pipes) as holder:
        assert holder.stdout.readline() == "held\n"
        yield holder
        holder.kill()


def test_a_second_process_learns_at_once_who_holds_the_lock(other: subprocess.Popen[str], tmp_path: Path) -> None:
    with (
        pytest.raises(RunError, match=f"is in use: training by process {other.pid} on ") as caught,
        lock_folder(tmp_path / "run", "scoring"),
    ):
        pass
    assert "Wait until it ends" in caught.value.hint


def test_commands_that_use_a_run_do_not_start_during_its_training(
    other: subprocess.Popen[str], smallest_run: Path, tmp_path: Path, s140
) -> None:
    run = shutil.copytree(smallest_run, tmp_path / "run", dirs_exist_ok=True)
    for words in (["evaluate"], ["report", "--no-attributions"], ["export"], ["export", "--output", tmp_path / "new"]):
        result = s140(*words, run, code=1)
        assert f"is in use: training by process {other.pid} on " in result.stderr, words
    assert not (run / "onnx").exists()
    assert not (run / "report.html").exists()


def test_a_process_that_was_killed_holds_nothing(other: subprocess.Popen[str], tmp_path: Path) -> None:
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert (tmp_path / "run" / LOCK).is_file()
    with lock_folder(tmp_path / "run", "training"):
        pass
    assert not (tmp_path / "run").joinpath(LOCK).exists()


def test_a_process_may_hold_a_lock_several_times(tmp_path: Path) -> None:
    with lock_folder(tmp_path, "training"):
        for _ in range(2):
            with lock_folder(tmp_path, "scoring"):
                pass
            assert (tmp_path / LOCK).is_file()
    assert not (tmp_path / LOCK).exists()


def test_a_folder_that_was_made_for_it_and_stays_empty_is_removed(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), lock_folder(tmp_path / "a" / "b", "training", create=True):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
    with lock_folder(tmp_path / "a" / "b", "training", create=True):
        write_text(tmp_path / "a" / "b" / "recipe.yaml", "")
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["recipe.yaml"]


def test_what_a_killed_process_was_writing_is_removed(tmp_path: Path) -> None:
    """Keep what was written within the last day: its writer may be alive. A folder counts by its newest file."""
    old, young = time.time() - DAY - 600, time.time() - DAY + 600
    files = {"old.json": old, "young.json": young}
    folders = {"old": (old, old), "with a young file": (old, young), "young itself": (young, old)}
    (tmp_path / "model").mkdir()
    for name, written in files.items():
        file = tmp_path / "model" / f"{TEMPORARY}{name}"
        file.write_text("half")
        os.utime(file, (written, written))
    for name, (written, inside) in folders.items():
        folder = tmp_path / "model" / f"{TEMPORARY}{name}"
        folder.mkdir()
        for file, moment in ((folder / "config", old), (folder / "weights", inside), (folder, written)):
            if file != folder:
                file.write_bytes(b"half")
            os.utime(file, (moment, moment))
    (tmp_path / "model" / "old file").write_text("whole")
    os.utime(tmp_path / "model" / "old file", (old, old))
    with lock_folder(tmp_path, "training"):
        left = {path.name.removeprefix(TEMPORARY) for path in (tmp_path / "model").iterdir()}
    assert left == {"young.json", "with a young file", "young itself", "old file"}


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_warns_instead_of_locking_where_locks_are_not_supported(
    number: int, tmp_path: Path, monkeypatch, caplog
) -> None:
    """Imitate the kernel's answer on some network drives; the test machine has none."""

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    logging.getLogger("sentiment140_bert").propagate = True
    with lock_folder(tmp_path, "training"):
        assert list(tmp_path.iterdir()) == []
    assert "only one process writes there" in caplog.text


def test_a_lock_just_released_is_not_mistaken_for_one_held(tmp_path: Path) -> None:
    """Let two processes lock and release the same folder repeatedly; the second one waits or gets an error."""
    loop = (
        "import sys, pathlib\nfrom sentiment140_bert.errors import RunError\n"
        "from sentiment140_bert.locks import lock_folder\nheld = 0\n"
        "while held < 200:\n"
        "    try:\n"
        "        with lock_folder(pathlib.Path(sys.argv[1]), 'training'):\n"
        "            (pathlib.Path(sys.argv[1]) / 'alone').mkdir()\n"
        "            (pathlib.Path(sys.argv[1]) / 'alone').rmdir()\n"
        "            held += 1\n"
        "    except RunError:\n"
        "        pass\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", loop, str(tmp_path)]) for _ in range(2)]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    assert list(tmp_path.iterdir()) == []


def test_two_trainings_into_one_folder(classifier_folder: Path, tmp_path: Path, s140) -> None:
    words = ["train", "--output-dir", tmp_path / "run", *flags(model_name_or_path=classifier_folder)]
    with Command(*words, pause_at="step 2/") as first:
        first.wait_until_paused()
        for verb in (words, [*words, "--overwrite"], ["train", "--output-dir", tmp_path / "run", "--resume"]):
            result = s140(*verb, code=1)
            assert f"is in use: training by process {first.pid} on " in result.stderr
        result = s140("track", "sync", tmp_path / "run", code=1)
        assert "has no tracker" in result.stderr
    assert (tmp_path / "run" / "recipe.yaml").is_file()


def test_a_lock_that_is_another_ones_second_name_is_its_own(tmp_path: Path) -> None:
    """Otherwise one process would wait for itself."""
    with make_lock(tmp_path / "one.lock"):
        (tmp_path / "other.lock").hardlink_to(tmp_path / "one.lock")
        with make_lock(tmp_path / "other.lock", timeout=0):
            pass


def test_a_link_that_is_pointed_elsewhere_leads_no_training_there(
    classifier_folder: Path, smallest_run: Path, tmp_path: Path
) -> None:
    """``runs/latest``, say, which a nightly job moves on."""
    for day in ("day1", "day2"):
        (tmp_path / day).mkdir()
    shutil.copytree(smallest_run, tmp_path / "day2" / "run")
    before, latest = contents(tmp_path / "day2"), tmp_path / "latest"
    latest.symlink_to("day1")
    words = ["train", "--output-dir", latest / "run", *flags(model_name_or_path=classifier_folder)]
    with Command(*words, pause_at="step 2/") as training:
        training.wait_until_paused()
        latest.unlink()
        latest.symlink_to("day2")
        training.resume()
        training.communicate()
    assert training.returncode == 0
    assert RunDir(tmp_path / "day1" / "run").is_finished()
    assert contents(tmp_path / "day2") == before


MOVED = {
    "run": (("train",), ("--output-dir",), "step 8/"),
    "curve": (("learning-curve",), ("--sizes", "60,120", "--seeds", "1"), "step 2/"),
}


@pytest.mark.parametrize("on_volume", [False, True])
@pytest.mark.parametrize("kind", MOVED)
def test_what_is_moved_writes_nothing_into_what_takes_its_place(
    kind: str, on_volume: bool, classifier_folder: Path, smallest_run: Path, tmp_path: Path
) -> None:
    folder, there = tmp_path / "place", tmp_path / "there"
    verb, options, pause = MOVED[kind]
    words = [*verb, folder, *options] if kind == "curve" else [*verb, *options, folder]
    env = {"S140_VOLUMES": str(tmp_path)} if on_volume else {}
    command = [*words, *flags(model_name_or_path=classifier_folder)]
    with Command(*command, pause_at=pause, env=env) as first:
        first.wait_until_paused()
        if kind == "run":
            first.wait_for((folder / "checkpoints" / "checkpoint-6" / MANIFEST).exists)
        folder.rename(there)
        shutil.copytree(smallest_run, folder)
        (folder / LOCK).write_text("of another process")
        before = contents(folder)
        first.resume()
        _, errors = first.communicate()
    assert first.returncode == 1
    assert "was moved or removed while" in errors
    assert contents(folder) == before
    if on_volume and kind == "run":  # it was trained on the local disk, and is not lost
        assert "Copy it yourself: cp -r " in errors
        assert f"/. {folder}-1" in errors
        return
    s140 = [*(word if word != folder else there for word in words), *flags(model_name_or_path=classifier_folder)]
    assert ("resume: from checkpoint-" in complete(*s140, env=env)[1]) == (kind == "run")
    assert (there / ("metrics.json" if kind == "run" else "curve.json")).is_file()


def test_a_backup_of_hard_links_takes_no_lock_away(tmp_path: Path) -> None:
    """A second name of a file that nobody locked is removed before it is locked, and that file stays as it is."""
    run = tmp_path / "run"
    run.mkdir()
    (tmp_path / "notes").write_text("mine")
    with lock_folder(run, "training"):
        os.link(run / LOCK, tmp_path / "backup")
        again = complete("train", "--output-dir", run, *flags(), code=1)[1]
        assert f"is in use: training by process {os.getpid()} on " in again
        check_still_locked(run)
    os.link(tmp_path / "notes", run / LOCK)
    with lock_folder(run, "training"):
        check_still_locked(run)
    assert (tmp_path / "notes").read_text() == "mine"


def test_a_lock_that_a_contender_emptied_is_still_held(tmp_path: Path) -> None:
    """Some versions of filelock do that."""
    with lock_folder(tmp_path, "training"):
        (tmp_path / LOCK).write_text("")
        check_still_locked(tmp_path)
        (tmp_path / LOCK).rename(tmp_path / "moved")
        for of_another in (False, True):
            if of_another:
                (tmp_path / LOCK).write_text("")
            with pytest.raises(RunError, match="was moved or removed"):
                check_still_locked(tmp_path)
    assert (tmp_path / LOCK).exists()  # it is not this process's to remove
    check_still_locked(tmp_path)
