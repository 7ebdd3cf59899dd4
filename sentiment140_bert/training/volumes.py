"""Runs on a volume: a mounted object store takes whole files only, so a run is made on a local disk and copied."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sentiment140_bert.errors import Interrupted
from sentiment140_bert.recipe import Recipe
from sentiment140_bert.run_dir import TEMPORARY, RunDir
from sentiment140_bert.run_lock import LOCK

log = logging.getLogger(__name__)
MOUNTS = ("/Volumes", "/dbfs")  # Databricks: Unity Catalog's volumes, and DBFS before them
OTHER_MOUNTS = "S140_VOLUMES"  # further such folders, with a colon between two
CHECKPOINTS = "checkpoints"
LOCAL_DISK = Path("/local_disk0")  # of a Databricks machine; elsewhere the folder for temporary files

Train = Callable[..., dict[str, Any]]


def is_volume(path: Path) -> bool:
    """Whether files there can neither be appended to nor be written anywhere but at their end."""
    others = filter(None, os.environ.get(OTHER_MOUNTS, "").split(os.pathsep))
    return any(path.absolute().is_relative_to(mount) for mount in (*MOUNTS, *others))


def train_beside(train: Train, recipe: Recipe, output_dir: Path, *, resume: bool, **options: Any) -> dict[str, Any]:
    """Trains on the local disk, and copies the run to ``output_dir`` after each checkpoint and at the end.

    Args:
        train: Does the training in the folder that it is given.
        recipe: Of the run.
        output_dir: On a volume.
        resume: The run there is taken to the local disk first.
        options: Further ones of ``train``.

    Returns:
        What ``train`` returns, with the volume's paths.

    Raises:
        S140Error: As ``train``; what was interrupted can be resumed from the volume.
    """
    home = LOCAL_DISK if LOCAL_DISK.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="s140-run-", dir=home) as place:
        copy = Copy(RunDir(Path(place) / output_dir.name), RunDir(output_dir))
        if resume:
            copy.take_back()
        try:
            result = train(recipe, copy.local.path, resume=resume, saved=copy.renew, **options)
        except Interrupted as stopped:
            copy.renew()
            message, hint = (
                text.replace(str(copy.local.path), str(output_dir)) for text in (stopped.message, stopped.hint)
            )
            raise Interrupted(message, hint, stopped.exit_code - 128) from None
        if not result:  # one of several processes; the main one has the run
            return result
        copy.finish()
        return result | {"run": str(copy.there.path), "model": str(copy.there.model)}


class Copy:
    """A run on the local disk, and what of it is kept on a volume: at any moment a run that can be resumed.

    Args:
        local: Where the run is made.
        there: On the volume.
    """

    def __init__(self, local: RunDir, there: RunDir) -> None:
        self.local, self.there = local, there
        self.begun = False

    def take_back(self) -> None:
        """Fetches an unfinished run."""
        shutil.copytree(self.there.path, self.local.path)
        self.begun = True

    def renew(self) -> None:
        """Copies the run's files and its whole checkpoints, each with its manifest last; then removes older ones."""
        from sentiment140_bert.training import checkpoints

        log.info("copying the run to %s", self.there.path)
        self._begin()
        whole = checkpoints.whole_ones(self.local.checkpoints)
        for checkpoint in whole:
            target = self.there.checkpoints / checkpoint.name
            if target not in checkpoints.whole_ones(self.there.checkpoints):
                shutil.rmtree(target, ignore_errors=True)
                _copied_last(checkpoint, target, checkpoints.MANIFEST)
        _copied_last(self.local.path, self.there.path, self.there.recipe.name, CHECKPOINTS)
        kept = {each.name for each in whole}
        for old in self.there.checkpoints.glob("checkpoint-*"):
            if whole and old.name not in kept:
                shutil.rmtree(old)

    def finish(self) -> None:
        """Copies the finished run; its checkpoints, many times the size of the model, are no longer needed there."""
        log.info("copying the run to %s", self.there.path)
        self._begin()
        _copied_last(self.local.path, self.there.path, self.there.metrics.name, CHECKPOINTS)
        shutil.rmtree(self.there.checkpoints, ignore_errors=True)

    def _begin(self) -> None:
        if not self.begun:
            self.there.clear()  # of an earlier run, which was to be overwritten
        self.begun = True


def _copied_last(folder: Path, target: Path, last: str, *left: str) -> None:
    """Copies what is in files, no more: volumes know no permissions and times.

    Args:
        folder: What is copied.
        target: Its other place.
        last: Name of the file that says that the others are whole; it comes after them.
        left: Names in ``folder`` that stay behind.
    """
    found = [
        each.relative_to(folder)
        for each in sorted(folder.rglob("*"))
        if each.is_file() and TEMPORARY not in str(each)  # being written, and soon under its own name
    ]
    files = [each for each in found if each.parts[0] not in (*left, LOCK)]
    for file in sorted(files, key=lambda each: (each.name == last, -len(each.parts))):
        place = target / file
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.exists():  # copying over it would leave neither the old nor the new one if it were cut off
            new = place.with_name(f"{TEMPORARY}{place.name}")
            shutil.copyfile(folder / file, new)
            new.replace(place)
        else:
            shutil.copyfile(folder / file, place)
