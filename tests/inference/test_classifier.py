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
from sentiment140_bert.errors import HardwareError
from sentiment140_bert.inference import torch_backend
from sentiment140_bert.inference.classifier import NEUTRAL, WINDOW, Classifier, split_into_batches
from sentiment140_bert.inference.predict import predict_texts
from sentiment140_bert.inference.tokens import Tokenization

pytest_plugins = "model_fixtures"

TWEETS = [
    "@switchfoot http://twitpic.com/2y1zl - Awww, that's a bummer.  You shoulda got him to do it. ;D",
    "I love you &amp; you &lt;3 &quot;forever&quot; &amp;amp; ever",
    *("so sad itÂ´s over, donâ\x80\x99t go â\x99¥ cafÃ©", "www.example.com/a?b=c&d=e @a @b_c @D1 yay!!!"),
    *("#fail SOOOO tired :( :-( ;_;", "good", "", "   ", "😀 👍🏽 日本語 ñandú", "\t tabs and\nnew lines \r\n inside "),
    *("not bad at all, not good either &#39;tis", "word " * 900, "@" * 700),
]


@pytest.fixture(scope="module")
def pipe(classifier_folder: Path):
    from transformers import pipeline

    return pipeline("text-classification", model=str(classifier_folder), device="cpu")


def test_labels_and_scores_are_those_of_pipeline(classifier_folder: Path, pipe) -> None:
    classifier = sentiment140_bert.load_classifier(str(classifier_folder))
    predictions = list(classifier.predict(TWEETS))
    expected = [pipe(text, truncation=True)[0] for text in TWEETS]
    assert [prediction.label for prediction in predictions] == [answer["label"] for answer in expected]
    scores = [prediction.score for prediction in predictions]
    assert scores == pytest.approx([answer["score"] for answer in expected], abs=1e-5)
    assert {prediction.label for prediction in predictions} == {"negative", "positive"}
    assert (classifier.empty, classifier.truncated) == (2, 2)
    by_label = [{answer["label"]: answer["score"] for answer in pipe(text, top_k=None)} for text in TWEETS[:6]]
    probabilities = [[scores[label] for label in classifier.labels] for scores in by_label]
    np.testing.assert_allclose(classifier.probabilities(TWEETS[:6]), probabilities, atol=1e-5)
    raw, cleaned = classifier.probabilities(["@xy I &lt;3 it http://t.co/1", "@user I <3 it http"])
    np.testing.assert_allclose(raw, cleaned, atol=1e-6)


@pytest.mark.parametrize("has_bf16", [True, False])
def test_bf16_gives_nearly_the_same_scores_or_an_error(
    has_bf16: bool, classifier_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pretend that the processor has bf16 or not: torch computes it on any, slowly."""
    monkeypatch.setattr(torch_backend, "multiplies_bf16", lambda: has_bf16)
    if not has_bf16:
        with pytest.raises(HardwareError, match="does not support it") as caught:
            sentiment140_bert.open_classifier(classifier_folder, backend="torch-bf16")
        assert "--backend torch" in caught.value.hint
        return
    fp32, bf16 = (sentiment140_bert.open_classifier(classifier_folder, backend=name) for name in (None, "torch-bf16"))
    expected, scores = fp32.probabilities(TWEETS), bf16.probabilities(TWEETS)
    assert not np.array_equal(scores, expected)
    np.testing.assert_allclose(scores, expected, atol=0.1)
    clear = np.abs(expected[:, 0] - 0.5) > 0.1
    assert clear.any()
    np.testing.assert_array_equal(scores.argmax(1)[clear], expected.argmax(1)[clear])


WORDS = {"[UNK]": 0, "sad": 1, "glad": 2, "so": 3}
LONGEST = 6  # tokens


class Sums:
    """A backend with logits that are easy to compute: sums over the tokens that are not padding."""

    labels, tokens_per_batch = ("sum", "length", "first"), 24

    def logits(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        ids = inputs["input_ids"]
        mask = inputs.get("attention_mask", np.ones_like(ids))
        return np.stack([(ids * mask).sum(1), mask.sum(1), ids[:, 0]], axis=1).astype(np.float32)


def make_simple(**settings: float) -> Classifier:
    tokenizer = Tokenizer(models.WordLevel(WORDS, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return Classifier(Sums(), Tokenization(tokenizer, LONGEST), **settings)


def compute_probabilities(text: str, temperature: float) -> list[float]:
    """Compute the same from the words themselves; a text without any is a padding token."""
    ids = [WORDS.get(word, 0) for word in text.split()][:LONGEST] or [0]
    powers = [math.exp(logit / temperature) for logit in (sum(ids), len(ids), ids[0])]
    return [power / sum(powers) for power in powers]


SHORT = st.lists(st.sampled_from(["sad", "glad", "so", "x"]), max_size=9).map(" ".join)


@given(st.lists(SHORT, max_size=40), st.floats(0.3, 4), st.floats(0, 1))
def test_predictions_are_those_of_the_logits(texts: list[str], temperature: float, threshold: float) -> None:
    expected = np.reshape([compute_probabilities(text, temperature) for text in texts], (-1, 3))
    np.testing.assert_allclose(make_simple(temperature=temperature).probabilities(texts), expected, 1e-4)
    classifier = make_simple(temperature=temperature, neutral_below=threshold)
    for (label, score), row in zip(classifier.predict(iter(texts)), expected.tolist(), strict=True):
        second, first = sorted(row)[1:]
        assert label == NEUTRAL if score is None else score == pytest.approx(first, rel=1e-4)
        if abs(first - threshold) > 1e-4 and first - second > 1e-4:
            assert label == (NEUTRAL if first < threshold else Sums.labels[row.index(first)])
    assert classifier.empty == texts.count("")
    assert classifier.truncated == sum(len(text.split()) > LONGEST for text in texts)


def test_a_score_at_the_threshold_is_not_neutral() -> None:
    ((label, score),) = make_simple().predict(["so glad"])
    for threshold, expected in ((score, label), (np.nextafter(score, 1), NEUTRAL)):
        ((answer, _),) = make_simple(neutral_below=threshold).predict(["so glad"])
        assert answer == expected


def test_empty_and_truncated_texts_are_counted_over_windows() -> None:
    long = "so " * (LONGEST + 1)
    texts = [("", " \t", "so " * LONGEST, long, "glad")[number % 5] for number in range(2 * WINDOW + 5)]
    for predict in (lambda classifier: list(classifier.predict(texts)), lambda some: some.probabilities(texts)):
        classifier = make_simple()
        predict(classifier)
        assert (classifier.empty, classifier.truncated) == (texts.count("") + texts.count(" \t"), texts.count(long))


def test_order_is_kept_over_windows_and_changes_no_digit(classifier_folder: Path) -> None:
    classifier = sentiment140_bert.load_classifier(str(classifier_folder))
    texts = [f"{'so ' * (number % 13)}tweet {number % 17}" for number in range(WINDOW + 500)]
    alone = {text: classifier.probabilities([text])[0].max() for text in sorted(set(texts))}
    pairs = list(predict_texts(classifier, iter(texts)))
    assert [text for text, _ in pairs] == texts
    np.testing.assert_allclose([answer.score for _, answer in pairs], [alone[text] for text in texts], atol=1e-5)
    texts = texts[:400]
    np.testing.assert_array_equal(classifier.probabilities(texts[::-1])[::-1], classifier.probabilities(texts))
    assert classifier.probabilities([]).shape == (0, 2)
    assert list(predict_texts(classifier, [])) == []


def test_texts_are_read_as_predictions_are_taken(classifier_folder: Path) -> None:
    read = 0

    def texts() -> Iterator[str]:
        nonlocal read
        for number in range(20_000):
            read += 1
            yield f"tweet {number}"

    predictions = sentiment140_bert.predict(str(classifier_folder), texts())
    assert read == 0
    assert next(predictions)[0] == "tweet 0"
    assert 0 < read < 20_000


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
