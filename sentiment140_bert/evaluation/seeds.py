"""Which of two recipes is better, each trained with several seeds, on the same tweets; or that nobody can tell."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sentiment140_bert.evaluation.intervals import CONFIDENCE_LEVEL, SIGNIFICANT

Right = npt.NDArray[np.bool_]


def compared(first: Right, second: Right, truth: npt.NDArray[np.int64]) -> dict[str, Any]:
    """The mean accuracies of two recipes over their seeds, and their difference for other seeds and other tweets.

    Seeds and tweets are crossed: each model answers each tweet. So the variance of the mean difference d is the sum of
    what tweets and what seeds contribute, each estimated from its own means, less what both have in them of the chance
    of single answers (analysis of variance of a crossed design with two random factors: Searle, Casella and McCulloch
    1992, chapter 4; Owen 2007). Tweets count within their class, for the classes are drawn apart. The interval is that
    of Student's t with Satterthwaite's degrees of freedom: with few seeds it is wide, as it must be.

    Args:
        first: Whether each model of the first recipe is right, shape (seeds, tweets).
        second: Likewise, of the same seeds and tweets.
        truth: 0 or 1, shape (tweets,).

    Returns:
        ``n``, ``seeds``; ``first`` and ``second`` (``value``, the mean accuracy, ``min`` and ``max`` over the seeds);
        ``difference`` (first minus second: ``value``, ``low``, ``high``), ``p_value``, ``of_tweets`` and ``of_seeds``
        (the standard errors that each contributes). With one seed the interval is for other tweets alone.
    """
    from scipy.stats import t

    apart = first.astype(np.float64) - second.astype(np.float64)
    value = float(apart.mean())
    tweets, seeds = _variances(apart, truth)
    error = float(np.sqrt(tweets[0] + seeds[0]))
    found = {
        "n": apart.shape[1],
        "seeds": apart.shape[0],
        "first": _accuracy(first),
        "second": _accuracy(second),
        "of_tweets": float(np.sqrt(tweets[0])),
        "of_seeds": float(np.sqrt(seeds[0])),
    }
    if not error:
        return found | {
            "difference": {"value": value, "low": value, "high": value},
            "p_value": 1.0 if not value else 0.0,
        }
    freedom = (tweets[0] + seeds[0]) ** 2 / sum(part**2 / free for part, free in (tweets, seeds) if free)
    half = float(t.ppf((1 + CONFIDENCE_LEVEL) / 2, freedom)) * error
    difference = {"value": value, "low": value - half, "high": value + half}
    return found | {"difference": difference, "p_value": float(2 * t.sf(abs(value) / error, freedom))}


def in_words(comparison: dict[str, Any], first: str, second: str, tweets: str) -> str:
    """What a comparison says and does not say, in a sentence."""
    one, other, gap = comparison["first"]["value"], comparison["second"]["value"], comparison["difference"]
    points = {name: 100 * each for name, each in gap.items()}
    trained = (
        "1 seed, so nothing is known of others" if comparison["seeds"] == 1 else f"{comparison['seeds']} seeds each"
    )
    told = (
        f"{first} {one:.4f} and {second} {other:.4f} on {comparison['n']:,} {tweets} ({trained}); the difference is "
        f"{points['value']:+.2f} points ({points['low']:+.2f} to {points['high']:+.2f})"
    )
    if comparison["p_value"] >= SIGNIFICANT:
        return f"{told}: within noise, these cannot be told apart."
    return f"{told}: {first if gap['value'] > 0 else second} is better."


def _variances(
    apart: npt.NDArray[np.float64], truth: npt.NDArray[np.int64]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """The variance of the mean that tweets contribute, and the one that seeds contribute; with degrees of freedom."""
    count, n = apart.shape
    by_tweet = apart.mean(axis=0)
    classes = [truth == each for each in np.unique(truth)]
    tweets = sum(by_tweet[rows].var(ddof=1) * rows.sum() for rows in classes if rows.sum() > 1) / n**2
    free = max(1, n - len(classes))
    if count == 1:
        return (float(tweets), free), (0.0, 0.0)
    by_seed = apart.mean(axis=1)
    rest = apart - by_tweet[None, :] - by_seed[:, None] + apart.mean()
    chance = (rest**2).sum() / ((count - 1) * (n - 1)) / (count * n)  # has its part in both
    return (float(tweets), free), (float(max(0.0, by_seed.var(ddof=1) / count - chance)), count - 1)


def _accuracy(right: Right) -> dict[str, float]:
    of_each = right.mean(axis=1)
    return {"value": float(of_each.mean()), "min": float(of_each.min()), "max": float(of_each.max())}
