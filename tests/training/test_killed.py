"""A run that is killed goes on from its newest whole checkpoint, and ends bit for bit where an undisturbed one does."""

from __future__ import annotations

import json
import random
import signal
from pathlib import Path
from typing import Any

import pytest

from sentiment140_bert.run_dir import sha256_of
from sentiment140_bert.training.checkpoints import MANIFEST, newest_whole
from tiny_run import flags, process

pytest_plugins = "model_fixtures"

OFTEN = {"save_strategy": "steps", "save_steps": 2, "eval_strategy": "steps", "eval_steps": 2, "logging_steps": 1}
SHAPES = {
    "an epoch at a time": {},
    "in the middle of an epoch": OFTEN,
    "accumulated": OFTEN | {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 4},
}


def trained(folder: Path, words: list[str], kill_at: int | None = None) -> tuple[int, str]:
    """Runs the command, perhaps until it says that a step is done; its exit code and what it said."""
    with process("train", "--output-dir", folder, *words) as started:
        told = []
        for line in started.stderr:
            told.append(line)
            if kill_at and line.startswith(f"step {kill_at}/"):
                started.send_signal(signal.SIGKILL)
        started.wait()
    return started.returncode, "".join(told)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_it_ends_where_an_undisturbed_one_does(small_bert, tmp_path: Path, shape: dict[str, Any]) -> None:
    """Killed three times; before the last time the newest checkpoint loses its end, as a power cut may leave it."""
    words = flags(model_name_or_path=small_bert(dropout=0.1), **shape)
    code, told = trained(tmp_path / "undisturbed", words)
    assert code == 0, told
    folder = tmp_path / "killed"
    for step in (5, 8, 11):
        code, told = trained(folder, words, kill_at=step)
        assert code == -signal.SIGKILL, told
        assert not (folder / "metrics.json").exists()
    newest = newest_whole(folder / "checkpoints")
    with (newest / "optimizer.pt").open("r+b") as file:
        file.truncate(1000)
    code, told = trained(folder, words)
    assert code == 0, told
    assert f"{newest.name} is passed over: optimizer.pt has 1,000 of " in told
    for file in ("model/model.safetensors", "metrics.json"):
        assert sha256_of(folder / file) == sha256_of(tmp_path / "undisturbed" / file), file
    entries = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    assert [each["step"] for each in entries if "loss" in each] == list(range(1, 13))
    assert list(folder.rglob(".s140*")) == []


@pytest.mark.parametrize("left", [(), ("data.json",), ("recipe.yaml",), ("recipe.yaml", "data.json")])
def test_killed_before_it_had_begun_it_begins(classifier_folder, tmp_path: Path, s140, left: tuple[str, ...]) -> None:
    """A lock that its process left behind says that the folder is ours, whatever of the beginning was written."""
    folder = tmp_path / "run"
    folder.mkdir()
    for name in (".s140.lock", *left):
        (folder / name).write_text("half")
    s140("train", "--output-dir", folder, *flags(model_name_or_path=classifier_folder, num_train_epochs=1))
    assert (folder / "metrics.json").is_file()


def test_killed_while_it_scored_it_scores(run: Path, tmp_path: Path, s140) -> None:
    import shutil

    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    for gone in ("metrics.json", "predictions.parquet", "model/README.md"):
        (folder / gone).unlink()
    s140("train", "--output-dir", folder, *flags())
    for file in ("model/model.safetensors", "metrics.json"):
        assert sha256_of(folder / file) == sha256_of(run / file)


def test_any_byte_that_is_another_is_found(run: Path, tmp_path: Path) -> None:
    """Of each file of a checkpoint, one drawn at random; and each file is in the manifest."""
    import shutil

    draw = random.Random(1)
    newest = newest_whole(run / "checkpoints")
    assert set(json.loads((newest / MANIFEST).read_text())["files"]) == {
        each.name for each in newest.iterdir() if each.name != MANIFEST
    }
    copy = tmp_path / newest.name
    shutil.copytree(newest, copy)
    for name in sorted(each.name for each in newest.iterdir()):
        with (copy / name).open("r+b") as file:
            at = draw.randrange((copy / name).stat().st_size)
            file.seek(at)
            byte = file.read(1)
            file.seek(at)
            file.write(bytes([byte[0] ^ 255]))
        assert newest_whole(tmp_path) is None, name
        with (copy / name).open("r+b") as file:
            file.seek(at)
            file.write(byte)
    assert newest_whole(tmp_path) == copy
