"""Reliability of scores as probabilities, the temperature that corrects it, and the threshold to abstain."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sentiment140_bert.evaluation import intervals
from sentiment140_bert.models.save import Calibration
from sentiment140_bert.schemas import metrics

BINS = 10
MIN_TWEETS = 50  # validation tweets, below which a temperature would be that of a few errors
STEPS = 20  # points of a risk-coverage curve
ABSTAINED_SHARE = 0.2  # share of the validation tweets that a model which may abstain leaves unanswered
MIN_PROBABILITY, MAX_PROBABILITY = 1e-7, 1 - 1e-7  # probabilities nearer to 0 and 1 are float32's rounding
TEMPERATURES = (0.05, 20.0)
Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


def fit_calibration(positive: Floats, truth: Labels) -> Calibration:
    """Fit the temperature with the least log loss, and the threshold that all but ``ABSTAINED_SHARE`` of tweets reach.

    Args:
        positive: Probability of ``positive`` for each validation tweet, shape (n,), n at least 1.
        truth: 0 or 1, shape (n,).
    """
    from scipy.optimize import minimize_scalar

    logits, signs = _compute_logits(positive), np.where(truth == 1, 1.0, -1.0)

    def loss(log_temperature: float) -> float:
        return float(np.logaddexp(0.0, -signs * logits / np.exp(log_temperature)).mean())

    minimum = minimize_scalar(loss, bounds=tuple(np.log(TEMPERATURES)), method="bounded", options={"xatol": 1e-6})
    temperature = round(float(np.exp(minimum.x)), 4)
    sure = compute_confidence(apply_temperature(positive, temperature))
    # A confidence that occurs, and not rounded up: a tweet at the threshold is answered.
    threshold = float(np.quantile(sure, ABSTAINED_SHARE, method="higher"))
    return Calibration(temperature, float(np.floor(threshold * 1e8) / 1e8))


def apply_temperature(positive: Floats, temperature: float) -> Floats:
    """Return probabilities with the temperature applied; none changes its side of 0.5."""
    return np.asarray(1.0 / (1.0 + np.exp(-_compute_logits(positive) / temperature)))


def compute_confidence(positive: Floats) -> Floats:
    """Return the probability of the likelier label."""
    return np.maximum(positive, 1.0 - positive)


def _compute_logits(positive: Floats) -> Floats:
    clipped = np.clip(positive, MIN_PROBABILITY, MAX_PROBABILITY)
    return np.log(clipped) - np.log1p(-clipped)


def measure_reliability(positive: Floats, truth: Labels) -> metrics.Calibration:
    """Compare predicted probabilities with the observed share of positive tweets, in bins of equal size.

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
    bins: list[metrics.CalibrationBin] = [
        {"n": len(rows), "predicted": float(positive[rows].mean()), "observed": float(truth[rows].mean())}
        for rows in parts
    ]
    distances = [some["n"] * abs(some["predicted"] - some["observed"]) for some in bins]
    error = sum(distances) / len(order)
    squares = (positive - truth) ** 2
    return {
        "bins": bins,
        "expected_calibration_error": {"value": error, **_bound_error(positive - truth, truth, parts, error)},
        "brier_score": {"value": float(np.mean(squares)), **intervals.bootstrap_means(squares, truth)},
    }


def _bound_error(over: Floats, truth: Labels, parts: list[npt.NDArray[np.int64]], error: float) -> intervals.Limits:
    """Return ``low`` and ``high`` of a calibration error.

    Drawing again adds noise to every bin, and noise looks like error. So the resampled errors are too large, and their
    distances from the measured one are reflected (the basic bootstrap), not below 0.
    """
    columns = np.zeros((len(over), len(parts)))
    for number, rows in enumerate(parts):
        columns[rows, number] = over[rows]
    drawn = intervals.bootstrap_means(columns, truth, lambda means: np.abs(means).sum(axis=1))
    low, high = max(0.0, 2 * error - drawn["high"]), max(0.0, 2 * error - drawn["low"])
    return {"low": min(low, error), "high": max(high, error)}


def trace_risk_coverage(positive: Floats, truth: Labels) -> list[metrics.RiskPoint]:
    """Trace the share of wrong predictions if only the most confident are made (El-Yaniv and Wiener 2010).

    Returns:
        Up to ``STEPS`` points, most confident first: ``coverage`` (share answered), ``risk`` (share of these wrong) and
        ``confidence`` (that of the least sure one among them).
    """
    sure = compute_confidence(positive)
    order = np.argsort(-sure, kind="stable")
    wrong = np.cumsum((positive[order] >= 0.5) != (truth[order] == 1))
    targets = np.unique(np.ceil(np.arange(1, STEPS + 1) / STEPS * len(order)).astype(int))
    ends = np.unique(np.searchsorted(-sure[order], -sure[order][targets - 1], side="right"))  # equals stay together
    return [
        {
            "coverage": int(end) / len(order),
            "risk": float(wrong[end - 1]) / int(end),
            "confidence": float(sure[order[end - 1]]),
        }
        for end in ends
    ]


def compute_log_losses(positive: Floats, truth: Labels) -> Floats:
    """Return the log loss of each tweet, clipped as scikit-learn's."""
    tiny = np.finfo(np.float64).eps
    return np.asarray(-np.log(np.clip(np.where(truth == 1, positive, 1 - positive), tiny, 1 - tiny)))
