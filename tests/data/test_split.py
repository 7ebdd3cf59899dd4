"""Deduplicate, sample and split: as a second implementation without arrays does, for any numbers of texts."""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentiment140_bert.data import split
from sentiment140_bert.errors import DataError
from sentiment140_bert.recipe import DataConfig

Item = tuple[str, int]  # key and label
STAMP = "Mon Apr 06 {0:02}:{1:02}:{2:02} PDT 2009"


def make_table(items: list[Item], stamp: str | None = STAMP) -> pa.Table:
    """Make one row for each item; the number in its key decides its date and its user."""
    numbers = [int(key[1:]) for key, _ in items]
    keys = [key for key, _ in items]
    dates = [stamp and stamp.format(n // 3600, n // 60 % 60, n % 60) for n in numbers]
    users = [stamp and f"user{n % 37}" for n in numbers]
    labels = pa.array([label for _, label in items], pa.int8())
    columns = {"date": pa.array(dates, pa.string()), "user": pa.array(users, pa.string())}
    return pa.table({"key": keys, "text": keys, "label": labels, **columns})


def split_items(items: list[Item], stamp: str | None = STAMP, **values: object) -> dict[str, list[Item]]:
    rows = split.assign_splits(make_table(items, stamp), DataConfig(**values))
    return {name: [items[at] for at in part] for name, part in rows.items()}


def make_items(shape: tuple[int, int, int]) -> list[Item]:
    """Make as many texts as the shape says that are negative, positive, and both."""
    labels = [(0,)] * shape[0] + [(1,)] * shape[1] + [(0, 1)] * shape[2]
    return [(f"t{number}", label) for number, pair in enumerate(labels) for label in pair]


def alternate(count: int) -> list[Item]:
    return [(f"t{n}", n % 2) for n in range(count)]


plain = st.tuples(st.integers(30, 90), st.integers(30, 90), st.just(0))
with_twins = st.tuples(st.integers(30, 90), st.integers(30, 90), st.integers(0, 20))
sizes = st.one_of(st.integers(8, 12), st.sampled_from([0.1, 0.13, 0.2]))
seeds = st.integers(0, 2**32 - 1)


# ---- properties of splits


@given(shape=plain, validation=sizes, test=sizes, seed=seeds, share=st.floats(0.7, 1))
@settings(max_examples=60)
def test_splits_are_disjoint_stratified_and_of_their_size(shape, validation, test, seed, share):
    items = make_items(shape)
    total = int(share * len(items))
    parts = split_items(items, max_samples=total, validation_size=validation, test_size=test, split_seed=seed)
    everything = [item for part in parts.values() for item in part]
    assert len(everything) == len(set(everything)) == total
    for name, size in {"validation": validation, "test": test}.items():
        assert len(parts[name]) == (round(size * total) if size < 1 else size)
    for name, part in parts.items():
        expected = len(part) * sum(label for _, label in items) / len(items)
        difference = abs(sum(label for _, label in part) - expected)
        assert difference < 2 if name == "train" else difference <= 1  # the rounding of the others adds up in train


@given(shape=with_twins, seed=seeds, size=st.integers(30, 59), random=st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_a_smaller_sample_is_part_of_a_larger_one_in_any_order_of_the_rows(shape, seed, size, random):
    items = make_items(shape)
    values = {"validation_size": 8, "test_size": 8, "split_seed": seed}
    parts, shuffled, larger = (
        {name: set(part) for name, part in split_items(order, max_samples=samples, **values).items()}
        for order, samples in ((items, size), (random.sample(items, len(items)), size), (items, size + 1))
    )
    assert parts == shuffled
    assert set.union(*parts.values()) <= set.union(*larger.values())


def test_by_time_does_not_depend_on_the_time_zone_of_the_machine(monkeypatch):
    def find_latest(zone: str) -> set[Item]:
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        night = "Fri Apr 24 {0:02}:{1:02}:{2:02} PDT 2009"  # when summer time began in Cairo
        items = [(f"t{n}", n % 2) for n in range(0, 7200, 45)]
        return set(split_items(items, night, split_by="time", validation_size=40, test_size=40)["test"])

    try:
        assert find_latest("UTC") == find_latest("Africa/Cairo")
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()


@pytest.mark.parametrize("by", ["random", "user"])
def test_another_seed_gives_other_splits(by):
    items = [(f"t{n}", n // 37 % 2) for n in range(1000)]
    one, again, other = (split_items(items, split_by=by, split_seed=seed, test_size=300) for seed in (1, 1, 2))
    assert one == again
    assert all(set(one[name]) != set(other[name]) for name in one)
    labels = [label for _, label in one["train"]]
    assert 0.35 < np.mean(labels[:100]) < 0.65, "the order of a split does not mix the labels"


def test_any_seed_of_a_recipe_and_no_test_split():
    for seed in (0, 2**32 - 1):
        assert len(split_items(alternate(100), split_seed=seed)["train"]) == 90
    assert set(split_items(alternate(100), test_size=0)) == {"train", "validation"}


@pytest.mark.parametrize(
    ("items", "values", "message"),
    [
        ([("t1", 0)] * 50, {}, "one class only, all 50 usable tweets are negative"),
        ([], {}, "holds no negative or positive tweets"),
        (alternate(50), {"max_samples": 51}, "--max-samples is 51, but there are only 50"),
        (alternate(50), {"test_size": 40, "validation_size": 10}, "50 tweets make "),
        (alternate(50), {"test_size": 30, "validation_size": 19}, "50 tweets make "),
        (alternate(10), {}, "10 tweets make "),
        (alternate(50), {"validation_size": 1, "test_size": 10}, "50 tweets make "),
        (alternate(50), {"validation_size": 10, "test_size": 1}, "50 tweets make "),
        ([(f"t{n}", int(n < 3)) for n in range(90)], {"test_size": 10}, "does not hold both labels"),
        (alternate(100), {"stamp": None, "split_by": "time"}, "--split-by time needs"),
        (alternate(100), {"stamp": None, "split_by": "user"}, "--split-by user needs"),
        (alternate(100), {"stamp": "last Tuesday", "split_by": "time"}, "'last Tuesday'"),
    ],
)
def test_tweets_that_cannot_be_split(items, values, message):
    with pytest.raises(DataError, match=message):
        split_items(items, **values)


# ---- a second implementation


def hash_text(text: str, seed: int) -> int:
    """Return the number that decides the split of a text."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8, key=str(seed).encode()).digest(), "big")


def order_rows(items: list[Item], seed: int, as_units: bool = True) -> list[int]:
    """Return all rows with the strata merged; rows of one text are a unit."""
    rows_of_text = defaultdict(list)
    for at, (key, _) in enumerate(items):
        rows_of_text[key if as_units else at].append(at)
    strata = defaultdict(list)
    for rows in rows_of_text.values():
        stratum = items[rows[0]][1] if len(rows) == 1 else 2
        strata[stratum].append((hash_text(items[rows[0]][0], seed), sorted(rows, key=lambda at: items[at][1])))
    placed = []
    for stratum, units in strata.items():
        for place, (_, rows) in enumerate(sorted(units)):
            placed.append(((place + 0.5) / len(units), stratum, rows))
    return [at for _, _, rows in sorted(placed) for at in rows]


def find_boundary(groups: list[object], target: int) -> int:
    ends = [at for at in range(len(groups) + 1) if at in (0, len(groups)) or groups[at - 1] != groups[at]]
    return min(ends, key=lambda at: (abs(at - target), at))


def expect_splits(items: list[Item], data: DataConfig) -> dict[str, list[Item]]:
    order = order_rows(items, data.split_seed)
    order = order[: find_boundary([items[at][0] for at in order], data.max_samples or len(order))]
    sizes = [int(size) if size >= 1 else round(size * len(order)) for size in (data.test_size, data.validation_size)]

    def get_user(at: int) -> str:
        return f"user{int(items[at][0][1:]) % 37}"

    if data.split_by == "user":
        order.sort(key=lambda at: hash_text(get_user(at), data.split_seed))
        groups: list[object] = [get_user(at) for at in order]
    elif data.split_by == "time":
        order.sort(key=lambda at: -int(items[at][0][1:]))
        groups = list(order)
    else:
        groups = [items[at][0] for at in order]
    first, second = find_boundary(groups, sizes[0]), find_boundary(groups, sum(sizes))
    parts = {"train": order[second:], "validation": order[first:second], "test": order[:first]}

    def sort_key(item: Item) -> tuple[int, int]:
        return hash_text(item[0], data.split_seed), item[1]

    return {name: sorted((items[at] for at in part), key=sort_key) for name, part in parts.items()}


@given(
    shape=with_twins,
    seed=seeds,
    by=st.sampled_from(["random", "user", "time"]),
    share=st.one_of(st.none(), st.floats(0.7, 1)),
    validation=sizes,
    test=sizes,
    random=st.randoms(use_true_random=False),
)
@settings(max_examples=100)
def test_splits_are_those_of_a_second_implementation(shape, seed, by, share, validation, test, random):
    items = make_items(shape if by == "random" else (shape[0], shape[1], 0))
    numbers = random.sample(range(len(items)), len(items))  # dates and users do not go with labels
    keys = {key: f"t{number}" for (key, _), number in zip(items, numbers, strict=True)}
    items = [(keys[key], label) for key, label in items]
    values = {"validation_size": validation, "test_size": test, "split_by": by, "split_seed": seed}
    values["max_samples"] = share and int(share * len(items))
    expected = expect_splits(items, DataConfig(**values))
    if any({label for _, label in part} != {0, 1} for part in expected.values()):
        with pytest.raises(DataError, match="does not hold both labels"):
            split_items(items, **values)
        return
    parts = split_items(items, **values)
    for name, part in expected.items():
        assert sorted(parts[name]) == sorted(part)
        assert [key for key, _ in parts[name]] == [key for key, _ in part]


@given(items=st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 1))))
@settings(max_examples=100)
def test_duplicates_are_those_of_a_second_implementation(items):
    rows_of_text = defaultdict(list)
    for at, (key, _) in enumerate(items):
        rows_of_text[key].append(at)
    conflicting = [rows for rows in rows_of_text.values() if len({items[at][1] for at in rows}) == 2]
    for conflicts in ("drop", "majority", "keep"):
        expected = []
        for rows in rows_of_text.values():
            negative, positive = ([at for at in rows if items[at][1] == label] for label in (0, 1))
            if conflicts == "keep" or not positive or not negative:
                expected += positive[:1] + negative[:1]
            elif conflicts == "majority" and len(positive) != len(negative):
                expected += max(positive, negative, key=len)[:1]
        keys = pa.chunked_array([[key for key, _ in items]], pa.string())
        result = split.deduplicate(keys, np.array([label for _, label in items], np.int8), conflicts)
        assert result.rows.tolist() == sorted(expected)
        remaining = sum(at in expected for rows in conflicting for at in rows)
        assert result.counts == {
            "duplicates": sum(len(rows) - 1 for rows in rows_of_text.values() if rows not in conflicting),
            "conflicting_texts": len(conflicting),
            "conflicting_rows": sum(map(len, conflicting)),
            "conflicting_dropped": sum(map(len, conflicting)) - remaining,
        }


@given(shape=with_twins, seed=seeds, rows=st.integers(2, 60))
@settings(max_examples=50)
def test_a_sample_of_a_table_is_stratified_and_in_its_order(shape, seed, rows):
    items = make_items(shape)
    sample = split.draw_sample(make_table(items), rows, seed)
    expected = sorted(order_rows(items, seed, as_units=False)[:rows])
    pairs = list(zip(sample["key"].to_pylist(), sample["label"].to_pylist(), strict=True))
    assert pairs == [items[at] for at in expected]
    with pytest.raises(DataError, match="--max-samples is"):
        split.draw_sample(make_table(items), len(items) + 1, seed)
