"""The copy of a run on a volume: whole files, the newest of each checkpoint, and no links."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sentiment140_bert.run import RunDir
from sentiment140_bert.training import checkpoints, volumes


def test_a_copy_that_is_cut_off_leaves_old_or_new_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut the copy off in the middle of each file: the earlier state on the volume can be resumed at any moment."""
    copyfile, left = shutil.copyfile, 0

    def cut_off(source: Path, target: Path) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            Path(target).write_bytes(source.read_bytes()[:2])
            raise KeyboardInterrupt
        copyfile(source, target)

    local, there = RunDir(tmp_path / "local"), RunDir(tmp_path / "volume")
    copy = volumes.VolumeCopy(local, there)
    files = (local.recipe, local.data, local.environment, local.history, local.tracking)
    monkeypatch.setattr(shutil, "copyfile", cut_off)
    for number in range(len(files) + 1):  # the first time, with nothing there, goes well
        for file in files:
            file.parent.mkdir(exist_ok=True)
            file.write_text(f"content {number} of {file.name}")
        left = number
        if number:
            with pytest.raises(KeyboardInterrupt):
                copy.update()
        else:
            copy.update()
        for file in files:
            content = (there.path / file.name).read_text()
            assert content in [f"content {earlier} of {file.name}" for earlier in range(number + 1)]
    left = 0
    copy.update()
    assert {path.name: path.read_text() for path in there.path.iterdir()} == {
        file.name: file.read_text() for file in files
    }


def test_a_damaged_checkpoint_that_is_made_again_is_copied_again(tmp_path: Path) -> None:
    """Only the sizes of its files are as before."""

    def make(run: RunDir, content: str) -> None:
        checkpoint = run.checkpoints / "checkpoint-6"
        checkpoint.mkdir(parents=True, exist_ok=True)
        (checkpoint / "model.safetensors").write_text(content)
        checkpoints.seal(checkpoint, 1.0)
        run.recipe.write_text("")

    first, there = RunDir(tmp_path / "first"), RunDir(tmp_path / "volume")
    make(first, "weights")
    volumes.VolumeCopy(first, there).update()
    kept = there.checkpoints / "checkpoint-6" / "model.safetensors"
    kept.write_text("wEights")
    next_job = volumes.VolumeCopy(RunDir(tmp_path / "second"), there)
    next_job.fetch()
    next_job.update()
    assert kept.read_text() == "wEights"
    make(next_job.local, "weights")
    next_job.update()
    assert kept.read_text() == "weights"


def test_no_link_is_followed_from_or_to_a_volume(tmp_path: Path) -> None:
    """Follow no link: everyone who may read the volume could read its target."""
    (tmp_path / "id_rsa").write_text("my own key")
    local, target = RunDir(tmp_path / "local"), RunDir(tmp_path / "target")
    (target.path / "wandb").mkdir(parents=True)
    (target.path / "wandb" / "x.log").symlink_to(tmp_path / "id_rsa")
    (target.path / "history.jsonl").write_text("")
    (target.path / "note.txt").write_text("of a person, which would be copied back")
    copy = volumes.VolumeCopy(local, target)
    copy.fetch()
    assert [path.name for path in sorted(local.path.rglob("*"))] == ["history.jsonl", "wandb"]
    (local.path / "y.log").symlink_to(tmp_path / "id_rsa")
    copy.update()
    assert not (target.path / "y.log").exists()
