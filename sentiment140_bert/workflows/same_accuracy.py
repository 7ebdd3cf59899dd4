"""Whether being fast costs accuracy: the same tweets, settings and seeds, trained by us and by a plain Trainer."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from sentiment140_bert.recipe import Recipe
from sentiment140_bert.workflows import preparing

log = logging.getLogger(__name__)
WAYS = ("package", "trainer")


def benchmark_accuracy(recipe: Recipe, seeds: int, ways: Sequence[str] = WAYS) -> dict[str, Any]:
    """Fine-tunes with several seeds in each way, in turns, on the same prepared splits.

    Args:
        recipe: Of both; the seeds count from its own one. No checkpoint is written, the last weights are scored.
        seeds: Of each way.
        ways: Some of ``package`` and ``trainer``.

    Returns:
        ``runs``: for each its way, seed, accuracy on each scored split, seconds of training and tweets a second.
        ``means``: by way, with ``spread`` (the standard deviation over the seeds). ``difference``: package minus
        trainer on the test split, seed by seed, with the t-interval that covers 95% of such means.
    """
    from sentiment140_bert import environment
    from sentiment140_bert.workflows.benchmarks import accuracy
    from sentiment140_bert.workflows.runs import without_folders

    tune = {"package": accuracy.package, "trainer": accuracy.plain}
    data = preparing.tokenized(recipe)
    runs: list[dict[str, Any]] = []
    by_way: dict[str, list[float]] = {way: [] for way in ways}
    for seed in range(recipe.training.seed, recipe.training.seed + seeds):
        for way in ways:
            tuned = tune[way](recipe.with_values({"seed": seed}), data)
            scores = {name: round(float(right.mean()), 5) for name, right in tuned.right.items()}
            speed = round(tuned.tweets / tuned.seconds, 1)
            log.info("seed %d, %s: test %.4f, %.0f tweets/s", seed, way, scores["test"], speed)
            runs.append({"way": way, "seed": seed, **scores, "seconds": tuned.seconds, "tweets_per_second": speed})
            by_way[way].append(scores["test"])
    return {
        "kind": "accuracy",
        "model": without_folders(recipe.model.model_name_or_path),
        "dataset": without_folders(recipe.data.dataset),
        "rows": {name: split["rows"] for name, split in data[1].report["splits"].items()},
        "training": {key: value for key, value in recipe.to_dict()["training"].items() if key != "report_to"},
        "date": datetime.now(UTC).date().isoformat(),
        "machine": environment.describe(),
        "runs": runs,
        "means": {way: _mean(scores) for way, scores in by_way.items()},
        "difference": _difference(by_way["package"], by_way["trainer"]) if set(ways) == set(WAYS) else None,
    }


def _mean(scores: Sequence[float]) -> dict[str, float | None]:
    spread = float(np.std(scores, ddof=1)) if len(scores) > 1 else None
    return {"test": float(np.mean(scores)), "spread": spread}


def _difference(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float | None]:
    """The mean of paired differences and its t-interval (Student 1908); without limits for a single pair."""
    from scipy.stats import t

    each = np.subtract(ours, theirs)
    if len(each) < 2:
        return {"mean": float(each.mean()), "low": None, "high": None}
    half = float(t.ppf(0.975, len(each) - 1) * each.std(ddof=1) / len(each) ** 0.5)
    return {"mean": float(each.mean()), "low": float(each.mean()) - half, "high": float(each.mean()) + half}
