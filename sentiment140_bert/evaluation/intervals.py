"""How far a score may lie from what endlessly many tweets of the same kind would give.

Shares of tweets have Wilson's interval. Every other score has that of a stratified bootstrap (Efron and Tibshirani
1993, chapter 13): tweets are drawn again, with replacement, as many of each class as there are, and the middle
``CONFIDENCE_LEVEL`` of the scores counts. The draws begin with the same seed each time, so that the same tweets give
the same limits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

CONFIDENCE_LEVEL = 0.95
SIGNIFICANT = 1 - CONFIDENCE_LEVEL  # a p-value below it
RESAMPLES = 999
SEED = 140
AT_ONCE = 4_000_000  # draws held in memory at the same time
METHOD = {
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


def wilson(successes: int, n: int) -> tuple[float, float]:
    """The Wilson score interval of a share, at ``CONFIDENCE_LEVEL`` (Wilson 1927, without continuity correction).

    Args:
        successes: From 0 to ``n``.
        n: At least 1.
    """
    from scipy.stats import binomtest

    found = binomtest(successes, n).proportion_ci(CONFIDENCE_LEVEL, method="wilson")
    return float(found.low), float(found.high)


def share(successes: int, n: int) -> dict[str, float]:
    """``value``, ``low`` and ``high`` of a share; ``n`` is at least 1."""
    low, high = wilson(successes, n)
    return {"value": successes / n, "low": low, "high": high}


def of_shares(values: dict[str, float | int]) -> dict[str, dict[str, float]]:
    """``low`` and ``high`` of every score that is a share, from the counts of a confusion matrix."""
    found = {}
    for name, (for_it, against_it) in SHARES.items():
        successes = sum(int(values[each]) for each in for_it)
        n = successes + sum(int(values[each]) for each in against_it)
        if n:
            low, high = wilson(successes, n)
            found[name] = {"low": low, "high": high}
    return found


def of_counts(counts: npt.NDArray[np.int64], statistic: Callable[[Floats], Floats]) -> dict[str, float]:
    """``low`` and ``high`` of a score that needs no more than how often each class came out as what.

    To draw the tweets of a class again is to draw its counts from a multinomial distribution.

    Args:
        counts: Shape (classes, outcomes): tweets of each class by what became of them.
        statistic: From counts of shape (resamples, classes, outcomes) to scores of shape (resamples,).
    """
    random = np.random.default_rng(SEED)
    drawn = [random.multinomial(row.sum(), row / max(1, row.sum()), size=RESAMPLES) for row in counts]
    return limits(statistic(np.stack(drawn, axis=1).astype(np.float64)))


def of_means(values: Floats, truth: Labels, statistic: Callable[[Floats], Floats] | None = None) -> dict[str, float]:
    """``low`` and ``high`` of a mean over all tweets, or of what ``statistic`` makes of several.

    Args:
        values: Of each tweet: shape (n,), or (n, k) for k means.
        truth: The class of each tweet, shape (n,).
        statistic: From means of shape (resamples, k) to scores of shape (resamples,).
    """
    columns = values.reshape(len(values), -1)
    means = np.concatenate([weights @ columns / len(truth) for weights in _weights(truth)])
    return limits(statistic(means) if statistic else means[:, 0])


def of_ranking(positive: Floats, truth: Labels) -> dict[str, float]:
    """``low`` and ``high`` of the area under the ROC curve: the share of pairs, one of each class, in right order.

    Args:
        positive: Probability of ``positive``, shape (n,).
        truth: 0 and 1, both present, shape (n,).
    """
    order = np.argsort(positive, kind="stable")
    starts = np.flatnonzero(np.diff(positive[order], prepend=-np.inf))  # of each distinct probability
    of_positive = truth[order] == 1
    areas = []
    for weights in _weights(truth):
        sorted_weights = weights[:, order]
        above = np.add.reduceat(np.where(of_positive, sorted_weights, 0.0), starts, axis=1)
        below = np.add.reduceat(np.where(of_positive, 0.0, sorted_weights), starts, axis=1)
        pairs = (above * (np.cumsum(below, axis=1) - below / 2)).sum(axis=1)
        areas.append(pairs / (above.sum(axis=1) * below.sum(axis=1)))
    return limits(np.concatenate(areas))


def limits(scores: Floats) -> dict[str, float]:
    """The middle ``CONFIDENCE_LEVEL`` of resampled scores."""
    tail = (1 - CONFIDENCE_LEVEL) / 2
    low, high = np.quantile(scores, [tail, 1 - tail], method="weibull")  # of 999 the 25th and the 975th
    return {"low": float(low), "high": float(high)}


def _weights(truth: Labels) -> Iterator[Floats]:
    """How often each tweet was drawn: parts of an array of shape (``RESAMPLES``, n), each class drawn by itself."""
    random = np.random.default_rng(SEED)
    n, rows = len(truth), [np.flatnonzero(truth == each) for each in np.unique(truth)]
    at_once = max(1, AT_ONCE // n)
    for start in range(0, RESAMPLES, at_once):
        size = min(at_once, RESAMPLES - start)
        offsets = np.arange(size)[:, None] * n
        drawn = [(part[random.integers(len(part), size=(size, len(part)))] + offsets).ravel() for part in rows]
        yield np.bincount(np.concatenate(drawn), minlength=size * n).reshape(size, n).astype(np.float64)
