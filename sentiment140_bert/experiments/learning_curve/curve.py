"""``s140 learning-curve``: the same recipe on ever larger parts of the same tweets."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from pathlib import Path

from sentiment140_bert.data import loading
from sentiment140_bert.errors import DataError, Diverged, Interrupted, RecipeError, RunError, S140Error
from sentiment140_bert.experiments import series
from sentiment140_bert.experiments.learning_curve.plan import (
    FAILED,
    FINISHED,
    MOST_SIZES,
    SPLITS,
    CurveDir,
    Failure,
    Plan,
    PlannedWork,
    Training,
    describe_left_out,
    estimate_time_left,
    limit_sizes,
    list_subsets,
    list_trainings,
    list_work,
)
from sentiment140_bert.experiments.learning_curve.results import write_results
from sentiment140_bert.files import Place, write_json
from sentiment140_bert.locks import LOCK, check_still_locked, expand_folder, lock_folder
from sentiment140_bert.recipe import Recipe, RecipeName, as_recipe, list_differences, parse_recipe
from sentiment140_bert.schemas.experiments import MOST_SEEDS, Curve, CurveResult, pick_used_data
from sentiment140_bert.training.ancestors import pin_models

log = logging.getLogger(__name__)
MIN_SIZE = 2  # training tweets: one of each label


def learning_curve(
    recipe: RecipeName,
    output: Place,
    sizes: Sequence[int],
    seeds: int = 3,
    *,
    keep_models: bool = False,
    price_per_hour: float | None = None,
    arguments_given: list[str] | None = None,
) -> CurveResult:
    """Train the recipe on nested subsets of its training tweets, each with several seeds, and fit a curve.

    Everything is written into ``output``: a run directory for each training in ``points/``; ``curve.json``,
    ``curve.csv``, ``curve.png`` and ``README.md`` again after each size. Finished trainings are kept, unfinished ones
    resume from their checkpoint, failed ones are tried again.

    Args:
        recipe: Recipe of all trainings; its ``seed`` is the first seed.
        output: A new folder, or one of an earlier call with the same recipe and tweets.
        sizes: Training tweets, ascending; those beyond what there is become all that there is.
        seeds: Trainings of each size.
        keep_models: Keep each model folder, with its card; else only scores, predictions and history are kept.
        price_per_hour: Price of the machine, in any currency.
        arguments_given: The arguments after ``s140`` on the command line.

    Returns:
        The content of ``curve.json``, and ``output``.

    Raises:
        S140Error: Arguments, data, model or recipe make no curve; ``output`` holds something else; or, once the
            results are written, some trainings failed.
        Interrupted: A signal stopped a training; a checkpoint was written.
    """
    from sentiment140_bert import models

    home = CurveDir(expand_folder(output, "output"))
    recipe = as_recipe(recipe)
    plan, planned, parts = _plan_trainings(home, recipe, sizes, seeds, keep_models)
    base = recipe.model.model_name_or_path
    with models.keep_base_model(base), lock_folder(home.path, "making a learning curve", create=True):
        _read_earlier_plan(home, recipe)  # another process may have begun a curve while tweets were prepared
        _write_plan(home, plan, price_per_hour)
        curve = _train_and_write(home, planned, parts, keep_models, arguments_given)
    _raise_failures(home, planned)
    return {**curve, "output": str(output)}


def preview_curve(recipe: Recipe, output: Path, sizes: Sequence[int], seeds: int, keep_models: bool) -> PlannedWork:
    """Prepare the tweets of a curve, and return the work that is left; write nothing else."""
    _, planned, parts = _plan_trainings(CurveDir(output), recipe, sizes, seeds, keep_models)
    return list_work(planned, parts)


def redraw_curve(output: Path, price_per_hour: float | None = None) -> CurveResult:
    """Write the results of a curve again from its finished trainings, without training or reading tweets.

    Returns:
        The same as :func:`learning_curve`.

    Raises:
        RunError: There is no curve, or a file of it is damaged.
    """
    home = CurveDir(output)
    plan = home.read_plan()
    if not plan:
        raise RunError(f"There is no learning curve in {output}.", "Name a folder that `s140 learning-curve` wrote.")
    _write_plan(home, plan, price_per_hour)
    return {**write_results(home), "output": str(output)}


def _write_plan(home: CurveDir, plan: Plan, price_per_hour: float | None) -> None:
    """Write ``plan.json``; without a price it keeps the one of the call before."""
    price = plan.get("price_per_hour") if price_per_hour is None else price_per_hour
    write_json(home.plan, {**plan, "price_per_hour": price})


def _check_arguments(recipe: Recipe, sizes: Sequence[int], seeds: int) -> None:
    listed = ", ".join(map(str, sizes)) or "(none)"
    if not sizes or min(sizes) < MIN_SIZE:
        raise S140Error(
            f"--sizes must each be at least {MIN_SIZE} training tweets; got {listed}.", "For example: --sizes 1000,3000"
        )
    if any(first >= second for first, second in itertools.pairwise(sizes)):
        raise S140Error(f"--sizes must ascend; got {listed}.", "List each size once, the smallest first.")
    if len(sizes) > MOST_SIZES:
        raise S140Error(f"--sizes must be at most {MOST_SIZES}, not {len(sizes)}.", "Ten show the form of a curve.")
    if not 1 <= seeds <= MOST_SEEDS:
        raise S140Error(
            f"--seeds must be between 1 and {MOST_SEEDS}, not {seeds}.", "3 seeds show how much results vary."
        )
    if recipe.data.max_train_samples:
        raise RecipeError(["max_train_samples: the sizes of a learning curve replace it; omit it"])


def _read_earlier_plan(home: CurveDir, recipe: Recipe) -> Plan | None:
    """Return the plan of an earlier call; raise RunError unless the folder is new, or holds a curve of this recipe."""
    plan = home.read_plan()
    series.check_output(home.path, plan is not None, "s140 learning-curve", LOCK)
    changed = plan and list_differences(parse_recipe(plan["recipe"], str(home.plan)), recipe)
    if changed:
        raise RunError(
            f"{home.path} has the learning curve of another recipe: {'; '.join(changed)}.",
            "Use the recipe it was started with, or choose another OUTPUT.",
        )
    return plan


def _pin_base_model(recipe: Recipe, before: Plan | None) -> Recipe:
    """Return the recipe with the commit of its base model that the curve began with."""
    if before is None:
        return pin_models(recipe)
    commit = before.get("model_revision")
    return recipe.with_values({"model_revision": commit}) if commit else recipe


def _plan_trainings(
    home: CurveDir, recipe: Recipe, sizes: Sequence[int], seeds: int, keep_models: bool
) -> tuple[Plan, list[Training], dict[int, loading.PreparedData]]:
    """Check the arguments and prepare the tweets; return ``plan.json``, the trainings, and the tweets of each size."""
    from sentiment140_bert import models

    _check_arguments(recipe, sizes, seeds)
    before = _read_earlier_plan(home, recipe)
    recipe = series.check_recipe(recipe, "a learning curve", keep_models)
    plain, recipe = recipe.to_dict(), _pin_base_model(recipe, before)
    whole = loading.load_data(recipe)
    report = whole[1].report
    if not {*SPLITS} & report["splits"].keys():
        raise DataError("There are no test tweets to score a learning curve on.", "Set --test-size or --manual-test.")
    if before and before["data"]["fingerprint"] != report["fingerprint"]:
        then, now = before["data"]["fingerprint"][:12], report["fingerprint"][:12]
        raise RunError(
            f"The tweets are not those that {home.path} was started with: fingerprint {then} then, {now} now.",
            "Restore the original input, or choose another OUTPUT.",
        )
    weights = models.hash_local_weights(recipe.model.model_name_or_path)
    if before and before.get("base_weights", weights) != weights:
        raise RunError(
            f"{recipe.model.model_name_or_path} has other weights than when {home.path} was started.",
            "Restore the original ones, or choose another OUTPUT.",
        )
    sizes, cut_short = limit_sizes(sizes, report["splits"]["train"]["rows"])
    parts = {size: loading.draw_subset(whole, size) for size in sizes}
    seed_numbers = [recipe.training.seed + at for at in range(seeds)]
    planned = list(list_trainings(home, recipe, sizes, seed_numbers, keep_models))
    name = home.path.resolve().name
    plan: Plan = {
        "name": name,
        "group": recipe.tracking.group or name,
        "recipe": before["recipe"] if before else plain,
        "model_revision": recipe.model.model_revision,
        "base_weights": weights,
        "data": pick_used_data(report),
        "seeds": seed_numbers,
        "subsets": list_subsets(parts),
        "cut_short": cut_short,
        "price_per_hour": before.get("price_per_hour") if before else None,
    }
    for training in planned:
        series.refuse_other_training(training.run, training.recipe, parts[training.size][0].report["fingerprint"])
    for sentence in filter(None, (cut_short, describe_left_out(home, planned))):
        log.info("curve: %s", sentence)
    return plan, planned, parts


def _train_and_write(
    home: CurveDir,
    planned: list[Training],
    parts: dict[int, loading.PreparedData],
    keep_models: bool,
    arguments_given: list[str] | None,
) -> Curve:
    """Train what is not finished, size by size, and write the results after each; return ``curve.json``."""
    from sentiment140_bert.training import checkpoints

    largest = planned[-1].size
    for training in planned:
        if training.state == FINISHED:  # its process may have been killed before it did this
            checkpoints.remove_unneeded(training.run, training.recipe)
    for size, trainings in itertools.groupby(planned, key=lambda training: training.size):
        unfinished = [training for training in trainings if training.state != FINISHED]
        for training in unfinished:
            _log_progress(planned, training)
            _train(training, parts[size], keep_models, arguments_given)
        if unfinished and size != largest:
            write_results(home)
    return write_results(home)


def _train(
    training: Training, data: loading.PreparedData, keep_models: bool, arguments_given: list[str] | None
) -> None:
    """Train or resume a point; note in ``failed.json`` why it failed.

    Raises:
        Interrupted: A signal stopped it; a checkpoint is kept.
    """
    try:
        series.train(
            training.run,
            training.recipe,
            data,
            keep_model=keep_models,
            restart=_has_diverged(training),
            hint="Finished points are kept; run the same command again to resume.",
            arguments_given=arguments_given,
        )
    except Interrupted:
        raise
    except S140Error as error:
        check_still_locked(training.home.path)  # else it is not this training that failed
        log.warning("curve: size %s, seed %d failed: %s", f"{training.size:,}", training.seed, error.message)
        diverged = isinstance(error, Diverged)  # its checkpoints would lead there again
        _note_failure(training, {"reason": error.message, "hint": error.hint, "diverged": diverged})
    else:
        _note_failure(training, None)


def _has_diverged(training: Training) -> bool:
    failure = training.home.read_failures().get(training.run.path.name)
    return bool(failure and failure.get("diverged"))


def _note_failure(training: Training, failure: Failure | None) -> None:
    name, before = training.run.path.name, training.home.read_failures()
    others = {other: noted for other, noted in before.items() if other != name}
    after = others | ({name: failure} if failure else {})
    if after != before:
        write_json(training.home.failures, after)


def _log_progress(planned: list[Training], training: Training) -> None:
    """Log which training begins, and how long the rest will take at the best speed so far."""
    same_size = [other for other in planned if other.size == training.size]
    log.info(
        "curve: size %s, seed %d of %d (training %d of %d%s)",
        f"{training.size:,}",
        same_size.index(training) + 1,
        len(same_size),
        planned.index(training) + 1,
        len(planned),
        estimate_time_left(planned, [other.state for other in planned]),
    )


def _raise_failures(home: CurveDir, planned: list[Training]) -> None:
    failures = home.read_failures()
    failed = [(training, failures[training.run.path.name]) for training in planned if training.state == FAILED]
    if failed:
        reasons = [
            f"  - size {training.size:,}, seed {training.seed}: {failure['reason']}" for training, failure in failed
        ]
        hints = dict.fromkeys(failure["hint"] for _, failure in failed)
        raise RunError(
            f"{len(failed)} of {len(planned)} runs failed:\n" + "\n".join(reasons),
            " ".join([f"The others are in {home.curve}. Run the same command again to retry.", *filter(None, hints)]),
        )
