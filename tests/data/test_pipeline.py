"""Prepare a file of exactly known content: the count at every step, the report, and the cache."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from datasets import Dataset

from sentiment140_bert.data import clean
from sentiment140_bert.data.cache import Prepared
from sentiment140_bert.data.data_json import hash_rows, summarize_token_lengths
from sentiment140_bert.data.pipeline import prepare_splits, tokenize_splits
from sentiment140_bert.errors import DataError
from sentiment140_bert.models import load_tokenizer
from sentiment140_bert.recipe import DataConfig

PLAIN = [(4 * (n % 2), f"plain tweet {n}") for n in range(80)]
REPEATED = [(0, "plain tweet 0"), (4, "PLAIN  tweet 1 "), (0, "@bob it is 7"), (0, "@Alice it is 7")]  # 3 repeats
CONFLICTING = [(0, "torn"), (4, "Torn"), (0, "torn "), (0, "split &amp; halved"), (4, "split & halved")]
EMPTY = [(0, ""), (4, " &nbsp; ")]
NEUTRAL = [(2, "so so"), (2, "hm"), (2, "hm")]
IN_MANUAL = [(0, "the EXAM, @carol"), (4, "the exam, @dave"), (4, "look http://a.example/1"), (4, "NEITHER nor ")]
BAD = ["0,1,2", '"9","1","d","q","u","label nine"']
MANUAL = [(0, "The exam, @zed"), (4, "look www.b.example"), (4, "only here"), (2, "neither nor")]
STEPS = {
    **{"rows_read": 100, "bad_rows": 2, "empty": 2, "repaired": 1, "masked": 5, "neutral": 3, "in_manual_test": 4},
    **{"duplicates": 3, "conflicting_texts": 2, "conflicting_rows": 5, "drawn": 70},
}


def make_lines(rows: list[tuple[int, str]]) -> list[str]:
    return [f'"{label}","1","Mon Apr 06 22:19:45 PDT 2009","NO_QUERY","u","{text}"' for label, text in rows]


@pytest.fixture
def config(cache, write) -> DataConfig:
    rows = make_lines(PLAIN + REPEATED + CONFLICTING + EMPTY + NEUTRAL + IN_MANUAL) + BAD
    write("hand.csv", "\n".join(rows) + "\n")
    write("manual.csv", "\n".join(make_lines(MANUAL)) + "\n")
    sizes = {"validation_size": 10, "test_size": 10, "max_samples": 70}
    return DataConfig(dataset="hand.csv", manual_test="manual.csv", max_bad_rows=0.05, **sizes)


def change(config: DataConfig, **values: object) -> DataConfig:
    return config.model_copy(update=values)


def list_rows(prepared: Prepared) -> dict[str, list[tuple[int, str]]]:
    return {name: list(zip(part["label"], part["text"], strict=True)) for name, part in prepared.splits().items()}


@pytest.mark.parametrize(("conflicts", "dropped", "distinct"), [("drop", 5, 81), ("majority", 4, 82), ("keep", 1, 85)])
def test_the_counts_at_every_step(config, conflicts, dropped, distinct):
    report = prepare_splits(change(config, conflicts=conflicts)).report
    assert report["steps"] == STEPS | {"conflicting_dropped": dropped, "distinct": distinct}


@pytest.mark.parametrize(("level", "repaired", "masked"), [("raw", 0, 0), ("mask", 0, 5), ("repair", 1, 5)])
def test_the_level_of_cleaning_changes_texts_but_not_their_equality(config, level, repaired, masked):
    steps = prepare_splits(change(config, cleaning=level)).report["steps"]
    expected = STEPS | {"conflicting_dropped": 5, "distinct": 81, "repaired": repaired, "masked": masked}
    assert steps == {name: count for name, count in expected.items() if name in steps}


def test_the_splits(config):
    prepared = prepare_splits(config)
    rows = list_rows(prepared)
    sizes = {"train": 50, "validation": 10, "test": 10, "manual": 3, "manual_neutral": 1, "neutral": 3}
    assert {name: len(part) for name, part in rows.items()} == sizes
    assert rows["manual"] == [(0, "The exam, @user"), (1, "look http"), (1, "only here")]
    assert rows["manual_neutral"] == [(2, "neither nor")]
    texts = Counter(text for part in rows.values() for _, text in part)
    assert [text for text, count in texts.items() if count > 1] == ["hm"]  # neutral rows are not deduplicated
    assert not {"torn", "split & halved", "the exam, @user", "NEITHER nor"} & set(texts)
    assert prepared.splits()["train"].features["label"].names == ["negative", "positive"]
    assert prepared.splits()["neutral"].features["label"].names == ["negative", "positive", "neutral"]


def test_without_the_manual_test_its_texts_may_be_trained_on(config):
    report = prepare_splits(change(config, manual_test="none")).report
    assert "in_manual_test" not in report["steps"]
    assert report["steps"]["conflicting_texts"] == 3
    assert "manual" not in report["splits"]


def hash_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_the_report_and_the_bad_rows(config, tmp_path):
    prepared = prepare_splits(config)
    report, rows = prepared.report, list_rows(prepared)
    sources = {role: (source["name"], source["rows"], source["bad_rows"]) for role, source in report["sources"].items()}
    assert sources == {"training": ("hand.csv", 100, 2), "manual": ("manual.csv", 4, 0)}
    for source in report["sources"].values():
        assert source["labels"] == "0/2/4 (Sentiment140)"
        assert source["sha256"] == hashlib.sha256((tmp_path / source["name"]).read_bytes()).hexdigest()
    assert (report["seed"], report["settings"]["max_samples"]) == (42, 70)
    assert {"datasets", "tokenizers", "sentiment140-bert"} <= report["versions"].keys()
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    hashes = {name: hash_text("".join(f"{label}\t{text}\n" for label, text in part)) for name, part in rows.items()}
    assert report["fingerprint"] == hash_text("".join(f"{name} {hashes[name]}\n" for name in sorted(hashes)))
    for name, part in rows.items():
        counts = Counter(["negative", "positive", "neutral"][label] for label, _ in part)
        assert report["splits"][name] == {"rows": len(part), **counts, "sha256": hashes[name]}
    first, second = map(json.loads, (prepared.folder / "bad_rows.jsonl").read_text("utf-8").splitlines())
    assert (first["number"], first["reason"], second["number"]) == (99, "3 columns instead of 6", 100)
    assert "unknown label '9'" in second["reason"]


def test_the_report_holds_no_absolute_path(config, tmp_path):
    paths = {name: str(tmp_path / getattr(config, name)) for name in ("dataset", "manual_test")}
    prepared = prepare_splits(change(config, **paths))
    for report in (json.dumps(prepared.report), (prepared.folder / "data.json").read_text("utf-8")):
        assert "hand.csv" in report
        assert str(tmp_path) not in report


def test_the_splits_of_a_seed_are_the_same_on_every_machine_and_day(config):
    """If a change of the rules changes them, raise FORMAT and write the new fingerprints here."""
    fingerprints = {seed: prepare_splits(change(config, split_seed=seed)).report["fingerprint"][:16] for seed in (1, 2)}
    assert fingerprints == {1: "a5b2bf1909b098c6", 2: "7f76978347dcbb7d"}


# ---- the cache


def test_the_second_time_nothing_is_done_until_a_file_changes(config, tmp_path):
    first, second = prepare_splits(config), prepare_splits(config)
    assert (first.cached, second.cached) == (False, True)
    assert (first.folder, first.report) == (second.folder, second.report)
    (tmp_path / "renamed.csv").write_bytes((tmp_path / "hand.csv").read_bytes())
    renamed = prepare_splits(change(config, dataset="renamed.csv", max_length=64))
    assert (renamed.cached, renamed.report["sources"]["training"]["name"]) == (True, "renamed.csv")
    assert renamed.report["settings"]["max_length"] == 64
    for name, role in (("hand.csv", "training"), ("manual.csv", "manual")):
        before = prepare_splits(config).report
        with (tmp_path / name).open("a") as file:
            file.write(make_lines([(4, "a new one")])[0] + "\n")
        after = prepare_splits(config)
        assert not after.cached
        assert after.report["sources"][role]["rows"] == before["sources"][role]["rows"] + 1


OTHER_ROWS = {
    **{"split_seed": 1, "cleaning": "raw", "test_size": 12, "validation_size": 0.2, "max_samples": 60},
    **{"split_by": "time", "manual_test": "none", "label_map": "0=positive,2=neutral,4=negative"},
}
SAME_ROWS = {"max_bad_rows": 0.5, "conflicts": "majority", "encoding": "utf-8", "delimiter": ","}  # for these tweets


def test_other_settings_are_other_data(config):
    before = prepare_splits(config)
    same = []
    for name, value in (OTHER_ROWS | SAME_ROWS).items():
        after = prepare_splits(change(config, **{name: value}))
        differs = after.report["fingerprint"] != before.report["fingerprint"]
        if after.cached or (name in OTHER_ROWS and not differs):
            same.append(name)
    assert not same
    assert prepare_splits(change(config, max_length=3)).cached


def test_the_same_bytes_with_another_ending_are_other_data(cache, write):
    rows = [[str(n % 2), f"tweet {n}"] for n in range(100)]
    prepare_splits(DataConfig(dataset=str(write("t.tsv", rows, delimiter="\t"))))
    with pytest.raises(DataError, match="single column"):
        prepare_splits(DataConfig(dataset=str(write("t.jsonl.csv", rows, delimiter="\t")), delimiter=","))


def test_a_folder_of_datasets_is_cached_by_its_rows(cache, tmp_path: Path):
    def save(last: str) -> DataConfig:
        texts = [f"tweet {n}" for n in range(100)] + [last]
        Dataset.from_dict({"text": texts, "label": [n % 2 for n in range(101)]}).save_to_disk(str(tmp_path / last))
        return DataConfig(dataset=last)

    one, other = save("one"), save("other")
    assert [prepare_splits(config).cached for config in (one, one, other)] == [False, True, False]


# ---- tokens


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer("bundled:minilm", None, clean.make_normalizer("repair"))


def test_tokens_are_made_once_for_each_length(config, tokenizer):
    prepared = prepare_splits(config)
    first, second = (tokenize_splits(prepared, tokenizer, 128) for _ in range(2))
    assert (first.cached, second.cached) == (False, True)
    assert first.report == second.report
    assert first.report["fingerprint"] == prepared.report["fingerprint"]
    for name, part in first.splits().items():
        assert part["labels"] == prepared.splits()[name]["label"]
        assert part["input_ids"][:] == tokenizer(prepared.splits()[name]["text"][:])["input_ids"]
        lengths = np.array([len(ids) for ids in part["input_ids"][:]])
        assert first.report["splits"][name]["token_length"] == summarize_token_lengths(lengths, 0)
    assert first.splits()["manual"]["input_ids"][0] == tokenizer("THE exam, @somebody_else")["input_ids"]
    short = tokenize_splits(prepare_splits(change(config, max_length=4)), tokenizer, 4)
    assert (short.cached, short.report["settings"]["max_length"]) == (False, 4)
    lengths = short.report["splits"]["train"]["token_length"]
    assert (lengths["max"], lengths["total"], lengths["truncated"]) == (4, 200, 50)


def test_quantiles_are_numbers_of_tokens_that_occur():
    """Each is the smallest length that so many texts do not exceed, by a sorted list."""
    random = np.random.default_rng(0)
    for count in (1, 2, 7, 10, 99, 101, 200):
        lengths = random.integers(3, 60, count)
        ordered = sorted(lengths.tolist())
        at = {"min": 0, "p50": (count - 1) / 2, "p90": (count - 1) * 9 / 10, "p99": (count - 1) * 99 / 100}
        quantiles = {name: ordered[math.ceil(place)] for name, place in at.items()} | {"max": ordered[-1]}
        sums = {"mean": round(sum(ordered) / count, 2), "total": sum(ordered), "truncated": 5}
        assert summarize_token_lengths(lengths, 5) == quantiles | sums, count


def test_no_other_rows_have_the_same_fingerprint() -> None:
    """Neither rows that are the lines of another one's text, nor a text that looks like several lines' hash."""
    tables = [
        {"label": [1, 0], "text": ["glad", "sad"]},
        {"label": [1], "text": ["glad\n0\tsad"]},
        {"label": [1, 0], "text": ["11\tglad\n0\tsad", "x"]},
        {"label": [1], "text": ["glad\n0\tsad\n0\tx"]},
        {"label": [1, 0], "text": ["glad", "sad\n"]},
    ]
    assert len({hash_rows(pa.table(table)) for table in tables}) == len(tables)
