from __future__ import annotations

import numpy as np
import pytest

from sentiment140_bert.evaluation.answers import Answers, asked
from sentiment140_bert.evaluation.calibration import Calibration
from sentiment140_bert.evaluation.lift import Baselines
from sentiment140_bert.evaluation.protocol import log_losses, scores_of
from sentiment140_bert.evaluation.sides import Sides
from sentiment140_bert.settings import SCORES

# Wilson 1927, worked out by hand: (k + z²/2 ± z √(k (n - k) / n + z²/4)) / (n + z²) with z = 1.959964.
LIMITS_OF_TWO_OF_THREE = {"low": pytest.approx(0.207660, abs=1e-6), "high": pytest.approx(0.938508, abs=1e-6)}
LIMITS_OF_ONE_OF_TWO = {"low": pytest.approx(0.094531, abs=1e-6), "high": pytest.approx(0.905469, abs=1e-6)}
SHARES = {"bad": 0.1, "so so": 0.4, "good": 0.7, "fine": 0.2}


def answers(shares: dict[str, float] = SHARES, truth: tuple[int, ...] = (0, 2, 1, 1)) -> Answers:
    def score(texts: list[str]) -> np.ndarray:
        return np.array([[1 - shares[text], shares[text]] for text in texts], dtype=np.float32)

    return asked(list(shares), np.array(truth), score, Sides(0, 1))


def test_neutral_tweets_are_left_out_and_counted() -> None:
    found = scores_of(answers(), None, None)
    assert (found["n"], found["neutral_left_out"]) == (3, 1)
    assert found["accuracy"] == {"value": pytest.approx(2 / 3), **LIMITS_OF_TWO_OF_THREE}
    assert found["recall"] == {"value": pytest.approx(1 / 2), **LIMITS_OF_ONE_OF_TWO}
    assert found["roc_auc"]["value"] == pytest.approx(1.0)
    bins = found["calibration"]["bins"]
    assert [(each["n"], each["observed"]) for each in bins] == [(1, 0.0), (1, 1.0), (1, 1.0)]
    assert [each["predicted"] for each in bins] == pytest.approx([0.1, 0.2, 0.7])
    assert found["calibration"]["brier_score"]["value"] == pytest.approx((0.1**2 + 0.3**2 + 0.8**2) / 3)
    assert "three_way" not in found  # nobody said when to abstain
    assert "abstaining" not in found


def test_every_score_has_an_interval_that_holds_it() -> None:
    random = np.random.default_rng(1)
    truth = random.integers(0, 2, 300)
    positive = np.clip(random.normal(0.3 + 0.4 * truth, 0.3), 0.01, 0.99)
    found = scores_of(Answers(["a tweet"] * 300, truth, positive), Calibration(1.5, 0.7), Baselines(0.5))
    scores = [found[name] for name in SCORES]
    scores += [
        found[kind][name]
        for kind in ("calibration", "calibrated")
        for name in ("brier_score", "expected_calibration_error")
    ]
    scores += [found["calibrated"]["log_loss"], found["abstaining"]["coverage"], found["abstaining"]["accuracy"]]
    scores += [found["baselines"]["majority"][name] for name in ("accuracy", "lift")]
    for each in scores:
        assert each["low"] <= each["value"] <= each["high"]
        assert each["low"] < each["high"]


def test_the_threshold_makes_a_third_answer() -> None:
    """Of the confidences 0.9, 0.6, 0.7 and 0.8 only that of the neutral tweet lies below 0.65."""
    found = scores_of(answers(), Calibration(1.0, 0.65), None)
    assert found["three_way"]["matrix"] == [[1, 0, 0], [0, 1, 0], [1, 0, 1]]
    assert found["three_way"]["accuracy"]["value"] == 0.75
    assert found["three_way"]["macro_recall"]["value"] == pytest.approx((1 + 1 + 0.5) / 3)
    assert found["abstaining"]["answered"] == 3


def test_a_model_with_a_neutral_label_of_its_own_uses_it() -> None:
    def score(texts: list[str]) -> np.ndarray:
        return np.array([[0.5, 0.3, 0.2], [0.2, 0.6, 0.2], [0.1, 0.5, 0.4]])

    found = scores_of(asked(["a", "b", "c"], np.array([0, 2, 1]), score, Sides(0, 2)), None, None)
    assert found["three_way"]["matrix"] == [[1, 0, 0], [0, 1, 0], [0, 1, 0]]
    assert found["accuracy"]["value"] == 1.0  # of negative and positive the right one was likelier


def test_a_split_of_neutral_tweets_alone_has_no_scores() -> None:
    assert scores_of(answers({"a": 0.1, "b": 0.9}, (2, 2)), None, None) == {"n": 0, "neutral_left_out": 2}


def test_a_baseline_is_compared_on_the_same_tweets() -> None:
    """Three tweets: the model is right on two, the constant answer on the two that are positive."""
    found = scores_of(answers(), None, Baselines(0.6, lambda texts: np.array([0.1, 0.9, 0.9])))["baselines"]
    assert found["majority"]["accuracy"]["value"] == pytest.approx(2 / 3)
    assert found["majority"]["lift"]["value"] == 0
    assert found["tfidf"]["accuracy"]["value"] == 1
    assert found["tfidf"]["lift"]["value"] == pytest.approx(-1 / 3)
    assert found["tfidf"]["p_value"] == 1.0


def test_the_mean_of_the_losses_is_the_log_loss() -> None:
    from sklearn.metrics import log_loss

    positive, truth = np.array([0.0, 0.2, 0.9, 1.0]), np.array([0, 1, 1, 1])
    assert log_losses(positive, truth).mean() == pytest.approx(log_loss(truth, positive, labels=[0, 1]))
