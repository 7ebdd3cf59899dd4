"""``--max-train-samples``: a smaller training split is part of every larger one, and nothing else changes."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from sentiment140_bert import models
from sentiment140_bert.data import loading, pipeline, report, subset
from sentiment140_bert.data.tokenize import tokenize
from sentiment140_bert.errors import DataError
from sentiment140_bert.evaluation.run import load_scored_tables
from sentiment140_bert.recipe import DataConfig, Recipe

BASE: dict[str, Any] = {"dataset": "t.csv", "manual_test": "manual.csv", "validation_size": 20, "test_size": 20}


@pytest.fixture(autouse=True)
def _tweets(cache, write) -> None:
    write("t.csv", 200)
    write("manual.csv", [["4", "by hand, glad"], ["0", "by hand, sad"], ["2", "by hand"]])


def prepared(**values: Any) -> pipeline.Prepared:
    return loading.load_splits(DataConfig(**(BASE | values)))[0]


def texts(result: pipeline.Prepared) -> dict[str, list[str]]:
    return {name: list(part["text"]) for name, part in result.splits().items()}


def test_subsets_are_nested_and_all_else_is_the_same() -> None:
    whole = prepared()
    parts = [prepared(max_train_samples=rows) for rows in (10, 40, 41, 100)] + [whole]
    for smaller, larger in itertools.pairwise(parts):
        inner, outer = texts(smaller), texts(larger)
        assert set(inner.pop("train")) < set(outer.pop("train"))
        assert inner == outer
        assert subset.hash_shared_rows(smaller, larger) == smaller.report["splits"]["train"]["sha256"]
        assert subset.hash_shared_rows(larger, smaller) != larger.report["splits"]["train"]["sha256"]
        for name in ("validation", "test", "manual"):
            assert smaller.report["splits"][name] == larger.report["splits"][name]
    assert [part.report["splits"]["train"]["rows"] for part in parts] == [10, 40, 41, 100, 160]


def test_a_subset_is_balanced_as_the_whole() -> None:
    labels = np.array([0] * 30 + [1] * 10)
    for rows in range(1, 41):
        chosen = subset.choose_subset(labels, rows)
        assert len(chosen) == rows
        assert (np.diff(chosen) > 0).all()
        assert abs(labels[chosen].sum() - rows / 4) <= 1


def test_the_report_tells_of_the_subset() -> None:
    whole, part = prepared(), prepared(max_train_samples=50)
    assert part.report["steps"] == whole.report["steps"] | {"left_out_of_train": 110}
    train = part.report["splits"]["train"]
    assert (train["negative"], train["positive"]) == (25, 25)
    assert part.report["settings"] == whole.report["settings"] | {"max_train_samples": 50}
    assert part.report["fingerprint"] != whole.report["fingerprint"]
    again = prepared(max_train_samples=50)
    assert again.cached
    assert (again.folder, again.report) == (part.folder, part.report)


def test_a_subset_is_of_its_own_dataset_and_seed(write) -> None:
    write("other.csv", [[str(4 * (n % 2)), f"another tweet {n}"] for n in range(200)])
    parts = [
        prepared(max_train_samples=50),
        prepared(max_train_samples=50, split_seed=7),
        prepared(max_train_samples=50, dataset="other.csv"),
        prepared(max_train_samples=51),
    ]
    assert [part.cached for part in parts] == [False] * 4
    assert len({part.folder for part in parts}) == len({part.report["fingerprint"] for part in parts}) == 4
    assert all(text.startswith("another") for text in texts(parts[2])["train"])


def test_all_there_is_is_the_whole() -> None:
    whole, part = prepared(), prepared(max_train_samples=160)
    assert part.folder == whole.folder
    assert part.report["fingerprint"] == whole.report["fingerprint"]


@pytest.mark.parametrize(
    ("rows", "said"), [(161, "there are only 160 tweets to train on"), (1, "1 training tweets do not hold both labels")]
)
def test_impossible_sizes(rows: int, said: str) -> None:
    with pytest.raises(DataError, match=said):
        prepared(max_train_samples=rows)


def test_leakage_is_counted_among_the_tweets_that_are_left() -> None:
    """Users write three tweets each: with few training tweets, few of the test split share theirs with one."""
    many, few = (prepared(max_train_samples=rows).report["leakage"]["test"]["same_user"] for rows in (160, 10))
    assert few < many


@pytest.mark.parametrize("max_length", [6, 64])
def test_cut_tokens_are_those_of_the_texts(max_length: int) -> None:
    """Of both kinds: tweets that were truncated, and tweets that fit exactly."""
    recipe = Recipe().with_values(BASE | {"model_name_or_path": models.BUNDLED, "max_length": max_length})
    part, cut, tokenizer = loading.load_data(recipe.with_values({"max_train_samples": 60}))
    train = part.splits()["train"].with_format("arrow")[:]
    ids, lengths, truncated = tokenize(train["text"], tokenizer, max_length)
    assert cut.splits()["train"]["input_ids"][:] == ids.to_pylist()
    assert cut.splits()["train"]["labels"][:] == train["label"].to_pylist()
    assert cut.report["splits"]["train"]["token_length"] == report.summarize_token_lengths(lengths, truncated)
    assert (truncated > 0) == (max_length < 10)
    assert pipeline.tokenize_splits(part, tokenizer, max_length).folder == cut.folder  # found under its own name


def test_nothing_is_tokenized_again(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Recipe().with_values(BASE | {"model_name_or_path": models.BUNDLED})
    whole = loading.load_data(recipe)
    asked: list[int] = []
    monkeypatch.setattr(subset, "tokenize", lambda texts, *_: asked.append(len(texts)))
    _, tokens, _ = loading.draw_subset(whole, 60)
    assert asked == []
    assert len(tokens.splits()["train"]) == 60


def test_a_recipe_with_it_finds_its_data_again() -> None:
    """As ``s140 evaluate RUN`` does: by the recipe alone."""
    recipe = Recipe().with_values(BASE | {"max_train_samples": 60})
    again, folder = loading.load_splits(recipe.data)
    assert folder is None
    assert again.report["fingerprint"] == prepared(max_train_samples=60).report["fingerprint"]
    assert set(load_scored_tables(again)) == {"validation", "test", "manual"}
