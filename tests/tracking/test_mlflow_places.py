"""Find MLflow without changing the address that the caller's process uses."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from command_line import complete
from mlflow_server import MlflowServer, runs_of
from sentiment140_bert import trust
from told import change_scores, tell

pytest_plugins = ("hub_fixtures", "mlflow_fixtures")
pytestmark = pytest.mark.usefixtures("own_address")
LOGGERS = ("urllib3.connectionpool", "mlflow.store", "mlflow.tracking", "mlflow.transformers", "mlflow.system_metrics")


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store in a file, which MLflow takes seconds to create."""
    from mlflow import MlflowClient

    folder = tmp_path_factory.mktemp("store")
    with contextlib.chdir(folder):  # a folder for artifacts is created next to it
        MlflowClient(f"sqlite:///{folder}/mlflow.db").search_experiments()
    return folder / "mlflow.db"


def place_default_store(empty_store: Path) -> None:
    """Put a store where MLflow looks for one by default, as if a command had made it there earlier."""
    shutil.copy(empty_store, "mlflow.db")
    trust.remember_place("mlflow", f"sqlite:///{Path('mlflow.db').resolve()}")


def test_tracking_address_of_the_process_is_restored(run_copy: Path, empty_store: Path, tmp_path: Path) -> None:
    import mlflow

    place_default_store(empty_store)
    assert tell(run_copy, "mlflow", log_model=True)
    assert not mlflow.is_tracking_uri_set()
    assert "MLFLOW_TRACKING_URI" not in os.environ


def test_two_runs_of_two_places_in_one_process(
    run_copy: Path, mlflow_server: MlflowServer, empty_store: Path, monkeypatch, tmp_path: Path
) -> None:
    place_default_store(empty_store)
    other = Path(shutil.copytree(run_copy, tmp_path / "other"))
    assert tell(other, "mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert tell(run_copy, "mlflow", log_model=True)
    change_scores(other)
    assert tell(other, "mlflow")


def test_a_model_is_synced_later_to_the_server_of_its_run(
    run_copy: Path, mlflow_server: MlflowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sentiment140_bert.run import RunDir
    from sentiment140_bert.tracking.sync_state import SyncState

    assert tell(run_copy, "mlflow")
    state = SyncState(RunDir(run_copy))
    sent = state.get("mlflow")["sent"]
    sent["files"].pop("weights")  # as where the server went away before
    state.write("mlflow", {"sent": sent})
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    complete("track", "sync", run_copy)
    assert not (tmp_path / "mlflow.db").exists()
    (only,) = runs_of(mlflow_server, tmp_path.name)
    assert only.outputs.model_outputs


def test_loggers_of_others_keep_their_levels(run_copy: Path, mlflow_server: MlflowServer) -> None:
    import mlflow  # noqa: F401 - it sets levels of its own

    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.NOTSET)
    assert tell(run_copy, "mlflow")
    assert {name: logging.getLogger(name).level for name in LOGGERS} == dict.fromkeys(LOGGERS, logging.NOTSET)


@pytest.mark.parametrize("file", ["mlflow.db", "mine.db"])
def test_a_store_is_found_from_another_folder(
    run_copy: Path, empty_store: Path, tmp_path: Path, monkeypatch, file: str
) -> None:
    """Look where MLflow looks for one by default, and of a relative address."""
    if file == "mlflow.db":
        place_default_store(empty_store)
    else:
        shutil.copy(empty_store, tmp_path / file)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{file}")
    assert tell(run_copy, "mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    change_scores(run_copy)
    complete("track", "sync", run_copy)
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.long
def test_a_store_whose_creation_was_cut_off_is_named(run_copy: Path, tmp_path: Path, monkeypatch, caplog) -> None:
    """Imitate a kill in MLflow's first second, which leaves tables that it tries to create again, and fails."""
    file = tmp_path / "cut_off.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{file}")
    with sqlite3.connect(file) as store:
        store.execute("create table _alembic_tmp_experiments (key text)")
    assert not tell(run_copy, "mlflow")
    assert f"sqlite:///{file} was cut off while MLflow made it" in caplog.text
    assert "If no runs are in it, remove it" in caplog.text
    file.unlink()
    complete("track", "sync", run_copy)


@pytest.mark.long
def test_a_deleted_run_is_one_error_message(run_copy: Path, mlflow_server: MlflowServer, s140) -> None:
    import mlflow

    assert tell(run_copy, "mlflow")
    run_id = json.loads((run_copy / "tracking.json").read_text())["mlflow"]["id"]
    mlflow.MlflowClient(mlflow_server.url).delete_run(run_id)
    change_scores(run_copy)
    result = s140("track", "sync", run_copy, code=1)
    assert "deleted" in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.long
def test_another_server_without_that_run_is_one_error_message(
    run_copy: Path, mlflow_server: MlflowServer, empty_store: Path, monkeypatch: pytest.MonkeyPatch, s140
) -> None:
    assert tell(run_copy, "mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{empty_store}")
    change_scores(run_copy)
    result = s140("track", "sync", run_copy, code=1)
    assert "has no run" in result.stderr
    assert mlflow_server.url in result.stderr


def test_names_of_every_kind(run_copy: Path, mlflow_server: MlflowServer, tmp_path: Path) -> None:
    names = ["with space", "a/b/c", 'it\'s "quoted"', "e😀", "[x]*", "n" * 300, "`tick`"]
    for number, name in enumerate(names):
        run = Path(shutil.copytree(run_copy, tmp_path / f"run-{number}"))
        assert tell(run, "mlflow", run_name=name, tags=[f"tag {number}, ü😀" for number in range(100)])
    assert sorted(run.info.run_name for run in runs_of(mlflow_server, tmp_path.name)) == sorted(names)


def test_mlflow_reports_nothing_to_its_makers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CI", "PYTEST_CURRENT_TEST", "MLFLOW_DISABLE_TELEMETRY"):  # which switch it off, too
        monkeypatch.delenv(name, raising=False)
    lines = (
        "from sentiment140_bert import tracking, cli",
        "from mlflow import telemetry, version",
        "print(version.VERSION, telemetry.get_telemetry_client())",
    )
    printed = subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True, capture_output=True, text=True)
    assert printed.stdout.endswith(" None\n")
