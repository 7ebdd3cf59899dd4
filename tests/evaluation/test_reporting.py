"""Which tweets a report lists, and whose names are on it: nobody's."""

from __future__ import annotations

import itertools
from typing import Any

import pyarrow as pa

from sentiment140_bert.cards.markup import clean_controls
from sentiment140_bert.data.clean import clean
from sentiment140_bert.evaluation.calibration import Calibration
from sentiment140_bert.evaluation.reporting import masked, mistakes_of


def row(text: str, label: int, positive: float) -> dict[str, Any]:
    return {"split": "manual", "text": text, "label": label, "positive": positive, "topic": None}


ROWS = [
    row("sure and right", 1, 0.99),
    row("sure and wrong", 0, 0.97),
    row("unsure and wrong", 1, 0.45),
    row("half", 0, 0.5),
    row("neutral, sure", 2, 0.9),
    row("neutral, unsure", 2, 0.55),
]


def mistakes(neutral_below: float, temperature: float = 1.0) -> dict[str, bool]:
    """Texts of the wrong answers, and whether the threshold keeps them back."""
    found = mistakes_of("manual", ROWS, Calibration(temperature, neutral_below))
    assert [each.confidence for each in found] == sorted((each.confidence for each in found), reverse=True)
    return {each.words[0][0]: each.abstains for each in found}


def test_where_the_model_takes_every_side() -> None:
    answers = [each.answer for each in mistakes_of("manual", ROWS, Calibration(1.0, 0.0))]
    assert answers == ["positive", "positive", "negative", "positive", "positive"]
    assert set(mistakes(0.0)) == {row["text"] for row in ROWS} - {"sure and right"}
    assert not any(mistakes(0.0).values())


def test_neutral_tweets_below_the_threshold_are_no_mistakes() -> None:
    assert mistakes(0.8) == {"sure and wrong": False, "neutral, sure": False, "unsure and wrong": True, "half": True}


def test_the_threshold_stands_on_calibrated_confidence() -> None:
    """At temperature 2 a confidence of 0.9 is one of 0.75, and 0.97 is 0.85."""
    assert mistakes(0.8, 2.0) == {"sure and wrong": False, "unsure and wrong": True, "half": True}


def texts(words: list[tuple[str, float | None]]) -> list[str]:
    return [text for text, _ in words]


def test_names_and_addresses_are_masked_and_their_weights_added_up() -> None:
    words = [("@", 1.0), ("some", 0.5), ("_", None), ("user", -0.25), (" ", None), ("hi", 2.0)]
    assert masked(words) == [("@user", 1.25), (" ", None), ("hi", 2.0)]
    assert masked([("see", 1.0), (" ", None), ("http://x.y/", None), ("me", None), ("!", None)]) == [
        *[("see", 1.0), (" ", None), ("http", None)]
    ]
    assert texts(masked([("a", 1.0), ("@", 1.0), ("\u200b", None), ("bob", 1.0), (",", 0.0)])) == ["a", "@user", ","]


def test_however_the_words_are_cut_the_text_is_that_of_the_rules() -> None:
    texts_to_mask = (
        *("@a @b_c,@d", "mail me@home.example now", "RT @bob: www.x.y/@bob http://a/@b", "@bobhttp://x/y z", "no one"),
        *("WWW.EVIL.example/u", "https://t.co/abc\xa0@bob", "@@bob@"),
    )
    for text, size in itertools.product(texts_to_mask, (1, 2, 3, 99)):
        words = [(text[at : at + size], 1.0) for at in range(0, len(text), size)]
        expected, _ = clean(pa.chunked_array([[clean_controls(text)]]), "mask")
        assert "".join(texts(masked(words))) == expected[0].as_py(), (text, size)
        assert sum(weight or 0 for _, weight in masked(words)) == len(words), (text, size)
