from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment140_bert.errors import ModelError
from sentiment140_bert.evaluation.protocol import Sides, score_split, sides_of

# Wilson 1927, worked out by hand: (k + z²/2 ± z √(k (n - k) / n + z²/4)) / (n + z²) with z = 1.959964.
LIMITS_OF_TWO_OF_THREE = {"low": pytest.approx(0.207660, abs=1e-6), "high": pytest.approx(0.938508, abs=1e-6)}
LIMITS_OF_ONE_OF_TWO = {"low": pytest.approx(0.094531, abs=1e-6), "high": pytest.approx(0.905469, abs=1e-6)}


@pytest.mark.parametrize(
    ("labels", "negative", "positive", "assumed"),
    [
        (["negative", "positive"], 0, 1, False),
        (["POSITIVE", "NEGATIVE"], 1, 0, False),
        (["negative", "neutral", "positive"], 0, 2, False),
        (["positive", "negative", "neutral"], 1, 0, False),
        (["NEG", "NEU", "POS"], 0, 2, False),
        (["0", "4"], 0, 1, False),
        (["LABEL_0", "LABEL_1"], 0, 1, True),
        (["LABEL_0", "LABEL_1", "LABEL_2"], 0, 2, True),
    ],
)
def test_negative_and_positive_are_found(labels: list[str], negative: int, positive: int, assumed: bool) -> None:
    sides = sides_of(labels)
    assert (sides.negative, sides.positive, bool(sides.assumed)) == (negative, positive, assumed)
    if assumed:
        assert labels[negative] in sides.assumed
        assert labels[positive] in sides.assumed


@pytest.mark.parametrize(
    ("labels", "named"),
    [
        (["a"], "1 label"),
        (["anger", "joy", "optimism", "sadness"], "4 labels"),
        (["1 star", "5 stars"], "1 star, 5 stars"),
        (["negative", "neutral"], "do not say"),
        (["negative", "negative ", "positive"], "do not say"),
    ],
)
def test_other_labels_are_refused(labels: list[str], named: str) -> None:
    with pytest.raises(ModelError, match=named):
        sides_of(labels)


@given(st.lists(st.floats(0, 1, width=32), min_size=3, max_size=3))
def test_neutral_is_left_out_of_the_share(row: list[float]) -> None:
    share = Sides(0, 2).positive_share(np.array([row], dtype=np.float32))[0]
    total = row[0] + row[2]
    assert 0 <= share <= 1
    if total > 1e-30:
        assert share == pytest.approx(row[2] / total)


def test_neutral_tweets_are_left_out_and_counted() -> None:
    shares = {"bad": 0.1, "so so": 0.4, "good": 0.7, "fine": 0.2}
    asked: list[str] = []

    def score(texts: list[str]) -> np.ndarray:
        asked.extend(texts)
        return np.array([[1 - shares[text], shares[text]] for text in texts], dtype=np.float32)

    found = score_split(list(shares), np.array([0, 2, 1, 1]), score, Sides(0, 1))
    assert asked == ["bad", "good", "fine"]
    assert (found["n"], found["neutral_left_out"]) == (3, 1)
    assert found["accuracy"] == {"value": pytest.approx(2 / 3), **LIMITS_OF_TWO_OF_THREE}
    assert found["recall"] == {"value": pytest.approx(1 / 2), **LIMITS_OF_ONE_OF_TWO}
    assert found["precision"].keys() == {"value", "low", "high"}
    assert found["roc_auc"] == {"value": pytest.approx(1.0)}
    bins = found["calibration"]["bins"]
    assert [(each["n"], each["observed"]) for each in bins] == [(1, 0.0), (1, 1.0), (1, 1.0)]
    assert [each["predicted"] for each in bins] == pytest.approx([0.1, 0.2, 0.7])
    assert found["calibration"]["brier_score"] == pytest.approx((0.1**2 + 0.3**2 + 0.8**2) / 3)


def test_a_split_of_neutral_tweets_alone_has_no_scores() -> None:
    def never(texts: list[str]) -> np.ndarray:
        raise AssertionError(texts)

    assert score_split(["a", "b"], np.array([2, 2]), never, Sides(0, 1)) == {"n": 0, "neutral_left_out": 2}
