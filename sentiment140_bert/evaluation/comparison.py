"""Which of two models is better on the same tweets, or that nobody can tell."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sentiment140_bert.evaluation import intervals

Answers = npt.NDArray[np.bool_]


def compared(first: Answers, second: Answers, truth: npt.NDArray[np.int64]) -> dict[str, Any]:
    """The accuracies of two models on the same tweets.

    Args:
        first: Whether the first one is right, for each tweet, shape (n,), n at least 1.
        second: Likewise.
        truth: 0 or 1, shape (n,): both models are drawn again with the same tweets, each class by itself.

    Returns:
        ``n``; ``first`` and ``second``, each an accuracy with its interval; ``only_first_right`` and
        ``only_second_right``; ``difference`` (first minus second) with the interval of a paired stratified bootstrap;
        and ``p_value`` of McNemar's exact test (McNemar 1947: two-sided binomial, of the tweets on which one is right).
    """
    from scipy.stats import binomtest

    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    differing = only_first + only_second
    n = len(truth)
    return {
        "n": n,
        "first": intervals.share(int(first.sum()), n),
        "second": intervals.share(int(second.sum()), n),
        "only_first_right": only_first,
        "only_second_right": only_second,
        "difference": difference(first, second, truth),
        "p_value": float(binomtest(only_first, differing).pvalue) if differing else 1.0,
    }


def difference(first: Answers, second: Answers, truth: npt.NDArray[np.int64]) -> dict[str, float]:
    """Accuracy of the first minus that of the second, with ``low`` and ``high``; arguments as :func:`compared`."""
    classes = [truth == each for each in np.unique(truth)]
    better, worse = first & ~second, second & ~first
    counts = np.array([[(better & c).sum(), (worse & c).sum(), (c & ~better & ~worse).sum()] for c in classes])
    limits = intervals.of_counts(counts, lambda drawn: (drawn[..., 0] - drawn[..., 1]).sum(axis=1) / len(truth))
    return {"value": float(better.sum() - worse.sum()) / len(truth)} | limits


def in_words(comparison: dict[str, Any], first: str, second: str) -> str:
    """What a comparison says and does not say, in a sentence."""
    one, other, gap = comparison["first"], comparison["second"], comparison["difference"]
    told = f"{first} {one['value']:.3f} and {second} {other['value']:.3f} on {comparison['n']:,} tweets"
    spread = f"between {gap['low']:+.3f} and {gap['high']:+.3f}, p = {comparison['p_value']:.2g}"
    if not comparison["only_first_right"] + comparison["only_second_right"]:
        return f"{told}: right and wrong on the very same ones."
    if comparison["p_value"] >= intervals.SIGNIFICANT:
        rough = "" if gap["low"] <= 0 <= gap["high"] else "; the test decides, the interval is rough where few differ"
        return f"{told}: these cannot be told apart (difference {spread}{rough})."
    better = first if gap["value"] > 0 else second
    return f"{told}: {better} is better (difference {spread})."
