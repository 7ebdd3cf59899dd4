"""``s140 tune``: better settings for a recipe, found on the validation tweets alone."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment140_bert.data import loading
from sentiment140_bert.errors import DataError, RecipeError, RunError, S140Error
from sentiment140_bert.experiments.tune import finals, tracked_trials, trials
from sentiment140_bert.experiments.tune.owner import PATIENCE
from sentiment140_bert.experiments.tune.results import SCORED
from sentiment140_bert.experiments.tune.study_dir import TuningDir
from sentiment140_bert.experiments.tune.work import Work
from sentiment140_bert.files import write_json
from sentiment140_bert.recipe import Recipe, drop_checkpoint_repo
from sentiment140_bert.recipe.privacy import make_public

if TYPE_CHECKING:
    from sentiment140_bert.experiments.tune.trials import Material
    from sentiment140_bert.recipe import Range, TrainingConfig

log = logging.getLogger(__name__)
NOT_COMPARED = ("report_to", "run_name")


def tune(
    recipe: Recipe,
    output: Path,
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
    patience: float = PATIENCE,
) -> dict[str, Any]:
    """Trains the recipe with other settings, time and again, and says which are the best and whether they are better.

    A trial sees training and validation tweets alone. After the last one the best values and the recipe as it is are
    trained with the same seeds and compared on the test and manual tweets. The same call goes on where it was stopped;
    several processes with the same store share the trials, and the last of them makes the comparison.

    Args:
        recipe: Its ``tuning`` section holds the ranges; without one those of ``space.DEFAULT``. Its ``seed`` is that of
            every trial and of the sampler; those of the comparison follow it.
        output: A new folder, or one of an earlier call with the same recipe and tweets.
        trials: How many there are to be in the store in the end.
        timeout: Seconds, after which this process begins no further trial.
        storage: SQLAlchemy's address of an Optuna store; without it ``output/study.db``.
        study_name: Within the store; without it the one that ``output`` was begun with, at first the folder's.
        sampler: tpe or random.
        pruner: median, hyperband or none.
        final_seeds: Of the comparison; 0 leaves it away, and the test tweets unread.
        keep_models: Keep the model folders of the comparison.
        arguments_given: What followed ``s140`` on the command line.
        patience: Seconds without a sign of life, after which a process on another machine counts as dead.

    Returns:
        The content of ``tuning.json``, and ``output``, ``left`` (trials that other processes are still at).

    Raises:
        S140Error: There is nothing to do; data, model or recipe are not as they should be.
        StoreError: The store is locked, out of reach, or holds another study.
        RunError: ``output`` holds something else, or no trial came to its end.
        Interrupted: A signal stopped a training; a checkpoint was written.
    """
    recipe = drop_checkpoint_repo(recipe, "a tuning")
    _possible(recipe, trials, timeout, final_seeds, keep_models)
    from sentiment140_bert.experiments.tune.identity import refuse_another
    from sentiment140_bert.experiments.tune.store import Store, check
    from sentiment140_bert.experiments.tune.study import Study

    home = TuningDir(output)
    home.refuse_something_else()
    url = storage or f"sqlite:///{home.store.resolve()}"
    place, _ = check(url)
    store = Store(url) if storage else None  # before tweets are prepared, which may take minutes
    if arguments_given and storage:  # they are told in run directories, and its address may hold a password
        arguments_given = [each.replace(storage, place) for each in arguments_given]
    began = time.monotonic()
    recipe = loading.pin_base_model(recipe)
    own = _own_values(recipe)
    ranges = _space(recipe, own)
    material = _material(recipe, ranges, final_seeds)
    identity = _identity(recipe, ranges, material, sampler, pruner)
    store = store or Store(url)
    begun = home.read(home.about)
    name = study_name or _name_in(begun) or home.path.resolve().name
    about = {"study": name, "store": store.place if storage else home.store.name} | identity
    refuse_another(begun or None, about, str(home.path))
    study = Study(store, name, identity, patience)
    write_json(home.about, about)
    shared = _names(home, recipe, tracked_trials.parent(home, study, recipe, material.report, arguments_given))
    work = Work(home, study, recipe, material, own, shared, arguments_given)
    work.make_trials(trials, began + timeout if timeout else None)
    tuning = work.results()
    if not tuning["best"] and not study.others():
        raise _nothing_found(tuning)
    if final_seeds and tuning["best"]:
        tuning = work.compare(tuning, final_seeds, keep_models)
    others = study.others()
    if not others:
        tracked_trials.tell(home, recipe, tuning)
    return tuning | {"output": str(output), "left": others}


def _name_in(begun: Mapping[str, Any]) -> str | None:
    """The name of the study that a folder was begun with, which the folder may have had then."""
    name = begun.get("study")
    return name if isinstance(name, str) else None


def _nothing_found(tuning: dict[str, Any]) -> RunError:
    reasons = list(dict.fromkeys(each["reason"] for each in tuning["trials"] if each["reason"]))
    if reasons:
        return RunError(f"No trial came to its end: {' '.join(reasons)}", "Narrow the ranges of the tuning section.")
    return RunError("The time was over before a trial came to its end.", "Give a longer --timeout: it goes on.")


def _possible(recipe: Recipe, trials: int, timeout: float | None, final_seeds: int, keep_models: bool) -> None:
    if trials < 1:
        raise S140Error(f"{trials} trials try nothing.", "Give --trials 1 or more; 20 to 50 are usual.")
    if timeout is not None and not timeout > 0:
        raise S140Error(
            f"In {timeout:g} seconds nothing can be tried.", "Give --timeout more than 0, or leave it away."
        )
    if final_seeds < 0:
        raise S140Error(f"{final_seeds} seeds are none.", "Give --final-seeds 0 or more; 3 show how far seeds differ.")
    finals.seeds_of(recipe, final_seeds)
    if recipe.training.eval_strategy == "no":
        raise RecipeError(["eval_strategy: no trial can be judged without evaluations: set it to epoch or steps"])
    if recipe.tracking.register_model:
        raise RecipeError(["register_model: a tuning has no model to be registered: train best.yaml"])
    if recipe.tracking.log_model and not keep_models:
        raise RecipeError(["log_model: no model is kept; add --keep-models, or leave it away"])
    from sentiment140_bert.training import arguments

    precision = arguments.choose_precision(recipe.training)
    settings = arguments.training_arguments(recipe.training, precision, Path())
    for config in _schedules(recipe):
        arguments.training_arguments(config, precision, Path())
    if arguments.set_up_processes(settings).num_processes > 1:
        raise RunError(
            "A trial is made in one process.", "Start it without torchrun or accelerate, once on each GPU or machine."
        )


def _schedules(recipe: Recipe) -> Iterator[TrainingConfig]:
    """Each schedule that may be tried, with the greatest and least learning rates."""
    kinds = recipe.tuning["lr_scheduler_type"].choices if "lr_scheduler_type" in recipe.tuning else ()
    rates = recipe.tuning.get("learning_rate")
    ends = (rates.choices or (rates.low, rates.high)) if rates else ()
    for kind in kinds or [recipe.training.lr_scheduler_type]:
        for rate in ends or [recipe.training.learning_rate]:
            yield recipe.training.model_copy(update={"lr_scheduler_type": kind, "learning_rate": rate})


def _own_values(recipe: Recipe) -> dict[str, Any]:
    """The recipe's own value of every setting; of dropout the model's, where the recipe says none."""
    from sentiment140_bert import models

    plain = recipe.to_dict()
    flat: dict[str, Any] = plain["model"] | plain["data"] | plain["training"]
    dropouts = models.read_dropouts(models.load_config(recipe.model.model_name_or_path, recipe.model.model_revision))
    asked = {name: value for name, value in recipe.model.dropouts().items() if value is not None}
    return flat | dict.fromkeys(recipe.model.dropouts()) | dropouts | asked


def _space(recipe: Recipe, own: Mapping[str, Any]) -> dict[str, Range]:
    """The recipe's ranges; without any the default ones, as far as they have a meaning for it.

    Raises:
        RecipeError: The model has no such dropout.
    """
    from sentiment140_bert.experiments.tune.space import DEFAULT

    unknown = [name for name in recipe.model.dropouts() if own[name] is None]
    wrong = [f"tuning: {name}: this model has no such dropout" for name in unknown if name in recipe.tuning]
    if wrong:
        raise RecipeError(wrong)
    if recipe.tuning:
        return dict(recipe.tuning)
    without = set(unknown)
    if recipe.training.max_steps > 0:
        without.add("num_train_epochs")
    if trials.metric_of(recipe) == "eval_loss":  # which label smoothing changes
        without.add("label_smoothing_factor")
    log.info("tune: the recipe has no tuning section; the default ranges are taken")
    return {name: each for name, each in DEFAULT.items() if name not in without}


def _material(recipe: Recipe, ranges: dict[str, Range], final_seeds: int) -> Material:
    from sentiment140_bert.experiments.tune.space import longest

    material = trials.material(recipe, longest(ranges, recipe.data.max_length))
    if final_seeds and not SCORED.keys() & material.report["splits"].keys():
        raise DataError(
            "Nothing is held out on which the best values could be scored.",
            "Give --test-size or --manual-test, or --final-seeds 0.",
        )
    return material


def _identity(
    recipe: Recipe, ranges: dict[str, Range], material: Material, sampler: str, pruner: str
) -> dict[str, Any]:
    """What all processes of a study must agree on; as JSON gives it back."""
    from sentiment140_bert.experiments.tune import space

    plain = make_public(recipe).to_dict()
    settings = {section: plain[section] for section in ("model", "data", "training")}
    settings["training"] = {key: each for key, each in settings["training"].items() if key not in NOT_COMPARED}
    return {
        "space": space.plain(ranges),
        "recipe": settings,
        "data": material.report["fingerprint"],
        "metric": trials.metric_of(recipe),
        "direction": trials.direction_of(recipe),
        "sampler": sampler,
        "pruner": pruner,
        "seed": recipe.training.seed,
    }


def _names(home: TuningDir, recipe: Recipe, parent: str | None) -> dict[str, Any]:
    """What the tracked runs of all trainings share."""
    return {"group": recipe.tracking.group or home.path.resolve().name, "parent_run": parent}
