"""Confidence intervals of scores, and the comparison of two models on the same tweets.

Shares of tweets have Wilson's interval. Every other score has that of a stratified bootstrap (Efron and Tibshirani
1993, chapter 13): tweets are drawn again, with replacement, as many of each class as there are, and the middle
``CONFIDENCE_LEVEL`` of the scores counts. The draws begin with the same seed each time, so that the same tweets give
the same limits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
from typing_extensions import TypedDict

from sentiment140_bert.schemas.metrics import Intervals, MeasuredScore

CONFIDENCE_LEVEL = 0.95
SIGNIFICANT = 1 - CONFIDENCE_LEVEL  # a p-value below it
RESAMPLES = 999
SEED = 140
DRAWS_AT_ONCE = 4_000_000  # draws held in memory at the same time
METHOD: Intervals = {
    "level": CONFIDENCE_LEVEL,
    "shares": "Wilson",
    "others": "stratified bootstrap",
    "calibration_error": "stratified basic bootstrap, too narrow: it holds the truth in about 9 of 10 cases",
    "resamples": RESAMPLES,
    "seed": SEED,
}
# Each is a share of tweets: the numbers of the confusion matrix above and below the line.
SHARES = {
    "accuracy": (("true_negative", "true_positive"), ("false_positive", "false_negative")),
    "precision": (("true_positive",), ("false_positive",)),
    "recall": (("true_positive",), ("false_negative",)),
}
Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


class Limits(TypedDict):
    """The limits of an interval."""

    low: float
    high: float


def bound_share(successes: int, n: int) -> tuple[float, float]:
    """Return the Wilson score interval of a share, at ``CONFIDENCE_LEVEL`` (Wilson 1927, no continuity correction).

    Args:
        successes: Number of successes, from 0 to ``n``.
        n: At least 1.
    """
    from scipy.stats import binomtest

    interval = binomtest(successes, n).proportion_ci(CONFIDENCE_LEVEL, method="wilson")
    return float(interval.low), float(interval.high)


def measure_share(successes: int, n: int) -> MeasuredScore:
    """Return ``value``, ``low`` and ``high`` of a share; ``n`` is at least 1."""
    low, high = bound_share(successes, n)
    return {"value": successes / n, "low": low, "high": high}


def bound_shares(values: dict[str, float | int]) -> dict[str, Limits]:
    """Return ``low`` and ``high`` of every score that is a share, from the counts of a confusion matrix."""
    limits: dict[str, Limits] = {}
    for name, (counted, not_counted) in SHARES.items():
        successes = sum(int(values[count]) for count in counted)
        n = successes + sum(int(values[count]) for count in not_counted)
        if n:
            low, high = bound_share(successes, n)
            limits[name] = {"low": low, "high": high}
    return limits


def bootstrap_counts(counts: npt.NDArray[np.int64], statistic: Callable[[Floats], Floats]) -> Limits:
    """Return ``low`` and ``high`` of a score that is a function of a confusion matrix.

    Drawing the tweets of a class again is drawing its counts from a multinomial distribution.

    Args:
        counts: Shape (classes, outcomes): tweets of each class by their outcome.
        statistic: Function from counts of shape (resamples, classes, outcomes) to scores of shape (resamples,).
    """
    random = np.random.default_rng(SEED)
    drawn = [random.multinomial(row.sum(), row / max(1, row.sum()), size=RESAMPLES) for row in counts]
    return find_limits(statistic(np.stack(drawn, axis=1).astype(np.float64)))


def bootstrap_means(values: Floats, truth: Labels, statistic: Callable[[Floats], Floats] | None = None) -> Limits:
    """Return ``low`` and ``high`` of a mean over all tweets, or of a function of several means.

    Args:
        values: Values of each tweet, shape (n,), or (n, k) for k means.
        truth: The class of each tweet, shape (n,).
        statistic: Function from means of shape (resamples, k) to scores of shape (resamples,).
    """
    columns = values.reshape(len(values), -1)
    means = np.concatenate([weights @ columns / len(truth) for weights in _draw_weights(truth)])
    return find_limits(statistic(means) if statistic else means[:, 0])


def bootstrap_roc_auc(positive: Floats, truth: Labels) -> Limits:
    """Return ``low`` and ``high`` of the area under the ROC curve: the share of pairs of both classes in right order.

    Args:
        positive: Probability of ``positive``, shape (n,).
        truth: 0 and 1, both present, shape (n,).
    """
    order = np.argsort(positive, kind="stable")
    starts = np.flatnonzero(np.diff(positive[order], prepend=-np.inf))  # of each distinct probability
    of_positive = truth[order] == 1
    areas = []
    for weights in _draw_weights(truth):
        sorted_weights = weights[:, order]
        above = np.add.reduceat(np.where(of_positive, sorted_weights, 0.0), starts, axis=1)
        below = np.add.reduceat(np.where(of_positive, 0.0, sorted_weights), starts, axis=1)
        pairs = (above * (np.cumsum(below, axis=1) - below / 2)).sum(axis=1)
        areas.append(pairs / (above.sum(axis=1) * below.sum(axis=1)))
    return find_limits(np.concatenate(areas))


def find_limits(scores: Floats) -> Limits:
    """Return the limits of the middle ``CONFIDENCE_LEVEL`` of resampled scores."""
    tail = (1 - CONFIDENCE_LEVEL) / 2
    low, high = np.quantile(scores, [tail, 1 - tail], method="weibull")  # of 999 the 25th and the 975th
    return {"low": float(low), "high": float(high)}


def _draw_weights(truth: Labels) -> Iterator[Floats]:
    """Yield parts of an array of shape (``RESAMPLES``, n): how often each tweet was drawn, class by class."""
    random = np.random.default_rng(SEED)
    n, rows = len(truth), [np.flatnonzero(truth == label) for label in np.unique(truth)]
    at_once = max(1, DRAWS_AT_ONCE // n)
    for start in range(0, RESAMPLES, at_once):
        size = min(at_once, RESAMPLES - start)
        offsets = np.arange(size)[:, None] * n
        drawn = [(part[random.integers(len(part), size=(size, len(part)))] + offsets).ravel() for part in rows]
        yield np.bincount(np.concatenate(drawn), minlength=size * n).reshape(size, n).astype(np.float64)


class Comparison(TypedDict):
    """Two models on the same ``n`` tweets: their accuracies, the difference (first minus second) and its p-value."""

    n: int
    first: MeasuredScore
    second: MeasuredScore
    only_first_right: int
    only_second_right: int
    difference: MeasuredScore
    p_value: float


def compare_accuracy(first: Flags, second: Flags, truth: Labels) -> Comparison:
    """Compare the accuracies of two models on the same tweets.

    The difference has the interval of a paired stratified bootstrap. The p-value is that of McNemar's exact test
    (McNemar 1947: two-sided binomial, of the tweets on which one model is right).

    Args:
        first: True where the first one is right, shape (n,), n at least 1.
        second: True where the second one is right, shape (n,).
        truth: 0 or 1, shape (n,).
    """
    from scipy.stats import binomtest

    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    differing = only_first + only_second
    n = len(truth)
    return {
        "n": n,
        "first": measure_share(int(first.sum()), n),
        "second": measure_share(int(second.sum()), n),
        "only_first_right": only_first,
        "only_second_right": only_second,
        "difference": measure_difference(first, second, truth),
        "p_value": float(binomtest(only_first, differing).pvalue) if differing else 1.0,
    }


def measure_difference(first: Flags, second: Flags, truth: Labels) -> MeasuredScore:
    """Return first minus second accuracy with ``low`` and ``high``; arguments as :func:`compare_accuracy`."""
    better, worse = first & ~second, second & ~first
    counts = np.array(
        [
            [(better & rows).sum(), (worse & rows).sum(), (rows & ~better & ~worse).sum()]
            for rows in (truth == label for label in np.unique(truth))
        ]
    )
    limits = bootstrap_counts(counts, lambda drawn: (drawn[..., 0] - drawn[..., 1]).sum(axis=1) / len(truth))
    return {"value": float(better.sum() - worse.sum()) / len(truth), **limits}
