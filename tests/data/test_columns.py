"""What splits know of a tweet beside text and label: a hash of its user, its time, its topic; null where unknown."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import six_columns
from sentiment140_bert.data.cache import Prepared
from sentiment140_bert.data.origin import add_origin
from sentiment140_bert.data.pipeline import load_unsplit, prepare_splits
from sentiment140_bert.recipe import DataConfig

COLUMNS = {"text": pa.string(), "row": pa.int32(), "user": pa.uint64(), "time": pa.int64(), "topic": pa.string()}
SIZES = {"validation_size": 10, "test_size": 10}
MANUAL = [
    ["4", "1", "Mon May 11 03:17:40 UTC 2009", "kindle2", "some_user_of_ours_1", "by hand one"],
    ["0", "2", "Mon May 11 03:18:03 UTC 2009", " NO_QUERY ", "SOME_user_of_ours_2", "by hand two"],
    ["2", "3", "not known", "", "", "by hand three"],
]


def rows_of(prepared: Prepared) -> dict[str, dict[str, dict[str, Any]]]:
    """Every row of every split, by its text."""
    splits = {name: split.with_format("arrow")[:].to_pylist() for name, split in prepared.splits().items()}
    return {name: {row["text"]: row for row in rows} for name, rows in splits.items()}


@pytest.fixture
def prepared(cache: Path, write) -> Prepared:
    write("t.csv", 120)
    write("manual.csv", MANUAL)
    return prepare_splits(DataConfig(dataset="t.csv", manual_test="manual.csv", **SIZES))


def test_the_columns_and_their_types(prepared):
    for split in prepared.splits().values():
        found = {field.name: field.type for field in split.data.schema}
        assert found.pop("label") == pa.int64()
        assert found == COLUMNS


def test_users_times_and_topics(prepared):
    rows = rows_of(prepared)
    everything = {text: row for split in rows.values() for text, row in split.items()}
    assert everything["tweet 3 is sad, café"]["user"] == everything["tweet 5 is sad, café"]["user"]
    assert everything["tweet 3 is sad, café"]["user"] != everything["tweet 6 is sad, café"]["user"]
    assert len({row["user"] for row in everything.values() if row["user"] is not None}) == 40
    assert everything["tweet 65 is glad, café"]["time"] == 1239001200 + 65  # 00:01:05 in California
    assert {row["topic"] for row in rows["train"].values()} == {None}
    one, two = rows["manual"]["by hand one"], rows["manual"]["by hand two"]
    assert (one["topic"], one["time"], two["topic"]) == ("kindle2", 1242011860, None)
    assert one["user"] == everything["tweet 3 is sad, café"]["user"]
    assert two["user"] == everything["tweet 6 is sad, café"]["user"]  # names have no case
    three = rows["manual_neutral"]["by hand three"]
    assert (three["user"], three["time"], three["topic"]) == (None, None, None)


def test_what_is_kept_of_users_dates_and_topics():
    """The numbers of users were published: other ones would find nobody again."""
    columns = {
        "text": ["a"] * 6,
        "user": ["Somebody", " somebody ", "other", "", "  ", None],
        "date": ["2009-04-06T22:19:45Z", "Mon Apr 06 22:19:45 UTC 2009", "1970-01-01", "some day", "", None],
        "topic": ["a phone", "@somebody's phone", "http://x.example", "", "&amp;", None],
    }
    table = add_origin(pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()}))
    assert table.column_names == ["text", "user", "time", "topic"]

    def number(user: str) -> int:
        return int.from_bytes(hashlib.blake2b(user.encode(), digest_size=8, key=b"140").digest(), "big")

    somebody, other = number("somebody"), number("other")
    assert table["user"].to_pylist() == [somebody, somebody, other, None, None, None]
    assert table["time"].to_pylist() == [1239056385, 1239056385, 0, None, None, None]
    assert table["topic"].to_pylist() == ["a phone", "@user's phone", "http", "", "&amp;", None]
    nothing = add_origin(pa.table({"text": ["a"]}))
    assert nothing.to_pylist() == [{"text": "a", "user": None, "time": None, "topic": None}]
    assert [nothing.schema.field(name).type for name in ("user", "time", "topic")] == [
        pa.uint64(),
        pa.int64(),
        pa.string(),
    ]


def test_no_name_of_a_user_is_kept_or_told(prepared, cache):
    written = [file for file in cache.rglob("*") if file.is_file()]
    assert len(written) > 5
    for file in written:
        assert b"user_of_ours" not in file.read_bytes().lower()
    assert "user_of_ours" not in json.dumps(prepared.report)


def test_what_leaks_is_in_the_report(prepared):
    leakage = prepared.report["leakage"]
    rows = rows_of(prepared)
    users = {row["user"] for row in rows["train"].values()}
    last = max(row["time"] for row in rows["train"].values())
    assert set(leakage) == {"validation", "test", "manual"}
    for name in ("validation", "test"):
        assert leakage[name]["exact"] == 0
        assert leakage[name]["same_user"] == sum(row["user"] in users for row in rows[name].values()) > 0
        assert leakage[name]["overlapping_in_time"] == sum(row["time"] <= last for row in rows[name].values()) > 0
    assert leakage["manual"] == {"exact": 0, "near": 0, "same_user": 2, "overlapping_in_time": 0}
    assert json.loads((prepared.folder / "data.json").read_text("utf-8"))["leakage"] == leakage


def test_by_time_nothing_overlaps_and_by_user_nobody_does(cache, write):
    rows = six_columns(120)
    for number, row in enumerate(rows):
        row[0] = str(4 * (number % 2))
    write("t.csv", rows)
    by_time, by_user = (
        prepare_splits(DataConfig(dataset="t.csv", split_by=split_by, **SIZES)).report["leakage"]["test"]
        for split_by in ("time", "user")
    )
    assert (by_time["overlapping_in_time"], by_user["same_user"]) == (0, 0)


def test_where_nothing_is_known(cache, write):
    write("t.csv", [[str(4 * (n % 2)), f"tweet {n}"] for n in range(100)])
    prepared = prepare_splits(DataConfig(dataset="t.csv", **SIZES))
    for name in ("user", "time", "topic"):
        assert {row[name] for split in rows_of(prepared).values() for row in split.values()} == {None}
    expected = {"exact": 0, "near": 0, "same_user": None, "overlapping_in_time": None}
    assert prepared.report["leakage"] == {"validation": expected, "test": expected}


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.parquet", "folder"])
def test_named_columns_of_every_kind_of_file(cache, write, name):
    columns = {
        "Text": ["a", "b", "c"],
        "label": ["negative", "positive", "neutral"],
        "user": ["one", "two", None],
        "created_at": ["2009-04-06T22:19:45Z", "some day", None],
        "Query": ["a phone", "NO_QUERY", None],
    }
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    if name == "t.csv":
        write(name, [list(columns), *([value or "" for value in row.values()] for row in rows)])
    elif name == "t.jsonl":
        write(name, "".join(json.dumps(row) + "\n" for row in rows))
    elif name == "t.parquet":
        pq.write_table(pa.table(columns), name)
    else:
        from datasets import Dataset

        Dataset.from_dict(columns).save_to_disk(name)
    found = load_unsplit(DataConfig(dataset=name))["test"]
    assert found.column_names == ["text", "label", "user", "time", "topic"]
    assert found["topic"].to_pylist() == ["a phone", None, None]
    assert found["time"].to_pylist() == [1239056385, None, None]
    assert [value is None for value in found["user"].to_pylist()] == [False, False, True]


def test_all_tweets_of_a_dataset_have_the_same_columns(write):
    write("t.csv", 30)
    write("manual.csv", MANUAL)
    for table in load_unsplit(DataConfig(dataset="t.csv", manual_test="manual.csv", max_samples=20)).values():
        assert table.schema.field("user").type == pa.uint64()
        assert table.schema.field("time").type == pa.int64()
        assert table.column_names == ["text", "label", "user", "time", "topic"]


@pytest.mark.realdata
def test_the_real_manual_tweets_have_their_topics(real_data):
    manual = load_unsplit(DataConfig(dataset=str(real_data / "testdata.manual.2009.06.14.csv")))["test"]
    assert (len(manual), manual["time"].null_count, manual["user"].null_count) == (498, 0, 0)
    assert manual["topic"].null_count == 0
    assert len(manual["topic"].unique()) > 50
