"""Files and tweets of the user: what a stranger's run or recipe names of them is not published."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import yaml
from click.testing import CliRunner

from conftest import as_csv, six_columns
from hub_server import HubServer
from sentiment140_bert.cli import main
from sentiment140_bert.publishing import origin
from sentiment140_bert.recipe import FILE_SETTINGS, Recipe
from sentiment140_bert.recipe.privacy import make_arguments_public, make_public
from tiny_run import flags

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
