"""Train or resume, classify, publish: the functions that cells call."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hub_server import HubServer
from kept_trainings import REPO, kept_steps
from on_hub import DATA, MODEL, hashes, published
from sentiment140_bert.errors import ModelError, RunError, S140Error, TrustError
from sentiment140_bert.files import write_json
from sentiment140_bert.platforms import notebook
from sentiment140_bert.recipe import load_recipe
from sentiment140_bert.run import RunDir
from tiny_run import TINY

pytest_plugins = "hub_fixtures"


@pytest.fixture(scope="module")
def finished(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the recipe file of a short run, and that run in ``runs``, as on Drive; not to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    values = {name.replace("-", "_"): value for name, value in TINY.items()} | {"model_name_or_path": str(encoder)}
    (folder / "tiny.yaml").write_text(load_recipe("quickstart").with_values(values).to_yaml())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(notebook, "DRIVE", folder)
        run = notebook.train_or_resume(str(folder / "tiny.yaml"), folder / "runs")
    assert run == folder / "runs" / "tiny"
    return folder


@pytest.fixture
def recipe(finished: Path, tmp_path: Path) -> str:
    """Return a copy of the recipe file."""
    return str(shutil.copy(finished / "tiny.yaml", tmp_path))


@pytest.fixture
def trained(finished: Path, tmp_path: Path) -> RunDir:
    """Return a copy of the run."""
    return RunDir(Path(shutil.copytree(finished / "runs", tmp_path / "runs")) / "tiny")


def test_an_unfinished_run_is_trained_to_its_end(
    recipe: str, trained: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Keep the recipe. A disconnect may leave scores without the model, which is larger, or no complete checkpoint."""
    before = trained.read_metrics()
    Path(recipe).write_text(Path(recipe).read_text().replace("learning_rate: 0.0001", "learning_rate: 0.5"))
    trained.weights.unlink()
    for sentence in ("is unfinished: resuming\n", "no complete checkpoint, starting again\n"):
        assert notebook.train_or_resume(recipe, tmp_path / "runs") == trained.path
        assert sentence in capsys.readouterr().out
        assert trained.read_metrics() == before
        assert trained.weights.is_file()
        assert load_recipe(str(trained.recipe)).training.learning_rate == 1e-4
        trained.metrics.unlink()
        for path in trained.path.glob("checkpoints/*/complete.json"):
            path.unlink()


def test_scores_without_a_model_are_not_removed(recipe: str, trained: RunDir, tmp_path: Path) -> None:
    """Somebody may have moved the model away, after it was published."""
    trained.weights.unlink()
    shutil.rmtree(trained.checkpoints)
    before = hashes(trained.path)
    with pytest.raises(RunError, match="its model is not there"):
        notebook.train_or_resume(recipe, tmp_path / "runs")
    assert hashes(trained.path) == before


def test_names_of_splits_are_text(run_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jupyter trusts what a cell displays."""
    run, shown = RunDir(run_copy), []
    metrics = run.read_metrics()
    metrics["splits"]["<img src=x onerror=alert(1)>"] = metrics["splits"]["test"]
    write_json(run.metrics, metrics)
    monkeypatch.setattr("IPython.display.display", shown.append)
    notebook.show_scores(run.path)
    assert "<th>&lt;img src=x" in shown[0].data


def test_a_folder_of_another_tool_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "quickstart"
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text("{}")
    with pytest.raises(S140Error, match="did not write it"):
        notebook.train_or_resume("quickstart", tmp_path / "runs")
    assert (folder / "metrics.json").read_text() == "{}"


@pytest.mark.long
def test_a_full_drive_costs_no_checkpoint_that_the_hub_keeps(
    recipe: str, hub: HubServer, tmp_path: Path, capsys, caplog
) -> None:
    """A full Drive has the small files, but no checkpoint and no weights."""
    text = load_recipe(recipe).with_values({"checkpoint_repo_id": REPO}).to_yaml()
    Path(recipe).write_text(text)
    run = RunDir(notebook.train_or_resume(recipe, tmp_path / "runs"))
    before = run.read_metrics()
    newest = kept_steps(hub)[-1]
    run.metrics.unlink()
    shutil.rmtree(run.model)
    assert not run.checkpoints.exists()
    caplog.set_level("INFO")
    notebook.train_or_resume(recipe, tmp_path / "runs")
    assert f"starting again, unless {REPO} keeps one" in capsys.readouterr().out
    assert f"resume: from checkpoint-{newest}" in caplog.text
    assert run.read_metrics() == before


def test_a_run_is_published_with_a_name_and_a_token(run_copy: Path, hub: HubServer, capsys, monkeypatch) -> None:
    with monkeypatch.context() as context:
        context.delenv("HF_TOKEN")
        notebook.push(run_copy)
        assert "Nothing is published" in capsys.readouterr().out
        notebook.push(run_copy, MODEL)
        assert "HF_TOKEN is missing" in capsys.readouterr().out
    with pytest.raises(S140Error, match="a b"):
        notebook.push(run_copy, "a b")
    assert published(hub) == []
    notebook.push(run_copy, f" {MODEL} ", DATA)
    assert set(published(hub)) == {MODEL, DATA}
    output = capsys.readouterr().out
    assert (f"{hub.url}/{MODEL}" in output, DATA in output) == (True, True)


def test_a_missing_tweet_model_or_picture_is_explained(run_copy: Path, tmp_path: Path, capsys) -> None:
    notebook.classify(run_copy, " ")
    assert "Type a tweet" in capsys.readouterr().out
    with pytest.raises(ModelError):
        notebook.classify(tmp_path / "none", "hello")
    (run_copy / "figures" / "learning_curve.png").unlink()
    notebook.show_curves(run_copy)
    assert "has no learning_curve.png" in capsys.readouterr().out


def test_no_file_outside_of_a_run_is_shown_as_its_picture(run_copy: Path, tmp_path: Path) -> None:
    (tmp_path / "private.png").write_text("a private note")
    (run_copy / "figures" / "learning_curve.png").unlink()
    (run_copy / "figures" / "learning_curve.png").symlink_to(tmp_path / "private.png")
    for show in (notebook.show_curves, notebook.show_confusion_matrix, notebook.show_calibration):
        with pytest.raises(TrustError, match="points outside"):
            show(run_copy)
