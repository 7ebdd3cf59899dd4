"""Folding equal texts, drawing the sample, and the splits."""

from __future__ import annotations

import hashlib
import time
from collections import Counter, defaultdict

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentiment140_bert.data import split
from sentiment140_bert.errors import DataError
from sentiment140_bert.recipe import DataConfig

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
    parts = split.assign_splits(table(items, stamp), DataConfig(**values))
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
seeds = st.integers(0, 2**32 - 1)


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


@given(shape=with_twins, seed=seeds, size=st.integers(30, 59))
@settings(max_examples=100)
def test_a_smaller_sample_is_part_of_a_larger_one(shape, seed, size):
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


def number_of(text: str, seed: int) -> int:
    """The number that decides where a text goes, as split.py describes it."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8, key=str(seed).encode()).digest(), "big")


def order_of(items: list[Item], seed: int, as_units: bool = True) -> list[int]:
    """All rows, the strata merged, written a second time without arrays; rows of one text are a unit."""
    rows_of_text = defaultdict(list)
    for at, (key, _) in enumerate(items):
        rows_of_text[key if as_units else at].append(at)
    strata = defaultdict(list)
    for rows in rows_of_text.values():
        stratum = items[rows[0]][1] if len(rows) == 1 else 2
        strata[stratum].append((number_of(items[rows[0]][0], seed), sorted(rows, key=lambda at: items[at][1])))
    placed = []
    for stratum, units in strata.items():
        for place, (_, rows) in enumerate(sorted(units)):
            placed.append(((place + 0.5) / len(units), stratum, rows))
    return [at for _, _, rows in sorted(placed) for at in rows]


def nearest_end(groups: list[object], wanted: int) -> int:
    ends = [at for at in range(len(groups) + 1) if at in (0, len(groups)) or groups[at - 1] != groups[at]]
    return min(ends, key=lambda at: (abs(at - wanted), at))


def expected_splits(items: list[Item], data: DataConfig) -> dict[str, list[Item]]:
    order = order_of(items, data.split_seed)
    order = order[: nearest_end([items[at][0] for at in order], data.max_samples or len(order))]
    sizes = [size if size >= 1 else round(size * len(order)) for size in (data.test_size, data.validation_size)]

    def user(at: int) -> str:
        return f"user{int(items[at][0][1:]) % 37}"

    if data.split_by == "user":
        order.sort(key=lambda at: number_of(user(at), data.split_seed))
        groups: list[object] = [user(at) for at in order]
    elif data.split_by == "time":
        order.sort(key=lambda at: -int(items[at][0][1:]))
        groups = list(order)
    else:
        groups = [items[at][0] for at in order]
    first, second = nearest_end(groups, sizes[0]), nearest_end(groups, sum(sizes))
    parts = {"train": order[second:], "validation": order[first:second], "test": order[:first]}
    return {
        name: [
            items[at] for at in sorted(part, key=lambda at: (number_of(items[at][0], data.split_seed), items[at][1]))
        ]
        for name, part in parts.items()
    }


@given(
    shape=with_twins,
    seed=seeds,
    by=st.sampled_from(["random", "user", "time"]),
    share=st.one_of(st.none(), st.floats(0.7, 1)),
    validation=sizes,
    test=sizes,
    random=st.randoms(use_true_random=False),
)
@settings(max_examples=150)
def test_splits_are_those_of_a_second_implementation(shape, seed, by, share, validation, test, random):
    items = of(shape if by == "random" else (shape[0], shape[1], 0))
    names = random.sample(range(len(items)), len(items))  # no date and no user goes with a label
    keys = {key: f"t{name}" for (key, _), name in zip(items, names, strict=True)}
    items = [(keys[key], label) for key, label in items]
    values = {"validation_size": validation, "test_size": test, "split_by": by, "split_seed": seed}
    data = DataConfig(max_samples=share and int(share * len(items)), **values)
    wanted = expected_splits(items, data)
    if all({label for _, label in part} == {0, 1} for part in wanted.values()):
        found = splits(items, **vars(data))
        assert {name: sorted(part) for name, part in found.items()} == {
            name: sorted(part) for name, part in wanted.items()
        }
        assert [[key for key, _ in part] for part in found.values()] == [
            [key for key, _ in part] for part in wanted.values()
        ]
    else:
        with pytest.raises(DataError, match="does not hold both labels"):
            splits(items, **vars(data))


@pytest.mark.parametrize("by", ["random", "user"])
def test_another_seed_gives_other_splits(by):
    items = [(f"t{n}", n // 37 % 2) for n in range(1000)]
    one, again, other = (splits(items, split_by=by, split_seed=seed, test_size=300) for seed in (1, 1, 2))
    assert one == again
    assert all(set(one[name]) != set(other[name]) for name in one)
    labels = [label for _, label in one["train"]]
    assert 0.35 < np.mean(labels[:100]) < 0.65, "the order of a split does not mix the labels"


@pytest.mark.parametrize("seed", [0])
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
        ([(f"t{n}", n % 2) for n in range(50)], {"max_samples": 51}, "--max-samples is 51, but there are only 50"),
        ([(f"t{n}", n % 2) for n in range(50)], {"test_size": 40, "validation_size": 10}, "50 tweets do not allow"),
        ([(f"t{n}", n % 2) for n in range(50)], {"test_size": 30, "validation_size": 19}, "50 tweets do not allow"),
        ([(f"t{n}", n % 2) for n in range(10)], {}, "10 tweets do not allow"),
        ([(f"t{n}", n % 2) for n in range(50)], {"validation_size": 1, "test_size": 10}, "50 tweets do not allow"),
        ([(f"t{n}", n % 2) for n in range(50)], {"validation_size": 10, "test_size": 1}, "50 tweets do not allow"),
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
    folded = split.deduplicate(pa.chunked_array([keys]), np.array(labels, np.int8), conflicts)
    assert folded.rows.tolist() == kept
    assert folded.counts == {
        "duplicates": 1,
        "conflicting_texts": 2,
        "conflicting_rows": 6,
        "conflicting_dropped": dropped,
    }


@given(items=st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 1))))
@settings(max_examples=100)
def test_folding_is_what_a_second_implementation_does(items):
    of_text = defaultdict(list)
    for at, (key, _) in enumerate(items):
        of_text[key].append(at)
    conflicting = [rows for rows in of_text.values() if len({items[at][1] for at in rows}) == 2]
    for conflicts in ("drop", "majority", "keep"):
        wanted = []
        for rows in of_text.values():
            positive = [at for at in rows if items[at][1] == 1]
            negative = [at for at in rows if items[at][1] == 0]
            if conflicts == "keep" or not positive or not negative:
                wanted += positive[:1] + negative[:1]
            elif conflicts == "majority" and len(positive) != len(negative):
                wanted += max(positive, negative, key=len)[:1]
        keys = pa.chunked_array([[key for key, _ in items]], pa.string())
        folded = split.deduplicate(keys, np.array([label for _, label in items], np.int8), conflicts)
        assert folded.rows.tolist() == sorted(wanted)
        kept_conflicting = sum(at in wanted for rows in conflicting for at in rows)
        assert folded.counts == {
            "duplicates": sum(len(rows) - 1 for rows in of_text.values() if rows not in conflicting),
            "conflicting_texts": len(conflicting),
            "conflicting_rows": sum(map(len, conflicting)),
            "conflicting_dropped": sum(map(len, conflicting)) - kept_conflicting,
        }


@given(shape=with_twins, seed=seeds, rows=st.integers(2, 60))
@settings(max_examples=50)
def test_a_sample_of_a_whole_table_is_stratified_and_in_its_order(shape, seed, rows):
    items = of(shape)
    whole = table(items)
    chosen = split.draw_sample(whole, rows, seed)
    wanted = sorted(order_of(items, seed, as_units=False)[:rows])
    assert list(zip(chosen["key"].to_pylist(), chosen["label"].to_pylist(), strict=True)) == [
        items[at] for at in wanted
    ]
    with pytest.raises(DataError, match="--max-samples is"):
        split.draw_sample(whole, len(items) + 1, seed)
