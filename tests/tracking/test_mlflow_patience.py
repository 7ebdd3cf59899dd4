"""Time that MLflow needs, and time that it may take of others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from eavesdropper import DRIP, Eavesdropper
from mlflow_server import MlflowServer, runs_of
from sentiment140_bert.run import RunDir, saved_recipe
from sentiment140_bert.tracking import open_trackers, sync
from sentiment140_bert.tracking.mlflow import TIMEOUT
from sentiment140_bert.tracking.sync_state import SyncState
from sentiment140_bert.tracking.tracks import describe_tracked_run
from told import tell

pytest_plugins = ("hub_fixtures", "mlflow_fixtures")


@pytest.mark.long
@pytest.mark.parametrize(("setting", "usual", "for_weights"), [(None, 20, 300), ("7", 7, 300), ("500", 500, 500)])
def test_a_server_may_take_long_for_the_weights(
    run_copy: Path, mlflow_server: MlflowServer, monkeypatch: pytest.MonkeyPatch, setting, usual: int, for_weights: int
) -> None:
    """MLflow reads how long it waits from the environment when it asks: what stands there meanwhile."""
    waits: dict[str, set[str]] = {"weights": set(), "others": set()}

    def note_patience(method: str, path: str, count: int) -> None:
        kind = "weights" if method == "PUT" and path.endswith("model.safetensors") else "others"
        waits[kind].add(os.environ[TIMEOUT])

    if setting:
        monkeypatch.setenv(TIMEOUT, setting)
    with Eavesdropper(mlflow_server.port) as proxy:
        proxy.rule = note_patience
        monkeypatch.setenv("MLFLOW_TRACKING_URI", proxy.url)
        assert tell(run_copy, "mlflow", log_model=True)
    assert waits["weights"] == {str(for_weights)}
    assert str(usual) in waits["others"]
    assert os.environ.get(TIMEOUT) == setting


def test_a_stopped_run_that_was_finished_later_is_finished(run_copy: Path, mlflow_server, tmp_path: Path) -> None:
    import mlflow

    assert tell(run_copy, "mlflow")
    state = SyncState(RunDir(run_copy))
    entry = state.get("mlflow")
    mlflow.MlflowClient(mlflow_server.url).set_terminated(entry["id"], "KILLED")
    entry["sent"]["files"]["end"] = "KILLED"
    state.write("mlflow", {"sent": entry["sent"]})
    assert tell(run_copy, "mlflow")
    (only,) = runs_of(mlflow_server, tmp_path.name)
    assert only.info.status == "FINISHED"


def test_scoring_does_not_wait_for_a_server_that_answers_drip_by_drip(
    run_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each byte comes within the limit for one read, and the answer never ends."""
    monkeypatch.setattr(sync, "ENDING", 0.3)
    monkeypatch.setattr(sync, "PAUSES", (0.01,))
    run = RunDir(run_copy)
    with Eavesdropper(content=b"") as server:
        server.rule = lambda method, path, count: DRIP
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        with open_trackers(["mlflow"], lambda: describe_tracked_run(run, saved_recipe(run.path))) as tracking:
            tracking.flush()  # returns, although nothing was answered
            server.ended.set()
