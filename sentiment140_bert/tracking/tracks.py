"""The tracked run of a run directory, in which every verb goes on; and ``s140 track``."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment140_bert import run_lock
from sentiment140_bert.errors import TrackerError
from sentiment140_bert.recipe import Recipe
from sentiment140_bert.run_dir import RunDir
from sentiment140_bert.runs import public, saved_recipe, title_of

if TYPE_CHECKING:
    from sentiment140_bert.tracking import Story, Tracking

log = logging.getLogger(__name__)


def names_for(run: RunDir, recipe: Recipe, resume: bool) -> list[str]:
    """The trackers of a training: those it was begun with, or those that the recipe asks for.

    Raises:
        MissingExtra: The package of one is not installed.
        TrackerError: A model is to be registered, and MLflow is none of them.
    """
    from sentiment140_bert import tracking

    names = tracking.chosen(recipe.training.report_to)
    if resume and names:
        names = list(dict.fromkeys([*tracking.of_run(run), *names]))
    if recipe.tracking.register_model and "mlflow" not in names:
        raise TrackerError(
            f"The model is to be registered as {recipe.tracking.register_model}, but the run is reported to "
            f"{', '.join(names) or 'nobody'}.",
            "Add --report-to mlflow.",
        )
    return names


def story_of(run: RunDir, recipe: Recipe, live: bool = False) -> Story:
    """What the trackers are told of a run.

    Args:
        run: It has at least its ``data.json`` and ``environment.json``.
        recipe: Its own.
        live: Whether it is being trained now.
    """
    from sentiment140_bert.tracking import Story

    return Story(run, title_of(run, recipe), public(recipe), run.read(run.data)["fingerprint"], live, _stage)


@contextmanager
def _stage(model: Path) -> Iterator[Path]:
    """Give a temporary folder with what transformers may open of a run's model."""
    from sentiment140_bert.models.staging import stage_model

    with stage_model(str(model), weights=True, tokenizer=True) as staged:
        yield staged.folder


@contextmanager
def going_on(run: RunDir) -> Iterator[Tracking]:
    """Goes on in the tracked run that a run directory has; what happens within is told at the end."""
    from sentiment140_bert import tracking

    with tracking.tracked(tracking.of_run(run), lambda: story_of(run, saved_recipe(run.path))) as going:
        yield going


def track(path: Path) -> dict[str, Any]:
    """``s140 track show``: a run's trackers, each with its ``id`` and ``url``, ``unsent`` parts, and offline folders.

    Raises:
        RunError: There is no run.
    """
    from sentiment140_bert import tracking

    run = RunDir(path)
    story = story_of(run, saved_recipe(path))
    return {name: tracking.state_of(name, story) for name in tracking.of_run(run)}


def sync_track(path: Path, report_to: Sequence[str] = ()) -> dict[str, Any]:
    """``s140 track sync``: sends a run's trackers what they have not got.

    Args:
        path: The run directory.
        report_to: Trackers it was not told to before; they get all of it.

    Returns:
        As :func:`track`, afterwards.

    Raises:
        RunError: There is no run.
        TrackerError: It is tracked nowhere, or a tracker could not be told everything.
    """
    from sentiment140_bert import tracking

    run = RunDir(path)
    story = story_of(run, saved_recipe(path))
    names = list(dict.fromkeys([*tracking.of_run(run), *tracking.chosen(report_to)]))
    if not names:
        raise TrackerError(f"{path} is tracked nowhere.", "Name a tracker: --report-to mlflow")
    without_login = "wandb" in names and not tracking.has_wandb_credentials()
    if without_login:
        names.remove("wandb")
    elif "wandb" in names:
        tracking.send_offline(run)
    with run_lock.held(path, "telling its trackers"), tracking.tracked(names, lambda: story) as going:
        pass
    if not going.complete:
        raise TrackerError(
            f"Not everything of {path} could be sent.",
            f"It is kept. Once the tracker answers: s140 track sync {shlex.quote(str(path))}",
        )
    if without_login:
        raise TrackerError("wandb has no credentials here.", "Log in with `wandb login`, or set WANDB_API_KEY.")
    return track(path)
