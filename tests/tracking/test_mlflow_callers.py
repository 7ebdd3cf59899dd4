"""MLflow runs that the caller opened: they are the caller's to end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from command_line import complete
from mlflow_server import MlflowServer, runs_of
from told import change_scores, tell

pytest_plugins = ("hub_fixtures", "mlflow_fixtures", "model_fixtures", "curve_fixtures")


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


@pytest.mark.long
def test_trainings_of_one_command_get_runs_below_theirs(
    words: list[str], mlflow_server: MlflowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, s140
) -> None:
    """Their curves and scores would be mixed in one run."""
    import mlflow

    with mlflow.start_run() as callers:
        tracked = ["--report-to", "mlflow", "--sizes", "40,80", "--seeds", "1"]
        s140("learning-curve", tmp_path / "curve", *words, *tracked)
    with mlflow.start_run() as study:
        one_trial = ["--report-to", "mlflow", "--trials", "1", "--final-seeds", "0"]
        s140("tune", tmp_path / "study", *words[: words.index("--sizes")], *one_trial)
    runs = {run.info.run_id: run for run in runs_of(mlflow_server, tmp_path.name)}
    parents = {name: run.data.tags.get("mlflow.parentRunId") for name, run in runs.items()}
    assert not runs[callers.info.run_id].data.metrics
    assert [*parents.values()].count(callers.info.run_id) == 2
    assert parents[study.info.run_id] is None
    assert [*parents.values()].count(study.info.run_id) == 1
    assert {run.data.params["train_rows"] for name, run in runs.items() if parents[name] == callers.info.run_id} == {
        "40",
        "80",
    }


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


def test_what_they_wrote_into_their_run_stays(run_copy: Path, mlflow_server: MlflowServer) -> None:
    import mlflow

    with mlflow.start_run(description="mine", tags={"group": "mine"}) as callers:
        mlflow.log_text("mine", "README.md")
        mlflow.log_text("{}", "metrics.json")
        assert tell(run_copy, "mlflow", group="other")
    run = mlflow.get_run(callers.info.run_id)
    assert (run.data.tags["mlflow.note.content"], run.data.tags["group"]) == ("mine", "mine")
    client = mlflow.MlflowClient()
    assert {file.path for file in client.list_artifacts(run.info.run_id, "s140")} > {"s140/README.md"}
    assert mlflow.artifacts.load_text(f"{run.info.artifact_uri}/README.md") == "mine"


def test_a_description_that_a_person_wrote_stays(run_copy: Path, mlflow_server: MlflowServer, tmp_path: Path) -> None:
    import mlflow

    assert tell(run_copy, "mlflow")
    (only,) = runs_of(mlflow_server, tmp_path.name)
    card = run_copy / "model" / "README.md"
    mark = "<!-- begin s140: summary -->"
    card.write_text(card.read_text().replace(mark, f"A note.\n\n{mark}"))
    assert tell(run_copy, "mlflow")  # its own is brought up to date
    client = mlflow.MlflowClient()
    assert "A note." in client.get_run(only.info.run_id).data.tags["mlflow.note.content"]
    client.set_tag(only.info.run_id, "mlflow.note.content", "do not use")
    card.write_text(card.read_text().replace("A note.", "Another one."))
    assert tell(run_copy, "mlflow")
    assert client.get_run(only.info.run_id).data.tags["mlflow.note.content"] == "do not use"


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
