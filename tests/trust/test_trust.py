"""Folders and recipes of strangers: no link is followed out of them, and no place that they name is told anything."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from eavesdropper import Eavesdropper
from hub_server import HubServer
from sentiment140_bert import trust
from sentiment140_bert.cli import main
from sentiment140_bert.errors import StoreError, TrackerError, TrustError
from sentiment140_bert.experiments.tune.results import StudyDir
from sentiment140_bert.experiments.tune.store import SUPER_JOURNAL, Store
from sentiment140_bert.files import TEMPORARY, hash_file, remove_leftovers, remove_path, write_folder_whole, write_json
from sentiment140_bert.locks import LOCK, lock_folder
from sentiment140_bert.run import RunDir, saved_recipe
from sentiment140_bert.tracking import wandb as wandb_tracker
from sentiment140_bert.tracking.mlflow_places import check_artifacts
from sentiment140_bert.tracking.sync_state import make_id
from sentiment140_bert.tracking.tracks import describe_tracked_run
from sentiment140_bert.training import checkpoints, volumes
from tiny_run import flags

pytest_plugins = "hub_fixtures"

VERBS: dict[str, list[str]] = {
    "push": ["push-to-hub", "RUN", "--repo-id", "tester/m", "--dataset-repo-id", "tester/d"],
    "card": ["card", "RUN"],
    "report": ["report", "RUN", "--no-attributions"],
    "evaluate": ["evaluate", "RUN"],
    "verify": ["verify", "RUN"],
    "predict": ["predict", "RUN", "fine"],
    "export": ["export", "RUN"],
    "train": ["train", "--output-dir", "RUN", "FLAGS"],
    "overwrite": ["train", "--output-dir", "RUN", "FLAGS", "--overwrite"],
    "track": ["track", "sync", "RUN"],
    "suspects": ["suspects", "RUN", "--output", "found.csv", "--folds", "2"],
    "compare": ["evaluate", "RUN", "RUN"],
}
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


OWN = {"id": make_id("a key"), "key": "a key"}  # a run of W&B that the run directory proves to have started


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Somebody's own files: a note, and a folder that looks like a run's checkpoint."""
    place = tmp_path / "elsewhere"
    (place / "folder").mkdir(parents=True)
    for name in ("note.txt", "folder/note.txt", "folder/complete.json", "folder/README.md"):
        (place / name).write_text("my own words")
    shutil.copytree(place / "folder", place / "folder" / "checkpoint-1")
    return place


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


def put_link(run: Path, name: str, target: Path) -> None:
    path = run / name
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_path(path)
    path.symlink_to(target)


def invoke(words: list[str], run: Path, encoder: Path) -> Result:
    replaced = {"RUN": [str(run)], "FLAGS": flags(model_name_or_path=encoder, num_train_epochs=1)}
    given = [part for word in words for part in replaced.get(word, [word])]
    return CliRunner().invoke(main, given)


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
        if result.exit_code not in (1, 2) or "is a link that leads out of" not in text:
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
    assert [
        answer.output for answer in answers if "but a pipe or a device" not in " ".join(answer.output.split())
    ] == []


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
        with pytest.raises(TrustError, match="leads out"):
            trust.check_folder(snapshot)
    (snapshot / "out").unlink()
    (snapshot / "circle").symlink_to("circle")
    with pytest.raises(TrustError, match="leads out"):
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
    "a checkpoint": lambda place: checkpoints.remove(place / "checkpoint-1"),
    "an emptied folder": lambda place: checkpoints.remove_emptied(place / "checkpoint-1"),
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
        if not gone and not (as_folder and name in ("older checkpoints", "leftovers")):
            wrong[name] = {"still there": str(place)}
    assert wrong == {}


def test_a_lock_that_is_a_link_is_not_written_through(tmp_path: Path, elsewhere: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / LOCK).symlink_to(elsewhere / "note.txt")
    with pytest.raises(TrustError, match="leads out"), lock_folder(tmp_path / "run", "a test"):
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


@pytest.fixture
def stranger() -> Iterator[Eavesdropper]:
    """A server that must not hear anything."""
    with Eavesdropper(status=404) as server:
        yield server


def test_no_tracker_is_told_where_only_the_run_names_its_server(
    hub: HubServer, run_copy: Path, encoder: Path, stranger: Eavesdropper, tmp_path: Path, monkeypatch
) -> None:
    """Every verb does its work, says what it did not send, and exits with 0; what is only about trackers fails."""
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "a-token-of-this-machine")
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "me")
    outside = tmp_path / "outside"
    noted = {"mlflow": {"id": "1" * 32, "tracking_uri": stranger.url}, "tensorboard": {"folder": str(outside)}}
    write_json(run_copy / "tracking.json", noted)
    files = sorted(path.name for path in tmp_path.iterdir())
    for verb, code in {"evaluate": 0, "card": 0, "push": 0, "train": 0, "track": 1}.items():
        result = invoke(VERBS[verb], run_copy, encoder)
        assert result.exit_code == code, (verb, result.output)
        if verb != "card":
            assert f"names {stranger.url}, which was never named on this machine" in result.output, verb
            assert f"MLFLOW_TRACKING_URI={stranger.url}" in result.output, verb
            assert f"names {outside}" in result.output, verb
    assert stranger.heard == []
    assert sorted(path.name for path in tmp_path.iterdir()) == files
    assert json.loads((run_copy / "tracking.json").read_text())["mlflow"] == noted["mlflow"]


def test_a_server_that_was_named_once_is_told_by_later_verbs(
    run_copy: Path, encoder: Path, stranger: Eavesdropper, monkeypatch
) -> None:
    write_json(run_copy / "tracking.json", {"mlflow": {"id": "1" * 32, "tracking_uri": stranger.url}})
    monkeypatch.setenv("XDG_CONFIG_HOME", str(run_copy.parent / "settings"))
    monkeypatch.setattr("sentiment140_bert.tracking.sync.PAUSES", (0.0, 0.0, 0.0, 0.0))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", stranger.url)
    invoke(VERBS["track"], run_copy, encoder)
    heard = len(stranger.heard)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    result = invoke(VERBS["track"], run_copy, encoder)
    assert "never named on this machine" not in result.output
    assert 0 < heard < len(stranger.heard)


def test_a_run_that_is_trained_on_tells_no_strangers_server(
    run_copy: Path, encoder: Path, stranger: Eavesdropper
) -> None:
    """It ends before anything is trained: it would not be tracked."""
    for name in ("metrics.json", "published.json"):
        (run_copy / name).unlink(missing_ok=True)
    write_json(run_copy / "tracking.json", {"mlflow": {"id": "1" * 32, "tracking_uri": stranger.url}})
    tracked = saved_recipe(run_copy).with_values({"report_to": "mlflow"})
    (run_copy / "recipe.yaml").write_text(tracked.to_yaml())
    result = CliRunner().invoke(main, ["train", "--output-dir", str(run_copy), "--resume"])
    assert result.exit_code == 1
    assert f"If you trust it, name it: MLFLOW_TRACKING_URI={stranger.url}" in result.output
    assert not (run_copy / "metrics.json").exists()
    assert stranger.heard == []


def test_a_recipe_names_no_space_or_repository_of_somebody_else(
    hub: HubServer, run_copy: Path, encoder: Path, monkeypatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    from sentiment140_bert.tracking.trackio import Trackio

    def unnamed(space: str) -> str:
        recipe = saved_recipe(run_copy).with_values({"trackio_space_id": space})
        return Trackio(describe_tracked_run(RunDir(run_copy), recipe), {}).unnamed_place()

    assert {space: unnamed(space) for space in ("stranger/space", "tester/space", "space")} == {
        "stranger/space": "stranger/space",
        "tester/space": "",
        "space": "",
    }
    recipe = tmp_path / "theirs.yaml"
    recipe.write_text("tracking:\n  checkpoint_repo_id: stranger/checkpoints\n")
    words = ["train", "--recipe", str(recipe), "--output-dir", str(tmp_path / "new")]
    words += flags(model_name_or_path=encoder, num_train_epochs=1)
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 1
    assert "If you trust it, name it: --checkpoint-repo-id stranger/checkpoints" in result.output
    assert hub.repos == {}
    # A flag is the user's own word, now and later.
    CliRunner().invoke(main, [*words, "--checkpoint-repo-id", "stranger/checkpoints"])
    assert trust.is_known_place("checkpoint_repo_id", "stranger/checkpoints")
    monkeypatch.setenv("TRACKIO_SPACE_ID", "stranger/space")
    assert unnamed("stranger/space") == ""


def test_modules_of_the_current_folder_are_not_run(run_copy: Path, monkeypatch) -> None:
    """A run holds a folder ``wandb``, which Python would take for the package."""
    folder = run_copy / "wandb" / "offline-run-20260101_000000-abcd1234"
    folder.mkdir(parents=True)
    for name in ("__init__.py", "__main__.py"):
        (run_copy / "wandb" / name).write_text(f"open({str(run_copy / 'ran')!r}, 'w')")
    monkeypatch.chdir(run_copy)
    monkeypatch.setattr(wandb_tracker, "out_of_reach", lambda: "")
    wandb_tracker.send([folder.relative_to(run_copy)])
    assert not (run_copy / "ran").exists()


def test_a_folder_that_a_run_brings_settles_nothing_for_trackers(run_copy: Path, encoder: Path, monkeypatch) -> None:
    """Settings of wandb and a database of MLflow in a run that the command is given in."""
    (run_copy / "wandb").mkdir()
    (run_copy / "wandb" / "settings").write_text("[default]\nentity = stranger\n")
    (run_copy / "mlflow.db").write_bytes(b"")
    write_json(run_copy / "tracking.json", {"wandb": OWN, "mlflow": {"id": "1" * 32}})
    monkeypatch.chdir(run_copy)
    result = invoke(["evaluate", "RUN"], Path(), encoder)
    assert result.exit_code == 0, result.output
    assert f"names {run_copy / 'wandb' / 'settings'}" in result.output
    assert "If the file is your own, set WANDB_DIR=" in result.output
    assert f"names sqlite:///{run_copy.resolve()}/mlflow.db" in result.output
    trust.remember_place("mlflow", f"sqlite:///{run_copy.resolve()}/mlflow.db")
    write_json(run_copy / "tracking.json", {"mlflow": {"id": "1" * 32, "tracking_uri": "http://stranger"}})
    assert "names http://stranger" in invoke(["evaluate", "RUN"], Path(), encoder).output
    assert (run_copy / "mlflow.db").read_bytes() == b""


ARTIFACTS: dict[tuple[str, str], bool] = {
    ("https://server/x", "mlflow-artifacts:/1/2/artifacts"): True,
    ("https://server/x", "mlflow-artifacts://server/1"): True,
    ("https://server/x", "mlflow-artifacts://server:5000/1"): False,
    ("http://127.0.0.1:5000", "http://127.0.0.1:5001/1"): False,
    ("https://server/x", "http://server/1"): False,
    ("https://server/x", "https://elsewhere\\@server/1"): False,
    ("https://server/x", "mlflow-artifacts://elsewhere\\@server/1"): False,
    ("https://server/x", "r2://bucket@account.r2.cloudflarestorage.com/1"): True,
    ("https://server/x", "r2://bucket@elsewhere/1"): False,
    ("https://server/x", "b2://bucket@elsewhere/1"): False,
    ("https://server/x", "abfss://files@account.dfs.core.windows.net/1"): True,
    ("https://server/x", "abfss://files@elsewhere/1"): False,
    ("https://server/x", "wasbs://files@dfs.core.windows.net.elsewhere/1"): False,
    ("https://server/x", "s3://user@elsewhere/1"): False,
    ("https://server/x", "hdfs://elsewhere:80/1"): False,
    ("https://server/x", "dbfs:/1"): True,
    ("https://server/x", "dbfs://profile@elsewhere/1"): False,
    ("https://server/x", "s3://bucket/1"): True,
    ("https://server/x", "ftp://user:password@elsewhere/1"): False,
    ("https://server/x", "https://server/1"): True,
    ("https://server/x", "https://elsewhere/1"): False,
    ("https://server/x", "mlflow-artifacts://elsewhere/1"): False,
    ("https://server/x", "file:///home/somebody"): False,
    ("https://server/x", "/home/somebody"): False,
    ("http://127.0.0.1:5000", "/home/somebody/mlruns/1"): True,
    ("sqlite:////store/mlflow.db", "/store/mlruns/1"): True,
    ("sqlite:////store/mlflow.db", "file:///home/somebody"): False,
    ("file:///store", "/store/1/2"): True,
    ("file:///store", "/store/../home"): False,
}


def test_settings_beside_a_run_are_used_where_the_user_names_their_folder(run_copy: Path, encoder: Path, monkeypatch):
    """An archive of a stranger may hold them and a run."""
    settings = run_copy.parent / ".wandb" / "settings"
    settings.parent.mkdir()
    settings.write_text("[default]\nentity = stranger\n")
    write_json(run_copy / "tracking.json", {"wandb": OWN})
    monkeypatch.chdir(run_copy.parent)
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert f"names {settings}" in invoke(["evaluate", "RUN"], run_copy, encoder).output
    assert not list((run_copy / "wandb").glob("offline-run-*"))
    monkeypatch.setenv("WANDB_DIR", str(run_copy.parent))
    assert "names" not in invoke(["evaluate", "RUN"], run_copy, encoder).output
    assert list((run_copy / "wandb").glob("offline-run-*"))


def test_wandb_runs_no_git_in_a_run(run_copy: Path, encoder: Path, monkeypatch) -> None:
    """The configuration of a repository names programs."""
    (run_copy / "note.txt").write_text("{}")
    login = ("-c", "user.name=x", "-c", "user.email=x@x")
    for words in (["init", "-q"], ["add", "note.txt"], [*login, "commit", "-qm", "x"]):
        subprocess.run(["git", "-C", str(run_copy), *words], check=True)
    with (run_copy / ".git" / "config").open("a") as config:
        config.write(f'[core]\n\tfsmonitor = "touch {run_copy / "ran"}"\n')
    write_json(run_copy / "tracking.json", {"wandb": OWN})
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SAVE_CODE", "true")
    result = invoke(["evaluate", "RUN"], run_copy, encoder)
    assert result.exit_code == 0, result.output
    assert list((run_copy / "wandb").glob("offline-run-*"))
    assert not (run_copy / "ran").exists()


def test_a_server_names_no_place_for_files_but_its_own() -> None:
    allowed = {}
    for (server, place), expected in ARTIFACTS.items():
        try:
            check_artifacts(server, place)
            allowed[server, place] = True
        except TrackerError:
            allowed[server, place] = False
        assert allowed[server, place] == expected, (server, place)


@pytest.mark.parametrize("name", ["README.md", "model/.eval_results/x.yaml", "metrics.json", "model/vocab.txt"])
def test_a_page_of_any_size_is_not_read(tmp_path: Path, name: str) -> None:
    """A file with holes takes no room on the disk."""
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    os.truncate(file, trust.LARGEST[file.suffix])
    trust.check_folder(tmp_path)
    os.truncate(file, trust.LARGEST[file.suffix] + 1)
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
            os._exit(0 if "cannot be looked through" in error.message else 2)
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
        with contextlib.nullcontext() if is_allowed else pytest.raises(TrustError, match="leads out"):
            trust.check_folder(tmp_path / "run")


def test_checkpoints_without_a_recipe_are_of_another_run(tmp_path: Path, encoder: Path) -> None:
    other = tmp_path / "out" / "checkpoints" / "checkpoint-500" / "optimizer.pt"
    other.parent.mkdir(parents=True)
    other.write_text("weeks of work")
    result = invoke(["train", "--output-dir", "RUN", "FLAGS"], tmp_path / "out", encoder)
    assert result.exit_code == 1
    assert "has checkpoints of another run" in result.output
    assert other.read_text() == "weeks of work"


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


def test_a_run_of_somebody_else_is_not_told(run_copy: Path, encoder: Path, tmp_path: Path, monkeypatch) -> None:
    """Ids of tracked runs are public: cards name them."""
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'store.db'}")
    monkeypatch.setenv("WANDB_MODE", "offline")
    client = mlflow.MlflowClient()
    other = client.create_run(client.create_experiment("own"), tags={"s140.key": "1234"}).info.run_id
    client.log_metric(other, "test/accuracy", 0.4667)
    states = {"mlflow": {"id": other}, "wandb": {"id": "0" * 16}, "trackio": {"id": "run-00"}}
    for name, state in states.items():
        for forged in (state, state | {"key": "0"}):
            write_json(run_copy / "tracking.json", {name: forged})
            assert "did not start" in invoke(["evaluate", "RUN"], run_copy, encoder).output, forged
    assert client.get_run(other).data.metrics == {"test/accuracy": 0.4667}
    assert client.list_artifacts(other) == []
    assert not list((run_copy / "wandb").glob("offline-run-*"))


def test_a_name_of_a_tracked_run_is_no_path(run_copy: Path, encoder: Path, tmp_path: Path) -> None:
    for name in ("../../out", "/tmp/out", "..", ".", "a/b"):
        write_json(run_copy / "tracking.json", {"trackio": {"id": name}})
        result = invoke(["track", "sync", "RUN"], run_copy, encoder)
        assert result.exit_code == 1
        assert "tracking.json" in result.output


def test_a_second_name_of_a_file_is_not_written_to(run_copy: Path, encoder: Path, elsewhere: Path) -> None:
    """A hard link on the same disk: a card's pictures and the lock."""
    for name in ("model/figures/slices.png", LOCK):
        (run_copy / name).unlink(missing_ok=True)
        os.link(elsewhere / "note.txt", run_copy / name)
    assert invoke(["card", "RUN"], run_copy, encoder).exit_code == 0
    assert (elsewhere / "note.txt").read_text() == "my own words"


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
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE VIEW v AS SELECT 1")
        connection.commit()
    with pytest.raises(StoreError, match="more than tables"):
        Store(f"sqlite:///{file}")


def test_a_tuning_opens_no_store_through_a_link(tmp_path: Path, elsewhere: Path) -> None:
    (tmp_path / "tuning").mkdir()
    (tmp_path / "tuning" / "study.db").symlink_to(elsewhere / "note.txt")
    with pytest.raises(TrustError, match="leads out"):
        StudyDir(tmp_path / "tuning").check()


def test_the_address_of_wandb_is_of_the_environment_or_the_users_own_login(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "wandb").mkdir()
    (tmp_path / "wandb" / "settings").write_text("[default]\nbase_url = http://stranger\n")
    assert wandb_tracker._address() == "https://api.wandb.ai"
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "own"))
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "settings").write_text("[default]\nbase_url = https://company/\n")
    assert wandb_tracker._address() == "https://company"
    monkeypatch.setenv("WANDB_BASE_URL", "https://named/")
    assert wandb_tracker._address() == "https://named"


def test_wandb_does_not_take_the_address_of_a_folder(
    run_copy: Path, encoder: Path, stranger: Eavesdropper, monkeypatch
):
    """W&B's client reads ./wandb/settings, which may come with a stranger's run; what it kept there is not sent."""
    folder = run_copy / "wandb" / "offline-run-20260101_000000-abcd1234"
    folder.mkdir(parents=True)
    (folder / "run-abcd1234.wandb").write_bytes(b"x")
    (run_copy / "wandb" / "settings").write_text(f"[default]\nbase_url = {stranger.url}\n")
    write_json(run_copy / "tracking.json", {"wandb": {"id": "abcd1234"}})
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    monkeypatch.chdir(run_copy)
    result = CliRunner().invoke(main, ["track", "sync", "."])
    assert result.exit_code == 1
    assert "was not kept on this machine" in result.output
    assert stranger.heard == []


def test_an_address_that_clients_read_differently_is_no_known_place() -> None:
    known = "http://mlflow.corp.example:5000"
    trust.remember_place("mlflow", known)
    assert trust.is_known_place("mlflow", known)
    assert trust.is_known_place("mlflow", "http://user:password@mlflow.corp.example:5000")
    for sign in ("?", "#", "\\", "/", " ", "\t", "\n", "/?", "?x="):
        assert not trust.is_known_place("mlflow", f"http://127.0.0.2:5000{sign}@mlflow.corp.example:5000"), sign
        assert not trust.is_known_place("mlflow", f"{known}{sign}@127.0.0.2"), sign


def test_files_go_where_the_server_said_when_it_was_asked_first(run_copy: Path, elsewhere: Path, monkeypatch) -> None:
    """It is asked once, and its answer checked; another answer later changes nothing."""
    from sentiment140_bert.tracking.mlflow import Mlflow

    store = run_copy.parent / "store.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}")
    tracker = Mlflow(describe_tracked_run(RunDir(run_copy), saved_recipe(run_copy), live=False), {})
    tracker.open(lambda values: None)
    with contextlib.closing(sqlite3.connect(store)) as connection:
        connection.execute("UPDATE runs SET artifact_uri = ?", (elsewhere.as_uri(),))
        connection.commit()
    before = {each.name: each.read_bytes() for each in elsewhere.iterdir() if each.is_file()}
    tracker.file("note.txt", b"changed")
    assert {each.name: each.read_bytes() for each in elsewhere.iterdir() if each.is_file()} == before


def test_a_trackers_odd_answer_is_not_written_down(run_copy: Path) -> None:
    from sentiment140_bert.tracking.sync_state import SyncState

    before = RunDir(run_copy).tracking.read_bytes() if RunDir(run_copy).tracking.exists() else None
    with pytest.raises(TrackerError, match="The answer of mlflow"):
        SyncState(RunDir(run_copy)).write("mlflow", id="../../x")
    assert (RunDir(run_copy).tracking.read_bytes() if RunDir(run_copy).tracking.exists() else None) == before


def test_files_that_a_recipe_names_are_nobodys_business(tmp_path: Path) -> None:
    from sentiment140_bert.publishing import origin
    from sentiment140_bert.recipe import FILE_SETTINGS, Recipe
    from sentiment140_bert.recipe.privacy import make_public

    assert {"labels_file", "manual_test", "drop_suspects"} == {*FILE_SETTINGS}
    for name in FILE_SETTINGS:
        recipe = Recipe().with_values({"dataset": "sample", name: str(tmp_path / "anna" / "secret.csv")})
        assert getattr(make_public(recipe).data, name) == "secret.csv"
        if name != "drop_suspects":  # told apart
            assert not origin.is_public(recipe.data)
