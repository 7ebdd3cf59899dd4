"""Trackers in rough conditions: damaged notes, changed choices, packages that are gone, servers that never answer."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from command_line import Command, signalled
from mlflow_proxy import STALL, MlflowProxy
from mlflow_server import MlflowServer, runs_of, steps_of
from sentiment140_bert.errors import S140Error
from sentiment140_bert.tracking.sender import plain
from sentiment140_bert.workflows import tracks
from tiny_run import flags
from told import change_scores, tell

pytest_plugins = ("hub_fixtures", "mlflow_fixtures")


def small(encoder: Path, **changes) -> list[str]:
    return flags(**{"model_name_or_path": encoder, "report_to": "mlflow", "num_train_epochs": 1} | changes)


@pytest.mark.parametrize(
    "content",
    [
        {"wandb": 3},
        {"mlflow": None},
        {"mlflow": ["x"]},
        {"mlflow": {"sent": []}},
        {"mlflow": {"sent": {"steps": [1], "files": 3}}},
        {"mlflow": {"sent": {"steps": {"train/loss": "x"}}}},
    ],
    ids=json.dumps,
)
def test_damaged_notes_are_a_sentence(mine: Path, content) -> None:
    (mine / "tracking.json").write_text(json.dumps(content))
    with pytest.raises(S140Error, match=r"tracking\.json"):
        tracks.track(mine)


def test_notes_of_an_unknown_tracker_are_left_alone(mine: Path, s140) -> None:
    (mine / "tracking.json").write_text('{"comet": {"id": "x"}}')
    assert s140("track", "show", mine).stdout.strip() == "tracked nowhere"
    assert tell(mine, "tensorboard")
    assert json.loads((mine / "tracking.json").read_text())["comet"] == {"id": "x"}


@pytest.mark.parametrize("password", ["plain", "p@ss", "a@b@c"])
def test_no_part_of_a_password_is_told(password: str) -> None:
    told = plain(ValueError(f"http://me:{password}@host:5000/api failed"))
    assert told == "http://host:5000/api failed"


def test_scoring_while_tensorboard_has_something_to_hear(mine: Path) -> None:
    (mine / "tracking.json").write_text('{"tensorboard": {}}')
    started = Command("evaluate", mine)
    _, stderr = started.communicate(timeout=200)
    assert started.returncode == 0, stderr[-2000:]
    assert "partially initialized" not in stderr


@pytest.mark.parametrize("name", ["trackio", "wandb", "mlflow"])
def test_scoring_while_another_one_has_something_to_hear(mine: Path, name: str, tmp_path: Path) -> None:
    (mine / "tracking.json").write_text(json.dumps({name: {}}))
    started = Command("evaluate", mine, env={"HOME": str(tmp_path), "TRACKIO_DIR": str(tmp_path / "trackio")})
    _, stderr = started.communicate(timeout=200)
    assert started.returncode == 0, stderr[-2000:]
    assert "tried again" not in stderr


@pytest.mark.parametrize("name", ["trackio", "mlflow"])
def test_scoring_where_the_package_is_gone(mine: Path, name: str, tmp_path: Path) -> None:
    """As on a machine where it was never installed."""
    (tmp_path / "hide").mkdir()
    (tmp_path / "hide" / "sitecustomize.py").write_text(
        "from importlib.machinery import PathFinder\nfind = PathFinder.find_spec\n"
        "def without(name, path=None, target=None):\n"
        f"    return None if name.partition('.')[0] == {name!r} else find(name, path, target)\n"
        "PathFinder.find_spec = staticmethod(without)\n"
    )
    (mine / "tracking.json").write_text(json.dumps({name: {"id": "x"}}))
    path = os.pathsep.join([str(tmp_path / "hide"), *filter(None, [os.environ.get("PYTHONPATH")])])
    started = Command("evaluate", mine, env={"PYTHONPATH": path})
    _, stderr = started.communicate(timeout=200)
    assert started.returncode == 0, stderr[-2000:]
    assert stderr.count(f"No module named '{name}'") == 1
    assert f"s140 track sync {mine}" in stderr


def test_a_run_directory_that_was_moved(mine: Path, mlflow_server: MlflowServer, tmp_path: Path) -> None:
    assert tell(mine, "mlflow", "tensorboard")
    moved = Path(shutil.move(mine, tmp_path / "moved"))
    change_scores(moved)
    assert tell(moved, "mlflow", "tensorboard")
    assert len(runs_of(mlflow_server, tmp_path.name)) == 1
    assert len(list((moved / "tensorboard").iterdir())) == 2


def test_all_of_them_leave_one_object_on_stdout(encoder: Path, mlflow_server: MlflowServer, tmp_path: Path) -> None:
    words = small(encoder, report_to="mlflow,mlflow,wandb,trackio,tensorboard,wandb")
    place = {"HOME": str(tmp_path), "TRACKIO_DIR": str(tmp_path / "trackio")}
    started = Command("train", "--output-dir", tmp_path / "run", *words, "--json", env=place)
    stdout, stderr = started.communicate(timeout=300)
    assert started.returncode == 0, stderr
    told = json.loads(stdout)["tracked"]
    assert {name: each["unsent"] for name, each in told.items()} == {name: [] for name in told}
    assert len(told) == 4
    assert len(runs_of(mlflow_server, tmp_path.name)) == 1


def test_overwriting_begins_another_tracked_run(
    encoder: Path, mlflow_server: MlflowServer, tmp_path: Path, s140
) -> None:
    words = ["train", "--output-dir", tmp_path / "run", *small(encoder), "--no-log-model"]
    s140(*words)
    s140(*words, "--overwrite")
    assert [each.info.status for each in runs_of(mlflow_server, tmp_path.name)] == ["FINISHED", "FINISHED"]


@pytest.fixture
def stopped(encoder: Path, mlflow_server: MlflowServer, tmp_path: Path) -> Path:
    """A run that SIGTERM stopped in its second epoch."""
    folder = tmp_path / "stopped"
    started = Command("train", "--output-dir", folder, *small(encoder, num_train_epochs=2), "--no-log-model")
    signalled(started, signal.SIGTERM, "step 8/", timeout=100)
    assert started.returncode == 143
    (only,) = runs_of(mlflow_server, tmp_path.name)
    assert only.info.status == "KILLED"
    return folder


def test_a_stopped_run_is_one_run_when_resumed(stopped: Path, mlflow_server, tmp_path: Path, s140) -> None:
    s140("train", "--output-dir", stopped, "--resume")
    (only,) = runs_of(mlflow_server, tmp_path.name)
    assert only.info.status == "FINISHED"
    assert steps_of(mlflow_server, only.info.run_id, "train/loss") == list(range(1, 13))


@pytest.mark.parametrize("trackers", ["none", "mlflow,tensorboard"])
def test_a_resumed_run_may_be_reported_elsewhere(stopped: Path, s140, trackers: str) -> None:
    s140("train", "--output-dir", stopped, "--resume", "--report-to", trackers)
    assert (stopped / "metrics.json").is_file()


@pytest.mark.slow
def test_a_stop_is_not_held_up_by_a_server_that_never_answers(
    encoder: Path, mlflow_server: MlflowServer, tmp_path: Path
) -> None:
    with MlflowProxy(mlflow_server) as proxy:
        proxy.rule = lambda method, path, count: STALL
        words = ["train", "--output-dir", tmp_path / "run", *small(encoder, num_train_epochs=3)]
        started = Command(*words, env={"MLFLOW_TRACKING_URI": proxy.url})
        try:
            signalled(started, signal.SIGTERM, "step 8/", timeout=100)
        finally:
            started.kill()
    assert started.returncode == 143
