"""Read random bytes: as rows, counted bad rows, or an error. ``scripts/fuzz.py`` tries more of them."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from fuzzing.loop import Result, try_inputs
from fuzzing.recipe_files import RecipeFiles
from fuzzing.texts import Cleaning, LabelMaps
from fuzzing.tweet_files import KINDS, TweetFiles

FIRST = 1_000  # files of tweets that are tried before every change; the long tests try the first 20,000
PARTS = 4
TWEET_FILES = 20_000


def no_defects(result: Result) -> None:
    defects = [
        f"input {defect.number}: {''.join(traceback.format_exception(defect.error))}" for defect in result.defects
    ]
    assert not defects, "\n".join(defects)


def try_tweet_files(folder: Path, numbers: range) -> None:
    """Try the same files every time; of each kind some are read and some are refused."""
    result = try_inputs(TweetFiles(folder), 1, numbers)
    no_defects(result)
    assert result.count == len(numbers)
    read = {outcome.split("(")[-1].rstrip(")") for outcome in result.outcomes if outcome.startswith("rows")}
    assert read == {kind.removesuffix(".gz") for kind in KINDS}
    assert len([outcome for outcome in result.outcomes if outcome.startswith("error")]) >= 8


def test_1000_files_of_tweets(tmp_path: Path) -> None:
    try_tweet_files(tmp_path, range(FIRST))


@pytest.mark.long
@pytest.mark.parametrize("part", range(PARTS))
def test_20000_files_of_tweets(tmp_path: Path, part: int) -> None:
    size = TWEET_FILES // PARTS
    try_tweet_files(tmp_path, range(part * size, (part + 1) * size))


@pytest.mark.parametrize("count", [150, pytest.param(1_000, marks=pytest.mark.long)])
def test_recipes(tmp_path: Path, count: int) -> None:
    result = try_inputs(RecipeFiles(tmp_path), 1, range(count))
    no_defects(result)
    assert {"a recipe", "error: not valid YAML", "error: wrong keys or values"} <= result.outcomes.keys()


@pytest.mark.long
def test_texts() -> None:
    """The short form is in test_clean.py, which compares with a second implementation."""
    no_defects(try_inputs(Cleaning(), 1, range(1_000)))


def test_label_maps() -> None:
    result = try_inputs(LabelMaps(), 1, range(2_000))
    no_defects(result)
    assert {"mapped", "read as names", "error: label map", "error: ambiguous labels"} <= result.outcomes.keys()


@pytest.mark.parametrize("wrong", ["a row less", "another text", "no sentence"])
def test_a_broken_reader_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    """Lose rows, change texts, or let an error through."""
    from sentiment140_bert.data import readers

    right = readers.read_source

    def broken(*arguments):
        rows = list(right(*arguments))
        if wrong == "a row less":
            return iter(rows[:-1])
        if wrong == "no sentence":
            raise KeyError("text")
        return (row._replace(text=row.text.replace("tweet", "twit")) if hasattr(row, "text") else row for row in rows)

    monkeypatch.setattr(readers, "read_source", broken)
    assert try_inputs(TweetFiles(tmp_path), 1, range(100)).defects
