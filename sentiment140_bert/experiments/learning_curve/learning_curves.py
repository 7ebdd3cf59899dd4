"""``s140 learning-curve``: the same recipe on ever more of the same tweets."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sentiment140_bert import run_lock
from sentiment140_bert.data import preparing
from sentiment140_bert.errors import DataError, RecipeError, RunError, S140Error
from sentiment140_bert.experiments.learning_curve import curve_plan
from sentiment140_bert.experiments.learning_curve.curve_dir import FAILED, FINISHED, CurveDir
from sentiment140_bert.experiments.learning_curve.curve_points import Training, trainings
from sentiment140_bert.experiments.learning_curve.curve_results import write_results
from sentiment140_bert.recipe import Recipe, parse
from sentiment140_bert.run_dir import write_json
from sentiment140_bert.runs import differences, without_checkpoint_repo

log = logging.getLogger(__name__)
LEAST = 2  # training tweets: one of each label


def learning_curve(
    recipe: Recipe,
    output: Path,
    sizes: Sequence[int],
    seeds: int = 3,
    *,
    keep_models: bool = False,
    price_per_hour: float | None = None,
    dry_run: bool = False,
    arguments_given: list[str] | None = None,
) -> dict[str, Any]:
    """Trains the recipe on nested subsets of its training tweets, each with several seeds, and fits a curve.

    Everything is written into ``output``: a run directory for each training in ``points/``; ``curve.json``,
    ``curve.csv``, ``curve.png`` and ``README.md`` anew after each size. What is finished there is kept, what is
    unfinished goes on from its checkpoint, what failed is tried again.

    Args:
        recipe: Of all trainings; its ``seed`` is the first of theirs.
        output: A new folder, or one of an earlier call with the same recipe and tweets.
        sizes: Training tweets, ascending; in place of those beyond what there is, all that there are.
        seeds: Trainings of each size.
        keep_models: Keep each model folder, with its card; else only scores, answers and history are kept.
        price_per_hour: Of the machine, in any currency.
        dry_run: Prepare the tweets, tell what there is to do, and write nothing.
        arguments_given: What followed ``s140`` on the command line.

    Returns:
        The content of ``curve.json``, and ``output``; of a dry run the plan: ``trainings``, ``tweets`` still to be
        processed, ``steps``.

    Raises:
        S140Error: Sizes or seeds make no curve; data, model or recipe are not as they should be.
        RunError: ``output`` holds something else, or a curve of another recipe or other tweets; or, once all was
            tried and the results are written, some trainings failed.
        Interrupted: A signal stopped a training; a checkpoint was written.
    """
    recipe = without_checkpoint_repo(recipe, "a learning curve")
    _possible(recipe, sizes, seeds, keep_models)
    home = CurveDir(output)
    _ours(home, recipe)
    _one_process(recipe)
    whole = preparing.tokenized(recipe)
    splits = whole[0].report["splits"]
    if not {"test", "manual"} & splits.keys():
        raise DataError("Nothing is held out on which a curve could be scored.", "Give --test-size or --manual-test.")
    chosen, cut_short = curve_plan.within(sizes, splits["train"]["rows"])
    parts = {size: preparing.cut(whole, size) for size in chosen}
    numbers = [recipe.training.seed + at for at in range(seeds)]
    planned = list(trainings(home, recipe, chosen, numbers, keep_models))
    plan = curve_plan.plan(home, recipe, parts, numbers, whole) | {"cut_short": cut_short}
    for each in planned:
        each.check(parts[each.size][0].report["fingerprint"])
    _same_tweets(home, plan)
    for said in filter(None, (cut_short, curve_plan.left_out(home, planned))):
        log.info("curve: %s", said)
    if dry_run:
        return curve_plan.to_do(planned, parts)
    with run_lock.held(home.path, "making a learning curve", make=True):
        write_json(home.plan, plan)
        for size in chosen:
            open_ones = [each for each in planned if each.size == size and each.state() != FINISHED]
            for each in open_ones:
                _tell(planned, each)
                each.go(parts[size], keep_models, arguments_given)
            if open_ones and size != chosen[-1]:
                write_results(home, price_per_hour)
        curve = write_results(home, price_per_hour)
    _refuse_failures(home, planned)
    return curve | {"output": str(output)}


def redrawn_curve(output: Path, price_per_hour: float | None = None) -> dict[str, Any]:
    """Writes the results of a curve anew from the trainings that are finished; trains nothing, and reads no tweets.

    Returns:
        As :func:`learning_curve`.

    Raises:
        RunError: There is no curve, or a file of it is damaged.
    """
    home = CurveDir(output)
    if not home.plan.is_file():
        raise RunError(f"There is no learning curve in {output}.", "Name the folder of `s140 learning-curve`.")
    return write_results(home, price_per_hour) | {"output": str(output)}


def _possible(recipe: Recipe, sizes: Sequence[int], seeds: int, keep_models: bool) -> None:
    said = ", ".join(map(str, sizes))
    if not sizes or min(sizes) < LEAST:
        raise S140Error(f"The sizes {said or '(none)'} are no numbers of training tweets.", f"Each is {LEAST} or more.")
    if any(first >= second for first, second in itertools.pairwise(sizes)):
        raise S140Error(f"The sizes {said} do not ascend.", "Give each once, the smallest first.")
    if seeds < 1:
        raise S140Error(f"{seeds} seeds are no training.", "Give 1 or more; 3 show how far seeds differ.")
    if recipe.data.max_train_samples:
        raise RecipeError(["max_train_samples is what the sizes of a learning curve say: leave it away"])
    if recipe.tracking.register_model:
        raise RecipeError(["register_model: a learning curve has no model to be registered"])
    if recipe.tracking.log_model and not keep_models:
        raise RecipeError(["log_model: no model is kept; add --keep-models, or leave it away"])


def _one_process(recipe: Recipe) -> None:
    from sentiment140_bert.training import arguments

    settings = arguments.training_arguments(recipe.training, arguments.choose_precision(recipe.training), Path())
    if arguments.processes_of(settings).num_processes > 1:
        raise RunError("A learning curve is made in one process.", "Start it without torchrun or accelerate.")


def _ours(home: CurveDir, recipe: Recipe) -> None:
    """Makes sure that the folder is new, or of a curve of this recipe."""
    if home.path.exists() and not home.path.is_dir():
        raise RunError(f"{home.path} is a file.", "Choose another OUTPUT.")
    plan = home.read(home.plan)
    if not plan:
        if home.path.is_dir() and any(each.name != run_lock.LOCK for each in home.path.iterdir()):
            raise RunError(f"{home.path} is not empty, and no learning curve.", "Choose another OUTPUT.")
        return
    changed = differences(parse(plan["recipe"], str(home.plan)), recipe)
    if changed:
        raise RunError(
            f"{home.path} is the curve of another recipe: {'; '.join(changed)}.",
            "Go on with the recipe of the beginning, or choose another OUTPUT.",
        )


def _same_tweets(home: CurveDir, plan: dict[str, Any]) -> None:
    before = home.read(home.plan)
    if before and before["data"]["fingerprint"] != plan["data"]["fingerprint"]:
        then, now = before["data"]["fingerprint"][:12], plan["data"]["fingerprint"][:12]
        raise RunError(
            f"The tweets are not those that {home.path} was begun with: fingerprint {then} then, {now} now.",
            "Give the original input back, or choose another OUTPUT.",
        )


def _tell(planned: list[Training], now: Training) -> None:
    """Says which training comes now, and how long what is left will take at the speed of the largest one so far."""
    of_its_size = [each for each in planned if each.size == now.size]
    states = [each.state() for each in planned]
    log.info(
        "curve: size %s, seed %d of %d (training %d of %d%s)",
        f"{now.size:,}",
        of_its_size.index(now) + 1,
        len(of_its_size),
        planned.index(now) + 1,
        len(planned),
        curve_plan.time_left(planned, states),
    )


def _refuse_failures(home: CurveDir, planned: list[Training]) -> None:
    failures = home.read(home.failures)
    failed = [each for each in planned if each.state() == FAILED]
    if failed:
        reasons = [
            f"  - size {each.size:,}, seed {each.seed}: {failures[each.run.path.name]['reason']}" for each in failed
        ]
        hints = dict.fromkeys(failures[each.run.path.name]["hint"] for each in failed)
        raise RunError(
            f"{len(failed)} of {len(planned)} trainings failed:\n" + "\n".join(reasons),
            " ".join([f"The others are in {home.curve}; the same command tries these again.", *filter(None, hints)]),
        )
