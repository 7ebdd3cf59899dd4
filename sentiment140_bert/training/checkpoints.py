"""Checkpoints that are whole: sealed while training goes on, told from cut and damaged ones, pruned only afterwards."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from sentiment140_bert import run_dir, shapes
from sentiment140_bert.errors import RunError
from sentiment140_bert.run_dir import settle, sha256_of, synchronize, write_json
from sentiment140_bert.shapes import checked

log = logging.getLogger(__name__)
MANIFEST = "complete.json"
NAME = re.compile("checkpoint-[0-9]+")


class CheckpointSealer(TrainerCallback):  # type: ignore[misc]
    """Seals each checkpoint: its files are brought to the disk itself, and a manifest with their sizes and sha256 is
    written as the very last one. Only then are older checkpoints removed.

    That takes a thread of its own, so that training goes on meanwhile; the next checkpoint waits for it.

    Args:
        seconds_before: Training time up to the checkpoint that is resumed from.
        limit: How many are kept, ``save_total_limit``; Trainer itself is to know of none, for it would remove at the
            end what is being sealed.
        on_checkpoint: Called in that thread after each checkpoint.
    """

    def __init__(
        self, seconds_before: float, limit: int | None = None, on_checkpoint: Callable[[], None] | None = None
    ) -> None:
        self.seconds_before = seconds_before
        self.limit = limit
        self.on_checkpoint = on_checkpoint
        self.started = time.perf_counter()
        self._thread = ThreadPoolExecutor(1, "seal")
        self._sealing: Future[None] | None = None

    def seconds(self) -> float:
        """Return the training time so far, earlier parts of a resumed run included."""
        return self.seconds_before + time.perf_counter() - self.started

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """A run may have moved since: its best checkpoint is looked for where the run is now. What is newer than the
        one that is gone on from is damaged, and will be made again."""
        if state.best_model_checkpoint:
            here = Path(args.output_dir) / Path(state.best_model_checkpoint).name
            if any(damages(here)):
                raise RunError(
                    f"The best checkpoint so far, {here.name}, is missing in {here.parent} or damaged.",
                    "Put it back from where the run was copied, or start anew with --overwrite.",
                )
            state.best_model_checkpoint = str(here)
        if state.is_world_process_zero:
            _remove_unusable(Path(args.output_dir), state.global_step)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        args.distributed_state.wait_for_everyone()  # each process writes a file of its own into it
        if state.is_world_process_zero and folder.is_dir():
            self.finish()
            best = Path(state.best_model_checkpoint).name if state.best_model_checkpoint else ""
            self._sealing = self._thread.submit(self._seal, folder, self.seconds(), best)

    def _seal(self, folder: Path, seconds: float, best: str) -> None:
        try:
            seal(folder, seconds)
        except (RunError, OSError):  # most likely for want of room, which it would go on taking
            remove(folder)
            raise
        remove_older(folder, best, self.limit)
        if self.on_checkpoint:
            self.on_checkpoint()

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.finish()

    def finish(self) -> None:
        """Waits for the checkpoint that is being sealed.

        Raises:
            RunError: It could not be; the disk may be full.
        """
        if self._sealing is not None:
            sealing, self._sealing = self._sealing, None
            sealing.result()

    def close(self) -> None:
        """Ends the thread, after what it is doing."""
        self._thread.shutdown()


def seal(folder: Path, seconds: float) -> None:
    """Brings a checkpoint to the disk itself, then says in its manifest what it is made of.

    Args:
        folder: ``checkpoint-STEP``, all of its files written.
        seconds: Training time up to it.
    """
    settle(folder)
    files = {}
    for each in sorted(folder.iterdir()):
        if each.name != MANIFEST:
            files[each.name] = {"size": each.stat().st_size, "sha256": sha256_of(each)}
    write_json(folder / MANIFEST, {"step": step_of(folder), "seconds": seconds, "files": files})
    synchronize(folder.parent)


def remove_older(newest: Path, best: str, limit: int | None) -> None:
    """Removes the oldest checkpoints until there are ``limit``; the newest and the best one always stay.

    Args:
        newest: The folder of the newest whole checkpoint; a newer one may be being written.
        best: The name of the best one's folder, empty if there is none.
        limit: None keeps all.
    """
    kept = {newest.name, best}
    folders = [each for each in by_steps(newest.parent) if step_of(each) <= step_of(newest)]
    surplus = len(folders) - limit if limit else 0
    for folder in [each for each in folders if each.name not in kept][: max(0, surplus)]:
        remove(folder)


def remove(folder: Path) -> None:
    """Removes a checkpoint; its manifest first, so that what is left of it at any moment counts for nothing."""
    if not folder.is_symlink():
        (folder / MANIFEST).unlink(missing_ok=True)
    remove_emptied(folder)


def remove_emptied(folder: Path) -> None:
    """Remove a folder of files, or a link in its place, after each file was emptied.

    What is removed from Google Drive stays in its bin for a month, and counts. A file that has a second name is still
    wanted under it and is not emptied; nor is what a link leads to.
    """
    for file in () if folder.is_symlink() else folder.iterdir():
        state = file.lstat()
        if stat.S_ISREG(state.st_mode) and state.st_nlink == 1:
            os.close(os.open(file, os.O_WRONLY | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)))
    with contextlib.suppress(OSError):  # an emptied one that stays is not whole, and tried again next time
        run_dir.remove(folder)


def _remove_unusable(checkpoints: Path, step: int) -> None:
    for folder in by_steps(checkpoints):
        if step_of(folder) > step or not _is_whole(folder):
            log.info("resume: %s is not whole; it is removed", folder.name)
            remove(folder)


def by_steps(checkpoints: Path) -> list[Path]:
    """All checkpoints, whole or not, by their steps."""
    found = [
        folder
        for folder in checkpoints.glob("checkpoint-*")
        if NAME.fullmatch(folder.name) and folder.is_dir() and not folder.is_symlink()
    ]
    return sorted(found, key=step_of)


def step_of(checkpoint: Path) -> int:
    """The step that a checkpoint was written after."""
    return int(checkpoint.name.removeprefix("checkpoint-"))


def whole_ones(checkpoints: Path) -> list[Path]:
    """The checkpoints whose manifests are there and agree with the sizes of their files, by their steps."""
    return [folder for folder in by_steps(checkpoints) if _is_whole(folder)]


def newest_whole(checkpoints: Path) -> Path | None:
    """The whole checkpoint with the most steps, None if there is none.

    Every byte of it is as it was written, and of the best one that it names, too. Those of which that is not true are
    passed over, and said so; where the best one is all that is missing, and no other is whole, it is the one.
    """
    without_best = None
    for folder in reversed(by_steps(checkpoints)):
        damage = next(damages(folder), None)
        if damage is None:
            best = _best_of(folder)
            damage = next(damages(best), None) if best else None
            if best is None or damage is None:
                return folder
            damage = f"of its best one, {best.name}, {damage}"
            without_best = without_best or folder
        log.warning("resume: %s is passed over: %s", folder.name, damage)
    return without_best


def _best_of(checkpoint: Path) -> Path | None:
    """The best checkpoint so far, as a whole one knows it; None if that is itself, or there is none."""
    try:
        state = json.loads((checkpoint / "trainer_state.json").read_text("utf-8"))
        best = Path(state["best_model_checkpoint"]).name
    except (OSError, ValueError, KeyError, TypeError, RecursionError):  # no best one, or none of ours
        return None
    return None if best == checkpoint.name else checkpoint.parent / best


def damages(checkpoint: Path) -> Iterator[str]:
    """What is wrong with a checkpoint, a sentence for each thing; nothing where every byte is as it was written."""
    try:
        files = manifest_of(checkpoint)["files"].items()
        for name, told in files:
            file = checkpoint / name
            if not file.is_file():
                yield f"{name} is missing"
            elif file.stat().st_size != told["size"]:
                yield f"{name} has {file.stat().st_size:,} of {told['size']:,} bytes"
            elif sha256_of(file) != told["sha256"]:
                yield f"{name} is not what was written"
    except FileNotFoundError:
        yield "it was cut off while it was written"
    except (OSError, RunError, ValueError, RecursionError):
        yield f"its {MANIFEST} is damaged"


def seconds_until(checkpoint: Path) -> float:
    """Training time up to a whole checkpoint."""
    return float(manifest_of(checkpoint)["seconds"])


def manifest_of(checkpoint: Path) -> dict[str, Any]:
    """What a checkpoint's manifest says.

    Raises:
        FileNotFoundError: There is none; it was cut off while it was written.
        ValueError, RecursionError, RunError: It is damaged.
    """
    content = json.loads((checkpoint / MANIFEST).read_text("utf-8"))
    return dict(checked(content, shapes.Manifest, f"{MANIFEST} of {checkpoint.name}"))


def _is_whole(folder: Path) -> bool:
    try:
        files = manifest_of(folder)["files"]
        return all((folder / name).stat().st_size == told["size"] for name, told in files.items())
    except (OSError, RunError, ValueError, RecursionError):
        return False
