"""How far a score may lie from what endlessly many tweets of the same kind would give."""

from __future__ import annotations

CONFIDENCE_LEVEL = 0.95
# Each is a share of tweets: the numbers of the confusion matrix above and below the line.
SHARES = {
    "accuracy": (("true_negative", "true_positive"), ("false_positive", "false_negative")),
    "precision": (("true_positive",), ("false_positive",)),
    "recall": (("true_positive",), ("false_negative",)),
}


def wilson(successes: int, n: int) -> tuple[float, float]:
    """The Wilson score interval of a share, at ``CONFIDENCE_LEVEL`` (Wilson 1927, without continuity correction).

    Args:
        successes: From 0 to ``n``.
        n: At least 1.
    """
    from scipy.stats import binomtest

    found = binomtest(successes, n).proportion_ci(CONFIDENCE_LEVEL, method="wilson")
    return float(found.low), float(found.high)


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
