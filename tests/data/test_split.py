"""Folding equal texts, drawing the sample, and the splits."""

from __future__ import annotations

import time
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentiment140_bert.data import split
from sentiment140_bert.errors import DataError
from sentiment140_bert.settings import DataConfig

Item = tuple[str, int]  # key and label
STAMPS = (
    "Mon Apr 06 {0:02}:{1:02}:{2:02} PDT 2009",
    "2009-04-06 {0:02}:{1:02}:{2:02}",
    "2009-04-06T{0:02}:{1:02}:{2:02}Z",
)


def table(items: list[Item], stamp: str | None = STAMPS[0]) -> pa.Table:
    """One row for each item; the number in its key decides its date and its user."""
    numbers = [int(key[1:]) for key, _ in items]
    keys = [key for key, _ in items]
    dates = [stamp and stamp.format(n // 3600, n // 60 % 60, n % 60) for n in numbers]
    return pa.table(
        {
            "key": keys,
            "text": keys,
            "label": pa.array([label for _, label in items], pa.int8()),
            "date": pa.array(dates, pa.string()),
            "user": pa.array([stamp and f"user{n % 37}" for n in numbers], pa.string()),
        }
    )


def splits(items: list[Item], stamp: str | None = STAMPS[0], **values: object) -> dict[str, list[Item]]:
    parts = split.assign(table(items, stamp), DataConfig(**values))
    return {name: [items[at] for at in part] for name, part in parts.items()}


def drawn(items: list[Item], **values: object) -> set[Item]:
    return {item for part in splits(items, **values).values() for item in part}


def of(shape: tuple[int, int, int]) -> list[Item]:
    """As many texts as it says that are negative, positive, and both."""
    labels = [(0,)] * shape[0] + [(1,)] * shape[1] + [(0, 1)] * shape[2]
    return [(f"t{number}", label) for number, pair in enumerate(labels) for label in pair]


plain = st.tuples(st.integers(30, 90), st.integers(30, 90), st.just(0))
with_twins = st.tuples(st.integers(30, 90), st.integers(30, 90), st.integers(0, 20))
sizes = st.one_of(st.integers(8, 12), st.sampled_from([0.1, 0.13, 0.2]))
seeds = st.integers(0, 2**32)


@given(shape=plain, validation=sizes, test=sizes, seed=seeds, share=st.floats(0.7, 1))
@settings(max_examples=100)
def test_splits_are_disjoint_stratified_and_of_the_size_asked_for(shape, validation, test, seed, share):
    items = of(shape)
    total = int(share * len(items))
    parts = splits(items, max_samples=total, validation_size=validation, test_size=test, split_seed=seed)
    everything = [item for part in parts.values() for item in part]
    assert len(everything) == len(set(everything)) == total
    wanted = {"validation": validation, "test": test}
    for name, size in wanted.items():
        assert len(parts[name]) == (round(size * total) if size < 1 else size)
    for name, part in parts.items():
        expected = len(part) * sum(label for _, label in items) / len(items)
        away = abs(sum(label for _, label in part) - expected)
        assert away < 2 if name == "train" else away <= 1  # what the others are rounded by adds up there


@given(shape=with_twins, seed=seeds, random=st.randoms(use_true_random=False))
@settings(max_examples=50)
def test_neither_chance_nor_the_order_of_the_rows_decides(shape, seed, random):
    items = of(shape)
    values = {"max_samples": 60, "validation_size": 12, "test_size": 12, "split_seed": seed}
    shuffled = random.sample(items, len(items))
    assert splits(items, **values) == splits(items, **values)
    assert {name: set(part) for name, part in splits(items, **values).items()} == {
        name: set(part) for name, part in splits(shuffled, **values).items()
    }


@given(shape=plain, seed=seeds, sample=st.tuples(st.integers(30, 60), st.integers(30, 60)).map(sorted))
@settings(max_examples=100)
def test_a_smaller_sample_is_part_of_a_larger_one(shape, seed, sample):
    items = of(shape)
    small, large = (drawn(items, max_samples=n, split_seed=seed, test_size=6, validation_size=6) for n in sample)
    assert small <= large


@given(shape=with_twins, seed=seeds, size=st.integers(30, 59))
@settings(max_examples=200)
def test_a_smaller_sample_is_part_of_a_larger_one_with_both_copies_kept(shape, seed, size):
    items = of(shape)
    small, large = (
        drawn(items, max_samples=n, split_seed=seed, test_size=8, validation_size=8) for n in (size, size + 1)
    )
    assert small <= large


@given(shape=with_twins, seed=seeds, sample=st.one_of(st.none(), st.integers(40, 60)))
@settings(max_examples=100)
def test_both_copies_of_a_kept_text_stand_in_the_same_split(shape, seed, sample):
    items = of(shape)
    parts = splits(items, max_samples=sample, validation_size=10, test_size=10, split_seed=seed)
    assert (sample or len(items)) - sum(map(len, parts.values())) in (0, 1)  # a pair is not parted
    copies = Counter(key for key, _ in items)
    for part in parts.values():
        assert all(count == copies[key] for key, count in Counter(key for key, _ in part).items())


def test_the_order_mixes_the_labels_and_the_seed_changes_it():
    items = [(f"t{n}", n // 500) for n in range(1000)]
    first = [label for _, label in splits(items)["train"]]
    assert 0.35 < np.mean(first[:100]) < 0.65
    assert splits(items, split_seed=1) != splits(items, split_seed=2)


@pytest.mark.parametrize("seed", [0, 2**64])
def test_any_seed_that_a_recipe_takes_is_good(seed):
    assert len(splits([(f"t{n}", n % 2) for n in range(100)], split_seed=seed)["train"]) == 90


def test_no_test_split_where_none_is_asked_for():
    assert set(splits([(f"t{n}", n % 2) for n in range(100)], test_size=0)) == {"train", "validation"}


@pytest.mark.parametrize("stamp", STAMPS)
def test_by_time_the_latest_are_the_test(stamp):
    items = [(f"t{n}", n % 2) for n in range(0, 4000, 7)][::-1]
    parts = splits(items, stamp, split_by="time", validation_size=40, test_size=0.1)
    when = {name: [int(key[1:]) for key, _ in part] for name, part in parts.items()}
    assert (len(when["validation"]), len(when["test"])) == (40, 57)
    assert max(when["train"]) < min(when["validation"])
    assert max(when["validation"]) < min(when["test"])


def test_by_time_does_not_depend_on_the_time_zone_of_the_machine(monkeypatch):
    def latest(zone: str) -> set[Item]:
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        night = "Fri Apr 24 {0:02}:{1:02}:{2:02} PDT 2009"  # when summer time began in Cairo
        items = [(f"t{n}", n % 2) for n in range(0, 7200, 45)]
        return set(splits(items, night, split_by="time", validation_size=40, test_size=40)["test"])

    try:
        assert latest("UTC") == latest("Africa/Cairo")
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()


@given(seed=seeds, total=st.integers(200, 400))
@settings(max_examples=30)
def test_by_user_no_user_stands_on_both_sides(seed, total):
    items = [(f"t{n}", n // 37 % 2) for n in range(total)]
    parts = splits(items, split_by="user", validation_size=40, test_size=40, split_seed=seed)
    users = [{int(key[1:]) % 37 for key, _ in part} for part in parts.values()]
    assert sum(map(len, users)) == len(set.union(*users)) == 37
    assert all(abs(len(parts[name]) - 40) <= 12 for name in ("validation", "test"))


@pytest.mark.parametrize("by", ["time", "user"])
def test_by_time_and_user_need_them(by):
    with pytest.raises(DataError, match=f"--split-by {by} needs"):
        splits([(f"t{n}", n % 2) for n in range(100)], None, split_by=by)


def test_a_date_that_cannot_be_read_is_shown():
    with pytest.raises(DataError, match="'last Tuesday'"):
        splits([(f"t{n}", n % 2) for n in range(100)], "last Tuesday", split_by="time")


@pytest.mark.parametrize(
    ("items", "values", "message"),
    [
        ([("t1", 0)] * 50, {}, "one class only, all 50 usable tweets are negative"),
        ([], {}, "holds no tweet that is negative or positive"),
        ([(f"t{n}", n % 2) for n in range(50)], {"max_samples": 51}, "51 samples were asked for, but only 50"),
        ([(f"t{n}", n % 2) for n in range(50)], {"test_size": 40, "validation_size": 10}, "50 tweets do not allow"),
        ([(f"t{n}", n % 2) for n in range(10)], {}, "10 tweets do not allow"),
        ([(f"t{n}", int(n < 3)) for n in range(90)], {"test_size": 10}, "does not hold both labels"),
    ],
)
def test_what_cannot_be_split(items, values, message):
    with pytest.raises(DataError, match=message):
        splits(items, **values)


FOLDED = [("a", 0), ("b", 1), ("a", 0), ("c", 0), ("c", 1), ("c", 0), ("d", 1), ("d", 0), ("c", 0)]


@pytest.mark.parametrize(
    ("conflicts", "kept", "dropped"), [("drop", [0, 1], 6), ("majority", [0, 1, 3], 5), ("keep", [0, 1, 3, 4, 6, 7], 2)]
)
def test_equal_texts_are_folded_into_one(conflicts, kept, dropped):
    keys, labels = zip(*FOLDED, strict=True)
    folded = split.fold(pa.chunked_array([keys]), np.array(labels, np.int8), conflicts)
    assert folded.rows.tolist() == kept
    assert folded.counts == {
        "duplicates": 1,
        "conflicting_texts": 2,
        "conflicting_rows": 6,
        "conflicting_dropped": dropped,
    }


@given(items=st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 1))))
@settings(max_examples=100)
def test_folding_loses_no_row_uncounted(items):
    keys, labels = [key for key, _ in items], np.array([label for _, label in items], np.int8)
    for conflicts in ("drop", "majority", "keep"):
        folded = split.fold(pa.chunked_array([pa.array(keys, pa.string())]), labels, conflicts)
        counts = folded.counts
        assert len(folded.rows) + counts["duplicates"] + counts["conflicting_dropped"] == len(items)
        kept = [(keys[at], int(labels[at])) for at in folded.rows]
        assert len(kept) == len(set(kept if conflicts == "keep" else [key for key, _ in kept]))


@given(shape=plain, seed=seeds, rows=st.integers(2, 60))
@settings(max_examples=50)
def test_a_plain_sample_is_stratified_and_in_the_order_of_the_table(shape, seed, rows):
    items = of(shape)
    whole = table(items)
    chosen = split.sample(whole, rows, seed)
    assert len(chosen) == rows
    assert chosen["key"].to_pylist() == [key for key, _ in items if key in set(chosen["key"].to_pylist())]
    assert abs(sum(chosen["label"].to_pylist()) - rows * sum(label for _, label in items) / len(items)) <= 1
    with pytest.raises(DataError, match="samples were asked for"):
        split.sample(whole, len(items) + 1, seed)
