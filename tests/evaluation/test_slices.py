"""Kinds of tweets: which tweet is of which, and which kind is worse beyond chance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment140_bert.evaluation.slices import FEWEST, KINDS, of_texts, scored


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        ("negation", ["not good", "I don't know", "i dont know", "I don’t", "CANNOT wait", "no way"]),
        ("contrast", ["nice but cold", "However, it rains", "sunny, though"]),
        ("question", ["really?"]),
        ("mention", ["@user hi", "hello @somebody_else"]),
        ("url", ["look http", "see https://example.com", "www.example.com"]),
        ("hashtag", ["#followfriday", "so #happy"]),
        ("emoticon", ["nice :)", "oh no :-(", "love it <3", "hm :/", "XD", ":D", "bye =]"]),
        ("emoji", ["great \U0001f600", "\u2665 you"]),
        ("elongation", ["sooo good", "yesss"]),
        ("upper case", ["I am SO HAPPY", "WOW"]),
        ("short", ["good morning"]),
        ("long", ["word " * 20]),
        ("not English", ["hoje estou muito feliz com voces", "今日はとてもいい天気です 本当に 嬉しい な"]),
    ],
)
def test_tweets_of_a_kind(kind: str, texts: list[str]) -> None:
    for text in texts:
        assert KINDS[kind](text), text


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        ("negation", ["nothingness aside", "a knot", "notice me", "Nokia"]),
        ("contrast", ["butter on bread", "yeti", "a button"]),
        ("mention", ["mail me at a @ b"]),
        ("url", ["the https", "wwwow"][1:]),
        ("hashtag", ["we are #1", "# one"]),
        ("emoticon", ["at 8:30 today", "http://example.com/a", "see (1) and (2)", "I need one, pros: cons"]),
        ("emoticon", ["in 1983", "Windows XP", "exp. 7", "ratio 2:3", "8p", "fired: me", "bored; ok", "(c) 2009"]),
        ("elongation", ["1000 miles", "well...", "good"]),
        ("upper case", ["I am ok", "A B C"]),
        ("not English", ["going home now", "i love this song so much", "ok"]),
    ],
)
def test_tweets_of_other_kinds(kind: str, texts: list[str]) -> None:
    for text in texts:
        assert not KINDS[kind](text), text


def test_topics_of_enough_tweets() -> None:
    found = of_texts(["a"] * 15, ["nike"] * 12 + ["dentist"] * 2 + [None])
    assert int(found["topic: nike"].sum()) == 12
    assert "topic: dentist" not in found


def model(n: int, seed: int = 0) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """A model that is right on 83 of 100 tweets of whatever kind; kinds overlap."""
    random = np.random.default_rng(seed)
    contrast = random.random(n) < 0.1
    long = random.random(n) < np.where(contrast, 0.6, 0.15)  # whoever says "but" has more to say
    members = {"contrast": contrast, "long": long}
    members |= {f"kind {number}": random.random(n) < 0.05 * (number + 1) for number in range(12)}
    return random.random(n) < 0.83, members


def flagged(right: np.ndarray, members: dict[str, np.ndarray]) -> list[str]:
    return [each["name"] for each in scored(right, members) if each["worse"]]


def test_a_planted_slice_is_flagged_and_no_other() -> None:
    right, members = model(2_200)
    assert flagged(right ^ members["contrast"], members) == ["contrast"]


def test_chance_flags_as_rarely_as_it_says() -> None:
    """Of 200 models that are no worse anywhere, 5% or fewer have anything flagged (10 expected, 19 is 3 sigma)."""
    assert sum(bool(flagged(*model(1_000, seed))) for seed in range(200)) <= 19


def test_two_bad_kinds_are_two() -> None:
    right, members = model(4_000)
    right &= ~members["contrast"] & ~members["kind 5"]
    assert sorted(flagged(right, members)) == ["contrast", "kind 5"]


def test_too_few_to_test() -> None:
    right, members = np.ones(200, dtype=bool), {"rare": np.arange(200) < FEWEST - 1, "all": np.ones(200, dtype=bool)}
    right[: FEWEST - 1] = False
    rare, everything = scored(right, members)
    assert (rare["p_value"], rare["worse"], rare["rest"]) == (None, False, 1.0)
    assert (everything["p_value"], everything["rest"]) == (None, None)


def test_fisher_s_p_value() -> None:
    """Worked by scipy: 12 of 40 wrong in the slice, 6 of 60 beside it."""
    from scipy.stats import fisher_exact

    rows = np.arange(100) < 40
    right = ~((np.arange(100) < 12) | (np.arange(100) >= 94))
    (found,) = scored(right, {"a": rows})
    assert found["p_value"] == pytest.approx(fisher_exact([[12, 28], [6, 54]], alternative="greater").pvalue)
    assert found["worse"]


@given(st.lists(st.text(), max_size=5))
def test_any_text_is_of_some_kinds_or_none(texts: list[str]) -> None:
    for rows in of_texts(texts).values():
        assert len(rows) == len(texts)
