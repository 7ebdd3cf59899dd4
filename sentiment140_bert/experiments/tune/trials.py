"""The trials of a study: each is a training that sees training and validation tweets, and nothing else."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment140_bert import schemas
from sentiment140_bert.data import loading
from sentiment140_bert.errors import Diverged, HardwareError, Interrupted, RunError
from sentiment140_bert.experiments import series
from sentiment140_bert.files import write_json
from sentiment140_bert.full_disk import explain_full_disk
from sentiment140_bert.locks import lock_folder
from sentiment140_bert.progress import progress_bar
from sentiment140_bert.recipe import Recipe, list_differences
from sentiment140_bert.run import RunDir, saved_recipe
from sentiment140_bert.schemas.experiments import TrialRecord
from sentiment140_bert.tracking import tracks
from sentiment140_bert.training.ancestors import refuse_leakage
from sentiment140_bert.training.environment import (
    describe_environment,
    describe_training,
    resume_environment,
    start_run,
)

if TYPE_CHECKING:
    from datasets import Dataset

    from sentiment140_bert.experiments.tune.results import Tuning
    from sentiment140_bert.experiments.tune.study import Attempt

log = logging.getLogger(__name__)
RESUME = "Finished trials are kept; run the same command again to resume."


@dataclass(frozen=True)
class Material:
    """The tweets of all trials. It has no test and manual tweets, so no trial can look at them.

    Args:
        train: Tokens and labels, at the greatest length that is tried.
        validation: The same for the validation tweets.
        tokenizer: The tokenizer that made the tokens.
        report: ``data.json`` of the preparation.
    """

    train: Dataset
    validation: Dataset
    tokenizer: Any
    report: schemas.Data
    cut: dict[int, dict[str, Dataset]] = field(default_factory=dict)

    def cut_to(self, max_length: int) -> dict[str, Dataset]:
        """Return both splits as they would be tokenized with that ``max_length``; the last ones are kept."""
        from sentiment140_bert.data.tokenize import count_closing_tokens, truncate_tokens

        if max_length not in self.cut:
            behind = count_closing_tokens(self.tokenizer)
            splits = {"train": self.train, "validation": self.validation}
            self.cut.clear()
            self.cut[max_length] = {name: truncate_tokens(split, max_length, behind) for name, split in splits.items()}
        return self.cut[max_length]


def load_material(recipe: Recipe, max_length: int) -> Material:
    """Prepare a recipe's tweets, once, at the greatest length that is tried, and open training and validation."""
    splits, tokens, tokenizer = loading.load_data(recipe.with_values({"max_length": max_length}))
    refuse_leakage(recipe.model, splits)
    return Material(tokens.split("train"), tokens.split("validation"), tokenizer, tokens.report)


def get_metric(recipe: Recipe) -> str:
    """Return what a trial is judged by, as the Trainer names it."""
    return f"eval_{recipe.training.metric_for_best_model.removeprefix('eval_')}"


def get_direction(recipe: Recipe) -> str:
    """Return ``maximize`` or ``minimize``, by the metric."""
    return "minimize" if get_metric(recipe).endswith("loss") else "maximize"


def make_recipe(recipe: Recipe, values: Mapping[str, Any], names: Mapping[str, Any] | None = None) -> Recipe:
    """Return the recipe of a study with the values of a trial, without ranges; ``names`` are of its tracked run."""
    return recipe.model_copy(update={"tuning": {}}).with_values({**values, **(names or {})}, "a trial")


class Progress:
    """One bar for all trials with the best so far; plain lines without a terminal.

    Args:
        planned: Trials in the end.
        done: Number of trials that have ended.
        direction: maximize or minimize.
        best: The best trial so far.
    """

    def __init__(self, planned: int, done: int, direction: str, best: TrialRecord | None) -> None:
        self.planned, self.done, self.maximize = planned, done, direction == "maximize"
        self.best = (best["number"], best["value"] or 0.0) if best else None
        self.number = 0
        shape = "{desc} {percentage:3.0f}%|{bar}| {remaining} left{postfix}"
        self.bar = progress_bar("tune", planned, initial=done, bar_format=shape, leave=False)

    def begin(self, attempt: Attempt) -> None:
        """Show which trial begins, or is resumed."""
        self.number = attempt.number
        again = " (resumed)" if attempt.is_retry else ""
        values = ", ".join(f"{name} {shorten(value)}" for name, value in attempt.values.items())
        self.advance(0.0)
        self.say(f"trial {self.number} ({self.done + 1} of {self.planned}){again}: {values}")

    def advance(self, share: float) -> None:
        """Show how much of the trial is done."""
        if not self.bar.disable:
            best = f", best {self.best[1]:.4f}" if self.best else ""
            text = f"{self.done} of {self.planned} done, trial {self.number} at {share:.0%}{best}"
            self.bar.set_postfix_str(text, refresh=False)
            self.bar.update(max(0.0, self.done + share - self.bar.n))

    def end(self, how: str, score: float | None = None) -> None:
        """Show how the trial ended; ``score`` is that of a complete one."""
        is_best = score is not None and (
            self.best is None or (score > self.best[1] if self.maximize else score < self.best[1])
        )
        if is_best and score is not None:
            self.best = self.number, score
        self.done += 1
        self.say(f"trial {self.number}{how}{', the best so far' if is_best else self._describe_best()}")

    def say(self, line: str) -> None:
        """Log a line above the bar."""
        self.bar.clear()
        log.info("tune: %s", line)
        self.bar.refresh()

    def _describe_best(self) -> str:
        return f" (best so far: {self.best[1]:.4f}, trial {self.best[0]})" if self.best else ""


def shorten(value: Any) -> str:
    """Return a value with as many digits as people need."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def run_trial(tuning: Tuning, attempt: Attempt, progress: Progress) -> float:
    """Train one trial, or resume it from its checkpoint, and return its score.

    Args:
        tuning: The study, whose folder gets the run of the trial.
        attempt: The trial.
        progress: Shows how far it is.

    Raises:
        optuna.TrialPruned: It was ended early.
        HardwareError, Diverged: Its values do not work.
        Interrupted: A signal stopped it; a checkpoint is left for the next attempt.
        S140Error: It cannot be trained for a reason that is not in its values.
    """
    from optuna import TrialPruned

    from sentiment140_bert.training.checkpoints import remove_checkpoints

    progress.begin(attempt)
    run = tuning.home.trial(attempt.number)
    with lock_folder(run.path, "training a trial", create=True), explain_full_disk(run.path):
        try:
            score = _train(tuning, attempt, progress, run)
            progress.end(": stopped early, its scores are too low" if score is None else f": {score:.4f}", score)
        except (HardwareError, Diverged) as error:
            progress.end(f" failed: {error.message}")
            remove_checkpoints(run)
            raise
        finally:
            series.free_memory()
        remove_checkpoints(run)
    if score is None:
        raise TrialPruned
    return score


def find_checkpoint(run: RunDir, recipe: Recipe, fingerprint: str) -> Path | None:
    """Return the checkpoint of a trial, unless it is of another study whose store was removed."""
    from sentiment140_bert.training.checkpoints import newest_complete

    if not run.is_run() or list_differences(saved_recipe(run.path), recipe):
        return None
    return newest_complete(run.checkpoints) if run.read_data()["fingerprint"] == fingerprint else None


def _train(tuning: Tuning, attempt: Attempt, progress: Progress, run: RunDir) -> float | None:
    """Return the score of the weights that the recipe would keep; None if the trial was ended early."""
    from sentiment140_bert import models
    from sentiment140_bert.evaluation.metrics import compute_trainer_metrics
    from sentiment140_bert.machine.usage import Usage
    from sentiment140_bert.tracking import open_trackers
    from sentiment140_bert.training import arguments, callbacks, trainer

    def report(number: int, score: float) -> bool:
        progress.say(f"trial {attempt.number}, evaluation {number}: {score:.4f}")
        return attempt.report(number, score)

    recipe, material = tuning.make_recipe(attempt.values, run, "trial", log_model=False), tuning.material
    precision = arguments.choose_precision(recipe.training)
    settings = arguments.training_arguments(recipe.training, precision, run.checkpoints)
    environment = describe_environment(recipe, precision, 1, tuning.arguments_given)
    checkpoint = find_checkpoint(run, recipe, material.report["fingerprint"]) if attempt.is_retry else None
    environment = _begin_run(run, recipe, material, environment, checkpoint)
    labels = schemas.count_labels(material.report)
    model = models.load_base_model(recipe.model, recipe.training.seed, labels)
    reported = callbacks.EvaluationReporter(get_metric(recipe), report, attempt.scores, progress.advance)
    usage = Usage()
    names = tracks.choose_trackers(run, recipe, resume=checkpoint is not None)
    with open_trackers(names, lambda: tracks.describe_tracked_run(run, recipe, live=True, is_part=True)) as tracking:
        outcome = trainer.train(
            model,
            material.tokenizer,
            material.cut_to(recipe.data.max_length),
            settings,
            history=run.history,
            compute_metrics=compute_trainer_metrics,
            resume_from=checkpoint,
            callbacks=[reported, callbacks.LogNotifier(tracking.notify)],
            finds_batch=recipe.training.auto_find_batch_size,
            monitor=usage,
            shown=False,
            lr_decay=recipe.training.layerwise_lr_decay,
            patience=recipe.training.early_stopping_patience,
        )
        if outcome.signal:
            message = f"Trial {attempt.number} was stopped by a signal after step {outcome.steps}."
            raise Interrupted(message, RESUME, outcome.signal)
        write_json(run.environment, {**environment, "training": describe_training(outcome, usage)})
    return None if reported.stopped else score_of(recipe, list(reported.values.values()))


def _begin_run(
    run: RunDir, recipe: Recipe, material: Material, environment: schemas.StartedEnvironment, checkpoint: Path | None
) -> schemas.StartedEnvironment:
    """Write the files that a run starts with, or note the resume; return the content of ``environment.json``."""
    if not checkpoint:
        run.clear()
        start_run(run, recipe, material.report, environment)
        return environment
    log.info("tune: resuming from %s", checkpoint.name)
    environment = resume_environment(run, environment)
    write_json(run.environment, environment)
    return environment


def score_of(recipe: Recipe, scores: list[float]) -> float:
    """Return the score of a trial from those of its evaluations.

    Raises:
        RunError: There was none.
    """
    if not scores:
        raise RunError("Training ended before its first evaluation.", "Lower --eval-steps.")
    best = max(scores) if get_direction(recipe) == "maximize" else min(scores)
    return best if recipe.training.load_best_model_at_end else scores[-1]
