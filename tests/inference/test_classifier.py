from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

import sentiment140_bert
from sentiment140_bert.inference import NEUTRAL, WINDOW, Classifier, Tokenization, split_into_batches
from sentiment140_bert.inference.predict import predict_texts

pytest_plugins = "model_fixtures"

TWEETS = [
    "@switchfoot http://twitpic.com/2y1zl - Awww, that's a bummer.  You shoulda got him to do it. ;D",
    "I love you &amp; you &lt;3 &quot;forever&quot; &amp;amp; ever",
    "so sad itÂ´s over, donâ\x80\x99t go â\x99¥ cafÃ©",
    "www.example.com/a?b=c&d=e @a @b_c @D1 yay!!!",
    "#fail SOOOO tired :( :-( ;_;",
    "good",
    "",
    "   ",
    "😀 👍🏽 日本語 ñandú",
    "\t tabs and\nnew lines \r\n inside ",
    "not bad at all, not good either &#39;tis",
    "word " * 900,
    "@" * 700,
]


@pytest.fixture(scope="module")
def pipe(classifier_folder: Path):
    from transformers import pipeline

    return pipeline("text-classification", model=str(classifier_folder), device="cpu")


def test_the_answers_are_the_pipelines(classifier_folder: Path, pipe) -> None:
    classifier = sentiment140_bert.load_classifier(str(classifier_folder))
    ours = list(classifier.predict(TWEETS))
    theirs = [pipe(text, truncation=True)[0] for text in TWEETS]
    assert [each.label for each in ours] == [each["label"] for each in theirs]
    assert [each.score for each in ours] == pytest.approx([each["score"] for each in theirs], abs=1e-5)
    assert {each.label for each in ours} == {"negative", "positive"}
    assert (classifier.empty, classifier.truncated) == (2, 2)


def test_all_labels_too(classifier_folder: Path, pipe) -> None:
    classifier = sentiment140_bert.load_classifier(str(classifier_folder))
    theirs = [{each["label"]: each["score"] for each in pipe(text, top_k=None)} for text in TWEETS[:6]]
    expected = [[scores[label] for label in classifier.labels] for scores in theirs]
    np.testing.assert_allclose(classifier.probabilities(TWEETS[:6]), expected, atol=1e-5)


def test_cleaned_and_raw_tweets_are_answered_alike(classifier_folder: Path) -> None:
    classifier = sentiment140_bert.load_classifier(str(classifier_folder))
    raw, cleaned = classifier.probabilities(["@xy I &lt;3 it http://t.co/1", "@user I <3 it http"])
    np.testing.assert_allclose(raw, cleaned, atol=1e-6)


WORDS = {"[UNK]": 0, "sad": 1, "glad": 2, "so": 3}
LONGEST = 6  # tokens


class Sums:
    """A backend whose logits anybody can compute: what is summed up over the tokens that are no padding."""

    labels, tokens_per_batch = ("sum", "length", "first"), 24

    def logits(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        ids = inputs["input_ids"]
        mask = inputs.get("attention_mask", np.ones_like(ids))
        return np.stack([(ids * mask).sum(1), mask.sum(1), ids[:, 0]], axis=1).astype(np.float32)


def simple(**settings: float) -> Classifier:
    tokenizer = Tokenizer(models.WordLevel(WORDS, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return Classifier(Sums(), Tokenization(tokenizer, LONGEST), **settings)


def probabilities_of(text: str, temperature: float) -> list[float]:
    """The same from the words themselves; a text without any is a padding token."""
    ids = [WORDS.get(word, 0) for word in text.split()][:LONGEST] or [0]
    powers = [math.exp(logit / temperature) for logit in (sum(ids), len(ids), ids[0])]
    return [power / sum(powers) for power in powers]


SHORT = st.lists(st.sampled_from(["sad", "glad", "so", "x"]), max_size=9).map(" ".join)


@given(st.lists(SHORT, max_size=40), st.floats(0.3, 4), st.floats(0, 1))
def test_answers_are_those_of_the_logits(texts: list[str], temperature: float, threshold: float) -> None:
    expected = [probabilities_of(text, temperature) for text in texts]
    classifier = simple(temperature=temperature, neutral_below=threshold)
    found = list(classifier.predict(iter(texts)))
    np.testing.assert_allclose(
        simple(temperature=temperature).probabilities(texts), np.reshape(expected, (-1, 3)), 1e-4
    )
    assert [each.score for each in found] == pytest.approx([max(each) for each in expected], rel=1e-4)
    for answer, row in zip(found, expected, strict=True):
        ranked = sorted(row)
        if abs(ranked[-1] - threshold) > 1e-4 and ranked[-1] - ranked[-2] > 1e-4:
            assert answer.label == (NEUTRAL if ranked[-1] < threshold else Sums.labels[row.index(ranked[-1])])
    assert classifier.empty == texts.count("")
    assert classifier.truncated == sum(len(text.split()) > LONGEST for text in texts)


def test_a_score_at_the_threshold_is_not_neutral() -> None:
    ((label, score),) = simple().predict(["so glad"])
    assert [each.label for each in simple(neutral_below=score).predict(["so glad"])] == [label]
    assert [each.label for each in simple(neutral_below=np.nextafter(score, 1)).predict(["so glad"])] == [NEUTRAL]


def test_what_is_empty_or_cut_is_counted_over_windows() -> None:
    texts = [
        ("", " \t", "so " * LONGEST, "so " * (LONGEST + 1), "glad")[number % 5] for number in range(2 * WINDOW + 5)
    ]
    counts = [sum(text in kinds for text in texts) for kinds in (("", " \t"), ("so " * (LONGEST + 1),))]
    for answer in (lambda each: list(each.predict(texts)), lambda each: each.probabilities(texts)):
        classifier = simple()
        answer(classifier)
        assert [classifier.empty, classifier.truncated] == counts


def test_order_is_kept_over_windows(classifier_folder: Path) -> None:
    classifier = sentiment140_bert.load_classifier(str(classifier_folder))
    texts = [f"{'so ' * (number % 13)}tweet {number % 17}" for number in range(WINDOW + 500)]
    alone = {text: classifier.probabilities([text])[0].max() for text in sorted(set(texts))}
    answers = list(predict_texts(classifier, iter(texts)))
    assert [text for text, _ in answers] == texts
    np.testing.assert_allclose([each.score for _, each in answers], [alone[text] for text in texts], atol=1e-5)


def test_the_order_changes_no_digit(classifier_folder: Path) -> None:
    classifier = sentiment140_bert.load_classifier(str(classifier_folder))
    texts = [f"{'so ' * (number % 7)}tweet {number}" for number in range(400)]
    np.testing.assert_array_equal(classifier.probabilities(texts[::-1])[::-1], classifier.probabilities(texts))


def test_texts_are_read_as_answers_are_taken(classifier_folder: Path) -> None:
    read = 0

    def texts() -> Iterator[str]:
        nonlocal read
        for number in range(20_000):
            read += 1
            yield f"tweet {number}"

    answers = sentiment140_bert.predict(str(classifier_folder), texts())
    assert read == 0
    assert next(answers)[0] == "tweet 0"
    assert 0 < read < 20_000


def test_nothing_in_nothing_out(classifier_folder: Path) -> None:
    classifier = sentiment140_bert.load_classifier(str(classifier_folder))
    assert classifier.probabilities([]).shape == (0, 2)
    assert list(predict_texts(classifier, [])) == []


@given(st.lists(st.integers(0, 600) | st.integers(4, 6), max_size=200), st.integers(1, 3_000), st.booleans())
def test_a_batch_holds_no_more_tokens_than_the_budget(lengths: list[int], budget: int, pads: bool) -> None:
    batches = list(split_into_batches(np.array(lengths, dtype=np.int64), budget, pads))
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        longest = max(lengths[row] for row in batch)
        assert len(batch) == 1 or longest == 0 or len(batch) * longest <= budget
    assert pads or all(len({lengths[row] for row in batch}) == 1 for batch in batches)
    longest_first = [max(lengths[row] for row in batch) for batch in batches]
    assert longest_first == sorted(longest_first, reverse=True)
