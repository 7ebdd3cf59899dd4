"""Audit leakage: equal texts and near duplicates in training, found as a comparison of all pairs finds them."""

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

from sentiment140_bert.data import clean, leakage, near_duplicates, pipeline
from sentiment140_bert.errors import RunError
from sentiment140_bert.recipe import DataConfig


def make_table(
    texts: list[str], users: list[int | None] | None = None, times: list[int | None] | None = None
) -> pa.Table:
    unknown = [None] * len(texts)
    return pa.table(
        {
            "text": pa.array(texts, pa.string()),
            "user": pa.array(users or unknown, pa.uint64()),
            "time": pa.array(times or unknown, pa.int64()),
        }
    )


def make_column(texts: list[str]) -> pa.ChunkedArray:
    half = len(texts) // 2
    return pa.chunked_array([pa.array(texts[:half], pa.string()), pa.array(texts[half:], pa.string())])


def split_words(text: str) -> set[str]:
    return set(re.findall(r"[^\W_]+", text.replace("'", "")))


def have_similar_words(text: str, other: str) -> bool:
    one, two = split_words(text), split_words(other)
    return len(one) >= 4 and 5 * len(one & two) >= 4 * len(one | two)


# ---- the audit

TRAINING = [
    "I love this &amp; that, @bob! http://a.example/1",
    "good morning to all of my friends",
    "thanks",
    "so  SAD",
]
SHARED = {
    "i LOVE this & that, @somebody! www.b.example": "exact",
    "so sad": "exact",
    "@bob so sad": "near",  # a reply with the same words
    "thanks http://x.example": "near",
    "RT @bob: I love this & that": "near",
    "good morning to all my friends": "near",
    "so sad!": None,  # two words are too few
    "good evening to all of her friends": None,
    "@bob": None,
    "": None,
}


def test_examples_of_exact_and_near():
    audit = leakage.audit(make_table([*SHARED]), make_table(TRAINING))
    kinds = dict.fromkeys(audit.exact.tolist(), "exact") | dict.fromkeys(audit.near.tolist(), "near")
    assert {text: kinds.get(at) for at, text in enumerate(SHARED)} == SHARED


WORDS = ["a", "b", "C", "don't", "e", "@x", "@yy", "http://u.example", "www.v.example", "!", "&amp;"]
tweets = st.lists(st.sampled_from(WORDS), max_size=7).map(" ".join)


@given(scored=st.lists(tweets, max_size=10), training=st.lists(tweets, max_size=20))
@settings(max_examples=100)
def test_the_audit_is_that_of_a_comparison_of_all_pairs(scored, training):
    def make_keys(texts: list[str]) -> list[str]:
        return clean.make_keys(pa.chunked_array([pa.array(texts, pa.string())])).to_pylist()

    def strip(key: str) -> str:
        return " ".join(key.replace("@user", " ").replace("http", " ").split())

    def is_near(key: str, other: str) -> bool:
        return have_similar_words(strip(key), strip(other)) or strip(key) == strip(other) != ""

    keys, others = make_keys(scored), make_keys(training)
    exact = [at for at, key in enumerate(keys) if key in others]
    near = [at for at, key in enumerate(keys) if at not in exact and any(is_near(key, other) for other in others)]
    audit = leakage.audit(make_table(scored), make_table(training))
    assert (audit.exact.tolist(), audit.near.tolist()) == (exact, near)


origins = st.lists(st.tuples(st.none() | st.integers(2**64 - 4, 2**64 - 1), st.none() | st.integers(-3, 6)), max_size=8)


@given(scored=origins, training=origins)
@settings(max_examples=50)
def test_users_and_times_are_counted_row_by_row(scored, training):
    def make(rows: list[tuple[int | None, int | None]], start: str) -> pa.Table:
        texts = [f"{start}{at}" for at in range(len(rows))]
        return make_table(texts, [user for user, _ in rows], [time for _, time in rows])

    users, others = ({user for user, _ in rows if user is not None} for rows in (scored, training))
    times, last = ([time for _, time in rows if time is not None] for rows in (scored, training))
    assert leakage.audit(make(scored, "a"), make(training, "b")).counts() == {
        "exact": 0,
        "near": 0,
        "same_user": sum(user in others for user, _ in scored) if users and others else None,
        "overlapping_in_time": sum(time <= max(last) for time in times) if times and last else None,
    }


def test_nothing_to_score_and_nothing_to_compare_with():
    empty = {"exact": 0, "near": 0, "same_user": None, "overlapping_in_time": None}
    assert leakage.audit(make_table([]), make_table(TRAINING)).counts() == empty
    assert leakage.audit(make_table(TRAINING), make_table([])).counts() == empty


def test_several_splits_at_once_are_audited_as_each_alone():
    texts = {"one": ["thanks", "x"], "none": [], "two": ["y", "good morning to all my friends"]}
    splits = {name: make_table(rows) for name, rows in texts.items()}
    together = leakage.audit_splits(splits, make_table(TRAINING))
    for name, table in splits.items():
        alone = leakage.audit(table, make_table(TRAINING))
        assert together[name].exact.tolist() == alone.exact.tolist()
        assert together[name].near.tolist() == alone.near.tolist()
    assert (together["one"].exact.tolist(), together["two"].near.tolist()) == ([0], [1])


@pytest.mark.realdata
def test_two_hundred_training_tweets_in_a_test_file_are_all_found(cache, real_data):
    """Half are unchanged; the others mention other users, and in turn change the case or add a mention."""
    data = DataConfig(dataset=str(real_data / "original_format_random.csv"), manual_test="none")
    tables = pipeline.prepare_splits(data).tables()
    train, test = tables["train"], tables["test"]
    random = np.random.default_rng(0)
    planted = train.take(pa.array(random.choice(len(train), 200, replace=False)))["text"].to_pylist()
    for at in range(100):
        text = planted[at].replace("@user", "@somebody_else")
        planted[at] = [text.upper(), text.swapcase(), f"@another_one {text}"][at % 3]
    before = leakage.audit(test, train)
    mixed = make_table([*test["text"].to_pylist(), *planted])
    after = leakage.audit(mixed, train)
    shared, added = {*after.exact.tolist(), *after.near.tolist()}, {*range(len(test), len(mixed))}
    assert added <= shared
    assert len(after.exact) >= 166
    assert shared - added == {*before.exact.tolist(), *before.near.tolist()}
    assert len(before.exact) == 0  # the splits were deduplicated


# ---- near duplicates


def find_near(texts: list[str], others: list[str]) -> list[bool]:
    return near_duplicates.find_near_duplicates(make_column(texts), make_column(others)).tolist()


def compare_all(texts: list[str], others: list[str]) -> list[bool]:
    return [any(have_similar_words(text, other) for other in others) for text in texts]


# Few words, so that many texts share most of theirs; of all lengths at which one more word may differ.
sentences = st.lists(st.sampled_from([*"abcdefghij", "don't", "dont", "é", "...", "7"]), max_size=24).map(" ".join)


@given(texts=st.lists(sentences, max_size=12), others=st.lists(sentences, max_size=30))
@settings(max_examples=150)
def test_the_join_finds_the_pairs_of_a_comparison_of_all(texts, others):
    assert find_near(texts, others) == compare_all(texts, others)


@pytest.mark.parametrize(("first_look", "at_once"), [(1, 1), (2, 7), (10**6, 10**6)])
def test_the_size_of_portions_makes_no_difference(monkeypatch, first_look, at_once):
    monkeypatch.setattr(near_duplicates, "FIRST_LOOK", first_look)
    monkeypatch.setattr(near_duplicates, "WORDS_AT_ONCE", 2 * at_once)
    monkeypatch.setattr(near_duplicates, "PAIRS_AT_ONCE", at_once)
    monkeypatch.setattr(near_duplicates, "ROWS_AT_ONCE", 3)
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(list("abcdefghijkl"), size=random.integers(1, 30))) for _ in range(120)]
    expected = compare_all(texts[:40], texts[40:])
    assert find_near(texts[:40], texts[40:]) == expected
    assert 5 < sum(expected) < 35


def test_equal_sketches_are_compared_word_by_word(monkeypatch):
    monkeypatch.setattr(near_duplicates, "_make_sketches", lambda sets: np.zeros(sets.shape[0], np.uint64))
    random = np.random.default_rng(1)
    texts = [" ".join(random.choice(list("abcdefghijkl"), size=15)) for _ in range(60)]
    assert find_near(texts[:20], texts[20:]) == compare_all(texts[:20], texts[20:])


def test_edges_of_near_duplicates():
    for texts, others, expected in (
        ([], [], []),
        (["", "...", "a b c d"], [], [False] * 3),
        ([], ["a b c d"], []),
        (["a b c d"], ["", "!!"], [False]),
        (["a b c", "a b c d"], ["a b c", "a b c d"], [False, True]),  # three words are too few
        *((["a b c d " * times], ["d c b a " * times, "e f g h"], [True]) for times in (2, 16, 64, 256)),
        (["i'm so-tired_of #this"], ["im so tired of this"], [True]),
        (["naïve café straße ñandú"], ["naïve, café: straße; ñandú!"], [True]),
    ):
        assert find_near(texts, others) == expected, (texts, others)


def test_a_text_repeated_a_hundred_thousand_times_makes_few_pairs(monkeypatch):
    counts = []
    list_pairs = near_duplicates._list_pairs

    def count_pairs(low, high):
        counts.append(int((high - low).sum()))
        return list_pairs(low, high)

    monkeypatch.setattr(near_duplicates, "_list_pairs", count_pairs)
    greeting, other = "happy mothers day to all of you", "happy mothers day and good night all"
    assert sum(find_near([greeting, other] * 500, [greeting + "!"] * 100_000)) == 500
    assert sum(counts) < 10_000
    counts.clear()
    words = " ".join(f"word{n}" for n in range(20))
    texts = [f"{n} {words}" for n in range(3000)]
    assert all(find_near(texts[:1000], texts[1000:]))
    assert sum(counts) < 500_000  # of 2,000,000 pairs


# ---- hashes of training texts


def test_hashes_recognize_a_text_in_another_spelling(tmp_path: Path):
    file = tmp_path / "training_rows.safetensors"
    leakage.write_hashes(file, leakage.hash_texts(pa.chunked_array([[*TRAINING, TRAINING[0]]])))
    hashes = leakage.read_hashes(file)
    assert (hashes.dtype, len(hashes)) == (np.uint64, len(TRAINING))
    assert all(one < other for one, other in pairwise(hashes.tolist()))
    others = leakage.hash_texts(pa.chunked_array([["so sad", "THANKS ", "so sad!", "never seen"]]))
    assert np.isin(others, hashes).tolist() == [True, True, False, False]
    leakage.write_hashes(file, np.zeros(0, np.uint64))
    assert len(leakage.read_hashes(file)) == 0


def test_hashes_stay_the_same():
    """A published model's file was written once; other hashes would find nothing in it."""
    assert leakage.hash_texts(pa.chunked_array([["so sad"]])).tolist() == [8376046850309369306]


def test_a_file_of_hashes_that_is_missing_or_of_other_rules_is_named(tmp_path: Path):
    """Odd contents: test_hostile_dataset.py."""
    path = tmp_path / "training_rows.safetensors"
    with pytest.raises(RunError, match=f"There is no file {path}"):
        leakage.read_hashes(path)
    for values, rules, message in (
        ([1, 2], "0" * 64, "another version"),
        ([1, 1], leakage.RULES, "hashes are not sorted"),
    ):
        save_file({leakage.HASHES: np.array(values, np.uint64)}, path, {"rules": rules})
        with pytest.raises(RunError, match=message):
            leakage.read_hashes(path)
