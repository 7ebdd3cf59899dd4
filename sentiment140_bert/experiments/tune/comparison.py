"""The comparison after the trials: best values and recipe, trained with the same seeds, on test and manual tweets."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from sentiment140_bert.data import loading
from sentiment140_bert.errors import RecipeError, RunError
from sentiment140_bert.experiments import series
from sentiment140_bert.experiments.tune.results import Tuning
from sentiment140_bert.experiments.tune.trials import RESUME
from sentiment140_bert.recipe import Recipe
from sentiment140_bert.recipe.values import LARGEST_SEED
from sentiment140_bert.run import RunDir
from sentiment140_bert.schemas.experiments import FinalComparison, SeedsComparison, TrialRecord

log = logging.getLogger(__name__)
SCORED = {"test": "test tweets", "manual": "hand-labeled tweets"}
SAME = "The recipe's own values are the best found, so there is nothing to compare."


def compare(tuning: Tuning, best: TrialRecord, seeds: Sequence[int], keep_models: bool) -> FinalComparison:
    """Train the best values and the recipe with the same seeds, as far as that is not done, and compare the scores.

    Args:
        tuning: The study, which gets the runs in ``final``.
        best: The best trial.
        seeds: Result of :func:`choose_seeds`.
        keep_models: Keep each model folder; else scores and predictions only.

    Returns:
        ``trial``, the number of the best one; ``seeds``; ``runs``: folders; ``splits``: of each that was held out, what
        :func:`~sentiment140_bert.experiments.series.compare_over_seeds` gives (the best values are ``first``), and
        ``sentence``.
        Only ``trial`` and ``same``, a sentence, where the best values are the recipe's own.

    Raises:
        Interrupted: A signal stopped a training; a checkpoint was written.
        S140Error: One cannot be trained, or a file of it is damaged.
    """
    if all(tuning.own.get(name) == value for name, value in best["values"].items()):
        return {"trial": best["number"], "same": SAME}
    of_best = [_train(tuning, f"trial-{best['number']:04}", best["values"], seed, keep_models) for seed in seeds]
    of_recipe = [_train(tuning, "recipe", {}, seed, keep_models) for seed in seeds]
    runs = {"best": of_best, "recipe": of_recipe}
    folders = {side: [f"final/{run.path.name}" for run in runs[side]] for side in runs}
    splits = _compare_splits(of_best, of_recipe)
    return {"trial": best["number"], "seeds": list(seeds), "runs": folders, "splits": splits}


def choose_seeds(recipe: Recipe, count: int) -> list[int]:
    """Return the seeds that follow the recipe's, which chose the best trial: that one was lucky with it.

    Raises:
        RecipeError: They exceed the largest seed.
    """
    seeds = [recipe.training.seed + 1 + index for index in range(count)]
    if max(seeds, default=0) > LARGEST_SEED:
        raise RecipeError(
            [
                f"seed: --final-seeds uses the {count} seeds after it, which must be at most {LARGEST_SEED:,}, "
                f"got {max(seeds):,}"
            ]
        )
    return seeds


def _train(tuning: Tuning, name: str, values: Mapping[str, Any], seed: int, keep_model: bool) -> RunDir:
    from sentiment140_bert.training import checkpoints

    run = RunDir(tuning.home.path / "final" / f"{name}-seed-{seed}")
    settings = {"seed": seed} | ({} if keep_model else {"log_model": False})
    recipe = tuning.make_recipe(values, run, "final", **settings)
    data = loading.load_data(recipe)
    series.refuse_other_training(run, recipe, data[0].report["fingerprint"])
    lacks_model = keep_model and run.is_finished() and not run.weights.is_file()
    if run.is_finished() and not lacks_model:
        checkpoints.remove_unneeded(run, recipe)
        return run
    log.info("tune: %s, seed %d", "the values of the best trial" if values else "the recipe as it is", seed)
    arguments = tuning.arguments_given
    series.train(run, recipe, data, keep_model=keep_model, restart=lacks_model, hint=RESUME, arguments_given=arguments)
    return run


def _compare_splits(best: list[RunDir], recipe: list[RunDir]) -> dict[str, SeedsComparison]:
    """Compare the runs on each split.

    Raises:
        RunError: They were not scored on the same tweets, or a file of them is damaged.
    """
    import numpy as np

    answers = {run.path: series.read_answers(run, SCORED) for run in (*best, *recipe)}
    splits: dict[str, SeedsComparison] = {}
    for split, tweets in SCORED.items():
        scored = {path: answer[split] for path, answer in answers.items() if split in answer}
        if not scored:
            continue
        if len(scored) < len(answers) or len({answer.sha256 for answer in scored.values()}) > 1:
            raise RunError(
                f"The runs in {best[0].path.parent} were not scored on the same {tweets}.",
                "Remove that folder; the same command trains them again.",
            )
        first, second = (np.stack([scored[run.path].right for run in runs]) for runs in (best, recipe))
        result = series.compare_over_seeds(first, second, scored[best[0].path].labels)
        sentence = series.describe_over_seeds(result, "the best values", "the recipe as it is", tweets)
        result["sentence"] = sentence
        splits[split] = result
    return splits
