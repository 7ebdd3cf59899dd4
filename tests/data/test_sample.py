"""The tweets that ship with the package: what the corpus is like, nobody real, and not too easy."""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from pathlib import Path

import pytest

import sentiment140_bert.data
from sentiment140_bert.data.pipeline import prepare_splits
from sentiment140_bert.recipe import DataConfig

FOLDER = Path(sentiment140_bert.data.__file__).parent / "sample"
QUIRKS = [r"@\w+", r"https?://", r"&(amp|quot|lt|gt);", "[\xc2\xc3\xe2\xef][\x80-\xbf]", r"(^ )|( $)", r"#\w+"]


def read_rows(name: str) -> list[list[str]]:
    with (FOLDER / name).open(encoding="latin-1", newline="") as file:
        return list(csv.reader(file))


def test_it_has_the_format_and_the_quirks_of_the_corpus() -> None:
    tweets, labels, labels_of_text = read_rows("tweets.csv"), Counter(), defaultdict(list)
    with pytest.raises(UnicodeDecodeError):
        (FOLDER / "tweets.csv").read_text("utf-8")
    assert {len(row) for row in tweets} == {6}
    for label, *_, text in tweets:
        labels[label] += 1
        labels_of_text[text].append(label)
    assert list(labels) == ["0", "4"]  # sorted
    assert abs(labels["0"] - labels["4"]) <= 0.02 * len(tweets)
    assert {1, 2} <= {len(set(repeated)) for repeated in labels_of_text.values() if len(repeated) > 1}
    assert [quirk for quirk in QUIRKS if sum(bool(re.search(quirk, row[5])) for row in tweets) < 5] == []
    assert Counter(row[0] for row in read_rows("manual.csv")).keys() == {"0", "2", "4"}


def test_nobody_and_no_site_in_it_is_real() -> None:
    for row in read_rows("tweets.csv") + read_rows("manual.csv"):
        names = [row[4], *re.findall(r"@(\w+)", row[5])]
        assert all(len(name) > 15 for name in names), names  # Twitter allows 15
        for address in re.findall(r"(?:https?://|www\.)\S+", row[5], re.IGNORECASE):
            host = re.sub(r"^https?://", "", address.lower()).split("/")[0].rstrip(".,!?)")
            assert host.endswith(".example") or re.fullmatch(r"(www\.)?example\.(com|org|net)", host), address


def test_counting_words_does_not_solve_it() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    splits = prepare_splits(DataConfig(dataset="sample", test_size=300)).splits()
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(max_iter=1000))
    model.fit(list(splits["train"]["text"]), list(splits["train"]["label"]))
    assert 0.55 < model.score(list(splits["test"]["text"]), list(splits["test"]["label"])) < 0.88
