"""What comes after the trials: the best values and the recipe as it is, trained with the same seeds and scored."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from sentiment140_bert.data import loading
from sentiment140_bert.errors import RecipeError
from sentiment140_bert.experiments import series
from sentiment140_bert.experiments.tune.results import final_of
from sentiment140_bert.experiments.tune.study_dir import TuningDir
from sentiment140_bert.experiments.tune.trials import GO_ON, recipe_of
from sentiment140_bert.recipe import Recipe
from sentiment140_bert.recipe.values import LARGEST_SEED
from sentiment140_bert.run import RunDir

log = logging.getLogger(__name__)
SAME = "The recipe's own values are the best that were found: there is nothing to compare."


def compared(
    home: TuningDir,
    recipe: Recipe,
    best: Mapping[str, Any],
    own: Mapping[str, Any],
    count: int,
    keep_models: bool,
    names: Mapping[str, Any],
    arguments_given: list[str] | None,
) -> dict[str, Any]:
    """Trains both with ``count`` seeds, or goes on with it, and says which is better.

    Args:
        home: Of the tuning.
        recipe: Of the study.
        best: ``number`` and ``values`` of the best trial.
        own: The recipe's own values of what was tuned.
        count: Seeds: those that follow the recipe's.
        keep_models: Keep each model folder; else scores and answers only.
        names: Of their tracked runs.
        arguments_given: What followed ``s140`` on the command line.

    Returns:
        As :func:`final_of`, and ``trial``, the number of the best one; in place of all else ``same``, a sentence, where
        the best values are the recipe's own.

    Raises:
        Interrupted: A signal stopped a training; a checkpoint was written.
        S140Error: One cannot be trained.
    """
    if all(own.get(name) == value for name, value in best["values"].items()):
        return {"trial": best["number"], "same": SAME}
    seeds = seeds_of(recipe, count)
    shared = dict(names) | ({} if keep_models else {"log_model": False})

    def trained(name: str, values: Mapping[str, Any]) -> list[RunDir]:
        recipes = [recipe_of(recipe, dict(values), shared | {"seed": seed}) for seed in seeds]
        return [_trained(home, each, name, keep_models, arguments_given) for each in recipes]

    of_best = trained(f"trial-{best['number']:04}", best["values"])
    of_own = trained("recipe", {})
    return {"trial": best["number"]} | final_of(of_best, of_own, seeds)


def seeds_of(recipe: Recipe, count: int) -> list[int]:
    """The seeds of a comparison: those that follow the recipe's. Its own chose the best trial, which was lucky with it.

    Args:
        recipe: Of the study.
        count: Seeds.

    Raises:
        RecipeError: They end beyond the greatest that there is.
    """
    seeds = [recipe.training.seed + 1 + at for at in range(count)]
    if max(seeds, default=0) > LARGEST_SEED:
        raise RecipeError(
            [f"seed: the {count} after it, for --final-seeds, must be at most {LARGEST_SEED:,}, got {max(seeds):,}"]
        )
    return seeds


def _trained(home: TuningDir, recipe: Recipe, name: str, keep_model: bool, arguments_given: list[str] | None) -> RunDir:
    seed = recipe.training.seed
    run = home.final(name, seed)
    named = recipe.with_values({"run_name": f"{home.path.resolve().name}-{run.path.name}"})
    data = loading.load_data(named)
    series.check(run, named, data[0].report["fingerprint"])
    model_is_missing = keep_model and run.is_finished() and not run.weights.is_file()
    if run.is_finished() and not model_is_missing:
        series.tidy(run, keep_model=True)  # models of an earlier call are kept
    else:
        log.info("tune: %s, seed %d", "the recipe as it is" if name == "recipe" else f"the values of {name}", seed)
        series.train(
            run,
            named,
            data,
            keep_model=keep_model,
            restart=model_is_missing,
            hint=GO_ON,
            arguments_given=arguments_given,
        )
    return run
