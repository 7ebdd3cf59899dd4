from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment140_bert.errors import ModelError
from sentiment140_bert.evaluation.sides import Sides, sides_of


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
