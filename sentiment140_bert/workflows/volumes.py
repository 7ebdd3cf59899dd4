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
from sentiment140_bert.run_dir import RunDir

log = logging.getLogger(__name__)
MOUNTS = ("/Volumes", "/dbfs")  # Databricks: Unity Catalog's volumes, and DBFS before them
OTHER_MOUNTS = "S140_VOLUMES"  # further such folders, with a colon between two
LOCAL_DISK = Path("/local_disk0")  # of a Databricks machine; elsewhere the folder for temporary files

Train = Callable[..., dict[str, Any]]


def is_volume(path: Path) -> bool:
    """Whether files there can neither be appended to nor be written anywhere but at their end."""
    others = filter(None, os.environ.get(OTHER_MOUNTS, "").split(os.pathsep))
    return any(path.absolute().is_relative_to(mount) for mount in (*MOUNTS, *others))


def train_beside(train: Train, recipe: Recipe, output_dir: Path, *, resume: bool, **options: Any) -> dict[str, Any]:
    """Trains on the local disk, and copies the run to ``output_dir`` when it is finished or was interrupted.

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
        local = RunDir(Path(place) / output_dir.name)
        if resume:
            shutil.copytree(output_dir, local.path)
        try:
            result = train(recipe, local.path, resume=resume, **options)
        except Interrupted as stopped:
            if (local.checkpoints).is_dir():
                _copy(local, output_dir, with_checkpoints=True)
            hint = stopped.hint.replace(str(local.path), str(output_dir))
            message = stopped.message.replace(str(local.path), str(output_dir))
            raise Interrupted(message, hint, stopped.exit_code - 128) from None
        if not result:  # one of several processes; the main one has the run
            return result
        _copy(local, output_dir, with_checkpoints=False)
        moved = RunDir(output_dir)
        return result | {"run": str(moved.path), "model": str(moved.model)}


def _copy(local: RunDir, output_dir: Path, *, with_checkpoints: bool) -> None:
    """Checkpoints go along only where they are still needed: they are many times the size of the model."""
    log.info("copying the run to %s", output_dir)
    left = () if with_checkpoints else (local.checkpoints.name,)
    RunDir(output_dir).clear()
    finished = local.metrics.name  # last: a run that has it is whole
    shutil.copytree(local.path, output_dir, ignore=shutil.ignore_patterns(*left, finished), dirs_exist_ok=True)
    for each in local.path.rglob(finished):
        shutil.copyfile(each, output_dir / each.relative_to(local.path))
