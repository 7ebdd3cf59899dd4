"""The scores of a binary sentiment classifier: one metric of ``evaluate`` that needs no network, and intervals."""

from __future__ import annotations

from typing import Any, cast

import datasets
import evaluate
import numpy as np
import numpy.typing as npt
from scipy.special import softmax
from sklearn import metrics as sk

from sentiment140_bert.errors import diverged
from sentiment140_bert.evaluation import intervals
from sentiment140_bert.evaluation.calibration import compute_log_losses
from sentiment140_bert.models.labels import LABEL_NAMES
from sentiment140_bert.schemas import SplitScores

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
DESCRIPTION = "Scores of a binary sentiment classifier: positive is the class of interest."


class SentimentMetrics(evaluate.Metric):  # type: ignore[misc]
    """``compute(predictions=…, references=…)`` with labels 0 and 1 as references.

    A prediction is the probability of ``positive``, from 0 to 1; 0.5 and above counts as positive. Returned are the
    scores of :class:`schemas.metrics.BinaryScores`. F1, precision and recall are of the positive class, ``macro_f1`` is
    the mean F1 of the classes among the references, ``log_loss`` takes the natural logarithm. ``roc_auc`` is absent
    where the references hold one class only.
    """

    def _info(self) -> evaluate.MetricInfo:
        features = {"predictions": datasets.Value("float64"), "references": datasets.Value("int32")}
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation="",
            inputs_description=str(self.__doc__),
            features=datasets.Features(features),
        )

    def _compute(self, predictions: Any, references: Any) -> dict[str, float | int]:
        return compute_scores(np.asarray(predictions, dtype=np.float64), np.asarray(references, dtype=np.int64))


def compute_scores(positive: Floats, truth: Labels) -> dict[str, float | int]:
    """Compute the scores of :class:`SentimentMetrics`.

    Args:
        positive: Probability of ``positive`` for each tweet, shape (n,).
        truth: 0 or 1, shape (n,).
    """
    predicted = (positive >= 0.5).astype(np.int64)
    (tn, fp), (fn, tp) = sk.confusion_matrix(truth, predicted, labels=[0, 1])
    precision, recall, f1, _ = sk.precision_recall_fscore_support(truth, predicted, average="binary", zero_division=0.0)
    values: dict[str, float | int] = {
        "accuracy": float(sk.accuracy_score(truth, predicted)),
        "macro_f1": float(sk.f1_score(truth, predicted, labels=np.unique(truth), average="macro", zero_division=0.0)),
        "f1": float(f1),
        "precision": float(precision),
        "recall": float(recall),
        # Undefined, and 0 by convention, where one class is all there is.
        "matthews_correlation": float(sk.matthews_corrcoef(truth, predicted)) if len({*truth, *predicted}) > 1 else 0.0,
        "log_loss": float(sk.log_loss(truth, positive, labels=[0, 1])),
        "true_negative": int(tn),
        "false_positive": int(fp),
        "false_negative": int(fn),
        "true_positive": int(tp),
    }
    if 0 < truth.sum() < len(truth):
        values["roc_auc"] = float(sk.roc_auc_score(truth, positive))
    return values


def score_binary(positive: Floats, truth: Labels) -> SplitScores:
    """Return the scores of two classes, those that have one with their intervals; arguments as above."""
    values = SentimentMetrics().compute(predictions=positive, references=truth)
    counts = np.array(
        [[values["true_negative"], values["false_positive"]], [values["false_negative"], values["true_positive"]]]
    )
    limits = intervals.bound_shares(values)
    limits["macro_f1"] = intervals.bootstrap_counts(counts, compute_macro_f1)
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


def compute_macro_f1(counts: Floats) -> Floats:
    """Return the mean F1 of the classes that there are, from matrices of shape (m, k, k), rows the labels."""
    labels, right = counts.sum(axis=2), np.diagonal(counts, axis1=1, axis2=2)
    f1s = 2 * right / np.maximum(1, labels + counts.sum(axis=1))
    return np.asarray(f1s.mean(axis=1, where=labels > 0))


def _compute_matthews(counts: Floats) -> Floats:
    (tn, fp), (fn, tp) = counts[:, 0].T, counts[:, 1].T
    below = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    return np.asarray((tp * tn - fp * fn) / np.where(below, below, 1))


def compute_three_label_scores(logits: npt.NDArray[np.float64], truth: npt.NDArray[np.int64]) -> dict[str, float]:
    """Compute ``THREE_LABEL_SCORES``.

    Args:
        logits: One for each label, shape (n, 3).
        truth: 0, 1, or 2 for neutral, shape (n,).
    """
    predicted = logits.argmax(axis=1)
    return {
        "accuracy": float(sk.accuracy_score(truth, predicted)),
        "macro_f1": float(sk.f1_score(truth, predicted, labels=np.unique(truth), average="macro", zero_division=0.0)),
        "matthews_correlation": float(sk.matthews_corrcoef(truth, predicted)),
        "log_loss": float(sk.log_loss(truth, softmax(logits, axis=1), labels=[*LABEL_NAMES])),
    }


def compute_trainer_metrics(prediction: Any) -> dict[str, float]:
    """Compute the scores for ``Trainer(compute_metrics=…)``, from an ``EvalPrediction`` with a logit for each label.

    Of three labels they are ``THREE_LABEL_SCORES``.

    Raises:
        RunError: A logit is not a finite number: the training has diverged.
    """
    logits = np.asarray(prediction.predictions, dtype=np.float64)
    if not np.isfinite(logits).all():
        raise diverged("the model's predictions are no longer finite numbers")
    if logits.shape[1] > 2:
        return compute_three_label_scores(logits, np.asarray(prediction.label_ids))
    positive = 1.0 / (1.0 + np.exp(logits[:, 0] - logits[:, 1]))
    return SentimentMetrics().compute(predictions=positive, references=prediction.label_ids)  # type: ignore[no-any-return]
