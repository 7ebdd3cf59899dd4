"""Train on the local disk and copy the run to a volume: a mounted object store takes whole files only."""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from sentiment140_bert.errors import FullDiskError, RunError, S140Error, first_line
from sentiment140_bert.files import TEMPORARY, find_free_name, remove_path
from sentiment140_bert.full_disk import explain_full_disk
from sentiment140_bert.locks import LOCK, check_still_locked, is_still_locked
from sentiment140_bert.machine.facts import is_first_on_machine, is_first_process
from sentiment140_bert.results import TrainResult
from sentiment140_bert.run import RunDir, list_checkpoints

log = logging.getLogger(__name__)
MOUNTS = ("/Volumes", "/dbfs")  # Databricks: Unity Catalog's volumes, and DBFS before them
OTHER_MOUNTS = "S140_VOLUMES"  # further such folders, separated by colons
CHECKPOINTS = "checkpoints"
LOCAL_DISK = Path("/local_disk0")  # of a Databricks machine; elsewhere the folder for temporary files

# The order in which files are copied: 0 for others at the top, 2 for those in folders.
RANKS = {"recipe.yaml": 1, "metrics.json": 3, "complete.json": 3}

Train = Callable[[Path, Callable[[], None]], TrainResult]


def is_volume(path: Path) -> bool:
    """Return True if files there can neither be appended to nor be written anywhere but at their end."""
    others = filter(None, os.environ.get(OTHER_MOUNTS, "").split(os.pathsep))
    mounts = [Path(mount).expanduser().resolve() for mount in (*MOUNTS, *others)]
    return any(path.resolve().is_relative_to(mount) for mount in mounts)  # also through a link


def train_on_local_disk(train: Train, target: RunDir, resume: bool) -> TrainResult:
    """Train on the local disk, and copy the run to ``target`` after each checkpoint and at the end, however it ends.

    Args:
        train: Trains in the folder that it gets, and calls its second argument after each checkpoint.
        target: The run directory on the volume.
        resume: Copy the run there to the local disk first.

    Returns:
        The result of ``train``, with the volume's paths.

    Raises:
        S140Error: ``train`` raised it, and an interrupted run can be resumed from the volume; or the volume cannot be
            written, and the run stays on the local disk.
    """
    folder = _make_folder()
    copy = VolumeCopy(RunDir(folder / target.path.resolve().name), target)
    is_needed = False
    try:
        if is_first_on_machine() and copy.local.path.exists():  # of an earlier job that was killed
            copy.local.path.rename(find_free_name(copy.local.path))
        if is_first_on_machine() and resume:
            copy.fetch()
        is_needed = is_first_process()  # of several processes this one has the run
        try:
            with _exit_when_terminated():
                result = train(copy.local.path, copy.try_update)
        except S140Error as error:
            local, there = str(copy.local.path), str(target.path)
            error.hint = error.hint.replace(local, there)
            if not isinstance(error, FullDiskError):  # which names the disk that is full
                error.message = error.message.replace(local, there)
            raise
        finally:
            if is_needed:
                copy.save()
            is_needed = False
    finally:
        if is_needed and copy.local.is_run():
            is_ours = copy.is_started and is_still_locked(target.path)
            place = target.path if is_ours else find_free_name(target.path)  # another run may be there
            command = shlex.join(["cp", "-r", f"{copy.local.path}/.", str(place)])
            log.warning("the run could not be copied, and stays in %s. Copy it yourself: %s", copy.local.path, command)
        elif is_first_on_machine():
            remove_path(copy.local.path)
            with contextlib.suppress(OSError):  # it holds what an earlier job left
                folder.rmdir()
    return replace(result, run=target.path)


def _make_folder() -> Path:
    """Make a folder on the local disk; the processes of one machine share it, for each adds files to a checkpoint.

    Raises:
        RunError: The folder for temporary files is on a volume, or another user's.
    """
    parent = LOCAL_DISK if LOCAL_DISK.is_dir() else Path(tempfile.gettempdir())
    if is_volume(parent):
        raise RunError(f"The folder for temporary files, {parent}, is on a volume.", "Set TMPDIR to another one.")
    if os.environ.get("LOCAL_WORLD_SIZE", "1") == "1":
        return Path(tempfile.mkdtemp(prefix="s140-run-", dir=parent))
    folder = parent / f"s140-run-{os.environ.get('MASTER_PORT', '')}-{os.getppid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise RunError(f"{folder} is of another user.", "Set TMPDIR to another folder.")
    return folder


@contextmanager
def _exit_when_terminated() -> Iterator[None]:
    """Let SIGTERM raise SystemExit where training does not answer it itself, so that the run is copied first."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, _: Any) -> NoReturn:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class VolumeCopy:
    """The copy on a volume of a run on the local disk: at any moment a run that can be resumed.

    Args:
        local: The run that is trained.
        target: The copy on the volume.
    """

    def __init__(self, local: RunDir, target: RunDir) -> None:
        self.local, self.target = local, target
        self.is_started = not target.is_run()  # otherwise an earlier run is to be resumed or overwritten
        self.copied: dict[str, int] = {}  # by checkpoint the time of its manifest here

    def fetch(self) -> None:
        """Copy what resumes an unfinished run from the volume, and nothing else, which would be copied back to it.

        Links stay there, too, for what they lead to would be copied back.
        """
        from sentiment140_bert.training import checkpoints

        run = self.target
        files = (run.recipe, run.data, run.environment, run.history, run.tracking, run.published)
        folders = list_checkpoints(run.checkpoints)

        def leave_out(folder: str, names: list[str]) -> list[str]:
            paths = {name: Path(folder, name) for name in names}
            keeps = {*files, *folders, run.checkpoints, run.tensorboard, run.path / "wandb"}
            is_top = Path(folder) in (run.path, run.checkpoints)
            return [name for name, path in paths.items() if path.is_symlink() or (is_top and path not in keeps)]

        coming = self.local.path.with_name(f"{TEMPORARY}{self.local.path.name}")
        remove_path(coming)
        shutil.copytree(run.path, coming, ignore=leave_out)
        coming.rename(self.local.path)  # whole, for other processes look there
        manifests = self.local.checkpoints.glob(f"*/{checkpoints.MANIFEST}")
        self.copied = {manifest.parent.name: manifest.stat().st_mtime_ns for manifest in manifests}
        self.is_started = True

    def try_update(self) -> None:
        """Copy as :meth:`update` does, during training, which goes on if the volume refuses."""
        try:
            self.update()
        except (OSError, RunError) as error:
            log.warning("%s is tried again after the next checkpoint: %s", self.target.path, first_line(error))

    def update(self) -> None:
        """Copy the run's files and its complete checkpoints, each manifest last; then remove older checkpoints."""
        from sentiment140_bert.training import checkpoints

        check_still_locked(self.target.path)
        log.info("copying the run to %s", self.target.path)
        self._start()
        _copy(self.local.path, self.target.path, CHECKPOINTS)
        complete = checkpoints.list_complete(self.local.checkpoints)
        for checkpoint in complete:
            target = self.target.checkpoints / checkpoint.name
            sealed_at = (checkpoint / checkpoints.MANIFEST).stat().st_mtime_ns
            is_there = target in checkpoints.list_complete(self.target.checkpoints)
            if not is_there or sealed_at != self.copied.get(checkpoint.name):  # a damaged one was made again
                shutil.rmtree(target, ignore_errors=True)
                _copy(checkpoint, target)
            self.copied[checkpoint.name] = sealed_at
        names = {checkpoint.name for checkpoint in complete}
        for checkpoint in list_checkpoints(self.target.checkpoints):
            if complete and checkpoint.name not in names:
                shutil.rmtree(checkpoint)

    def save(self) -> None:
        """Copy what there is: a finished run, with the checkpoints that it keeps, or one that can be resumed."""
        from sentiment140_bert.training import checkpoints

        if not self.local.is_run():
            return
        self.update()
        if self.local.is_own():
            self.target.remember()
        if self.local.is_finished() and not checkpoints.list_complete(self.local.checkpoints):
            checkpoints.remove_checkpoints(self.target)

    def _start(self) -> None:
        if not self.is_started:
            self.target.clear()
        self.is_started = True


def _copy(folder: Path, target: Path, *excluded: str) -> None:
    """Copy the contents of files, not their permissions and times, which volumes do not know.

    The recipe comes after the other files that make a folder a run, and scores or a manifest, which say that all is
    there, come last.

    Args:
        folder: The folder to copy.
        target: The folder to write to.
        excluded: Names in ``folder`` that are not copied.
    """
    files = [
        path.relative_to(folder)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink() and TEMPORARY not in str(path)  # which is still being written
    ]
    files = [file for file in files if file.parts[0] not in (*excluded, LOCK)]
    for file in sorted(files, key=lambda file: RANKS.get(str(file), 0 if file.name == str(file) else 2)):
        path = target / file
        with explain_full_disk(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists():  # copying over it would leave neither the old nor the new one if it were cut off
                temporary = path.with_name(f"{TEMPORARY}{path.name}")
                shutil.copyfile(folder / file, temporary)
                temporary.replace(path)
            else:
                shutil.copyfile(folder / file, path)
