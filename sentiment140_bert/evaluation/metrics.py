"""The scores of a binary sentiment classifier, as one metric of ``evaluate`` that needs no network."""

from __future__ import annotations

from typing import Any

import datasets
import evaluate
import numpy as np
import numpy.typing as npt
from scipy.special import softmax
from sklearn import metrics as sk

from sentiment140_bert.errors import diverged
from sentiment140_bert.models.labels import LABEL_NAMES

DESCRIPTION = "Scores of a binary sentiment classifier: positive is the class of interest."


class SentimentMetrics(evaluate.Metric):  # type: ignore[misc]
    """``compute(predictions=…, references=…)`` with labels 0 and 1 as references.

    A prediction is the probability of ``positive``, from 0 to 1; 0.5 and above counts as positive. Returned are
    ``accuracy``, ``macro_f1`` (the mean of the F1 of each class among the references), ``f1``, ``precision`` and
    ``recall`` of the positive class, ``matthews_correlation``, ``roc_auc``, ``log_loss`` (natural logarithm), and the
    counts ``true_negative``, ``false_positive``, ``false_negative`` and ``true_positive``. ``roc_auc`` is absent where
    the references hold one class only.
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


def compute_scores(positive: npt.NDArray[np.float64], truth: npt.NDArray[np.int64]) -> dict[str, float | int]:
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
