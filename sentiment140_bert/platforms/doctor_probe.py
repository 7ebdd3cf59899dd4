"""A recipe's duration on this machine, from a few of its steps that are really trained, in a temporary folder."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from typing_extensions import TypedDict

from sentiment140_bert import schemas
from sentiment140_bert.data import loading
from sentiment140_bert.errors import Interrupted
from sentiment140_bert.recipe import Recipe

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedConfig, TrainingArguments

    from sentiment140_bert.training.batching import Share
    from sentiment140_bert.training.probe import Estimate, Timed
    from sentiment140_bert.training.trainer import Outcome

# Distinct tweets of the whole corpus, about: 1,580,253 of its 1,600,000 rows came to 1,522,015 (docs/results.md).
WHOLE_CORPUS = 1_540_000
CORPUS = ("stanfordnlp/sentiment140", "sentiment140", "stanford")
QUIET = {"eval_strategy": "no", "save_strategy": "no", "load_best_model_at_end": False, "logging_steps": 10**6}
QUIET |= {"early_stopping_patience": None}
# Tokens, in bert-base-uncased's vocabulary, of 24,368 distinct tweets drawn from the whole corpus; at these shares.
LENGTHS = (3, 7, 9, 12, 14, 17, 20, 23, 26, 30, 35, 38, 44, 54, 131)
SHARES = (0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999, 1)


class Duration(TypedDict):
    """Seconds that a job takes in all, its interval, and the parts."""

    total: float
    low: float
    high: float
    training: float
    scoring: float
    saving: float


class JobSize(TypedDict):
    """Tweets, steps and checkpoints of a job."""

    train: int
    validation: int
    steps: int
    saves: int


class StepTime(TypedDict):
    """Seconds of a step: estimated for the job, and the median of those that were measured."""

    seconds: float
    median: float
    measured: int


class JobEstimate(TypedDict):
    """The result of :func:`probe`; ``checkpoint`` in MiB, ``assumed`` in sentences."""

    job: JobSize
    step: StepTime
    tweets_per_second: float
    seconds: Duration
    batch: schemas.Batch
    usage: schemas.UsedMemory
    checkpoint: int
    assumed: list[str]


def probe(recipe: Recipe, folder: Path, has_tokenizer: bool) -> JobEstimate:
    """Train a few steps of the recipe, with random weights of the model's shape.

    Args:
        recipe: Recipe of the job.
        folder: On the disk that the job would write to.
        has_tokenizer: True if the model's own tokenizer can be loaded here.

    Raises:
        S140Error: The model's shape is unknown, or the batch does not fit into memory.
    """
    from sentiment140_bert.machine.facts import find_existing_folder
    from sentiment140_bert.training.batching import share_of

    lengths, assumed = _draw_lengths(recipe, has_tokenizer)
    with tempfile.TemporaryDirectory(dir=find_existing_folder(folder), prefix=".s140-probe-") as temporary:
        trial = _train_steps(recipe, Path(temporary), lengths)
    share, parts, step = share_of(trial.settings), trial.outcome.share, _estimate_step(trial)
    job, seconds = _estimate_job(recipe, share, step, trial.timed, assumed)
    return {
        "job": job,
        "step": {"seconds": step.step, "median": step.median, "measured": step.measured},
        "tweets_per_second": share.tweets / step.step,
        "seconds": seconds,
        "batch": {"tweets": share.tweets, "per_device": parts.per_device, "accumulated": parts.accumulated},
        "usage": trial.usage,
        "checkpoint": trial.checkpoint,
        "assumed": assumed,
    }


@dataclass(frozen=True)
class Trial:
    """A few steps of training, and the size of a checkpoint in MiB."""

    train: Dataset
    settings: TrainingArguments
    outcome: Outcome
    timed: Timed
    usage: schemas.UsedMemory
    checkpoint: int


def _train_steps(recipe: Recipe, home: Path, lengths: np.ndarray) -> Trial:
    from sentiment140_bert import models
    from sentiment140_bert.evaluation.metrics import compute_trainer_metrics
    from sentiment140_bert.machine.usage import Usage
    from sentiment140_bert.training import arguments, trainer
    from sentiment140_bert.training.batching import share_of
    from sentiment140_bert.training.probe import STEPS, Timed

    name, revision = recipe.model.model_name_or_path, recipe.model.model_revision
    model = models.build_untrained(name, revision, dropouts=recipe.model.dropouts(), layers=recipe.model.layers)
    # As many steps as are timed; the schedule's warm-up does not change the time.
    config = recipe.with_values({**QUIET, "max_steps": STEPS, "warmup_steps": 0}).training
    settings = arguments.training_arguments(config, arguments.choose_precision(config), home / "checkpoints")
    arguments.set_up_processes(settings)
    tweets = share_of(settings).tweets
    train = _make_rows(lengths, max(tweets * 50, STEPS * tweets), model.config)
    scored = _make_rows(lengths, config.per_device_eval_batch_size, model.config)
    timed, usage = Timed(), Usage()
    outcome = trainer.train(
        model,
        models.make_padding_tokenizer(model.config),
        {"train": train, "validation": scored},
        settings,
        history=home / "history.jsonl",
        compute_metrics=compute_trainer_metrics,
        callbacks=[timed],
        finds_batch=config.auto_find_batch_size,
        monitor=usage,
        shown=False,
        lr_decay=config.layerwise_lr_decay,
    )
    if outcome.signal:
        raise Interrupted("The probe was stopped.", "Without it: s140 doctor --no-probe", outcome.signal)
    size = sum(file.stat().st_size for file in home.glob("checkpoints/*/*"))
    return Trial(train, settings, outcome, timed, usage.summary(), -(-size // 2**20))


def estimate_rows(recipe: Recipe) -> tuple[int | None, int]:
    """Return the training and validation tweets of a recipe, if they are known without reading the input."""
    data = recipe.data
    if data.dataset == "sample":
        splits = loading.load_splits(data)[0].report["splits"]
        return splits["train"]["rows"], splits["validation"]["rows"]
    total = data.max_samples or (WHOLE_CORPUS if data.dataset in CORPUS else None)
    if total is None:
        return None, 0
    validation, test = (int(size * total) if size < 1 else int(size) for size in (data.validation_size, data.test_size))
    train = total - validation - test
    return min(train, data.max_train_samples or train), validation


def _draw_lengths(recipe: Recipe, has_tokenizer: bool) -> tuple[np.ndarray, list[str]]:
    """Return the token counts of tweets like the job's, and what was assumed."""
    from sentiment140_bert.training.batching import lengths_of

    if recipe.data.dataset == "sample" and has_tokenizer:
        _, tokens, _ = loading.load_data(recipe)
        return lengths_of(tokens.splits()["train"]), []
    drawn = np.interp(np.random.default_rng(0).random(10_000), SHARES, LENGTHS).round().astype(int)
    return np.minimum(drawn, recipe.data.max_length), ["tweets as long as Sentiment140's"]


def _make_rows(lengths: np.ndarray, count: int, config: PreTrainedConfig) -> Dataset:
    """Make rows of random tokens whose lengths are drawn from ``lengths``; each ends like the model's texts."""
    from datasets import Dataset

    random = np.random.default_rng(0)
    drawn = random.choice(lengths, count, replace=count > len(lengths))
    ids = [random.integers(0, config.vocab_size, length) for length in drawn]
    end = getattr(config, "eos_token_id", None)
    if isinstance(end, int) and 0 <= end < config.vocab_size:  # T5 needs equally many in each row
        ids = [np.append(np.where(row == end, (end + 1) % config.vocab_size, row)[:-1], end) for row in ids]
    return Dataset.from_dict({"input_ids": ids, "labels": [at % 2 for at in range(count)]})


def _estimate_step(trial: Trial) -> Estimate:
    from sentiment140_bert.training.batching import LengthGroupedBatches, lengths_of
    from sentiment140_bert.training.probe import step_estimate

    lengths, settings, share = lengths_of(trial.train), trial.settings, trial.outcome.share
    to = 8 if settings.fp16 or settings.bf16 else 1
    parts = list(LengthGroupedBatches(lengths, share, settings.data_seed or settings.seed))
    padded = [len(part) * (-(-lengths[part].max() // to) * to) if part else 1 for part in parts]
    tokens = np.array(padded).reshape(-1, share.parts).sum(axis=1)
    return step_estimate(trial.timed.steps, tokens)


def _estimate_job(
    recipe: Recipe, share: Share, step: Estimate, timed: Timed, assumed: list[str]
) -> tuple[JobSize, Duration]:
    from sentiment140_bert.training.probe import job_of

    train, validation = estimate_rows(recipe)
    if train is None:
        train = recipe.data.max_samples or 100_000
        assumed.append("100,000 tweets: the number is known once they are prepared")
    job = job_of(recipe.training, share.tweets, train, validation)
    scoring = job.scored / timed.tweets_scored_per_second if timed.tweets_scored_per_second else 0.0
    saving = job.saves * (timed.saving or 0.0)
    other = scoring + saving
    size: JobSize = {"train": train, "validation": validation, "steps": job.steps, "saves": job.saves}
    return size, {
        "total": job.steps * step.step + other,
        "low": job.steps * step.low + other,
        "high": job.steps * step.high + other,
        "training": job.steps * step.step,
        "scoring": scoring,
        "saving": saving,
    }
