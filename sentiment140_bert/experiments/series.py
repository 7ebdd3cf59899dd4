"""A training that is one of many, in a run directory of its own: begin it or resume it, and read its predictions.

Two recipes, each trained with the same seeds, are compared over seeds and tweets.
"""

from __future__ import annotations

import gc
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from sentiment140_bert.data import loading
from sentiment140_bert.errors import Interrupted, RecipeError, RunError
from sentiment140_bert.evaluation.intervals import SIGNIFICANT
from sentiment140_bert.evaluation.predictions import read_predictions
from sentiment140_bert.locks import lock_folder
from sentiment140_bert.recipe import Recipe, TrainingConfig, drop_checkpoint_repo, list_differences
from sentiment140_bert.run import RunDir, saved_recipe
from sentiment140_bert.schemas.experiments import SeedRange, SeedsComparison
from sentiment140_bert.schemas.metrics import MeasuredScore
from sentiment140_bert.training.run import train as train_run

if TYPE_CHECKING:
    from transformers import TrainingArguments


def check_recipe(recipe: Recipe, work: str, keep_models: bool) -> Recipe:
    """Refuse what several trainings cannot use; return the recipe without a repository of checkpoints.

    Args:
        recipe: Recipe of all trainings.
        work: Name of the work, as in "a learning curve".
        keep_models: False if model folders are removed after scoring.

    Raises:
        S140Error: It has a teacher, a model to register or to log, or is for several processes.
    """
    recipe = drop_checkpoint_repo(recipe, work)
    if recipe.tracking.register_model:
        raise RecipeError([f"register_model: {work} has no model to register; omit it"])
    if recipe.tracking.log_model and not keep_models:
        raise RecipeError(["log_model: no model is kept; add --keep-models, or omit it"])
    if recipe.model.teacher:
        raise RecipeError([f"teacher: {work} trains without one; omit it"])
    make_settings(recipe.training, Path(), work)
    return recipe


def make_settings(config: TrainingConfig, checkpoints: Path, work: str) -> TrainingArguments:
    """Return the Trainer's arguments for a training in one process.

    Raises:
        S140Error: The Trainer refuses them, or this is one of several processes.
    """
    from sentiment140_bert.training import arguments

    settings = arguments.training_arguments(config, arguments.choose_precision(config), checkpoints)
    if arguments.set_up_processes(settings).num_processes > 1:
        raise RunError(f"{work[0].upper()}{work[1:]} runs in one process.", "Start it without torchrun or accelerate.")
    return settings


def check_output(folder: Path, is_own: bool, command: str, *names: str) -> None:
    """Refuse a folder that is neither new nor ``is_own``; it may hold files whose names begin with ``names``.

    Raises:
        RunError: It is such a folder, or a file.
    """
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder} is a file.", "Choose another OUTPUT.")
    if folder.is_dir() and not is_own and any(not file.name.startswith(names) for file in folder.iterdir()):
        raise RunError(f"{folder} is not empty, and `{command}` did not write it.", "Choose another OUTPUT.")


def refuse_other_training(run: RunDir, recipe: Recipe, fingerprint: str) -> None:
    """Refuse a run directory that holds another training.

    Args:
        run: Empty, or of an earlier call.
        recipe: Recipe of this call.
        fingerprint: Fingerprint of its tweets.

    Raises:
        RunError: It was made by another recipe, or of other tweets.
    """
    if not run.is_run():
        return
    changed = list_differences(saved_recipe(run.path), recipe)
    then = run.read_data()["fingerprint"]
    if then != fingerprint:
        changed.append(f"the tweets: fingerprint {then[:12]} then, {fingerprint[:12]} now")
    if changed:
        raise RunError(
            f"{run.path} was trained with other settings: {'; '.join(changed)}.",
            "Use the recipe and tweets that it was started with, or choose another OUTPUT.",
        )


def train(
    run: RunDir,
    recipe: Recipe,
    data: loading.PreparedData,
    *,
    keep_model: bool,
    restart: bool = False,
    hint: str,
    arguments_given: list[str] | None = None,
) -> None:
    """Train a run to its end, or resume it. Remains of a failed start are removed.

    Args:
        run: The run directory.
        recipe: The recipe of the run.
        data: The prepared data of the recipe.
        keep_model: Keep the weights after scoring.
        restart: Replace an existing run.
        hint: What to do after an interruption.
        arguments_given: The arguments after ``s140`` on the command line.

    Raises:
        Interrupted: A signal stopped it; a checkpoint is kept.
        S140Error: As :func:`training.train`.
    """
    if run.path.exists() and not run.path.is_dir():
        raise RunError(f"{run.path} is a file.", "Remove it, or choose another OUTPUT.")
    with lock_folder(run.path, "training", create=True):
        if not run.is_run():
            run.clear()
        try:
            train_run(
                recipe,
                run.path,
                overwrite=restart,
                arguments_given=arguments_given,
                data=data,
                scores_only=not keep_model,
            )
        except Interrupted as stopped:
            raise Interrupted(stopped.message, hint, stopped.exit_code - 128) from None
        finally:
            free_memory()
        if not keep_model:
            shutil.rmtree(run.model, ignore_errors=True)


class Answers(NamedTuple):
    """The labels of the tweets of a split that are scored, and which of them a model predicts correctly."""

    right: npt.NDArray[np.bool_]
    labels: npt.NDArray[np.int64]
    sha256: str  # of these tweets


def read_answers(run: RunDir, splits: Iterable[str]) -> dict[str, Answers]:
    """Return the answers of a finished training, by split; a split that it was not scored on is omitted.

    Raises:
        RunError: ``predictions.parquet`` is missing or damaged.
    """
    import pyarrow as pa

    from sentiment140_bert.data.data_json import hash_rows

    predictions, answers = read_predictions(run), {}
    for split in splits:
        some = predictions.get(split)
        scored = some if some is None or some.has_three_labels else some.drop_neutral()
        if scored is not None and len(scored.truth):
            rows = pa.table({"label": pa.array(scored.truth, pa.int8()), "text": pa.array(scored.texts, pa.string())})
            answers[split] = Answers(scored.correct, scored.truth, hash_rows(rows))
    return answers


def free_memory() -> None:
    """Give back the memory of the training before."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


LEAST = 1e-12  # a p-value; smaller ones mean no more
Right = npt.NDArray[np.bool_]


def measure_over_seeds(right: Right, truth: npt.NDArray[np.int64]) -> MeasuredScore:
    """Return the mean accuracy of a recipe over its seeds, with its interval for other seeds and other tweets.

    Args:
        right: True where a model is right, shape (seeds, tweets).
        truth: 0 or 1, shape (tweets,).
    """
    values = right.astype(np.float64)
    tweets, seeds = _variances(values, truth)
    value, half = float(values.mean()), _half(SIGNIFICANT, tweets, seeds, len(right))
    return {"value": value, "low": value - half, "high": value + half}


def compare_over_seeds(first: Right, second: Right, truth: npt.NDArray[np.int64]) -> SeedsComparison:
    """Return the mean accuracies of two recipes over their seeds, and the difference for other seeds and other tweets.

    Seeds and tweets are crossed: each model answers each tweet. So the variance of the mean difference has a part of
    the tweets and a part of the seeds, each estimated from its own means (a crossed design of two random factors:
    Searle, Casella and McCulloch 1992, chapter 4). Both would hold the chance of single answers; it is counted with
    the seeds alone. The limits of each part, by the normal distribution for tweets and Student's t for the few seeds,
    are added as squares (Graybill and Wang 1980), so that a part of which little is known widens the interval by as
    much as it counts. Tweets vary within their class, for the classes are drawn apart.

    Args:
        first: True where a model of the first recipe is right, shape (seeds, tweets).
        second: The same of the second recipe, for the same seeds and tweets.
        truth: 0 or 1, shape (tweets,).

    Returns:
        ``n``, ``seeds``; ``first`` and ``second`` (``value``, the mean accuracy, ``min`` and ``max`` over the seeds);
        ``difference`` (first minus second: ``value``, ``low``, ``high``), ``p_value`` (the level at which the interval
        would just reach 0), ``of_tweets`` and ``of_seeds`` (the standard errors). With one seed the interval is for
        other tweets alone.
    """
    apart = first.astype(np.float64) - second.astype(np.float64)
    value = float(apart.mean())
    tweets, seeds = _variances(apart, truth)
    half = _half(SIGNIFICANT, tweets, seeds, len(apart))
    return {
        "n": apart.shape[1],
        "seeds": apart.shape[0],
        "first": _accuracy(first),
        "second": _accuracy(second),
        "difference": {"value": value, "low": value - half, "high": value + half},
        "p_value": _p_value(abs(value), tweets, seeds, len(apart)),
        "of_tweets": float(np.sqrt(tweets)),
        "of_seeds": float(np.sqrt(seeds)),
    }


def describe_over_seeds(comparison: SeedsComparison, first: str, second: str, tweets: str) -> str:
    """Return a sentence that says what a comparison shows, and whether it is significant."""
    one, other, gap = comparison["first"]["value"], comparison["second"]["value"], comparison["difference"]
    count = comparison["seeds"]
    trained = f"{count} seeds each" if count > 1 else "1 seed, so the variation over seeds is unknown"
    value, low, high = (100 * gap[name] for name in ("value", "low", "high"))
    scores = f"{first} {one:.4f} and {second} {other:.4f} on {comparison['n']:,} {tweets} ({trained})"
    difference = f"the difference is {value:+.2f} points ({low:+.2f} to {high:+.2f})"
    if comparison["p_value"] >= SIGNIFICANT:
        return f"{scores}; {difference}, which is not significant."
    return f"{scores}; {difference}: {first if gap['value'] > 0 else second} did better."


def _variances(apart: npt.NDArray[np.float64], truth: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Return the variance of the mean difference that the tweets cause, and the one of the seeds and of chance."""
    count, n = apart.shape
    by_tweet = apart.mean(axis=0)
    classes = [truth == label for label in np.unique(truth)]
    tweets = sum(float(by_tweet[rows].var(ddof=1) * rows.sum()) for rows in classes if rows.sum() > 1) / n**2
    if count == 1:
        return tweets, 0.0
    by_seed = apart.mean(axis=1)
    rest = apart - by_tweet[None, :] - by_seed[:, None] + apart.mean()
    chance = float((rest**2).sum()) / ((count - 1) * (n - 1)) / (count * n)
    seeds = float(by_seed.var(ddof=1)) / count
    # A few seeds may agree by luck; their chance is there all the same.
    return max(0.0, tweets - chance), max(seeds, chance)


def _half(level: float, tweets: float, seeds: float, count: int) -> float:
    """Return half the width of the interval that misses the truth with a probability of ``level``."""
    from scipy.stats import norm, t

    squares = norm.isf(level / 2) ** 2 * tweets
    squares += t.isf(level / 2, count - 1) ** 2 * seeds if count > 1 else 0.0
    return float(np.sqrt(squares))


def _p_value(value: float, tweets: float, seeds: float, count: int) -> float:
    """Return the level at which the interval just reaches 0."""
    from scipy.optimize import brentq

    if not value or not tweets + seeds:
        return 0.0 if value else 1.0
    if _half(LEAST, tweets, seeds, count) < value:
        return LEAST
    return float(brentq(lambda level: _half(level, tweets, seeds, count) - value, LEAST, 1.0))


def _accuracy(right: Right) -> SeedRange:
    accuracies = right.mean(axis=1)
    return {"value": float(accuracies.mean()), "min": float(accuracies.min()), "max": float(accuracies.max())}
