"""The Colab notebook as its users run it: whole, after a disconnect, and once more."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path
from typing import Any

import pytest
from nbclient.exceptions import DeadKernelError

from notebook_kernel import PLANTED, cell_with, code_cells, execute, read, text_of
from sentiment140_bert import recipes
from sentiment140_bert.run_dir import RunDir
from sentiment140_bert.training.checkpoints import newest_whole

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


class Runs:
    """Three executions of the notebook in one folder: the first is cut off in the middle of training."""

    def __init__(self, folder: Path) -> None:
        self.run = RunDir(folder / "runs" / "quickstart")
        self.cut_off = read()
        with pytest.raises(DeadKernelError):
            execute(self.cut_off, folder, env=PLANTED, send=signal.SIGKILL, when=self._has_a_checkpoint)
        self.left = newest_whole(self.run.checkpoints)
        self.finished_too_early = self.run.is_finished()
        self.resumed = execute(read(), folder, env=PLANTED)
        self.written = self.run.metrics.stat().st_mtime_ns
        self.again = execute(read(), folder, env=PLANTED)

    def _has_a_checkpoint(self) -> bool:
        return newest_whole(self.run.checkpoints) is not None


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(tmp_path_factory.mktemp("colab"))


def outputs(notebook: Any) -> list[Any]:
    return [output for cell in code_cells(notebook) for output in cell.outputs]


def pictures(cell: Any) -> list[str]:
    return [each.data["image/png"] for each in cell.outputs if "image/png" in each.get("data", {})]


def test_every_cell_was_executed_without_an_edit(runs: Runs) -> None:
    for notebook in (runs.resumed, runs.again):
        assert [cell.execution_count for cell in code_cells(notebook)] == list(range(1, len(code_cells(notebook)) + 1))
        assert not [each for each in outputs(notebook) if each.output_type == "error"]
    assert [cell.source for cell in code_cells(runs.resumed)] == [cell.source for cell in code_cells(read())]


def test_without_a_gpu_it_starts_the_offline_default(runs: Runs) -> None:
    said = text_of(cell_with(runs.cut_off, "train_or_resume"))
    assert "recipe: quickstart" in said
    assert "unfinished" not in said
    assert recipes.load(str(runs.run.recipe)).data.dataset == "sample"


def test_after_a_disconnect_it_goes_on(runs: Runs) -> None:
    assert runs.left is not None
    assert not runs.finished_too_early
    said = text_of(cell_with(runs.resumed, "train_or_resume"))
    assert "is unfinished: going on" in said
    assert f"resume: from {runs.left.name}" in said
    steps = [json.loads(line)["step"] for line in runs.run.history.read_text().splitlines() if '"loss"' in line]
    assert steps == sorted(set(steps))
    assert runs.run.read(runs.run.environment)["training"]["steps"] == 78


def test_a_finished_run_is_not_trained_again(runs: Runs) -> None:
    said = text_of(cell_with(runs.again, "train_or_resume"))
    assert "is finished; nothing is trained" in said
    assert "train:" not in said
    assert runs.run.metrics.stat().st_mtime_ns == runs.written


@pytest.mark.parametrize("call", ["show_curves", "show_confusion_matrix", "show_calibration"])
def test_the_pictures_are_shown_inline(runs: Runs, call: str) -> None:
    for notebook in (runs.resumed, runs.again):
        (picture,) = pictures(cell_with(notebook, call))
        assert len(picture) > 5_000  # base64


def test_the_scores_are_those_of_the_run(runs: Runs) -> None:
    splits = runs.run.read(runs.run.metrics)["splits"]
    (shown,) = cell_with(runs.resumed, "show_scores").outputs
    row = re.search(r"^\| accuracy \|(.+)\|$", shown.data["text/markdown"], re.MULTILINE)
    assert row is not None
    values = [float(cell.split()[0]) for cell in row[1].split("|")]
    assert values == [round(split["accuracy"]["value"], 4) for split in splits.values()]


def test_the_typed_tweet_gets_its_label(runs: Runs) -> None:
    said = text_of(cell_with(runs.resumed, "classify"))
    assert re.fullmatch(r"(negative|positive) \(\d+\.\d%\): missed the last bus home, .*\n", said)


def test_nothing_is_published_unasked(runs: Runs) -> None:
    assert "Nothing is published" in text_of(cell_with(runs.resumed, "push"))
    assert not runs.run.published.exists()


def test_the_progress_is_a_bar_that_is_drawn_over(runs: Runs) -> None:
    said = text_of(cell_with(runs.resumed, "train_or_resume"))
    assert said.count("train: 100%") == 1  # a carriage return before each drawing, and the last one stays
    assert "validation: accuracy" in said
    assert "trained 78 steps" in said
    assert [each.text for each in outputs(runs.resumed) if each.get("name") == "stderr"] == []


def test_no_token_is_shown_or_kept(runs: Runs) -> None:
    said = json.dumps(outputs(runs.resumed))
    assert "HF_TOKEN" in said  # it was found in the environment, and said so
    kept = [
        file
        for file in runs.run.path.rglob("*")
        if file.is_file() and file.suffix in (".json", ".yaml", ".md", ".jsonl")
    ]
    assert len(kept) > 5
    for secret in PLANTED.values():
        assert secret not in said
        assert not [file for file in kept if secret in file.read_text("utf-8")]
