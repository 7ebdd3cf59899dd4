from __future__ import annotations

import json
from pathlib import Path

import pytest

from sentiment140_bert.training.callbacks import MANIFEST, newest_whole


def checkpoint(folder: Path, step: int) -> Path:
    made = folder / f"checkpoint-{step}"
    made.mkdir()
    sizes = {}
    for name in ("model.safetensors", "optimizer.pt"):
        (made / name).write_bytes(b"12345678")
        sizes[name] = 8
    (made / MANIFEST).write_text(json.dumps({"step": step, "files": sizes}))
    return made


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / MANIFEST).unlink(),
        lambda folder: (folder / MANIFEST).write_text('{"step": 1'),
        lambda folder: (folder / MANIFEST).write_text("[]"),
        lambda folder: (folder / "model.safetensors").write_bytes(b"1234"),
        lambda folder: (folder / "optimizer.pt").unlink(),
    ],
    ids=["no manifest", "manifest cut off", "manifest of another kind", "weights cut off", "optimizer missing"],
)
def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path, damage) -> None:
    whole = checkpoint(tmp_path, 9)
    damage(checkpoint(tmp_path, 10))
    assert newest_whole(tmp_path) == whole


def test_steps_are_compared_as_numbers(tmp_path: Path) -> None:
    for step in (5, 1000, 20):
        checkpoint(tmp_path, step)
    (tmp_path / "checkpoint-final").mkdir()
    assert newest_whole(tmp_path) == tmp_path / "checkpoint-1000"


def test_there_may_be_none(tmp_path: Path) -> None:
    assert newest_whole(tmp_path) is None
    assert newest_whole(tmp_path / "missing") is None
