"""Resume a run that a repository of checkpoints keeps: check that it is the same run, and fetch it."""

from __future__ import annotations

import logging
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from sentiment140_bert import schemas
from sentiment140_bert.errors import RunError, S140Error
from sentiment140_bert.files import write_json, write_text
from sentiment140_bert.hub.checkpoint_index import START_AGAIN
from sentiment140_bert.recipe import Recipe, list_differences, load_recipe
from sentiment140_bert.recipe.privacy import make_public
from sentiment140_bert.run import RunDir, Schema, read_json, read_lines, saved_recipe, step_of
from sentiment140_bert.schemas.history import parse_entry
from sentiment140_bert.training import output_dir

if TYPE_CHECKING:
    from sentiment140_bert.hub.checkpoint_index import Stored
    from sentiment140_bert.hub.checkpoint_repo import CheckpointRepo

log = logging.getLogger(__name__)


class RemoteRun:
    """The run that a repository keeps, before training begins.

    Args:
        repo: An open one.
        run: The run directory on this machine, which may hold no run yet.
        recipe: The recipe that was asked for.
    """

    def __init__(self, repo: CheckpointRepo, run: RunDir, recipe: Recipe) -> None:
        self.repo, self.run, self.recipe = repo, run, recipe
        self.stored: Stored | None = None

    def read(self, overwrite: bool) -> None:
        """Read the index of the repository, and make sure that its run is of the same recipe.

        Raises:
            RunError: It is of another one, or damaged.
            HubError: The Hub cannot be reached.
        """
        if overwrite:
            log.info("hub: the first checkpoint of this run replaces what %s holds", self.repo.repo_id)
            return
        self.stored = self.repo.read()
        if self.stored:
            changed = list_differences(self._read_recipe(self.stored), make_public(self.recipe))
            if changed:
                raise RunError(
                    f"The checkpoints in {self.repo.repo_id} are of another recipe: {'; '.join(changed)}.",
                    f"Resume with their recipe. Or: {START_AGAIN}",
                )

    def remember(self) -> None:
        """Name the repository in the run's recipe, in case the run was started without."""
        saved = saved_recipe(self.run.path)
        if saved.tracking.checkpoint_repo_id != self.repo.repo_id:
            write_text(self.run.recipe, saved.with_values({"checkpoint_repo_id": self.repo.repo_id}).to_yaml())

    def fetch(self, report: schemas.Data, resumes: bool) -> bool:
        """Replace the run here by the repository's, if that is further; return True if it was.

        Args:
            report: ``data.json`` of the tweets prepared here.
            resumes: True if the run is here, too; it may be further.

        Raises:
            RunError: It was trained on other tweets, is incomplete, or is not to be trusted.
            HubError: The Hub cannot be reached; what was fetched so far stays in the run directory.
        """
        from sentiment140_bert.training.checkpoints import best_of, find_damage, newest_complete

        stored, folder = self.stored, self.run.fetched
        if stored is None:
            return False
        here = newest_complete(self.run.checkpoints) if resumes else None
        best = best_of(here) if here else None
        step = step_of(here) if here and not (best and any(find_damage(best))) else 0
        try:
            self._check_same_data(stored, report)
            if stored.step > step:
                log.info("hub: fetching %s of %s", stored.newest, self.repo.repo_id)
                self._fetch_all(stored)
                self._install(stored, report)
            else:
                log.info("hub: %s has step %d, this machine %d", self.repo.repo_id, stored.step, step)
        except RunError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        shutil.rmtree(folder, ignore_errors=True)
        return stored.step > step

    def _read_recipe(self, stored: Stored) -> Recipe:
        with tempfile.TemporaryDirectory(prefix="s140-") as folder:
            (path,) = self.repo.fetch(stored, [self.run.recipe.name], Path(folder))
            try:
                return load_recipe(str(path))
            except S140Error as error:
                raise RunError(
                    f"The recipe in {self.repo.repo_id} cannot be read: {error.message}",
                    f"It may be of another version. {START_AGAIN}",
                ) from None

    def _read_json(self, stored: Stored, name: str, schema: type[Schema]) -> Schema:
        (path,) = self.repo.fetch(stored, [name], self.run.fetched)
        try:
            return read_json(path, schema)
        except RunError as error:
            raise RunError(f"{self.repo.repo_id}: {error.message}", START_AGAIN) from None

    def _check_same_data(self, stored: Stored, report: schemas.Data) -> None:
        remote = self._read_json(stored, self.run.data.name, schemas.Data)
        if remote["tokenizer"]["sha256"] != report["tokenizer"]["sha256"]:
            raise RunError(
                f"The checkpoints in {self.repo.repo_id} were trained with another tokenizer.",
                f"Restore the original base model. Or: {START_AGAIN}",
            )
        then, now = remote["fingerprint"], report["fingerprint"]
        if then == now:
            return
        rows = [
            f"{name}: {remote['splits'][name]['rows']} tweets then, {split['rows']} now"
            for name, split in report["splits"].items()
            if name in remote["splits"] and remote["splits"][name]["rows"] != split["rows"]
        ]
        changes = "; ".join([f"fingerprint {then[:12]} then, {now[:12]} now", *rows])
        raise RunError(
            f"The checkpoints in {self.repo.repo_id} were trained on other tweets: {changes}.",
            f"Restore the original input. Or: {START_AGAIN}",
        )

    def _fetch_all(self, stored: Stored) -> None:
        """Download all files, and check each before any is used."""
        from sentiment140_bert.training import checkpoints, resume

        folder = self.run.fetched
        self.repo.fetch(stored, sorted(stored.files), folder)
        for name in stored.checkpoints:
            if folder / name not in checkpoints.list_complete(folder):
                raise RunError(f"{name} in {self.repo.repo_id} is incomplete.", START_AGAIN)
            resume.check_names(folder / name)
            resume.check_contents(folder / name)
        for number, line in enumerate(read_lines(folder / self.run.history.name), 1):
            if parse_entry(line) is None:
                raise RunError(f"Line {number} of history.jsonl in {self.repo.repo_id} is damaged.", START_AGAIN)

    def _install(self, stored: Stored, report: schemas.Data) -> None:
        """Move the files into the run directory, the checkpoints last: without them it is a run to be fetched again."""
        run, folder = self.run, self.run.fetched
        environment = self._read_json(stored, run.environment.name, schemas.StartedEnvironment)
        tracking = self._read_tracking(stored)
        write_text(run.history, (folder / run.history.name).read_text("utf-8"))
        if tracking:
            write_json(run.tracking, tracking)
        write_json(run.data, report)  # of this machine, as is the recipe: they are the same, and nobody else wrote them
        write_json(run.environment, environment)
        write_text(run.recipe, self.recipe.to_yaml())
        run.checkpoints.mkdir(exist_ok=True)
        for name in stored.checkpoints:
            shutil.rmtree(run.checkpoints / name, ignore_errors=True)
            shutil.move(folder / name, run.checkpoints / name)  # which may be a link to another disk

    def _read_tracking(self, stored: Stored) -> schemas.Tracking:
        from sentiment140_bert.tracking.sync_state import move_state

        if self.run.tracking.name not in stored.files:
            return {}
        tracking, remarks = move_state(self._read_json(stored, self.run.tracking.name, schemas.Tracking))
        for remark in remarks:
            log.warning("%s", remark)
        return tracking


def open_remote_run(run: RunDir, recipe: Recipe, resume: bool, overwrite: bool) -> RemoteRun | None:
    """Open the repository that the recipe names for checkpoints; return None where it names none.

    Raises:
        HubError: There is no login, no right to write, or the repository is public or something else's.
        RunError: It keeps a run of another recipe; or ``resume`` is set, and there is no run here or there.
    """
    repo_id = recipe.tracking.checkpoint_repo_id
    if repo_id is None:
        return None
    from sentiment140_bert.hub.checkpoint_repo import CheckpointRepo
    from sentiment140_bert.hub.client import Hub

    repo = CheckpointRepo(Hub(), repo_id)
    repo.open()
    remote = RemoteRun(repo, run, recipe)
    remote.read(overwrite)
    if resume and not (remote.stored or run.is_run()):
        raise output_dir.nothing_to_resume(run)
    return remote
