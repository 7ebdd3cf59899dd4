"""Resume the tracked run of a run directory, as each command does; and ``s140 track``."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sentiment140_bert import trust
from sentiment140_bert.errors import TrackerError
from sentiment140_bert.files import Place
from sentiment140_bert.locks import expand_folder, lock_folder
from sentiment140_bert.recipe import REGISTERED, Recipe
from sentiment140_bert.results import TrackedAt
from sentiment140_bert.run import RunDir, make_run_public, saved_recipe

if TYPE_CHECKING:
    from sentiment140_bert.tracking import Tracking
    from sentiment140_bert.tracking.tracked_run import TrackedRun

log = logging.getLogger(__name__)


def choose_trackers(run: RunDir, recipe: Recipe, resume: bool) -> list[str]:
    """Return the trackers of a training: those that it was started with, and those that the recipe names.

    Raises:
        MissingExtra: The package of one is not installed.
        TrackerError: The recipe registers the model, and MLflow is not among them, or nobody named it for this run.
    """
    from sentiment140_bert import tracking

    names = tracking.resolve(recipe.training.report_to)
    if resume and names:
        names = list(dict.fromkeys([*tracking.list_trackers(run), *names]))
    if recipe.tracking.register_model and "mlflow" not in names:
        raise TrackerError(
            f"The model is to be registered as {recipe.tracking.register_model}, but the run is reported to "
            f"{', '.join(names) or 'no tracker'}.",
            "Add --report-to mlflow.",
        )
    check_registration(run, recipe)
    return names


def check_registration(run: RunDir, recipe: Recipe) -> None:
    """Raise TrackerError if a recipe, perhaps a stranger's, registers the model by a name that was not given.

    What is served by that name and alias would be another model from then on.
    """
    from sentiment140_bert.tracking.mlflow_models import describe_registration

    settings = recipe.tracking
    if settings.register_model is None:
        return
    place = describe_registration(run, settings)
    if trust.is_named_now(REGISTERED, settings.register_model):
        trust.remember_place(REGISTERED, place)
    elif not trust.is_known_place(REGISTERED, place):
        raise TrackerError(
            f"A recipe registers the model as {settings.register_model}, which was not named for {run.path}. Nothing "
            "is registered, because the recipe may come from a stranger.",
            f"If you trust it, name it: --register-model {settings.register_model}",
        )


def describe_tracked_run(run: RunDir, recipe: Recipe, live: bool = False, is_part: bool = False) -> TrackedRun:
    """Describe a run for its trackers.

    Args:
        run: A run with at least ``data.json`` and ``environment.json``.
        recipe: The run's.
        live: True if it is being trained now.
        is_part: True if it is one of several trainings of a command.
    """
    from sentiment140_bert.tracking.tracked_run import TrackedRun

    public, fingerprint = make_run_public(run, recipe), run.read_data()["fingerprint"]
    return TrackedRun(run, run.choose_title(recipe), public, fingerprint, live, is_part, _stage)


@contextmanager
def _stage(model: Path) -> Iterator[Path]:
    """Open a temporary folder with the files of a run's model that transformers may open."""
    from sentiment140_bert.models.staging import stage_model

    with stage_model(str(model), weights=True, tokenizer=True) as staged:
        yield staged.folder


@contextmanager
def resume_tracking(run: RunDir) -> Iterator[Tracking]:
    """Resume the tracked run of a run directory; what the block writes is sent at its end."""
    from sentiment140_bert import tracking

    with tracking.open_trackers(
        tracking.list_trackers(run), lambda: describe_tracked_run(run, saved_recipe(run.path))
    ) as opened:
        yield opened


def track(path: Place) -> dict[str, TrackedAt]:
    """Return a run's trackers (``s140 track show``), each with ``id``, ``url``, ``unsent`` parts and offline folders.

    Raises:
        RunError: There is no run.
    """
    from sentiment140_bert import tracking

    run = RunDir(expand_folder(path))
    tracked_run = describe_tracked_run(run, saved_recipe(run.path))
    return {name: tracking.describe_state(name, tracked_run) for name in tracking.list_trackers(run)}


def sync_track(path: Place, report_to: Sequence[str] = ()) -> dict[str, TrackedAt]:
    """Send a run's trackers what they do not have (``s140 track sync``).

    Args:
        path: The run directory.
        report_to: Further trackers; they get all of it.

    Returns:
        The result of :func:`track` afterwards.

    Raises:
        RunError: There is no run.
        TrackerError: It has no tracker, or a tracker does not have everything.
    """
    from sentiment140_bert import tracking
    from sentiment140_bert.tracking import wandb

    run = RunDir(expand_folder(path))
    tracked_run = describe_tracked_run(run, saved_recipe(run.path))
    names = list(dict.fromkeys([*tracking.list_trackers(run), *tracking.resolve(report_to)]))
    if not names:
        raise TrackerError(f"{path} has no tracker.", "Add one, for example --report-to mlflow.")
    lacks_login = "wandb" in names and not wandb.has_credentials()
    if lacks_login:
        names.remove("wandb")
    elif "wandb" in names:
        wandb.send(run)
    with lock_folder(run.path, "syncing its trackers"), tracking.open_trackers(names, lambda: tracked_run) as opened:
        pass
    if not opened.is_complete:
        raise TrackerError(
            f"Not everything of {path} could be sent.",
            f"It is kept. Once the tracker answers: s140 track sync {shlex.quote(str(run.path))}",
        )
    if lacks_login:
        raise TrackerError("wandb has no credentials here.", "Log in with `wandb login`, or set WANDB_API_KEY.")
    return track(run.path)
