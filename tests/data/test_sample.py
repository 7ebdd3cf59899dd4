"""The tweets that ship with the package: what the corpus is like, nobody real, and not too easy."""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from pathlib import Path

import pyarrow as pa
import pytest

import sentiment140_bert.data
from sentiment140_bert.data import clean
from sentiment140_bert.data.pipeline import prepare_splits
from sentiment140_bert.recipe import DataConfig

FOLDER = Path(sentiment140_bert.data.__file__).parent / "sample"


def rows_of(name: str) -> list[list[str]]:
    with (FOLDER / name).open(encoding="latin-1", newline="") as file:
        return list(csv.reader(file))


@pytest.fixture(scope="module")
def tweets() -> list[list[str]]:
    return rows_of("tweets.csv")


@pytest.fixture(scope="module")
def manual() -> list[list[str]]:
    return rows_of("manual.csv")


def test_it_has_the_format_of_the_corpus(tweets):
    content = (FOLDER / "tweets.csv").read_bytes()
    with pytest.raises(UnicodeDecodeError):
        content.decode("utf-8")
    assert {len(row) for row in tweets} == {6}
    labels = [row[0] for row in tweets]
    assert labels == sorted(labels)
    assert set(labels) == {"0", "4"}
    assert content.startswith(b'"0","')


def test_it_is_large_enough_and_balanced(tweets):
    assert len(set(clean.make_keys(pa.chunked_array([[row[5] for row in tweets]])).to_pylist())) >= 1200
    count = Counter(row[0] for row in tweets)
    assert abs(count["0"] - count["4"]) <= 0.02 * len(tweets)


@pytest.mark.parametrize(
    "quirk", [r"@\w+", r"https?://", r"&(amp|quot|lt|gt);", "[\xc2\xc3\xe2\xef][\x80-\xbf]", r"(^ )|( $)", r"#\w+"]
)
def test_the_quirks_of_the_corpus_are_there(tweets, quirk):
    assert sum(bool(re.search(quirk, row[5])) for row in tweets) >= 5


def test_texts_are_repeated_and_some_carry_both_labels(tweets):
    labels_of_text = defaultdict(list)
    for row in tweets:
        labels_of_text[row[5]].append(row[0])
    assert any(len(labels) > 1 and len(set(labels)) == 1 for labels in labels_of_text.values())
    assert any(len(set(labels)) == 2 for labels in labels_of_text.values())


def test_nobody_and_no_site_in_it_is_real(tweets, manual):
    for row in tweets + manual:
        names = [row[4], *re.findall(r"@(\w+)", row[5])]
        assert all(len(name) > 15 for name in names), names  # Twitter allows 15
        for address in re.findall(r"(?:https?://|www\.)\S+", row[5], re.IGNORECASE):
            host = re.sub(r"^https?://", "", address.lower()).split("/")[0].rstrip(".,!?)")
            assert host.endswith(".example") or re.fullmatch(r"(www\.)?example\.(com|org|net)", host), address


def test_the_manual_rows(manual):
    assert len(manual) == 100
    assert set(Counter(row[0] for row in manual)) == {"0", "2", "4"}
    assert min(Counter(row[0] for row in manual).values()) >= 20


def test_counting_words_does_not_solve_it():
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    splits = prepare_splits(DataConfig(dataset="sample", test_size=300)).splits()
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(max_iter=1000))
    model.fit(list(splits["train"]["text"]), list(splits["train"]["label"]))
    assert 0.55 < model.score(list(splits["test"]["text"]), list(splits["test"]["label"])) < 0.88
