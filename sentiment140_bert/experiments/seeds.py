"""Compare two recipes, each trained with several seeds and scored on the same tweets."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sentiment140_bert.evaluation.intervals import SIGNIFICANT

LEAST = 1e-12  # a p-value; smaller ones mean no more
Right = npt.NDArray[np.bool_]


def compare(first: Right, second: Right, truth: npt.NDArray[np.int64]) -> dict[str, Any]:
    """Return the mean accuracies of two recipes over their seeds, and the difference for other seeds and other tweets.

    Seeds and tweets are crossed: each model answers each tweet. So the variance of the mean difference has a part of
    the tweets and a part of the seeds, each estimated from its own means (a crossed design of two random factors:
    Searle, Casella and McCulloch 1992, chapter 4). Both would hold the chance of single answers; it is counted with
    the seeds alone. The limits of each part, by the normal distribution for tweets and Student's t for the few seeds,
    are added as squares (Graybill and Wang 1980), so that a part of which little is known widens the interval by as
    much as it counts. Tweets vary within their class, for the classes are drawn apart.

    Args:
        first: True where a model of the first recipe is right, shape (seeds, tweets).
        second: The same of the second recipe, for the same seeds and tweets.
        truth: 0 or 1, shape (tweets,).

    Returns:
        ``n``, ``seeds``; ``first`` and ``second`` (``value``, the mean accuracy, ``min`` and ``max`` over the seeds);
        ``difference`` (first minus second: ``value``, ``low``, ``high``), ``p_value`` (the level at which the interval
        would just reach 0), ``of_tweets`` and ``of_seeds`` (the standard errors). With one seed the interval is for
        other tweets alone.
    """
    apart = first.astype(np.float64) - second.astype(np.float64)
    value = float(apart.mean())
    tweets, seeds = _variances(apart, truth)
    half = _half(SIGNIFICANT, tweets, seeds, len(apart))
    return {
        "n": apart.shape[1],
        "seeds": apart.shape[0],
        "first": _accuracy(first),
        "second": _accuracy(second),
        "difference": {"value": value, "low": value - half, "high": value + half},
        "p_value": _p_value(abs(value), tweets, seeds, len(apart)),
        "of_tweets": float(np.sqrt(tweets)),
        "of_seeds": float(np.sqrt(seeds)),
    }


def describe(comparison: dict[str, Any], first: str, second: str, tweets: str) -> str:
    """Return a sentence that says what a comparison shows, and whether it is significant."""
    one, other, gap = comparison["first"]["value"], comparison["second"]["value"], comparison["difference"]
    points = {name: 100 * value for name, value in gap.items()}
    trained = (
        "1 seed, so the variation over seeds is unknown"
        if comparison["seeds"] == 1
        else f"{comparison['seeds']} seeds each"
    )
    scores = f"{first} {one:.4f} and {second} {other:.4f} on {comparison['n']:,} {tweets} ({trained})"
    difference = f"the difference is {points['value']:+.2f} points ({points['low']:+.2f} to {points['high']:+.2f})"
    if comparison["p_value"] >= SIGNIFICANT:
        return f"{scores}; {difference}, which is not significant."
    return f"{scores}; {difference}: {first if gap['value'] > 0 else second} did better."


def _variances(apart: npt.NDArray[np.float64], truth: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Return the variance of the mean difference that the tweets cause, and the one of the seeds and of chance."""
    count, n = apart.shape
    by_tweet = apart.mean(axis=0)
    classes = [truth == label for label in np.unique(truth)]
    tweets = sum(float(by_tweet[rows].var(ddof=1) * rows.sum()) for rows in classes if rows.sum() > 1) / n**2
    if count == 1:
        return tweets, 0.0
    by_seed = apart.mean(axis=1)
    rest = apart - by_tweet[None, :] - by_seed[:, None] + apart.mean()
    chance = float((rest**2).sum()) / ((count - 1) * (n - 1)) / (count * n)
    seeds = float(by_seed.var(ddof=1)) / count
    # A few seeds may agree by luck; their chance is there all the same.
    return max(0.0, tweets - chance), max(seeds, chance)


def _half(level: float, tweets: float, seeds: float, count: int) -> float:
    """Return half the width of the interval that misses the truth with a probability of ``level``."""
    from scipy.stats import norm, t

    squares = norm.isf(level / 2) ** 2 * tweets
    squares += t.isf(level / 2, count - 1) ** 2 * seeds if count > 1 else 0.0
    return float(np.sqrt(squares))


def _p_value(value: float, tweets: float, seeds: float, count: int) -> float:
    """Return the level at which the interval just reaches 0."""
    from scipy.optimize import brentq

    if not value or not tweets + seeds:
        return 0.0 if value else 1.0
    if _half(LEAST, tweets, seeds, count) < value:
        return LEAST
    return float(brentq(lambda level: _half(level, tweets, seeds, count) - value, LEAST, 1.0))


def _accuracy(right: Right) -> dict[str, float]:
    accuracies = right.mean(axis=1)
    return {"value": float(accuracies.mean()), "min": float(accuracies.min()), "max": float(accuracies.max())}
