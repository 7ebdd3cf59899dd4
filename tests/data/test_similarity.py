"""The join beside a comparison of all with all, on texts in which near ones are frequent."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentiment140_bert.data import near_duplicates


def column(texts: list[str]) -> pa.ChunkedArray:
    half = len(texts) // 2
    return pa.chunked_array([pa.array(texts[:half], pa.string()), pa.array(texts[half:], pa.string())])


def near(texts: list[str], others: list[str]) -> list[bool]:
    return near_duplicates.find_near_duplicates(column(texts), column(others)).tolist()


def words(text: str) -> set[str]:
    return set(re.findall(r"[^\W_]+", text.replace("'", "")))


def by_brute_force(texts: list[str], others: list[str]) -> list[bool]:
    def is_near(one: set[str], other: set[str]) -> bool:
        return len(one) >= 4 and 5 * len(one & other) >= 4 * len(one | other)

    return [any(is_near(words(text), words(other)) for other in others) for text in texts]


# Few words, so that many texts share most of theirs; of all lengths at which a further one may differ.
sentences = st.lists(st.sampled_from([*"abcdefghij", "don't", "dont", "é", "...", "7"]), max_size=24).map(" ".join)


@given(texts=st.lists(sentences, max_size=12), others=st.lists(sentences, max_size=30))
@settings(max_examples=300)
def test_the_join_finds_what_a_comparison_of_all_with_all_finds(texts, others):
    assert near(texts, others) == by_brute_force(texts, others)


edits = st.lists(st.tuples(st.integers(0, 40), st.sampled_from("xyzab"), st.booleans()), max_size=4)


@given(base=st.lists(st.sampled_from([f"w{n}" for n in range(60)]), min_size=4, max_size=40), changes=edits)
@settings(max_examples=300)
def test_a_text_that_was_edited(base, changes):
    edited = list(base)
    for at, word, added in changes:
        edited[at % len(edited) : at % len(edited) + (not added)] = [word]
    texts, others = [" ".join(edited)], [" ".join(base), "w1 w2 w3 w4 w5", "something else than all that"]
    assert near(texts, others) == by_brute_force(texts, others)


@pytest.mark.parametrize(("look", "at_once"), [(1, 1), (2, 7), (10**6, 10**6)])
def test_however_the_candidates_are_portioned(monkeypatch, look, at_once):
    monkeypatch.setattr(near_duplicates, "FIRST_LOOK", look)
    monkeypatch.setattr(near_duplicates, "PAIRS_AT_ONCE", at_once)
    monkeypatch.setattr(near_duplicates, "ROWS_AT_ONCE", 3)
    random = np.random.default_rng(0)
    pool = [" ".join(random.choice(list("abcdefghijkl"), size=random.integers(1, 30))) for _ in range(120)]
    expected = by_brute_force(pool[:40], pool[40:])
    assert near(pool[:40], pool[40:]) == expected
    assert 5 < sum(expected) < 35


def test_no_word_no_row_no_other():
    assert near([], []) == []
    assert near(["", "...", "a b c d"], []) == [False] * 3
    assert near([], ["a b c d"]) == []
    assert near(["a b c d"], ["", "!!"]) == [False]


def test_three_words_are_too_few_to_be_near():
    assert near(["a b c", "a b c d"], ["a b c", "a b c d"]) == [False, True]


@pytest.mark.parametrize("times", [2, 16, 64, 256])
def test_how_often_a_word_is_said_makes_no_difference(times):
    assert near(["a b c d " * times], ["d c b a " * times, "e f g h"]) == [True]


def test_what_parts_words():
    assert near(["I'm so-tired_of #this".lower()], ["im so tired of this"]) == [True]
    assert near(["naïve café straße ñandú"], ["naïve, café: straße; ñandú!"]) == [True]


def test_words_that_are_told_apart_by_no_sketch_are_compared_as_words(monkeypatch):
    monkeypatch.setattr(near_duplicates, "_make_sketches", lambda sets: np.zeros(sets.shape[0], np.uint64))
    random = np.random.default_rng(1)
    pool = [" ".join(random.choice(list("abcdefghijkl"), size=15)) for _ in range(60)]
    assert near(pool[:20], pool[20:]) == by_brute_force(pool[:20], pool[20:])


def test_texts_that_are_the_same_a_hundred_thousand_times_stay_few_pairs(monkeypatch):
    compared = []
    pairs = near_duplicates._list_pairs

    def counted(low, high):
        compared.append(int((high - low).sum()))
        return pairs(low, high)

    monkeypatch.setattr(near_duplicates, "_list_pairs", counted)
    greeting, other = "happy mothers day to all of you", "happy mothers day and good night all"
    assert (
        near_duplicates.find_near_duplicates(column([greeting, other] * 500), column([greeting + "!"] * 100_000)).sum()
        == 500
    )
    assert sum(compared) < 10_000
    compared.clear()
    words_of_all = " ".join(f"word{n}" for n in range(20))
    template = [f"{n} {words_of_all}" for n in range(3000)]
    assert near_duplicates.find_near_duplicates(column(template[:1000]), column(template[1000:])).all()
    assert sum(compared) < 500_000  # of 2,000,000 pairs
