from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment140_bert import workflows
from sentiment140_bert.inference import WINDOW, batches_by_budget

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
def pipe(run: Path):
    from transformers import pipeline

    return pipeline("text-classification", model=str(run / "model"), device="cpu")


def test_the_answers_are_the_pipelines(run: Path, pipe) -> None:
    classifier = workflows.load_classifier(str(run))
    ours = list(classifier.predict(TWEETS))
    theirs = [pipe(text, truncation=True)[0] for text in TWEETS]
    assert [each.label for each in ours] == [each["label"] for each in theirs]
    assert [each.score for each in ours] == pytest.approx([each["score"] for each in theirs], abs=1e-5)
    assert {each.label for each in ours} <= {"negative", "positive"}
    assert (classifier.empty, classifier.truncated) == (2, 2)


def test_all_labels_too(run: Path, pipe) -> None:
    classifier = workflows.load_classifier(str(run))
    theirs = [{each["label"]: each["score"] for each in pipe(text, top_k=None)} for text in TWEETS[:6]]
    expected = [[scores[label] for label in classifier.labels] for scores in theirs]
    np.testing.assert_allclose(classifier.probabilities(TWEETS[:6]), expected, atol=1e-5)


def test_cleaned_and_raw_tweets_are_answered_alike(run: Path) -> None:
    classifier = workflows.load_classifier(str(run))
    raw, cleaned = classifier.probabilities(["@xy I &lt;3 it http://t.co/1", "@user I <3 it http"])
    np.testing.assert_allclose(raw, cleaned, atol=1e-6)


def test_order_is_kept_over_windows(classifier_folder: Path) -> None:
    classifier = workflows.load_classifier(str(classifier_folder))
    texts = [f"{'so ' * (number % 13)}tweet {number % 17}" for number in range(WINDOW + 500)]
    alone = {text: classifier.probabilities([text])[0].max() for text in sorted(set(texts))}
    answers = list(workflows.answers(classifier, iter(texts)))
    assert [text for text, _ in answers] == texts
    np.testing.assert_allclose([each.score for _, each in answers], [alone[text] for text in texts], atol=1e-5)


def test_the_order_changes_no_digit(classifier_folder: Path) -> None:
    classifier = workflows.load_classifier(str(classifier_folder))
    texts = [f"{'so ' * (number % 7)}tweet {number}" for number in range(400)]
    np.testing.assert_array_equal(classifier.probabilities(texts[::-1])[::-1], classifier.probabilities(texts))


def test_texts_are_read_as_answers_are_taken(classifier_folder: Path) -> None:
    read = 0

    def texts() -> Iterator[str]:
        nonlocal read
        for number in range(20_000):
            read += 1
            yield f"tweet {number}"

    answers = workflows.predict(str(classifier_folder), texts())
    assert read == 0
    assert next(answers)[0] == "tweet 0"
    assert 0 < read < 20_000


def test_nothing_in_nothing_out(classifier_folder: Path) -> None:
    classifier = workflows.load_classifier(str(classifier_folder))
    assert classifier.probabilities([]).shape == (0, 2)
    assert list(workflows.answers(classifier, [])) == []


@given(st.lists(st.integers(0, 600), max_size=200), st.integers(1, 3_000))
def test_a_batch_holds_no_more_tokens_than_the_budget(lengths: list[int], budget: int) -> None:
    batches = list(batches_by_budget(np.array(lengths, dtype=np.int64), budget))
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        longest = max(lengths[row] for row in batch)
        assert len(batch) == 1 or longest == 0 or len(batch) * longest <= budget
    longest_first = [max(lengths[row] for row in batch) for batch in batches]
    assert longest_first == sorted(longest_first, reverse=True)
