"""Checkpoints of another run in, or behind a link in, the folder of a training."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sentiment140_bert.run import RunDir
from stranger_fixtures import invoke

pytest_plugins = ("hub_fixtures", "stranger_fixtures")


def test_checkpoints_without_a_recipe_are_of_another_run(tmp_path: Path, encoder: Path) -> None:
    other = tmp_path / "out" / "checkpoints" / "checkpoint-500" / "optimizer.pt"
    other.parent.mkdir(parents=True)
    other.write_text("weeks of work")
    result = invoke(["train", "--output-dir", "RUN", "FLAGS"], tmp_path / "out", encoder)
    assert result.exit_code == 1
    assert "has checkpoints of another run" in result.output
    assert other.read_text() == "weeks of work"


@pytest.mark.parametrize("state", ["new", "unfinished", "finished"])
def test_checkpoints_behind_a_link_are_of_another_run(
    tmp_path: Path, run_copy: Path, encoder: Path, state: str
) -> None:
    """A run at the place of one that was moved, with the same link, would resume from the other's, and remove them."""
    other = tmp_path / "checkpoints" / "checkpoint-3" / "optimizer.pt"
    other.parent.mkdir(parents=True)
    other.write_text("weeks of work")
    run = tmp_path / "new" if state == "new" else run_copy
    run.mkdir(exist_ok=True)
    if state == "unfinished":
        RunDir(run).metrics.unlink()
    shutil.rmtree(run / "checkpoints", ignore_errors=True)
    (run / "checkpoints").symlink_to(other.parents[1])
    for words in (["train", "--output-dir", "RUN", "FLAGS"], ["train", "--output-dir", "RUN", "FLAGS", "--overwrite"]):
        result = invoke(words, run, encoder)
        assert result.exit_code == 1
        assert "name a folder there with --output-dir" in " ".join(result.output.split())
    RunDir(run).clear()
    assert other.read_text() == "weeks of work"
