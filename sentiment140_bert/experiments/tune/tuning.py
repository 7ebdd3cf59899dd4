"""``s140 tune``: find better settings for a recipe on the validation tweets alone, and say whether they are better."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sentiment140_bert.errors import DataError, RecipeError, RunError, S140Error
from sentiment140_bert.experiments import series
from sentiment140_bert.experiments.tune import comparison, space
from sentiment140_bert.experiments.tune.results import StudyDir, Tuning
from sentiment140_bert.experiments.tune.store import (
    GRACE,
    HEARTBEAT,
    VERSION,
    Store,
    make_file_url,
    parse_url,
    refuse_difference,
)
from sentiment140_bert.experiments.tune.study import Study, find_best
from sentiment140_bert.experiments.tune.trials import (
    Material,
    Progress,
    get_direction,
    get_metric,
    load_material,
    run_trial,
)
from sentiment140_bert.files import Place, remove_leftovers, write_json
from sentiment140_bert.locks import expand_folder
from sentiment140_bert.recipe import CHANGEABLE, Recipe, RecipeName, as_recipe
from sentiment140_bert.recipe.privacy import make_public
from sentiment140_bert.run import RunDir
from sentiment140_bert.schemas.experiments import StudyResults, TrialRecord, TuneResult
from sentiment140_bert.training import ancestors

if TYPE_CHECKING:
    from sentiment140_bert.recipe import Range, TrainingConfig

log = logging.getLogger(__name__)
ENDED = ("complete", "pruned", "failed")


def tune(
    recipe: RecipeName,
    output: Place,
    trials: int,
    *,
    timeout: float | None = None,
    storage: str | None = None,
    study_name: str | None = None,
    sampler: str = "tpe",
    pruner: str = "median",
    final_seeds: int = 3,
    keep_models: bool = False,
    arguments_given: list[str] | None = None,
) -> TuneResult:
    """Train the recipe with other settings repeatedly, and say which are the best and whether they are better.

    A trial sees training and validation tweets alone. After the last one the best values and the recipe as it is are
    trained with the same seeds and compared on the test and manual tweets. The same call again resumes, whatever
    stopped it; several processes with the same store share the trials, and the last of them makes the comparison.

    Args:
        recipe: With a ``tuning`` section of ranges; without one those of ``space.DEFAULT`` are taken.
        output: A new folder, or one of an earlier call with the same recipe and tweets.
        trials: Total number of trials in the store.
        timeout: Seconds, after which this process begins no further trial.
        storage: SQLAlchemy's address of an Optuna store; default: ``output/study.db``.
        study_name: Within the store; default: the one of an earlier call, else the folder's.
        sampler: One of ``tune.SAMPLERS``, seeded as every trial by the recipe.
        pruner: One of ``tune.PRUNERS``.
        final_seeds: Number of seeds of the comparison; 0 omits it, and leaves the test tweets unread.
        keep_models: Keep the model folders of the comparison.
        arguments_given: The arguments after ``s140`` on the command line.

    Raises:
        S140Error: Arguments, data, model, recipe, folder or store are unusable, or no trial is complete; or a signal
            stopped a training, and a checkpoint was written.
    """
    until = time.monotonic() + timeout if timeout else None
    recipe, home = as_recipe(recipe), StudyDir(expand_folder(output, "output"))
    seeds = _check_arguments(recipe, trials, timeout, final_seeds)
    recipe = series.check_recipe(recipe, "a tuning", keep_models)
    home.check()
    if storage:
        Store(storage).close()  # before tweets are prepared, which may take minutes
    study = StudyChoice(storage, study_name, sampler, pruner)
    with _open_tuning(home, ancestors.pin_models(recipe), study, final_seeds, arguments_given) as tuning:
        content, left = _run_study(tuning, trials, until, seeds, keep_models)
    return {**content, "left": left, "output": str(home.path)}


class StudyChoice(NamedTuple):
    """The store and name of a study, as they were given, and the names of sampler and pruner."""

    storage: str | None
    name: str | None
    sampler: str
    pruner: str


@contextmanager
def _open_tuning(
    home: StudyDir, recipe: Recipe, choice: StudyChoice, final_seeds: int, arguments_given: list[str] | None
) -> Iterator[Tuning]:
    """Prepare the tweets, and open the study of these settings in its store.

    Raises:
        RunError: The folder was begun with other settings, tweets, or another store.
    """
    from sentiment140_bert import models

    url = choice.storage or make_file_url(home.database)
    place, _ = parse_url(url)
    if arguments_given and choice.storage:  # run directories hold them, and the address may hold a password
        arguments_given = [argument.replace(choice.storage, place) for argument in arguments_given]
    own = _get_own_values(recipe)
    ranges = _choose_ranges(recipe, own)
    material = _prepare_material(recipe, ranges, final_seeds)
    identity = _identify(recipe, ranges, material, choice.sampler, choice.pruner)
    before = RunDir(home.path).read(home.about, dict[str, Any]) if home.about.is_file() else {}
    name = choice.name or str(before.get("study") or home.path.resolve().name)
    with models.keep_base_model(recipe.model.model_name_or_path), closing(Store(url)) as store:
        about = {"study": name, "store": store.place if choice.storage else home.database.name, "version": VERSION}
        about |= identity
        refuse_difference(before or None, about, str(home.path))
        study = Study(store, name, identity)
        write_json(home.about, about)
        yield Tuning(home, study, recipe, material, own, arguments_given)


def _run_study(
    tuning: Tuning, planned: int, until: float | None, seeds: list[int], keep_models: bool
) -> tuple[StudyResults, int]:
    """Run trials and comparison; return ``tuning.json``, and the number of trials of other processes that are left."""
    tuning.begin_tracking()
    _run_trials(tuning, planned, until)
    content = tuning.write_results()
    if not content["best"] and not tuning.study.count_running():
        raise _explain_nothing(content)
    if seeds and content["best"]:
        content = _compare(tuning, content, seeds, keep_models)
    left = tuning.study.count_running()
    if not left:
        tuning.track_results(content)
    return content, left


def _run_trials(tuning: Tuning, planned: int, until: float | None) -> None:
    """Run trials until no trial is left to start, or the time is over."""
    from sentiment140_bert.training.checkpoints import remove_checkpoints

    study, home = tuning.study, tuning.home
    remove_leftovers(home.path)
    trials = tuning.write_best()
    for trial in trials:
        if trial["state"] in ENDED:  # its process may have been killed before it did this
            remove_checkpoints(home.trial(trial["number"]))
    done, metric = _count_ended(trials), get_metric(tuning.recipe).removeprefix("eval_")
    size = len(study.space)
    log.info("tune: %d of %d trials are done; %d settings are tuned by validation %s", done, planned, size, metric)
    progress = Progress(planned, done, study.direction, find_best(trials, study.direction))
    first = space.select_within(study.space, tuning.own)
    patience = None
    with closing(progress.bar):
        while until is None or time.monotonic() < until:
            if study.queue_next(planned, first):
                study.run_next(lambda attempt: run_trial(tuning, attempt, progress))
                progress.done = _count_ended(tuning.write_best())
                patience = None
            elif study.store.file or not study.count_running():
                return
            else:  # processes of other machines, of which one or the other may be dead
                patience = patience or time.monotonic() + GRACE + HEARTBEAT
                if time.monotonic() > patience:
                    return
                time.sleep(1.0)
    log.info("tune: --timeout is reached")


def _compare(tuning: Tuning, content: StudyResults, seeds: list[int], keep_models: bool) -> StudyResults:
    """Compare the best values with the recipe, unless other processes are at work, the last of which does it; if
    another process finds a better trial meanwhile, compare that one. Return the final results."""
    with tuning.home.lock("final", wait=False) as is_free:
        while is_free and (best := content["best"]) and not tuning.study.count_running():
            content = tuning.write_results(comparison.compare(tuning, best, seeds, keep_models))
            if content["final"]:
                return content
            best = content["best"] or best
            log.info("tune: meanwhile trial %d has become the best", best["number"])
    log.info("tune: other processes are still running; the last one makes the comparison")
    return content


def _count_ended(trials: list[TrialRecord]) -> int:
    return sum(trial["state"] in ENDED for trial in trials)


def _explain_nothing(content: StudyResults) -> RunError:
    reasons = list(dict.fromkeys(trial["reason"] for trial in content["trials"] if trial["reason"]))
    if reasons:
        return RunError(f"No trial finished: {' '.join(reasons)}", "Narrow the ranges of the tuning section.")
    return RunError(
        "--timeout was reached before any trial finished.", "Use a longer --timeout; the same command resumes."
    )


def _check_arguments(recipe: Recipe, trials: int, timeout: float | None, final_seeds: int) -> list[int]:
    """Refuse what cannot work before anything begins, and return the seeds of the comparison."""
    if trials < 1:
        raise S140Error(f"--trials must be at least 1, not {trials}.", "20 to 50 are usual.")
    if timeout is not None and not timeout > 0:
        raise S140Error(f"--timeout must be more than 0 seconds, not {timeout:g}.", "Omit it for no limit.")
    if final_seeds < 0:
        raise S140Error(f"--final-seeds must be at least 0, not {final_seeds}.", "3 seeds show how much results vary.")
    seeds = comparison.choose_seeds(recipe, final_seeds)
    if recipe.training.eval_strategy == "no":
        raise RecipeError(["eval_strategy: trials need evaluations; set it to epoch or steps"])
    from sentiment140_bert.training import arguments

    precision = arguments.choose_precision(recipe.training)
    for config in _list_schedules(recipe):
        arguments.training_arguments(config, precision, Path())
    return seeds


def _list_schedules(recipe: Recipe) -> Iterator[TrainingConfig]:
    """Yield each schedule that may be tried, with the greatest and least learning rates."""
    kinds = recipe.tuning["lr_scheduler_type"].choices if "lr_scheduler_type" in recipe.tuning else ()
    rates = recipe.tuning.get("learning_rate")
    ends = (rates.choices or (rates.low, rates.high)) if rates else ()
    for kind in kinds or [recipe.training.lr_scheduler_type]:
        for rate in ends or [recipe.training.learning_rate]:
            yield recipe.training.model_copy(update={"lr_scheduler_type": kind, "learning_rate": rate})


def _get_own_values(recipe: Recipe) -> dict[str, Any]:
    """Return the recipe's own value of every setting; of dropout the model's, if the recipe has none."""
    from sentiment140_bert import models

    plain = recipe.to_dict()
    flat: dict[str, Any] = plain["model"] | plain["data"] | plain["training"]
    dropouts = models.read_dropouts(models.load_config(recipe.model.model_name_or_path, recipe.model.model_revision))
    own = {name: value for name, value in recipe.model.dropouts().items() if value is not None}
    return flat | dict.fromkeys(recipe.model.dropouts()) | dropouts | own


def _choose_ranges(recipe: Recipe, own: Mapping[str, Any]) -> dict[str, Range]:
    """Return the recipe's ranges; without any the default ones, as far as they have a meaning for it.

    Raises:
        RecipeError: The model has no such dropout.
    """
    unknown = [name for name in recipe.model.dropouts() if own[name] is None]
    problems = [f"tuning: {name}: this model has no such dropout" for name in unknown if name in recipe.tuning]
    if problems:
        raise RecipeError(problems)
    if recipe.tuning:
        return dict(recipe.tuning)
    without = set(unknown)
    if recipe.training.max_steps > 0:
        without.add("num_train_epochs")
    if get_metric(recipe) == "eval_loss":  # which label smoothing changes
        without.add("label_smoothing_factor")
    log.info("tune: the recipe has no tuning section; the default ranges are used")
    return {name: limits for name, limits in space.DEFAULT.items() if name not in without}


def _prepare_material(recipe: Recipe, ranges: dict[str, Range], final_seeds: int) -> Material:
    material = load_material(recipe, space.find_longest(ranges, recipe.data.max_length))
    if final_seeds and not comparison.SCORED.keys() & material.report["splits"].keys():
        raise DataError(
            "There are no test tweets to score the best values on.",
            "Set --test-size or --manual-test, or --final-seeds 0.",
        )
    return material


def _identify(
    recipe: Recipe, ranges: dict[str, Range], material: Material, sampler: str, pruner: str
) -> dict[str, Any]:
    """Return what all processes of a study must agree on, as JSON gives it back."""
    from sentiment140_bert import models

    plain = make_public(recipe, is_on_hub=material.report["sources"]["training"]["on_hub"]).to_dict()
    settings = {section: plain[section] for section in ("model", "data", "training")}
    settings["training"] = {key: value for key, value in settings["training"].items() if key not in CHANGEABLE}
    return {
        "space": space.to_plain(ranges),
        "recipe": settings,
        "base_weights": models.hash_local_weights(recipe.model.model_name_or_path),
        "data": material.report["fingerprint"],
        "metric": get_metric(recipe),
        "direction": get_direction(recipe),
        "sampler": sampler,
        "pruner": pruner,
        "seed": recipe.training.seed,
    }
