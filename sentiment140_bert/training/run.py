"""``s140 train``."""

from __future__ import annotations

import dataclasses
import logging
import shlex
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment140_bert import run_lock
from sentiment140_bert.cards import model_folder
from sentiment140_bert.credentials import concealed
from sentiment140_bert.data import pinning, preparing
from sentiment140_bert.data.corpora import describe
from sentiment140_bert.errors import Interrupted
from sentiment140_bert.evaluation import scoring
from sentiment140_bert.publishing import publishing
from sentiment140_bert.recipe import Recipe
from sentiment140_bert.run_dir import RunDir, full_disk_explained, write_json, write_text
from sentiment140_bert.runs import public_arguments, without_folders
from sentiment140_bert.tracking import tracks
from sentiment140_bert.training import checkpoint_uploads, claiming, remote_checkpoints, volumes

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
            return _finished(run, recipe, push_to)
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
            here = claiming.claim(run, recipe, resume, overwrite)
            tracks.names_for(run, recipe, here)  # says what is missing before there is work to be lost
            if not (here and run.is_finished()):
                remote = remote_checkpoints.opened(run, recipe, resume, overwrite)
            if push_to:
                publishing.ready(push_to)
        else:
            log.setLevel(logging.WARNING)
        processes.wait_for_everyone()
        resume = run.is_run() and not overwrite
        if resume and run.is_finished():
            return _finished(run, recipe, push_to) if processes.is_main_process else {}
        job = Job(run, recipe, precision, settings, processes, remote, push_to, arguments_given, saved, lean)
        with full_disk_explained(run.path):
            return _trained(job, resume, data)


@dataclass(frozen=True)
class Job:
    """What :func:`train` was asked for, in a folder that is ours; ``remote`` is the repository of its checkpoints."""

    run: RunDir
    recipe: Recipe
    precision: Precision
    settings: TrainingArguments
    processes: PartialState
    remote: remote_checkpoints.RemoteRun | None
    push_to: publishing.Destination | None
    arguments_given: list[str] | None
    saved: Callable[[], None] | None
    lean: bool


def _trained(job: Job, resume: bool, data: preparing.Data | None) -> dict[str, Any]:
    """Prepares, begins or goes on, trains, scores and publishes."""
    from sentiment140_bert import models
    from sentiment140_bert.evaluation.metrics import trainer_metrics
    from sentiment140_bert.machine.usage import Usage
    from sentiment140_bert.tracking import tracked
    from sentiment140_bert.training import callbacks, checkpoints, trainer

    run, recipe, processes = job.run, job.recipe, job.processes
    exact, (prepared, tokens, tokenizer), resume = _at_hand(job, resume, data)
    trackers = tracks.names_for(run, recipe, resume) if processes.is_main_process else []
    log.info("precision: %s (%s)", job.precision.name, job.precision.why)
    checkpoint = checkpoints.newest_whole(run.checkpoints) if resume else None
    if resume:
        log.info("resume: %s", f"from {checkpoint.name}" if checkpoint else "no whole checkpoint yet, starting anew")
    name, revision = exact.model.model_name_or_path, exact.model.model_revision
    model = models.load_encoder(name, revision, exact.training.seed, exact.model.dropouts())
    started = _begun(job, exact, tokens.report, resume, checkpoint)
    usage = Usage()
    uploads = checkpoint_uploads.Uploads(job.remote.repo, run, recipe) if job.remote else None
    published = None
    with (
        checkpoint_uploads.kept_up(uploads, job.saved) as kept,
        tracked(trackers, lambda: tracks.story_of(run, recipe, live=True)) as tracking,
    ):
        outcome = trainer.train(
            model,
            tokenizer,
            tokens.splits(),
            job.settings,
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
            raise _interrupted(run, outcome.steps, outcome.signal, processes.is_main_process)
        if processes.is_main_process:
            models.save(model, tokenizer, run.model)
            write_json(run.environment, started | {"training": as_training(outcome, usage)})
            tracking.flush()  # the card tells where the run is tracked
            scoring.score_run(run.path, prepared, lean=job.lean)
            published = publishing.publish(run.path, job.push_to) if job.push_to else None
        processes.wait_for_everyone()
    if not processes.is_main_process:
        return {}
    return _result(run, published) | {"checkpoints": uploads.state() if uploads else None}


def _at_hand(job: Job, resume: bool, data: preparing.Data | None) -> tuple[Recipe, preparing.Data, bool]:
    """The recipe with one commit of its base model, what it is prepared to, and whether a run is gone on with: one that
    is here, or one that the repository of its checkpoints keeps and that is brought here."""
    from sentiment140_bert.training import arguments

    with job.processes.main_process_first():
        exact = pinning.at_one_commit(job.recipe, job.run if resume else None, data)
        found = data or preparing.tokenized(exact)
    brought = job.remote.bring(found[1].report, resume) if job.remote else False
    if arguments.as_in_main_process(job.processes, brought):
        resume = True
        with job.processes.main_process_first():  # it may have begun with another commit of the base model
            exact = pinning.at_one_commit(job.recipe, job.run, data)
            found = data or preparing.tokenized(exact)
    return exact, found, resume


def _begun(job: Job, exact: Recipe, report: dict[str, Any], resume: bool, checkpoint: Path | None) -> dict[str, Any]:
    """``environment.json`` without the part ``training``: written, as is all else that makes the folder a run."""
    started = beginning(exact, job.precision, job.processes.num_processes, job.arguments_given)
    if resume:
        claiming.same_data(job.run, report)
        if job.remote:
            job.remote.remember()
        started = going_on(job.run, started) if checkpoint else started
        if job.processes.is_main_process:
            publishing.save_description(job.run, job.recipe.card)
            write_json(job.run.environment, started)
    elif job.processes.is_main_process:
        if job.run.is_run():
            job.run.clear()
        write_beginning(job.run, job.recipe, report, started)
    if job.processes.is_main_process:
        shutil.rmtree(job.run.fetched, ignore_errors=True)  # of a fetch that was cut off, and is not needed any more
    job.processes.wait_for_everyone()
    return started


def _interrupted(run: RunDir, step: int, signal: int, is_main: bool) -> Interrupted:
    from sentiment140_bert.training import checkpoints

    what = ""
    if is_main:  # the others do not wait until it has sealed what was kept; nothing, if the signal came after all that
        kept = checkpoints.whole_ones(run.checkpoints)
        what = f"; {kept[-1].name} is in {run.checkpoints}" if kept else "; no checkpoint was written"
    return Interrupted(
        f"Training was stopped by a signal after step {step}{what}.",
        f"Go on with: s140 train --output-dir {shlex.quote(str(run.path))} --resume",
        signal,
    )


def _finished(run: RunDir, recipe: Recipe, push_to: publishing.Destination | None) -> dict[str, Any]:
    """Do what may have been left of a finished run: describing its tweets, telling its trackers, publishing it."""
    with run_lock.held(run.path, "publishing"), tracks.going_on(run):
        if publishing.save_description(run, recipe.card):
            model_folder.complete(run, run.read(run.metrics))
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
    from sentiment140_bert.training import arguments, environment

    return {
        **environment.describe(),
        "precision": dataclasses.asdict(precision),
        "processes": processes,
        "base_model": _base_model(recipe),
        "unusual_arguments": arguments.unusual(recipe.training),
        "command": concealed(shlex.join(["s140", *public_arguments(arguments_given)])) if arguments_given else None,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def going_on(run: RunDir, now: dict[str, Any]) -> dict[str, Any]:
    """``environment.json`` of a run that is gone on with: as when it began; ``changed`` says what has not stayed so.

    Args:
        run: One that has begun.
        now: What :func:`beginning` would say of it now.
    """
    from sentiment140_bert.training import environment

    begun: dict[str, Any] = run.read(run.environment)
    known, changed = begun.get("changed", []), environment.changes(begun, now)
    if changed:
        log.info(
            "resume: not with the means it was begun with, so that last digits may differ (%s)", "; ".join(changed)
        )
    return begun | ({"changed": list(dict.fromkeys([*known, *changed]))} if known or changed else {})


def as_training(outcome: Outcome, usage: Usage) -> dict[str, Any]:
    """The part ``training`` of ``environment.json``."""
    share = outcome.share
    batch = {"tweets": share.tweets, "per_device": share.per_device, "accumulated": share.accumulated}
    told = {key: value for key, value in dataclasses.asdict(outcome).items() if key not in ("signal", "share")}
    return told | {"batch": batch, "usage": usage.summary()}


def _base_model(recipe: Recipe) -> dict[str, Any]:
    """Name and commit of what is fine-tuned; ``on_hub`` where others find it by that name."""
    from sentiment140_bert import models

    name = recipe.model.model_name_or_path
    commit = models.commit_of(name, recipe.model.model_revision)
    return {"name": without_folders(name), "revision": commit, "on_hub": models.is_hub_id(name)}


def write_beginning(run: RunDir, recipe: Recipe, report: dict[str, Any], environment: dict[str, Any]) -> None:
    """``data.json``, ``environment.json`` and recipe: from now on the folder is a run."""
    write_json(run.data, describe(report, recipe.card))
    write_json(run.environment, environment)
    write_text(run.recipe, recipe.to_yaml())  # last: from now on it is a run
