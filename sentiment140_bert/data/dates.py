"""When a tweet was written: dates as files write them, to seconds, a whole column at a time."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

KNOWN = "'Mon Apr 06 22:19:45 PDT 2009' and ISO 8601"
TWITTER = (
    r"^[A-Za-z]{3} +(?P<month>[A-Za-z]{3}) +(?P<day>\d{1,2}) +(?P<hour>\d{1,2}):(?P<minute>\d{2}):(?P<second>\d{2}) +"
    r"(?:(?P<zone>[A-Za-z]+|[+-]\d{2}:?\d{2}) +)?(?P<year>\d{4})$"
)
ISO_8601 = (
    r"^(?P<year>\d{4})(?:-(?P<month>\d{2})-|(?P<month_>\d{2}))(?P<day>\d{2})"
    r"(?:[Tt ](?P<hour>\d{2})(?::?(?P<minute>\d{2})(?::?(?P<second>\d{2})(?:[.,]\d+)?)?)?"
    r" ?(?P<zone>[+-]\d{2}(?::?\d{2})?|[A-Za-z]+)?)?$"
)
MONTHS = pa.array(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"])
# RFC 5322, section 4.3, in hours. It takes a name that it does not know for UTC, and so does this module.
ZONES = {"EDT": -4, "EST": -5, "CDT": -5, "CST": -6, "MDT": -6, "MST": -7, "PDT": -7, "PST": -8}
LARGEST = {"month": 12, "hour": 23, "minute": 59, "second": 59}

Numbers = npt.NDArray[np.int64]


def seconds(dates: pa.ChunkedArray) -> pa.ChunkedArray:
    """Seconds since 1970 UTC (int64) of each date; null where it is null or cannot be read.

    Args:
        dates: Strings, as ``Mon Apr 06 22:19:45 PDT 2009`` (Twitter's; the zone may also be an offset, or missing) or
            by ISO 8601 (date, or date and time; fractions of a second are cut). Without a zone, or with the name of
            one that RFC 5322 does not list, they are taken for UTC.
    """
    return pa.chunked_array([_of_chunk(chunk) for chunk in dates.chunks], pa.int64())


def _of_chunk(dates: pa.Array) -> pa.Array:
    if dates.null_count == len(dates):
        return pa.nulls(len(dates), pa.int64())
    trimmed = pc.utf8_trim_whitespace(dates)
    read = _parsed(trimmed, TWITTER)
    return read if read.null_count == dates.null_count else pc.coalesce(read, _parsed(trimmed, ISO_8601))


def _parsed(dates: pa.Array, pattern: str) -> pa.Array:
    """Seconds of the dates that are of this pattern and of the calendar; null for all others."""
    found = pc.extract_regex(dates, pattern=pattern)
    matched = np.asarray(pc.is_valid(found))
    parts: dict[str, Any] = dict(zip([field.name for field in found.type], found.flatten(), strict=True))
    months = parts["month"]
    if pattern is TWITTER:
        months = pc.cast(pc.add(pc.index_in(pc.utf8_lower(months), MONTHS), 1), pa.string())
    else:
        months = pc.if_else(pc.equal(months, ""), parts["month_"], months)
    number = {name: _numbers(parts[name]) for name in ("year", "day", "hour", "minute", "second")}
    number["month"] = _numbers(months)
    first, days = _month(number["year"], number["month"])
    valid = matched & (number["year"] > 0) & (number["month"] > 0) & (number["day"] > 0) & (number["day"] <= days)
    for name, largest in LARGEST.items():
        valid &= number[name] <= largest
    time = (number["hour"] * 60 + number["minute"]) * 60 + number["second"]
    total = (first + number["day"] - 1) * 86_400 + time - _offsets(parts["zone"])
    return pa.array(total, mask=~valid)


def _numbers(column: pa.Array) -> Numbers:
    """Digits to numbers; 0 where there are none."""
    digits = pc.if_else(pc.equal(column, ""), "0", column)
    return np.asarray(pc.fill_null(pc.cast(digits, pa.int64()), 0))


def _month(years: Numbers, months: Numbers) -> tuple[Numbers, Numbers]:
    """The first day of each month, in days since 1970, and how many days it has."""
    at = (years - 1970) * 12 + months - 1
    first, following = (each.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) for each in (at, at + 1))
    return first, following - first


def _offsets(zones: pa.Array) -> Numbers:
    """Seconds by which each zone is ahead of UTC."""
    names = pc.fill_null(zones, "").dictionary_encode()
    ahead = np.array([_ahead(name) for name in names.dictionary.to_pylist()], dtype=np.int64)
    return np.asarray(ahead[names.indices.to_numpy()])


def _ahead(zone: str) -> int:
    offset = re.fullmatch(r"([+-])(\d{2}):?(\d{2})?", zone)
    if offset is None:
        return ZONES.get(zone.upper(), 0) * 3600
    sign, hours, minutes = offset.groups()
    return (-1 if sign == "-" else 1) * (int(hours) * 60 + int(minutes or 0)) * 60
