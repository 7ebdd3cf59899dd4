"""A recipe: everything that decides a run, as frozen dataclasses, read from and written to YAML.

Four sections, ``model``, ``data``, ``training`` and ``tracking``; no two share a key, so a flag or ``--set`` needs no
prefix. A fifth, ``tuning``, holds ranges for `s140 tune` (see :mod:`ranges`). Keys of ``training`` are
``transformers.TrainingArguments``' own; those that are not spelled out here are accepted too and checked against that
class. The defaults are the job of the original notebook, done right.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import NoneType
from typing import Any, Literal, get_args, get_type_hints

import yaml

from sentiment140_bert.credentials import looks_secret
from sentiment140_bert.errors import RecipeError
from sentiment140_bert.ranges import Range, mixes_shares, parse_ranges
from sentiment140_bert.values import (
    A_WORD,
    ALIAS,
    DECAY,
    DROPOUT,
    MAPPED,
    NOT_NEGATIVE,
    POSITIVE,
    PROPORTION,
    REGISTERED,
    ROWS,
    SEED,
    SOME_ROWS,
    TYPE_NAMES,
    Rule,
    checked,
    shown,
)

# The scores of a split by their names in metrics.json; metric_for_best_model names one of them, or loss.
SCORES = ("accuracy", "f1", "precision", "recall", "matthews_correlation", "roc_auc", "log_loss")

# The baselines that stand beside them, likewise.
BASELINES = {"majority": "always the commoner class", "tfidf": "TF-IDF, logistic regression"}

MOST_PROBLEMS = 50  # told at once: to find the nearest known key takes a while

TRACKERS = ("wandb", "mlflow", "trackio", "tensorboard")


def setting(default: Any, doc: str, rule: Rule | None = None) -> Any:
    """A dataclass field with its documentation, which is also the text of its flag's ``--help``."""
    return field(default=default, metadata={"doc": doc, "rule": rule})


@dataclass(frozen=True)
class ModelConfig:
    """Which encoder is fine-tuned."""

    model_name_or_path: str = setting(
        "google-bert/bert-base-uncased", "Hub id, folder, or bundled:minilm (the encoder of the [offline] extra)."
    )
    model_revision: str | None = setting(None, "Branch, tag or commit of the model on the Hub.")
    hidden_dropout_prob: float | None = setting(
        None, "Dropout of embeddings and layers while training (default: the model's own).", DROPOUT
    )
    attention_probs_dropout_prob: float | None = setting(
        None, "Dropout of attention while training (default: the model's own).", DROPOUT
    )
    classifier_dropout: float | None = setting(
        None, "Dropout before the classifier while training (default: the model's own).", DROPOUT
    )

    def dropouts(self) -> dict[str, float | None]:
        """What is asked of dropout, by BERT's names; None is the model's own."""
        names = ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class DataConfig:
    """Where the tweets come from and what becomes of them before the first batch."""

    dataset: str = setting(
        "stanfordnlp/sentiment140",
        "Hub id, 'stanford' (the original archive), 'sample' (ships with this package), "
        "table:catalog.schema.name (read by Spark), a .csv[.gz|.zip], .tsv, .parquet or .jsonl file, or a folder saved "
        "by datasets.",
    )
    dataset_revision: str | None = setting(None, "Branch, tag or commit of the dataset on the Hub.")
    dataset_split: str = setting("train", "Split of a Hub dataset or saved folder to draw the tweets from.")
    text_column: str | None = setting(None, "Name of the text column, where it is not obvious.")
    label_column: str | None = setting(None, "Name of the label column, where it is not obvious.")
    label_map: str | None = setting(
        None,
        "What the labels mean, as in 0=negative,1=neutral,2=positive; LABEL=drop leaves rows out. "
        "[default: by their names, or as numbers of Sentiment140]",
        MAPPED,
    )
    delimiter: str | None = setting(None, "Field delimiter of a CSV file (default: comma; tab for .tsv).")
    encoding: str | None = setting(None, "Text encoding of the file (default: UTF-8 if it is valid, else latin-1).")
    manual_test: str | None = setting(
        None,
        "File or table: with hand-labelled tweets, scored apart as split 'manual' ('none' drops the dataset's own).",
    )
    max_bad_rows: float = setting(0.01, "Largest share of malformed rows that is skipped and counted.", PROPORTION)
    cleaning: Literal["raw", "mask", "repair"] = setting(
        "repair", "raw: as it is; mask: users and URLs; repair: also HTML entities and mojibake."
    )
    conflicts: Literal["drop", "majority", "keep"] = setting(
        "drop", "What becomes of texts that carry both labels: all dropped, the majority's kept, or both kept."
    )
    max_samples: int | None = setting(None, "Tweets drawn, stratified, from the whole input (default: all).", POSITIVE)
    max_train_samples: int | None = setting(
        None,
        "Training tweets drawn, stratified, of those left after the splits, which stay as they are (default: all).",
        POSITIVE,
    )
    validation_size: float = setting(0.05, "Validation rows: a share, or a whole number.", SOME_ROWS)
    test_size: float = setting(0.05, "Test rows: a share, or a whole number (0: none).", ROWS)
    split_by: Literal["random", "time", "user"] = setting(
        "random", "random: stratified; time: the latest are the test; user: no user on both sides."
    )
    drop_suspects: str | None = setting(
        None, "CSV of `s140 suspects` (column text, perhaps label): training tweets that are left out."
    )
    split_seed: int = setting(42, "Seed of the sample and of the splits.", SEED)
    max_length: int = setting(128, "Tokens kept of a tweet; what is cut is counted.", A_WORD)


@dataclass(frozen=True)
class TrainingConfig:
    """TrainingArguments by their own names; ``more`` holds those that are not spelled out here."""

    num_train_epochs: float = setting(3.0, "Passes over the training split.", POSITIVE)
    max_steps: int = setting(-1, "Optimizer steps; overrides num_train_epochs when positive.")
    learning_rate: float = setting(2e-5, "Peak learning rate.", POSITIVE)
    per_device_train_batch_size: int = setting(16, "Tweets in a batch on each device.", POSITIVE)
    per_device_eval_batch_size: int = setting(64, "Tweets in an evaluation batch on each device.", POSITIVE)
    gradient_accumulation_steps: int = setting(1, "Batches summed into one optimizer step.", POSITIVE)
    auto_find_batch_size: bool = setting(
        True, "Where a batch does not fit into memory, compute it in halves: the optimizer step stays the same."
    )
    weight_decay: float = setting(0.01, "Weight decay of AdamW (biases and LayerNorm excluded).", NOT_NEGATIVE)
    warmup_steps: float = setting(0.0, "Warm-up: steps, or a share of all steps when below 1.", NOT_NEGATIVE)
    lr_scheduler_type: str = setting("linear", "Learning rate schedule.")
    layerwise_lr_decay: float = setting(
        1.0, "Factor of the learning rate from each layer to the one below it (1: the same for all).", DECAY
    )
    optim: str = setting("adamw_torch_fused", "Optimizer.")
    max_grad_norm: float = setting(1.0, "Gradient clipping norm.", NOT_NEGATIVE)
    label_smoothing_factor: float = setting(0.0, "Label smoothing.", PROPORTION)
    eval_strategy: Literal["no", "steps", "epoch"] = setting("epoch", "When the validation split is scored.")
    eval_steps: float | None = setting(None, "Steps between evaluations with eval_strategy=steps.", POSITIVE)
    save_strategy: Literal["no", "steps", "epoch", "best"] = setting("epoch", "When a checkpoint is written.")
    save_steps: float = setting(500, "Steps between checkpoints with save_strategy=steps.", POSITIVE)
    save_total_limit: int | None = setting(2, "Checkpoints kept (the best one always is).", POSITIVE)
    load_best_model_at_end: bool = setting(True, "Keep the best checkpoint rather than the last one.")
    metric_for_best_model: str = setting("eval_accuracy", "Validation metric that names the best checkpoint.")
    logging_steps: float = setting(50, "Steps between log lines.", POSITIVE)
    precision: Literal["auto", "fp32", "fp16", "bf16"] = setting(
        "auto", "auto: bf16 where the GPU has it, fp16 on older ones, fp32 on a CPU."
    )
    fp16: bool = setting(False, "As in TrainingArguments: the same as --precision fp16.")
    bf16: bool = setting(False, "As in TrainingArguments: the same as --precision bf16.")
    dataloader_num_workers: int = setting(0, "Processes that collate batches.", NOT_NEGATIVE)
    seed: int = setting(42, "Seed of the classifier's first weights, dropout and batch order.", SEED)
    report_to: tuple[str, ...] = setting(
        ("auto",),
        "Trackers, by commas: wandb, mlflow, trackio, tensorboard, or none. auto: mlflow on Databricks, else wandb.",
    )
    run_name: str | None = setting(None, "Name of the run (default: the output folder's).")
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TrackingConfig:
    """What the trackers are told beside the run itself, and where else the run is kept."""

    tags: tuple[str, ...] = setting((), "Tags of the tracked run, by commas.")
    group: str | None = setting(None, "Group of the tracked run.")
    job_type: str | None = setting(None, "Kind of the tracked run within its group, as in train or trial.")
    parent_run: str | None = setting(None, "Id of the MLflow run below which this one is shown.")
    log_model: bool | None = setting(
        None, "Send the finished model to the tracker, too.  [default: to MLflow yes, to wandb no]"
    )
    register_model: str | None = setting(
        None, "Register the finished model in MLflow: a name, or catalog.schema.name in Unity Catalog.", REGISTERED
    )
    model_alias: str = setting("champion", "Alias that the registered version gets.", ALIAS)
    checkpoint_repo_id: str | None = setting(
        None,
        "Keep the newest checkpoint in this private repository on the Hub, user/x, too; on another machine the same "
        "command goes on from it.",
    )


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
}


def settings(section: type[Any]) -> Iterator[tuple[str, Any, dataclasses.Field[Any]]]:
    """(name, type, field) of each documented setting of a section."""
    types = get_type_hints(section)
    for each in dataclasses.fields(section):
        if "doc" in each.metadata:
            yield each.name, types[each.name], each


# Settings that say how labelled tweets are read, whatever is done with them.
READING = (
    "dataset",
    "dataset_revision",
    "dataset_split",
    "text_column",
    "label_column",
    "label_map",
    "delimiter",
    "encoding",
    "manual_test",
)

SECTION_OF = {name: section for section, cls in SECTIONS.items() for name, _, _ in settings(cls)}

NOT_YOURS = {
    "output_dir": "use --output-dir",
    "resume_from_checkpoint": "use --resume",
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
    options = {each for each in (get_args(kind) or (kind,)) if each is not NoneType}
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
