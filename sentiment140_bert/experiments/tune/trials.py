"""The trials of a tuning: each a training that sees training and validation tweets, and nothing else."""

from __future__ import annotations

import logging
import math
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment140_bert.data import loading
from sentiment140_bert.errors import Diverged, HardwareError, Interrupted, RunError, diverged
from sentiment140_bert.experiments import series
from sentiment140_bert.files import explain_full_disk, write_json
from sentiment140_bert.locks import lock_folder
from sentiment140_bert.recipe import Recipe, list_differences
from sentiment140_bert.run import RunDir, saved_recipe
from sentiment140_bert.tracking import tracks
from sentiment140_bert.training.environment import (
    describe_environment,
    describe_training,
    resume_environment,
    start_run,
)

if TYPE_CHECKING:
    from datasets import Dataset

    from sentiment140_bert.experiments.tune.progress import Progress
    from sentiment140_bert.experiments.tune.study import Claim

log = logging.getLogger(__name__)
GO_ON = "Finished trials are kept; go on with the same command."


@dataclass(frozen=True)
class Material:
    """What trials are made of. The test and manual tweets are not among it: no trial can look at them.

    Args:
        train: Tokens and labels, at the greatest length that is tried.
        validation: Likewise.
        tokenizer: By which they were made.
        report: ``data.json`` of the preparation.
    """

    train: Dataset
    validation: Dataset
    tokenizer: Any
    report: dict[str, Any]
    cut: dict[int, dict[str, Dataset]] = field(default_factory=dict)

    def of_length(self, max_length: int) -> dict[str, Dataset]:
        """Both splits as they would be tokenized with that ``max_length``; the last ones are kept."""
        from sentiment140_bert.data.tokenize import count_closing_tokens, truncate_tokens

        if max_length not in self.cut:
            behind = count_closing_tokens(self.tokenizer)
            parts = {"train": self.train, "validation": self.validation}
            self.cut.clear()
            self.cut[max_length] = {name: truncate_tokens(part, max_length, behind) for name, part in parts.items()}
        return self.cut[max_length]


def material(recipe: Recipe, max_length: int) -> Material:
    """Prepares a recipe's tweets, once, and opens training and validation.

    Args:
        recipe: Of the study.
        max_length: The greatest that is tried.
    """
    _, tokens, tokenizer = loading.load_data(recipe.with_values({"max_length": max_length}))
    return Material(tokens.split("train"), tokens.split("validation"), tokenizer, tokens.report)


def metric_of(recipe: Recipe) -> str:
    """What a trial is judged by, as the Trainer names it."""
    return f"eval_{recipe.training.metric_for_best_model.removeprefix('eval_')}"


def direction_of(recipe: Recipe) -> str:
    """Whether more of it is better: ``maximize`` or ``minimize``."""
    return "minimize" if metric_of(recipe).endswith("loss") else "maximize"


def recipe_of(recipe: Recipe, values: dict[str, Any], names: dict[str, Any] | None = None) -> Recipe:
    """The recipe of a study with the values of a trial, and without ranges.

    Args:
        recipe: Of the study.
        values: By the names of the settings.
        names: Of its tracked run.
    """
    return recipe.model_copy(update={"tuning": {}}).with_values(values | (names or {}), "a trial")


def attempt(
    claim: Claim,
    recipe: Recipe,
    material: Material,
    run: RunDir,
    progress: Progress,
    arguments_given: list[str] | None,
) -> None:
    """Trains one trial, or goes on with it, and tells the study how it ended.

    Args:
        claim: The trial.
        recipe: Its own.
        material: Of all trials.
        run: Where its checkpoints and history go.
        progress: Is told how far it is.
        arguments_given: What followed ``s140`` on the command line.

    Raises:
        Interrupted: A signal stopped it; the trial is left to whoever comes next, with a checkpoint.
        S140Error: The trial cannot be trained for a reason that lies not in its values.
    """
    with lock_folder(run.path, "training a trial", create=True), explain_full_disk(run.path):
        try:
            score = _trained(claim, recipe, material, run, progress, arguments_given)
        except (HardwareError, Diverged) as error:
            claim.fail(error.message)
            progress.failed(claim.number, error.message)
        else:
            if score is None:
                claim.prune()
                progress.pruned(claim.number)
            else:
                claim.finish(score)
                progress.finished(claim.number, score)
        finally:
            series.free_memory()
        shutil.rmtree(run.checkpoints, ignore_errors=True)


def left_in(run: RunDir, recipe: Recipe, fingerprint: str) -> Path | None:
    """The checkpoint that this very trial has left; another study, whose store is gone, may have left one, too."""
    from sentiment140_bert.training.checkpoints import newest_complete

    if not run.is_run() or list_differences(saved_recipe(run.path), recipe):
        return None
    return newest_complete(run.checkpoints) if run.read(run.data)["fingerprint"] == fingerprint else None


def _trained(
    claim: Claim,
    recipe: Recipe,
    material: Material,
    run: RunDir,
    progress: Progress,
    arguments_given: list[str] | None,
) -> float | None:
    """The score of the weights that the recipe would keep; None of a trial that was ended early."""
    from sentiment140_bert import models
    from sentiment140_bert.evaluation.metrics import compute_trainer_metrics
    from sentiment140_bert.machine.usage import Usage
    from sentiment140_bert.tracking import open_trackers
    from sentiment140_bert.training import arguments, callbacks, trainer

    precision = arguments.choose_precision(recipe.training)
    settings = arguments.training_arguments(recipe.training, precision, run.checkpoints)
    checkpoint = left_in(run, recipe, material.report["fingerprint"]) if claim.begun_before else None
    started = describe_environment(recipe, precision, 1, arguments_given)
    if checkpoint:
        started = resume_environment(run, started)
        write_json(run.environment, started)
    else:
        run.clear()
        start_run(run, recipe, material.report, started)
    name, revision = recipe.model.model_name_or_path, recipe.model.model_revision
    model = models.load_encoder(name, revision, recipe.training.seed, recipe.model.dropouts())
    if checkpoint:
        log.info("tune: going on from %s", checkpoint.name)

    def report(number: int, value: float) -> bool:
        progress.evaluated(number, value)
        return claim.report(number, value)

    reported = callbacks.EvaluationReporter(metric_of(recipe), report, claim.known, progress.advance)
    usage = Usage()
    names = tracks.choose_trackers(run, recipe, resume=checkpoint is not None)
    with open_trackers(names, lambda: tracks.describe_tracked_run(run, recipe, live=True)) as tracking:
        outcome = trainer.train(
            model,
            material.tokenizer,
            material.of_length(recipe.data.max_length),
            settings,
            history=run.history,
            compute_metrics=compute_trainer_metrics,
            resume_from=checkpoint,
            callbacks=[reported, callbacks.LogNotifier(tracking.notify)],
            finds_batch=recipe.training.auto_find_batch_size,
            monitor=usage,
            shown=False,
            lr_decay=recipe.training.layerwise_lr_decay,
        )
        if outcome.signal:
            message = f"Trial {claim.number} was stopped by a signal after step {outcome.steps}."
            raise Interrupted(message, GO_ON, outcome.signal)
        write_json(run.environment, started | {"training": describe_training(outcome, usage)})
    return None if reported.stopped else _score(recipe, list(reported.values.values()))


def _score(recipe: Recipe, scores: list[float]) -> float:
    if not scores:
        raise RunError("The training ended before its first evaluation.", "Lower --eval-steps.")
    best = max(scores) if direction_of(recipe) == "maximize" else min(scores)
    score = best if recipe.training.load_best_model_at_end else scores[-1]
    if not math.isfinite(score):
        raise diverged("its score is no number")
    return score
