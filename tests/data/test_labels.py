"""Interpret labels: by their names, as numbers of a known scheme, or by ``--label-map``."""

from __future__ import annotations

from pathlib import Path

import pytest
from datasets import ClassLabel, Dataset
from hypothesis import example, given
from hypothesis import strategies as st

from sentiment140_bert.data.labels import interpret_label_map, interpret_labels
from sentiment140_bert.data.pipeline import load_unsplit, prepare_splits
from sentiment140_bert.data.reading import Reading, read_tweets
from sentiment140_bert.data.sources import locate
from sentiment140_bert.errors import DataError, RecipeError
from sentiment140_bert.models.labels import tidy
from sentiment140_bert.recipe import DataConfig, Recipe


def read(path: Path | str, **settings: object) -> Reading:
    data = DataConfig(dataset=str(path), **settings)
    return read_tweets(locate(data)[0], data)


def list_labels(reading: Reading) -> list[int]:
    return reading.table["label"].to_pylist()


def make_rows(*labels: str) -> list[list[str]]:
    return [["label", "text"], *([label, f"tweet {at}"] for at, label in enumerate(labels))]


def refuse(path: Path | str, *parts: str, **settings: object) -> str:
    with pytest.raises(DataError) as refused:
        read(path, **settings)
    message = str(refused.value)
    assert [part for part in parts if part not in message] == []
    return message


# ---- schemes

READ_AS = "1 and 2 negative, 3 neutral, 4 and 5 positive"
STARS = {1: 0, 2: 0, 3: 2, 4: 1, 5: 1}
MEANINGS = {
    f"stars: {READ_AS}": {f"{number} star{'' if number == 1 else 's'}": side for number, side in STARS.items()},
    f"1 to 5, taken for stars: {READ_AS}": {str(number): side for number, side in STARS.items()},
    "0/2/4 (Sentiment140)": {"0": 0, "2": 2, "4": 1},
    "0/1": {"0": 0, "1": 1},
    "-1/0/1": {"-1": 0, "0": 2, "1": 1},
    "names": {
        **{"negative": 0, "neg": 0, "positive": 1, "pos": 1, "neutral": 2, "neu": 2, "neut": 2},
        **{"very negative": 0, "extremely positive": 1, "slightly_neg": 0, "mostly-pos": 1},
    },
}


def test_every_label_of_every_scheme_in_every_spelling():
    """The table is a promise."""
    for scheme, meaning in MEANINGS.items():
        counts = dict.fromkeys(meaning, 10)
        for label, side in meaning.items():
            for spelling in (label, f" {label} ", label.upper(), label.title(), f'"{label}"', f"{label}.0"):
                interpreted = interpret_labels(counts, None, "t.csv")
                assert (interpreted.scheme, interpreted.meaning[tidy(spelling)]) == (scheme, side), spelling
    assert (tidy("10"), tidy("1.05")) == ("10", "1.05")


CLEAR = {
    "0 2 4": [0, 2, 1],
    "2 4": [2, 1],
    "0 2 " * 300 + "4": [0, 2] * 300 + [1],
    **{"4": [1], "0": [0], "1": [1], "0 1": [0, 1], "0.0 1.0": [0, 1], "-1 0 1": [0, 2, 1], "-1 1 -1": [0, 1, 0]},
    "Negative NEUTRAL pos Neut": [0, 2, 1, 2],
    "LABEL_1 LABEL_0": [1, 0],
    "1 2 3 4 5": [0, 0, 2, 1, 1],
    "5.0 1.0": [1, 0],
    "1_star 2_stars 5_STARS 4-star": [0, 0, 1, 1],
    "Extremely_Positive Negative very-negative": [1, 0, 0],
}


def test_labels_with_one_possible_meaning_need_no_map(write):
    for labels, expected in CLEAR.items():
        assert list_labels(read(write("t.csv", make_rows(*labels.split())))) == expected, labels


few = st.integers(0, 9)


@given(negative=st.integers(60, 300), positive=st.integers(60, 300), minus=few, two=few, four=few)
@example(negative=50, positive=49, minus=1, two=0, four=0)  # one of a hundred: still stray
@example(negative=50, positive=49, minus=0, two=1, four=0)
def test_up_to_one_stray_label_of_a_hundred_does_not_change_the_meaning_of_others(negative, positive, minus, two, four):
    counts = {"0": negative, "1": positive, "-1": minus, "2": two, "4": four}
    counts = {label: count for label, count in counts.items() if count}
    total = sum(counts.values())
    if two * 100 > total or four * 100 > total:  # no scheme has 0, 1 and one of these
        with pytest.raises(DataError, match="nothing says what they mean"):
            interpret_labels(counts, None, "t.csv")
        return
    scheme = "-1/0/1" if minus * 100 > total else "0/1"
    assert interpret_labels(counts, None, "t.csv").scheme == scheme


def test_stray_labels_in_a_file_are_bad_rows(write):
    for labels, scheme in (
        (["0", "1"] * 200 + ["2"], "0/1"),
        (["0", "1"] * 200 + ["-1"], "0/1"),
        ([*"12345" * 40, "0"], f"1 to 5, taken for stars: {READ_AS}"),
        ([*"04" * 200, "5"], "0/2/4 (Sentiment140)"),
    ):
        reading = read(write("t.csv", make_rows(*labels)))
        assert (reading.scheme, reading.bad_rows, len(reading.table)) == (scheme, 1, len(labels) - 1)


def test_of_many_labels_a_message_names_a_few(write):
    assert len(refuse(write("t.csv", make_rows(*(f"label {n}" for n in range(1000)))), "and 992 others")) < 900


# ---- label maps

MAPS = {
    "0=negative,1=neutral,2=positive": ("0 1 2 0", [0, 2, 1, 0]),
    " 1.0 = Negative , 5=POSITIVE,3=neutral": ("1 5 3 5.0", [0, 1, 2, 1]),
    "good=positive,bad=negative": ("Good bad GOOD", [1, 0, 1]),
    "mixed=neutral": ("positive mixed neg neu", [1, 2, 0, 2]),  # the others are read by their names
    "positive=negative,negative=positive": ("positive negative", [0, 1]),
}
WRONG_MAPS = [
    *("", "0", "0=", "=negative", "0=bad", "0:negative", "0=negative,", "0=negative,0=positive"),
    *("A=negative,a=positive", "0=negative;1=positive"),
]


def test_label_maps(write):
    for label_map, (labels, expected) in MAPS.items():
        reading = read(write("t.csv", make_rows(*labels.split())), label_map=label_map)
        assert (list_labels(reading), reading.dropped, reading.bad) == (expected, 0, []), label_map
        assert label_map in reading.scheme


def test_a_wrong_map_is_refused_before_anything_is_read():
    for label_map in WRONG_MAPS:
        with pytest.raises(RecipeError, match="label_map: must be pairs as in") as refused:
            Recipe().with_values({"label_map": label_map})
        assert repr(label_map) in str(refused.value)
    with pytest.raises(DataError, match="each label once"):
        interpret_label_map("1=negative,1.0=positive")


def test_dropped_rows_are_counted_and_are_no_bad_rows(write):
    path = write("t.csv", make_rows("positive", "irrelevant", "negative", "Irrelevant", "neutral"))
    refuse(path, "'irrelevant' (2)")
    reading = read(path, label_map="irrelevant=drop")
    assert (list_labels(reading), reading.dropped, reading.rows, reading.bad) == ([1, 0, 2], 2, 5, [])


def test_labels_outside_the_map(write):
    path = write("t.csv", make_rows(*["a", "b"] * 50, "c"))
    assert read(path, label_map="a=positive,b=negative").bad_rows == 1
    refuse(path, "t.csv", "a=positive", "'b' (50)", "'a' (50)", "'c' (1)", "--label-map", label_map="a=positive")
    path = write("t.csv", make_rows("0", "4"))
    refuse(path, "t.csv", "'good=positive'", "'0' (1)", "'4' (1)", label_map="good=positive")


def test_a_file_without_header_whose_labels_only_the_map_has(write):
    path = write("t.csv", [["bad", "it rains"], ["good", "the sun"]])
    assert list_labels(read(path, label_map="bad=negative,good=positive")) == [0, 1]
    refuse(path, "no column that is obviously the text")


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("0 1 2", [0, 2, 1]),  # by the map, which has all of them
        ("0 2 4", [0, 2, 1]),  # the map does not have 4: so these are numbers of Sentiment140
        ("positive neutral", [1, 2]),
    ],
)
def test_the_hand_labelled_file_may_have_other_labels(cache, write, labels, expected):
    write("t.csv", make_rows(*"012" * 40))
    write("manual.csv", [["label", "text"], *([label, f"by hand {label}"] for label in labels.split())])
    label_map = "0=negative,1=neutral,2=positive"
    data = DataConfig(dataset="t.csv", manual_test="manual.csv", label_map=label_map, labels=2)
    assert load_unsplit(data)["manual"]["label"].to_pylist() == expected
    splits = prepare_splits(data.model_copy(update={"validation_size": 10, "test_size": 10})).report["splits"]
    assert splits["manual"]["rows"] + splits["manual_neutral"]["rows"] == len(expected)


# ---- data sets


@pytest.mark.parametrize("ending", ["", ".parquet"])
@pytest.mark.parametrize("names", [["negative", "neutral", "positive"], ["Negative", "Neutral", "Positive"], None])
def test_tweet_eval(tmp_path, names, ending):
    dataset = Dataset.from_dict({"text": [f"tweet {n}" for n in range(6)], "label": [0, 1, 2, 2, 1, 0]})
    dataset = dataset.cast_column("label", ClassLabel(names=names)) if names else dataset
    path = tmp_path / f"saved{ending}"
    dataset.to_parquet(path) if ending else dataset.save_to_disk(str(path))
    if names is None:
        refuse(path, "--label-map")
    label_map = None if names else "0=negative,1=neutral,2=positive"
    assert list_labels(read(path, label_map=label_map)) == [0, 2, 1, 1, 2, 0]
