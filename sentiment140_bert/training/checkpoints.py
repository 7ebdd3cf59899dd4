"""Seal checkpoints in the background, tell complete from damaged ones, and prune only once a newer one is complete."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import stat
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from sentiment140_bert import schemas
from sentiment140_bert.errors import RunError
from sentiment140_bert.files import NO_LINK, hash_file, remove_path, settle, synchronize, write_json, write_text
from sentiment140_bert.locks import check_still_locked
from sentiment140_bert.recipe import Recipe
from sentiment140_bert.run import RunDir, list_checkpoints, saved_recipe, step_of
from sentiment140_bert.schemas import check_schema

log = logging.getLogger(__name__)
MANIFEST = "complete.json"


class CheckpointSealer(TrainerCallback):  # type: ignore[misc]
    """Seal each checkpoint: bring its files to the disk itself, then write a manifest with their sizes and sha256.

    Only then are older checkpoints removed. A thread does this during training; the next checkpoint waits for it.

    Args:
        seconds_before: Training time up to the checkpoint that is resumed from.
        limit: ``save_total_limit``; Trainer itself must have none, because it would remove what is being sealed.
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

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Look for the best checkpoint where the run is now, and remove damaged ones, which are made again.

        Trainer forgets it where the run was moved, for it is named by its old place.
        """
        here = _read_best(Path(args.output_dir) / f"checkpoint-{state.global_step}")
        if here:
            if any(find_damage(here)):
                raise RunError(
                    f"The best checkpoint so far, {here.name}, is missing in {here.parent} or damaged.",
                    "Copy it from the run's earlier place, or start again with --overwrite.",
                )
            log.info("resume: the best checkpoint so far is %s", here)
            state.best_model_checkpoint = str(here)
        if state.is_world_process_zero:
            _remove_unusable(Path(args.output_dir), state.global_step)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        args.distributed_state.wait_for_everyone()  # each process writes a file of its own into it
        if state.is_world_process_zero and folder.is_dir():
            self.finish()
            best = Path(state.best_model_checkpoint).name if state.best_model_checkpoint else ""
            self._sealing = self._thread.submit(self._seal, folder, self.seconds(), best)

    def _seal(self, folder: Path, seconds: float, best: str) -> None:
        try:
            seal(folder, seconds)
        except (RunError, OSError):  # most likely the disk is full, and it would still take space
            remove_checkpoint(folder)
            raise
        remove_older(folder, best, self.limit)
        if self.on_checkpoint:
            self.on_checkpoint()

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.finish()

    def finish(self) -> None:
        """Wait for the checkpoint that is being sealed.

        Raises:
            RunError: Sealing failed; the disk may be full.
        """
        if self._sealing is not None:
            sealing, self._sealing = self._sealing, None
            sealing.result()

    def close(self) -> None:
        """End the thread after its current work."""
        self._thread.shutdown()


def seal(folder: Path, seconds: float) -> None:
    """Bring a checkpoint to the disk itself, then write its manifest.

    Args:
        folder: ``checkpoint-STEP`` with all of its files.
        seconds: Training time up to it.
    """
    settle(folder)
    files = {}
    for file in sorted(folder.iterdir()):
        if file.name != MANIFEST:
            files[file.name] = {"size": file.stat().st_size, "sha256": hash_file(file)}
    write_json(folder / MANIFEST, {"step": step_of(folder), "seconds": seconds, "files": files})
    synchronize(folder.parent)


def remove_older(newest: Path, best: str, limit: int | None) -> None:
    """Remove older checkpoints until there are ``limit``; the newest and the best one always stay.

    Of the others the newest stay that training could resume from: their own best checkpoint counts, and stays, too.

    Args:
        newest: The folder of the newest complete checkpoint; a newer one may be being written.
        best: The name of the best one's folder, empty without one.
        limit: None keeps all.
    """
    if limit is None:
        return
    folders = [folder for folder in list_checkpoints(newest.parent) if step_of(folder) <= step_of(newest)]
    stays = {newest.name, best} - {""}
    for folder in reversed(folders):
        needed = stays | {folder.name, (best_of(folder) or folder).name}
        if len(needed) <= limit:
            stays = needed
    for folder in folders:
        if folder.name not in stays:
            remove_checkpoint(folder)


def remove_checkpoint(folder: Path) -> None:
    """Remove a checkpoint, its manifest first, so that the rest never counts as complete."""
    check_still_locked(folder)
    if not folder.is_symlink():
        (folder / MANIFEST).unlink(missing_ok=True)
    remove_emptied(folder)


def remove_emptied(folder: Path) -> None:
    """Empty the files of a folder, then remove it, or a link in its place.

    Files that are removed from Google Drive count for a month, in its bin. A file with a second name is still needed
    and is not emptied; nor is the target of a link.
    """
    for file in () if folder.is_symlink() else folder.iterdir():
        state = file.lstat()
        if stat.S_ISREG(state.st_mode) and state.st_nlink == 1:
            os.close(os.open(file, os.O_WRONLY | os.O_TRUNC | NO_LINK))
    with contextlib.suppress(OSError):  # an emptied one that stays is incomplete, and tried again next time
        remove_path(folder)


def note_if_kept(run: RunDir, recipe: Recipe) -> None:
    """Write into a run's recipe that its checkpoints stay, if a later command says so."""
    saved = saved_recipe(run.path)
    if recipe.training.keep_checkpoints and not saved.training.keep_checkpoints:
        write_text(run.recipe, saved.with_values({"keep_checkpoints": True}).to_yaml())


def remove_unneeded(run: RunDir, recipe: Recipe) -> None:
    """Remove the checkpoints of a finished run, and log how much they took.

    They stay if the run was ever trained, or its command repeated, with a recipe that keeps them; or if the model that
    was scored is not there, whole: they may be all that is left of the training.
    """
    note_if_kept(run, recipe)
    if recipe.training.keep_checkpoints or not list_checkpoints(run.checkpoints):
        return
    if saved_recipe(run.path).training.keep_checkpoints:
        log.info("checkpoints: they stay, as this run's recipe says; remove %s yourself", run.checkpoints)
        return
    if not run.weights.is_file() or hash_file(run.weights) != run.read_metrics()["weights_sha256"]:
        log.warning("checkpoints: they stay, because %s is not what was scored", run.weights)
        return
    try:
        megabytes = f"{remove_checkpoints(run) / 1e6:,.0f}"
        log.info("checkpoints: removed %s MB, the run is finished; --keep-checkpoints keeps them", megabytes)
    except OSError as error:
        log.warning("checkpoints: %s cannot be removed: %s", error.filename or run.checkpoints, error.strerror)


def remove_checkpoints(run: RunDir) -> int:
    """Remove all checkpoints of a run, and their folder unless it holds anything else.

    Returns:
        The bytes that they took.
    """
    size = 0
    for folder in list_checkpoints(run.checkpoints):
        size += sum(file.lstat().st_size for file in folder.iterdir())
        remove_checkpoint(folder)
    remove_path(run.staging)
    with contextlib.suppress(OSError):
        run.checkpoints.rmdir()
    return size


def _remove_unusable(checkpoints: Path, step: int) -> None:
    for folder in list_checkpoints(checkpoints):
        if step_of(folder) > step or not _is_complete(folder):
            log.info("resume: removing %s, which is incomplete", folder.name)
            remove_checkpoint(folder)


def list_complete(checkpoints: Path) -> list[Path]:
    """Return the checkpoints whose manifests agree with the sizes of their files, by their steps."""
    return [folder for folder in list_checkpoints(checkpoints) if _is_complete(folder)]


def newest_complete(checkpoints: Path) -> Path | None:
    """Return the complete checkpoint with the most steps; None without one.

    Every byte of it and of the best checkpoint that it names is as it was written. Others are skipped and logged;
    one whose best checkpoint alone is damaged is returned if there is no other.
    """
    without_best = None
    for folder in reversed(list_checkpoints(checkpoints)):
        damage = next(find_damage(folder), None)
        if damage is None:
            best = best_of(folder)
            damage = next(find_damage(best), None) if best else None
            if best is None or damage is None:
                return folder
            damage = f"of its best checkpoint, {best.name}, {damage}"
            without_best = without_best or folder
        log.warning("resume: skipping %s: %s", folder.name, damage)
    return without_best


def best_of(checkpoint: Path) -> Path | None:
    """Return the best checkpoint before a complete one, which names it; None if no other one is named."""
    best = _read_best(checkpoint)
    return None if best == checkpoint else best


def _read_best(checkpoint: Path) -> Path | None:
    """Return the best checkpoint that a complete one names, next to it; None if it names none."""
    try:
        state = json.loads((checkpoint / "trainer_state.json").read_text("utf-8"))
        return checkpoint.parent / Path(state["best_model_checkpoint"]).name
    except (OSError, ValueError, KeyError, TypeError, RecursionError):  # no best one, or none of ours
        return None


def find_damage(checkpoint: Path, by_content: bool = True) -> Iterator[str]:
    """Yield a sentence for each damage of a checkpoint; none if every byte is as it was written.

    Args:
        checkpoint: The folder.
        by_content: Hash the files; False compares their sizes only.
    """
    try:
        files = read_manifest(checkpoint)["files"].items()
        for name, expected in files:
            file = checkpoint / name
            if not file.is_file():
                yield f"{name} is missing"
            elif file.stat().st_size != expected["size"]:
                yield f"{name} has {file.stat().st_size:,} of {expected['size']:,} bytes"
            elif by_content and hash_file(file) != expected["sha256"]:
                yield f"{name} has changed since it was written"
    except FileNotFoundError:
        yield "it was cut off while it was written"
    except (OSError, RunError, ValueError, RecursionError):
        yield f"its {MANIFEST} is damaged"


def training_seconds(checkpoint: Path) -> float:
    """Return the training time up to a complete checkpoint."""
    return float(read_manifest(checkpoint)["seconds"])


def read_manifest(checkpoint: Path) -> schemas.Manifest:
    """Read a checkpoint's manifest.

    Raises:
        FileNotFoundError: The checkpoint was cut off while it was written.
        ValueError, RecursionError, RunError: It is damaged.
    """
    content = json.loads((checkpoint / MANIFEST).read_text("utf-8"))
    return check_schema(content, schemas.Manifest, f"{MANIFEST} of {checkpoint.name}")


def _is_complete(folder: Path) -> bool:
    return not any(find_damage(folder, by_content=False))
