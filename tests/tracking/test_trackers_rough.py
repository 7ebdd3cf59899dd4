"""Trackers in rough conditions: damaged notes, changed choices, missing packages, servers that never answer."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from command_line import Command, complete, signalled
from eavesdropper import STALL, Eavesdropper
from mlflow_server import MlflowServer, runs_of, steps_of
from sentiment140_bert.errors import S140Error
from sentiment140_bert.tracking import tracks
from sentiment140_bert.tracking.sync_state import make_id
from tiny_run import flags
from told import change_scores, tell

pytest_plugins = ("hub_fixtures", "mlflow_fixtures")


def small(encoder: Path, **changes) -> list[str]:
    return flags(**{"model_name_or_path": encoder, "report_to": "mlflow", "num_train_epochs": 1} | changes)


def test_damaged_notes_are_one_error_message(run_copy: Path) -> None:
    for content in (
        {"wandb": 3},
        {"mlflow": None},
        {"mlflow": ["x"]},
        {"mlflow": {"sent": []}},
        {"mlflow": {"sent": {"steps": [1], "files": 3}}},
        {"mlflow": {"sent": {"steps": {"train/loss": "x"}}}},
    ):
        (run_copy / "tracking.json").write_text(json.dumps(content))
        with pytest.raises(S140Error, match=r"tracking\.json"):
            tracks.track(run_copy)


def test_notes_of_an_unknown_tracker_are_left_alone(run_copy: Path, s140) -> None:
    (run_copy / "tracking.json").write_text('{"comet": {"id": "x"}}')
    assert s140("track", "show", run_copy).stdout.strip() == "not tracked"
    assert tell(run_copy, "tensorboard")
    assert json.loads((run_copy / "tracking.json").read_text())["comet"] == {"id": "x"}


@pytest.mark.long
def test_scoring_while_trackers_have_something_to_sync(run_copy: Path, tmp_path: Path) -> None:
    """Import their packages during the work, in an interpreter that has not imported them yet."""
    names = ("tensorboard", "trackio", "wandb", "mlflow")
    (run_copy / "tracking.json").write_text(json.dumps({name: {} for name in names}))
    place = {"HOME": str(tmp_path), "TRACKIO_DIR": str(tmp_path / "trackio")}
    _, stderr = complete("evaluate", run_copy, env=place, fresh=True)
    assert "partially initialized" not in stderr
    assert "tried again" not in stderr
    states = json.loads((run_copy / "tracking.json").read_text())
    assert [name for name in names if "files" not in states[name].get("sent", {})] == []


@pytest.mark.long
def test_scoring_where_the_packages_are_gone(run_copy: Path, tmp_path: Path) -> None:
    """Hide them, as on a machine where they were never installed."""
    names = ("trackio", "mlflow")
    (tmp_path / "hide").mkdir()
    (tmp_path / "hide" / "sitecustomize.py").write_text(
        "from importlib.machinery import PathFinder\nfind = PathFinder.find_spec\n"
        "def without(name, path=None, target=None):\n"
        f"    return None if name.partition('.')[0] in {names!r} else find(name, path, target)\n"
        "PathFinder.find_spec = staticmethod(without)\n"
    )
    state = {"id": make_id("key"), "key": "key"}
    (run_copy / "tracking.json").write_text(json.dumps(dict.fromkeys(names, state)))
    path = os.pathsep.join([str(tmp_path / "hide"), *filter(None, [os.environ.get("PYTHONPATH")])])
    _, stderr = complete("evaluate", run_copy, env={"PYTHONPATH": path}, fresh=True)
    assert [stderr.count(f"No module named '{name}'") for name in names] == [1, 1]
    assert f"s140 track sync {run_copy}" in stderr


def test_a_run_directory_that_was_moved(run_copy: Path, mlflow_server: MlflowServer, tmp_path: Path) -> None:
    assert tell(run_copy, "mlflow", "tensorboard")
    moved = Path(shutil.move(run_copy, tmp_path / "moved"))
    change_scores(moved)
    assert tell(moved, "mlflow", "tensorboard")
    assert len(runs_of(mlflow_server, tmp_path.name)) == 1
    assert len(list((moved / "tensorboard").iterdir())) == 2


@pytest.mark.long
def test_all_of_them_leave_one_object_on_stdout(encoder: Path, mlflow_server: MlflowServer, tmp_path: Path) -> None:
    words = small(encoder, report_to="mlflow,mlflow,wandb,trackio,tensorboard,wandb")
    place = {"HOME": str(tmp_path), "TRACKIO_DIR": str(tmp_path / "trackio")}
    stdout, _stderr = complete("train", "--output-dir", tmp_path / "run", *words, "--json", env=place)
    states = json.loads(stdout)["tracked"]
    assert {name: state["unsent"] for name, state in states.items()} == {name: [] for name in states}
    assert len(states) == 4
    assert len(runs_of(mlflow_server, tmp_path.name)) == 1


@pytest.mark.long
def test_overwriting_begins_another_tracked_run(
    encoder: Path, mlflow_server: MlflowServer, tmp_path: Path, s140
) -> None:
    words = ["train", "--output-dir", tmp_path / "run", *small(encoder), "--no-log-model"]
    s140(*words)
    s140(*words, "--overwrite")
    assert [run.info.status for run in runs_of(mlflow_server, tmp_path.name)] == ["FINISHED", "FINISHED"]


@pytest.mark.long
def test_a_stopped_run_can_be_resumed_as_the_same_run_and_reported_elsewhere(
    encoder: Path, mlflow_server: MlflowServer, tmp_path: Path, s140
) -> None:
    folder = tmp_path / "stopped"
    words = ["train", "--output-dir", folder, *small(encoder, num_train_epochs=2), "--no-log-model"]
    with Command(*words, pause_at="step 8/") as started:
        signalled(started, signal.SIGTERM)
    assert started.returncode == 143
    (only,) = runs_of(mlflow_server, tmp_path.name)
    assert only.info.status == "KILLED"
    copies = {trackers: tmp_path / trackers for trackers in ("none", "mlflow,tensorboard")}
    for copy in copies.values():
        shutil.copytree(folder, copy)
    s140("train", "--output-dir", folder, "--resume")
    (only,) = runs_of(mlflow_server, tmp_path.name)
    assert only.info.status == "FINISHED"
    assert steps_of(mlflow_server, only.info.run_id, "train/loss") == list(range(1, 13))
    for trackers, copy in copies.items():
        s140("train", "--output-dir", copy, "--resume", "--report-to", trackers)
        assert (copy / "metrics.json").is_file()
    assert len(runs_of(mlflow_server, tmp_path.name)) == 1


def test_a_silent_server_does_not_delay_a_stop(encoder: Path, mlflow_server: MlflowServer, tmp_path: Path) -> None:
    """Wait at most for the current request and one more."""
    words = ["train", "--output-dir", tmp_path / "run", *small(encoder, num_train_epochs=3)]
    with Eavesdropper(mlflow_server.port) as proxy:
        proxy.rule = lambda method, path, count: STALL
        place = {"MLFLOW_TRACKING_URI": proxy.url, "MLFLOW_HTTP_REQUEST_TIMEOUT": "1"}
        with Command(*words, env=place, pause_at="step 8/") as started:
            started.wait_until_paused()
            before = len(proxy.heard)
            started.terminate()
            started.resume()
            started.wait()
        assert len(proxy.heard) - before <= 2
    assert started.returncode == 143
