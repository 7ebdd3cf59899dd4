from __future__ import annotations

import json
from pathlib import Path

import pytest

from sentiment140_bert.training.callbacks import MANIFEST, newest_whole, remove_older
from tiny_run import flags

pytest_plugins = "hub_fixtures"


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


@pytest.mark.parametrize(
    ("best", "limit", "left"),
    [
        ("", 2, [30, 40]),
        ("checkpoint-10", 2, [10, 40]),
        ("checkpoint-10", 1, [10, 40]),
        ("checkpoint-40", 1, [40]),
        ("checkpoint-10", 3, [10, 30, 40]),
        ("", 4, [10, 20, 30, 40]),
        ("", None, [10, 20, 30, 40]),
    ],
)
def test_older_checkpoints_are_removed_but_for_the_best(tmp_path: Path, best: str, limit: int | None, left: list[int]):
    newest = [checkpoint(tmp_path, step) for step in (10, 20, 30, 40)][-1]
    (tmp_path / "checkpoint-final").mkdir()
    remove_older(newest, best, limit)
    assert {each.name for each in tmp_path.iterdir()} == {f"checkpoint-{step}" for step in left} | {"checkpoint-final"}


def test_what_is_removed_is_emptied_first(tmp_path: Path) -> None:
    """A second name of a file, as a bin has it, shows what was there when it was removed."""
    old, newest = (checkpoint(tmp_path, step) for step in (10, 20))
    (tmp_path / "bin").hardlink_to(old / "model.safetensors")
    remove_older(newest, "", 1)
    assert not old.exists()
    assert (tmp_path / "bin").stat().st_size == 0
    assert newest_whole(tmp_path) == newest


def test_a_run_keeps_as_many_as_it_was_told(encoder: Path, tmp_path: Path, s140) -> None:
    """Saved six times; the best one is loaded at the end, so it must be among the two that are left."""
    often = {
        "eval_strategy": "steps",
        "eval_steps": 2,
        "save_strategy": "steps",
        "save_steps": 2,
        "save_total_limit": 2,
    }
    result = s140("train", "--output-dir", "run", "--json", *flags(model_name_or_path=encoder, **often))
    best = json.loads(result.stdout)["training"]["best_step"]
    left = sorted(int(each.name.removeprefix("checkpoint-")) for each in tmp_path.glob("run/checkpoints/*"))
    assert len(left) == 2
    assert {best, 12} <= set(left)
    assert newest_whole(tmp_path / "run" / "checkpoints").name == "checkpoint-12"
