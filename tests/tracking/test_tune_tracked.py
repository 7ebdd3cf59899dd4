"""Trials and the study above them, as trackers know them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from command_line import complete
from tiny_run import TINY
from wandb_files import records, segments

pytest_plugins = "model_fixtures"


@pytest.fixture
def recipe(small_bert: Callable[..., Path], tmp_path: Path) -> Path:
    names = ("num-train-epochs", "learning-rate", "per-device-train-batch-size")
    plain: dict[str, Any] = {
        "model": {"model_name_or_path": str(small_bert("BertModel"))},
        "data": {"dataset": "sample", "max_samples": 300, "validation_size": 60, "test_size": 60},
        "training": {name.replace("-", "_"): TINY[name] for name in names},
        "tuning": {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}, "weight_decay": [0.0, 0.1]},
    }
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(plain))
    return file


@pytest.mark.long
def test_mlflow_shows_the_trials_below_their_study(
    recipe: Path, s140, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "tunings")
    words = ("tune", "mine", "--recipe", recipe, "--report-to", "mlflow", "--final-seeds", 1)
    s140(*words, "--trials", 1)
    s140(*words, "--trials", 3)
    client = mlflow.MlflowClient()
    (experiment,) = [experiment for experiment in client.search_experiments() if experiment.name == "tunings"]
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    study = runs.pop("mine")
    trials = {f"mine-trial-{number:04}" for number in range(3)}
    assert trials <= set(runs)
    for name, run in runs.items():
        tags = run.data.tags
        assert tags["mlflow.parentRunId"] == study.info.run_id
        assert tags["group"] == "mine"
        assert tags["job_type"] == ("trial" if name in trials else "final")
    assert study.data.tags["job_type"] == "study"
    values = sorted(client.get_metric_history(study.info.run_id, "eval/best"), key=lambda value: value.step)
    assert [entry.step for entry in values] == [0, 1, 2]
    assert sorted(entry.value for entry in values) == [entry.value for entry in values]
    assert "figures/history.png" in [file.path for file in client.list_artifacts(study.info.run_id, "figures")]


@pytest.mark.long
def test_wandb_groups_them(recipe: Path, tmp_path: Path) -> None:
    words = ("tune", "mine", "--recipe", recipe, "--report-to", "wandb", "--final-seeds", 0, "--trials", 1)
    complete(*words, env={"HOME": str(tmp_path), "NETRC": str(tmp_path / "none")}, cwd=tmp_path)
    notes = {}
    for folder in ("study", "trials/trial-0000"):
        file = segments(tmp_path / "mine" / folder)[0]
        (begun,) = [record.run for record in records(file) if record.WhichOneof("record_type") == "run"][:1]
        notes[folder] = (begun.run_group, begun.job_type, begun.display_name)
    assert notes == {"study": ("mine", "study", "mine"), "trials/trial-0000": ("mine", "trial", "mine-trial-0000")}
