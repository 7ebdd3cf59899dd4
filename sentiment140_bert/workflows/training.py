"""``s140 train``."""

from __future__ import annotations

import dataclasses
import logging
import shlex
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment140_bert.errors import Interrupted, RunError
from sentiment140_bert.recipe import Recipe
from sentiment140_bert.run_dir import RunDir, write_json, write_text
from sentiment140_bert.workflows import (
    checkpoint_uploads,
    preparing,
    publishing,
    remote_checkpoints,
    scoring,
    tracks,
    volumes,
)
from sentiment140_bert.workflows.runs import differences, public_arguments, saved_recipe, without_folders

if TYPE_CHECKING:
    from sentiment140_bert.machine.usage import Usage
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
        output_dir: The run directory.
        resume: Go on from the newest whole checkpoint of an unfinished run.
        overwrite: Remove an earlier run in ``output_dir`` first.
        push_to: Where to publish the run once it is finished; the login is checked before training begins.
        arguments_given: What followed ``s140`` on the command line, to be told in the card.
        saved: Is called in the main process after each checkpoint, which is whole then; training waits for it.
        data: What the recipe would be prepared to, if it is at hand.
        lean: Scores alone: no figures and no card, for a model that is not to be kept.

    Returns:
        ``run``, ``model``, ``metrics`` (as in ``metrics.json``), ``training`` (steps, seconds, tweets per
        second, …), ``published`` (None without ``push_to``), ``tracked`` and ``checkpoints`` (on the Hub; None without
        ``checkpoint_repo_id``); nothing in processes other than the main one.

    Raises:
        RunError: ``output_dir`` holds a run (and neither flag is given), a different one, or something else.
        Interrupted: A signal stopped training; a checkpoint was written.
        S140Error: Data, model, recipe or hardware are not as they should be.
    """
    if volumes.is_volume(output_dir):
        _claim(RunDir(output_dir), recipe, resume, overwrite)
        more: dict[str, Any] = {"push_to": push_to, "arguments_given": arguments_given, "data": data, "lean": lean}
        return volumes.train_beside(train, recipe, output_dir, resume=resume, overwrite=overwrite, **more)
    from sentiment140_bert import environment, modeling
    from sentiment140_bert.evaluation.metrics import trainer_metrics
    from sentiment140_bert.machine.usage import Usage
    from sentiment140_bert.tracking import tracked
    from sentiment140_bert.training import arguments, callbacks, trainer

    run = RunDir(output_dir)
    precision = arguments.choose_precision(recipe.training)
    settings = arguments.training_arguments(recipe.training, precision, run.checkpoints)
    processes = arguments.processes_of(settings)
    trackers: list[str] = []
    remote: remote_checkpoints.RemoteRun | None = None
    if processes.is_main_process:
        _claim(run, recipe, resume, overwrite)
        remote = remote_checkpoints.opened(run, recipe, overwrite)
        trackers = tracks.names_for(run, recipe, resume)
        if push_to:
            publishing.ready(push_to)
    else:
        log.setLevel(logging.WARNING)
    processes.wait_for_everyone()
    with processes.main_process_first():
        prepared, tokens, tokenizer = data or preparing.tokenized(recipe)
    if remote and remote.bring(tokens.report, resume):
        resume = True
        trackers = tracks.names_for(run, recipe, resume)
    resume = arguments.as_in_main_process(processes, resume)
    if resume and processes.is_main_process and not run.is_run():
        raise _nothing_to_resume(run)
    checkpoint = callbacks.newest_whole(run.checkpoints) if resume else None
    log.info("precision: %s (%s)", precision.name, precision.why)
    if resume:
        log.info("resume: %s", f"from {checkpoint.name}" if checkpoint else "no whole checkpoint yet, starting anew")
    model = modeling.load_encoder(recipe.model.model_name_or_path, recipe.model.model_revision, recipe.training.seed)
    started = {
        **environment.describe(),
        "precision": dataclasses.asdict(precision),
        "processes": processes.num_processes,
        "base_model": _base_model(recipe),
        "unusual_arguments": arguments.unusual(recipe.training),
        "command": shlex.join(["s140", *public_arguments(arguments_given)]) if arguments_given else None,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if resume:
        _same_data(run, tokens.report)
        if remote:
            remote.remember()
        started = run.read(run.environment)
    elif processes.is_main_process:
        if run.is_run():
            run.clear()
        _write_beginning(run, recipe, tokens.report, started)
    processes.wait_for_everyone()
    usage = Usage()
    uploads = checkpoint_uploads.Uploads(remote.repo, run, recipe) if remote else None
    with (
        checkpoint_uploads.kept_up(uploads) as kept,
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
            callbacks=[callbacks.Afterwards(tracking.notify, kept, saved)],
            finds_batch=recipe.training.auto_find_batch_size,
            beside=usage,
        )
        if outcome.signal:
            raise Interrupted(
                f"Training was stopped by a signal after step {outcome.steps}; a checkpoint is in {run.checkpoints}.",
                f"Go on with: s140 train --output-dir {shlex.quote(str(run.path))} --resume",
                outcome.signal,
            )
        training = _as_training(outcome, usage)
        if processes.is_main_process:
            modeling.save(model, tokenizer, run.model)
            write_json(run.environment, started | {"training": training})
            tracking.flush()  # the card tells where the run is tracked
            scoring.score_run(run.path, prepared, lean=lean)
            published = publishing.publish(run.path, push_to) if push_to else None
        processes.wait_for_everyone()
    if not processes.is_main_process:
        return {}
    return {
        "run": str(run.path),
        "model": str(run.model),
        "training": training,
        "metrics": run.read(run.metrics),
        "published": published,
        "tracked": tracks.track(run.path),
        "checkpoints": uploads.state() if uploads else None,
    }


def _as_training(outcome: Outcome, usage: Usage) -> dict[str, Any]:
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


def _claim(run: RunDir, recipe: Recipe, resume: bool, overwrite: bool) -> None:
    """Makes sure that ``run`` is ours to write: new, unfinished and to be resumed, or to be overwritten."""
    if run.path.exists() and not run.path.is_dir():
        raise RunError(f"{run.path} is a file.", "Choose another --output-dir.")
    if not run.is_run():
        if run.path.is_dir() and any(run.path.iterdir()):
            raise RunError(f"{run.path} is not empty, and no run of this tool.", "Choose another --output-dir.")
        if resume and recipe.tracking.checkpoint_repo_id is None:
            raise _nothing_to_resume(run)
        return
    if resume:
        if run.is_finished():
            raise RunError(
                f"The run in {run.path} is finished; there is nothing to resume.", "Look at it: s140 evaluate RUN."
            )
        _same_recipe(run, recipe)
    elif not overwrite:
        state = "a finished run" if run.is_finished() else "an unfinished run; --resume goes on with it"
        raise RunError(f"{run.path} holds {state}.", "Choose another --output-dir, or pass --overwrite to remove it.")


def _nothing_to_resume(run: RunDir) -> RunError:
    return RunError(f"There is no run in {run.path} to resume.", "Leave --resume away to start one.")


def _same_recipe(run: RunDir, recipe: Recipe) -> None:
    changed = differences(saved_recipe(run.path), recipe)
    if changed:
        raise RunError(
            f"{run.path} was started with another recipe: {'; '.join(changed)}.",
            "Resume it without these flags, or choose another --output-dir.",
        )


def _write_beginning(run: RunDir, recipe: Recipe, report: dict[str, Any], environment: dict[str, Any]) -> None:
    write_text(run.recipe, recipe.to_yaml())
    write_json(run.data, report)
    write_json(run.environment, environment)


def _same_data(run: RunDir, report: dict[str, Any]) -> None:
    then, now = run.read(run.data)["fingerprint"], report["fingerprint"]
    if then != now:
        raise RunError(
            f"The tweets are not those that {run.path} was started with: fingerprint {then[:12]} then, {now[:12]} now.",
            "Give the original input back, or choose another --output-dir.",
        )
