"""Parse users, times and topics: splits store a hash, seconds and a masked text; null if unknown."""

from __future__ import annotations

import calendar
import hashlib
import json
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_tz
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset
from hypothesis import example, given
from hypothesis import strategies as st

from sentiment140_bert.data.cache import Prepared, find_cached
from sentiment140_bert.data.origin import add_origin, parse_dates
from sentiment140_bert.data.pipeline import load_unsplit, prepare_splits, tokenize_splits
from sentiment140_bert.data.tokenize import hash_tokenizer
from sentiment140_bert.models import load_tokenizer
from sentiment140_bert.recipe import DataConfig

# ---- dates

EVENING = datetime(2009, 4, 6, 22, 19, 45, tzinfo=UTC)
FIRST_SECOND = 1238976000  # of 2009-04-06
HOURS_AHEAD = {
    "Mon Apr 06 22:19:45 PDT 2009": -7,
    "Mon Apr 06 22:19:45 UTC 2009": 0,
    "Mon Apr 06 22:19:45 2009": 0,
    "mon apr  6 22:19:45 est 2009": -5,
    "Mon Apr 06 22:19:45 +0200 2009": 2,  # Twitter's API, and the Sanders corpus
    "Mon Apr 06 22:19:45 CEST 2009": 0,  # not in RFC 5322
    "2009-04-06 22:19:45": 0,
    "2009-04-06T22:19:45Z": 0,
    "2009-04-06 22:19:45 -0800": -8,  # the airline tweets
    "2009-04-06T22:19:45.123456+05:30": 5.5,
    " 20090406T221945+02 ": 2,
}
NO_DATES = [
    *("", "yesterday", "1238976000", "2009-02-29", "2009-13-01", "2009-00-10", "0000-01-01", "2009-04-31 00:00:00"),
    *("2009-04-06 24:00:00", "2009-04-06 10:60:00", "Mon Apr 31 10:00:00 PDT 2009", "Mon Foo 01 10:00:00 PDT 2009"),
    *("Mon Apr 06 22:19:45 PDT 2009 and more", "2009-0406"),
]


def parse(*dates: str | None) -> list[int | None]:
    return parse_dates(pa.chunked_array([pa.array(dates, pa.string())])).to_pylist()


def test_dates_of_every_format_and_texts_that_are_none():
    for date, ahead in HOURS_AHEAD.items():
        assert parse(date) == [int((EVENING - timedelta(hours=ahead)).timestamp())], date
    assert parse("2009-04-06", "20090406", "1970-01-01") == [FIRST_SECOND, FIRST_SECOND, 0]
    for text in NO_DATES:
        assert parse(text, None, "2009-04-06") == [None, None, FIRST_SECOND], text
    assert (parse(), parse(None, None)) == ([], [None, None])


def test_both_formats_in_one_column_of_several_chunks():
    column = pa.chunked_array([["Mon Apr 06 22:19:45 UTC 2009", "2009-04-06"], pa.array([None], pa.string()), ["x"]])
    assert parse_dates(column).to_pylist() == [int(EVENING.timestamp()), FIRST_SECOND, None, None]


def test_every_zone_is_that_of_rfc_5322():
    """Python's own parser of mail dates is the reference, for names that nobody defined, too."""
    names = ["EDT", "EST", "CDT", "CST", "MDT", "MST", "PDT", "PST", "UTC", "GMT", "Z", "CET", "JST", "XYZ"]
    ahead = {name: parsedate_tz(f"Mon, 06 Apr 2009 22:19:45 {name}")[9] or 0 for name in names}
    assert len(set(ahead.values())) == 6
    for name in names:
        twitter = [f"Mon Apr 06 22:19:45 {zone} 2009" for zone in (name, name.lower())]
        assert parse(*twitter, f"2009-04-06 22:19:45 {name}") == [int(EVENING.timestamp()) - ahead[name]] * 3, name


SIXTIES = st.sampled_from([0, 1, 30, 58, 59, 60, 61, 99])


@given(
    **{"year": st.integers(1, 2400), "month": st.integers(0, 14), "day": st.integers(0, 33)},
    **{"hour": st.integers(0, 26), "minute": SIXTIES, "second": SIXTIES},
)
@example(year=2008, month=2, day=29, hour=0, minute=0, second=0)
@example(year=1900, month=2, day=29, hour=0, minute=0, second=0)
@example(year=2016, month=12, day=31, hour=23, minute=59, second=60)
@example(year=2009, month=4, day=6, hour=24, minute=0, second=0)
def test_a_date_exists_if_python_takes_it(year, month, day, hour, minute, second):
    try:
        expected = (datetime(year, month, day, hour, minute, second) - datetime(1970, 1, 1)) // timedelta(seconds=1)
    except ValueError:
        expected = None
    time = f"{hour:02}:{minute:02}:{second:02}"
    dates = [f"{year:04}-{month:02}-{day:02} {time}", f"{year:04}{month:02}{day:02}T{time.replace(':', '')}Z"]
    if 1 <= month <= 12:
        dates.append(f"Mon {calendar.month_abbr[month]} {day:02} {time} +0000 {year:04}")
    assert parse(*dates) == [expected] * len(dates)


# ---- the columns of splits

TYPES = {"text": pa.string(), "row": pa.int32(), "user": pa.uint64(), "time": pa.int64(), "topic": pa.string()}
ORIGIN = ("user", "time", "topic")
SIZES = {"validation_size": 10, "test_size": 10}
MANUAL = [
    ["4", "1", "Mon May 11 03:17:40 UTC 2009", "kindle2", "some_user_of_ours_1", "by hand one"],
    ["0", "2", "Mon May 11 03:18:03 UTC 2009", " NO_QUERY ", "SOME_user_of_ours_2", "by hand two"],
    ["2", "3", "not known", "", "", "by hand three"],
]


def index_rows(prepared: Prepared) -> dict[str, dict[str, dict[str, Any]]]:
    return {name: {row["text"]: row for row in table.to_pylist()} for name, table in prepared.tables().items()}


@pytest.fixture
def prepared(cache: Path, write) -> Prepared:
    write("t.csv", 120)
    write("manual.csv", MANUAL)
    return prepare_splits(DataConfig(dataset="t.csv", manual_test="manual.csv", **SIZES))


def test_users_times_and_topics(prepared):
    for split in prepared.splits().values():
        assert {field.name: field.type for field in split.data.schema} == TYPES | {"label": pa.int64()}
    rows = index_rows(prepared)
    row = {text: row for split in rows.values() for text, row in split.items()}
    assert row["tweet 3 is sad, café"]["user"] == row["tweet 5 is sad, café"]["user"]
    assert row["tweet 3 is sad, café"]["user"] != row["tweet 6 is sad, café"]["user"]
    assert len({origin["user"] for origin in row.values() if origin["user"] is not None}) == 40
    assert row["tweet 65 is glad, café"]["time"] == 1239001200 + 65  # 00:01:05 in California
    assert {origin["topic"] for origin in rows["train"].values()} == {None}
    one, two, three = row["by hand one"], row["by hand two"], rows["manual_neutral"]["by hand three"]
    assert (one["topic"], one["time"], two["topic"]) == ("kindle2", 1242011860, None)
    assert one["user"] == row["tweet 3 is sad, café"]["user"]
    assert two["user"] == row["tweet 6 is sad, café"]["user"]  # the case of a name does not count
    assert [three[name] for name in ORIGIN] == [None] * 3


def test_topics_are_those_of_hand_labeled_tweets_alone(cache: Path) -> None:
    """The queries of an own file may be private, and slices are published."""
    rows = "".join(f"{4 * (at % 2)},tweet {at} of mine,a patient of mine\n" for at in range(60))
    Path("mine.csv").write_text(f"label,text,query\n{rows}")
    Path("hand.csv").write_text("label,text,query\n0,how sad,a phone\n4,how glad,a phone\n")
    splits = index_rows(prepare_splits(DataConfig(dataset="mine.csv", manual_test="hand.csv", **SIZES)))
    topics = {name: {row["topic"] for row in rows.values()} for name, rows in splits.items()}
    assert topics == {"train": {None}, "validation": {None}, "test": {None}, "manual": {"a phone"}}


@pytest.mark.parametrize("kind", ["mine", "mine.csv"])
def test_topics_that_were_removed_are_gone(kind: str, cache: Path) -> None:
    """Nothing else of the tweets changes; a folder of datasets is known by its rows, a file by its bytes."""
    tweets = {"text": [f"tweet {at} of mine" for at in range(60)], "label": [at % 2 for at in range(60)]}
    Dataset.from_dict(tweets).save_to_disk("mine")
    Dataset.from_dict(tweets).to_csv("mine.csv")
    data = DataConfig(dataset=kind, manual_test="hand.csv", **SIZES)
    tokenizer = load_tokenizer("bundled:minilm")
    for name, topic in ((",query", ",a patient"), ("", "")):
        hand = f"label,text{name}\n0,how sad{topic}\n4,how glad{topic}\n"
        Path("hand.csv").write_text(hand)
        prepared = prepare_splits(data)
        tokenize_splits(prepared, tokenizer, 128)
    assert prepared.table("manual")["topic"].to_pylist() == [None, None]
    report = prepared.report | {"tokenizer": {"sha256": hash_tokenizer(tokenizer), "max_length": 128}}
    assert find_cached(report)[0].folder == prepared.folder


def test_splits_are_told_apart_by_the_columns_of_users_and_times(cache: Path) -> None:
    """A file has both columns, and the rows are the same: only what is counted by users differs."""
    rows = "".join(f"{at % 2},tweet {at} of mine,{at % 3},{at}\n" for at in range(60))
    Path("mine.csv").write_text(f"label,text,writer,reader\n{rows}")
    tokenizer, reports = load_tokenizer("bundled:minilm"), {}
    for column in ("writer", "reader"):
        prepared = prepare_splits(DataConfig(dataset="mine.csv", manual_test="none", user_column=column, **SIZES))
        tokenize_splits(prepared, tokenizer, 128)
        about_tokens = {"tokenizer": {"sha256": hash_tokenizer(tokenizer), "max_length": 128}}
        reports[prepared.folder] = prepared.report | about_tokens
    assert len(reports) == 2
    for folder, report in reports.items():
        assert find_cached(report)[0].folder == folder


def test_the_stored_form_of_users_dates_and_topics():
    """Hashes of users were stored by earlier versions: other ones would match nobody."""
    columns = {
        "text": ["a"] * 6,
        "user": ["Somebody", " somebody ", "other", "", "  ", None],
        "date": ["2009-04-06T22:19:45Z", "Mon Apr 06 22:19:45 UTC 2009", "1970-01-01", "some day", "", None],
        "topic": ["a phone", "@somebody's phone", "http://x.example", "", "&amp;", None],
    }
    table = add_origin(pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()}))

    def hash_user(user: str) -> int:
        return int.from_bytes(hashlib.blake2b(user.encode(), digest_size=8, key=b"140").digest(), "big")

    somebody, other = hash_user("somebody"), hash_user("other")
    assert table.to_pydict() == {
        "text": ["a"] * 6,
        "user": [somebody, somebody, other, None, None, None],
        "time": [1239056385, 1239056385, 0, None, None, None],
        "topic": ["a phone", "@user's phone", "http", "", "&amp;", None],
    }
    unknown = add_origin(pa.table({"text": ["a"]}))
    assert unknown.to_pylist() == [{"text": "a", "user": None, "time": None, "topic": None}]
    assert [unknown.schema.field(name).type for name in ORIGIN] == [TYPES[name] for name in ORIGIN]


def test_no_name_of_a_user_is_stored(prepared, cache):
    files = [file for file in cache.rglob("*") if file.is_file()]
    assert len(files) > 5
    assert [file for file in files if b"user_of_ours" in file.read_bytes().lower()] == []
    assert "user_of_ours" not in json.dumps(prepared.report)


def test_shared_users_and_times_are_in_the_report(prepared):
    leakage, rows = prepared.report["leakage"], index_rows(prepared)
    users = {row["user"] for row in rows["train"].values()}
    last = max(row["time"] for row in rows["train"].values())
    assert set(leakage) == {"validation", "test", "manual"}
    for name in ("validation", "test"):
        assert leakage[name]["exact"] == 0
        assert leakage[name]["same_user"] == sum(row["user"] in users for row in rows[name].values()) > 0
        assert leakage[name]["overlapping_in_time"] == sum(row["time"] <= last for row in rows[name].values()) > 0
    assert leakage["manual"] == {"exact": 0, "near": 0, "same_user": 2, "overlapping_in_time": 0}
    assert json.loads((prepared.folder / "data.json").read_text("utf-8"))["leakage"] == leakage


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
        Dataset.from_dict(columns).save_to_disk(name)
    table = load_unsplit(DataConfig(dataset=name))["test"]
    assert table.column_names == ["text", "label", *ORIGIN]
    assert table["topic"].to_pylist() == ["a phone", None, None]
    assert table["time"].to_pylist() == [1239056385, None, None]
    assert [value is None for value in table["user"].to_pylist()] == [False, False, True]


@pytest.mark.realdata
def test_the_real_manual_tweets_have_their_topics(real_data):
    manual = load_unsplit(DataConfig(dataset=str(real_data / "testdata.manual.2009.06.14.csv")))["test"]
    assert (len(manual), manual["time"].null_count, manual["user"].null_count) == (498, 0, 0)
    assert manual["topic"].null_count == 0
    assert len(manual["topic"].unique()) > 50
