"""The mistakes that a report lists, without user names."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from sentiment140_bert.cards.markup import clean_controls
from sentiment140_bert.data.clean import clean
from sentiment140_bert.evaluation.calibration import Calibration
from sentiment140_bert.evaluation.mistakes import find_mistakes, mask_words
from sentiment140_bert.evaluation.predictions import Predictions

ROWS = (
    ("sure and right", 1, 0.99),
    ("sure and wrong", 0, 0.97),
    ("unsure and wrong", 1, 0.45),
    ("half", 0, 0.5),
    ("neutral, sure", 2, 0.9),
    ("neutral, unsure", 2, 0.55),
)
TEXTS, TRUTH, POSITIVE = zip(*ROWS, strict=True)
PREDICTIONS = Predictions(TEXTS, np.array(TRUTH), np.array(POSITIVE))


@pytest.mark.parametrize(
    ("neutral_below", "temperature", "abstains"),
    [
        (
            0.0,
            1.0,
            dict.fromkeys(["sure and wrong", "neutral, sure", "unsure and wrong", "neutral, unsure", "half"], False),
        ),
        # A neutral tweet below the threshold is not a mistake.
        (0.8, 1.0, {"sure and wrong": False, "neutral, sure": False, "unsure and wrong": True, "half": True}),
        # At temperature 2 a confidence of 0.9 is one of 0.75, and 0.97 is 0.85.
        (0.8, 2.0, {"sure and wrong": False, "unsure and wrong": True, "half": True}),
    ],
)
def test_mistakes_are_wrong_sides_and_neutral_tweets_that_were_not_abstained_from(
    neutral_below: float, temperature: float, abstains: dict[str, bool]
) -> None:
    mistakes = find_mistakes("manual", PREDICTIONS, Calibration(temperature, neutral_below))
    assert [mistake.confidence for mistake in mistakes] == sorted((m.confidence for m in mistakes), reverse=True)
    assert {mistake.words[0][0]: mistake.abstains for mistake in mistakes} == abstains
    sides = {text: "positive" if positive >= 0.5 else "negative" for text, _, positive in ROWS}
    assert all(mistake.prediction == sides[mistake.words[0][0]] for mistake in mistakes)


def test_of_three_labels_a_wrong_neutral_is_a_mistake() -> None:
    neutral = np.array([0.5, 0.1, 0.9, 0.1, 0.8, 0.1])
    mistakes = find_mistakes("test", replace(PREDICTIONS, neutral=neutral), None)
    predicted = {mistake.words[0][0]: (mistake.prediction, round(mistake.confidence, 4)) for mistake in mistakes}
    assert predicted == {
        "sure and right": ("neutral", 0.5),
        "sure and wrong": ("positive", 0.873),
        "unsure and wrong": ("neutral", 0.9),
        "half": ("positive", 0.45),
        "neutral, unsure": ("positive", 0.495),
    }


def test_names_and_addresses_are_masked_and_their_weights_added_up() -> None:
    words = [("@", 1.0), ("some", 0.5), ("_", None), ("user", -0.25), (" ", None), ("hi", 2.0)]
    assert mask_words(words) == [("@user", 1.25), (" ", None), ("hi", 2.0)]
    assert mask_words([("see", 1.0), (" ", None), ("http://x.y/", None), ("me", None), ("!", None)]) == [
        *[("see", 1.0), (" ", None), ("http", None)]
    ]
    hidden = mask_words([("a", 1.0), ("@", 1.0), ("\u200b", None), ("bob", 1.0), (",", 0.0)])
    assert [text for text, _ in hidden] == ["a", "@user", ","]


def test_however_the_words_are_cut_the_text_is_that_of_the_rules() -> None:
    texts = (
        *("@a @b_c,@d", "mail me@home.example now", "RT @bob: www.x.y/@bob http://a/@b", "@bobhttp://x/y z", "no one"),
        *("WWW.EVIL.example/u", "https://t.co/abc\xa0@bob", "@@bob@"),
    )
    for text, size in itertools.product(texts, (1, 2, 3, 99)):
        words = [(text[at : at + size], 1.0) for at in range(0, len(text), size)]
        expected, _ = clean(pa.chunked_array([[clean_controls(text)]]), "mask")
        assert "".join(text for text, _ in mask_words(words)) == expected[0].as_py(), (text, size)
        assert sum(weight or 0 for _, weight in mask_words(words)) == len(words), (text, size)
