"""Runs on a mounted object store, as Unity Catalog's volumes are."""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NoReturn

import pytest
from transformers import Trainer

from command_line import Command, signalled
from conftest import as_csv, six_columns
from sentiment140_bert.run import RunDir
from sentiment140_bert.training import checkpoints, volumes
from sentiment140_bert.training.checkpoints import newest_complete
from sentiment140_bert.training.run import train
from test_locks import HOLDER
from tiny_run import flags, tiny_recipe

pytest_plugins = "hub_fixtures"


@pytest.fixture
def volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "Volumes" / "main" / "default" / "runs"
    folder.mkdir(parents=True)
    monkeypatch.setenv("S140_VOLUMES", str(tmp_path / "Volumes"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return folder


def put_run(folder: Path, content: str) -> None:
    """Write the files by which a folder is a run."""
    folder.mkdir(parents=True)
    for name in ("recipe.yaml", "environment.json"):
        (folder / name).write_text(content)


@pytest.mark.parametrize(
    ("path", "is_one"),
    [("/Volumes/a/b/c/run", True), ("/dbfs/run", True), ("/VolumesOfMine/run", False), ("runs/Volumes/x", False)],
)
def test_what_is_a_volume(path: str, is_one: bool) -> None:
    assert volumes.is_volume(Path(path)) is is_one


def test_a_run_on_a_volume_is_whole_and_never_appended_to(volume: Path, encoder: Path, s140, monkeypatch) -> None:
    appended: list[str] = []  # nothing but files.open_to_append does
    whole = os.open

    def watched(path: Any, mode: int, *arguments: Any, **options: Any) -> int:
        if mode & os.O_APPEND:
            appended.append(str(path))
        return whole(path, mode, *arguments, **options)

    monkeypatch.setattr(os, "open", watched)
    (volume / "tweets.csv").write_text(as_csv(six_columns(120)), "latin-1")
    chosen = flags(dataset=volume / "tweets.csv", model_name_or_path=encoder, max_samples=100, validation_size=20)
    result = s140("train", "--output-dir", volume / "run", *chosen, "--test-size", 20, "--max-steps", 2, "--json")
    report = json.loads(result.stdout)
    assert (report["run"], report["model"]) == (str(volume / "run"), str(volume / "run" / "model"))
    assert report["metrics"] == json.loads((volume / "run" / "metrics.json").read_text())
    assert (volume / "run" / "model" / "metrics.json").is_file()
    assert not (volume / "run" / "checkpoints").exists()
    assert [path for path in appended if path.startswith(str(volume))] == []
    assert any(path.endswith("history.jsonl") for path in appended)  # elsewhere
    assert str(volume.parent) not in (volume / "run" / "model" / "recipe.yaml").read_text()
    again = s140("train", "--output-dir", volume / "run", *chosen, "--test-size", 20, "--max-steps", 2)
    assert "is finished: nothing is trained" in again.stderr
    assert s140("predict", volume / "run", "so glad").stdout.split("\t")[0] in ("negative", "positive")


def test_an_interrupted_run_is_resumed_from_the_volume(volume: Path, encoder: Path, s140) -> None:
    words = [*flags(model_name_or_path=encoder, save_strategy="no"), "--no-load-best-model-at-end"]
    with Command("train", "--output-dir", volume / "run", *words, pause_at="step 5/") as command:
        _, stderr = signalled(command, signal.SIGTERM)
        assert command.returncode == 143, stderr
    assert f"--output-dir {volume}/run --resume" in stderr
    (checkpoint,) = (volume / "run" / "checkpoints").iterdir()
    assert (checkpoint / "complete.json").is_file()
    assert not (volume / "run" / "metrics.json").exists()
    again = s140("train", "--output-dir", volume / "run", "--resume")
    assert f"resume: from {checkpoint.name}\n" in again.stderr
    assert (volume / "run" / "metrics.json").is_file()


def test_when_the_machine_is_lost_the_volume_has_what_resumes(
    volume: Path, encoder: Path, s140, tmp_path: Path
) -> None:
    """Use a best checkpoint that is an earlier one, on a lost disk."""
    words = [*flags(model_name_or_path=encoder, num_train_epochs=5, save_total_limit=1), "--keep-checkpoints"]
    checkpoints = volume / "run" / "checkpoints"
    with Command("train", "--output-dir", volume / "run", *words, pause_at="step 20/") as command:
        command.wait_until_paused()
        command.wait_for((checkpoints / "checkpoint-18" / "complete.json").is_file)  # another thread brings it there
    for folder in tmp_path.glob("s140-run-*"):
        shutil.rmtree(folder)
    shutil.copytree(checkpoints / "checkpoint-18", checkpoints / "checkpoint-18-backup")
    (checkpoints / "checkpoint-notes.txt").write_text("the best so far")
    (volume / "run" / "notes.txt").write_text("first")
    with Command("train", "--output-dir", volume / "run", "--resume", "--json", pause_at="step 24/") as command:
        command.wait_until_paused()
        (volume / "run" / "notes.txt").write_text("second")
        command.resume()
        stdout, stderr = command.communicate()
        assert command.returncode == 0, stderr
    assert (volume / "run" / "notes.txt").read_text() == "second"
    report = json.loads(stdout)
    assert report["training"]["steps"] == 30
    assert newest_complete(checkpoints).name == "checkpoint-30"
    s140("train", "--output-dir", volume / "run", *words, "--no-keep-checkpoints")
    assert newest_complete(checkpoints).name == "checkpoint-30"  # the flag was given once
    assert {"checkpoint-18-backup", "checkpoint-notes.txt"} < {path.name for path in checkpoints.iterdir()}
    assert (volume / "run" / "model" / "model.safetensors").is_file()


def test_a_run_there_has_one_writer_and_loses_no_file_of_a_person(volume: Path, encoder: Path, s140, tmp_path) -> None:
    words = ["train", "--output-dir", volume / "run", *flags(model_name_or_path=encoder, max_steps=1)]
    holder = [sys.executable, "-c", HOLDER, str(volume / "run")]
    with subprocess.Popen(holder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        assert f"is in use: training by process {other.pid}" in s140(*words, code=1).stderr
        other.kill()
    local, target = RunDir(tmp_path / "local"), RunDir(volume / "new")
    local.path.mkdir()
    (local.path / "recipe.yaml").write_text("of the run")
    copy = volumes.VolumeCopy(local, target)
    (target.path / "figures").mkdir(parents=True)
    (target.path / "figures" / "mine.png").write_text("of a person, after the training began")
    copy.update()
    assert (target.path / "figures" / "mine.png").is_file()
    assert target.recipe.read_text() == "of the run"


def test_a_finished_run_is_there_although_publishing_failed(volume: Path, encoder: Path, s140, hub) -> None:
    hub.fail("commit", times=None, status=403)
    words = ["train", "--output-dir", volume / "run", *flags(model_name_or_path=encoder, max_steps=1)]
    failed = s140(*words, "--push-to-hub", "--repo-id", "tester/model", code=1)
    run = RunDir(volume / "run")
    assert run.is_finished()
    assert run.weights.is_file()
    assert f"s140 push-to-hub {run.path}" in " ".join(failed.stderr.split())
    hub.mend()
    s140("push-to-hub", run.path, "--repo-id", "tester/model")


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), KeyboardInterrupt()])
def test_a_run_that_cannot_be_copied_stays_where_it_is(
    volume: Path, encoder: Path, s140, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    """Let the copy of the finished run fail in the middle, then do what the message says, or repeat the command."""
    copyfile = shutil.copyfile

    def refuse(source: Path, target: Path) -> None:
        if Path(target).name == "model.safetensors":
            raise failure
        copyfile(source, target)

    words = ["train", "--output-dir", volume / "run", *flags(model_name_or_path=encoder, max_steps=1)]
    monkeypatch.setattr(shutil, "copyfile", refuse)
    message = s140(*words, "--save-strategy", "no", "--no-load-best-model-at-end", code=1).stderr
    assert isinstance(failure, KeyboardInterrupt) or f"{volume}/run/model/model.safetensors could not be" in message
    command = re.search(r"Copy it yourself: (cp -r \S+ \S+)", " ".join(message.split()))
    assert command
    assert not RunDir(volume / "run").is_finished()
    monkeypatch.setattr(shutil, "copyfile", copyfile)
    again = shutil.copytree(volume / "run", volume / "again")
    subprocess.run(shlex.split(command[1]), check=True)
    for run, is_copied in ((volume / "run", True), (again, False)):
        words[2] = run
        result = s140(*words, "--save-strategy", "no", "--no-load-best-model-at-end")
        assert ("is finished: nothing is trained" in result.stderr) == is_copied
        assert RunDir(run).is_finished()


@pytest.mark.parametrize("step", [6, 12])
def test_a_volume_that_refuses_a_checkpoint_once_gets_it_later(
    volume: Path, encoder: Path, s140, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    copyfile, refused = shutil.copyfile, [OSError(errno.EIO, os.strerror(errno.EIO))]

    def refuse_once(source: Path, target: Path) -> None:
        if refused and Path(target).parent.name == f"checkpoint-{step}":
            raise refused.pop()
        copyfile(source, target)

    monkeypatch.setattr(shutil, "copyfile", refuse_once)
    words = [*flags(model_name_or_path=encoder, num_train_epochs=2), "--keep-checkpoints"]
    assert "is tried again after the next checkpoint" in s140("train", "--output-dir", volume / "run", *words).stderr
    assert RunDir(volume / "run").is_finished()
    complete = checkpoints.list_complete(volume / "run" / "checkpoints")
    assert [path.name for path in complete] == ["checkpoint-6", "checkpoint-12"]


def test_the_caller_hears_of_each_checkpoint_and_the_run_has_its_folders_name(
    volume: Path, encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[None] = []
    (volume / "mine").mkdir()
    monkeypatch.chdir(volume / "mine")
    train(tiny_recipe(encoder, num_train_epochs=2), Path(), on_checkpoint=lambda: heard.append(None))
    assert len(heard) == 2
    assert "# mine" in (volume / "mine" / "model" / "README.md").read_text().splitlines()


def test_a_full_disk_is_named_wherever_it_is(volume: Path, encoder: Path, s140, monkeypatch) -> None:
    """The files that did not fit are emptied, so nothing may be reading them: mapped memory would end the process."""
    loaded: list[None] = []
    monkeypatch.setattr(Trainer, "_load_best_model", lambda self: loaded.append(None))

    def refuse(folder: Path) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))

    monkeypatch.setattr(checkpoints, "settle", refuse)  # of a checkpoint on the local disk
    result = s140("train", "--output-dir", volume / "run", *flags(model_name_or_path=encoder, max_steps=1), code=1)
    message = "".join(result.stderr.split())  # which is wrapped
    assert "Thediskisfull:" in message
    assert f"Thediskisfull:{volume}" not in message
    assert loaded == []


def test_a_cancelled_job_copies_what_there_is(volume: Path, encoder: Path) -> None:
    """Send SIGTERM while the finished model is scored."""
    words = flags(model_name_or_path=encoder, num_train_epochs=2)
    with Command("train", "--output-dir", volume / "run", *words, pause_at="scoring") as command:
        _, stderr = signalled(command, signal.SIGTERM)
        assert command.returncode == 143, stderr
    assert newest_complete(volume / "run" / "checkpoints")


def test_a_volume_behind_a_link_is_one(volume: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link").symlink_to(volume)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert volumes.is_volume(tmp_path / "link" / "run")
    monkeypatch.setenv("S140_VOLUMES", "~/Volumes")
    assert volumes.is_volume(volume / "run")


def test_a_run_that_was_to_replace_another_is_not_copied_over_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The volume is away when the first copy would empty the older run's folder."""
    target = RunDir(tmp_path / "volume" / "run")
    put_run(target.path, "of an older run")

    def refuse(path: Path) -> NoReturn:
        raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN), str(path))

    def train_new(path: Path, _: Any) -> NoReturn:
        put_run(path, "of the new run")
        monkeypatch.setattr(RunDir, "clear", lambda self: refuse(self.path))
        raise MemoryError

    with pytest.raises(OSError, match="not connected"):
        volumes.train_on_local_disk(train_new, target, False)
    assert f"/. {tmp_path}/volume/run-1" in caplog.text
    assert target.recipe.read_text() == "of an older run"


def test_the_folder_for_temporary_files_is_no_volume(volume: Path, encoder: Path, s140, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(volume))
    refused = s140("train", "--output-dir", volume / "run", *flags(model_name_or_path=encoder), code=1)
    assert "Set TMPDIR to another one" in refused.stderr


def test_only_the_first_process_finishes_a_finished_run(volume: Path, encoder: Path, s140, monkeypatch) -> None:
    recipe = tiny_recipe(encoder, max_steps=1)
    train(recipe, volume / "run")
    tracking = volume / "run" / "tracking.json"
    monkeypatch.setenv("RANK", "1")
    assert not train(recipe, volume / "run").is_main
    assert not tracking.exists()


def test_what_an_earlier_job_left_is_not_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the port and the parent process of several processes be those of a job that was killed."""
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.setenv("MASTER_PORT", str(os.getpid()))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left = tmp_path / f"s140-run-{os.getpid()}-{os.getppid()}" / "run"
    put_run(left, "of an earlier job")

    def train_new(path: Path, _: Any) -> NoReturn:
        put_run(path, "of this job")
        raise MemoryError

    with pytest.raises(MemoryError):
        volumes.train_on_local_disk(train_new, RunDir(tmp_path / "volume" / "run"), False)
    assert (tmp_path / "volume" / "run" / "recipe.yaml").read_text() == "of this job"
    assert (left.with_name("run-1") / "recipe.yaml").read_text() == "of an earlier job"
    assert not left.exists()


def test_a_run_is_copied_whatever_ends_the_training_by_the_first_process_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = RunDir(tmp_path / "volume")
    target.path.mkdir()
    for rank, what in (("0", "of the first process"), ("1", "of another process")):
        monkeypatch.setenv("RANK", rank)

        def fail(path: Path, _: Any, what: str = what) -> NoReturn:
            path.mkdir()
            for name in ("recipe.yaml", "environment.json", "metrics.json", "notes.txt"):
                (path / name).write_text(what)
            raise MemoryError

        with pytest.raises(MemoryError):
            volumes.train_on_local_disk(fail, target, False)
        assert target.metrics.read_text() == (target.path / "notes.txt").read_text() == "of the first process"


@pytest.mark.long
def test_an_overwritten_run_leaves_nothing_behind(volume: Path, encoder: Path, s140) -> None:
    chosen = flags(model_name_or_path=encoder, max_steps=1)
    s140("train", "--output-dir", volume / "run", *chosen, "--run-name", "first")
    (volume / "run" / "tracking.json").write_text("{}")
    s140("train", "--output-dir", volume / "run", *chosen, "--run-name", "second", "--overwrite")
    assert not (volume / "run" / "tracking.json").exists()
    assert "run_name: second" in (volume / "run" / "recipe.yaml").read_text()
