"""Tell complete checkpoints from damaged ones, and prune only once a newer one is complete."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from accelerate import PartialState
from hypothesis import given
from hypothesis import strategies as st

from sentiment140_bert.errors import RunError
from sentiment140_bert.training.checkpoints import (
    MANIFEST,
    CheckpointSealer,
    list_complete,
    newest_complete,
    remove_checkpoint,
    remove_older,
    seal,
)
from tiny_run import flags

pytest_plugins = "hub_fixtures"


def checkpoint(folder: Path, step: int) -> Path:
    written = unsealed(folder, step)
    seal(written, seconds=step / 2)
    return written


def unsealed(folder: Path, step: int) -> Path:
    written = folder / f"checkpoint-{step}"
    written.mkdir(parents=True)
    for name in ("model.safetensors", "optimizer.pt"):
        (written / name).write_bytes(b"12345678")
    return written


DAMAGES = {
    "no manifest": lambda folder: (folder / MANIFEST).unlink(),
    "manifest cut off": lambda folder: (folder / MANIFEST).write_text('{"step": 1'),
    "manifest of another kind": lambda folder: (folder / MANIFEST).write_text("[]"),
    "weights cut off": lambda folder: (folder / "model.safetensors").write_bytes(b"1234"),
    "optimizer missing": lambda folder: (folder / "optimizer.pt").unlink(),
    "one byte is another": lambda folder: (folder / "optimizer.pt").write_bytes(b"12345679"),
    "another version": lambda folder: (folder / MANIFEST).write_text('{"step": 10, "files": {"optimizer.pt": 8}}'),
    "no seconds": lambda folder: (folder / MANIFEST).write_text('{"step": 10, "seconds": "x", "files": {}}'),
    "manifest without end": lambda folder: (folder / MANIFEST).write_text("[" * 100_000),
    "a folder in its place": lambda folder: ((folder / MANIFEST).unlink(), (folder / MANIFEST).mkdir()),
}


def test_a_damaged_checkpoint_is_skipped_and_named(tmp_path: Path, caplog) -> None:
    logging.getLogger("sentiment140_bert").propagate = True
    failures = []
    for name, damage in DAMAGES.items():
        whole = checkpoint(tmp_path / name, 9)
        damage(checkpoint(tmp_path / name, 10))
        caplog.clear()
        if newest_complete(tmp_path / name) != whole or "skipping checkpoint-10: " not in caplog.text:
            failures.append(name)
    assert failures == []


def test_only_folders_of_steps_are_checkpoints(tmp_path: Path) -> None:
    whole = checkpoint(tmp_path, 9)
    (tmp_path / "checkpoint-10").write_text("")
    (tmp_path / "checkpoint-\u00b2").mkdir()
    assert newest_complete(tmp_path) == whole
    assert list_complete(tmp_path) == [whole]
    assert newest_complete(tmp_path / "missing") is None


def test_a_manifest_is_written_once_all_files_are_on_the_disk(tmp_path: Path, monkeypatch) -> None:
    """Simulate power cuts: each leaves a complete checkpoint or one that does not count."""
    synchronized: list[Path] = []
    fsync = os.fsync

    def watch(handle: int) -> None:
        synchronized.append(Path(f"/proc/self/fd/{handle}").readlink())
        fsync(handle)

    monkeypatch.setattr(os, "fsync", watch)
    folder = checkpoint(tmp_path, 4)
    manifest = next(at for at, path in enumerate(synchronized) if MANIFEST in path.name)
    before, after = set(synchronized[:manifest]), synchronized[manifest:]
    assert before == {folder / "model.safetensors", folder / "optimizer.pt", folder}
    assert after[-1] == tmp_path
    content = json.loads((folder / MANIFEST).read_text())
    assert (content["step"], content["seconds"]) == (4, 2.0)
    assert content["files"] == {
        name: {"size": 8, "sha256": hashlib.sha256(b"12345678").hexdigest()}
        for name in ("model.safetensors", "optimizer.pt")
    }


class Saving:
    """Call the callback as Trainer does when it has written ``checkpoint-STEP`` into a folder."""

    def __init__(self, folder: Path) -> None:
        self.args = SimpleNamespace(output_dir=folder, distributed_state=PartialState())
        self.folder = folder

    def at(self, step: int, callback: CheckpointSealer) -> None:
        unsealed(self.folder, step)
        self.written(step, callback)

    def written(self, step: int, callback: CheckpointSealer) -> None:
        state = SimpleNamespace(global_step=step, is_world_process_zero=True, best_model_checkpoint=None)
        callback.on_save(self.args, state, None)


def test_training_does_not_wait_for_a_checkpoint_to_be_sealed_but_the_next_one_does(tmp_path: Path) -> None:
    released, order = threading.Event(), []

    def saved() -> None:
        released.wait()
        order.append(newest_complete(tmp_path).name)

    callback, saving = CheckpointSealer(0.0, on_checkpoint=saved), Saving(tmp_path)
    finish = callback.finish

    def finish_first() -> None:
        order.append("the next one waits")
        released.set()
        finish()

    saving.at(1, callback)  # returns although `saved` waits
    order.append("training went on")
    callback.finish = finish_first
    saving.at(2, callback)
    finish()
    callback.close()
    assert order == ["training went on", "the next one waits", "checkpoint-1", "checkpoint-2"]
    assert [checkpoint.name for checkpoint in list_complete(tmp_path)] == ["checkpoint-1", "checkpoint-2"]


def test_an_error_in_sealing_ends_training(tmp_path: Path) -> None:
    def saved() -> None:
        raise RunError("The disk is full.")

    callback, saving = CheckpointSealer(0.0, on_checkpoint=saved), Saving(tmp_path)
    saving.at(1, callback)
    with pytest.raises(RunError, match="full"):
        saving.at(2, callback)
    callback.close()


def test_an_unsealed_checkpoint_takes_no_space(tmp_path: Path) -> None:
    callback, saving = CheckpointSealer(0.0), Saving(tmp_path)
    checkpoint(tmp_path, 1)
    (unsealed(tmp_path, 2) / "gone").symlink_to("nowhere")
    saving.written(2, callback)
    with pytest.raises(OSError, match="gone"):
        callback.finish()
    callback.close()
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-1"]


def test_incomplete_checkpoints_are_removed_on_resume(tmp_path: Path) -> None:
    """Remove it, since it would displace complete ones, and is written again anyway."""
    whole, cut, damaged = checkpoint(tmp_path, 1), unsealed(tmp_path, 2), checkpoint(tmp_path, 3)
    (damaged / "optimizer.pt").write_bytes(b"12345679")  # of the same size
    state = SimpleNamespace(best_model_checkpoint=None, is_world_process_zero=True, global_step=1)
    CheckpointSealer(0.0).on_train_begin(Saving(tmp_path).args, state, None)
    assert whole.is_dir()
    assert not cut.exists()
    assert not damaged.exists()


@given(st.data(), st.none() | st.integers(1, 7))
def test_the_newest_stay_that_training_can_resume_from(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, limit: int | None
) -> None:
    """Keep a newer one that is still being written, and never one without the best checkpoint that it names."""
    folder = tmp_path_factory.mktemp("checkpoints")
    steps = sorted(data.draw(st.sets(st.integers(1, 2000), min_size=1, max_size=6)))
    bests: dict[int, int] = {}
    for step in steps:
        bests[step] = data.draw(st.sampled_from([step, *[*bests.values()][-1:]]))  # itself, or still the earlier one
        state = {"best_model_checkpoint": f"/elsewhere/checkpoint-{bests[step]}"}
        (unsealed(folder, step) / "trainer_state.json").write_text(json.dumps(state))
    (folder / "checkpoint-final").mkdir()
    newest = data.draw(st.sampled_from(steps))
    remove_older(folder / f"checkpoint-{newest}", f"checkpoint-{bests[newest]}", limit)
    left = {int(path.name.removeprefix("checkpoint-")) for path in folder.iterdir() if path.name != "checkpoint-final"}
    needed, older = {newest, bests[newest]}, {step for step in steps if step <= newest}
    assert needed <= left
    assert left - older == {*steps} - older
    assert (folder / "checkpoint-final").is_dir()
    assert {bests[step] for step in left & older} <= left
    if limit is None:
        assert left == {*steps}
        return
    assert len(left & older) <= max(limit, len(needed))
    for step in older - left:  # it would have been one too many
        newer = {kept for kept in left & older if kept > step}
        assert len(needed | newer | {bests[kept] for kept in newer} | {step, bests[step]}) > limit


@given(st.dictionaries(st.integers(1, 2000), st.sampled_from(["whole", "cut off", "changed"]), max_size=5), st.data())
def test_finds_the_newest_complete_checkpoint(
    tmp_path_factory: pytest.TempPathFactory, states: dict[int, str], data: st.DataObject
) -> None:
    """Use one whose best checkpoint is damaged only if there is no other."""
    folder = tmp_path_factory.mktemp("checkpoints")
    bests = {}
    for step, how in states.items():
        bests[step] = data.draw(st.none() | st.integers(1, 2001) | st.sampled_from(sorted(states)))
        written = unsealed(folder, step)
        state = {"best_model_checkpoint": bests[step] and f"/elsewhere/checkpoint-{bests[step]}"}
        (written / "trainer_state.json").write_text(json.dumps(state))
        files = {
            path.name: {"size": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
            for path in written.iterdir()
        }
        if how != "cut off":
            (written / MANIFEST).write_text(json.dumps({"step": step, "seconds": 1.0, "files": files}))
        if how == "changed":
            (written / "optimizer.pt").write_bytes(b"12345679")
    whole = {step for step, how in states.items() if how == "whole"}
    complete = {step for step in whole if bests[step] is None or bests[step] in whole}
    expected = max(complete or whole, default=None)
    assert newest_complete(folder) == (expected and folder / f"checkpoint-{expected}")
    sizes_agree = sorted(step for step, how in states.items() if how != "cut off")
    assert list_complete(folder) == [folder / f"checkpoint-{step}" for step in sizes_agree]


def test_a_run_that_was_moved_finds_its_best_checkpoint_or_says_so(tmp_path: Path) -> None:
    here, args = unsealed(tmp_path, 1), Saving(tmp_path).args
    (here / "trainer_state.json").write_text(json.dumps({"best_model_checkpoint": "/elsewhere/checkpoint-1"}))
    seal(here, 1.0)
    state = SimpleNamespace(best_model_checkpoint=None, is_world_process_zero=True, global_step=1)  # Trainer forgot it
    CheckpointSealer(0.0).on_train_begin(args, state, None)
    assert state.best_model_checkpoint == str(here)
    (here / "optimizer.pt").write_bytes(b"12345679")
    with pytest.raises(RunError, match=r"checkpoint-1, is missing in .* or damaged"):
        CheckpointSealer(0.0).on_train_begin(args, state, None)


def test_only_the_main_process_seals_and_removes(tmp_path: Path) -> None:
    folder, args = unsealed(tmp_path, 3), Saving(tmp_path).args
    state = SimpleNamespace(best_model_checkpoint=None, is_world_process_zero=False, global_step=3)
    callback = CheckpointSealer(0.0)
    callback.on_train_begin(args, state, None)
    callback.on_save(args, state, None)
    callback.finish()
    callback.close()
    assert {path.name for path in folder.iterdir()} == {"model.safetensors", "optimizer.pt"}


def test_a_file_that_has_a_second_name_is_not_emptied(tmp_path: Path) -> None:
    """Keep its content: an upload to the Hub may use the second name."""
    folder = checkpoint(tmp_path, 1)
    (tmp_path / "second").hardlink_to(folder / "model.safetensors")
    remove_checkpoint(folder)
    assert not folder.exists()
    assert (tmp_path / "second").read_bytes() == b"12345678"


def test_removed_files_are_emptied_first(tmp_path: Path) -> None:
    """Open a file before it is removed: what it shows then is what a bin would keep."""
    old, newest = (checkpoint(tmp_path, step) for step in (10, 20))
    with (old / "model.safetensors").open("rb") as bin_of_a_drive:
        remove_older(newest, "", 1)
        assert os.fstat(bin_of_a_drive.fileno()).st_size == 0
    assert not old.exists()
    assert newest_complete(tmp_path) == newest


def test_a_damaged_newest_checkpoint_leaves_one_to_resume_from(tmp_path: Path) -> None:
    """Keep the best of two earlier ones: the other needs it, and both are one too many beside the newest."""
    for step, best in ((6, 6), (8, 6), (10, 10)):
        unsealed(tmp_path, step)
        state = {"best_model_checkpoint": f"/elsewhere/checkpoint-{best}"}
        (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text(json.dumps(state))
        seal(tmp_path / f"checkpoint-{step}", 1.0)
    remove_older(tmp_path / "checkpoint-10", "checkpoint-10", 2)
    (tmp_path / "checkpoint-10" / "optimizer.pt").write_bytes(b"12")
    assert newest_complete(tmp_path) == tmp_path / "checkpoint-6"


def test_a_run_keeps_save_total_limit_checkpoints(encoder: Path, tmp_path: Path, s140) -> None:
    """Save six times; the best one is loaded at the end, so it must be among the two that are left."""
    often = {
        "eval_strategy": "steps",
        "eval_steps": 2,
        "save_strategy": "steps",
        "save_steps": 2,
        "save_total_limit": 2,
    }
    result = s140(
        "train", "--output-dir", "run", "--json", "--keep-checkpoints", *flags(model_name_or_path=encoder, **often)
    )
    best = json.loads(result.stdout)["training"]["best_step"]
    left = sorted(int(path.name.removeprefix("checkpoint-")) for path in tmp_path.glob("run/checkpoints/*"))
    assert len(left) == 2
    assert {best, 12} <= set(left)
    assert newest_complete(tmp_path / "run" / "checkpoints").name == "checkpoint-12"
