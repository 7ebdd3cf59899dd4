"""A pytest plugin: the MLflow server, one for all tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mlflow_server import MlflowServer


@pytest.fixture(scope="session")
def one_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    server = MlflowServer(tmp_path_factory.mktemp("mlflow"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def own_address(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """MLflow remembers an address for the whole process, and an experiment, which other tests have set."""
    import mlflow

    monkeypatch.setattr("mlflow.tracking.fluent._active_experiment_id", None)
    mlflow.set_tracking_uri(None)
    yield
    mlflow.set_tracking_uri(None)


@pytest.fixture
def mlflow_server(one_server: MlflowServer, own_address: None, monkeypatch, tmp_path: Path) -> MlflowServer:
    """The server, running, as the one that the environment names; with an experiment of the test's own."""
    if one_server.process is None:
        one_server.start()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", one_server.url)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", tmp_path.name)
    return one_server
