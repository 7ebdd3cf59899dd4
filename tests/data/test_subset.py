"""Train on fewer tweets: ``--max-train-samples`` draws nested subsets, ``--drop-suspects`` drops listed ones."""

from __future__ import annotations

import csv
import itertools
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from sentiment140_bert import models
from sentiment140_bert.data import data_json, loading, pipeline, subset
from sentiment140_bert.data.cache import Prepared
from sentiment140_bert.data.tokenize import tokenize
from sentiment140_bert.errors import DataError
from sentiment140_bert.recipe import DataConfig, Recipe
from sentiment140_bert.recipe.privacy import make_public

BASE: dict[str, Any] = {"dataset": "t.csv", "manual_test": "manual.csv", "validation_size": 20, "test_size": 20}


@pytest.fixture(autouse=True)
def _tweets(cache, write) -> None:
    write("t.csv", 200)
    write("manual.csv", [["4", "by hand, glad"], ["0", "by hand, sad"], ["2", "by hand"]])


def prepare(**values: Any) -> Prepared:
    return loading.load_splits(DataConfig(**(BASE | values)))[0]


def list_rows(prepared: Prepared) -> dict[str, list[tuple[str, int]]]:
    return {name: list(zip(part["text"], part["label"], strict=True)) for name, part in prepared.splits().items()}


def list_train(prepared: Prepared) -> list[str]:
    return list(prepared.split("train")["text"])


# ---- --max-train-samples


def test_subsets_are_nested_and_all_else_is_the_same() -> None:
    parts = [prepare(max_train_samples=rows) for rows in (10, 40, 41, 100)] + [prepare()]
    assert [part.report["splits"]["train"]["rows"] for part in parts] == [10, 40, 41, 100, 160]
    for smaller, larger in itertools.pairwise(parts):
        inner, outer = list_rows(smaller), list_rows(larger)
        assert set(inner.pop("train")) < set(outer.pop("train"))
        assert inner == outer
        assert subset.hash_shared_rows(smaller, larger) == smaller.report["splits"]["train"]["sha256"]
        assert subset.hash_shared_rows(larger, smaller) != larger.report["splits"]["train"]["sha256"]
        for name in ("validation", "test", "manual"):
            assert smaller.report["splits"][name] == larger.report["splits"][name]
    shared = [part.report["leakage"]["test"]["same_user"] for part in parts]
    assert shared[0] < shared[-1]  # users write three tweets each


def test_the_report_of_a_subset() -> None:
    full, part, all_of_it = prepare(), prepare(max_train_samples=50), prepare(max_train_samples=160)
    assert part.report["steps"] == full.report["steps"] | {"left_out_of_train": 110}
    assert [part.report["splits"]["train"][label] for label in ("negative", "positive")] == [25, 25]
    assert part.report["settings"] == full.report["settings"] | {"max_train_samples": 50}
    assert part.report["fingerprint"] != full.report["fingerprint"] == all_of_it.report["fingerprint"]
    assert all_of_it.folder == full.folder
    again = prepare(max_train_samples=50)
    assert (again.cached, again.folder, again.report) == (True, part.folder, part.report)


def test_a_subset_belongs_to_its_dataset_and_seed(write) -> None:
    write("other.csv", [[str(4 * (n % 2)), f"another tweet {n}"] for n in range(200)])
    settings: list[dict[str, Any]] = [{}, {"split_seed": 7}, {"dataset": "other.csv"}, {"max_train_samples": 51}]
    parts = [prepare(**({"max_train_samples": 50} | values)) for values in settings]
    assert [part.cached for part in parts] == [False] * 4
    assert len({part.folder for part in parts}) == len({part.report["fingerprint"] for part in parts}) == 4
    assert all(text.startswith("another") for text in list_train(parts[2]))


def test_impossible_sizes() -> None:
    for rows, message in (
        (161, "there are only 160 tweets to train on"),
        (1, "1 training tweets do not hold both labels"),
    ):
        with pytest.raises(DataError, match=message):
            prepare(max_train_samples=rows)


@pytest.mark.parametrize("max_length", [6, 64])
def test_tokens_of_a_subset_are_those_of_its_texts(max_length: int, monkeypatch) -> None:
    """At the shorter length some tweets were truncated and some fit exactly; at the longer nothing is tokenized."""
    recipe = Recipe().with_values(BASE | {"model_name_or_path": models.BUNDLED, "max_length": max_length})
    full = loading.load_data(recipe)
    counts: list[int] = []
    monkeypatch.setattr(subset, "tokenize", lambda texts, *args: (counts.append(len(texts)), tokenize(texts, *args))[1])
    part, tokens, tokenizer = loading.draw_subset(full, 60)
    assert bool(counts) == (max_length < 10)
    train = part.split("train").with_format("arrow")[:]
    ids, lengths, truncated = tokenize(train["text"], tokenizer, max_length)
    assert tokens.splits()["train"]["input_ids"][:] == ids.to_pylist()
    assert tokens.splits()["train"]["labels"][:] == train["label"].to_pylist()
    assert tokens.report["splits"]["train"]["token_length"] == data_json.summarize_token_lengths(lengths, truncated)
    assert (truncated > 0) == (max_length < 10)
    assert pipeline.tokenize_splits(part, tokenizer, max_length).folder == tokens.folder
    by_recipe, folder = loading.load_splits(recipe.with_values({"max_train_samples": 60}).data)
    assert (by_recipe.folder, folder) == (part.folder, None)


# ---- --drop-suspects


def write_list(rows: list[dict[str, object]], name: str = "suspects.csv") -> str:
    with Path(name).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return name


def test_listed_tweets_are_dropped_from_train_and_all_else_stays():
    before = prepare()
    rows = list_rows(before)
    listed, held_out = [text for text, _ in rows["train"][:7]], rows["test"][0][0]
    # With other columns, in another order and case, one twice, one of the test split, one of no split.
    texts = [text.upper() for text in listed[::-1]] + [listed[0], held_out, "unheard of"]
    after = prepare(drop_suspects=write_list([{"given": 1, "text": text, "score": 0.5} for text in texts]))
    assert not after.cached
    assert list_rows(after) == rows | {"train": rows["train"][7:]}
    assert after.report["steps"] == before.report["steps"] | {"suspects_dropped": 7}
    entry = after.report["suspects"]
    assert entry == {"name": "suspects.csv", "sha256": entry["sha256"], "rows": 10, "found": 7}
    assert after.report["fingerprint"] != before.report["fingerprint"]


@pytest.mark.parametrize("positive", [1, "positive", "Positive"])
def test_a_label_in_the_list_drops_only_the_row_with_that_label(write, positive):
    write("t.csv", [[label, f"tweet {n}"] for n in range(60) for label in ("0", "4")])
    both = {"conflicts": "keep", "validation_size": 10, "test_size": 10}
    train = list_rows(prepare(**both))["train"]
    text = train[0][0]
    assert {(text, 0), (text, 1)} <= set(train)
    remaining = list_rows(prepare(**both, drop_suspects=write_list([{"text": text, "label": positive}])))["train"]
    assert [row for row in train if row not in remaining] == [(text, 1)]
    unlabelled = prepare(**both, drop_suspects=write_list([{"text": text}, {"text": text}, {"text": "unheard of"}]))
    assert {row for row in train if row not in list_rows(unlabelled)["train"]} == {(text, 0), (text, 1)}
    entry = unlabelled.report["suspects"]
    assert (entry["rows"], entry["found"]) == (3, 1), "distinct texts, not the rows that have them"
    assert unlabelled.report["steps"]["suspects_dropped"] == 2


def test_escaped_cells_are_unescaped_in_lists_of_the_command_alone(write):
    """``s140 suspects`` escapes cells, and its lists have a column label_quality."""
    texts = ["=1+1 is two", "@somebody hi", "'quoted'", "-- no", *(f"tweet {n}" for n in range(96))]
    write("t.csv", [[str(4 * (n % 2)), text] for n, text in enumerate(texts)])
    values = {"cleaning": "raw", "validation_size": 10, "test_size": 10}
    train = list_train(prepare(**values))
    odd = [text for text in train if text in texts[:4]]
    assert odd
    for columns, dropped in (({"label_quality": 0.1}, {*odd, train[-1]}), ({}, {train[-1]})):
        name = write_list(
            [{"text": f"'{text}", **columns} for text in odd] + [{"text": train[-1]}], f"{len(dropped)}.csv"
        )
        assert list_train(prepare(**values, drop_suspects=name)) == [text for text in train if text not in dropped]


def test_a_list_is_cached_by_its_content_and_its_folder_is_not_published(tmp_path):
    texts = list_train(prepare())[:2]
    first = prepare(drop_suspects=write_list([{"text": texts[0]}]))
    path = write_list([{"text": texts[0]}], str(tmp_path / "renamed.csv"))
    again = prepare(drop_suspects=path)
    other = prepare(drop_suspects=write_list([{"text": texts[1]}]))
    assert (first.cached, again.cached, other.cached) == (False, True, False)
    assert again.folder == first.folder != other.folder
    assert (again.report["suspects"]["name"], str(tmp_path) in str(again.report)) == ("renamed.csv", False)
    assert str(tmp_path) not in (again.folder / "data.json").read_text("utf-8")
    assert make_public(Recipe().with_values({"drop_suspects": path})).data.drop_suspects == "renamed.csv"
    assert list_train(other) != list_train(first)
    assert "suspects" not in prepare().report


def test_a_list_for_a_folder_of_datasets():
    columns = {"text": [f"tweet {n}" for n in range(100)], "label": [n % 2 for n in range(100)]}
    Dataset.from_dict(columns).save_to_disk("d")
    values = {"dataset": "d", "manual_test": None}
    name = write_list([{"text": list_train(prepare(**values))[0]}])
    assert prepare(**values, drop_suspects=name).report["steps"]["suspects_dropped"] == 1
    assert prepare(**values, drop_suspects=name).cached


def test_cleaning_makes_no_difference_to_a_list(write):
    write("t.csv", [[str(4 * (n % 2)), f"@somebody  I &amp; you, {n} http://a.example/{n}"] for n in range(100)])
    texts = {level: list_train(prepare(cleaning=level)) for level in ("raw", "mask", "repair")}
    for cleaning, level in itertools.product(texts, ("raw", "repair")):
        name = write_list([{"text": text} for text in texts[level][:3]])
        assert len(list_train(prepare(cleaning=cleaning, drop_suspects=name))) == len(texts[cleaning]) - 3


def test_listed_tweets_that_are_not_found_are_told(caplog: pytest.LogCaptureFixture) -> None:
    """A spreadsheet may have changed them."""
    train = list_rows(prepare())["train"]
    name = write_list([{"text": text} for text, _ in train[:3]] + [{"text": "changed caf?"}])
    prepare(drop_suspects=name)
    assert f"{name} lists 1 tweets that are not in the training tweets" in caplog.text


WRONG_LISTS = {
    "": "is empty",
    "tweet\ntweet 1 is sad, café\n": "has no column text",
    "text\nunheard of\n": "none of which is in the 160 training tweets",
    "text\n": "lists 0 tweets",
    'text,label\n"tweet 1 is sad, café",odd\n': "line 2 has the label 'odd'",
}


def test_lists_that_cannot_be_used_are_refused():
    def check(name: str, message: str) -> None:
        with pytest.raises(DataError, match=message) as refused:
            prepare(drop_suspects=name)
        assert name in str(refused.value)
        assert refused.value.hint

    check("gone.csv", "There is no file gone.csv")
    for content, message in WRONG_LISTS.items():
        Path("suspects.csv").write_text(content, "utf-8")
        check("suspects.csv", message)
    train = list_rows(prepare())["train"]
    check(write_list([{"text": text, "label": 1 - label} for text, label in train]), "none of which is in")
    check(write_list([{"text": text} for text, label in train if label == 0]), "does not hold both labels")


def test_the_command_prints_the_number_of_dropped_tweets(s140):
    name = write_list([{"text": list_train(prepare())[0]}])
    words = ["--dataset", "t.csv", "--model-name-or-path", "bundled:minilm", "--drop-suspects", name]
    assert "suspects, left out of train" in s140("prepare", *words, "--validation-size", 20, "--test-size", 20).stdout
