"""Files and folders are written whole or not at all, with the permissions of the umask."""

from __future__ import annotations

import errno
import json
import os
import resource
import stat
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from sentiment140_bert import files
from sentiment140_bert.errors import RunError
from sentiment140_bert.files import (
    FORMER,
    TEMPORARY,
    hash_file,
    keep_new,
    remove_leftovers,
    write_folder_whole,
    write_json,
    write_text,
    write_whole,
)
from sentiment140_bert.full_disk import build_full_disk_error, explain_full_disk
from sentiment140_bert.run import RunDir, read_json


@pytest.fixture
def run(tmp_path) -> RunDir:
    return RunDir(tmp_path / "runs" / "one")


def put(file: Path, text: str = "{}") -> None:
    """Write a file without waiting for the disk."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_is_refused_and_the_old_file_stays(run, value):
    file = run.path / "any.json"
    write_json(file, {"old": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(file, {"new": value})
    assert run.read(file, dict) == {"old": 1}


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(run, error):
    write_text(run.recipe, "old")

    def write_half() -> None:
        with write_whole(run.recipe) as temporary:
            temporary.write_text("half of the n")
            raise error

    with pytest.raises(error):
        write_half()
    assert [(path.name, path.read_text()) for path in run.path.iterdir()] == [("recipe.yaml", "old")]


@pytest.fixture
def disk(monkeypatch) -> list[tuple[str, str]]:
    """Record in order what is synced to the disk, and what is renamed into place."""
    events = []
    fsync, replace = os.fsync, Path.replace

    def watch_fsync(handle: int) -> None:
        events.append(("on the disk", Path(f"/proc/self/fd/{handle}").readlink().name))
        fsync(handle)

    def watch_replace(self: Path, target: Path) -> Path:
        events.append(("in place", target.name))
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", watch_fsync)
    monkeypatch.setattr(Path, "replace", watch_replace)
    return events


def test_a_power_cut_leaves_the_old_or_the_new_file(run, disk):
    write_text(run.recipe, "new")
    (content, written), place, (names, folder) = disk
    assert (content, names) == ("on the disk", "on the disk")
    assert written.startswith(".s140-new-recipe.yaml.")
    assert place == ("in place", "recipe.yaml")
    assert folder == run.path.name


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    """Follow the umask even if a library writes for the user only, as safetensors does."""
    wrong = []
    before = os.umask(0)
    try:
        for mask in (0, 0o022, 0o077):
            os.umask(mask)
            folder = tmp_path / f"{mask:o}"
            with write_folder_whole(folder / "model") as temporary:
                (temporary / "deep").mkdir(0o700)
                save_file({"a": np.zeros(1)}, temporary / "deep" / "weights")
            write_text(folder / "a.txt", "x")
            assert os.umask(mask) == mask
            for path in folder.rglob("*"):
                mode = stat.S_IMODE(path.stat().st_mode)
                if mode != (0o777 if path.is_dir() else 0o666) & ~mask:
                    wrong.append(f"umask {mask:o}: {path.name}: {mode:o}")
    finally:
        os.umask(before)
    assert wrong == []


@pytest.mark.parametrize("has_exchange", [True, False])
def test_a_power_cut_leaves_the_old_or_the_new_folder(run, disk, monkeypatch: pytest.MonkeyPatch, has_exchange: bool):
    exchange = files._exchange

    def hear(one: Path, other: Path) -> bool:
        if is_exchanged := has_exchange and exchange(one, other):
            disk.append(("in place", other.name))
        return is_exchanged

    monkeypatch.setattr(files, "_exchange", hear)
    for content in ("old", "new"):
        disk.clear()
        with write_folder_whole(run.model) as temporary:
            (temporary / "deep").mkdir()
            (temporary / "deep" / "weights").write_text(content)
            (temporary / "config.json").write_text(content)
        placed = disk.index(("in place", "model"))
        written = {temporary.name, "deep", "weights", "config.json"}
        assert {name for event, name in disk[:placed] if event == "on the disk"} == written
        assert disk[placed + 1 :] == [("on the disk", run.path.name)]
        assert (run.model / "deep" / "weights").read_text() == content
        assert [path.name for path in run.path.iterdir()] == ["model"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux exchanges two folders in one step")
def test_a_folder_is_replaced_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "model" / "weights", "old")
    monkeypatch.delattr(Path, "replace")
    with write_folder_whole(tmp_path / "model") as temporary:
        put(temporary / "weights", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert (tmp_path / "model" / "weights").read_text() == "new"


def test_a_folder_that_was_to_be_replaced_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop a write between its two renames: by an error of the second one, and by a kill."""
    folder, replace = tmp_path / "a-model", Path.replace
    put(folder / "weights", "old")

    def refuse(self: Path, target: Path) -> Path:
        if target.parent == tmp_path and FORMER not in self.name + target.name:
            raise OSError(errno.EBUSY, "Device or resource busy")
        return replace(self, target)

    monkeypatch.setattr(files, "_exchange", lambda one, other: False)
    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(RunError, match="Device or resource busy"), write_folder_whole(folder) as temporary:
        put(temporary / "weights", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["a-model"]
    assert (folder / "weights").read_text() == "old"
    with pytest.raises(RunError, match="Device or resource busy"):
        write_text(folder.with_name("file"), "")  # which may be a mounted one

    replace(folder, temporary.with_name(f"{temporary.name}{FORMER}"))
    remove_leftovers(tmp_path)
    assert (folder / "weights").read_text() == "old"

    replace(folder, temporary.with_name(f"{temporary.name}{FORMER}"))
    with pytest.raises(ZeroDivisionError), write_folder_whole(folder):  # the next one, by the same command
        raise ZeroDivisionError
    assert (folder / "weights").read_text() == "old"


def test_what_a_killed_process_left_is_removed_by_the_next_writer_after_a_day(tmp_path: Path) -> None:
    leftovers = [tmp_path / f"{TEMPORARY}a-model-k1" / "weights", tmp_path / f"{TEMPORARY}labels.csv.k1.csv"]
    others = [tmp_path / f"{TEMPORARY}a-model2-k1" / "weights", tmp_path / f"{TEMPORARY}labels.csv2.k1"]
    new = [tmp_path / f"{TEMPORARY}a-model-k2" / "weights", tmp_path / f"{TEMPORARY}labels.csv.k2.csv"]
    for file in (*leftovers, *others, *new):
        put(file, "half")
    for path in (*leftovers, *others, *(file.parent for file in leftovers + others if file.name == "weights")):
        os.utime(path, (1e9, 1e9))
    with write_folder_whole(tmp_path / "a-model") as temporary:
        put(temporary / "weights", "whole")
    write_text(tmp_path / "labels.csv", "whole")
    assert [file.exists() for file in (*leftovers, *others, *new)] == [False] * 2 + [True] * 4


def test_what_comes_into_being_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    """Neither a file that was promised to be new nor a folder; what was made stays next to it."""
    file, folder = tmp_path / "labels.csv", tmp_path / "export"
    keep_new(file, True)

    def make_file() -> None:
        with write_whole(file) as temporary:
            temporary.write_text("made")
            file.write_text("a person's")

    def make_folder() -> None:
        with write_folder_whole(folder) as temporary:
            (temporary / "graph").write_text("made")
            folder.mkdir(exist_ok=True)
            (folder / "thesis.txt").write_text("a person's")

    with pytest.raises(RunError, match="appeared") as caught:
        make_file()
    assert str(tmp_path / "labels-1.csv") in caught.value.hint
    with pytest.raises(RunError, match="appeared"):
        make_folder()
    with pytest.raises(RunError, match="got files"), write_folder_whole(folder, replaceable=()):
        pass
    (folder / "thesis.txt").rename(folder / "other.txt")
    with pytest.raises(RunError, match="got files"):
        make_folder()
    (folder / "other.txt").unlink()
    there = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.relative_to(tmp_path).as_posix(): path.read_text() for path in there} == {
        "labels.csv": "a person's",
        "labels-1.csv": "made",
        "export/thesis.txt": "a person's",
        "export-1/graph": "made",
        "export-3/graph": "made",  # the second was empty
    }
    keep_new(file, False)
    with write_whole(file) as temporary:
        temporary.write_text("as --overwrite allows")
    assert file.read_text() == "as --overwrite allows"


@pytest.mark.parametrize("name", [".", "..", "deep/..", "/"])
def test_a_folder_without_a_name_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("deep").mkdir()
    with pytest.raises(RunError, match="cannot be replaced"), write_folder_whole(Path(name)):
        pytest.fail("it begins to work")


@pytest.mark.parametrize("write", [write_text, lambda path, text: save_file({"x": np.zeros(5000)}, path)])
def test_too_large_a_file_is_explained(tmp_path, write):
    """Explain a limit of the shell or of a file system such as FAT32; safetensors has its own words for it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(RunError, match="maximum file size"), explain_full_disk(tmp_path / "large"):
            write(tmp_path / "large", "x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_found_without_a_name(tmp_path):
    message = build_full_disk_error(None).message
    assert f"MiB are free in {Path.cwd()}" in message
    assert f"MiB are free in {tempfile.gettempdir()}" in message


def test_pipes_and_folders_are_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(RunError, match=f"{name} exists and is not a regular file"):
            write_text(tmp_path / name, "x")
    with pytest.raises(RunError, match="pipe exists and is not a folder"), write_folder_whole(tmp_path / "pipe"):
        pass
    assert {path.name for path in tmp_path.iterdir()} == {"pipe", "folder"}
    assert (tmp_path / "pipe").is_fifo()


def test_hashes_are_sha256(tmp_path: Path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert hash_file(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_json_round_trips_with_names_that_are_not_unicode(tmp_path: Path) -> None:
    content = {"dataset": "caf\udce9.csv", "text": "caf\xe9 ♥", "score": 0.1 + 0.2, "none": None, "list": [1, 2]}
    write_json(tmp_path / "data.json", content)
    text = (tmp_path / "data.json").read_text("utf-8")
    assert json.loads(text) == content | {"dataset": "caf\\udce9.csv"}
    assert read_json(tmp_path / "data.json", dict) == json.loads(text)
    assert "♥" in text
