"""A recipe: everything that decides a run, as frozen dataclasses, read from and written to YAML.

Five sections, ``model``, ``data``, ``training``, ``tracking`` and ``card``; no two share a key, so a flag or ``--set``
needs no prefix. A sixth, ``tuning``, holds ranges for `s140 tune` (see :mod:`ranges`). Keys of ``training`` are
``transformers.TrainingArguments``' own; those that are not spelled out here are accepted too and checked against that
class.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import yaml

from sentiment140_bert.credentials import looks_secret
from sentiment140_bert.errors import RecipeError
from sentiment140_bert.ranges import Range, mixes_shares, parse_ranges
from sentiment140_bert.settings import (
    SCORES,
    TRACKERS,
    CardConfig,
    DataConfig,
    ModelConfig,
    TrackingConfig,
    TrainingConfig,
    settings,
)
from sentiment140_bert.values import TYPE_NAMES, Rule, checked, shown

MOST_PROBLEMS = 50  # told at once: to find the nearest known key takes a while


class _WrittenOut(yaml.SafeDumper):
    """Without anchors; and with line breaks other than LF escaped, which PyYAML would read as spaces."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = '"' if any(sign in text for sign in "\x85\u2028\u2029") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_WrittenOut.add_representer(str, _text)


@dataclass(frozen=True)
class Recipe:
    """A whole recipe. Use :func:`parse` to build one from plain values and :meth:`with_values` to change some."""

    description: str = ""
    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    card: CardConfig = field(default_factory=CardConfig)
    tuning: Mapping[str, Range] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Every value, defaults included, as :func:`parse` takes it; ``tuning`` only where there are ranges."""
        plain = dataclasses.asdict(self)
        plain["training"] |= plain["training"].pop("more")
        del plain["tuning"]
        if self.tuning:
            plain["tuning"] = {name: each.to_plain() for name, each in self.tuning.items()}
        for section in SECTIONS:
            plain[section] = {k: list(v) if isinstance(v, tuple) else v for k, v in plain[section].items()}
        return plain

    def to_yaml(self) -> str:
        return yaml.dump(self.to_dict(), Dumper=_WrittenOut, sort_keys=False, allow_unicode=True, width=110)

    def with_values(self, values: Mapping[str, Any], origin: str = "the flags") -> Recipe:
        """This recipe with the given keys replaced.

        Args:
            values: Field name (no section) to new value.
            origin: Where they come from, for the error.

        Raises:
            RecipeError: Listing every unknown key and wrong value.
        """
        plain = self.to_dict()
        for key, value in values.items():
            section = SECTION_OF.get(key, "training")
            plain[section][key] = value
        return parse(plain, origin)


SECTIONS: dict[str, type[Any]] = {
    "model": ModelConfig,
    "data": DataConfig,
    "training": TrainingConfig,
    "tracking": TrackingConfig,
    "card": CardConfig,
}


# Settings that say how labelled tweets are read, whatever is done with them.
READING = (
    "dataset",
    "dataset_revision",
    "dataset_split",
    "text_column",
    "label_column",
    "user_column",
    "time_column",
    "id_column",
    "label_map",
    "labels_file",
    "delimiter",
    "quoting",
    "encoding",
    "manual_test",
)

SECTION_OF = {name: section for section, cls in SECTIONS.items() for name, _, _ in settings(cls)}

NOT_YOURS = {
    "output_dir": "use --output-dir",
    "resume_from_checkpoint": "use --resume",
    "restore_callback_states_from_checkpoint": "a checkpoint makes no callbacks",
    "accelerator_config": "name its settings one by one, as TrainingArguments does",
    "hub_token": "a token belongs in the environment (HF_TOKEN) or in `hf auth login`, never in a file",
    "push_to_hub": "use `s140 train --push-to-hub --repo-id user/model`",
    "hub_model_id": "use --repo-id",
    "hub_private_repo": "use --private",
    "hub_strategy": "a finished run is published, in one commit",
    "remove_unused_columns": "the data columns are this package's own",
    "train_sampling_strategy": "batches of like lengths are made by this package, and evaluation keeps its order",
    "do_train": "it is what `s140 train` does",
    "do_eval": "use eval_strategy",
    "enable_jit_checkpoint": "a signal leaves a checkpoint anyway",
    "use_cpu": "it follows the hardware; CUDA_VISIBLE_DEVICES= hides a GPU",
    "label_names": "it is what the model takes",
    "dataloader_pin_memory": "it follows the hardware",
    "dataloader_drop_last": "no tweet is left out",
    "dataloader_prefetch_factor": "the batches are this package's own",
    "dataloader_persistent_workers": "the batches are this package's own",
    "prediction_loss_only": "the scores need predictions",
    "batch_eval_metrics": "the scores need all predictions at once",
    "eval_do_concat_batches": "the scores need all predictions at once",
    "fsdp": "models of this size need no sharding",
    "deepspeed": "models of this size need no sharding",
    "disable_tqdm": "the progress bar adapts to the terminal by itself",
}


def parse(plain: Mapping[str, Any], origin: str = "the recipe") -> Recipe:
    """Builds a recipe from plain values, as ``yaml.safe_load`` gives them.

    Args:
        plain: ``{"description": str, "model": {…}, "data": {…}, "training": {…}}``, each key optional.
        origin: Name of the source, for the error.

    Raises:
        RecipeError: Listing every unknown key and every wrong value at once.
    """
    problems: list[str] = []
    if not isinstance(plain, Mapping):
        raise RecipeError([f"expected the sections {', '.join(SECTIONS)}; got {type(plain).__name__}"], origin)
    for key in plain:
        if key not in (*SECTIONS, "description", "tuning"):
            problems.append(_misplaced(key))
        if len(problems) > MOST_PROBLEMS:
            raise RecipeError([*problems, "and perhaps more"], origin)
    if looks_secret(str(plain.get("description"))):
        problems.append("description holds what looks like a secret")
    sections = {}
    for name, cls in SECTIONS.items():
        given = plain.get(name)
        if given is not None and not isinstance(given, Mapping):
            problems.append(f"section {name}: expected `key: value` lines, got {shown(given)}")
            given = None
        sections[name] = _section(name, cls, given or {}, problems)
    ranges = parse_ranges(plain.get("tuning"), _fields(), problems)
    if problems:
        raise RecipeError(problems, origin)
    recipe = Recipe(description=str(plain.get("description") or "").strip(), **sections, tuning=ranges)
    problems += _contradictions(recipe)
    if problems:
        raise RecipeError(problems, origin)
    return recipe


def _fields() -> dict[str, tuple[Any, Rule | None]]:
    """Type and rule of every setting."""
    return {
        name: (kind, each.metadata["rule"]) for section in SECTIONS.values() for name, kind, each in settings(section)
    }


def _section(name: str, cls: type[Any], given: Mapping[Any, Any], problems: list[str]) -> Any:
    known = {key: (kind, each) for key, kind, each in settings(cls)}
    values: dict[str, Any] = {}
    more: dict[str, Any] = {}
    for key, raw in given.items():
        if key not in NOT_YOURS and looks_secret(str(raw)):
            problems.append(f"{key} holds what looks like a secret; it belongs in the environment or in a login")
        elif key in known:
            kind, each = known[key]
            values[key], problem = checked(raw, kind, each.metadata["rule"])
            problems += [f"{key}: {problem}"] if problem else []
        elif key in NOT_YOURS:
            problems.append(f"{key} cannot be set in a recipe: {NOT_YOURS[key]}")
        elif name == "training" and key not in SECTION_OF and key in _training_arguments():
            more[str(key)], problem = _checked_loosely(raw, _training_arguments()[key])
            problems += [f"{key}: {problem}"] if problem else []
        else:
            problems.append(_misplaced(key, name))
        if len(problems) > MOST_PROBLEMS:
            problems.append("and perhaps more")
            break
    if problems:
        return None
    return cls(**values, **({"more": more} if name == "training" else {}))


def _training_arguments() -> dict[str, Any]:
    """Name and type of TrainingArguments' fields; imported only when a key is not one of the spelled-out ones."""
    from transformers import TrainingArguments

    types = get_type_hints(TrainingArguments)
    fields = dataclasses.fields(TrainingArguments)
    return {each.name: types[each.name] for each in fields if each.init and not each.name.startswith("_")}


def _checked_loosely(raw: Any, kind: Any) -> tuple[Any, str]:
    """As :func:`values.checked` where the type is a plain one; anything else is left to TrainingArguments."""
    alternatives = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    options = {each for each in alternatives if each is not NoneType}
    return checked(raw, kind, None) if len(options) == 1 and options <= TYPE_NAMES.keys() else (raw, "")


def _misplaced(key: Any, section: str = "") -> str:
    if not isinstance(key, str) or len(key) > 100:
        return f"unknown key {shown(key)}"
    home = SECTION_OF.get(key)
    if home and home != section:
        return f"{key} belongs into section {home}"
    everything = {*SECTION_OF, *SECTIONS, "tuning", *(_training_arguments() if section == "training" else ())}
    near = difflib.get_close_matches(str(key), sorted(everything), n=1, cutoff=0.5)
    return f"unknown key {key!r}" + (f"; did you mean {near[0]}?" if near else "")


def _contradictions(recipe: Recipe) -> Iterator[str]:
    data, training = recipe.data, recipe.training
    asked = {name for name in ("fp16", "bf16") if getattr(training, name)}
    if len(asked) == 2:
        yield "fp16 and bf16 are both true: choose one"
    elif asked and training.precision not in ("auto", *asked):
        yield f"precision is {training.precision} but {asked.pop()} is true"
    shares = [size for size in (data.validation_size, data.test_size) if 0 < size < 1]
    if sum(shares) >= 1:
        yield f"validation_size {data.validation_size} and test_size {data.test_size} leave nothing to train on"
    if training.load_best_model_at_end and "no" in (training.eval_strategy, training.save_strategy):
        yield "load_best_model_at_end needs eval_strategy and save_strategy: set it to false, or both to epoch"
    elif training.load_best_model_at_end and training.save_strategy not in ("best", training.eval_strategy):
        yield (
            f"load_best_model_at_end needs save_strategy ({training.save_strategy}) "
            f"to equal eval_strategy ({training.eval_strategy})"
        )
    both_by_steps = training.eval_strategy == training.save_strategy == "steps"
    between = training.eval_steps or training.logging_steps
    if training.load_best_model_at_end and both_by_steps and training.save_steps % between:
        yield f"save_steps ({training.save_steps:g}) must be a multiple of eval_steps ({between:g})"
    metric = training.metric_for_best_model.removeprefix("eval_")
    if metric not in (*SCORES, "loss"):
        yield f"metric_for_best_model: {metric!r} is none of {', '.join(SCORES)}, loss"
    yield from _unknown_choices(training)
    yield from _trackers(recipe)
    yield from _ranges(recipe)
    if data.conflicts == "keep" and data.split_by != "random":
        yield f"conflicts: keep cannot be combined with split_by: {data.split_by}, which may part the two copies"


def _trackers(recipe: Recipe) -> Iterator[str]:
    asked, tracking = recipe.training.report_to, recipe.tracking
    for name in asked:
        if name not in (*TRACKERS, "auto", "none"):
            near = difflib.get_close_matches(name, TRACKERS, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            yield f"report_to: {name!r} is none of {', '.join(TRACKERS)}, auto, none{hint}"
    if not asked:
        yield "report_to: name a tracker, or none"
    elif "none" in asked and len(asked) > 1:
        yield f"report_to: none cannot be combined with others: {', '.join(asked)}"
    if tracking.register_model and not {"mlflow", "auto"} & set(asked):
        yield "register_model needs report_to mlflow"
    if tracking.register_model and tracking.log_model is False:
        yield "register_model needs the model to be logged: leave log_model: false away"


def _ranges(recipe: Recipe) -> Iterator[str]:
    """What of the ranges has no effect, or two meanings."""
    if mixes_shares(recipe.tuning.get("warmup_steps", Range())):
        yield "tuning: warmup_steps: below 1 it is a share of all steps, else their number: one range cannot hold both"
    if "num_train_epochs" in recipe.tuning and recipe.training.max_steps > 0:
        yield "tuning: num_train_epochs has no effect beside max_steps: leave one of them away"
    if "label_smoothing_factor" in recipe.tuning and recipe.training.metric_for_best_model in ("loss", "eval_loss"):
        yield "tuning: label_smoothing_factor changes what metric_for_best_model: loss measures: take log_loss there"
    schedules = recipe.tuning.get("lr_scheduler_type")
    for name in schedules.choices if schedules else ():
        chosen = dataclasses.replace(recipe.training, lr_scheduler_type=name)
        yield from (f"tuning: {each}" for each in _unknown_choices(chosen))


def _unknown_choices(training: TrainingConfig) -> Iterator[str]:
    """Optimizers and schedules that transformers does not know; it is asked only about other ones than the defaults."""
    usual = TrainingConfig()
    if (training.optim, training.lr_scheduler_type) == (usual.optim, usual.lr_scheduler_type):
        return
    from transformers import SchedulerType
    from transformers.training_args import OptimizerNames

    for name, known in (("optim", OptimizerNames), ("lr_scheduler_type", SchedulerType)):
        names = [each.value for each in known]
        value = getattr(training, name)
        if value not in names:
            near = difflib.get_close_matches(value, names, n=1)
            yield f"{name}: transformers has no {value!r}" + (f"; did you mean {near[0]}?" if near else "")
