"""Kinds of tweets: which tweet is of which, and which kind is worse beyond chance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import hypergeom

from sentiment140_bert.evaluation import intervals
from sentiment140_bert.evaluation.slices import KINDS, MIN_OF_TOPIC, MIN_TWEETS, find_slices, score_slices

FIVE, SIX = "one two three four five", "one two three four five six"
NINETEEN, TWENTY = " ".join(["word"] * 19), " ".join(["word"] * 20)
OF_THE_KIND = {
    "negation": ["not good", "I don't know", "i dont know", "I don’t", "CANNOT wait", "no way", "without you", "never"],
    "contrast": ["nice but cold", "However, it rains", "sunny, though", "not YET", "despite the rain", "tho"],
    "question": ["really?", "so? yes"],
    "exclamation": ["wow!", "! ok"],
    "mention": ["@user hi", "hello @somebody_else", "hey,@a"],
    "url": ["look http", "see https://example.com", "www.example.com"],
    "hashtag": ["#followfriday", "so #happy", "#1st"],
    "emoticon": ["nice :)", "oh no :-(", "love it <3", "hm :/", "XD", ":D", "bye =]", "(: hi", "^_^", "-_-", ":'("],
    "emoji": ["great \U0001f600", "\u2665 you", "\U0001f1e9\U0001f1ea"],
    "elongation": ["sooo good", "yesss", "HAAA"],
    "upper case": ["I am SO HAPPY", "WOW", "it is ABC now"],
    "short": ["good morning", FIVE, "", "   "],
    "long": [TWENTY, TWENTY + " more"],
    "not English": [
        "hoje estou muito feliz com voces",
        "今日はとてもいい天気です 本当に 嬉しい な",
        "the и мир дом кот",
        "jetzt gehe ich schlafen",
    ],
}
OF_ANOTHER = {
    "negation": ["nothingness aside", "a knot", "notice me", "Nokia", "want", "dong", "nonsense"],
    "contrast": ["butter on bread", "yeti", "a button", "exceptional", "thought", "altogether"],
    "question": ["really.", ""],
    "exclamation": ["wow.", ""],
    "mention": ["mail me at a @ b", "@ you", "nobody"],
    "url": ["wwwow", "web http", "shttp"][:1],
    "hashtag": ["we are #1", "# one", "#123"],
    "emoticon": [
        *("at 8:30 today", "http://example.com/a", "see (1) and (2)", "I need one, pros: cons", "in 1983", "8p"),
        *("Windows XP", "exp. 7", "ratio 2:3", "fired: me", "bored; ok", "(c) 2009"),
    ],
    "emoji": ["a heart", ":)", "\u00e9\u4e2d"],
    "elongation": ["1000 miles", "well...", "good", "aab"],
    "upper case": ["I am ok", "A B C", "OK", "ABc"],
    "short": [SIX, TWENTY],
    "long": [NINETEEN, "word"],
    "not English": [
        *("going home now", "i love this song so much", "ok", "voce voce voce", "@user http @user 日本 日本"),
        "ни that со",
    ],
}


def test_tweets_of_a_kind_and_of_others() -> None:
    assert OF_THE_KIND.keys() == OF_ANOTHER.keys() == KINDS.keys()
    missed = [(kind, text) for kind, texts in OF_THE_KIND.items() for text in texts if not KINDS[kind](text)]
    taken = [(kind, text) for kind, texts in OF_ANOTHER.items() for text in texts if KINDS[kind](text)]
    assert (missed, taken) == ([], [])


@given(st.lists(st.text() | st.sampled_from([text for some in OF_THE_KIND.values() for text in some]), max_size=8))
def test_slices_are_the_kinds_that_occur(texts: list[str]) -> None:
    expected = {kind: [test(text) for text in texts] for kind, test in KINDS.items()}
    assert {name: rows.tolist() for name, rows in find_slices(texts).items()} == {
        kind: rows for kind, rows in expected.items() if any(rows)
    }


@given(st.lists(st.sampled_from(["a", "b", "c", None, ""]), min_size=15, max_size=45))
def test_topics_of_ten_tweets_or_more_are_slices(topics: list[str | None]) -> None:
    assert MIN_OF_TOPIC == 10
    slices = {name: rows.tolist() for name, rows in find_slices(["x"] * len(topics), topics).items() if name != "short"}
    assert list(slices.items()) == [
        (f"topic: {topic}", [other == topic for other in topics]) for topic in "abc" if topics.count(topic) >= 10
    ]


# ---- which are worse


def score_by_definition(right: np.ndarray, members: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """Step down with Holm's correction, by sets of rows; Fisher's p-value is a tail of the hypergeometric."""

    def p_value(inside: set[int], left: set[int]) -> float | None:
        inside = inside & left
        if len(inside) < MIN_TWEETS or len(left - inside) < MIN_TWEETS:
            return None
        wrong = {at for at in left if not right[at]}
        return float(hypergeom.sf(len(wrong & inside) - 1, len(left), len(wrong), len(inside)))

    rows = {name: {*np.flatnonzero(chosen).tolist()} for name, chosen in members.items()}
    left, p_values, worse = {*range(len(right))}, dict.fromkeys(members), []
    while True:
        waiting = [name for name in members if name not in worse]
        p_values |= {name: p_value(rows[name], left) for name in waiting}
        tested = [name for name in waiting if p_values[name] is not None]
        if not tested:
            break
        clearest = min(tested, key=lambda name: p_values[name])
        if p_values[clearest] * len(tested) >= 0.05:
            break
        worse.append(clearest)
        left -= rows[clearest]
    return [
        {
            "name": name,
            "n": len(inside),
            "accuracy": intervals.measure_share(sum(bool(right[at]) for at in inside), len(inside)),
            "rest": float(np.mean([right[at] for at in range(len(right)) if at not in inside]))
            if len(inside) < len(right)
            else None,
            "p_value": p_values[name],
            "worse": name in worse,
        }
        for name, inside in rows.items()
    ]


def draw_overlapping(seed: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Draw slices that overlap, some of them worse, some too small or too large to be tested."""
    random = np.random.default_rng(seed)
    n = int(random.integers(60, 700))
    first = random.random(n) < 0.15
    members = {
        "first": first,
        "with the first": random.random(n) < np.where(first, 0.7, 0.1),
        "second": random.random(n) < 0.2,
        "everything": np.ones(n, dtype=bool),
        "nearly everything": np.arange(n) >= random.integers(MIN_TWEETS - 2, MIN_TWEETS + 2),
        "tiny": np.arange(n) < random.integers(MIN_TWEETS - 2, MIN_TWEETS + 2),
        "tiny and bad": random.permutation(n) < random.integers(MIN_TWEETS - 2, MIN_TWEETS + 2),
        **{f"kind {number}": random.random(n) < 0.05 * (number + 1) for number in range(int(random.integers(0, 12)))},
    }
    chance = 0.85 - 0.3 * random.random() * first - 0.4 * random.random() * members["second"]
    return random.random(n) < np.where(members["tiny and bad"], 0.4, chance), members


def test_slices_are_flagged_step_by_step() -> None:
    flagged = set()
    for seed in range(60):
        right, members = draw_overlapping(seed)
        scores = score_slices(right, members)
        for one, other in zip(scores, score_by_definition(right, members), strict=True):
            rounded = {key: pytest.approx(other[key], abs=1e-9) for key in ("p_value", "rest")}
            assert one == other | rounded, seed
        flagged.add(sum(part["worse"] for part in scores))
    assert len(flagged) >= 3  # none, one, and several


def draw_model(n: int, seed: int = 0) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Draw a model that is right on 83 of 100 tweets of whatever kind; kinds overlap."""
    random = np.random.default_rng(seed)
    contrast = random.random(n) < 0.1
    long = random.random(n) < np.where(contrast, 0.6, 0.15)  # tweets with "but" are longer
    members = {"contrast": contrast, "long": long}
    members |= {f"kind {number}": random.random(n) < 0.05 * (number + 1) for number in range(12)}
    return random.random(n) < 0.83, members


def find_flagged(right: np.ndarray, members: dict[str, np.ndarray]) -> list[str]:
    return [part["name"] for part in score_slices(right, members) if part["worse"]]


def test_planted_slices_are_flagged_and_no_others() -> None:
    right, members = draw_model(2_200)
    assert find_flagged(right ^ members["contrast"], members) == ["contrast"]
    right, members = draw_model(4_000)
    right &= ~members["contrast"] & ~members["kind 5"]
    assert sorted(find_flagged(right, members)) == ["contrast", "kind 5"]


def test_chance_flags_as_rarely_as_it_says() -> None:
    """Draw 200 models that are nowhere worse: at most 5% have anything flagged (10 expected, 19 is 3 sigma)."""
    assert sum(bool(find_flagged(*draw_model(1_000, seed))) for seed in range(200)) <= 19
