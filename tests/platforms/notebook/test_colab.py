"""The Colab notebook as its users run it: whole, after a disconnect, and once more; and all its cells in one kernel."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from nbclient.exceptions import DeadKernelError
from nbformat.v4 import new_code_cell

from notebook_kernel import PLANTED, cell_with, code_cells, execute, read, text_of
from sentiment140_bert.recipe import load_recipe
from sentiment140_bert.run import RunDir
from sentiment140_bert.training.checkpoints import newest_complete
from tiny_run import TINY

pytest_plugins = "hub_fixtures"


class Executed(NamedTuple):
    """Return notebooks that were executed to their end, and their run."""

    notebooks: list[Any]
    run: RunDir


class Quick:
    """The cells in one kernel, with a tiny encoder. Before the training another one, which never ends, is stopped as by
    the stop button, which sends SIGINT; at the end the training's cell is run once more.
    """

    def __init__(self, folder: Path, encoder: Path) -> None:
        values = {name.replace("-", "_"): value for name, value in TINY.items()} | {"model_name_or_path": str(encoder)}
        for name, epochs in (("tiny", 2), ("endless", 100_000)):
            recipe = load_recipe("quickstart").with_values(values | {"num_train_epochs": epochs})
            (folder / f"{name}.yaml").write_text(recipe.to_yaml())
        self.run, self.endless = (RunDir(folder / "runs" / name) for name in ("tiny", "endless"))
        self.notebook = read()
        training = cell_with(self.notebook, "train_or_resume")
        training.source = training.source.replace('"auto"', '"tiny.yaml"', 1)
        self.stopped = new_code_cell("notebook.train_or_resume('endless.yaml', runs)")
        self.stopped.metadata["tags"] = ["raises-exception"]
        self.again = new_code_cell("notebook.train_or_resume('tiny.yaml', runs)")
        self.notebook.cells.insert(self.notebook.cells.index(training), self.stopped)
        self.notebook.cells.append(self.again)
        execute(self.notebook, folder, env=PLANTED, send=signal.SIGINT, when=self._has_trained)
        self.notebook.cells.remove(self.stopped)
        self.notebook.cells.remove(self.again)

    def _has_trained(self) -> bool:
        return self.endless.history.is_file() and '"loss"' in self.endless.history.read_text()


class Runs:
    """Three executions of the notebook in one folder: the first is cut off in the middle of training."""

    def __init__(self, folder: Path) -> None:
        self.run = RunDir(folder / "runs" / "quickstart")
        self.cut_off = read()
        with pytest.raises(DeadKernelError):
            execute(self.cut_off, folder, env=PLANTED, send=signal.SIGKILL, when=self._has_a_checkpoint)
        self.left = newest_complete(self.run.checkpoints)
        self.finished_too_early = self.run.is_finished()
        self.resumed = execute(read(), folder, env=PLANTED)
        self.written = self.run.metrics.stat().st_mtime_ns
        self.again = execute(read(), folder, env=PLANTED)

    def _has_a_checkpoint(self) -> bool:
        return newest_complete(self.run.checkpoints) is not None


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(tmp_path_factory.mktemp("colab"))


@pytest.fixture(scope="module")
def quick(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Quick:
    return Quick(tmp_path_factory.mktemp("quick"), encoder)


@pytest.fixture(scope="module", params=["tiny", pytest.param("quickstart", marks=pytest.mark.long)])
def executed(request: pytest.FixtureRequest) -> Executed:
    if request.param == "tiny":
        quick = request.getfixturevalue("quick")
        return Executed([quick.notebook], quick.run)
    runs = request.getfixturevalue("runs")
    return Executed([runs.resumed, runs.again], runs.run)


def outputs(notebook: Any) -> list[Any]:
    return [output for cell in code_cells(notebook) for output in cell.outputs]


def pictures(cell: Any) -> list[str]:
    return [output.data["image/png"] for output in cell.outputs if "image/png" in output.get("data", {})]


@pytest.mark.long
def test_every_cell_was_executed_without_an_edit(runs: Runs) -> None:
    for notebook in (runs.resumed, runs.again):
        assert [cell.execution_count for cell in code_cells(notebook)] == list(range(1, len(code_cells(notebook)) + 1))
        assert not [output for output in outputs(notebook) if output.output_type == "error"]
    assert [cell.source for cell in code_cells(runs.resumed)] == [cell.source for cell in code_cells(read())]


@pytest.mark.long
def test_without_a_gpu_it_starts_the_offline_default(runs: Runs) -> None:
    words = text_of(cell_with(runs.cut_off, "train_or_resume"))
    assert "recipe: quickstart" in words
    assert "unfinished" not in words
    assert load_recipe(str(runs.run.recipe)).data.dataset == "sample"


@pytest.mark.long
def test_resumes_after_a_disconnect(runs: Runs) -> None:
    assert runs.left is not None
    assert not runs.finished_too_early
    words = text_of(cell_with(runs.resumed, "train_or_resume"))
    assert "is unfinished: resuming" in words
    assert f"resume: from {runs.left.name}" in words
    steps = [json.loads(line)["step"] for line in runs.run.history.read_text().splitlines() if '"loss"' in line]
    assert steps == sorted(set(steps))
    assert runs.run.read_environment()["training"]["steps"] == 78


@pytest.mark.long
def test_a_finished_run_is_not_trained_again(runs: Runs) -> None:
    words = text_of(cell_with(runs.again, "train_or_resume"))
    assert "is finished; nothing is trained" in words
    assert "train:" not in words
    assert runs.run.metrics.stat().st_mtime_ns == runs.written


def test_every_cell_runs_in_one_kernel(quick: Quick) -> None:
    assert not [output for output in outputs(quick.notebook) if output.output_type == "error"]
    counts = [cell.execution_count for cell in code_cells(quick.notebook)]
    assert None not in counts
    assert counts == sorted(counts)


def test_a_stopped_cell_says_how_to_resume(quick: Quick) -> None:
    """Show no traceback, and leave a checkpoint to resume from."""
    error = quick.stopped.outputs[-1]
    assert error.ename == "Interrupted"
    assert "Run this cell again" in "".join(error.traceback)
    assert "File" not in "".join(error.traceback)
    assert "stopping after this step" in text_of(quick.stopped)
    assert newest_complete(quick.endless.checkpoints)
    assert not quick.endless.is_finished()


def test_a_cell_that_is_run_again_trains_nothing(quick: Quick) -> None:
    assert "is finished; nothing is trained" in text_of(quick.again)
    assert "train:" not in text_of(quick.again)


def test_the_pictures_are_shown_inline(executed: Executed) -> None:
    for notebook in executed.notebooks:
        for call in ("show_curves", "show_confusion_matrix", "show_calibration"):
            (picture,) = pictures(cell_with(notebook, call))
            assert len(picture) > 5_000  # base64


def test_the_scores_are_those_of_the_run(executed: Executed) -> None:
    splits = executed.run.read_metrics()["splits"]
    (shown,) = cell_with(executed.notebooks[0], "show_scores").outputs
    row = re.search("<td>accuracy</td>(.+?)</tr>", shown.data["text/html"])
    assert row is not None
    values = [float(cell.split()[0]) for cell in re.findall("<td>(.+?)</td>", row[1])]
    assert values == [round(split["accuracy"]["value"], 4) for split in splits.values()]


def test_the_typed_tweet_gets_its_label(executed: Executed) -> None:
    words = text_of(cell_with(executed.notebooks[0], "classify"))
    assert re.fullmatch(r"(negative|positive) \(\d+\.\d%\): missed the last bus home, .*\n", words)


def test_nothing_is_published_unasked(executed: Executed) -> None:
    assert "Nothing is published" in text_of(cell_with(executed.notebooks[0], "push"))
    assert not executed.run.published.exists()


def test_the_progress_is_a_bar_that_is_drawn_over(executed: Executed) -> None:
    words = text_of(cell_with(executed.notebooks[0], "train_or_resume"))
    assert words.count("train 100%") == 1  # a carriage return before each drawing, and the last one stays
    assert "validation: accuracy" in words
    steps = executed.run.read_environment()["training"]["steps"]
    assert f"trained {steps} steps" in words
    assert [output.text for output in outputs(executed.notebooks[0]) if output.get("name") == "stderr"] == []


def test_no_token_is_shown_or_kept(executed: Executed) -> None:
    words = json.dumps(outputs(executed.notebooks[0]))
    assert "HF_TOKEN" in words  # it was found in the environment, and said so
    remaining = [
        file
        for file in executed.run.path.rglob("*")
        if file.is_file() and file.suffix in (".json", ".yaml", ".md", ".jsonl")
    ]
    assert len(remaining) > 5
    for secret in PLANTED.values():
        assert secret not in words
        assert not [file for file in remaining if secret in file.read_text("utf-8")]
