"""Checkpoints kept on the Hub: a machine that has nothing goes on from them, and ends where an undisturbed run ends."""

from __future__ import annotations

import json
import shutil
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml

from command_line import signalled
from hub_server import TOKEN, HubServer
from kept_trainings import EPOCHS, REPO, finish, history_of, kept_steps, start, training
from on_hub import titles
from sentiment140_bert.files import hash_file
from sentiment140_bert.run import RunDir
from sentiment140_bert.tracking.sync_state import SyncState
from sentiment140_bert.training.checkpoints import newest_complete

pytest_plugins = ("hub_fixtures", "checkpoint_fixtures")
WEIGHTS = "model/model.safetensors"
STEPS = EPOCHS * 6


def test_a_bare_machine_ends_where_an_undisturbed_run_does(
    hub: HubServer, lost, encoder: Path, undisturbed: Path, tmp_path: Path
) -> None:
    """Killed by SIGKILL and its folder gone: the same command, without --resume, goes on; nothing is missing."""
    lost()
    before = kept_steps(hub)
    folder = tmp_path / "new" / "run"
    printed, stderr = finish(training(encoder, folder))
    assert f"resume: from checkpoint-{before[-1]}" in stderr
    assert hash_file(folder / WEIGHTS) == hash_file(undisturbed / WEIGHTS)
    history, whole = history_of(folder), history_of(undisturbed)
    assert [entry["step"] for entry in history if "loss" in entry] == list(range(1, STEPS + 1))
    assert [entry.get("loss") for entry in history] == [entry.get("loss") for entry in whole]
    assert json.loads((folder / "metrics.json").read_text()) == json.loads((undisturbed / "metrics.json").read_text())
    assert not list((tmp_path / "new").glob(".*"))
    assert f"hf repos delete {REPO}" in printed


def test_the_repository_is_private_and_holds_one_checkpoint_and_the_best(
    hub: HubServer, encoder: Path, tmp_path: Path, s140
) -> None:
    s140(*training(encoder, tmp_path / "run", num_train_epochs=3))
    repo, files = hub.repos["model", REPO], hub.files(REPO)
    assert repo.private
    state = json.loads(files["checkpoint-18/trainer_state.json"])
    assert set(kept_steps(hub)) == {18, state["best_global_step"]}
    assert not [name for name in files if name.endswith(".bin")]
    assert {"recipe.yaml", "data.json", "environment.json", "history.jsonl", "README.md"} < files.keys()
    manifest = json.loads(files["checkpoint-18/complete.json"])["files"]
    assert {f"checkpoint-18/{name}" for name in manifest} < files.keys()
    assert not list(tmp_path.rglob(".for-the-hub"))


def test_what_was_removed_does_not_count_as_storage(hub: HubServer, encoder: Path, tmp_path: Path, s140) -> None:
    s140(*training(encoder, tmp_path / "run", num_train_epochs=4))
    repo = hub.repos["model", REPO]
    named = {blob.sha256 for blob in hub.commits(REPO)[0].files.values() if blob.lfs}
    assert repo.lfs.keys() == named
    assert len(hub.commits(REPO)) <= 2


def test_the_recipe_remembers_the_repository_and_a_published_model_does_not_tell_it(
    hub: HubServer, encoder: Path, tmp_path: Path, s140
) -> None:
    folder = tmp_path / "run"
    s140(*training(encoder, folder, num_train_epochs=1))
    assert yaml.safe_load((folder / "recipe.yaml").read_text())["tracking"]["checkpoint_repo_id"] == REPO
    s140("push-to-hub", folder, "--repo-id", "tester/model-of-it")
    for name, content in hub.files("tester/model-of-it").items():
        assert REPO.encode() not in content, name


@pytest.mark.long
def test_a_step_waits_for_no_upload(hub: HubServer, encoder: Path, tmp_path: Path) -> None:
    """The Hub takes the first large file only once training has come to its last step."""
    trained = threading.Event()
    hub.fail("lfs_upload", times=None, meanwhile=trained.wait)
    staging = RunDir(tmp_path / "run").staging
    try:
        words = training(encoder, tmp_path / "run", num_train_epochs=5)
        with start(words, cwd=tmp_path, pause_at="step 30/") as command:
            command.wait_until_paused()
            assert kept_steps(hub) == []
            command.wait_for(lambda: any(staging.glob("*/checkpoint-24")))
            trained.set()
            command.resume()
            assert command.wait() == 0, command.stderr.whole()
    finally:
        trained.set()
    assert kept_steps(hub)[-1] == 30
    assert titles(hub, REPO)[0] in ("s140 train: the newest checkpoint", "s140 train: checkpoint-30")
    assert sum(request.endpoint == "commit" for request in hub.requests) <= 3  # those in between were left out


FAULTS: dict[str, dict[str, Any]] = {
    "503": {"status": 503},
    "reset": {"reset": True},
    "412": {"status": 412},
    "lost": {"lose_response": True},
}
MORE_FAULTS = [("commit", "503"), ("commit", "lost"), ("super_squash", "reset"), ("delete_lfs_files", "lost")]


@pytest.mark.parametrize(
    ("endpoint", "fault"),
    [
        ("commit", "412"),
        ("lfs_upload", "reset"),
        ("repo_info", "503"),
        *(pytest.param(*fault, marks=pytest.mark.long) for fault in MORE_FAULTS),
    ],
)
def test_a_fault_of_the_hub_stops_no_training(
    hub: HubServer, encoder: Path, tmp_path: Path, s140, impatient: list[float], endpoint: str, fault: str
) -> None:
    before = 4 if endpoint == "repo_info" else 0  # those before training must go well
    hub.fail(endpoint, times=2, after=before, **FAULTS[fault])
    result = s140(*training(encoder, tmp_path / "run", num_train_epochs=3))
    assert kept_steps(hub)[-1] == 18
    assert "NOT" not in result.stderr


def test_what_is_not_on_the_hub_in_the_end_is_said(
    hub: HubServer, encoder: Path, tmp_path: Path, s140, impatient: list[float]
) -> None:
    hub.fail("commit", times=None, status=503)
    result = s140(*training(encoder, tmp_path / "run", num_train_epochs=3))
    assert "Training continues" in result.stderr
    assert result.stderr.count("Training continues") == 1
    assert f"checkpoint-18 is NOT in {hub.url}/{REPO}; no checkpoint of this run is there" in result.stderr
    assert "kept   nothing" in result.stdout
    assert (tmp_path / "run" / "metrics.json").is_file()


def test_a_kill_in_the_middle_of_an_upload_leaves_the_commit_before(
    hub: HubServer, encoder: Path, tmp_path: Path, undisturbed: Path
) -> None:
    arrived, killed = threading.Event(), threading.Event()

    def hold() -> None:
        arrived.set()
        killed.wait()

    try:
        with start(training(encoder, tmp_path / "run"), cwd=tmp_path, pause_at="step 9/") as command:
            command.wait_until_paused()
            command.wait_for(lambda: kept_steps(hub))
            whole = hub.files(REPO)
            hub.fail("lfs_upload", meanwhile=hold)  # of the second checkpoint
            command.resume()
            command.wait_for(arrived.is_set)
    finally:
        killed.set()
    assert hub.files(REPO) == whole
    assert kept_steps(hub) == [6]
    _, stderr = finish(training(encoder, tmp_path / "other"))
    assert "resume: from checkpoint-6" in stderr
    assert hash_file(tmp_path / "other" / WEIGHTS) == hash_file(undisturbed / WEIGHTS)


def test_a_stopped_run_is_kept_as_it_was_at_its_end(hub: HubServer, encoder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with start(training(encoder, folder), cwd=tmp_path, pause_at="step 9/") as command:
        _, stderr = signalled(command, signal.SIGTERM)
        assert command.returncode == 143, stderr
    step = int(newest_complete(folder / "checkpoints").name.removeprefix("checkpoint-"))
    assert kept_steps(hub)[-1] == step
    assert hub.files(REPO)["history.jsonl"] == (folder / "history.jsonl").read_bytes()
    assert f"checkpoint-{step} is in {hub.url}/{REPO}" in stderr
    assert TOKEN not in stderr


def test_one_that_is_further_wins(hub: HubServer, lost, encoder: Path, tmp_path: Path, s140) -> None:
    lost()
    there = kept_steps(hub)[-1]
    folder = tmp_path / "run"
    with start(training(encoder, folder, repo=None), cwd=tmp_path, pause_at="step 2/") as command:
        signalled(command, signal.SIGTERM)
    here = int(newest_complete(folder / "checkpoints").name.removeprefix("checkpoint-"))
    assert here < there
    result = s140(*training(encoder, folder), "--resume")
    assert f"resume: from checkpoint-{there}" in result.stderr
    assert [entry["step"] for entry in history_of(folder) if "loss" in entry] == list(range(1, STEPS + 1))


def test_overwrite_replaces_what_is_there(hub: HubServer, lost, encoder: Path, tmp_path: Path, s140) -> None:
    lost()
    result = s140(*training(encoder, tmp_path / "run", "--overwrite", num_train_epochs=1, learning_rate=3e-5))
    assert f"the first checkpoint of this run replaces what {REPO} holds" in result.stderr
    assert kept_steps(hub) == [6]


def told_of_mlflow(hub: HubServer) -> dict[str, Any]:
    """Return the state of MLflow in the repository."""
    return json.loads(hub.files(REPO)["tracking.json"]).get("mlflow", {}) if kept_steps(hub) else {}


@pytest.mark.long
def test_one_mlflow_run_is_gone_on_with(hub: HubServer, encoder: Path, tmp_path: Path, s140, monkeypatch) -> None:
    from mlflow import MlflowClient

    store = f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    folder = tmp_path / "lost"
    words = training(encoder, folder, report_to="mlflow")
    with start(words, cwd=tmp_path, pause_at=["step 3/", "step 9/"]) as command:
        command.wait_until_paused()
        command.wait_for(lambda: "id" in SyncState(RunDir(folder)).get("mlflow"))
        command.resume()
        command.wait_until_paused()
        command.wait_for(lambda: "id" in told_of_mlflow(hub))
    shutil.rmtree(folder)
    s140(*training(encoder, tmp_path / "run", report_to="mlflow"))
    client = MlflowClient(store)
    runs = [run for experiment in client.search_experiments() for run in client.search_runs([experiment.experiment_id])]
    assert len(runs) == 1
    steps = {entry.step for entry in client.get_metric_history(runs[0].info.run_id, "train/loss")}
    assert steps == set(range(1, STEPS + 1))
