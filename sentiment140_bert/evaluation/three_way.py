"""Three answers instead of two: a model that may say ``neutral``, on tweets some of which are."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sentiment140_bert.evaluation import intervals
from sentiment140_bert.evaluation.calibration import Calibration, confidence, scaled

# Labels as the data have them, in the order in which they are shown.
ORDER = {"negative": 0, "neutral": 2, "positive": 1}
Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


def said(positive: Floats, calibration: Calibration) -> Labels:
    """0, 1, or 2 for neutral where the calibrated confidence is below the threshold; shape (n,)."""
    unsure = confidence(scaled(positive, calibration.temperature)) < calibration.neutral_below
    return np.where(unsure, ORDER["neutral"], (positive >= 0.5).astype(np.int64))


def scores(answers: Labels, truth: Labels) -> dict[str, Any]:
    """How well three answers fit three labels.

    Args:
        answers: 0, 1 or 2 for neutral, shape (n,).
        truth: Likewise.

    Returns:
        ``n``, ``accuracy``, ``macro_recall`` (the mean of the classes', TweetEval's score for sentiment), ``macro_f1``,
        ``recall`` of each class that there is, each with its interval, and ``matrix``: counts, rows the labels and
        columns the answers, in the order negative, neutral, positive.
    """
    matrix = np.array([[((truth == row) & (answers == to)).sum() for to in ORDER.values()] for row in ORDER.values()])
    present = matrix.sum(axis=1) > 0
    right = int(np.trace(matrix))

    def macro_recall(drawn: Floats) -> Floats:
        return np.asarray(_recalls(drawn)[:, present].mean(axis=1))

    def macro_f1(drawn: Floats) -> Floats:
        return np.asarray(_f1s(drawn)[:, present].mean(axis=1))

    return {
        "n": len(truth),
        "accuracy": intervals.share(right, len(truth)),
        "macro_recall": _with_limits(matrix, macro_recall),
        "macro_f1": _with_limits(matrix, macro_f1),
        "recall": {
            name: intervals.share(int(matrix[at, at]), int(matrix[at].sum()))
            for at, name in enumerate(ORDER)
            if present[at]
        },
        "matrix": matrix.tolist(),
    }


def _with_limits(matrix: Labels, statistic: Any) -> dict[str, float]:
    return {"value": float(statistic(matrix[None].astype(np.float64))[0])} | intervals.of_counts(matrix, statistic)


def _recalls(counts: Floats) -> Floats:
    """Of each class, for counts of shape (m, 3, 3)."""
    return np.asarray(_diagonal(counts) / np.maximum(1, counts.sum(axis=2)))


def _f1s(counts: Floats) -> Floats:
    return np.asarray(2 * _diagonal(counts) / np.maximum(1, counts.sum(axis=2) + counts.sum(axis=1)))


def _diagonal(counts: Floats) -> Floats:
    return np.diagonal(counts, axis1=1, axis2=2)
