"""Dates as files write them, beside Python's own reading of them."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_tz

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sentiment140_bert.data import origin

EVENING = datetime(2009, 4, 6, 22, 19, 45, tzinfo=UTC)


def seconds(*written: str | None) -> list[int | None]:
    return origin.parse_dates(pa.chunked_array([pa.array(written, pa.string())])).to_pylist()


@pytest.mark.parametrize(
    ("written", "ahead"),
    [
        ("Mon Apr 06 22:19:45 PDT 2009", -7),
        ("Mon Apr 06 22:19:45 UTC 2009", 0),
        ("Mon Apr 06 22:19:45 2009", 0),
        ("mon apr  6 22:19:45 est 2009", -5),
        ("Mon Apr 06 22:19:45 +0200 2009", 2),  # the API's own, and that of the Sanders corpus
        ("Mon Apr 06 22:19:45 CEST 2009", 0),  # RFC 5322 does not know it
        ("2009-04-06 22:19:45", 0),
        ("2009-04-06T22:19:45Z", 0),
        ("2009-04-06 22:19:45 -0800", -8),  # that of the airline tweets
        ("2009-04-06T22:19:45.123456+05:30", 5.5),
        (" 20090406T221945+02 ", 2),
    ],
)
def test_every_way_to_write_one_evening(written: str, ahead: float) -> None:
    assert seconds(written) == [int((EVENING - timedelta(hours=ahead)).timestamp())]


def test_a_day_alone_is_its_first_second() -> None:
    assert seconds("2009-04-06", "20090406", "1970-01-01") == [1238976000, 1238976000, 0]


@pytest.mark.parametrize(
    "written",
    [
        "",
        "yesterday",
        "1238976000",
        "2009-02-29",
        "2009-13-01",
        "2009-00-10",
        "0000-01-01",
        "2009-04-31 00:00:00",
        "2009-04-06 24:00:00",
        "2009-04-06 10:60:00",
        "Mon Apr 31 10:00:00 PDT 2009",
        "Mon Foo 01 10:00:00 PDT 2009",
        "Mon Apr 06 22:19:45 PDT 2009 and more",
        "2009-0406",
    ],
)
def test_what_is_no_date_is_null(written: str) -> None:
    assert seconds(written, None, "2009-04-06") == [None, None, 1238976000]


def test_nothing_at_all() -> None:
    assert seconds() == []
    assert seconds(None, None) == [None, None]


def test_both_ways_in_one_column_and_several_chunks() -> None:
    column = pa.chunked_array([["Mon Apr 06 22:19:45 UTC 2009", "2009-04-06"], pa.array([None], pa.string()), ["x"]])
    assert origin.parse_dates(column).to_pylist() == [int(EVENING.timestamp()), 1238976000, None, None]


def test_every_zone_is_that_of_rfc_5322() -> None:
    """Python's own reader of mail dates knows them; it is asked for each name, and for some that nobody knows."""
    names = ["EDT", "EST", "CDT", "CST", "MDT", "MST", "PDT", "PST", "UTC", "GMT", "Z", "CET", "JST", "XYZ"]
    ahead = {name: parsedate_tz(f"Mon, 06 Apr 2009 22:19:45 {name}")[9] or 0 for name in names}
    assert len(set(ahead.values())) == 6
    for name in names:
        expected = int(EVENING.timestamp()) - ahead[name]
        written = [f"Mon Apr 06 22:19:45 {name} 2009", f"Mon Apr 06 22:19:45 {name.lower()} 2009"]
        assert seconds(*written, f"2009-04-06 22:19:45 {name}") == [expected] * 3, name


@given(
    year=st.integers(1, 2400),
    month=st.integers(0, 14),
    day=st.integers(0, 33),
    hour=st.integers(0, 26),
    minute=st.sampled_from([0, 1, 30, 58, 59, 60, 61, 99]),
    second=st.sampled_from([0, 1, 30, 58, 59, 60, 61, 99]),
)
@example(year=2008, month=2, day=29, hour=0, minute=0, second=0)
@example(year=1900, month=2, day=29, hour=0, minute=0, second=0)
@example(year=2016, month=12, day=31, hour=23, minute=59, second=60)
@example(year=2009, month=4, day=6, hour=10, minute=0, second=60)
@example(year=2009, month=4, day=6, hour=24, minute=0, second=0)
def test_what_python_takes_for_no_date_is_none(year, month, day, hour, minute, second) -> None:
    try:
        expected = (datetime(year, month, day, hour, minute, second) - datetime(1970, 1, 1)) // timedelta(seconds=1)
    except ValueError:
        expected = None
    time = f"{hour:02}:{minute:02}:{second:02}"
    written = [f"{year:04}-{month:02}-{day:02} {time}", f"{year:04}{month:02}{day:02}T{time.replace(':', '')}Z"]
    if 1 <= month <= 12:
        written.append(f"Mon {calendar.month_abbr[month]} {day:02} {time} +0000 {year:04}")
    assert seconds(*written) == [expected] * len(written)


@given(
    when=st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1)),
    minutes=st.integers(-14 * 60, 14 * 60),
)
def test_as_python_reads_it(when: datetime, minutes: int) -> None:
    when = when.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=minutes)))
    twitter = when.strftime("%a %b %d %H:%M:%S %z %Y")
    assert seconds(when.isoformat(), when.isoformat(" "), twitter) == [int(when.timestamp())] * 3
