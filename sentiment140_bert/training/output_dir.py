"""Check the output folder of a training: it is new, holds a run to resume, or holds one to overwrite."""

from __future__ import annotations

import logging
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from sentiment140_bert import schemas
from sentiment140_bert.data import loading
from sentiment140_bert.errors import Interrupted, RunError, S140Error
from sentiment140_bert.files import TEMPORARY
from sentiment140_bert.locks import LOCK
from sentiment140_bert.recipe import FILE_SETTINGS, Recipe, list_differences
from sentiment140_bert.run import RunDir, list_checkpoints, saved_recipe
from sentiment140_bert.training import ancestors

if TYPE_CHECKING:
    from sentiment140_bert.publishing.destination import Destination

log = logging.getLogger(__name__)


def refuse_foreign_files(run: RunDir) -> None:
    """Raise unless the folder is new, empty, a run, or what an early kill left of a run.

    The recipe, by which a folder is a run, is written last.

    Raises:
        RunError: It holds something else.
    """
    if run.path.exists() and not run.path.is_dir():
        raise RunError(f"{run.path} is a file.", "Choose another --output-dir.")
    if run.checkpoints.is_symlink():  # another run's, perhaps, whose checkpoints would be removed
        raise RunError(
            f"{run.checkpoints} is a link that points outside {run.path}, to {run.checkpoints.readlink()}.",
            "To keep a run on another disk, name a folder there with --output-dir.",
        )
    if run.is_run() or not run.path.is_dir():
        return
    written_first = (run.data, run.environment, run.history, run.tracking, run.checkpoints, run.fetched)
    names = {path.name for path in written_first} | {LOCK}
    has_others = any(path.name not in names and not path.name.startswith(TEMPORARY) for path in run.path.iterdir())
    if has_others or not _has_files_of_a_run(run):
        raise RunError(f"{run.path} is not empty, and `s140 train` did not write it.", "Choose another --output-dir.")
    if list_checkpoints(run.checkpoints):  # a run writes its recipe before its first checkpoint
        raise RunError(
            f"{run.checkpoints.resolve()} has checkpoints of another run: there is no recipe.yaml in {run.path}.",
            "Choose another --output-dir, or move those checkpoints.",
        )


def _has_files_of_a_run(run: RunDir) -> bool:
    """Return True if the files that a run writes first are missing, or what a run writes."""
    try:
        _ = run.data.exists() and run.read_data(), run.environment.exists() and run.read_environment()
        _ = run.read_history(), run.read_tracking()
    except RunError:
        return False
    return True


def _refuse_to_remove_inputs(run: RunDir, recipe: Recipe) -> None:
    """Raise RunError if the model or a file that the recipe names is in the folder that is to be overwritten."""
    settings = (
        recipe.model.model_name_or_path,
        recipe.model.teacher,
        *(getattr(recipe.data, name) for name in ("dataset", *FILE_SETTINGS)),
    )
    for name in filter(None, settings):
        path = Path(os.path.expanduser(name))  # noqa: PTH111 - Path's own raises where there is no such user
        if path.exists() and path.resolve().is_relative_to(run.path.resolve()):
            raise RunError(
                f"{name} is in {run.path}, which --overwrite empties before it is read.",
                "Move it elsewhere, or choose another --output-dir.",
            )


def resolve_output_dir(run: RunDir, recipe: Recipe, resume: bool, overwrite: bool) -> bool:
    """Return True if ``run``, which this process holds, is a run of this recipe to resume; it may be finished.

    A recipe that names a repository of checkpoints may resume the run that is kept there instead.

    Raises:
        RunError: The run was started with another recipe; or ``resume`` is set and the run is missing or finished.
    """
    if not run.is_run():
        if resume and recipe.tracking.checkpoint_repo_id is None:
            raise nothing_to_resume(run)
        return False
    if overwrite:
        _refuse_to_remove_inputs(run, recipe)
        if not run.is_finished():
            log.warning("--overwrite: removing the unfinished run in %s", run.path)
        return False
    if run.is_finished() and resume:
        raise RunError(
            f"The run in {run.path} is finished; there is nothing to resume.", "Show its scores: s140 evaluate RUN."
        )
    _check_same_recipe(run, recipe, resume)
    if run.is_finished():
        log.info("%s is finished: nothing is trained; --overwrite would remove it first", run.path)
    elif not resume:
        log.info("resume: %s holds an unfinished run of this recipe", run.path)
    return True


def nothing_to_resume(run: RunDir) -> RunError:
    """Return the error for a run that exists nowhere."""
    return RunError(f"There is no run in {run.path} to resume.", "Omit --resume to start a new run.")


def _check_same_recipe(run: RunDir, recipe: Recipe, resume: bool) -> None:
    changed = list_differences(saved_recipe(run.path), recipe)
    if changed:
        state = "a finished run" if run.is_finished() else "an unfinished run"
        hint = "Resume it without these flags" if resume else "Run its own command to resume it"
        raise RunError(
            f"{run.path} holds {state} that was started with another recipe: {'; '.join(changed)}.",
            f"{hint}, choose another --output-dir, or pass --overwrite to remove it.",
        )


def check_same_data(run: RunDir, report: schemas.Data) -> None:
    """Raise if the tweets or the tokenizer are not those that the run was started with.

    Args:
        run: The run to resume.
        report: The ``data.json`` of the tweets prepared now.

    Raises:
        RunError: The fingerprints differ.
    """
    then = run.read_data()
    for what, before, now in (
        ("tweets are not those", then["fingerprint"], report["fingerprint"]),
        ("tokenizer is not the one", then["tokenizer"]["sha256"], report["tokenizer"]["sha256"]),
    ):
        if before != now:
            raise RunError(
                f"The {what} that {run.path} was started with: fingerprint {before[:12]} then, {now[:12]} now.",
                "Restore the original input, or choose another --output-dir.",
            )


def remember_if_same_data(run: RunDir, recipe: Recipe, data: loading.PreparedData | None) -> None:
    """Take a finished run for one of this machine if the recipe's tweets are those that it was trained on.

    Args:
        run: A finished run, perhaps a stranger's.
        recipe: The recipe of the command.
        data: The prepared tweets, if the caller has them.
    """
    recipe, fingerprint = ancestors.pin_models(recipe, run, data), run.read_data()["fingerprint"]
    try:
        tokens = (data or loading.load_data(recipe))[1]
        reason = "" if tokens.report["fingerprint"] == fingerprint else "its recipe prepares other tweets"
    except S140Error as error:
        reason = error.message
    if reason:
        log.warning("%s is not taken for a run of this machine; its tweets are not published: %s", run.path, reason)
    else:
        run.remember()


def build_interruption(run: RunDir, step: int, signal: int, is_main: bool, push_to: Destination | None) -> Interrupted:
    """Return the error of a training that a signal stopped after a step, in the main process or in another one."""
    from sentiment140_bert.training import checkpoints

    what = ""
    if is_main:  # the other processes do not wait until the last checkpoint is sealed
        complete = checkpoints.list_complete(run.checkpoints)
        what = f"; {complete[-1].name} is in {run.checkpoints}" if complete else "; no checkpoint was written"
    publishes = ["--push-to-hub", *push_to.list_flags()] if push_to else []
    command = shlex.join(["s140", "train", "--output-dir", str(run.path), "--resume", *publishes])
    return Interrupted(
        f"Training was stopped by a signal after step {step}{what}.", f"Resume it with: {command}", signal
    )
