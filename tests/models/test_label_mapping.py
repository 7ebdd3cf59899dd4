"""Check the meaning of the labels of models, by the same rules as for data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment140_bert.data.labels import interpret_labels
from sentiment140_bert.errors import DataError, ModelError
from sentiment140_bert.models.labels import NEGATIVE, NEUTRAL, POSITIVE, LabelMapping, map_labels, tidy

N, P, O = NEGATIVE, POSITIVE, NEUTRAL  # noqa: E741
FIVE = (N, N, O, P, P)
CLEAR: dict[tuple[str, ...], tuple[int, ...]] = {
    ("negative", "positive"): (N, P),
    ("POSITIVE", "NEGATIVE"): (P, N),
    ("negative", "neutral", "positive"): (N, O, P),
    ("positive", "negative", "neutral"): (P, N, O),
    ("NEG", "NEU", "POS"): (N, O, P),
    (" Pos ", "neg"): (P, N),
    ("0", "4"): (N, P),
    ("1", "0"): (P, N),
    ("-1", "0", "1"): (N, O, P),
    ("1 star", "2 stars", "3 stars", "4 stars", "5 stars"): FIVE,
    ("1_star", "2_star", "3_star", "4_star", "5_star"): FIVE,
    ("5 STARS", "1 STAR"): (P, N),
    ("1", "2", "3", "4", "5"): FIVE,
    ("5", "4", "3", "2", "1"): FIVE[::-1],
    ("Very Negative", "Negative", "Neutral", "Positive", "Very Positive"): FIVE,
    ("extremely_positive", "extremely_negative"): (P, N),
}
ASSUMED = {
    ("LABEL_0", "LABEL_1"): ((N, P), "labels have no names: read LABEL_0 as negative, LABEL_1 as positive"),
    ("LABEL_1", "LABEL_0"): ((P, N), "labels have no names: read LABEL_1 as positive, LABEL_0 as negative"),
    ("negative", "mixed", "positive"): ((N, O, P), "read mixed as neutral"),
    ("LABEL_0", "negative", "positive"): ((O, N, P), "read LABEL_0 as neutral"),
}
UNCLEAR = [
    ("0", "1", "2"),
    ("LABEL_0", "LABEL_1", "LABEL_2"),
    ("0", "1", "2", "3", "4"),
    ("1", "2"),
    ("1", "2", "3"),
    ("0", "2"),
    *(("2", "3", "4"), ("0", "1", "4"), ("-2", "-1", "0", "1", "2"), tuple(map(str, range(1, 11)))),
]
REFUSED = {
    ("a",): "The model's only label (a) does not say",
    ("negative", "x", "y", "positive"): "The model's 4 labels (negative, x, y, positive) do not say",
    ("negative", "neutral"): "do not say which is negative and which is positive",
    ("neutral", "positive"): "do not say",
    ("1 star", "2 stars"): "do not say",
    ("entailment", "not_entailment"): "do not say",
    ("LABEL_0", "positive"): "do not say",
    ("label_a", "label_b"): "do not say",
    tuple(f"topic {number}" for number in range(40)): "and 32 others",
}


def test_labels_that_can_mean_one_thing_only() -> None:
    mappings = {names: map_labels(names) for names in (*CLEAR, *ASSUMED)}
    expected = {names: LabelMapping(meanings) for names, meanings in CLEAR.items()}
    assert mappings == expected | {names: LabelMapping(*mapping) for names, mapping in ASSUMED.items()}


def test_data_and_models_are_read_alike() -> None:
    """A file whose rows carry a model's labels is understood, or refused, as the model is."""
    for names in (*CLEAR, ("LABEL_0", "LABEL_1")):
        labels = interpret_labels({tidy(name): 10 for name in names}, None, "t.csv")
        assert tuple(labels.meaning[tidy(name)] for name in names) == map_labels(names).meanings, names
    for names in UNCLEAR:
        sentences = set()
        with pytest.raises(ModelError, match="nothing says what they mean") as of_model:
            map_labels(names)
        with pytest.raises(DataError, match="nothing says what they mean") as of_data:
            interpret_labels({tidy(name): 10 for name in names}, None, "t.csv")
        sentences |= {error.value.message.partition("nothing says")[2] for error in (of_model, of_data)}
        assert len(sentences) == 1
        example = of_data.value.hint.rpartition("--label-map ")[2].rstrip(".")
        assert interpret_labels({tidy(name): 10 for name in names}, example, "t.csv")
        assert '"id2label": {"0": "negative"' in of_model.value.hint


def test_other_labels_are_refused() -> None:
    for names, message in REFUSED.items():
        with pytest.raises(ModelError) as caught:
            map_labels(names)
        assert message in str(caught.value)


SHARES = st.lists(st.floats(0, 1, width=32), min_size=5, max_size=5)


@given(st.lists(SHARES, min_size=1, max_size=5), st.permutations(FIVE))
def test_all_labels_of_a_side_count_and_neutral_is_left_out(rows: list[list[float]], meanings: list[int]) -> None:
    mapping, probabilities = LabelMapping(tuple(meanings)), np.array(rows, dtype=np.float32)
    neutral = mapping.neutral_share(probabilities)
    assert neutral is not None
    for row, share, of_neutral in zip(rows, mapping.positive_share(probabilities), neutral, strict=True):
        sums = {side: sum(p for p, meaning in zip(row, meanings, strict=True) if meaning == side) for side in (N, P, O)}
        assert 0 <= share <= 1
        if sums[N] + sums[P] > 1e-30:
            assert share == pytest.approx(sums[P] / (sums[N] + sums[P]))
        if sum(row) > 1e-30:
            assert of_neutral == pytest.approx(sums[O] / sum(row))


def test_a_model_of_two_labels_says_nothing_of_neutral() -> None:
    assert LabelMapping((N, P)).neutral_share(np.zeros((2, 2), dtype=np.float32)) is None
