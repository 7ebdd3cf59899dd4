from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment140_bert.errors import ModelError
from sentiment140_bert.evaluation.sides import Sides, sides_of

NAMED = [
    (["negative", "positive"], 0, 1),
    (["POSITIVE", "NEGATIVE"], 1, 0),
    (["negative", "neutral", "positive"], 0, 2),
    (["positive", "negative", "neutral"], 1, 0),
    (["NEG", "NEU", "POS"], 0, 2),
    ([" Pos ", "neg"], 1, 0),
    (["0", "4"], 0, 1),
    (["1", "0"], 1, 0),
    (["-1", "0_neutral", "1"], 0, 2),
    (["LABEL_0", "negative", "positive"], 1, 2),
    (["positive", "label_1", "negative"], 2, 0),
]
UNNAMED = [(["LABEL_0", "LABEL_1"], 0, 1), (["LABEL_0", "LABEL_1", "LABEL_2"], 0, 2), (["label_a", "Label_b"], 0, 1)]
REFUSED = [
    (["a"], "The model has 1 labels (a); a sentiment classifier has two or three."),
    (["negative", "x", "y", "positive"], "The model has 4 labels (negative, x, y, positive); a sentiment classifier"),
    (["1 star", "5 stars"], "The labels 1 star, 5 stars do not say which is negative and which is positive."),
    (["negative", "neutral"], "do not say"),
    (["neutral", "positive"], "do not say"),
    (["negative", "negative ", "positive"], "do not say"),
    (["negative", "pos", "positive"], "do not say"),
    (["LABEL_0", "positive"], "do not say"),
    (["negative", "LABEL_1", "LABEL_2"], "do not say"),
]


def test_negative_and_positive_are_found_by_name() -> None:
    assert [labels for labels, negative, positive in NAMED if sides_of(labels) != Sides(negative, positive, "")] == []


def test_an_order_is_assumed_only_where_no_label_has_a_name() -> None:
    for labels, negative, positive in UNNAMED:
        said = f"labels have no names: {labels[negative]} read as negative, {labels[positive]} as positive"
        assert sides_of(labels) == Sides(negative, positive, said)


def test_other_labels_are_refused() -> None:
    for labels, said in REFUSED:
        with pytest.raises(ModelError) as caught:
            sides_of(labels)
        assert said in str(caught.value)


@given(
    st.lists(st.lists(st.floats(0, 1, width=32), min_size=3, max_size=3), min_size=1, max_size=5),
    st.permutations(range(3)),
)
def test_neutral_is_left_out_of_the_share(rows: list[list[float]], order: list[int]) -> None:
    negative, positive, _ = order
    shares = Sides(negative, positive).positive_share(np.array(rows, dtype=np.float32))
    for row, share in zip(rows, shares, strict=True):
        total = row[negative] + row[positive]
        assert 0 <= share <= 1
        if total > 1e-30:
            assert share == pytest.approx(row[positive] / total)
