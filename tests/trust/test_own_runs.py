"""Files and tweets of the user: what a stranger's run or recipe names of them is not published."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from conftest import as_csv, six_columns
from hub_server import HubServer
from on_hub import change_weights
from sentiment140_bert import trust
from sentiment140_bert.cards.model import card as make_card
from sentiment140_bert.cli import main
from sentiment140_bert.publishing import origin
from sentiment140_bert.recipe import FILE_SETTINGS, Recipe
from sentiment140_bert.recipe.privacy import make_arguments_public, make_public, strip_folders
from sentiment140_bert.run import RunDir, saved_recipe
from sentiment140_bert.tracking.mlflow_models import describe_registration
from sentiment140_bert.training.arguments import unusual
from tiny_run import flags
from told import change_scores, tell

pytest_plugins = "hub_fixtures"


def test_files_that_a_recipe_names_are_nobodys_business(tmp_path: Path) -> None:
    assert {"labels_file", "manual_test", "drop_suspects"} == {*FILE_SETTINGS}
    for name in FILE_SETTINGS:
        recipe = Recipe().with_values({"dataset": "sample", name: str(tmp_path / "anna" / "secret.csv")})
        assert getattr(make_public(recipe).data, name) == "secret.csv"
        assert getattr(make_public(Recipe().with_values({name: "anna/secret.txt"})).data, name) == "secret.txt"
        if name != "drop_suspects":  # told apart
            assert not origin.is_public(recipe.data)
    words = ["train", "--output-dir", "anna/secret/run", "--model-name-or-path", "some/model"]
    assert make_arguments_public(words) == ["train", "--output-dir", "run", "--model-name-or-path", "some/model"]
    assert make_arguments_public(["train", "--output-dir=anna/se=cret/run"]) == ["train", "--output-dir=run"]
    lake = f"{tmp_path}/anna/year=2024/own.csv"
    for words in (["--dataset", lake], [f"--dataset={lake}"], ["--set", f"dataset={lake}"], [f"--set=dataset={lake}"]):
        public = make_arguments_public(["train", *words, "--resume"])
        assert public[-2].endswith("own.csv")
        assert "anna" not in " ".join(public)
    assert make_public(Recipe().with_values({"dataset": "anna/letters.bz2"})).data.dataset == "letters.bz2"
    for name, is_on_hub, public in (("anna/tweets", False, "tweets"), ("anna/tweets", True, "anna/tweets")):
        recipe = Recipe().with_values({"dataset": name})  # there may be such a folder no more
        assert make_public(recipe, is_on_hub=is_on_hub).data.dataset == public


def test_a_run_of_somebody_else_does_not_publish_tweets_from_the_cache(
    run_copy: Path, encoder: Path, hub: HubServer, tmp_path: Path
) -> None:
    """The fingerprint of private tweets is public, with every model that was trained on them."""
    tweets = tmp_path / "private.csv"
    tweets.write_text(as_csv(six_columns(240)), "latin-1")
    words = flags(dataset=tweets, model_name_or_path=encoder, max_samples=200, validation_size=20, test_size=20)
    train = ["train", "--output-dir", str(tmp_path / "own"), *words, "--manual-test", "none"]
    assert CliRunner().invoke(main, [*map(str, train)]).exit_code == 0
    own = json.loads((tmp_path / "own" / "data.json").read_text())
    forged = json.loads((run_copy / "data.json").read_text()) | {
        key: own[key] for key in ("fingerprint", "tokenizer", "splits")
    }
    (run_copy / "data.json").write_text(json.dumps(forged))
    push = ["--dataset-repo-id", "tester/tweets", "--dry-run"]
    refused = CliRunner().invoke(main, ["push-to-hub", str(run_copy), *push])
    assert refused.exit_code == 1
    assert "fingerprint differs" in refused.output  # its recipe's tweets are prepared, whatever the cache has
    again = ["train", "--recipe", str(run_copy / "recipe.yaml"), "--output-dir", str(run_copy)]
    repeated = CliRunner().invoke(main, again)  # as the error advises
    assert repeated.exit_code == 0
    assert "is not taken for a run of this machine" in repeated.output
    assert "fingerprint differs" in CliRunner().invoke(main, ["push-to-hub", str(run_copy), *push]).output
    recipe = yaml.safe_load((run_copy / "recipe.yaml").read_text())
    recipe["data"]["dataset"] = "private.csv"
    (run_copy / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    assert "was not trained here" in CliRunner().invoke(main, ["push-to-hub", str(run_copy), *push]).output
    assert CliRunner().invoke(main, ["push-to-hub", str(tmp_path / "own"), *push]).exit_code == 0
    shutil.move(tmp_path / "own", tmp_path / "moved")
    shutil.copytree(run_copy, tmp_path / "own")  # a stranger's run in the place of the own one
    assert CliRunner().invoke(main, ["push-to-hub", str(tmp_path / "own"), *push]).exit_code == 1
    assert CliRunner().invoke(main, ["push-to-hub", str(tmp_path / "moved"), *push]).exit_code == 1
    train[2] = str(tmp_path / "moved")
    assert CliRunner().invoke(main, [*map(str, train)]).exit_code == 0
    assert CliRunner().invoke(main, ["push-to-hub", str(tmp_path / "moved"), *push]).exit_code == 0


def test_a_run_of_somebody_else_does_not_publish_a_manual_test_from_the_cache(
    small_run: Path, run_copy: Path, encoder: Path, hub: HubServer, tmp_path: Path
) -> None:
    """Although its training tweets are the packaged ones."""
    private = tmp_path / "private.csv"
    private.write_text("text,label\n" + "".join(f"my diary {number},{number % 2}\n" for number in range(40)))
    train = ["train", "--output-dir", tmp_path / "own", *flags(model_name_or_path=encoder, max_steps=1)]
    assert CliRunner().invoke(main, [*map(str, train), "--manual-test", str(private)]).exit_code == 0
    shutil.copy(tmp_path / "own" / "data.json", run_copy / "data.json")
    push = ["push-to-hub", str(run_copy), "--dataset-repo-id", "tester/tweets", "--dry-run"]
    refused = CliRunner().invoke(main, push)
    assert refused.exit_code == 1
    assert "fingerprint differs" in refused.output


@pytest.mark.parametrize(
    "name",
    ["dbfs:/mnt/anna/own.csv", "~anna/own.csv", r"\\anna\share\own.csv", "file:///anna/own.csv", "/anna/a=b/own.csv"],
)
def test_paths_of_any_kind_lose_their_folders(name: str) -> None:
    assert strip_folders(name) == "own.csv"


@pytest.mark.parametrize(
    ("name", "public"),
    [("models:/main.anna.model@champion", "models:/model@champion"), ("table:main.anna.tweets", "table:tweets")],
)
def test_names_of_catalogs_lose_their_schema(name: str, public: str) -> None:
    assert strip_folders(name) == public
    for words in (["--teacher", name], ["--set", f"teacher={name}"]):
        assert make_arguments_public(words)[-1].endswith(public)


@pytest.mark.parametrize("name", ["user/model", "models:/model/3", "s3://bucket/own.csv", "own.csv"])
def test_names_that_are_no_paths_stay(name: str) -> None:
    assert strip_folders(name) == name


@pytest.mark.parametrize(
    "words",
    [
        ["--set", "checkpoint-repo-id=u/y"],
        ["--set=checkpoint_repo_id =u/y"],
        ["--push-to-hub", "--repo-id", "u/y", "--dataset-repo-id=u/z", "--private"],
        ["--register-model", "u.y", "--set", "register-model=u.z", "--parent-run=7"],
        ["--set", "trackio_space_id=u/private"],
    ],
)
def test_names_of_repositories_are_not_published(words: list[str]) -> None:
    assert make_arguments_public(["train", *words, "--resume"]) == ["train", "--resume"]


def test_a_run_or_recipe_of_somebody_else_registers_no_model(
    run_copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Leave what is served as models:/prod@champion until the user gives that name."""
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    client = mlflow.MlflowClient()
    client.create_registered_model("prod")
    recipe = yaml.safe_load((run_copy / "recipe.yaml").read_text())
    recipe["training"]["report_to"], recipe["tracking"]["register_model"] = ["mlflow"], "prod"
    (run_copy / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    (run_copy / "tracking.json").write_text('{"mlflow": {}}')
    evaluated = CliRunner().invoke(main, ["evaluate", str(run_copy)])
    assert evaluated.exit_code == 0
    assert "not registered as prod" in evaluated.output
    train = ["train", "--recipe", str(run_copy / "recipe.yaml"), "--output-dir", str(tmp_path / "new")]
    refused = CliRunner().invoke(main, train)
    assert refused.exit_code == 1
    assert "name it: --register-model prod" in refused.output
    assert not client.search_model_versions("name = 'prod'")
    named = CliRunner().invoke(main, [*train, "--register-model", "prod"])
    assert named.exit_code == 0, named.output
    assert client.get_model_version_by_alias("prod", "champion").version in (1, "1")
    monkeypatch.setattr(trust, "_named_now", set())  # as in another process
    train[-1] = str(tmp_path / "another")
    assert "was not named for" in CliRunner().invoke(main, train).output  # that name is one run's
    assert "not registered as prod" in CliRunner().invoke(main, ["evaluate", str(run_copy)]).output
    assert len(client.search_model_versions("name = 'prod'")) == 1


def test_a_published_recipe_names_no_place_of_its_owner(run_copy: Path) -> None:
    own = {"register_model": "prod", "report_to": ["mlflow"], "trackio_space_id": "tester/private"}
    recipe = saved_recipe(run_copy).with_values(own, "its own recipe")
    (run_copy / "recipe.yaml").write_text(recipe.to_yaml())
    make_card(run_copy)
    assert yaml.safe_load((run_copy / "model" / "recipe.yaml").read_text())["tracking"]["register_model"] is None
    assert "trackio_space_id" not in unusual(recipe.training)
    for file in (run_copy / "model").rglob("*"):
        assert not file.is_file() or b"tester/private" not in file.read_bytes(), file


def test_a_copy_of_a_run_with_other_weights_changes_nothing_in_its_tracked_run(
    run_copy: Path, tmp_path: Path, monkeypatch, caplog
) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    assert tell(run_copy, "mlflow")
    another = shutil.copytree(run_copy, tmp_path / "another")
    change_weights(another)
    change_scores(another)
    assert tell(another, "mlflow")
    assert "scores other weights than those of the tracked run" in caplog.text
    run_id = json.loads((run_copy / "tracking.json").read_text())["mlflow"]["id"]
    scores = mlflow.MlflowClient().get_metric_history(run_id, "test/n")
    assert [score.value for score in scores] == [60]


def test_weights_that_were_not_scored_are_not_tracked(run_copy: Path, tmp_path: Path, monkeypatch, caplog) -> None:
    """A backup was restored into the wrong folder."""
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    before = (run_copy / "metrics.json").read_text()
    change_weights(run_copy)
    (run_copy / "metrics.json").write_text(before)
    tell(run_copy, "mlflow", log_model=True)
    assert "is not what was scored" in caplog.text
    run_id = json.loads((run_copy / "tracking.json").read_text())["mlflow"]["id"]
    outputs = mlflow.MlflowClient().get_run(run_id).outputs
    assert not (outputs and outputs.model_outputs)


def test_an_alias_moves_by_training_alone(run_copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run whose server was down is registered later, and does not replace what was trained meanwhile."""
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    older, newer = run_copy, shutil.copytree(run_copy, tmp_path / "newer")
    tell(newer, "mlflow", log_model=True, register_model="later")
    monkeypatch.setattr(trust, "_named_now", set())
    recipe = saved_recipe(older).with_values({"register_model": "later", "report_to": ["mlflow"]}, "its own recipe")
    (older / "recipe.yaml").write_text(recipe.to_yaml())
    RunDir(older).remember()
    trust.remember_place("register_model", describe_registration(RunDir(older), recipe.tracking))
    assert CliRunner().invoke(main, ["track", "sync", str(older), "--report-to", "mlflow"]).exit_code == 0
    client = mlflow.MlflowClient()
    assert len(client.search_model_versions("name = 'later'")) == 2
    assert str(client.get_model_version_by_alias("later", "champion").version) == "1"
