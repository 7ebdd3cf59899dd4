"""The sections of a recipe: each setting's name, type, default, constraint and help, said once.

Keys of ``TrainingConfig`` are ``transformers.TrainingArguments``' own. The defaults are the job of the original
notebook, done right.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from sentiment140_bert.errors import is_unicode
from sentiment140_bert.recipe.values import (
    TRACKERS,
    Accumulated,
    BatchSize,
    Classes,
    Country,
    Integer,
    LabelMap,
    Languages,
    LayerDecay,
    Length,
    License,
    Metric,
    ModelAlias,
    NonNegativeNumber,
    Optimizer,
    PositiveInteger,
    PositiveNumber,
    Probability,
    Proportion,
    RegisteredModel,
    Revision,
    Rows,
    Schedule,
    Seed,
    SomeRows,
    Trackers,
    Words,
    Workers,
    YamlNo,
)
from sentiment140_bert.text import shorten

PLACES = ("dataset", "model_name_or_path", "teacher")  # which may be files, too
TEACHER = "teacher"  # as the name of a base model
FILE: dict[str, Any] = {"json_schema_extra": {"format": "path"}}  # never read from an untrusted recipe


def setting(default: Any, description: str, **extra: Any) -> Any:
    """Return a field whose description is also the help of its flag."""
    return Field(default, description=description, **extra)


class Section(BaseModel):
    """One section of a recipe, checked when it is made."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True, defer_build=True)

    @field_validator("*")
    @classmethod
    def _refuse_broken_text(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse text that no JSON file can hold; the name of a file may be any bytes."""
        for text in value if isinstance(value, tuple) else (value,):
            if isinstance(text, str) and not is_unicode(text) and info.field_name not in (*PLACES, *FILE_SETTINGS):
                raise ValueError(f"must be valid Unicode, got {shorten(text)}")
        return value

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> Section:
        if problems := list(self.contradictions()):
            raise ValueError(*problems)
        return self

    def contradictions(self) -> Iterator[str]:
        """Yield a sentence for each pair of values that contradict each other."""
        yield from ()


class ModelConfig(Section):
    """The encoder that is fine-tuned."""

    model_name_or_path: str = setting(
        "google-bert/bert-base-uncased",
        "Hub id, folder, bundled:minilm (the encoder of the [offline] extra), or teacher: that of --teacher.",
    )
    model_revision: Revision | None = setting(None, "Branch, tag or commit of the model on the Hub.")
    hidden_dropout_prob: Probability | None = setting(
        None, "Dropout of embeddings and layers while training.  [default: the model's own]"
    )
    attention_probs_dropout_prob: Probability | None = setting(
        None, "Dropout of attention while training.  [default: the model's own]"
    )
    classifier_dropout: Probability | None = setting(
        None, "Dropout before the classifier while training.  [default: the model's own]"
    )

    layers: PositiveInteger | None = setting(
        None, "Keep so many of its layers, evenly spaced, the last one among them.  [default: all]"
    )
    teacher: str | None = setting(
        None, "A fine-tuned model (run, folder or Hub id) whose scores are learned, too: distillation."
    )
    teacher_revision: Revision | None = setting(None, "Branch, tag or commit of the teacher on the Hub.")
    teacher_temperature: PositiveNumber = setting(2.0, "Divides the logits of both: softer scores to learn.")
    teacher_weight: Proportion = setting(0.5, "Share of the teacher's scores in the loss; the labels have the rest.")

    @model_validator(mode="before")
    @classmethod
    def _start_from_teacher(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and values.get("model_name_or_path") == TEACHER and values.get("teacher"):
            return {**values, "model_name_or_path": values["teacher"]}
        return values

    def dropouts(self) -> dict[str, float | None]:
        """Return the requested dropout by BERT's names; None is the model's own."""
        names = ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout")
        return {name: getattr(self, name) for name in names}


class DataConfig(Section):
    """The source of the tweets, and their preparation before the first batch."""

    dataset: str = setting(
        "stanfordnlp/sentiment140",
        "Hub id, 'stanford' (the original archive), 'sample' (ships with this package), "
        "table:catalog.schema.name (read by Spark), a .csv, .tsv, .txt, .jsonl, .json or .parquet file (or .gz, .bz2, "
        ".xz, .zip of one), or a folder saved by datasets.",
    )
    dataset_revision: Revision | None = setting(None, "Branch, tag or commit of the dataset on the Hub.")
    dataset_split: str = setting("train", "Split of a Hub dataset or saved folder to draw the tweets from.")
    text_column: str | None = setting(
        None, "Name of the text column, where it is not obvious; its number, from 1, where a file has no header."
    )
    label_column: str | None = setting(None, "Name (or number) of the label column, where it is not obvious.")
    label_map: LabelMap | None = setting(
        None,
        "What the labels mean, as in 0=negative,1=neutral,2=positive; LABEL=drop leaves rows out.  "
        "[default: by their names, or by numbers where these are clear]",
    )
    labels: Classes | None = setting(
        None,
        "2 leaves neutral tweets out; 3 trains on negative, neutral and positive. "
        "[default: 3 if more than 5% of the tweets are neutral]",
    )
    user_column: str | None = setting(None, "Name of the column of users, where it is not obvious.")
    time_column: str | None = setting(None, "Name of the column of times, where it is not obvious.")
    id_column: str | None = setting(None, "Name of the column of ids, where it is not obvious.")
    labels_file: str | None = setting(
        None, "File with the labels of a dataset that is a file of texts, one a line.", **FILE
    )
    delimiter: str | None = setting(None, "Field delimiter of a CSV file.  [default: decided by the first line]")
    quoting: Literal["auto", "double", "backslash", "none"] = setting(
        "auto",
        'Quoting in a CSV file. double: "" in a quoted field; backslash: \\"; none: a quotation mark is part of the '
        "text; auto: decided from the whole file.",
    )
    encoding: str | None = setting(None, "Text encoding of the file.  [default: UTF-8 if it is valid, else latin-1]")
    manual_test: str | None = setting(
        None,
        "File or table:NAME of hand-labeled tweets, scored apart as split 'manual' ('none': ignore the dataset's own).",
        **FILE,
    )
    max_bad_rows: Proportion = setting(0.01, "Largest share of malformed rows that is skipped and counted.")
    cleaning: Literal["raw", "mask", "repair"] = setting(
        "repair", "raw: as it is; mask: users and URLs; repair: also HTML entities and mojibake."
    )
    conflicts: Literal["drop", "majority", "keep"] = setting(
        "drop", "Texts with several labels: drop all, keep the majority's, or keep one of each."
    )
    max_samples: PositiveInteger | None = setting(
        None, "Tweets drawn, stratified, from the whole input.  [default: all]"
    )
    max_train_samples: PositiveInteger | None = setting(
        None, "Keep only this many training tweets (stratified); the other splits do not change.  [default: all]"
    )
    validation_size: SomeRows = setting(0.05, "Validation rows: a share, or a whole number.")
    test_size: Rows = setting(0.05, "Test rows: a share, or a whole number (0: none).")
    split_by: Literal["random", "time", "user"] = setting(
        "random", "random: stratified; time: the latest are the test; user: no user on both sides."
    )
    drop_suspects: str | None = setting(
        None, "CSV of `s140 suspects` (column text, perhaps label): training tweets that are left out.", **FILE
    )
    split_seed: Seed = setting(42, "Seed of the sample and of the splits.")
    max_length: Length = setting(
        128, "Most tokens of a tweet, including 2 special ones; longer tweets are truncated and counted."
    )

    def contradictions(self) -> Iterator[str]:
        shares = [size for size in (self.validation_size, self.test_size) if size < 1]
        if sum(shares) >= 1:
            yield f"validation_size {self.validation_size} and test_size {self.test_size} leave nothing to train on"
        if self.conflicts == "keep" and self.split_by != "random":
            yield f"conflicts: keep cannot be combined with split_by: {self.split_by}, which may part the two copies"


class TrainingConfig(Section):
    """TrainingArguments by their own names; those that are not spelled out here are ``other_arguments``."""

    model_config = ConfigDict(extra="allow")

    num_train_epochs: PositiveNumber = setting(3.0, "Passes over the training split.")
    max_steps: Integer = setting(-1, "Optimizer steps; overrides --num-train-epochs when positive.")
    learning_rate: PositiveNumber = setting(2e-5, "Peak learning rate.")
    per_device_train_batch_size: BatchSize = setting(16, "Tweets in a batch on each device.")
    per_device_eval_batch_size: BatchSize = setting(64, "Tweets in an evaluation batch on each device.")
    gradient_accumulation_steps: Accumulated = setting(1, "Batches summed into one optimizer step.")
    auto_find_batch_size: bool = setting(
        True,
        "Split a batch that does not fit into memory into halves until it does; the optimizer step stays the same.",
    )
    weight_decay: NonNegativeNumber = setting(0.01, "Weight decay of AdamW (biases and LayerNorm excluded).")
    warmup_steps: NonNegativeNumber = setting(0.0, "Warm-up: steps, or a share of all steps when below 1.")
    lr_scheduler_type: Schedule = setting("linear", "Learning rate schedule.")
    layerwise_lr_decay: LayerDecay = setting(
        1.0, "Each layer's learning rate is this factor times that of the layer above (1: equal)."
    )
    optim: Optimizer = setting("adamw_torch_fused", "Optimizer.")
    max_grad_norm: NonNegativeNumber = setting(1.0, "Gradient clipping norm.")
    label_smoothing_factor: Proportion = setting(0.0, "Label smoothing.")
    eval_strategy: Annotated[Literal["no", "steps", "epoch"], YamlNo] = setting(
        "epoch", "When the validation split is scored."
    )
    eval_steps: PositiveNumber | None = setting(None, "Steps between evaluations with --eval-strategy steps.")
    save_strategy: Annotated[Literal["no", "steps", "epoch", "best"], YamlNo] = setting(
        "epoch", "When a checkpoint is written."
    )
    save_steps: PositiveNumber = setting(500, "Steps between checkpoints with --save-strategy steps.")
    save_total_limit: PositiveInteger | None = setting(2, "Checkpoints kept during training (the best one always is).")
    keep_checkpoints: bool = setting(False, "Keep the checkpoints of a finished run, which no longer needs them.")
    load_best_model_at_end: bool = setting(True, "Keep the best checkpoint rather than the last one.")
    metric_for_best_model: Metric = setting(
        "eval_accuracy", "Validation metric that selects the best checkpoint: a score such as accuracy or f1, or loss."
    )
    early_stopping_patience: PositiveInteger | None = setting(
        None,
        "Stop after this many evaluations in a row that do not improve --metric-for-best-model.  [default: train to "
        "the end]",
    )
    logging_steps: PositiveNumber = setting(50, "Steps between log lines.")
    precision: Literal["auto", "fp32", "fp16", "bf16"] = setting(
        "auto", "auto: bf16 where the GPU or the processor has it; fp16 on older GPUs, fp32 on older processors."
    )
    fp16: bool = setting(False, "As in TrainingArguments: the same as --precision fp16.")
    bf16: bool = setting(False, "As in TrainingArguments: the same as --precision bf16.")
    dataloader_num_workers: Workers = setting(0, "Processes that collate batches, at most 128.")
    seed: Seed = setting(42, "Seed of the classifier's first weights, dropout and batch order.")
    report_to: Trackers = setting(
        ("auto",), f"Comma-separated: {', '.join(TRACKERS)}, or none. auto: mlflow on Databricks, else wandb."
    )
    run_name: str | None = setting(None, "Name of the run.  [default: the output folder's]")

    @property
    def other_arguments(self) -> Mapping[str, Any]:
        """Arguments of the Trainer that have no flag of their own."""
        return self.model_extra or {}

    def contradictions(self) -> Iterator[str]:
        requested = {name for name in ("fp16", "bf16") if getattr(self, name)}
        if len(requested) == 2:
            yield "fp16 and bf16 are both true: choose one"
        elif requested and self.precision not in ("auto", *requested):
            yield f"precision is {self.precision} but {requested.pop()} is true"
        if self.early_stopping_patience and (not self.load_best_model_at_end or self.eval_strategy == "no"):
            yield (
                "early_stopping_patience needs evaluations, of which the best is kept: set load_best_model_at_end to "
                "true, and eval_strategy and save_strategy to epoch or steps"
            )
        if self.early_stopping_patience and self.other_arguments.get("eval_on_start"):
            yield "early_stopping_patience would count eval_on_start again whenever a run resumes; remove one of them"
        if not self.load_best_model_at_end:
            return
        if "no" in (self.eval_strategy, self.save_strategy):
            yield "load_best_model_at_end needs eval_strategy and save_strategy: set it to false, or both to epoch"
        elif self.save_strategy not in ("best", self.eval_strategy):
            yield (
                f"load_best_model_at_end needs save_strategy ({self.save_strategy}) "
                f"to equal eval_strategy ({self.eval_strategy})"
            )
        interval = self.eval_steps or self.logging_steps
        if self.eval_strategy == self.save_strategy == "steps" and self.save_steps % interval:
            yield f"save_steps ({self.save_steps:g}) must be a multiple of eval_steps ({interval:g})"


class TrackingConfig(Section):
    """Extra data for trackers, a second place for checkpoints, and the CO2 of the training."""

    tags: Words = setting((), "Comma-separated tags of the tracked run.")
    group: str | None = setting(None, "Group of the tracked run.")
    job_type: str | None = setting(None, "Kind of the tracked run within its group, as in train or trial.")
    parent_run: str | None = setting(None, "Id of the parent MLflow run.")
    log_model: bool | None = setting(
        None, "Also send the finished model to the tracker.  [default: to MLflow yes, to wandb no]"
    )
    register_model: RegisteredModel | None = setting(
        None, "Register the finished model in MLflow: a name, or catalog.schema.name in Unity Catalog."
    )
    model_alias: ModelAlias = setting("champion", "Alias that the registered version gets.")
    checkpoint_repo_id: str | None = setting(
        None,
        "Also keep the newest checkpoint in this private repository on the Hub, user/x; on another machine the same "
        "command resumes from it.",
    )
    carbon_country: Country | None = setting(
        None,
        "Estimate the CO2 of the training for the card, by codecarbon (extra [carbon]): the country's code, as in USA.",
    )


class CardConfig(Section):
    """The publisher's description of the tweets; cards say nothing else about an unknown source."""

    language: Languages = setting((), "For the cards: comma-separated languages of the tweets, as in es.")
    license: License | None = setting(
        None, "For the cards: license of model and dataset, as the Hub names it, as in cc-by-4.0."
    )
    dataset_name: str | None = setting(None, "For the cards: name of the dataset of the tweets.")
    citation: str | None = setting(None, "For the cards: BibTeX entry of the dataset of the tweets.")


FILE_SETTINGS = tuple(name for name, field in DataConfig.model_fields.items() if field.json_schema_extra)

# The format of a file of tweets.
FORMAT_SETTINGS = (
    *("text_column", "label_column", "user_column", "time_column", "id_column"),
    *("labels_file", "delimiter", "quoting", "encoding"),
)
# How labeled tweets are read, whatever is done with them.
SOURCE_SETTINGS = (*FORMAT_SETTINGS, "dataset", "dataset_revision", "dataset_split", "label_map", "manual_test")

SECTIONS: dict[str, type[Section]] = {
    "model": ModelConfig,
    "data": DataConfig,
    "training": TrainingConfig,
    "tracking": TrackingConfig,
    "card": CardConfig,
}
SECTION_BY_KEY = {key: name for name, section in SECTIONS.items() for key in section.model_fields}
