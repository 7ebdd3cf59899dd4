"""The scores of a binary classifier: worked by hand, and by the definitions for any answers."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentiment140_bert.errors import RunError
from sentiment140_bert.evaluation.metrics import SentimentMetrics, scores, trainer_metrics

# One half and equal probabilities occur often, as they do among rounded answers.
SHARE = st.floats(0, 1) | st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])
ROWS = st.lists(st.tuples(SHARE, st.integers(0, 1)), min_size=1, max_size=60)


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


def by_definition(rows: list[tuple[float, int]]) -> dict[str, float]:
    """Compute every score from its definition, in plain Python."""
    tp, fp, fn, tn = (
        sum((share >= 0.5) == said and truth == label for share, truth in rows)
        for said, label in ((True, 1), (True, 0), (False, 1), (False, 0))
    )
    below = math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    expected = {
        "accuracy": (tp + tn) / len(rows),
        "precision": tp / (tp + fp) if tp + fp else 0,
        "recall": tp / (tp + fn) if tp + fn else 0,
        "f1": 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 0,
        "matthews_correlation": (tp * tn - fp * fn) / below if below else 0,
        "true_negative": tn,
        "false_positive": fp,
        "false_negative": fn,
        "true_positive": tp,
    }
    tiny = np.finfo(float).eps
    losses = [-math.log(min(max(share if truth else 1 - share, tiny), 1 - tiny)) for share, truth in rows]
    expected["log_loss"] = sum(losses) / len(rows)
    positive, negative = ([share for share, truth in rows if truth == label] for label in (1, 0))
    if positive and negative:
        pairs = [(one > other) + (one == other) / 2 for one in positive for other in negative]
        expected["roc_auc"] = sum(pairs) / len(pairs)
    return expected


@pytest.mark.filterwarnings("error")
@given(ROWS)
def test_scores_are_as_defined(rows: list[tuple[float, int]]) -> None:
    found = scores(np.array([share for share, _ in rows]), np.array([truth for _, truth in rows]))
    assert found == pytest.approx(by_definition(rows), rel=1e-9, abs=1e-9)
    assert all(type(value) in (int, float) and math.isfinite(value) for value in found.values())


@settings(max_examples=15)
@given(st.lists(st.tuples(st.floats(-8, 8), st.floats(-8, 8), st.integers(0, 1)), min_size=1, max_size=30))
def test_logits_of_the_trainer_give_the_same_scores(rows: list[tuple[float, float, int]]) -> None:
    logits, truth = np.array([row[:2] for row in rows]), np.array([row[2] for row in rows])
    shares = np.exp(logits[:, 1]) / np.exp(logits).sum(1)
    found = trainer_metrics(SimpleNamespace(predictions=logits, label_ids=truth))
    assert found["log_loss"] == pytest.approx(scores(shares, truth)["log_loss"], rel=1e-6, abs=1e-9)
    if not np.isclose(logits[:, 0], logits[:, 1]).any():
        expected = scores(shares, truth)
        assert {name: found[name] for name in expected} == pytest.approx(expected)


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_a_single_logit_that_is_no_number_stops_the_training(broken: float) -> None:
    for at in range(4):
        logits = np.array([[0.1, 0.2], [0.3, -0.4]])
        logits.flat[at] = broken
        with pytest.raises(RunError, match="the model answers with no numbers any more"):
            trainer_metrics(SimpleNamespace(predictions=logits, label_ids=np.array([0, 1])))
