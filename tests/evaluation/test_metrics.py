from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from sentiment140_bert.evaluation.metrics import SentimentMetrics, scores, trainer_metrics

ROWS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=1, max_size=60)


def test_by_hand() -> None:
    found = SentimentMetrics().compute(predictions=[0.9, 0.8, 0.3, 0.6, 0.1], references=[1, 1, 1, 0, 0])
    assert found == pytest.approx(
        {
            "accuracy": 3 / 5,
            "precision": 2 / 3,
            "recall": 2 / 3,
            "f1": 2 / 3,
            "matthews_correlation": (2 * 1 - 1 * 1) / math.sqrt(3 * 3 * 2 * 2),
            "roc_auc": 5 / 6,
            "log_loss": -(math.log(0.9) + math.log(0.8) + math.log(0.3) + math.log(0.4) + math.log(0.9)) / 5,
            "true_negative": 1,
            "false_positive": 1,
            "false_negative": 1,
            "true_positive": 2,
        }
    )


@given(ROWS)
def test_counts_and_ratios_agree(rows: list[tuple[float, int]]) -> None:
    positive, truth = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    found = scores(positive, truth)
    tn, fp, fn, tp = (found[name] for name in ("true_negative", "false_positive", "false_negative", "true_positive"))
    assert tn + fp + fn + tp == len(rows)
    assert tp + fn == truth.sum()
    assert found["accuracy"] == pytest.approx((tp + tn) / len(rows))
    assert found["recall"] == pytest.approx(tp / (tp + fn) if tp + fn else 0)
    assert found["precision"] == pytest.approx(tp / (tp + fp) if tp + fp else 0)
    assert found["f1"] == pytest.approx(2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 0)
    assert ("roc_auc" in found) == (0 < truth.sum() < len(rows))
    if "roc_auc" in found:
        assert found["roc_auc"] == pytest.approx(sk.roc_auc_score(truth, positive))
    assert all(type(value) in (int, float) and math.isfinite(value) for value in found.values())


@pytest.mark.filterwarnings("error")
def test_one_half_counts_as_positive() -> None:
    assert scores(np.array([0.5]), np.array([1]))["true_positive"] == 1


def test_a_sure_and_wrong_answer_has_a_finite_loss() -> None:
    assert 10 < scores(np.array([1.0, 0.0]), np.array([0, 1]))["log_loss"] < 100


@settings(max_examples=15)
@given(st.lists(st.tuples(st.floats(-8, 8), st.floats(-8, 8), st.integers(0, 1)), min_size=1, max_size=30))
def test_the_trainers_logits_give_the_same_scores(rows: list[tuple[float, float, int]]) -> None:
    logits, truth = np.array([row[:2] for row in rows]), np.array([row[2] for row in rows])
    shares = np.exp(logits[:, 1]) / np.exp(logits).sum(1)
    found = trainer_metrics(SimpleNamespace(predictions=logits, label_ids=truth))
    close = np.isclose(logits[:, 0], logits[:, 1])
    assert found["log_loss"] == pytest.approx(scores(shares, truth)["log_loss"], rel=1e-6, abs=1e-9)
    if not close.any():
        assert found["accuracy"] == pytest.approx(float((logits.argmax(1) == truth).mean()))
