"""The predictions on one split, and its scores."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sentiment140_bert.evaluation import intervals, slices
from sentiment140_bert.evaluation.calibration import (
    Calibration,
    apply_temperature,
    compute_confidence,
    compute_log_losses,
    measure_reliability,
    trace_risk_coverage,
)
from sentiment140_bert.models.labels import CLASSES_IN_ORDER, LABEL_NAMES, NEUTRAL, LabelMapping, map_labels
from sentiment140_bert.schemas.metrics import AbstentionScores, MeasuredScore, SplitScores, ThreeWay

if TYPE_CHECKING:
    import pyarrow as pa

    from sentiment140_bert.evaluation.baseline import Baselines
    from sentiment140_bert.inference import Classifier

log = logging.getLogger(__name__)
Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Predictions:
    """The predictions of a model on the tweets of one split.

    Args:
        texts: Raw tweets.
        truth: 0, 1, or 2 for neutral, shape (n,).
        positive: P(positive | not neutral), shape (n,).
        neutral: True where the model's own label is neutral, shape (n,); None of a model without that label.
        topics: The query by which each tweet was found, if that is known.
        shown: The texts as a person reads them, if they differ from ``texts``.
    """

    texts: Sequence[str]
    truth: Labels
    positive: Floats
    neutral: Flags | None = None
    topics: Sequence[str | None] | None = None
    shown: Sequence[str] | None = None

    @property
    def correct(self) -> Flags:
        """True where the likelier of negative and positive is the label; False where that is neutral."""
        return np.asarray(((self.positive >= 0.5) == (self.truth == 1)) & (self.truth != NEUTRAL))

    def drop_neutral(self) -> Predictions:
        """Return those of tweets that are not neutral."""
        return self.select(self.truth != NEUTRAL)

    def select(self, rows: Flags) -> Predictions:
        """Return those where ``rows`` is True."""
        chosen = np.flatnonzero(rows).tolist()
        return Predictions(
            [self.texts[at] for at in chosen],
            self.truth[rows],
            self.positive[rows],
            None if self.neutral is None else self.neutral[rows],
            None if self.topics is None else [self.topics[at] for at in chosen],
            None if self.shown is None else [self.shown[at] for at in chosen],
        )


def predict_split(classifier: Classifier, table: pa.Table, name: str) -> Predictions:
    """Predict the labels of labeled tweets.

    Args:
        classifier: A sentiment classifier.
        table: Columns ``text`` and ``label``, perhaps ``topic``.
        name: Name of the split, for the log.
    """
    from sentiment140_bert.data import clean

    log.info("scoring %s: %s tweets", name, f"{len(table):,}")
    topics = table["topic"].to_pylist() if "topic" in table.column_names else None
    texts, truth = table["text"].to_pylist(), table["label"].to_numpy().astype("int64")
    shown = clean.clean(table["text"], "repair")[0].to_pylist()  # "&amp; " is not an emoticon
    return make_predictions(texts, truth, classifier.probabilities, map_labels(classifier.labels), topics, shown)


def make_predictions(
    texts: Sequence[str],
    truth: Labels,
    score: Callable[[Sequence[str]], npt.NDArray[np.float32]],
    mapping: LabelMapping,
    topics: Sequence[str | None] | None = None,
    shown: Sequence[str] | None = None,
) -> Predictions:
    """Make predictions of a function from texts to probabilities of all labels, shape (n, labels).

    Args:
        texts: See :class:`Predictions`, as ``truth``, ``topics`` and ``shown``.
        truth: 0, 1, or 2 for neutral.
        score: The function.
        mapping: The meanings of its labels.
        topics: See ``texts``.
        shown: See ``texts``.
    """
    probabilities = score(texts)
    neutral = mapping.says_neutral(probabilities)
    return Predictions(texts, truth, mapping.positive_share(probabilities), neutral, topics, shown)


# ---- negative and positive


def score_split(predictions: Predictions, calibration: Calibration | None, baselines: Baselines | None) -> SplitScores:
    """Score the predictions on one split.

    Args:
        predictions: Neutral tweets count for ``three_way`` and ``neutral_left_out`` only.
        calibration: Learned from the model's validation split; without it, scores that need it are left out.
        baselines: To compare with on the same tweets.

    Returns:
        The part ``splits.NAME`` of ``metrics.json`` (docs/run_files.md lists its keys).
    """
    from sentiment140_bert.evaluation.metrics import score_binary

    binary = predictions.drop_neutral()
    n = len(binary.truth)
    result: SplitScores = {"n": n, "neutral_left_out": len(predictions.truth) - n}
    if n:
        result |= score_binary(binary.positive, binary.truth)
        result["calibration"] = measure_reliability(binary.positive, binary.truth)
        result["risk_coverage"] = trace_risk_coverage(binary.positive, binary.truth)
        if calibration:
            _add_calibrated(result, binary, calibration)
        if baselines:
            result["baselines"] = baselines.compare(binary)
        kinds = slices.find_slices(binary.shown or binary.texts, binary.topics)
        result["slices"] = slices.score_slices(binary.correct, kinds)
    if n < len(predictions.truth):
        labels = _choose_three_way(predictions, calibration)
        if labels is not None:
            result["three_way"] = score_three_way(labels, predictions.truth)
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


def _choose_three_way(predictions: Predictions, calibration: Calibration | None) -> Labels | None:
    """Return labels by the model's own third one, else by the threshold under which it abstains."""
    if predictions.neutral is not None:
        return np.where(predictions.neutral, NEUTRAL, (predictions.positive >= 0.5).astype(np.int64))
    return abstain_below(predictions.positive, calibration) if calibration else None


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
