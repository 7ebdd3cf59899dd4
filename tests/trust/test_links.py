"""Folders of strangers: no link is followed out of them, and nothing is removed or written through one."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import re
import shutil
import socket
import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from transformers import TrainerState

from hub_server import HubServer
from sentiment140_bert import trust
from sentiment140_bert.errors import StoreError, TrustError
from sentiment140_bert.experiments.tune.results import StudyDir
from sentiment140_bert.experiments.tune.store import SUPER_JOURNAL, Store, make_file_url
from sentiment140_bert.files import TEMPORARY, hash_file, remove_leftovers, remove_path, write_folder_whole, write_json
from sentiment140_bert.locks import LOCK, lock_folder
from sentiment140_bert.run import RunDir
from sentiment140_bert.training import checkpoints, volumes
from sentiment140_bert.training.callbacks import Progress
from stranger_fixtures import VERBS, contents, invoke, put_link

pytest_plugins = ("hub_fixtures", "stranger_fixtures")

# What is put into a run in the place of what is there, and leads to a file or a folder elsewhere.
LINKS = {
    "model/vocab.txt": "note.txt",
    "model/added_tokens.json": "note.txt",
    "model": "folder",
    "figures/calibration.png": "note.txt",
    "metrics.json": "note.txt",
    "history.jsonl": "note.txt",
    ".s140.lock": "note.txt",
    "onnx": "folder",
    "checkpoints": "folder",
    "checkpoints/checkpoint-3": "folder",
    "checkpoints/checkpoint-3/optimizer.pt": "note.txt",
}


@pytest.mark.parametrize("name", LINKS)
def test_no_verb_reads_or_writes_through_a_link(
    hub: HubServer, run_copy: Path, encoder: Path, elsewhere: Path, name: str
) -> None:
    put_link(run_copy, name, elsewhere / LINKS[name])
    before, files = contents(elsewhere), sorted(path.name for path in run_copy.iterdir())
    wrong = {}
    for verb, words in VERBS.items():
        result = invoke(words, run_copy, encoder)
        text = " ".join(result.output.split())
        if result.exit_code not in (1, 2) or "is a link that points outside" not in text:
            wrong[verb] = result.exit_code, result.output[-300:], result.exception
        if contents(elsewhere) != before or sorted(path.name for path in run_copy.iterdir()) != files:
            wrong[verb] = "something was changed", contents(elsewhere)
    assert wrong == {}
    assert hub.repos == {}


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_pipes_and_sockets_are_refused_wherever_a_folder_is_read(
    run_copy: Path, encoder: Path, elsewhere: Path, kind: str
) -> None:
    file = run_copy / "model" / "config.json"
    file.unlink()
    if kind == "pipe":
        os.mkfifo(file)
    else:
        os.chdir(file.parent)  # a socket's name may not be long
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(file.name)
    model = [["predict", str(run_copy / "model"), "fine"], ["evaluate", str(run_copy / "model"), "--dataset", "sample"]]
    answers = [invoke(words, run_copy, encoder) for words in [*VERBS.values(), *model]]
    assert {answer.exit_code for answer in answers} <= {1, 2}
    assert [answer.output for answer in answers if "is a pipe or a device" not in " ".join(answer.output.split())] == []


def test_what_training_removes_while_a_folder_is_checked_is_passed_over(tmp_path: Path, monkeypatch) -> None:
    """The sender of checkpoints removes its copies beside every command that reads the run."""
    copy = tmp_path / "checkpoints/.for-the-hub/3/checkpoint-6"
    copy.mkdir(parents=True)
    (copy / "model.safetensors").touch()
    walk = os.walk

    def walk_and_remove(*arguments: Any, **options: Any) -> Iterator[object]:
        for row in walk(*arguments, **options):
            shutil.rmtree(tmp_path / "checkpoints/.for-the-hub", ignore_errors=True)
            yield row

    (tmp_path / "metrics.json").symlink_to("/etc/passwd")
    monkeypatch.setattr(os, "walk", walk_and_remove)
    with pytest.raises(TrustError, match=r"metrics\.json is a link"):  # it is checked to the end
        trust.check_folder(tmp_path)
    (tmp_path / "metrics.json").unlink()
    copy.mkdir(parents=True)
    trust.check_folder(tmp_path)


def test_links_within_a_folder_and_in_the_hubs_cache_are_its_own(tmp_path: Path, elsewhere: Path) -> None:
    repository = tmp_path / "models--somebody--model"
    snapshot = repository / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir()
    (repository / "blobs" / "b").write_text("{}")
    (snapshot / "config.json").symlink_to("../../blobs/b")
    (snapshot / "same.json").symlink_to("config.json")
    trust.check_folder(snapshot)
    for target in (elsewhere / "note.txt", Path("../../../../elsewhere/note.txt"), Path("config.json/../../../../..")):
        (snapshot / "out").unlink(missing_ok=True)
        (snapshot / "out").symlink_to(target)
        with pytest.raises(TrustError, match="points outside"):
            trust.check_folder(snapshot)
    (snapshot / "out").unlink()
    (snapshot / "circle").symlink_to("circle")
    with pytest.raises(TrustError, match="points outside"):
        trust.check_folder(snapshot)


def linked_checkpoint(folder: Path, elsewhere: Path) -> Path:
    """A checkpoint of links to files and a folder elsewhere, and of a file with a second name there."""
    folder.mkdir(parents=True)
    (folder / "model.safetensors").symlink_to(elsewhere / "note.txt")
    (folder / "complete.json").symlink_to(elsewhere / "folder" / "complete.json")
    (folder / "more").symlink_to(elsewhere / "folder")
    os.link(elsewhere / "folder" / "README.md", folder / "README.md")
    (folder / "own.txt").write_text("x")
    return folder


def update_copy(place: Path) -> None:
    run = RunDir(place / "local")
    write_json(run.data, {})
    volumes.VolumeCopy(run, RunDir(place)).update()


def replace_folder(place: Path) -> None:
    with write_folder_whole(place / "checkpoint-1") as new:
        (new / "a").write_text("a")


def remove_old(place: Path) -> None:
    leftover = place / f"{TEMPORARY}x"
    (place / "checkpoint-1").rename(leftover)
    for path in (leftover, *([] if leftover.is_symlink() else leftover.iterdir())):
        os.utime(path, (0, 0), follow_symlinks=False)
    remove_leftovers(place)


REMOVALS: dict[str, Callable[[Path], object]] = {
    "a checkpoint": lambda place: checkpoints.remove_checkpoint(place / "checkpoint-1"),
    "an emptied folder": lambda place: checkpoints.remove_emptied(place / "checkpoint-1"),
    "all checkpoints": lambda place: checkpoints.remove_checkpoints(RunDir(place.parent)),
    "older checkpoints": lambda place: checkpoints.remove_older(place / "checkpoint-2", "", 1),
    "any folder": lambda place: remove_path(place / "checkpoint-1"),
    "a replaced folder": replace_folder,
    "leftovers": remove_old,
    "a run": lambda place: RunDir(place.parent).clear(),
}


@pytest.mark.parametrize("as_folder", [False, True], ids=["links in it", "itself a link"])
def test_nothing_is_removed_emptied_or_replaced_through_a_link(
    tmp_path: Path, elsewhere: Path, as_folder: bool
) -> None:
    before, wrong = contents(elsewhere), {}
    for number, (name, remove) in enumerate(REMOVALS.items()):
        place = tmp_path / str(number) / "checkpoints"
        linked_checkpoint(place / "checkpoint-2", elsewhere)
        if as_folder:
            (place / "checkpoint-1").symlink_to(elsewhere / "folder")
        else:
            linked_checkpoint(place / "checkpoint-1", elsewhere)
        remove(place)
        if contents(elsewhere) != before:
            wrong[name] = contents(elsewhere)
        gone = not (place / "checkpoint-1" / "more").exists()
        if not gone and not (as_folder and name in ("all checkpoints", "older checkpoints", "leftovers")):
            wrong[name] = {"still there": str(place)}
    assert wrong == {}


def test_a_lock_that_is_a_link_is_not_written_through(tmp_path: Path, elsewhere: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / LOCK).symlink_to(elsewhere / "note.txt")
    with pytest.raises(TrustError, match="points outside"), lock_folder(tmp_path / "run", "a test"):
        pass
    assert (elsewhere / "note.txt").read_text() == "my own words"


def test_a_manifest_names_files_of_its_checkpoint_alone(tmp_path: Path, elsewhere: Path) -> None:
    folder = tmp_path / "checkpoint-1"
    folder.mkdir()
    (folder / "a.txt").write_text("a")
    checkpoints.seal(folder, 1.0)
    manifest = json.loads((folder / checkpoints.MANIFEST).read_text())
    manifest["files"]["../elsewhere/note.txt"] = {"size": 12, "sha256": hash_file(elsewhere / "note.txt")}
    write_json(folder / checkpoints.MANIFEST, manifest)
    assert list(checkpoints.find_damage(folder)) == ["its complete.json is damaged"]


@pytest.mark.parametrize("name", ["README.md", "model/.eval_results/x.yaml", "metrics.json", "model/vocab.txt"])
def test_a_page_of_any_size_is_not_read(tmp_path: Path, name: str) -> None:
    """A file with holes takes no room on the disk."""
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    largest = trust.LARGEST_OF_RUN if name == "metrics.json" else trust.LARGEST[file.suffix]
    os.truncate(file, largest)
    trust.check_folder(tmp_path)
    os.truncate(file, largest + 1)
    with pytest.raises(TrustError, match="bytes; at most"):
        trust.check_folder(tmp_path)


def test_a_folder_that_cannot_be_listed_is_refused(tmp_path: Path) -> None:
    """Its files could be opened by their names, and its links would be followed unseen."""
    folder = tmp_path / "run" / "model"
    folder.mkdir(parents=True)
    (folder / "config.json").symlink_to("/etc/hostname")
    for parent in (tmp_path, *tmp_path.parents[:-2]):
        parent.chmod(parent.stat().st_mode | 0o111)
    folder.chmod(0o311)
    child = os.fork()
    if child == 0:
        if os.geteuid() == 0:
            os.setuid(65534)
        try:
            trust.check_folder(folder.parent)
        except TrustError as error:
            os._exit(0 if "cannot be searched" in error.message else 2)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    folder.chmod(0o700)


@pytest.mark.parametrize("variable", ["XDG_CACHE_HOME", "WANDB_CACHE_DIR"])
def test_a_log_links_only_into_the_cache_of_wandb(tmp_path: Path, monkeypatch, variable: str) -> None:
    monkeypatch.delenv("WANDB_CACHE_DIR", raising=False)
    monkeypatch.setenv(variable, str(tmp_path / "cache"))
    logs = tmp_path / "cache" / "wandb" / "logs"
    logs.mkdir(parents=True)
    link = tmp_path / "run" / "wandb" / "debug-core.log"
    link.parent.mkdir(parents=True)
    for target, is_allowed in ((logs / "core.log", True), (tmp_path / "id_rsa", False), (logs / ".." / "x", False)):
        target.touch()
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        with contextlib.nullcontext() if is_allowed else pytest.raises(TrustError, match="points outside"):
            trust.check_folder(tmp_path / "run")


def test_a_link_that_looks_unfinished_is_removed_without_a_look_at_what_it_leads_to(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "new").touch()
    link = tmp_path / "run" / f"{TEMPORARY}x.log"
    link.parent.mkdir()
    link.symlink_to(other)
    os.utime(link, (0, 0), follow_symlinks=False)
    remove_leftovers(link.parent)
    assert not link.is_symlink()
    assert (other / "new").exists()


def test_a_second_name_of_a_file_is_not_written_to(run_copy: Path, encoder: Path, elsewhere: Path) -> None:
    """A hard link on the same disk: a card's pictures and the lock."""
    for name in ("model/figures/slices.png", LOCK):
        (run_copy / name).unlink(missing_ok=True)
        os.link(elsewhere / "note.txt", run_copy / name)
    assert invoke(["card", "RUN"], run_copy, encoder).exit_code == 0
    assert (elsewhere / "note.txt").read_text() == "my own words"


@pytest.mark.parametrize("content", ["", '{"step": 1, "loss": 0.5}\n'], ids=["empty", "with an entry"])
@pytest.mark.parametrize("link", [os.link, os.symlink])
def test_nothing_is_appended_through_a_link(tmp_path: Path, elsewhere: Path, link: Callable, content: str) -> None:
    (elsewhere / "note.txt").write_text(content)
    history, state = tmp_path / "history.jsonl", TrainerState(global_step=2, max_steps=3)
    link(elsewhere / "note.txt", history)
    progress = Progress(history, tweets=1, shown=False)
    progress.on_train_begin(None, state, None)
    for loss in (0.4, 0.3):
        progress.on_log(None, state, None, logs={"loss": loss})
    assert (elsewhere / "note.txt").read_text() == content
    assert [entry["loss"] for entry in RunDir(tmp_path).read_history()] == [0.5, 0.4, 0.3][not content :]


def test_files_are_opened_for_appending_in_one_place() -> None:
    """The notes in the user's own folder for settings, where a link is the user's, are the exception."""
    package = Path(trust.__file__).parents[1]
    opened = [
        str(file.relative_to(package))
        for file in package.rglob("*.py")
        for call in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(call, ast.Call)
        and ast.unparse(call.func).endswith("open")
        and re.search("'a[bt+]*'", ast.unparse(call))
    ]
    assert sorted(opened) == ["files.py", "trust/__init__.py"]


COMPUTING = (
    *("CREATE VIEW v AS SELECT 1", "CREATE TRIGGER t AFTER INSERT ON trials BEGIN SELECT 1; END"),
    *("CREATE TABLE t (a INTEGER, b AS (hex(zeroblob(9))))", "CREATE TABLE t (a INTEGER DEFAULT (hex(zeroblob(9))))"),
    *("CREATE TABLE t (a INTEGER, CHECK (a = hex(zeroblob(9))))", "CREATE INDEX i ON trials (hex(state))"),
    *("CREATE INDEX i ON trials (state) WHERE state = 'x'", "CREATE INDEX i ON trials (state || state)"),
    "CREATE TABLE t (a INTEGER, CHECK/**/(a = hex(zeroblob(9))))",
)


def test_a_store_names_no_file_to_be_removed_and_holds_tables_alone(tmp_path: Path, elsewhere: Path) -> None:
    file, victim = tmp_path / "study.db", str(elsewhere / "note.txt").encode()
    Store(f"sqlite:///{file}")
    ending = victim + len(victim).to_bytes(4, "big") + sum(victim).to_bytes(4, "big") + SUPER_JOURNAL
    journal = file.with_name("study.db-journal")
    journal.write_bytes(bytes(512) + (1).to_bytes(4, "big") + ending)
    with pytest.raises(StoreError, match="names another file"):
        Store(f"sqlite:///{file}")
    assert (elsewhere / "note.txt").exists()
    journal.unlink()
    sound = file.read_bytes()
    for statement in COMPUTING:
        file.write_bytes(sound)
        with contextlib.closing(sqlite3.connect(file)) as connection:
            connection.execute(statement)
            connection.commit()
        with pytest.raises(StoreError, match="more than tables"):
            Store(f"sqlite:///{file}")
    file.write_bytes(sound)
    Store(f"sqlite:///{file}")
    os.link(file, tmp_path / "second.db")
    with pytest.raises(StoreError, match="hard link"):
        Store(f"sqlite:///{tmp_path / 'second.db'}")


def test_files_next_to_a_store_are_its_own(tmp_path: Path, elsewhere: Path) -> None:
    """Place other names of a file where SQLite writes: in WAL mode it empties study.db-shm."""
    file, note = tmp_path / "study.db", elsewhere / "note.txt"
    Store(f"sqlite:///{file}").close()
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    Store(f"sqlite:///{file}").close()  # a user may have chosen it
    (tmp_path / "link.db").symlink_to(file)
    before = note.read_bytes()
    for name in ("study.db", "link.db"):
        for ending in ("-journal", "-wal", "-shm"):
            place = Path(f"{file}{ending}")
            for make in (partial(os.link, note), partial(os.symlink, note), os.mkfifo):
                place.unlink(missing_ok=True)
                make(place)
                with pytest.raises(StoreError, match=r"hard link|is a link, a pipe"):
                    Store(f"sqlite:///{tmp_path / name}")
                assert note.read_bytes() == before
            place.unlink()


def test_the_name_of_a_tunings_folder_is_no_address(tmp_path: Path) -> None:
    folder = tmp_path / "mlflow.db?x#y%20"
    folder.mkdir()
    Store(make_file_url(folder / "study.db")).close()
    assert (folder / "study.db").is_file()
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_a_tuning_opens_no_store_through_a_link(tmp_path: Path, elsewhere: Path) -> None:
    (tmp_path / "tuning").mkdir()
    (tmp_path / "tuning" / "study.db").symlink_to(elsewhere / "note.txt")
    with pytest.raises(TrustError, match="points outside"):
        StudyDir(tmp_path / "tuning").check()
