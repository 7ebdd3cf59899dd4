"""Preparing a file of exactly known content: the count at every step, the report, and the cache."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from sentiment140_bert.data import clean
from sentiment140_bert.data.cache import Prepared
from sentiment140_bert.data.pipeline import prepare_splits, tokenize_splits
from sentiment140_bert.data.report import summarize_token_lengths
from sentiment140_bert.errors import DataError
from sentiment140_bert.recipe import DataConfig

PLAIN = [(4 * (n % 2), f"plain tweet {n}") for n in range(80)]
REPEATED = [(0, "plain tweet 0"), (4, "PLAIN  tweet 1 "), (0, "@bob it is 7"), (0, "@Alice it is 7")]  # 3 repeats
CONFLICTING = [(0, "torn"), (4, "Torn"), (0, "torn "), (0, "split &amp; halved"), (4, "split & halved")]
EMPTY = [(0, ""), (4, " &nbsp; ")]
NEUTRAL = [(2, "so so"), (2, "hm"), (2, "hm")]
IN_MANUAL = [(0, "the EXAM, @carol"), (4, "the exam, @dave"), (4, "look http://a.example/1"), (4, "NEITHER nor ")]
BAD = ["0,1,2", '"9","1","d","q","u","label nine"']
MANUAL = [(0, "The exam, @zed"), (4, "look www.b.example"), (4, "only here"), (2, "neither nor")]


def quoted(rows: list[tuple[int, str]]) -> list[str]:
    return [f'"{label}","1","Mon Apr 06 22:19:45 PDT 2009","NO_QUERY","u","{text}"' for label, text in rows]


@pytest.fixture
def config(write) -> DataConfig:
    rows = quoted(PLAIN + REPEATED + CONFLICTING + EMPTY + NEUTRAL + IN_MANUAL) + BAD
    write("hand.csv", "\n".join(rows) + "\n")
    write("manual.csv", "\n".join(quoted(MANUAL)) + "\n")
    return DataConfig(
        dataset="hand.csv",
        manual_test="manual.csv",
        max_bad_rows=0.05,
        validation_size=10,
        test_size=10,
        max_samples=70,
    )


def changed(config: DataConfig, **values: object) -> DataConfig:
    return DataConfig(**(vars(config) | values))


def rows_of(prepared: Prepared) -> dict[str, list[tuple[int, str]]]:
    return {name: list(zip(part["label"], part["text"], strict=True)) for name, part in prepared.splits().items()}


STEPS = {
    "rows_read": 100,
    "bad_rows": 2,
    "empty": 2,
    "repaired": 1,
    "masked": 5,
    "neutral": 3,
    "in_manual_test": 4,
    "duplicates": 3,
    "conflicting_texts": 2,
    "conflicting_rows": 5,
    "drawn": 70,
}


@pytest.mark.parametrize(("conflicts", "dropped", "distinct"), [("drop", 5, 81), ("majority", 4, 82), ("keep", 1, 85)])
def test_the_counts_at_every_step(cache, config, conflicts, dropped, distinct):
    report = prepare_splits(changed(config, conflicts=conflicts)).report
    assert report["steps"] == STEPS | {"conflicting_dropped": dropped, "distinct": distinct}


@pytest.mark.parametrize(("level", "repaired", "masked"), [("raw", 0, 0), ("mask", 0, 5), ("repair", 1, 5)])
def test_the_level_of_cleaning_changes_texts_but_not_what_counts_as_equal(cache, config, level, repaired, masked):
    steps = prepare_splits(changed(config, cleaning=level)).report["steps"]
    expected = STEPS | {"conflicting_dropped": 5, "distinct": 81, "repaired": repaired, "masked": masked}
    assert steps == {name: count for name, count in expected.items() if name in steps}


def test_the_splits(cache, config):
    prepared = prepare_splits(config)
    rows = rows_of(prepared)
    assert {name: len(part) for name, part in rows.items()} == {
        "train": 50,
        "validation": 10,
        "test": 10,
        "manual": 3,
        "manual_neutral": 1,
        "neutral": 3,
    }
    assert rows["manual"] == [(0, "The exam, @user"), (1, "look http"), (1, "only here")]
    assert rows["manual_neutral"] == [(2, "neither nor")]
    texts = Counter(text for part in rows.values() for _, text in part)
    assert [text for text, count in texts.items() if count > 1] == ["hm"]  # neutral rows are kept as they are
    assert not {"torn", "split & halved", "the exam, @user", "NEITHER nor"} & set(texts)
    assert prepared.splits()["train"].features["label"].names == ["negative", "positive"]
    assert prepared.splits()["neutral"].features["label"].names == ["negative", "positive", "neutral"]


def test_without_the_manual_test_its_texts_may_be_trained_on(cache, config):
    report = prepare_splits(changed(config, manual_test="none")).report
    assert "in_manual_test" not in report["steps"]
    assert report["steps"]["conflicting_texts"] == 3
    assert "manual" not in report["splits"]


def test_bad_rows_stand_beside_the_splits_with_their_number_and_reason(cache, config):
    lines = (prepare_splits(config).folder / "bad_rows.jsonl").read_text("utf-8").splitlines()
    first, second = map(json.loads, lines)
    assert (first["number"], first["reason"]) == (99, "3 columns instead of 6")
    assert second["number"] == 100
    assert "unknown label '9'" in second["reason"]


def test_the_report(cache, config):
    report = prepare_splits(config).report
    training, manual = report["sources"]["training"], report["sources"]["manual"]
    assert (training["name"], training["rows"], training["bad_rows"]) == ("hand.csv", 100, 2)
    assert (manual["name"], manual["rows"], manual["bad_rows"]) == ("manual.csv", 4, 0)
    assert (training["labels"], len(training["sha256"])) == ("0/2/4 (Sentiment140)", 64)
    train = report["splits"]["train"]
    assert train["rows"] == train["negative"] + train["positive"] == 50
    assert (report["seed"], report["settings"]["max_samples"]) == (42, 70)
    assert {"datasets", "tokenizers", "sentiment140-bert"} <= report["versions"].keys()
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_the_report_names_files_splits_and_all_of_them_by_hashes(cache, config, tmp_path):
    prepared = prepare_splits(config)
    report, rows = prepared.report, rows_of(prepared)
    for role, name in (("training", "hand.csv"), ("manual", "manual.csv")):
        assert report["sources"][role]["sha256"] == hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
    hashes = {name: sha256("".join(f"{label}\t{text}\n" for label, text in part)) for name, part in rows.items()}
    assert {name: split["sha256"] for name, split in report["splits"].items()} == hashes
    assert report["fingerprint"] == sha256("".join(f"{name} {hashes[name]}\n" for name in sorted(hashes)))
    names = ["negative", "positive", "neutral"]
    for name, part in rows.items():
        counts = Counter(names[label] for label, _ in part)
        assert report["splits"][name] == {"rows": len(part), **counts, "sha256": hashes[name]}


def test_the_report_holds_no_absolute_path(cache, config, tmp_path):
    paths = {name: str(tmp_path / getattr(config, name)) for name in ("dataset", "manual_test")}
    prepared = prepare_splits(changed(config, **paths))
    for report in (json.dumps(prepared.report), (prepared.folder / "data.json").read_text("utf-8")):
        assert "hand.csv" in report
        assert str(tmp_path) not in report


def test_the_splits_of_a_seed_are_the_same_on_every_machine_and_day(cache, config):
    """Where a change of the rules changes them, raise FORMAT and write the new fingerprints here."""
    found = {seed: prepare_splits(changed(config, split_seed=seed)).report["fingerprint"][:16] for seed in (1, 2)}
    assert found == {1: "a5b2bf1909b098c6", 2: "7f76978347dcbb7d"}


def test_lengths_are_described_by_numbers_of_tokens_that_occur():
    """Each quantile is the smallest length that so many texts do not exceed, by a list sorted by hand."""
    random = np.random.default_rng(0)
    for count in (1, 2, 7, 10, 99, 101, 200):
        lengths = random.integers(3, 60, count)
        ordered = sorted(lengths.tolist())
        at = {"min": 0, "p50": (count - 1) / 2, "p90": (count - 1) * 9 / 10, "p99": (count - 1) * 99 / 100}
        quantiles = {name: ordered[math.ceil(place)] for name, place in at.items()} | {"max": ordered[-1]}
        sums = {"mean": round(sum(ordered) / count, 2), "total": sum(ordered), "truncated": 5}
        assert summarize_token_lengths(lengths, 5) == quantiles | sums, count


def test_the_second_time_nothing_is_done(cache, config):
    first, second = prepare_splits(config), prepare_splits(config)
    assert (first.cached, second.cached) == (False, True)
    assert (first.folder, first.report) == (second.folder, second.report)


@pytest.mark.parametrize("name", ["hand.csv", "manual.csv"])
def test_a_changed_file_is_noticed(cache, config, tmp_path, name):
    before = prepare_splits(config)
    with (tmp_path / name).open("a") as file:
        file.write(quoted([(4, "a new one")])[0] + "\n")
    after = prepare_splits(config)
    assert not after.cached
    role = "training" if name == "hand.csv" else "manual"
    assert after.report["sources"][role]["rows"] == before.report["sources"][role]["rows"] + 1


OTHERS = {
    **{"split_seed": 1, "cleaning": "raw", "test_size": 12, "validation_size": 0.2, "max_samples": 60},
    **{"split_by": "time", "manual_test": "none", "label_map": "0=positive,2=neutral,4=negative"},
}
AS_BEFORE = {"max_bad_rows": 0.5, "conflicts": "majority", "encoding": "utf-8", "delimiter": ","}  # for these tweets


def test_other_settings_are_other_data(cache, config):
    before = prepare_splits(config)
    same = []
    for name, value in (OTHERS | AS_BEFORE).items():
        after = prepare_splits(changed(config, **{name: value}))
        other = after.report["fingerprint"] != before.report["fingerprint"]
        if after.cached or (name in OTHERS and not other):
            same.append(name)
    assert not same
    assert prepare_splits(changed(config, max_length=3)).cached


def test_the_same_bytes_under_another_ending_are_not_the_same_data(cache, write):
    rows = [[str(n % 2), f"tweet {n}"] for n in range(100)]
    prepare_splits(DataConfig(dataset=str(write("t.tsv", rows, delimiter="\t"))))
    with pytest.raises(DataError, match="single column"):
        prepare_splits(DataConfig(dataset=str(write("t.jsonl.csv", rows, delimiter="\t")), delimiter=","))


def test_a_report_from_the_cache_tells_the_settings_of_this_call(cache, config, tmp_path):
    prepare_splits(config)
    (tmp_path / "renamed.csv").write_bytes((tmp_path / "hand.csv").read_bytes())
    report = prepare_splits(changed(config, dataset="renamed.csv", max_length=64)).report
    assert report["sources"]["training"]["name"] == "renamed.csv"
    assert report["settings"]["max_length"] == 64


@pytest.fixture(scope="module")
def tokenizer():
    from sentiment140_bert.models import load_tokenizer

    return load_tokenizer("bundled:minilm", None, clean.make_normalizer("repair"))


def test_tokens_are_kept_and_made_once(cache, config, tokenizer):
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


def test_what_is_cut_is_counted_and_another_length_is_other_tokens(cache, config, tokenizer):
    prepared = prepare_splits(config)
    long = tokenize_splits(prepared, tokenizer, 128)
    short = tokenize_splits(prepare_splits(changed(config, max_length=4)), tokenizer, 4)
    assert not short.cached
    assert (long.report["splits"]["train"]["token_length"]["truncated"], len(long.splits()["train"])) == (0, 50)
    lengths = short.report["splits"]["train"]["token_length"]
    assert (lengths["max"], lengths["total"], lengths["truncated"]) == (4, 200, 50)
    assert short.report["settings"]["max_length"] == 4


def test_a_folder_of_datasets_is_noticed_by_its_rows(cache, tmp_path: Path):
    from datasets import Dataset

    def saved(extra: str) -> DataConfig:
        rows = [f"tweet {n}" for n in range(100)] + [extra]
        folder = tmp_path / extra
        Dataset.from_dict({"text": rows, "label": [n % 2 for n in range(101)]}).save_to_disk(str(folder))
        return DataConfig(dataset=folder.name)

    one, other = saved("one"), saved("other")
    assert [prepare_splits(each).cached for each in (one, one, other)] == [False, True, False]


def test_only_the_tweets_of_the_sample_are_tokenized(cache, config, tokenizer):
    """Not the rest of what was read: the tokens that are kept are all that were made."""
    prepared = prepare_splits(config)
    splits = tokenize_splits(prepared, tokenizer, 128).splits()
    assert prepared.report["settings"]["max_samples"] == 70
    assert sum(len(splits[name]) for name in ("train", "validation", "test")) == 70
