"""Time that MLflow needs, and time that it may take of others."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from command_line import Command
from mlflow_proxy import MlflowProxy
from mlflow_server import MlflowServer, runs_of
from sentiment140_bert.run_dir import RunDir
from sentiment140_bert.tracking.sender import Book
from told import tell

pytest_plugins = ("hub_fixtures", "mlflow_fixtures")


@pytest.fixture(autouse=True)
def own_address(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """MLflow remembers an address for the whole process, and an experiment, which other tests have set."""
    import mlflow

    monkeypatch.setattr("mlflow.tracking.fluent._active_experiment_id", None)
    mlflow.set_tracking_uri(None)
    yield
    mlflow.set_tracking_uri(None)


def test_a_server_may_take_its_time_over_the_weights(mine: Path, mlflow_server: MlflowServer, tmp_path: Path) -> None:
    def rule(method: str, path: str, count: int) -> None:
        if method == "PUT" and path.endswith("model.safetensors"):
            time.sleep(25)

    with MlflowProxy(mlflow_server) as proxy:
        proxy.rule = rule
        patient = {"MLFLOW_TRACKING_URI": proxy.url, "MLFLOW_HTTP_REQUEST_TIMEOUT": "300"}
        started = Command("track", "sync", mine, "--report-to", "mlflow", env=patient)
        _, stderr = started.communicate(timeout=280)
    assert started.returncode == 0, stderr
    (only,) = runs_of(mlflow_server, tmp_path.name)
    assert len(only.outputs.model_outputs) == 1


def test_a_stopped_run_that_was_finished_later_is_finished(mine: Path, mlflow_server, tmp_path: Path) -> None:
    import mlflow

    assert tell(mine, "mlflow")
    book = Book(RunDir(mine))
    known = book.of("mlflow")
    mlflow.MlflowClient(mlflow_server.url).set_terminated(known["id"], "KILLED")
    known["sent"]["files"]["end"] = "KILLED"
    book.write("mlflow", sent=known["sent"])
    assert tell(mine, "mlflow")
    (only,) = runs_of(mlflow_server, tmp_path.name)
    assert only.info.status == "FINISHED"
