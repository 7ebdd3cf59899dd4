"""An MLflow server whose answers are lost, late or errors: nothing of a run is there twice, and nothing is missing."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from eavesdropper import RESET, SWALLOW, Eavesdropper
from mlflow_server import MlflowServer, runs_of, steps_of
from sentiment140_bert.tracking import sync
from told import tell

pytest_plugins = ("hub_fixtures", "mlflow_fixtures")
STEPS = [1, 2, 3, 4, 5, 6]
CREATE = "runs/create"
# Which requests fail (by the end of their path), how, and how many of them.
FAILURES = (
    *((CREATE, RESET, times) for times in (1, 3)),
    *((CREATE, SWALLOW, times) for times in (1, 2, 3)),
    ("experiments/create", SWALLOW, 1),
    *(("runs/log-batch", SWALLOW, times) for times in (1, 3)),
    ("runs/log-batch", 429, 1),
    ("runs/log-inputs", SWALLOW, 3),
    ("artifacts/metrics.json", SWALLOW, 1),
    ("artifacts/metrics.json", 500, 3),
    ("runs/get", 503, 1),
)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry at once, whatever the answers take."""
    monkeypatch.setattr(sync, "PAUSES", (0.0,) * 4)
    monkeypatch.setattr(sync, "ENDING", 900.0)


@pytest.fixture
def proxy(mlflow_server: MlflowServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Eavesdropper]:
    """Put a proxy between this process and the server."""
    with Eavesdropper(mlflow_server.port) as between:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", between.url)
        yield between


def versions_of(server: MlflowServer, name: str) -> list:
    import mlflow

    return list(mlflow.MlflowClient(server.url).search_model_versions(f"name='{name}'"))


def is_whole(server: MlflowServer, experiment: str) -> bool:
    """Return True if there is one run with everything in it."""
    (first, *others) = runs_of(server, experiment)
    logged = (len(first.inputs.dataset_inputs), first.data.metrics.get("test/n"), first.info.status)
    steps = steps_of(server, first.info.run_id, "train/loss")
    return not others and (steps, logged) == (STEPS, (5, 60, "FINISHED"))


@pytest.mark.parametrize(
    "failures", [FAILURES[3:4], pytest.param(FAILURES, marks=pytest.mark.long)], ids=["one", "all"]
)
def test_failed_requests_are_repeated_once(
    run_copy: Path, proxy: Eavesdropper, mlflow_server, tmp_path: Path, monkeypatch, failures: Sequence[Any]
) -> None:
    """Create no second run after a lost answer to the first creation."""
    wrong = []
    for number, (ending, end, times) in enumerate(failures):
        experiment = f"{tmp_path.name}-{number}"
        monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", experiment)
        run = Path(shutil.copytree(run_copy, tmp_path / f"run-{number}"))
        proxy.forget()
        proxy.fail(ending, end, times)
        complete = tell(run, "mlflow")
        ends = [request.end for request in proxy.heard if request.line.partition("?")[0].endswith(ending)]
        if not complete or end not in ends or not is_whole(mlflow_server, experiment):
            wrong.append((ending, end, times, complete, ends))
    assert wrong == []


def test_a_run_that_could_not_be_ended_is_ended_later(
    run_copy: Path, proxy: Eavesdropper, mlflow_server, tmp_path
) -> None:
    proxy.fail("runs/update", 500, 4)
    assert not tell(run_copy, "mlflow")
    assert tell(run_copy, "mlflow")
    assert is_whole(mlflow_server, tmp_path.name)


def test_a_lost_answer_logs_no_second_model(run_copy: Path, proxy: Eavesdropper, mlflow_server, tmp_path) -> None:
    proxy.fail("/logged-models", SWALLOW, method="POST")
    assert tell(run_copy, "mlflow", log_model=True)
    (only,) = runs_of(mlflow_server, tmp_path.name)
    assert len(only.outputs.model_outputs) == 1


@pytest.mark.parametrize("times", [pytest.param(1, marks=pytest.mark.long), 3])
def test_a_lost_answer_registers_no_second_version(
    run_copy: Path, proxy: Eavesdropper, mlflow_server, tmp_path: Path, times: int
) -> None:
    proxy.fail("model-versions/create", SWALLOW, times)
    assert tell(run_copy, "mlflow", log_model=True, register_model=f"lost_{times}")
    assert len(versions_of(mlflow_server, f"lost_{times}")) == 1
    (only,) = runs_of(mlflow_server, tmp_path.name)
    assert len(only.outputs.model_outputs) == 1


@pytest.mark.long
def test_an_alias_that_could_not_be_set_is_set_later(
    run_copy: Path, proxy: Eavesdropper, mlflow_server, tmp_path
) -> None:
    import mlflow

    proxy.fail("registered-models/alias", 500, 3)
    assert tell(run_copy, "mlflow", log_model=True, register_model="aliased")
    logged = mlflow.MlflowClient(mlflow_server.url).get_model_version_by_alias("aliased", "champion")
    assert logged.version == "1"
    assert len(versions_of(mlflow_server, "aliased")) == 1
    (only,) = runs_of(mlflow_server, tmp_path.name)
    assert len(only.outputs.model_outputs) == 1


@pytest.mark.parametrize("status", [302, 307])
def test_no_redirect_is_followed(run_copy: Path, proxy: Eavesdropper, status: int) -> None:
    """Files and scores would go to any host that the server names."""
    with Eavesdropper() as elsewhere:
        proxy.headers = {"Location": f"{elsewhere.url}/x"}
        proxy.rule = lambda method, path, count: status if method in ("PUT", "POST") else None
        assert not tell(run_copy, "mlflow")
        proxy.rule = lambda method, path, count: status if method == "PUT" else None
        tell(run_copy, "mlflow", log_model=True)
    assert any(request.line.startswith("PUT ") for request in proxy.heard)
    assert elsewhere.heard == []


@pytest.mark.parametrize("answers", ["logged-models", "logged-models/"])
def test_a_logged_model_is_sent_to_the_server_alone(answers: str, run_copy: Path, proxy: Eavesdropper, caplog) -> None:
    """Name another place when the model is created, or only later, when MLflow's client would ask again."""
    with Eavesdropper(content=b"{}") as elsewhere:
        place = f'"artifact_uri": "mlflow-artifacts://{elsewhere.address}/model"'.encode()
        proxy.rewrite = lambda path, content: (
            re.sub(rb'"artifact_uri": *"[^"]*"', place, content) if answers in path else content
        )
        is_sent = tell(run_copy, "mlflow", log_model=True)
    assert is_sent == (answers == "logged-models/")
    assert is_sent or "wants files to be sent elsewhere" in caplog.text
    assert elsewhere.heard == []


def test_a_server_that_asks_for_an_hour_is_not_waited_for(run_copy: Path, proxy: Eavesdropper, s140) -> None:
    proxy.headers = {"Retry-After": "3600"}
    proxy.fail("runs/log-batch", 429, 100)
    assert "429" in s140("track", "sync", run_copy, "--report-to", "mlflow", code=1).stderr
