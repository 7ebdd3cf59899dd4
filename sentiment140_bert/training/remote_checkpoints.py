"""The run that a repository of checkpoints keeps: is it the one that is asked for, and bringing it here."""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment140_bert import shapes
from sentiment140_bert.errors import RunError, S140Error
from sentiment140_bert.history import entry_of, lines_of
from sentiment140_bert.recipe import Recipe, load_recipe
from sentiment140_bert.run_dir import RunDir, write_json, write_text
from sentiment140_bert.runs import differences, public, saved_recipe
from sentiment140_bert.shapes import checked
from sentiment140_bert.training import output_dir

if TYPE_CHECKING:
    from sentiment140_bert.hub.checkpoint_files import Stored
    from sentiment140_bert.hub.checkpoints import CheckpointRepo

log = logging.getLogger(__name__)


class RemoteRun:
    """What a repository keeps of a run, before training begins.

    Args:
        repo: Opened.
        run: Where the run is, or shall be, here.
        recipe: That is asked for.
    """

    def __init__(self, repo: CheckpointRepo, run: RunDir, recipe: Recipe) -> None:
        self.repo, self.run, self.recipe = repo, run, recipe
        self.stored: Stored | None = None

    def look(self, overwrite: bool) -> None:
        """Finds out what is there, and whether it is of this recipe.

        Raises:
            RunError: It is of another one, or damaged.
            HubError: The Hub cannot be reached.
        """
        if overwrite:
            log.info("hub: what %s holds is replaced by the first checkpoint of this training", self.repo.repo_id)
            return
        self.stored = self.repo.stored()
        if self.stored:
            changed = differences(self._recipe(self.stored), public(self.recipe))
            if changed:
                raise RunError(
                    f"The checkpoints in {self.repo.repo_id} are of another recipe: {'; '.join(changed)}.",
                    "Go on with theirs, name another --checkpoint-repo-id, or replace them with --overwrite.",
                )

    def remember(self) -> None:
        """The run's recipe names the repository from now on, should it have been begun without."""
        saved = saved_recipe(self.run.path)
        if saved.tracking.checkpoint_repo_id != self.repo.repo_id:
            write_text(self.run.recipe, saved.with_values({"checkpoint_repo_id": self.repo.repo_id}).to_yaml())

    def bring(self, report: dict[str, Any], resume: bool) -> bool:
        """Makes the run here the repository's, if that is further.

        Args:
            report: ``data.json`` as it would be written here.
            resume: Whether the run is here, too, and may be further.

        Returns:
            Whether it was brought.

        Raises:
            RunError: It was trained on other tweets, is not whole, or is not to be trusted.
            HubError: The Hub cannot be reached; what was fetched so far is kept in the run.
        """
        from sentiment140_bert.training.checkpoints import newest_whole, step_of

        stored = self.stored
        if stored is None:
            return False
        here = newest_whole(self.run.checkpoints) if resume else None
        step = step_of(here) if here else 0
        with tempfile.TemporaryDirectory(prefix="s140-") as place:
            self._same_data(stored, report, Path(place))
        if stored.step <= step:
            log.info("hub: %s has step %d, this machine %d: going on from here", self.repo.repo_id, stored.step, step)
            return False
        log.info("hub: fetching %s of %s", stored.newest, self.repo.repo_id)
        try:
            self._put(stored, self._fetched(stored, self.run.fetched), report)
        except RunError:
            shutil.rmtree(self.run.fetched, ignore_errors=True)
            raise
        shutil.rmtree(self.run.fetched, ignore_errors=True)
        return True

    def _recipe(self, stored: Stored) -> Recipe:
        with tempfile.TemporaryDirectory(prefix="s140-") as place:
            self.repo.text(stored, self.run.recipe.name, Path(place))
            try:
                return load_recipe(str(Path(place) / self.run.recipe.name))
            except S140Error as error:
                raise RunError(
                    f"The recipe in {self.repo.repo_id} cannot be read: {error.message}",
                    "Was it made by another version? Name another --checkpoint-repo-id, or replace it: --overwrite",
                ) from None

    def _same_data(self, stored: Stored, report: dict[str, Any], place: Path) -> None:
        there = self._json(stored, self.run.data.name, place)
        then, now = str(there.get("fingerprint")), str(report["fingerprint"])
        if then == now:
            return
        rows = [
            f"{name}: {before} tweets then, {split['rows']} now"
            for name, split in report["splits"].items()
            if (before := _rows(there, name)) != split["rows"]
        ]
        told = "; ".join([f"fingerprint {then[:12]} then, {now[:12]} now", *rows])
        raise RunError(
            f"The checkpoints in {self.repo.repo_id} were trained on other tweets: {told}.",
            "Give the original input back, name another --checkpoint-repo-id, or replace them with --overwrite.",
        )

    def _json(self, stored: Stored, name: str, place: Path) -> dict[str, Any]:
        try:
            content = json.loads(self.repo.text(stored, name, place))
        except (ValueError, RecursionError) as error:
            raise RunError(f"{name} in {self.repo.repo_id} is damaged: {error}.", "Start anew: --overwrite") from None
        if not isinstance(content, dict):
            raise RunError(f"{name} in {self.repo.repo_id} is damaged.", "Start anew: --overwrite")
        return content

    def _fetched(self, stored: Stored, place: Path) -> Path:
        """All files that are gone on with, in ``place``, looked at before any of them is used."""
        from sentiment140_bert.training import checkpoints, resume

        self.repo.bring(stored, sorted(stored.files), place)
        for name in stored.checkpoints:
            if place / name not in checkpoints.whole_ones(place):
                raise RunError(f"{name} in {self.repo.repo_id} is not whole.", "Start anew: --overwrite")
            resume.check_names(place / name)
            resume.check_contents(place / name)
        checked(self._json(stored, self.run.environment.name, place), shapes.Begun, self.run.environment.name)
        _check_history(place / self.run.history.name)
        return place

    def _put(self, stored: Stored, place: Path, report: dict[str, Any]) -> None:
        """The run's files first: with them alone it is a run without a checkpoint, and asked for again."""
        run = self.run
        history = (place / run.history.name).read_text("utf-8")
        environment = self._json(stored, run.environment.name, place)
        tracking = self._tracking(stored, place)
        write_text(run.history, history)
        if tracking:
            write_json(run.tracking, tracking)
        write_json(run.data, report)  # our own, as is the recipe: they are the same, and nobody else wrote them
        write_json(run.environment, environment)
        write_text(run.recipe, self.recipe.to_yaml())
        run.checkpoints.mkdir(exist_ok=True)
        for name in stored.checkpoints:
            shutil.rmtree(run.checkpoints / name, ignore_errors=True)
            shutil.move(place / name, run.checkpoints / name)  # which may be a link to another disk

    def _tracking(self, stored: Stored, place: Path) -> dict[str, Any]:
        from sentiment140_bert.tracking.moved import moved

        if self.run.tracking.name not in stored.files:
            return {}
        kept, said = moved(self._json(stored, self.run.tracking.name, place))
        for sentence in said:
            log.warning("%s", sentence)
        return kept


def opened(run: RunDir, recipe: Recipe, resume: bool, overwrite: bool) -> RemoteRun | None:
    """The repository of the recipe's checkpoints, ready to be written to; None where it names none.

    Raises:
        HubError: There is no login, no right to write, or the repository is public or something else's.
        RunError: It keeps a run of another recipe; or nothing, where ``resume`` asks for a run and none is here either.
    """
    repo_id = recipe.tracking.checkpoint_repo_id
    if repo_id is None:
        return None
    from sentiment140_bert.hub.checkpoints import CheckpointRepo
    from sentiment140_bert.hub.client import Hub

    repo = CheckpointRepo(Hub(), repo_id)
    repo.open()
    remote = RemoteRun(repo, run, recipe)
    remote.look(overwrite)
    if resume and not (remote.stored or run.is_run()):
        raise output_dir.nothing_to_resume(run)
    return remote


def _check_history(file: Path) -> None:
    """Raises RunError where a line is no log entry."""
    for number, line in enumerate(lines_of(file), 1):
        if entry_of(line) is None:
            raise RunError(f"Line {number} of history.jsonl is damaged.", "Start anew: --overwrite")


def _rows(report: dict[str, Any], split: str) -> Any:
    try:
        return int(report["splits"][split]["rows"])
    except (KeyError, TypeError, ValueError):
        return None
