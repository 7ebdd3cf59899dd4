"""Folders of strangers, the files that they lead to, and a server that listens."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from eavesdropper import Eavesdropper
from sentiment140_bert.cli import main
from sentiment140_bert.files import remove_path
from sentiment140_bert.tracking.sync_state import make_id
from tiny_run import flags

VERBS: dict[str, list[str]] = {
    "push": ["push-to-hub", "RUN", "--repo-id", "tester/m", "--dataset-repo-id", "tester/d"],
    "card": ["card", "RUN"],
    "report": ["report", "RUN", "--no-attributions"],
    "evaluate": ["evaluate", "RUN"],
    "verify": ["verify", "RUN"],
    "predict": ["predict", "RUN", "fine"],
    "export": ["export", "RUN"],
    "train": ["train", "--output-dir", "RUN", "FLAGS"],
    "overwrite": ["train", "--output-dir", "RUN", "FLAGS", "--overwrite"],
    "track": ["track", "sync", "RUN"],
    "suspects": ["suspects", "RUN", "--overwrite", "--output", "found.csv", "--folds", "2"],
    "compare": ["evaluate", "RUN", "RUN"],
}


OWN = {"id": make_id("a key"), "key": "a key"}  # a run of W&B that the run directory proves to have started


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Create private files: a note, and a folder that looks like a run's checkpoint."""
    place = tmp_path / "elsewhere"
    (place / "folder").mkdir(parents=True)
    for name in ("note.txt", "folder/note.txt", "folder/complete.json", "folder/README.md"):
        (place / name).write_text("my own words")
    shutil.copytree(place / "folder", place / "folder" / "checkpoint-1")
    return place


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def put_link(run: Path, name: str, target: Path) -> None:
    path = run / name
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_path(path)
    path.symlink_to(target)


def invoke(words: list[str], run: Path, encoder: Path) -> Result:
    replaced = {"RUN": [str(run)], "FLAGS": flags(model_name_or_path=encoder, num_train_epochs=1)}
    arguments = [part for word in words for part in replaced.get(word, [word])]
    return CliRunner().invoke(main, arguments)


@pytest.fixture
def stranger() -> Iterator[Eavesdropper]:
    """Return a server that must not receive any request."""
    with Eavesdropper(status=404) as server:
        yield server
