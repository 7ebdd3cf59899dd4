"""Every setting of a recipe: its name, type, default, rule and documentation, said once.

Keys of ``TrainingConfig`` are ``transformers.TrainingArguments``' own. The defaults are the job of the original
notebook, done right.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_type_hints

from sentiment140_bert.values import (
    A_WORD,
    ALIAS,
    DECAY,
    DROPOUT,
    LANGUAGES,
    LICENSE,
    MAPPED,
    NOT_NEGATIVE,
    POSITIVE,
    PROPORTION,
    REGISTERED,
    ROWS,
    SEED,
    SOME_ROWS,
    Rule,
)

# The scores of a split by their names in metrics.json; metric_for_best_model names one of them, or loss.
SCORES = ("accuracy", "f1", "precision", "recall", "matthews_correlation", "roc_auc", "log_loss")

# The baselines that stand beside them, likewise.
BASELINES = {"majority": "always the commoner class", "tfidf": "TF-IDF, logistic regression"}

TRACKERS = ("wandb", "mlflow", "trackio", "tensorboard")


def setting(default: Any, doc: str, rule: Rule | None = None, is_file: bool = False) -> Any:
    """Return a dataclass field with its documentation, which is also the text of its flag's ``--help``.

    Args:
        default: Its value where none is given.
        doc: Its documentation.
        rule: What a value must be.
        is_file: It names a file of this machine, which is read from no stranger's recipe, and whose folder is told
            nobody.
    """
    return field(default=default, metadata={"doc": doc, "rule": rule, "is_file": is_file})


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
        "table:catalog.schema.name (read by Spark), a .csv, .tsv, .txt, .jsonl, .json or .parquet file (or .gz, .bz2, "
        ".xz, .zip of one), or a folder saved by datasets.",
    )
    dataset_revision: str | None = setting(None, "Branch, tag or commit of the dataset on the Hub.")
    dataset_split: str = setting("train", "Split of a Hub dataset or saved folder to draw the tweets from.")
    text_column: str | None = setting(
        None, "Name of the text column, where it is not obvious; its number, from 1, where a file has no header."
    )
    label_column: str | None = setting(None, "Name (or number) of the label column, where it is not obvious.")
    label_map: str | None = setting(
        None,
        "What the labels mean, as in 0=negative,1=neutral,2=positive; LABEL=drop leaves rows out. "
        "[default: by their names, or by numbers where these are clear]",
        MAPPED,
    )
    user_column: str | None = setting(None, "Name of the column of users, where it is not obvious.")
    time_column: str | None = setting(None, "Name of the column of times, where it is not obvious.")
    id_column: str | None = setting(None, "Name of the column of ids, where it is not obvious.")
    labels_file: str | None = setting(
        None, "File with the labels of a dataset that is a file of texts, one a line.", is_file=True
    )
    delimiter: str | None = setting(None, "Field delimiter of a CSV file (default: found by the first line).")
    quoting: Literal["auto", "double", "backslash", "none"] = setting(
        "auto",
        'Quoting in a CSV file. double: "" in a quoted field; backslash: \\"; none: a quotation mark is part of the '
        "text; auto: found by all of its lines.",
    )
    encoding: str | None = setting(None, "Text encoding of the file (default: UTF-8 if it is valid, else latin-1).")
    manual_test: str | None = setting(
        None,
        "File or table: with hand-labelled tweets, scored apart as split 'manual' ('none' drops the dataset's own).",
        is_file=True,
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
        None, "CSV of `s140 suspects` (column text, perhaps label): training tweets that are left out.", is_file=True
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


@dataclass(frozen=True)
class CardConfig:
    """What the publisher says of the tweets; cards say no more of a source that is not known."""

    language: tuple[str, ...] = setting((), "For the cards: languages of the tweets, by commas, as in es.", LANGUAGES)
    license: str | None = setting(
        None, "For the cards: licence of model and dataset, as the Hub names it, as in cc-by-4.0.", LICENSE
    )
    dataset_name: str | None = setting(None, "For the cards: what the tweets' dataset is called.")
    citation: str | None = setting(None, "For the cards: BibTeX entry of the tweets' dataset.")


def file_settings(section: type[Any]) -> tuple[str, ...]:
    """Return the names of a section's settings that name files of this machine."""
    return tuple(each.name for each in dataclasses.fields(section) if each.metadata.get("is_file"))


def settings(section: type[Any]) -> Iterator[tuple[str, Any, dataclasses.Field[Any]]]:
    """(name, type, field) of each documented setting of a section."""
    types = get_type_hints(section)
    for each in dataclasses.fields(section):
        if "doc" in each.metadata:
            yield each.name, types[each.name], each
