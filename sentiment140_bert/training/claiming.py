"""Whether a folder may be trained into: a new one, a run to go on with, or one to be overwritten."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from sentiment140_bert import trust
from sentiment140_bert.errors import RunError
from sentiment140_bert.recipe import Recipe
from sentiment140_bert.run_dir import TEMPORARY, RunDir
from sentiment140_bert.run_lock import LOCK
from sentiment140_bert.runs import differences, saved_recipe

log = logging.getLogger(__name__)


def refuse_foreign(run: RunDir) -> None:
    """Makes sure that nothing but a run lies in the folder, or what a process that was killed early left of one: its
    recipe, the file by which it is a run, is written last.

    Raises:
        RunError: It holds something else.
    """
    if run.path.exists() and not run.path.is_dir():
        raise RunError(f"{run.path} is a file.", "Choose another --output-dir.")
    if run.is_run() or not run.path.is_dir():
        return
    first = (run.data, run.environment, run.history, run.tracking, run.checkpoints, run.fetched)
    early = {each.name for each in first} | {LOCK}
    if any(each.name not in early and not each.name.startswith(TEMPORARY) for each in run.path.iterdir()):
        raise RunError(f"{run.path} is not empty, and no run of this tool.", "Choose another --output-dir.")
    if run.checkpoints.is_symlink():
        _accept_linked_checkpoints(run.checkpoints)


def _accept_linked_checkpoints(link: Path) -> None:
    """Let a run that begins keep its checkpoints where a link of the user's leads to, on a larger disk perhaps.

    Raises:
        RunError: There are checkpoints already, which are of another run.
    """
    if any(link.glob("checkpoint-*")):
        raise RunError(f"{link} leads to {link.resolve()}, where checkpoints are.", "Let it lead to an empty folder.")
    trust.remember_place("checkpoints", str(link.resolve()))


def claim(run: RunDir, recipe: Recipe, resume: bool, overwrite: bool) -> bool:
    """Decides what is done with ``run``, which this process holds.

    Returns:
        Whether a run of this recipe is there to go on with; it may even be finished. Where the recipe names a
        repository of checkpoints, one that is to be resumed may be there instead.

    Raises:
        RunError: It was started with another recipe, or was to be resumed and is not there or finished.
    """
    if not run.is_run():
        if resume and recipe.tracking.checkpoint_repo_id is None:
            raise nothing_to_resume(run)
        return False
    if overwrite:
        if not run.is_finished():
            log.warning("--overwrite: %s holds an unfinished run; it is removed, and begun anew", run.path)
        return False
    if run.is_finished() and resume:
        raise RunError(
            f"The run in {run.path} is finished; there is nothing to resume.", "Look at it: s140 evaluate RUN."
        )
    _same_recipe(run, recipe, resume)
    if run.is_finished():
        log.info("%s is finished, and nothing is trained; --overwrite would remove it first", run.path)
    elif not resume:
        log.info("resume: %s holds an unfinished run of this recipe; going on with it", run.path)
    return True


def nothing_to_resume(run: RunDir) -> RunError:
    """The error for a run that is nowhere."""
    return RunError(f"There is no run in {run.path} to resume.", "Leave --resume away to start one.")


def _same_recipe(run: RunDir, recipe: Recipe, resume: bool) -> None:
    changed = differences(saved_recipe(run.path), recipe)
    if changed:
        state = "a finished run" if run.is_finished() else "an unfinished run"
        hint = "Resume it without these flags" if resume else "Give its own command to go on with it"
        raise RunError(
            f"{run.path} holds {state} that was started with another recipe: {'; '.join(changed)}.",
            f"{hint}, choose another --output-dir, or pass --overwrite to remove it.",
        )


def same_data(run: RunDir, report: dict[str, Any]) -> None:
    """Makes sure that the tweets are those that the run was started with.

    Args:
        run: One to go on with.
        report: What stands in ``data.json``, of the tweets at hand.

    Raises:
        RunError: They are not.
    """
    then, now = run.read(run.data)["fingerprint"], report["fingerprint"]
    if then != now:
        raise RunError(
            f"The tweets are not those that {run.path} was started with: fingerprint {then[:12]} then, {now[:12]} now.",
            "Give the original input back, or choose another --output-dir.",
        )
