"""Train or go on, ask, publish: as the cells call them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hub_server import HubServer
from kept_trainings import REPO, kept_steps
from on_hub import DATA, MODEL, published
from sentiment140_bert.errors import ModelError, S140Error
from sentiment140_bert.platforms import notebook
from sentiment140_bert.recipe import load_recipe
from sentiment140_bert.run import RunDir
from tiny_run import TINY

pytest_plugins = "hub_fixtures"


@pytest.fixture(scope="module")
def finished(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the recipe file of a short run, and that run in ``runs``; not to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    values = {name.replace("-", "_"): value for name, value in TINY.items()} | {"model_name_or_path": str(encoder)}
    (folder / "tiny.yaml").write_text(load_recipe("quickstart").with_values(values).to_yaml())
    run = notebook.train_or_resume(str(folder / "tiny.yaml"), folder / "runs")
    assert run == folder / "runs" / "tiny"
    return folder


@pytest.fixture
def recipe(finished: Path, tmp_path: Path) -> str:
    """A copy of the recipe file."""
    return str(shutil.copy(finished / "tiny.yaml", tmp_path))


@pytest.fixture
def trained(finished: Path, tmp_path: Path) -> RunDir:
    """A copy of the run."""
    return RunDir(Path(shutil.copytree(finished / "runs", tmp_path / "runs")) / "tiny")


def test_a_run_without_a_whole_checkpoint_is_started_anew(recipe: str, trained: RunDir, tmp_path: Path, capsys) -> None:
    before = trained.read_metrics()
    for path in trained.path.glob("checkpoints/*/complete.json"):
        path.unlink()
    trained.metrics.unlink()
    assert notebook.train_or_resume(recipe, tmp_path / "runs") == trained.path
    assert "no whole checkpoint, starting anew\n" in capsys.readouterr().out
    assert trained.read_metrics() == before


def test_scores_without_their_model_are_no_finished_run(recipe: str, trained: RunDir, tmp_path: Path) -> None:
    """As a disconnect leaves it when Drive has kept the small file, but not yet the large one."""
    before = trained.read_metrics()
    trained.weights.unlink()
    notebook.train_or_resume(recipe, tmp_path / "runs")
    assert trained.read_metrics() == before
    assert trained.weights.is_file()


def test_an_unfinished_run_goes_on_with_its_own_recipe(
    recipe: str, trained: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained.metrics.unlink()
    Path(recipe).write_text(Path(recipe).read_text().replace("learning_rate: 0.0001", "learning_rate: 0.5"))
    notebook.train_or_resume(recipe, tmp_path / "runs")
    assert "going on" in capsys.readouterr().out
    assert load_recipe(str(trained.recipe)).training.learning_rate == 1e-4


@pytest.mark.long
def test_a_full_drive_costs_no_checkpoint_that_the_hub_keeps(
    recipe: str, hub: HubServer, tmp_path: Path, capsys, caplog
) -> None:
    """A full Drive has the small files, but no checkpoint and no weights."""
    kept = load_recipe(recipe).with_values({"checkpoint_repo_id": REPO}).to_yaml()
    Path(recipe).write_text(kept)
    run = RunDir(notebook.train_or_resume(recipe, tmp_path / "runs"))
    before = run.read_metrics()
    newest = kept_steps(hub)[-1]
    run.metrics.unlink()
    for item in (run.checkpoints, run.model):
        shutil.rmtree(item)
    caplog.set_level("INFO")
    notebook.train_or_resume(recipe, tmp_path / "runs")
    assert f"starting anew, unless {REPO} keeps one" in capsys.readouterr().out
    assert f"resume: from checkpoint-{newest}" in caplog.text
    assert run.read_metrics() == before


def test_nothing_typed_is_no_error(small_run: Path, capsys) -> None:
    notebook.classify(small_run, " ")
    notebook.push(small_run)
    assert "Type a tweet" in (said := capsys.readouterr().out)
    assert "Nothing is published" in said


def test_a_name_without_a_token_is_no_error(small_run: Path, capsys) -> None:
    notebook.push(small_run, MODEL)
    assert "there is no HF_TOKEN" in capsys.readouterr().out


def test_with_a_name_and_a_token_it_is_published(mine: Path, hub: HubServer, capsys) -> None:
    notebook.push(mine, f" {MODEL} ", DATA)
    assert set(published(hub)) == {MODEL, DATA}
    said = capsys.readouterr().out
    assert f"{hub.url}/{MODEL}" in said
    assert DATA in said


def test_a_wrong_name_is_told(mine: Path, hub: HubServer) -> None:
    with pytest.raises(S140Error, match="a b"):
        notebook.push(mine, "a b")
    assert published(hub) == []


def test_a_model_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        notebook.classify(tmp_path / "none", "hello")


def test_a_picture_that_was_not_drawn_is_told(mine: Path, capsys) -> None:
    (mine / "figures" / "learning_curve.png").unlink()
    notebook.show_curves(mine)
    assert "has no learning_curve.png" in capsys.readouterr().out
