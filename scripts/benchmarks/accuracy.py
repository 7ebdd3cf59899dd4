"""Fine-tune the same encoder as this package does and as a plain Trainer does: being fast must not cost accuracy.

    python scripts/benchmarks/accuracy.py --model-name-or-path bundled:minilm --dataset tweets.csv.gz --seeds 3

Both get the same tweets, settings and seeds, and are scored with the weights of the last step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import click
import numpy as np
import numpy.typing as npt
from scipy.stats import t
from transformers import DataCollatorWithPadding

from benchmark import Script, log
from sentiment140_bert import models
from sentiment140_bert.cli.options import output_options, recipe_option, recipe_options, resolve_recipe, set_option
from sentiment140_bert.cli.output import print_json, print_table, say, stdout_kept_clean
from sentiment140_bert.data import loading
from sentiment140_bert.data.loading import PreparedData
from sentiment140_bert.errors import Interrupted, S140Error
from sentiment140_bert.inference.torch_backend import TorchClassifier
from sentiment140_bert.recipe import Recipe
from sentiment140_bert.recipe.privacy import strip_folders
from sentiment140_bert.training import environment
from training import UNSAVED, train_as_package, train_as_tutorials

SCORED = ("validation", "test", "manual")


@dataclass(frozen=True)
class Tuned:
    """One fine-tuning: tweets passed, seconds, and by name of the split which of its tweets were labeled correctly."""

    tweets: float
    seconds: float
    correct: dict[str, npt.NDArray[np.bool_]]


def package(recipe: Recipe, data: PreparedData) -> Tuned:
    """Fine-tune as ``s140 train`` does.

    Args:
        recipe: Model, training and seed.
        data: Data of the recipe, from :func:`loading.load_data`.
    """
    _, tokens, tokenizer = data
    model = models.load_base_model(recipe.model, recipe.training.seed)
    splits = tokens.splits()
    started = time.perf_counter()
    outcome = train_as_package(model, tokenizer, splits, recipe.with_values(UNSAVED).training)
    if outcome.signal:
        raise Interrupted("The comparison was stopped.", "Start it again: it keeps nothing.", outcome.signal)
    seconds = time.perf_counter() - started
    return Tuned(outcome.epochs * len(splits["train"]), seconds, score(model, data))


def trainer(recipe: Recipe, data: PreparedData) -> Tuned:
    """Fine-tune with Trainer's own loss and random order, every token of the last layer, and the same settings.

    Takes the arguments of :func:`package`.
    """
    _, tokens, tokenizer = data
    rows = tokens.splits()["train"]
    model = models.load_base_model(recipe.model, recipe.training.seed, plain=True)
    names = ("per_device_train_batch_size", "num_train_epochs", "max_steps", "learning_rate", "weight_decay")
    settings = {name: getattr(recipe.training, name) for name in (*names, "warmup_steps", "lr_scheduler_type", "seed")}
    started = time.perf_counter()
    done = train_as_tutorials(model, rows, DataCollatorWithPadding(tokenizer), recipe.training, **settings)
    seconds = time.perf_counter() - started
    return Tuned((done.state.epoch or 0.0) * len(rows), seconds, score(model, data))


WAYS: Mapping[str, Callable[[Recipe, PreparedData], Tuned]] = {"package": package, "trainer": trainer}


def score(model: Any, data: PreparedData) -> dict[str, npt.NDArray[np.bool_]]:
    """Return which tweets of each scored split are labeled correctly, in fp32, as ``s140 evaluate`` scores them."""
    prepared, _, tokenizer = data
    classifier = TorchClassifier(model, tokenizer)
    correct = {}
    for name, split in prepared.splits().items():
        if name in SCORED:
            table = split.with_format("arrow")[:]
            predictions = classifier.probabilities(table["text"].to_pylist()).argmax(1)
            correct[name] = predictions == table["label"].to_numpy()
    return correct


def compare(recipe: Recipe, seeds: int, ways: Sequence[str]) -> dict[str, Any]:
    """Fine-tune with several seeds in each way, in turns, on the same prepared splits.

    Args:
        recipe: Recipe of both ways; the seeds count from its own.
        seeds: Number of seeds.
        ways: Some of ``WAYS``.

    Returns:
        ``runs``: for each its way, seed, accuracy on each scored split, seconds of training and tweets a second.
        ``means``: by way, with ``spread`` (the standard deviation over the seeds). ``difference``: package minus
        trainer on the test split, seed by seed, with the t-interval that covers 95% of such means.

    Raises:
        S140Error: The recipe has what a plain Trainer does not.
    """
    if recipe.training.layerwise_lr_decay != 1:
        raise S140Error(
            f"layerwise_lr_decay is {recipe.training.layerwise_lr_decay:g}, and a plain Trainer has one rate for all.",
            "Compare with --layerwise-lr-decay 1.",
        )
    data = loading.load_data(recipe)
    runs: list[dict[str, Any]] = []
    for seed in range(recipe.training.seed, recipe.training.seed + seeds):
        for way in ways:
            tuned = WAYS[way](recipe.with_values({"seed": seed}), data)
            scores = {name: round(float(correct.mean()), 5) for name, correct in tuned.correct.items()}
            speed = round(tuned.tweets / tuned.seconds, 1)
            log.info("seed %d, %s: test %.4f, %.0f tweets/s", seed, way, scores["test"], speed)
            runs.append({"way": way, "seed": seed, **scores, "seconds": tuned.seconds, "tweets_per_second": speed})
    by_way = {way: [run["test"] for run in runs if run["way"] == way] for way in ways}
    return {
        "kind": "accuracy",
        "model": strip_folders(recipe.model.model_name_or_path),
        "dataset": strip_folders(recipe.data.dataset),
        "rows": {name: split["rows"] for name, split in data[1].report["splits"].items()},
        "training": {key: value for key, value in recipe.to_dict()["training"].items() if key != "report_to"},
        "date": datetime.now(UTC).date().isoformat(),
        "machine": environment.describe_machine(),
        "runs": runs,
        "means": {way: average(scores) for way, scores in by_way.items()},
        "difference": subtract(by_way["package"], by_way["trainer"]) if set(ways) == set(WAYS) else None,
    }


def average(scores: Sequence[float]) -> dict[str, float | None]:
    """Compute the mean and the standard deviation over seeds, which a single one does not have."""
    return {"test": float(np.mean(scores)), "spread": float(np.std(scores, ddof=1)) if len(scores) > 1 else None}


def subtract(scores: Sequence[float], others: Sequence[float]) -> dict[str, float | None]:
    """Compute the mean of paired differences and its t-interval (Student 1908); without limits for a single pair."""
    differences = np.subtract(scores, others)
    mean, pairs = float(differences.mean()), len(differences)
    if pairs < 2:
        return {"mean": mean, "low": None, "high": None}
    half = float(t.ppf(0.975, pairs - 1) * differences.std(ddof=1) / pairs**0.5)
    return {"mean": mean, "low": mean - half, "high": mean + half}


@click.command(cls=Script)
@recipe_option
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="Fine-tunings in each way.")
@click.option("--only", type=click.Choice(list(WAYS)), multiple=True, help="[default: both]")
@recipe_options("model", "data", "training")
@set_option
@output_options
def main(
    recipe: str | None, seeds: int, only: tuple[str, ...], assignments: tuple[str, ...], as_json: bool, **flags: Any
) -> None:
    """Fine-tune as we do and as a plain Trainer does, with the same seeds: being fast must not cost accuracy.

    Takes a recipe and flags as `s140 train` does; saves nothing, and scores the weights of the last step.
    """
    chosen = resolve_recipe(recipe or "quickstart", flags, assignments)
    with stdout_kept_clean():
        report = compare(chosen, seeds, only or tuple(WAYS))
    if as_json:
        print_json(report)
        return
    keys = ("way", "seed", *(name for name in SCORED if name in report["runs"][0]), "tweets_per_second")
    print_table([[run[key] for key in keys] for run in report["runs"]], keys)
    for way, mean in report["means"].items():
        spread = "" if mean["spread"] is None else f", spread over the seeds {mean['spread']:.4f}"
        say(f"{way}: test {mean['test']:.4f}{spread}")
    difference = report["difference"]
    if difference:
        limits = "" if difference["low"] is None else f" [{difference['low']:+.4f}, {difference['high']:+.4f}]"
        say(f"package - trainer: {difference['mean']:+.4f}{limits}")


if __name__ == "__main__":
    main()
