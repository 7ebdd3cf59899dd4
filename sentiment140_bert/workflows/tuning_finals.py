"""What comes after the trials: the best values and the recipe as it is, trained with the same seeds and scored."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from sentiment140_bert.errors import DataError
from sentiment140_bert.recipe import Recipe
from sentiment140_bert.run_dir import RunDir
from sentiment140_bert.workflows import preparing, series
from sentiment140_bert.workflows.tuning_dir import TuningDir
from sentiment140_bert.workflows.tuning_results import SCORED, final_of
from sentiment140_bert.workflows.tuning_trials import GO_ON, recipe_of

log = logging.getLogger(__name__)
SAME = "The recipe's own values are the best that were found: there is nothing to compare."


def compared(
    home: TuningDir,
    recipe: Recipe,
    best: Mapping[str, Any],
    own: Mapping[str, Any],
    count: int,
    keep_models: bool,
    arguments_given: list[str] | None,
) -> dict[str, Any]:
    """Trains both with ``count`` seeds, or goes on with it, and says which is better.

    Args:
        home: Of the tuning.
        recipe: Of the study.
        best: ``number`` and ``values`` of the best trial.
        own: The recipe's own values of what was tuned.
        count: Seeds: the recipe's, and the following.
        keep_models: Keep each model folder; else scores and answers only.
        arguments_given: What followed ``s140`` on the command line.

    Returns:
        As :func:`final_of`; ``same``, a sentence, where the best values are the recipe's own.

    Raises:
        Interrupted: A signal stopped a training; a checkpoint was written.
        S140Error: One cannot be trained.
    """
    if all(own.get(name) == value for name, value in best["values"].items()):
        return {"same": SAME}
    seeds = [recipe.training.seed + at for at in range(count)]
    of_best = [
        _trained(home, recipe, f"trial-{best['number']:04}", best["values"], seed, keep_models, arguments_given)
        for seed in seeds
    ]
    of_own = [_trained(home, recipe, "recipe", {}, seed, keep_models, arguments_given) for seed in seeds]
    return final_of(of_best, of_own, seeds)


def _trained(
    home: TuningDir,
    recipe: Recipe,
    name: str,
    values: Mapping[str, Any],
    seed: int,
    keep_model: bool,
    arguments_given: list[str] | None,
) -> RunDir:
    run = home.final(name, seed)
    title = home.path.resolve().name
    names = {"seed": seed, "run_name": f"{title}-{run.path.name}", "group": recipe.tracking.group or title}
    names |= {} if keep_model else {"log_model": False}
    chosen = recipe_of(recipe, dict(values), names)
    data = preparing.tokenized(chosen)
    if not SCORED.keys() & data[0].report["splits"].keys():
        raise DataError(
            "Nothing is held out on which the best values could be scored.", "Give --test-size, or --final-seeds 0."
        )
    series.check(run, chosen, data[0].report["fingerprint"])
    if not run.is_finished():
        log.info("tune: %s, seed %d", "the recipe as it is" if name == "recipe" else f"the values of {name}", seed)
        series.train(run, chosen, data, keep_model=keep_model, hint=GO_ON, arguments_given=arguments_given)
    return run
