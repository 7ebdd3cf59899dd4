"""The scores of the predictions on one split."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import numpy as np

from sentiment140_bert.evaluation import intervals, slices
from sentiment140_bert.evaluation.calibration import (
    Calibration,
    apply_temperature,
    compute_confidence,
    measure_reliability,
    trace_risk_coverage,
)
from sentiment140_bert.evaluation.predictions import Floats, Labels, Predictions
from sentiment140_bert.models.labels import CLASSES_IN_ORDER, LABEL_NAMES, NEUTRAL
from sentiment140_bert.schemas.metrics import AbstentionScores, MeasuredScore, SplitScores, ThreeWay

if TYPE_CHECKING:
    from sentiment140_bert.evaluation.baseline import Baselines


# ---- negative and positive


def score_split(predictions: Predictions, calibration: Calibration | None, baselines: Baselines | None) -> SplitScores:
    """Score the predictions on one split.

    Args:
        predictions: Of a model without a neutral label, neutral tweets count for ``three_way`` and
            ``neutral_left_out`` only.
        calibration: Learned from the model's validation split; without it, scores that need it are left out.
        baselines: To compare with on the same tweets.

    Returns:
        The part ``splits.NAME`` of ``metrics.json`` (docs/run_files.md lists its keys).
    """
    scored = predictions if predictions.has_three_labels else predictions.drop_neutral()
    n = len(scored.truth)
    result: SplitScores = {"n": n, "neutral_left_out": len(predictions.truth) - n}
    if predictions.has_three_labels:
        three_way = result["three_way"] = score_three_way(scored.labels, scored.truth)
        result |= {"accuracy": three_way["accuracy"], "macro_f1": three_way["macro_f1"]}
    elif n:
        result |= _score_binary(scored.positive, scored.truth)
        result["calibration"] = measure_reliability(scored.positive, scored.truth)
        result["risk_coverage"] = trace_risk_coverage(scored.positive, scored.truth)
        if calibration:
            _add_calibrated(result, scored, calibration)
    if n:
        if baselines:
            result["baselines"] = baselines.compare(scored)
        kinds = slices.find_slices(scored.shown or scored.texts, scored.topics)
        result["slices"] = slices.score_slices(scored.correct, kinds)
    if n < len(predictions.truth) and calibration:
        result["three_way"] = score_three_way(abstain_below(predictions.positive, calibration), predictions.truth)
    return result


def _score_binary(positive: Floats, truth: Labels) -> SplitScores:
    from sentiment140_bert.evaluation.metrics import SentimentMetrics

    values = SentimentMetrics().compute(predictions=positive, references=truth)
    counts = np.array(
        [[values["true_negative"], values["false_positive"]], [values["false_negative"], values["true_positive"]]]
    )
    limits = intervals.bound_shares(values)
    limits["macro_f1"] = intervals.bootstrap_counts(counts, _compute_macro_f1)
    limits["f1"] = intervals.bootstrap_counts(counts, _compute_f1)
    limits["matthews_correlation"] = intervals.bootstrap_counts(counts, _compute_matthews)
    limits["log_loss"] = intervals.bootstrap_means(compute_log_losses(positive, truth), truth)
    if "roc_auc" in values:
        limits["roc_auc"] = intervals.bootstrap_roc_auc(positive, truth)
    scores = {name: {"value": value, **limits.get(name, {})} for name, value in values.items()}
    return cast(SplitScores, scores)


def _compute_f1(counts: Floats) -> Floats:
    true_positive, wrong = counts[:, 1, 1], counts[:, 0, 1] + counts[:, 1, 0]
    return np.asarray(2 * true_positive / np.maximum(1, 2 * true_positive + wrong))


def _compute_macro_f1(counts: Floats) -> Floats:
    """Return the mean F1 of the classes that there are, from matrices of shape (m, k, k), rows the labels."""
    labels, right = counts.sum(axis=2), np.diagonal(counts, axis1=1, axis2=2)
    f1s = 2 * right / np.maximum(1, labels + counts.sum(axis=1))
    return np.asarray(f1s.mean(axis=1, where=labels > 0))


def _compute_matthews(counts: Floats) -> Floats:
    (tn, fp), (fn, tp) = counts[:, 0].T, counts[:, 1].T
    below = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    return np.asarray((tp * tn - fp * fn) / np.where(below, below, 1))


def compute_log_losses(positive: Floats, truth: Labels) -> Floats:
    """Return the log loss of each tweet, clipped as scikit-learn's."""
    tiny = np.finfo(np.float64).eps
    return np.asarray(-np.log(np.clip(np.where(truth == 1, positive, 1 - positive), tiny, 1 - tiny)))


def _add_calibrated(result: SplitScores, predictions: Predictions, calibration: Calibration) -> None:
    positive, truth = apply_temperature(predictions.positive, calibration.temperature), predictions.truth
    losses = compute_log_losses(positive, truth)
    answered = compute_confidence(positive) >= calibration.neutral_below
    number = int(answered.sum())
    abstaining: AbstentionScores = {"answered": number, "coverage": intervals.measure_share(number, len(truth))}
    if number:
        abstaining["accuracy"] = intervals.measure_share(int(predictions.correct[answered].sum()), number)
    log_loss: MeasuredScore = {"value": float(losses.mean()), **intervals.bootstrap_means(losses, truth)}
    result["calibrated"] = {**measure_reliability(positive, truth), "log_loss": log_loss}
    result["abstaining"] = abstaining


# ---- negative, neutral and positive


def abstain_below(positive: Floats, calibration: Calibration) -> Labels:
    """Return 0, 1, or 2 for neutral where the calibrated confidence is below the threshold; shape (n,)."""
    unsure = compute_confidence(apply_temperature(positive, calibration.temperature)) < calibration.neutral_below
    return np.where(unsure, NEUTRAL, (positive >= 0.5).astype(np.int64))


def score_three_way(labels: Labels, truth: Labels) -> ThreeWay:
    """Score predicted labels of three classes.

    Args:
        labels: 0, 1 or 2 for neutral, shape (n,).
        truth: The same, as labelled.

    Returns:
        ``n``, ``accuracy``, ``macro_recall`` (the mean of the classes', TweetEval's score for sentiment), ``macro_f1``,
        ``recall`` of each class that there is, each with its interval, and ``matrix``: counts, rows the labels and
        columns the predictions, in the order negative, neutral, positive.
    """
    matrix = np.array(
        [[((truth == row) & (labels == to)).sum() for to in CLASSES_IN_ORDER] for row in CLASSES_IN_ORDER]
    )
    present = matrix.sum(axis=1) > 0
    right = int(np.trace(matrix))

    def compute_macro_recall(counts: Floats) -> Floats:
        recalls = np.diagonal(counts, axis1=1, axis2=2) / np.maximum(1, counts.sum(axis=2))
        return np.asarray(recalls[:, present].mean(axis=1))

    return {
        "n": len(truth),
        "accuracy": intervals.measure_share(right, len(truth)),
        "macro_recall": _measure_with_interval(matrix, compute_macro_recall),
        "macro_f1": _measure_with_interval(matrix, _compute_macro_f1),
        "recall": {
            LABEL_NAMES[label]: intervals.measure_share(int(matrix[at, at]), int(matrix[at].sum()))
            for at, label in enumerate(CLASSES_IN_ORDER)
            if present[at]
        },
        "matrix": matrix.tolist(),
    }


def _measure_with_interval(matrix: Labels, statistic: Callable[[Floats], Floats]) -> MeasuredScore:
    value = float(statistic(matrix[None].astype(np.float64))[0])
    return {"value": value, **intervals.bootstrap_counts(matrix, statistic)}
