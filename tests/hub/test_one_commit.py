"""A repository that changes while it is fetched: everything is of the commit that it was on when first asked."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

import sentiment140_bert
from hub_server import HubServer
from on_hub import DATA, MODEL
from tiny_run import flags

pytest_plugins = "hub_fixtures"


@pytest.fixture
def changing(hub: HubServer, pushed: Path) -> str:
    """The pushed model, of which every file is another one once the first was asked for; its commit before that.

    The cache knows nothing of it.
    """
    from huggingface_hub import constants

    shutil.rmtree(constants.HF_HUB_CACHE, ignore_errors=True)
    before = hub.head(MODEL)

    def change() -> None:
        for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"):
            hub.write(MODEL, name, b"{}")
        hub.write(MODEL, "training_rows.safetensors", b"other")

    for endpoint in ("resolve_head", "repo_info"):
        hub.fail(endpoint, after=1, meanwhile=change)
    hub.requests.clear()
    return before


def fetched(hub: HubServer) -> set[str]:
    """Revisions of the model that files came from; of a branch, none but config.json, which is checked by its hash."""
    paths = [request.path for request in hub.requests if request.endpoint == "resolve_get"]
    paths = [path for path in paths if not path.endswith("/resolve/main/config.json")]
    return {match[1] for path in paths if (match := re.match(f"/{MODEL}/resolve/([^/]+)/", path))}


COMMANDS: dict[str, list[object]] = {
    "predict": ["predict", MODEL, "hello"],
    "evaluate": ["evaluate", MODEL, "--dataset", "sample", "--max-samples", 100],
    "verify": ["verify", MODEL],
    "train": ["train", "--output-dir", "new", *flags(model_name_or_path=MODEL, num_train_epochs=1)],
    "tune": ["tune", "new", "--trials", 2, "--final-seeds", 1, *flags(model_name_or_path=MODEL, num_train_epochs=1)],
    "prepare": ["prepare", "--model-name-or-path", MODEL, "--dataset", "sample"],
}


@pytest.mark.parametrize("command", [*COMMANDS])
def test_all_files_are_of_one_commit(hub: HubServer, changing: str, s140, command: str) -> None:
    s140(*COMMANDS[command])
    assert hub.head(MODEL) != changing
    assert fetched(hub) == {changing}


def test_a_config_that_changes_between_its_two_requests_is_not_taken_for_the_old_one(
    hub: HubServer, changing: str, s140
) -> None:
    hub.mend()
    config = hub.files(MODEL)["config.json"]
    hub.fail("resolve_get", meanwhile=lambda: hub.write(MODEL, "config.json", config.replace(b"e", b"E")))
    result = s140("predict", MODEL, "hello", code=1)
    assert "did not arrive as it was uploaded" in result.stderr
    hub.write(MODEL, "config.json", config)
    assert s140("predict", MODEL, "hello").stdout


@pytest.mark.long
def test_an_export_is_of_one_commit(hub: HubServer, changing: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    sentiment140_bert.export(MODEL, output=tmp_path / "exported")
    assert fetched(hub) == {changing}


def test_published_splits_are_of_one_commit(hub: HubServer, pushed: Path, s140, encoder: Path) -> None:
    from huggingface_hub import constants

    shutil.rmtree(constants.HF_HUB_CACHE, ignore_errors=True)
    before = hub.head(DATA, "dataset")
    hub.fail("repo_info", meanwhile=lambda: None)
    hub.fail("tree", meanwhile=lambda: hub.write(DATA, "data.json", b"{}", "dataset"))
    hub.fail("resolve_head", meanwhile=lambda: hub.write(DATA, "data.json", b"[]", "dataset"))
    hub.requests.clear()
    s140("prepare", "--dataset", DATA, "--model-name-or-path", encoder)
    assert hub.head(DATA, "dataset") != before
    paths = [request.path for request in hub.requests if request.endpoint == "resolve_get"]
    assert paths
    assert all(f"/resolve/{before}/" in path for path in paths)


def test_a_resumed_run_keeps_the_commit_that_it_began_with(
    hub: HubServer, pushed: Path, s140: Callable, tmp_path: Path
) -> None:
    before = hub.head(MODEL)
    words = flags(model_name_or_path=MODEL, num_train_epochs=1)
    s140("train", "--output-dir", "new", *words)
    for done in ("metrics.json", "model"):
        run_file = Path("new") / done
        shutil.rmtree(run_file) if run_file.is_dir() else run_file.unlink()
    hub.write(MODEL, "tokenizer.json", b"{}")
    hub.write(MODEL, "config.json", b"{}")
    hub.requests.clear()
    s140("train", "--output-dir", "new", "--resume", *words)
    assert fetched(hub) <= {before}
    assert yaml.safe_load(Path("new/recipe.yaml").read_text())["model"]["model_revision"] is None


def test_a_study_keeps_the_commit_that_it_began_with(hub: HubServer, pushed: Path, s140: Callable) -> None:
    before = hub.head(MODEL)
    words = ["tune", "new", "--final-seeds", 0, *flags(model_name_or_path=MODEL, num_train_epochs=1)]
    s140(*words, "--trials", 1)
    assert yaml.safe_load(Path("new/best.yaml").read_text())["model"]["model_revision"] == before
    hub.write(MODEL, "added.txt", b"news")
    refused = s140(*words, "--trials", 2, code=1).stderr
    assert f"recipe.model.model_revision: '{before}' then, '{hub.head(MODEL)}' now" in refused
    s140(*words, "--trials", 2, "--model-revision", before)


def test_a_learning_curve_keeps_the_commit_that_it_began_with(hub: HubServer, pushed: Path, s140: Callable) -> None:
    words = ["learning-curve", "curve", *flags(model_name_or_path=MODEL, num_train_epochs=1, max_samples=200)]
    s140(*words, "--sizes", 60, "--seeds", 1)
    before = hub.head(MODEL)
    hub.write(MODEL, "notes.md", b"a new commit")
    s140(*words, "--sizes", "60,90", "--seeds", 1)
    environments = [json.loads(file.read_text()) for file in Path("curve").glob("points/*/environment.json")]
    assert [environment["base_model"]["revision"] for environment in environments] == [before] * 2


def test_suspects_are_searched_with_the_commit_of_the_run(hub: HubServer, pushed: Path, s140: Callable) -> None:
    rows = "".join(f"{4 * (at % 2)},{'good' if at % 2 else 'bad'} day number {at}\n" for at in range(300))
    Path("others.csv").write_text(rows)  # MODEL was not trained on them
    words = flags(model_name_or_path=MODEL, dataset="others.csv", manual_test="none", num_train_epochs=1)
    s140("train", "--output-dir", "new", *words)
    before = hub.head(MODEL)
    hub.write(MODEL, "notes.md", b"a new commit")
    hub.requests.clear()
    s140("suspects", "new", "--by", "model", "--folds", 2, "--output", "suspects.csv")
    paths = [request.path for request in hub.requests if request.endpoint == "resolve_get"]
    assert all(f"/resolve/{before}/" in path for path in paths if f"/{MODEL}/" in path)
