"""Scoring a classifier on labelled tweets, each split apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sentiment140_bert.evaluation import intervals, slices, three_way
from sentiment140_bert.evaluation.answers import Answers
from sentiment140_bert.evaluation.calibration import Calibration, confidence, reliability, risk_coverage, scaled
from sentiment140_bert.evaluation.lift import Baselines
from sentiment140_bert.models.labels import NEUTRAL


def scores_of(answers: Answers, calibration: Calibration | None, baselines: Baselines | None) -> dict[str, Any]:
    """The scores of one split.

    Args:
        answers: Neutral rows are left out of all scores but ``three_way``, and counted.
        calibration: What the model learned from its validation split; without it, nothing that needs it is told.
        baselines: What they answer on the same tweets.

    Returns:
        The part ``splits.NAME`` of ``metrics.json`` (docs/evaluation.md lists its keys).
    """
    binary = answers.binary()
    n = len(binary.truth)
    result: dict[str, Any] = {"n": n, "neutral_left_out": len(answers.truth) - n}
    if n:
        result |= _with_intervals(binary)
        result["calibration"] = reliability(binary.positive, binary.truth)
        result["risk_coverage"] = risk_coverage(binary.positive, binary.truth)
        if calibration:
            result |= _calibrated(binary, calibration)
        if baselines:
            result["baselines"] = baselines.beside(binary)
        result["slices"] = slices.scored(binary.right, slices.of_texts(binary.shown or binary.texts, binary.topics))
    if n < len(answers.truth):
        said = _three_answers(answers, calibration)
        if said is not None:
            result["three_way"] = three_way.scores(said, answers.truth)
    return result


def _with_intervals(answers: Answers) -> dict[str, Any]:
    from sentiment140_bert.evaluation.metrics import SentimentMetrics

    positive, truth = answers.positive, answers.truth
    values = SentimentMetrics().compute(predictions=positive, references=truth)
    counts = np.array(
        [[values["true_negative"], values["false_positive"]], [values["false_negative"], values["true_positive"]]]
    )
    limits = intervals.of_shares(values)
    limits["f1"] = intervals.of_counts(counts, _f1)
    limits["matthews_correlation"] = intervals.of_counts(counts, _matthews)
    limits["log_loss"] = intervals.of_means(log_losses(positive, truth), truth)
    if "roc_auc" in values:
        limits["roc_auc"] = intervals.of_ranking(positive, truth)
    return {name: {"value": value} | limits.get(name, {}) for name, value in values.items()}


def _f1(counts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    true_positive, wrong = counts[:, 1, 1], counts[:, 0, 1] + counts[:, 1, 0]
    return np.asarray(2 * true_positive / np.maximum(1, 2 * true_positive + wrong))


def _matthews(counts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    (tn, fp), (fn, tp) = counts[:, 0].T, counts[:, 1].T
    below = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    return np.asarray((tp * tn - fp * fn) / np.where(below, below, 1))


def log_losses(positive: npt.NDArray[np.float64], truth: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """What each tweet adds to the log loss, cut as scikit-learn's."""
    tiny = np.finfo(np.float64).eps
    return np.asarray(-np.log(np.clip(np.where(truth == 1, positive, 1 - positive), tiny, 1 - tiny)))


def _calibrated(answers: Answers, calibration: Calibration) -> dict[str, Any]:
    positive, truth = scaled(answers.positive, calibration.temperature), answers.truth
    losses = log_losses(positive, truth)
    answered = confidence(positive) >= calibration.neutral_below
    number = int(answered.sum())
    abstaining: dict[str, Any] = {"answered": number, "coverage": intervals.share(number, len(truth))}
    if number:
        abstaining["accuracy"] = intervals.share(int(answers.right[answered].sum()), number)
    return {
        "calibrated": reliability(positive, truth)
        | {"log_loss": {"value": float(losses.mean())} | intervals.of_means(losses, truth)},
        "abstaining": abstaining,
    }


def _three_answers(answers: Answers, calibration: Calibration | None) -> npt.NDArray[np.int64] | None:
    """By the model's own third label, or by the threshold under which it abstains."""
    if answers.neutral is not None:
        return np.where(answers.neutral, NEUTRAL, (answers.positive >= 0.5).astype(np.int64))
    return three_way.said(answers.positive, calibration) if calibration else None
