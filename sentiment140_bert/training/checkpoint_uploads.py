"""Checkpoints on their way to the Hub, from a thread of its own: training waits for none of them."""

from __future__ import annotations

import json
import logging
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment140_bert.errors import HubError, RunError, S140Error
from sentiment140_bert.recipe import Recipe
from sentiment140_bert.run_dir import RunDir, sha256_of
from sentiment140_bert.runs import public

if TYPE_CHECKING:
    from sentiment140_bert.hub.checkpoint_files import File
    from sentiment140_bert.hub.checkpoints import CheckpointRepo

log = logging.getLogger(__name__)
LARGE = (".safetensors", ".pt", ".pth")  # what is sent from its file; the rest is small, and text


@dataclass(frozen=True)
class Staged:
    """A checkpoint, and the best one that it needs, as they were when they were written.

    ``folder`` holds their files under further names, so that pruning takes nothing away; ``run_files`` are the run's.
    """

    newest: str
    folder: Path
    run_files: dict[str, bytes]

    def forget(self) -> None:
        from sentiment140_bert.training.checkpoints import remove_emptied

        for each in self.folder.iterdir():
            remove_emptied(each)
        shutil.rmtree(self.folder, ignore_errors=True)


class Uploads:
    """Keeps a repository up to date with a run. While one checkpoint is sent only the newest of the others waits.

    Args:
        repo: Opened.
        run: That is trained.
        recipe: Its own.
    """

    def __init__(self, repo: CheckpointRepo, run: RunDir, recipe: Recipe) -> None:
        self.repo, self.run, self.recipe = repo, run, recipe
        self.kept: str | None = None  # the newest one that is on the Hub
        self.staged: str | None = None
        self.count = 0
        self.problem: S140Error | None = None
        self._sums: dict[tuple[str, int, int], tuple[int, str]] = {}
        self._lock = threading.Lock()
        self._waiting: Staged | None = None
        self._thread: threading.Thread | None = None
        self._busy = False

    @contextmanager
    def open(self) -> Iterator[Uploads]:
        """Take checkpoints as long as the block lasts; at its end, however it comes, wait for the newest one."""
        from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

        shown = not are_progress_bars_disabled()
        if shown:
            disable_progress_bars()  # they would be drawn across that of the training
        shutil.rmtree(self.run.staging, ignore_errors=True)  # of a process that was killed
        try:
            yield self
        finally:
            try:
                self.close(self.run.is_finished())
            finally:
                if shown:
                    enable_progress_bars()

    def saved(self) -> None:
        """A checkpoint is whole. Returns as soon as its files have a second name."""
        newest = self._newest()
        if newest is None or newest.name == self.staged:
            return
        try:
            staged = self._stage(newest)
        except (OSError, ValueError) as error:
            self._failed(RunError(f"{newest.name} cannot be made ready for the Hub: {error}."))
            return
        self.staged = newest.name
        with self._lock:
            earlier, self._waiting = self._waiting, staged
            if not self._busy:
                self._busy = True
                # A daemon: whoever does not want to wait for it at the end need not.
                self._thread = threading.Thread(target=self._work, name="s140-checkpoints", daemon=True)
                self._thread.start()
        if earlier:
            earlier.forget()

    def state(self) -> dict[str, Any]:
        """``repo_id``, ``url``, and ``newest``, the checkpoint that is there (None: nothing could be sent)."""
        return {"repo_id": self.repo.repo_id, "url": self.repo.url, "newest": self.kept}

    def close(self, finished: bool) -> None:
        """Waits for the newest checkpoint, and says what is not on the Hub.

        Args:
            finished: Otherwise the run's files go along once more, as they are at its end.
        """
        newest = self._newest()
        if newest is None:
            return
        if self._thread is not None and self._thread.is_alive():
            log.info("hub: waiting until %s is in %s …", newest.name, self.repo.repo_id)
        try:
            self._join()
            if self.kept != newest.name or not finished:
                self.staged = None
                self.saved()
                self._join()
        finally:
            if self.kept == newest.name:
                log.info("hub: %s is in %s", newest.name, self.repo.url)
            else:
                there = f"the newest there is {self.kept}" if self.kept else "nothing of this training is there"
                log.warning("hub: %s is NOT in %s; %s", newest.name, self.repo.url, there)
            shutil.rmtree(self.run.staging, ignore_errors=True)

    def _join(self) -> None:
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        while True:
            with self._lock:
                staged, self._waiting = self._waiting, None
                if staged is None:
                    self._busy = False
                    return
            try:
                self._send(staged)
            except (S140Error, OSError, ValueError) as error:
                self._failed(error if isinstance(error, S140Error) else RunError(f"{staged.newest}: {error}."))
            else:
                self.kept, self.problem = staged.newest, None
            finally:
                staged.forget()

    def _failed(self, error: S140Error) -> None:
        """Says it once, until it goes well again."""
        if self.problem is None:
            log.warning("hub: %s Training goes on, and the next checkpoint is tried.", _sentence(error.message))
        self.problem = error

    def _newest(self) -> Path | None:
        """The newest checkpoint with a manifest; those of this process need not be looked through again."""
        from sentiment140_bert.training.checkpoints import MANIFEST, step_of

        found = [each.parent for each in self.run.checkpoints.glob(f"checkpoint-*/{MANIFEST}")]
        return max(found, key=step_of, default=None)

    def _stage(self, newest: Path) -> Staged:
        state = json.loads((newest / "trainer_state.json").read_text("utf-8"))
        best = Path(state.get("best_model_checkpoint") or newest).name
        self.count += 1
        staged = Staged(newest.name, self.run.staging / str(self.count), self._run_files())
        for name in {newest.name, best}:
            _linked(self.run.checkpoints / name, staged.folder / name)
        return staged

    def _run_files(self) -> dict[str, bytes]:
        run = self.run
        found = {run.recipe.name: public(self.recipe).to_yaml().encode(), run.history.name: b""}
        for path in (run.data, run.environment, run.history, run.tracking):
            if path.is_file():
                found[path.name] = path.read_bytes()
        history = found[run.history.name]
        found[run.history.name] = history[: history.rfind(b"\n") + 1]  # a line may just be being written
        return found

    def _send(self, staged: Staged) -> None:
        from sentiment140_bert.hub import secrets
        from sentiment140_bert.hub.checkpoint_files import File

        files = {name: File.of(content) for name, content in staged.run_files.items()}
        for folder in sorted(staged.folder.iterdir()):
            files |= self._files_of(folder)
        texts = [(name, each.content) for name, each in files.items() if isinstance(each.content, bytes)]
        secrets.check_files(texts)
        self.repo.keep(staged.newest, files)

    def _files_of(self, checkpoint: Path) -> dict[str, File]:
        """A checkpoint's files that belong on the Hub, each as its manifest says, and a manifest of these alone."""
        from sentiment140_bert.hub.checkpoint_files import MANIFEST, NEEDED, File
        from sentiment140_bert.training.checkpoints import manifest_of

        manifest = manifest_of(checkpoint)
        paths = {each.name: each for each in sorted(checkpoint.iterdir()) if each.name != MANIFEST}
        listed = {name: entry for name, entry in manifest["files"].items() if name in paths}
        missing = {*NEEDED} - {MANIFEST, *listed}
        if missing:
            raise HubError(f"{checkpoint.name} has no {', '.join(sorted(missing))}, so it is not kept on the Hub.")
        found: dict[str, File] = {}
        for name, entry in listed.items():
            path = paths[name]
            state = path.stat()
            known = f"{checkpoint.name}/{name}", state.st_mtime_ns, state.st_size
            if known not in self._sums:
                self._sums[known] = state.st_size, sha256_of(path)
            size, sha256 = self._sums[known]
            if entry != {"size": size, "sha256": sha256}:
                raise HubError(f"{checkpoint.name}/{name} is not what it was when it was written.")
            found[f"{checkpoint.name}/{name}"] = File(path if path.suffix in LARGE else path.read_bytes(), size, sha256)
        content = json.dumps(manifest | {"files": listed}, indent=2) + "\n"
        return found | {f"{checkpoint.name}/{MANIFEST}": File.of(content.encode())}


def _linked(checkpoint: Path, target: Path) -> None:
    """Gives the files that belong on the Hub a second name; where that cannot be (Google Drive) they are copied."""
    from sentiment140_bert.hub.checkpoint_files import CHECKPOINT_FILE

    target.mkdir(parents=True)
    for file in checkpoint.iterdir():
        if CHECKPOINT_FILE.fullmatch(file.name):
            try:
                os.link(file, target / file.name)
            except OSError:
                shutil.copyfile(file, target / file.name)


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
