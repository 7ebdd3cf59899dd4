"""The scores of the predictions on one split."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from sentiment140_bert.evaluation import intervals, slices
from sentiment140_bert.evaluation.calibration import (
    apply_temperature,
    compute_confidence,
    compute_log_losses,
    measure_reliability,
    trace_risk_coverage,
)
from sentiment140_bert.evaluation.predictions import Floats, Labels, Predictions
from sentiment140_bert.models.labels import CLASSES_IN_ORDER, LABEL_NAMES, NEUTRAL
from sentiment140_bert.models.save import Calibration
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
    from sentiment140_bert.evaluation.metrics import score_binary

    scored = predictions if predictions.has_three_labels else predictions.drop_neutral()
    n = len(scored.truth)
    result: SplitScores = {"n": n, "neutral_left_out": len(predictions.truth) - n}
    if predictions.has_three_labels:
        three_way = result["three_way"] = score_three_way(scored.labels, scored.truth)
        result |= {"accuracy": three_way["accuracy"], "macro_f1": three_way["macro_f1"]}
    elif n:
        result |= score_binary(scored.positive, scored.truth)
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
        truth: The same, as labeled.

    Returns:
        ``n``, ``accuracy``, ``macro_recall`` (the mean of the classes', TweetEval's score for sentiment), ``macro_f1``,
        ``recall`` of each class that there is, each with its interval, and ``matrix``: counts, rows the labels and
        columns the predictions, in the order negative, neutral, positive.
    """
    from sentiment140_bert.evaluation.metrics import compute_macro_f1

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
        "macro_f1": _measure_with_interval(matrix, compute_macro_f1),
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
