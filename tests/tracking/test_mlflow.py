"""MLflow, through a real server: train, kill, resume, evaluate, push; one run, and everything in it."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from command_line import Command, complete
from killing import until_whole
from mlflow_server import MlflowServer, runs_of, steps_of
from sentiment140_bert import evaluate_run, load_recipe, predict, train
from sentiment140_bert.data import loading
from sentiment140_bert.files import hash_file
from sentiment140_bert.tracking import sync
from sentiment140_bert.training.distillation import ask_teacher
from tiny_run import flags, tiny_recipe

pytest_plugins = ("hub_fixtures", "mlflow_fixtures")

with_mlflow = partial(flags, report_to="mlflow")
STEPS = list(range(1, 13))  # two epochs of six


def test_autologging_alone_adds_no_run(encoder: Path, mlflow_server: MlflowServer, tmp_path: Path) -> None:
    import mlflow

    mlflow.autolog(silent=True)
    try:
        train(tiny_recipe(encoder, report_to="mlflow"), tmp_path / "run")
    finally:
        mlflow.autolog(disable=True, silent=True)
    assert len(runs_of(mlflow_server, tmp_path.name)) == 1
    assert mlflow.active_run() is None


def name_registered(run: Path) -> str:
    """Name the model of a run by its folder: a process that shares out tests may make the run twice."""
    return f"catalog.schema.{run.parent.name}"


@pytest.fixture(scope="module")
def life(encoder: Path, one_server: MlflowServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run that was killed in its second epoch and resumed, each in a process of its own."""
    folder = tmp_path_factory.mktemp("life") / "run"
    place = {"MLFLOW_TRACKING_URI": one_server.url, "MLFLOW_EXPERIMENT_NAME": folder.parent.name}
    place |= {"MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL": "1"}
    register = ["--register-model", name_registered(folder), "--model-alias", "best", "--tags", "a,b"]
    words = ["train", "--output-dir", folder, *with_mlflow(model_name_or_path=encoder), *register]
    with Command(*words, env=place, pause_at="step 9/") as first:
        first.wait_until_paused()
        until_whole(folder, 6, first)
        runs = partial(runs_of, one_server, folder.parent.name)
        first.wait_for(lambda: any("system/" in name for run in runs() for name in run.data.metrics))
        first.kill()
        first.wait()
    _, stderr = complete("train", "--output-dir", folder, "--resume", env=place)
    assert "resume: from checkpoint-6" in stderr
    return folder


@pytest.fixture
def tracked(life: Path, one_server: MlflowServer):
    """Return its run on the server; the address is not in the environment."""
    if one_server.process is None:
        one_server.start()
    (only,) = runs_of(one_server, life.parent.name)
    return only


def test_one_run_with_every_value_once(life: Path, tracked, one_server: MlflowServer) -> None:
    assert tracked.info.status == "FINISHED"
    assert tracked.info.run_id == json.loads((life / "tracking.json").read_text())["mlflow"]["id"]
    for name in ("loss", "learning_rate", "grad_norm", "tweets_per_second"):
        assert steps_of(one_server, tracked.info.run_id, f"train/{name}") == STEPS
    assert steps_of(one_server, tracked.info.run_id, "eval/accuracy") == [6, 12]
    history = [json.loads(line) for line in (life / "history.jsonl").read_text().splitlines()]
    losses = {entry["step"]: entry["loss"] for entry in history if "loss" in entry}
    import mlflow

    logged = mlflow.MlflowClient(one_server.url).get_metric_history(tracked.info.run_id, "train/loss")
    assert {entry.step: entry.value for entry in logged} == losses


def test_the_scores_of_every_split(life: Path, tracked) -> None:
    for split, values in json.loads((life / "metrics.json").read_text())["splits"].items():
        assert tracked.data.metrics[f"{split}/n"] == values["n"]
        assert tracked.data.metrics[f"{split}/accuracy"] == values["accuracy"]["value"]


def test_few_parameters_and_the_whole_recipe_as_a_file(life: Path, tracked, one_server: MlflowServer) -> None:
    import mlflow

    assert tracked.data.params["learning_rate"] == "0.0001"
    assert tracked.data.params["train_rows"] == "180"
    assert len(tracked.data.params) < 40
    assert tracked.data.tags["tags"] == "a,b"
    client = mlflow.MlflowClient(one_server.url)
    names = {file.path for folder in ("", "figures") for file in client.list_artifacts(tracked.info.run_id, folder)}
    assert {"recipe.yaml", "data.json", "environment.json", "metrics.json", "README.md"} <= names
    assert {f"figures/{path.name}" for path in (life / "figures").iterdir()} <= names
    local = Path(client.download_artifacts(tracked.info.run_id, "recipe.yaml"))
    assert load_recipe(str(local)).data.max_samples == 300


def test_the_note_is_the_card_as_far_as_whole_sections_fit(life: Path, tracked) -> None:
    note, card = tracked.data.tags["mlflow.note.content"], (life / "model" / "README.md").read_text("utf-8")
    start, _, rest = note.rpartition("\n\n")
    assert rest.startswith("The whole card is README.md")
    assert len(note) <= 8_000
    assert card.partition("\n---\n")[2].startswith(start)
    assert start.count("<details>") == start.count("</details>") > 1


def test_each_split_is_a_dataset_input_with_its_digest(life: Path, tracked) -> None:
    splits = json.loads((life / "data.json").read_text())["splits"]
    inputs = {entry.tags[0].value: entry.dataset for entry in tracked.inputs.dataset_inputs}
    assert set(inputs) == set(splits)
    for name, dataset in inputs.items():
        assert splits[name]["sha256"].startswith(dataset.digest)
        assert json.loads(dataset.profile)["num_rows"] == splits[name]["rows"]


def test_system_metrics(tracked) -> None:
    assert "system/cpu_utilization_percentage" in tracked.data.metrics
    assert "system/system_memory_usage_percentage" in tracked.data.metrics


def test_the_model_answers_as_the_run_does(life: Path, tracked, one_server: MlflowServer, monkeypatch) -> None:
    import mlflow
    import pandas

    monkeypatch.setenv("MLFLOW_TRACKING_URI", one_server.url)
    texts = ["@a_user what a lovely surprise http://example.com/1", "my phone died &amp; again", "so tired " * 300]
    expected = [answer for _, answer in predict(str(life), texts)]
    registered = f"models:/{name_registered(life)}@best"
    answers = mlflow.pyfunc.load_model(registered).predict(pandas.DataFrame({"text": texts}))
    assert list(answers["label"]) == [result.label for result in expected]
    assert list(answers["score"]) == pytest.approx([result.score for result in expected], abs=1e-5)
    classify = mlflow.transformers.load_model(registered)
    assert classify(texts[:2])[0]["score"] == pytest.approx(expected[0].score, abs=1e-5)
    info = mlflow.models.get_model_info(registered)
    assert info.signature.inputs.input_names() == ["text"]  # without a name, MLflow's server evaluates texts as Python
    assert info.signature.outputs.input_names() == ["label", "score"]
    assert info.metadata["weights_sha256"] == hash_file(life / "model" / "model.safetensors")
    requirements = Path(mlflow.artifacts.download_artifacts(f"{registered}/requirements.txt")).read_text()
    assert "transformers==" in requirements
    recipe = tiny_recipe(life, teacher=registered)
    learned = ask_teacher(recipe.model, loading.load_data(recipe).splits)
    assert learned.teacher == {"name": f"models:/{life.parent.name}@best", "weights": info.metadata["weights_sha256"]}


def test_the_model_tells_nothing_of_this_machine(life: Path, tracked, one_server: MlflowServer) -> None:
    """Neither who made it nor with which program, of which repository."""
    import mlflow

    client = mlflow.MlflowClient(one_server.url)
    (output,) = client.get_run(tracked.info.run_id).outputs.model_outputs
    model = client.get_logged_model(output.model_id)
    assert model.experiment_id == tracked.info.experiment_id
    tags = {name: value for name, value in model.tags.items() if name not in ("weights_sha256", "mlflow.modelVersions")}
    assert tags == {"mlflow.source.name": "s140", "mlflow.source.type": "LOCAL"}


def test_evaluate_and_push_use_the_same_mlflow_run(
    life: Path, tracked, hub, push, s140, one_server: MlflowServer
) -> None:
    """Omit the address from the environment: the run knows where it is tracked."""
    with_changed = (life / "metrics.json").read_text()
    (life / "metrics.json").write_text(with_changed.replace('"n": 60', '"n": 59', 1))
    s140("evaluate", life)
    push(run=life)
    (only,) = runs_of(one_server, life.parent.name)
    published = json.loads((life / "published.json").read_text())
    assert only.data.tags["published.model"] == published["model"]["url"]
    assert only.data.tags["published.dataset"] == published["dataset"]["url"]
    assert only.info.status == "FINISHED"
    assert steps_of(one_server, only.info.run_id, "train/loss") == STEPS
    import mlflow

    assert len(mlflow.MlflowClient(one_server.url).search_model_versions(f"name='{name_registered(life)}'")) == 1


@pytest.mark.long
def test_a_run_of_the_callers_own_is_used_and_left_open(
    encoder: Path, mlflow_server: MlflowServer, tmp_path: Path
) -> None:
    """Switch autologging on, which would add a callback and a run of its own."""
    import mlflow

    mlflow.set_experiment(tmp_path.name)
    mlflow.autolog(silent=True)
    try:
        with mlflow.start_run(run_name="theirs") as callers:
            train(tiny_recipe(encoder, report_to="mlflow"), tmp_path / "run")
            assert mlflow.active_run().info.run_id == callers.info.run_id
            evaluate_run(tmp_path / "run")
            mlflow.log_metric("afterwards", 1)
            assert mlflow.get_run(callers.info.run_id).info.status == "RUNNING"
    finally:
        mlflow.autolog(disable=True, silent=True)
    (only,) = runs_of(mlflow_server, tmp_path.name)
    assert only.info.run_id == callers.info.run_id
    assert only.info.run_name == "theirs"
    assert only.info.status == "FINISHED"
    assert only.data.metrics["test/n"] == 60
    assert steps_of(mlflow_server, callers.info.run_id, "train/loss") == [1, 2, 3, 4, 5, 6]


@pytest.mark.long
def test_a_server_that_dies_in_mid_training(encoder: Path, mlflow_server: MlflowServer, tmp_path: Path, s140) -> None:
    folder = tmp_path / "run"
    words = ["train", "--output-dir", folder, *with_mlflow(model_name_or_path=encoder, num_train_epochs=3)]

    def is_begun() -> bool:
        """Return True if the server knows the settings; on a slow machine the run starts after the training."""
        return any(run.data.params for run in runs_of(mlflow_server, tmp_path.name))

    with Command(*words, pause_at="step 7/") as started:
        started.wait_until_paused()
        started.wait_for(is_begun)
        mlflow_server.kill()
        started.resume()
        started.wait()
        printed = started.stderr.whole() + started.stdout.whole()
    assert started.returncode == 0, printed
    assert printed.count("mlflow: ") == 2  # its address, and that it failed
    assert "Traceback" not in printed
    assert f"s140 track sync {folder}" in printed
    shown = json.loads(s140("track", "show", folder, "--json").stdout)["mlflow"]
    assert "metrics.json" in shown["unsent"]
    assert "It is kept" in s140("track", "sync", folder, code=1).stderr
    mlflow_server.start()
    s140("track", "sync", folder)
    (only,) = runs_of(mlflow_server, tmp_path.name)
    assert steps_of(mlflow_server, only.info.run_id, "train/loss") == list(range(1, 19))
    assert only.data.metrics["test/n"] == 60
    assert only.info.status == "FINISHED"
    assert json.loads(s140("track", "show", folder, "--json").stdout)["mlflow"]["unsent"] == []


def test_a_server_that_is_not_there_at_all(
    encoder: Path, mlflow_server: MlflowServer, tmp_path: Path, s140, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "PAUSES", (0.0,) * 4)
    monkeypatch.setattr(sync, "ENDING", 900.0)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")  # nobody listens there
    words = with_mlflow(model_name_or_path=encoder, num_train_epochs=1)
    result = s140("train", "--output-dir", tmp_path / "run", *words)
    assert result.stderr.count("mlflow: ") == 1
    assert (tmp_path / "run" / "metrics.json").is_file()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server.url)
    s140("track", "sync", tmp_path / "run")
    (only,) = runs_of(mlflow_server, tmp_path.name)
    assert steps_of(mlflow_server, only.info.run_id, "train/loss") == [1, 2, 3, 4, 5, 6]


def test_a_run_that_was_not_tracked_can_be_synced_later(
    small_run: Path, run_copy: Path, mlflow_server: MlflowServer, tmp_path: Path, s140
) -> None:
    assert "has no tracker" in s140("track", "sync", run_copy, code=1).stderr
    s140("track", "sync", run_copy, "--report-to", "mlflow")
    s140("track", "sync", run_copy)
    (only,) = runs_of(mlflow_server, tmp_path.name)
    assert only.data.metrics["test/n"] == 60


def test_a_run_that_failed_is_marked_so(encoder: Path, mlflow_server: MlflowServer, tmp_path: Path, s140) -> None:
    words = with_mlflow(model_name_or_path=encoder, learning_rate=1e30)
    s140("train", "--output-dir", tmp_path / "run", *words, code=1)
    (only,) = runs_of(mlflow_server, tmp_path.name)
    assert only.info.status == "FAILED"
