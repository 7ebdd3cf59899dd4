"""Upload checkpoints to the Hub from a thread of their own: training waits for none of them."""

from __future__ import annotations

import json
import logging
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sentiment140_bert import schemas
from sentiment140_bert.errors import RunError, S140Error
from sentiment140_bert.recipe import Recipe
from sentiment140_bert.results import KeptCheckpoints
from sentiment140_bert.run import RunDir, make_run_public

if TYPE_CHECKING:
    from sentiment140_bert.hub.checkpoint_repo import CheckpointRepo

log = logging.getLogger(__name__)


class CheckpointUploads:
    """Keep a repository up to date with a run. While one checkpoint is sent only the newest of the others waits.

    Each is staged first: a folder under ``run.staging`` gives its files second names, which pruning does not touch.

    Args:
        repo: An open one.
        run: The run that is trained.
        recipe: The run's.
    """

    def __init__(self, repo: CheckpointRepo, run: RunDir, recipe: Recipe) -> None:
        self.repo, self.run, self.recipe = repo, run, recipe
        self.uploaded: str | None = None  # the newest checkpoint on the Hub
        self.staged: str | None = None
        self.count = 0
        self.problem: S140Error | None = None
        self._lock = threading.Lock()
        self._waiting: tuple[str, Path] | None = None
        self._thread: threading.Thread | None = None
        self._is_busy = False

    @contextmanager
    def open(self) -> Iterator[CheckpointUploads]:
        """Take checkpoints as long as the block lasts; at its end, however it comes, wait for the newest one."""
        from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

        with ExitStack() as stack:
            if not are_progress_bars_disabled():
                disable_progress_bars()  # they would be drawn across that of the training
                stack.callback(enable_progress_bars)
            shutil.rmtree(self.run.staging, ignore_errors=True)  # left by a process that was killed
            stack.callback(self._close)
            yield self

    def add_newest(self) -> None:
        """Stage the newest checkpoint, and return; the upload continues in a thread."""
        newest = self._newest()
        if newest is None or newest.name == self.staged:
            return
        try:
            folder = self._stage(newest)
        except (S140Error, OSError, ValueError) as error:
            self._fail(RunError(f"{newest.name} cannot be made ready for the Hub: {error}."))
            return
        self.staged = newest.name
        with self._lock:
            earlier, self._waiting = self._waiting, (newest.name, folder)
            if not self._is_busy:
                self._is_busy = True
                # huggingface_hub's own background thread would be waited for even after a second Ctrl-C.
                self._thread = threading.Thread(target=self._upload_all, name="s140-checkpoints", daemon=True)
                self._thread.start()
        if earlier:
            _remove(earlier[1])

    def state(self) -> KeptCheckpoints:
        """Return ``repo_id``, ``url``, and ``newest``, the checkpoint that is there (None if none could be sent)."""
        return {"repo_id": self.repo.repo_id, "url": self.repo.url, "newest": self.uploaded}

    def _close(self) -> None:
        """Wait for the newest checkpoint, and log whether it is on the Hub.

        The files of an unfinished run are sent once more, as they are at its end.
        """
        newest = self._newest()
        if newest is None:
            return
        if self._thread is not None and self._thread.is_alive():
            log.info("hub: waiting until %s is in %s …", newest.name, self.repo.repo_id)
        try:
            self._join()
            if self.uploaded != newest.name or not self.run.is_finished():
                self.staged = None
                self.add_newest()
                self._join()
        finally:
            if self.uploaded == newest.name:
                log.info("hub: %s is in %s", newest.name, self.repo.url)
            else:
                there = (
                    f"the newest there is {self.uploaded}" if self.uploaded else "no checkpoint of this run is there"
                )
                log.warning("hub: %s is NOT in %s; %s", newest.name, self.repo.url, there)
            shutil.rmtree(self.run.staging, ignore_errors=True)

    def _join(self) -> None:
        if self._thread is not None:
            self._thread.join()

    def _upload_all(self) -> None:
        while True:
            with self._lock:
                waiting, self._waiting = self._waiting, None
                if waiting is None:
                    self._is_busy = False
                    return
            name, folder = waiting
            try:
                self.repo.keep(folder)
            except (S140Error, OSError, ValueError) as error:
                self._fail(error if isinstance(error, S140Error) else RunError(f"{name}: {error}."))
            else:
                self.uploaded, self.problem = name, None
            finally:
                _remove(folder)

    def _fail(self, error: S140Error) -> None:
        """Log it once, until an upload succeeds again."""
        if self.problem is None:
            log.warning(
                "hub: %s. Training continues, and the next checkpoint will be tried.", error.message.rstrip(".")
            )
        self.problem = error

    def _newest(self) -> Path | None:
        """Return the newest checkpoint that has a manifest; this process wrote it, so it needs no check."""
        from sentiment140_bert.run import step_of
        from sentiment140_bert.training.checkpoints import MANIFEST

        sealed = [manifest.parent for manifest in self.run.checkpoints.glob(f"checkpoint-*/{MANIFEST}")]
        return max(sealed, key=step_of, default=None)

    def _stage(self, newest: Path) -> Path:
        """Make the folder that the repository is to hold: run files, the newest and the best checkpoint, an index."""
        from sentiment140_bert.hub.checkpoint_index import write_index, write_readme
        from sentiment140_bert.training.checkpoints import best_of

        self.count += 1
        folder = self.run.staging / str(self.count)
        sums: dict[str, schemas.FileDigest] = {}
        for checkpoint in (newest, best_of(newest)):
            if checkpoint:
                sums |= _stage_checkpoint(checkpoint, folder / checkpoint.name)
        self._stage_run_files(folder)
        write_readme(folder, self.repo.repo_id)
        write_index(folder, newest.name, sums)
        return folder

    def _stage_run_files(self, folder: Path) -> None:
        run = self.run
        for path in (run.data, run.environment, run.tracking):
            if path.is_file():
                shutil.copyfile(path, folder / path.name)
        history = run.history.read_bytes() if run.history.is_file() else b""
        (folder / run.history.name).write_bytes(history[: history.rfind(b"\n") + 1])  # a line may be being written
        (folder / run.recipe.name).write_text(make_run_public(run, self.recipe).to_yaml(), "utf-8")


def _stage_checkpoint(checkpoint: Path, folder: Path) -> dict[str, schemas.FileDigest]:
    """Give a checkpoint's files that may go to the Hub second names, or copy them where that cannot be (Google Drive).

    Returns:
        The size and sha256 of each as its manifest says; the staged manifest names these files alone.

    Raises:
        RunError: A file that every checkpoint needs is missing.
    """
    from sentiment140_bert.hub.checkpoint_index import CHECKPOINT_FILE, MANIFEST, NEEDED
    from sentiment140_bert.training.checkpoints import read_manifest

    manifest = read_manifest(checkpoint)
    files = {name: sums for name, sums in manifest["files"].items() if CHECKPOINT_FILE.fullmatch(name)}
    if missing := {*NEEDED} - {MANIFEST, *files}:
        raise RunError(f"it has no {', '.join(sorted(missing))}")
    folder.mkdir(parents=True)
    for name in files:
        try:
            os.link(checkpoint / name, folder / name)
        except OSError:
            shutil.copyfile(checkpoint / name, folder / name)
    (folder / MANIFEST).write_text(json.dumps(manifest | {"files": files}, indent=2) + "\n", "utf-8")
    return {f"{checkpoint.name}/{name}": sums for name, sums in files.items()}


def _remove(folder: Path) -> None:
    from sentiment140_bert.training.checkpoints import remove_emptied

    for path in folder.iterdir():
        if path.is_dir():
            remove_emptied(path)
    shutil.rmtree(folder, ignore_errors=True)
