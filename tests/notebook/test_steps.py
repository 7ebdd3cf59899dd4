"""Train or go on, ask, publish: as the cells call them."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_notebook

from hub_server import HubServer
from kept_trainings import REPO, kept_steps
from notebook_kernel import execute, text_of
from on_hub import DATA, MODEL, published
from sentiment140_bert import notebook, recipes
from sentiment140_bert.errors import ModelError, S140Error
from sentiment140_bert.run_dir import RunDir
from tiny_run import TINY

pytest_plugins = "hub_fixtures"


@pytest.fixture
def recipe(encoder: Path, tmp_path: Path) -> str:
    """A recipe file of a short run."""
    values = {name.replace("-", "_"): value for name, value in TINY.items()} | {"model_name_or_path": str(encoder)}
    (tmp_path / "tiny.yaml").write_text(recipes.load("quickstart").with_values(values).to_yaml())
    return str(tmp_path / "tiny.yaml")


def test_a_run_without_a_whole_checkpoint_is_started_anew(recipe: str, tmp_path: Path, capsys) -> None:
    run = notebook.train_or_resume(recipe, tmp_path / "runs")
    assert run == tmp_path / "runs" / "tiny"
    first = RunDir(run).read(RunDir(run).metrics)
    for each in run.glob("checkpoints/*/complete.json"):
        each.unlink()
    (run / "metrics.json").unlink()
    capsys.readouterr()
    assert notebook.train_or_resume(recipe, tmp_path / "runs") == run
    assert "no whole checkpoint, starting anew\n" in capsys.readouterr().out
    assert RunDir(run).read(RunDir(run).metrics) == first


def test_scores_without_their_model_are_no_finished_run(recipe: str, tmp_path: Path) -> None:
    """As a disconnect leaves it when Drive has kept the small file, but not yet the large one."""
    run = RunDir(notebook.train_or_resume(recipe, tmp_path / "runs"))
    before = run.read(run.metrics)
    run.weights.unlink()
    notebook.train_or_resume(recipe, tmp_path / "runs")
    assert run.read(run.metrics) == before
    assert run.weights.is_file()


def test_an_unfinished_run_goes_on_with_its_own_recipe(recipe: str, tmp_path: Path, capsys) -> None:
    run = RunDir(notebook.train_or_resume(recipe, tmp_path / "runs"))
    run.metrics.unlink()
    Path(recipe).write_text(Path(recipe).read_text().replace("learning_rate: 0.0001", "learning_rate: 0.5"))
    notebook.train_or_resume(recipe, tmp_path / "runs")
    assert "going on" in capsys.readouterr().out
    assert recipes.load(str(run.recipe)).training.learning_rate == 1e-4


def test_a_full_drive_costs_no_checkpoint_that_the_hub_keeps(
    recipe: str, hub: HubServer, tmp_path: Path, capsys, caplog
) -> None:
    """A full Drive has the small files, but no checkpoint and no weights."""
    kept = recipes.load(recipe).with_values({"checkpoint_repo_id": REPO}).to_yaml()
    Path(recipe).write_text(kept)
    run = RunDir(notebook.train_or_resume(recipe, tmp_path / "runs"))
    before = run.read(run.metrics)
    newest = kept_steps(hub)[-1]
    run.metrics.unlink()
    for each in (run.checkpoints, run.model):
        shutil.rmtree(each)
    caplog.set_level("INFO")
    notebook.train_or_resume(recipe, tmp_path / "runs")
    assert f"starting anew, unless {REPO} keeps one" in capsys.readouterr().out
    assert f"resume: from checkpoint-{newest}" in caplog.text
    assert run.read(run.metrics) == before


def test_a_stopped_cell_says_how_to_go_on_and_does(recipe: str, tmp_path: Path) -> None:
    """Stopped as by the stop button, which sends SIGINT; no traceback."""
    history = RunDir(tmp_path / "runs" / "tiny").history
    long = recipes.load(recipe).with_values({"num_train_epochs": 200}).to_yaml()
    Path(recipe).write_text(long)
    stopped = new_notebook(
        cells=[
            new_code_cell("from pathlib import Path\nfrom sentiment140_bert import notebook\nnotebook.begin()"),
            new_code_cell("notebook.train_or_resume('tiny.yaml', Path('runs'))"),
        ]
    )
    with pytest.raises(CellExecutionError):
        execute(stopped, tmp_path, send=signal.SIGINT, when=lambda: history.is_file() and history.stat().st_size > 500)
    error = stopped.cells[1].outputs[-1]
    assert error.ename == "Interrupted"
    assert "Run this cell again" in "".join(error.traceback)
    assert "File" not in "".join(error.traceback)
    assert "stopping after this step" in text_of(stopped.cells[1])
    assert list(tmp_path.glob("runs/tiny/checkpoints/*/complete.json"))


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
