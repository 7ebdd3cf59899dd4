"""What a split shares with training; and hashes by which a model folder knows its training texts."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from sentiment140_bert.data import clean, leakage, pipeline
from sentiment140_bert.errors import RunError
from sentiment140_bert.recipe import DataConfig


def table(texts: list[str], users: list[int | None] | None = None, times: list[int | None] | None = None) -> pa.Table:
    nothing = [None] * len(texts)
    return pa.table(
        {
            "text": pa.array(texts, pa.string()),
            "user": pa.array(users or nothing, pa.uint64()),
            "time": pa.array(times or nothing, pa.int64()),
        }
    )


TRAINING = [
    "I love this &amp; that, @bob! http://a.example/1",
    "good morning to all of my friends",
    "thanks",
    "so  SAD",
]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("i LOVE this & that, @somebody! www.b.example", "exact"),
        ("so sad", "exact"),
        ("@bob so sad", "near"),  # a reply with the same words
        ("thanks http://x.example", "near"),
        ("RT @bob: I love this & that", "near"),
        ("good morning to all my friends", "near"),
        ("so sad!", None),  # two words are too few to say so
        ("good evening to all of her friends", None),
        ("@bob", None),
        ("", None),
    ],
)
def test_what_counts_as_the_same_and_as_nearly_the_same(text, found):
    audit = leakage.audit(table(["something else entirely here", text]), table(TRAINING))
    assert {name: getattr(audit, name).tolist() for name in ("exact", "near")} == {
        name: [1] if name == found else [] for name in ("exact", "near")
    }


tweets = st.lists(
    st.sampled_from(["a", "b", "C", "don't", "e", "@x", "@yy", "http://u.example", "www.v.example", "!", "&amp;"]),
    max_size=7,
).map(" ".join)


def words(key: str) -> set[str]:
    return set(re.findall(r"[^\W_]+", without_masks(key).replace("'", "")))


def without_masks(key: str) -> str:
    return " ".join(key.replace("@user", " ").replace("http", " ").split())


@given(scored=st.lists(tweets, max_size=10), training=st.lists(tweets, max_size=20))
@settings(max_examples=200)
def test_the_audit_is_that_of_a_comparison_of_all_with_all(scored, training):
    def keys(texts: list[str]) -> list[str]:
        return clean.make_keys(pa.chunked_array([pa.array(texts, pa.string())])).to_pylist()

    known = keys(training)
    exact, near = [], []
    for at, key in enumerate(keys(scored)):
        if key in known:
            exact.append(at)
        elif any(is_near(key, other) for other in known):
            near.append(at)
    audit = leakage.audit(table(scored), table(training))
    assert (audit.exact.tolist(), audit.near.tolist()) == (exact, near)


def is_near(key: str, other: str) -> bool:
    one, two = words(key), words(other)
    alike = len(one) >= 4 and 5 * len(one & two) >= 4 * len(one | two)
    return alike or without_masks(key) == without_masks(other) != ""


numbers = st.lists(st.tuples(st.none() | st.integers(2**64 - 4, 2**64 - 1), st.none() | st.integers(-3, 6)), max_size=8)


@given(scored=numbers, training=numbers)
@settings(max_examples=50)
def test_users_and_times_are_counted_as_one_by_one(scored, training):
    def of(rows: list[tuple[int | None, int | None]], start: str) -> pa.Table:
        texts = [f"{start}{at}" for at in range(len(rows))]
        return table(texts, [user for user, _ in rows], [time for _, time in rows])

    users, others = ({user for user, _ in rows if user is not None} for rows in (scored, training))
    times, last = ([time for _, time in rows if time is not None] for rows in (scored, training))
    assert leakage.audit(of(scored, "a"), of(training, "b")).counts() == {
        "exact": 0,
        "near": 0,
        "same_user": sum(user in others for user, _ in scored) if users and others else None,
        "overlapping_in_time": sum(time <= max(last) for time in times) if times and last else None,
    }


@pytest.mark.parametrize("unknown", ["scored", "training"])
def test_users_and_times_that_are_unknown_on_a_side_are_not_counted_as_none(unknown):
    tables = {"scored": table(["a"], [1], [1]), "training": table(["b"], [1], [1])} | {unknown: table(["c"])}
    audit = leakage.audit(**tables)
    assert (audit.same_user, audit.overlapping_in_time) == (None, None)


def test_nothing_to_score_or_nothing_trained_on():
    empty = {"exact": 0, "near": 0, "same_user": None, "overlapping_in_time": None}
    assert leakage.audit(table([]), table(TRAINING)).counts() == empty
    assert leakage.audit(table(TRAINING), table([])).counts() == empty


def test_several_splits_at_once_are_as_each_alone():
    splits = {"one": table(["thanks", "x"]), "none": table([]), "two": table(["y", "good morning to all my friends"])}
    together = leakage.audit_splits(splits, table(TRAINING))
    for name, each in splits.items():
        alone = leakage.audit(each, table(TRAINING))
        assert together[name].exact.tolist() == alone.exact.tolist()
        assert together[name].near.tolist() == alone.near.tolist()
    assert (together["one"].exact.tolist(), together["two"].near.tolist()) == ([0], [1])


def test_hashes_know_a_text_however_it_is_written(tmp_path: Path):
    file = tmp_path / "training_rows.safetensors"
    leakage.write_hashes(file, leakage.hash_texts(pa.chunked_array([[*TRAINING, TRAINING[0]]])))
    known = leakage.read_hashes(file)
    assert (known.dtype, len(known)) == (np.uint64, len(TRAINING))
    assert all(one < other for one, other in pairwise(known.tolist()))
    asked = leakage.hash_texts(pa.chunked_array([["so sad", "THANKS ", "so sad!", "never seen"]]))
    assert np.isin(asked, known).tolist() == [True, True, False, False]


def test_the_hashes_of_today_are_those_of_tomorrow():
    """A published model's file was written once; other hashes would find nothing in it."""
    assert leakage.hash_texts(pa.chunked_array([["so sad"]])).tolist() == [8376046850309369306]


def test_no_hashes_at_all(tmp_path: Path):
    leakage.write_hashes(tmp_path / "h.safetensors", np.zeros(0, np.uint64))
    assert len(leakage.read_hashes(tmp_path / "h.safetensors")) == 0


def hashes_file(path: Path, values: object, name: str = leakage.HASHES, rules: str = leakage.RULES) -> None:
    save_file({name: np.array(values)}, path, {"rules": rules})


SORTED = np.array([1, 2, 3], np.uint64)
DAMAGES = {
    "missing": (lambda path: path.unlink(missing_ok=True), "There is no file"),
    "empty": (lambda path: path.write_bytes(b""), "is damaged"),
    "garbage": (lambda path: path.write_bytes(b"\xff" * 100), "is damaged"),
    "cut": (lambda path: (hashes_file(path, SORTED), path.write_bytes(path.read_bytes()[:-4])), "is damaged"),
    "a folder": (lambda path: path.mkdir(), "is damaged"),
    "another tensor": (lambda path: hashes_file(path, SORTED, name="weights"), "is damaged"),
    "signed": (lambda path: hashes_file(path, SORTED.astype(np.int64)), "no sorted hashes"),
    "a matrix": (lambda path: hashes_file(path, SORTED[None]), "no sorted hashes"),
    "unsorted": (lambda path: hashes_file(path, SORTED[::-1].copy()), "no sorted hashes"),
    "twice": (lambda path: hashes_file(path, SORTED[[0, 0]]), "no sorted hashes"),
    "of other rules": (lambda path: hashes_file(path, SORTED, rules="0" * 64), "another version"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_file_of_hashes_that_cannot_be_used_is_refused(tmp_path: Path, damage: str):
    make, message = DAMAGES[damage]
    path = tmp_path / "training_rows.safetensors"
    make(path)
    with pytest.raises(RunError, match=message) as caught:
        leakage.read_hashes(path)
    assert str(path) in str(caught.value)


@pytest.mark.realdata
def test_two_hundred_training_tweets_in_a_test_file_are_all_found(cache, real_data):
    """Half as they are; of the others, mentioned users are other ones, and in turn the case is, or one is added."""
    data = DataConfig(dataset=str(real_data / "original_format_random.csv"), manual_test="none")
    splits = pipeline.prepare_splits(data).splits()
    train, test = (splits[name].with_format("arrow")[:] for name in ("train", "test"))
    random = np.random.default_rng(0)
    planted = train.take(pa.array(random.choice(len(train), 200, replace=False)))["text"].to_pylist()
    for at in range(100):
        text = planted[at].replace("@user", "@somebody_else")
        planted[at] = [text.upper(), text.swapcase(), f"@another_one {text}"][at % 3]
    before = leakage.audit(test, train)
    mixed = table([*test["text"].to_pylist(), *planted])
    after = leakage.audit(mixed, train)
    found = {*after.exact.tolist(), *after.near.tolist()}
    assert {*range(len(test), len(mixed))} <= found
    assert len(after.exact) >= 166
    assert found - {*range(len(test), len(mixed))} == {*before.exact.tolist(), *before.near.tolist()}
    assert len(before.exact) == 0  # equal texts were folded before the splits were made
