"""``s140 train``."""

from __future__ import annotations

import dataclasses
import logging
import shlex
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment140_bert import run_lock
from sentiment140_bert.credentials import concealed
from sentiment140_bert.errors import Interrupted
from sentiment140_bert.recipe import Recipe
from sentiment140_bert.run_dir import RunDir, full_disk_explained, write_json, write_text
from sentiment140_bert.workflows import (
    checkpoint_uploads,
    claiming,
    pinning,
    preparing,
    publishing,
    remote_checkpoints,
    scoring,
    tracks,
    volumes,
)
from sentiment140_bert.workflows.runs import public_arguments, without_folders

if TYPE_CHECKING:
    from accelerate import PartialState
    from transformers import TrainingArguments

    from sentiment140_bert.machine.usage import Usage
    from sentiment140_bert.training.arguments import Precision
    from sentiment140_bert.training.trainer import Outcome

log = logging.getLogger(__name__)


def train(
    recipe: Recipe,
    output_dir: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    push_to: publishing.Destination | None = None,
    arguments_given: list[str] | None = None,
    saved: Callable[[], None] | None = None,
    data: preparing.Data | None = None,
    lean: bool = False,
) -> dict[str, Any]:
    """Fine-tunes, keeps the best weights, scores them, and writes the run directory.

    Args:
        recipe: All that decides the run.
        output_dir: The run directory. An unfinished run of the same recipe is gone on with, from its newest whole
            checkpoint; of a finished one only what is left is done: telling its trackers, publishing it.
        resume: There must be such a run.
        overwrite: Remove an earlier run in ``output_dir`` first.
        push_to: Where to publish the run once it is finished; the login is checked before training begins.
        arguments_given: What followed ``s140`` on the command line, to be told in the card.
        saved: Is called in the main process after each checkpoint, which is whole then; in a thread of its own, one
            call at a time.
        data: What the recipe would be prepared to, if it is at hand.
        lean: Scores alone: no figures and no card, for a model that is not to be kept.

    Returns:
        ``run``, ``model``, ``metrics`` (as in ``metrics.json``), ``training`` (steps, seconds, tweets per
        second, …), ``published`` (None without ``push_to``), ``tracked`` and ``checkpoints`` (on the Hub; None without
        ``checkpoint_repo_id``); nothing in processes other than the main one.

    Raises:
        RunError: ``output_dir`` holds a run of another recipe or other tweets, or something else; another process
            trains there; the disk is full.
        Interrupted: A signal stopped training; a checkpoint was written.
        S140Error: Data, model, recipe or hardware are not as they should be.
    """
    run = RunDir(output_dir)
    claiming.refuse_foreign(run)
    if volumes.is_volume(output_dir):
        resume = claiming.claim(run, recipe, resume, overwrite)
        if resume and run.is_finished():
            return _finished(run, push_to)
        more: dict[str, Any] = {"push_to": push_to, "arguments_given": arguments_given, "data": data, "lean": lean}
        return volumes.train_beside(train, recipe, output_dir, resume=resume, overwrite=overwrite, **more)
    from sentiment140_bert.training import arguments

    precision = arguments.choose_precision(recipe.training)
    settings = arguments.training_arguments(recipe.training, precision, run.checkpoints)
    processes = arguments.processes_of(settings)
    remote: remote_checkpoints.RemoteRun | None = None
    with ExitStack() as ours:
        if processes.is_main_process:
            ours.enter_context(run_lock.held(run.path, "training", make=True))
            claiming.claim(run, recipe, resume, overwrite)
            remote = remote_checkpoints.opened(run, recipe, resume, overwrite)
            if push_to:
                publishing.ready(push_to)
        else:
            log.setLevel(logging.WARNING)
        processes.wait_for_everyone()
        resume = run.is_run() and not overwrite
        if resume and run.is_finished():
            return _finished(run, push_to) if processes.is_main_process else {}
        with full_disk_explained(run.path):
            return _trained(
                run, recipe, precision, settings, processes, resume, remote, push_to, arguments_given, saved, data, lean
            )


def _trained(
    run: RunDir,
    recipe: Recipe,
    precision: Precision,
    settings: TrainingArguments,
    processes: PartialState,
    resume: bool,
    remote: remote_checkpoints.RemoteRun | None,
    push_to: publishing.Destination | None,
    arguments_given: list[str] | None,
    saved: Callable[[], None] | None,
    data: preparing.Data | None,
    lean: bool,
) -> dict[str, Any]:
    """Does what :func:`train` says, in a folder that is ours."""
    from sentiment140_bert import modeling
    from sentiment140_bert.evaluation.metrics import trainer_metrics
    from sentiment140_bert.machine.usage import Usage
    from sentiment140_bert.tracking import tracked
    from sentiment140_bert.training import arguments, callbacks, checkpoints, trainer

    with processes.main_process_first():
        exact = pinning.at_one_commit(recipe, run if resume else None, data)
        prepared, tokens, tokenizer = data or preparing.tokenized(exact)
    brought = remote.bring(tokens.report, resume) if remote else False
    if arguments.as_in_main_process(processes, brought):
        resume = True
        with processes.main_process_first():  # the run that came may have begun with another commit of the base model
            exact = pinning.at_one_commit(recipe, run, data)
            prepared, tokens, tokenizer = data or preparing.tokenized(exact)
    trackers = tracks.names_for(run, recipe, resume) if processes.is_main_process else []
    log.info("precision: %s (%s)", precision.name, precision.why)
    checkpoint = checkpoints.newest_whole(run.checkpoints) if resume else None
    if resume:
        log.info("resume: %s", f"from {checkpoint.name}" if checkpoint else "no whole checkpoint yet, starting anew")
    name, revision = exact.model.model_name_or_path, exact.model.model_revision
    model = modeling.load_encoder(name, revision, exact.training.seed, exact.model.dropouts())
    started = beginning(exact, precision, processes.num_processes, arguments_given)
    if resume:
        claiming.same_data(run, tokens.report)
        if remote:
            remote.remember()
        started = run.read(run.environment)
    elif processes.is_main_process:
        if run.is_run():
            run.clear()
        write_beginning(run, recipe, tokens.report, started)
    processes.wait_for_everyone()
    usage = Usage()
    uploads = checkpoint_uploads.Uploads(remote.repo, run, recipe) if remote else None
    with (
        checkpoint_uploads.kept_up(uploads, saved) as kept,
        tracked(trackers, lambda: tracks.story_of(run, recipe, live=True)) as tracking,
    ):
        outcome = trainer.train(
            model,
            tokenizer,
            tokens.splits(),
            settings,
            history=run.history,
            compute_metrics=trainer_metrics,
            resume_from=checkpoint,
            callbacks=[callbacks.AfterEachLog(tracking.notify)],
            saved=kept,
            finds_batch=recipe.training.auto_find_batch_size,
            beside=usage,
            lr_decay=recipe.training.layerwise_lr_decay,
        )
        if outcome.signal:
            raise Interrupted(
                f"Training was stopped by a signal after step {outcome.steps}; a checkpoint is in {run.checkpoints}.",
                f"Go on with: s140 train --output-dir {shlex.quote(str(run.path))} --resume",
                outcome.signal,
            )
        training = as_training(outcome, usage)
        if processes.is_main_process:
            modeling.save(model, tokenizer, run.model)
            write_json(run.environment, started | {"training": training})
            tracking.flush()  # the card tells where the run is tracked
            scoring.score_run(run.path, prepared, lean=lean)
            published = publishing.publish(run.path, push_to) if push_to else None
        processes.wait_for_everyone()
    if not processes.is_main_process:
        return {}
    return _result(run, published) | {"checkpoints": uploads.state() if uploads else None}


def _finished(run: RunDir, push_to: publishing.Destination | None) -> dict[str, Any]:
    """Does what may have been left of a finished run: telling its trackers, publishing it."""
    with run_lock.held(run.path, "publishing"), tracks.going_on(run):
        published = publishing.publish(run.path, push_to) if push_to else None
    return _result(run, published) | {"checkpoints": None}


def _result(run: RunDir, published: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "run": str(run.path),
        "model": str(run.model),
        "training": run.read(run.environment)["training"],
        "metrics": run.read(run.metrics),
        "published": published,
        "tracked": tracks.track(run.path),
    }


def beginning(
    recipe: Recipe, precision: Precision, processes: int, arguments_given: list[str] | None
) -> dict[str, Any]:
    """``environment.json`` of a training that begins now, without the part ``training``."""
    from sentiment140_bert import environment
    from sentiment140_bert.training import arguments

    return {
        **environment.describe(),
        "precision": dataclasses.asdict(precision),
        "processes": processes,
        "base_model": _base_model(recipe),
        "unusual_arguments": arguments.unusual(recipe.training),
        "command": concealed(shlex.join(["s140", *public_arguments(arguments_given)])) if arguments_given else None,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def as_training(outcome: Outcome, usage: Usage) -> dict[str, Any]:
    """The part ``training`` of ``environment.json``."""
    share = outcome.share
    batch = {"tweets": share.tweets, "per_device": share.per_device, "accumulated": share.accumulated}
    told = {key: value for key, value in dataclasses.asdict(outcome).items() if key not in ("signal", "share")}
    return told | {"batch": batch, "usage": usage.summary()}


def _base_model(recipe: Recipe) -> dict[str, Any]:
    """Name and commit of what is fine-tuned; ``on_hub`` where others find it by that name."""
    from sentiment140_bert import modeling

    name = recipe.model.model_name_or_path
    commit = modeling.commit_of(name, recipe.model.model_revision)
    return {"name": without_folders(name), "revision": commit, "on_hub": modeling.is_hub_id(name)}


def write_beginning(run: RunDir, recipe: Recipe, report: dict[str, Any], environment: dict[str, Any]) -> None:
    """``data.json``, ``environment.json`` and recipe: from now on the folder is a run."""
    write_json(run.data, report)
    write_json(run.environment, environment)
    write_text(run.recipe, recipe.to_yaml())  # last: from now on it is a run
