"""``s140 train``."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sentiment140_bert import schemas
from sentiment140_bert.cards.model import save_description, write_model_folder
from sentiment140_bert.data import loading
from sentiment140_bert.evaluation.run import score_run
from sentiment140_bert.files import Place, write_json
from sentiment140_bert.full_disk import explain_full_disk
from sentiment140_bert.locks import expand_folder, lock_folder
from sentiment140_bert.machine.carbon import Carbon, check_country
from sentiment140_bert.machine.facts import is_first_process
from sentiment140_bert.publishing.destination import Destination, check_access
from sentiment140_bert.publishing.publish import publish_run
from sentiment140_bert.recipe import Recipe, RecipeName, as_recipe
from sentiment140_bert.results import PushResult, TrainResult
from sentiment140_bert.run import RunDir
from sentiment140_bert.tracking import open_trackers, tracks
from sentiment140_bert.training import ancestors, arguments, checkpoint_uploads, output_dir, remote_run, volumes
from sentiment140_bert.training import environment as environments
from sentiment140_bert.training.distillation import Distillation, ask_teacher, check_same_teacher

if TYPE_CHECKING:
    from accelerate import PartialState
    from transformers import TrainingArguments

    from sentiment140_bert.data.cache import Prepared
    from sentiment140_bert.data.leakage import Hashes
    from sentiment140_bert.tracking import Tracking

log = logging.getLogger(__name__)


def train(
    recipe: RecipeName,
    output_dir: Place,
    *,
    resume: bool = False,
    overwrite: bool = False,
    push_to: Destination | None = None,
    arguments_given: list[str] | None = None,
    on_checkpoint: Callable[[], None] | None = None,
    data: loading.PreparedData | None = None,
    scores_only: bool = False,
) -> TrainResult:
    """Fine-tune a model, keep the best weights, score them, write the run directory, and return what is in it.

    Args:
        recipe: Every setting of the run; or a packaged name, or a file.
        output_dir: The run directory. An unfinished run of the same recipe resumes; a finished one is only published.
        resume: Raise if there is no unfinished run.
        overwrite: Remove an earlier run first.
        push_to: Where to publish the finished run; the login is checked before training begins.
        arguments_given: The words after ``s140`` on the command line, for the card.
        on_checkpoint: Called in the main process after each checkpoint, from a thread, one call at a time.
        data: The prepared tweets, if the caller has them.
        scores_only: Write no figures and no card.

    Raises:
        Interrupted: A signal stopped training; a checkpoint was written.
        S140Error: Output folder, recipe, data, model, hardware or disk are unusable.
    """
    from sentiment140_bert import models
    from sentiment140_bert.training import checkpoints

    request = Request(as_recipe(recipe), resume, overwrite, push_to, arguments_given, on_checkpoint, data, scores_only)
    run = RunDir(expand_folder(output_dir, "output_dir"))
    if volumes.is_volume(run.path):
        return _train_on_volume(run, request)
    with open_job(run, request) as job:
        if job.resumes and run.is_finished():
            return finish_run(run, request) if job.is_main else TrainResult(run.path, is_main=False)
        start = load_data_and_resume_state(job)
        labels = schemas.count_labels(start.prepared.report)
        model = models.load_base_model(start.recipe.model, start.recipe.training.seed, labels)
        environment = write_run_metadata(job, start)
        with upload_checkpoints(job) as uploads, report_to_trackers(job, start) as tracking:
            fit(job, start, model, environment, uploads, tracking)
            published = score_and_publish(job, start, tracking)
        if job.is_main:
            checkpoints.remove_unneeded(run, request.recipe)
        return describe_result(run, published, uploads) if job.is_main else TrainResult(run.path, is_main=False)


@dataclass(frozen=True)
class Request:
    """The arguments of :func:`train`, its output folder aside."""

    recipe: Recipe
    resume: bool
    overwrite: bool
    push_to: Destination | None
    arguments_given: list[str] | None
    on_checkpoint: Callable[[], None] | None
    data: loading.PreparedData | None
    scores_only: bool


@dataclass(frozen=True)
class Job:
    """A training in a run directory that this process holds.

    ``remote`` is the run in the repository of checkpoints, in the main process and if the recipe names one;
    ``resumes`` is True if the run directory holds a run of this recipe.
    """

    run: RunDir
    request: Request
    precision: arguments.Precision
    settings: TrainingArguments
    processes: PartialState
    remote: remote_run.RemoteRun | None
    resumes: bool

    @property
    def recipe(self) -> Recipe:
        """The recipe as it was given."""
        return self.request.recipe

    @property
    def is_main(self) -> bool:
        """True in the one process that writes."""
        return bool(self.processes.is_main_process)


@dataclass(frozen=True)
class Start:
    """The splits that a training starts with, their tokens, and the checkpoint that it resumes from.

    ``recipe`` has the commits of its base model and teacher; ``checkpoint`` may be None although a run is there to
    resume; ``seen`` are the hashes of the texts that base model and teacher were trained on.
    """

    recipe: Recipe
    prepared: Prepared
    tokens: Prepared
    tokenizer: Any
    resumes: bool
    checkpoint: Path | None
    distillation: Distillation | None
    seen: Hashes


def _train_on_volume(run: RunDir, request: Request) -> TrainResult:
    """Train on the local disk, and copy the run to its place on a mounted object store."""
    output_dir.refuse_foreign_files(run)
    with lock_folder(run.path, "training", create=True) if is_first_process() else nullcontext():
        resume = output_dir.resolve_output_dir(run, request.recipe, request.resume, request.overwrite)
        if resume and run.is_finished():
            return finish_run(run, request) if is_first_process() else TrainResult(run.path, is_main=False)

        def train_locally(path: Path, copy: Callable[[], None]) -> TrainResult:
            def on_checkpoint() -> None:
                copy()
                if request.on_checkpoint:
                    request.on_checkpoint()

            return train(output_dir=path, **vars(replace(request, resume=resume, on_checkpoint=on_checkpoint)))

        return volumes.train_on_local_disk(train_locally, run, resume)


@contextmanager
def open_job(run: RunDir, request: Request) -> Iterator[Job]:
    """Choose precision and processes, hold the run directory, and check trackers, Hub and login before training."""
    recipe = request.recipe
    output_dir.refuse_foreign_files(run)
    precision = arguments.choose_precision(recipe.training)
    settings = arguments.training_arguments(recipe.training, precision, run.checkpoints)
    processes = arguments.set_up_processes(settings)
    remote, resumes = None, False
    with ExitStack() as stack:
        if processes.is_main_process:
            stack.enter_context(lock_folder(run.path, "training", create=True))
            resumes = output_dir.resolve_output_dir(run, recipe, request.resume, request.overwrite)
            tracks.choose_trackers(run, recipe, resumes)
            check_country(recipe.tracking.carbon_country)
            if not (resumes and run.is_finished()):
                remote = remote_run.open_remote_run(run, recipe, request.resume, request.overwrite)
            if request.push_to:
                check_access(request.push_to)
        else:
            log.setLevel(logging.WARNING)
        resumes = arguments.share_value(processes, resumes)
        stack.enter_context(explain_full_disk(run.path))
        yield Job(run, request, precision, settings, processes, remote, resumes)


def load_data_and_resume_state(job: Job) -> Start:
    """Prepare the recipe's tweets, and find the checkpoint to resume from, here or on the Hub."""
    from sentiment140_bert.training import checkpoints

    recipe, data = _prepare(job, job.resumes)
    is_fetched = job.remote.fetch(data[1].report, job.resumes) if job.remote else False
    if is_fetched := arguments.share_value(job.processes, is_fetched):
        recipe, data = _prepare(job, True)  # the run may have started with other commits of its models
    resumes = job.resumes or is_fetched
    log.info("precision: %s (%s)", job.precision.name, job.precision.why)
    checkpoint = checkpoints.newest_complete(job.run.checkpoints) if resumes else None
    if resumes:
        log.info("resume: %s", f"from {checkpoint.name}" if checkpoint else "no complete checkpoint, from step 0")
    seen = ancestors.refuse_leakage(recipe.model, data.splits)
    return Start(recipe, *data, resumes, checkpoint, ask_teacher(recipe.model, data.splits), seen)


def _prepare(job: Job, resumes: bool) -> tuple[Recipe, loading.PreparedData]:
    with job.processes.main_process_first():
        recipe = ancestors.pin_models(job.recipe, job.run if resumes else None, job.request.data)
        return recipe, job.request.data or loading.load_data(recipe)


def write_run_metadata(job: Job, start: Start) -> schemas.StartedEnvironment:
    """Write the files that make the folder a run; return ``environment.json`` without the part ``training``.

    Raises:
        RunError: The run to resume was started on other tweets.
    """
    from sentiment140_bert.training import checkpoints

    run, report = job.run, start.tokens.report
    environment = environments.describe_environment(
        start.recipe, job.precision, job.processes.num_processes, job.request.arguments_given
    )
    if start.distillation:
        environment["teacher"] = start.distillation.teacher
    if start.resumes:
        output_dir.check_same_data(run, report)
        check_same_teacher(run, environment)
        if job.remote:
            job.remote.remember()
        if start.checkpoint:
            environment = environments.resume_environment(run, environment)
    if job.is_main:
        if start.resumes:
            checkpoints.note_if_kept(run, job.recipe)
            save_description(run, job.recipe.card)
            write_json(run.environment, environment)
        else:
            if run.is_run():
                run.clear()
            environments.start_run(run, job.recipe, report, environment)
        shutil.rmtree(run.fetched, ignore_errors=True)  # left by a fetch that was cut off
    job.processes.wait_for_everyone()
    return environment


def upload_checkpoints(job: Job) -> AbstractContextManager[checkpoint_uploads.CheckpointUploads | None]:
    """Upload checkpoints as long as the block lasts, if the recipe names a repository for them."""
    if job.remote is None:
        return nullcontext()
    return checkpoint_uploads.CheckpointUploads(job.remote.repo, job.run, job.recipe).open()


def report_to_trackers(job: Job, start: Start) -> AbstractContextManager[Tracking]:
    """Track the run as long as the block lasts; only the main process does."""
    names = tracks.choose_trackers(job.run, job.recipe, start.resumes) if job.is_main else []
    is_part = job.request.data is not None
    return open_trackers(names, lambda: tracks.describe_tracked_run(job.run, job.recipe, live=True, is_part=is_part))


def fit(
    job: Job,
    start: Start,
    model: Any,
    environment: schemas.StartedEnvironment,
    uploads: checkpoint_uploads.CheckpointUploads | None,
    tracking: Tracking,
) -> None:
    """Fine-tune ``model``, and write it and the complete ``environment.json``.

    Raises:
        Interrupted: A signal stopped training.
    """
    from sentiment140_bert import models
    from sentiment140_bert.data import leakage
    from sentiment140_bert.evaluation.metrics import compute_trainer_metrics
    from sentiment140_bert.machine.usage import Usage
    from sentiment140_bert.training import callbacks, trainer

    def on_checkpoint() -> None:
        for call in (carbon.save, uploads and uploads.add_newest, job.request.on_checkpoint):
            if call:
                call()

    country, monitor = job.recipe.tracking.carbon_country if job.is_main else None, Usage()
    with Carbon(country, environment, lambda: write_json(job.run.environment, environment)) as carbon:
        outcome = trainer.train(
            model,
            start.tokenizer,
            start.tokens.splits(),
            arguments.keep_step_size(job.settings, environment["processes"]),
            history=job.run.history,
            compute_metrics=compute_trainer_metrics,
            resume_from=start.checkpoint,
            callbacks=[callbacks.LogNotifier(tracking.notify)],
            on_checkpoint=on_checkpoint,
            finds_batch=job.recipe.training.auto_find_batch_size,
            monitor=monitor,
            lr_decay=job.recipe.training.layerwise_lr_decay,
            patience=job.recipe.training.early_stopping_patience,
            distillation=start.distillation,
        )
    if outcome.signal:
        raise output_dir.build_interruption(job.run, outcome.steps, outcome.signal, job.is_main, job.request.push_to)
    if job.is_main:
        models.save_model(model, start.tokenizer, job.run.model)
        trained_on = leakage.hash_texts(start.prepared.table("train")["text"])
        leakage.write_hashes(job.run.training_rows, np.union1d(trained_on, start.seen))
        training = environments.describe_training(outcome, monitor)
        write_json(job.run.environment, {**environment, "training": training})


def score_and_publish(job: Job, start: Start, tracking: Tracking) -> PushResult | None:
    """Score the saved model, which finishes the run, and publish it if that was asked for; the main process does."""
    published = None
    if job.is_main:
        job.run.remember()
        tracking.flush()  # the card names the tracked run
        score_run(job.run.path, start.prepared, scores_only=job.request.scores_only)
        push_to = job.request.push_to
        published = publish_run(job.run.path, push_to) if push_to else None
    job.processes.wait_for_everyone()
    return published


def finish_run(run: RunDir, request: Request) -> TrainResult:
    """Complete a finished run: remove its checkpoints, describe its tweets, sync its trackers, publish it."""
    from sentiment140_bert.training import checkpoints

    with lock_folder(run.path, "publishing"), tracks.resume_tracking(run):
        checkpoints.remove_unneeded(run, request.recipe)
        if not run.is_own():
            output_dir.remember_if_same_data(run, request.recipe, request.data)
        if save_description(run, request.recipe.card):
            write_model_folder(run, run.read_metrics())
        published = publish_run(run.path, request.push_to) if request.push_to else None
    return describe_result(run, published)


def describe_result(
    run: RunDir, published: PushResult | None, uploads: checkpoint_uploads.CheckpointUploads | None = None
) -> TrainResult:
    """Return the result of :func:`train`."""
    return TrainResult(run.path, published, tracks.track(run.path), uploads.state() if uploads else None)
