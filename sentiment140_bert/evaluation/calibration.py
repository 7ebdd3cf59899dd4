"""Whether a model that says 0.9 is right in nine of ten cases, what mends it, and when it had better say nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sentiment140_bert.evaluation import intervals

BINS = 10
STEPS = 20  # points of a risk-coverage curve
ABSTAINING = 0.2  # share of the validation tweets that a model which may abstain leaves unanswered
LEAST, MOST = 1e-7, 1 - 1e-7  # probabilities nearer to 0 and 1 are float32's rounding
TEMPERATURES = (0.05, 20.0)
Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Calibration:
    """What was learned from the validation split; it travels in the model's ``config.json``.

    Args:
        temperature: By which logits are divided (Guo et al. 2017); above 1 the model was too sure of itself.
        neutral_below: Calibrated confidence under which the model may say ``neutral`` instead.
    """

    temperature: float
    neutral_below: float


def fitted(positive: Floats, truth: Labels) -> Calibration:
    """The temperature with the least log loss, and the confidence that all but ``ABSTAINING`` of the tweets reach.

    Args:
        positive: Probability of ``positive`` for each validation tweet, shape (n,), n at least 1.
        truth: 0 or 1, shape (n,).
    """
    from scipy.optimize import minimize_scalar

    logits, signs = _logits(positive), np.where(truth == 1, 1.0, -1.0)

    def loss(log_temperature: float) -> float:
        return float(np.logaddexp(0.0, -signs * logits / np.exp(log_temperature)).mean())

    found = minimize_scalar(loss, bounds=tuple(np.log(TEMPERATURES)), method="bounded", options={"xatol": 1e-6})
    temperature = round(float(np.exp(found.x)), 4)
    sure = confidence(scaled(positive, temperature))
    # A confidence that occurs, and not rounded up: who is just as sure answers.
    threshold = float(np.quantile(sure, ABSTAINING, method="higher"))
    return Calibration(temperature, float(np.floor(threshold * 1e8) / 1e8))


def scaled(positive: Floats, temperature: float) -> Floats:
    """Probabilities with the temperature applied; none changes its side of 0.5."""
    return np.asarray(1.0 / (1.0 + np.exp(-_logits(positive) / temperature)))


def confidence(positive: Floats) -> Floats:
    """Probability of the likelier label."""
    return np.maximum(positive, 1.0 - positive)


def _logits(positive: Floats) -> Floats:
    clipped = np.clip(positive, LEAST, MOST)
    return np.log(clipped) - np.log1p(-clipped)


def reliability(positive: Floats, truth: Labels) -> dict[str, Any]:
    """Predicted probability beside observed share of positive tweets, in bins of equal size.

    Args:
        positive: Probability of ``positive`` for each tweet, shape (n,), n at least 1.
        truth: 0 or 1, shape (n,).

    Returns:
        ``bins`` (at most ``BINS``, each with ``n``, ``predicted`` and ``observed``), ``expected_calibration_error``
        (mean distance of the two, weighted by ``n``; Naeini et al. 2015, here with bins of equal mass) and
        ``brier_score`` (Brier 1950), each with its interval.
    """
    order = np.argsort(positive, kind="stable")
    ends = [len(part) for part in np.array_split(order, min(BINS, len(order)))]
    # Equal probabilities stay together, whatever the order of the rows.
    cuts = np.unique(np.searchsorted(positive[order], positive[order][np.cumsum(ends) - 1], side="right"))
    parts = np.split(order, cuts[:-1])
    bins = [
        {"n": len(rows), "predicted": float(positive[rows].mean()), "observed": float(truth[rows].mean())}
        for rows in parts
    ]
    distances = [each["n"] * abs(each["predicted"] - each["observed"]) for each in bins]
    error = sum(distances) / len(order)
    squares = (positive - truth) ** 2
    return {
        "bins": bins,
        "expected_calibration_error": {"value": error} | _error_limits(positive - truth, truth, parts, error),
        "brier_score": {"value": float(np.mean(squares))} | intervals.of_means(squares, truth),
    }


def _error_limits(over: Floats, truth: Labels, parts: list[npt.NDArray[np.int64]], error: float) -> dict[str, float]:
    """``low`` and ``high`` of a calibration error.

    Drawing again adds noise to every bin, and noise looks like error: so the resampled errors lie above, and their
    distances are laid off from the measured one to the other side (the basic bootstrap), not below 0.
    """
    columns = np.zeros((len(over), len(parts)))
    for number, rows in enumerate(parts):
        columns[rows, number] = over[rows]
    drawn = intervals.of_means(columns, truth, lambda means: np.abs(means).sum(axis=1))
    low, high = (max(0.0, 2 * error - drawn[end]) for end in ("high", "low"))
    return {"low": min(low, error), "high": max(high, error)}


def risk_coverage(positive: Floats, truth: Labels) -> list[dict[str, float]]:
    """What share is wrong of the tweets that are answered, if only the surest are (El-Yaniv and Wiener 2010).

    Returns:
        Up to ``STEPS`` points, the surest first: ``coverage`` (share answered), ``risk`` (share wrong among them) and
        ``confidence`` (that of the least sure one among them).
    """
    sure = confidence(positive)
    order = np.argsort(-sure, kind="stable")
    wrong = np.cumsum((positive[order] >= 0.5) != (truth[order] == 1))
    wanted = np.unique(np.ceil(np.arange(1, STEPS + 1) / STEPS * len(order)).astype(int))
    ends = np.unique(np.searchsorted(-sure[order], -sure[order][wanted - 1], side="right"))  # equals stay together
    return [
        {
            "coverage": int(end) / len(order),
            "risk": float(wrong[end - 1]) / int(end),
            "confidence": float(sure[order[end - 1]]),
        }
        for end in ends
    ]
