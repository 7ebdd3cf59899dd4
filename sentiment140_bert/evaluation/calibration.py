"""Whether a model that says 0.9 is right in nine of ten cases."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

BINS = 10


def reliability(positive: npt.NDArray[np.float64], truth: npt.NDArray[np.int64]) -> dict[str, Any]:
    """Predicted probability beside observed share of positive tweets, in bins of equal size.

    Args:
        positive: Probability of ``positive`` for each tweet, shape (n,), n at least 1.
        truth: 0 or 1, shape (n,).

    Returns:
        ``bins`` (at most ``BINS``, each with ``n``, ``predicted`` and ``observed``), ``expected_calibration_error``
        (mean distance of the two, weighted by ``n``; Naeini et al. 2015, here with bins of equal mass) and
        ``brier_score`` (Brier 1950).
    """
    order = np.argsort(positive, kind="stable")
    ends = [len(part) for part in np.array_split(order, min(BINS, len(order)))]
    # Equal probabilities stay together, whatever the order of the rows.
    cuts = np.unique(np.searchsorted(positive[order], positive[order][np.cumsum(ends) - 1], side="right"))
    bins = [
        {"n": len(rows), "predicted": float(positive[rows].mean()), "observed": float(truth[rows].mean())}
        for rows in np.split(order, cuts[:-1])
    ]
    distances = [each["n"] * abs(each["predicted"] - each["observed"]) for each in bins]
    return {
        "bins": bins,
        "expected_calibration_error": sum(distances) / len(order),
        "brier_score": float(np.mean((positive - truth) ** 2)),
    }
