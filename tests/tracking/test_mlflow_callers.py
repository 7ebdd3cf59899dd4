"""MLflow runs that the caller opened: they are the caller's to end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from command_line import complete
from mlflow_server import MlflowServer, runs_of
from told import change_scores, tell

pytest_plugins = ("hub_fixtures", "mlflow_fixtures")


@pytest.fixture(autouse=True)
def their_experiment(mlflow_server: MlflowServer, tmp_path: Path) -> Iterator[None]:
    import mlflow

    mlflow.set_tracking_uri(None)
    mlflow.set_experiment(tmp_path.name)
    yield
    while mlflow.active_run():
        mlflow.end_run()
    mlflow.set_tracking_uri(None)


def status_of(run_id: str) -> str:
    import mlflow

    return mlflow.get_run(run_id).info.status


def test_their_run_stays_open_while_a_child_of_it_is_active(run_copy: Path) -> None:
    import mlflow

    with mlflow.start_run() as parent:
        assert tell(run_copy, "mlflow")
        change_scores(run_copy)
        with mlflow.start_run(nested=True):
            assert tell(run_copy, "mlflow")
        assert status_of(parent.info.run_id) == "RUNNING"


def test_their_run_stays_open_when_another_process_resumes_it(run_copy: Path) -> None:
    import mlflow

    with mlflow.start_run() as callers:
        assert tell(run_copy, "mlflow")
        change_scores(run_copy)
        complete("track", "sync", run_copy)
        assert status_of(callers.info.run_id) == "RUNNING"


def test_resumes_a_run_that_the_caller_ended(run_copy: Path, mlflow_server: MlflowServer, tmp_path: Path) -> None:
    import mlflow

    with mlflow.start_run() as callers:
        assert tell(run_copy, "mlflow")
    change_scores(run_copy)
    assert tell(run_copy, "mlflow")
    (only,) = runs_of(mlflow_server, tmp_path.name)
    assert only.info.run_id == callers.info.run_id
    assert only.info.status == "FINISHED"
    assert 59 in (only.data.metrics["validation/n"], only.data.metrics["test/n"])


def test_a_parameter_of_theirs_stays_theirs(run_copy: Path) -> None:
    import mlflow

    with mlflow.start_run() as callers:
        mlflow.log_param("learning_rate", "mine")
        assert tell(run_copy, "mlflow")
    assert mlflow.get_run(callers.info.run_id).data.params["learning_rate"] == "mine"


def test_a_run_that_the_environment_names_is_used(
    run_copy: Path, mlflow_server: MlflowServer, tmp_path, monkeypatch
) -> None:
    import mlflow

    client = mlflow.MlflowClient(mlflow_server.url)
    experiment = client.get_experiment_by_name(tmp_path.name)
    callers = client.create_run(experiment.experiment_id).info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", callers)
    complete("track", "sync", run_copy, "--report-to", "mlflow")
    (only,) = runs_of(mlflow_server, tmp_path.name)
    assert (only.info.run_id, only.info.status) == (callers, "RUNNING")
