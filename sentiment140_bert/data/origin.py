"""Parse the user, the time and the topic of tweets, a whole column at a time, into the form that splits store."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sentiment140_bert.data import clean

ORIGIN = {"user": pa.uint64(), "time": pa.int64(), "topic": pa.string()}
SEED = 140  # of the users' hashes: rows of one user match in files that were read at different times
DATE_FORMATS = "'Mon Apr 06 22:19:45 PDT 2009' and ISO 8601"
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


def add_origin(table: pa.Table) -> pa.Table:
    """Return the table with ``user``, ``time`` and ``topic`` as splits have them: null if unknown.

    Names of users end here: only a hash is stored, by which rows of one user match.

    Args:
        table: Perhaps with ``user``, ``date`` and ``topic`` from :func:`sentiment140_bert.data.reading.read_tweets`.
    """
    columns = {name: table[name] for name in ("user", "date", "topic") if name in table.column_names}
    result = table.drop_columns(list(columns))
    columns["user"] = _hash_users(columns["user"]) if "user" in columns else None
    columns["topic"] = clean.clean(columns["topic"], "mask")[0] if "topic" in columns else None
    columns["time"] = parse_dates(columns.pop("date")) if "date" in columns else None
    for name, kind in ORIGIN.items():
        column = columns.get(name)
        result = result.append_column(name, pa.nulls(len(table), kind) if column is None else column)
    return result


def _hash_users(users: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return one number for each name, whatever the case of its letters; null for none."""
    names = pc.utf8_lower(pc.utf8_trim_whitespace(users))
    encoded = pc.if_else(pc.equal(names, ""), None, names).combine_chunks().dictionary_encode()
    numbers = pa.array(clean.hash_keys(encoded.dictionary, SEED))
    return pa.chunked_array([numbers.take(encoded.indices)])


def parse_dates(dates: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return seconds since 1970 UTC (int64) of each date; null if it is null or unreadable.

    Args:
        dates: ``Mon Apr 06 22:19:45 PDT 2009`` (Twitter's format; the zone may also be an offset, or missing) or
            ISO 8601 (date, or date and time; fractions of a second are cut). Without a zone, or with the name of
            one that RFC 5322 does not list, they are taken for UTC.
    """
    return pa.chunked_array([_parse_chunk(chunk) for chunk in dates.chunks], pa.int64())


def _parse_chunk(dates: pa.Array) -> pa.Array:
    if dates.null_count == len(dates):
        return pa.nulls(len(dates), pa.int64())
    trimmed = pc.utf8_trim_whitespace(dates)
    times = _parse_pattern(trimmed, TWITTER)
    return times if times.null_count == dates.null_count else pc.coalesce(times, _parse_pattern(trimmed, ISO_8601))


def _parse_pattern(dates: pa.Array, pattern: str) -> pa.Array:
    """Return seconds of the dates that have this pattern and exist; null for all others."""
    matches = pc.extract_regex(dates, pattern=pattern)
    matched = np.asarray(pc.is_valid(matches))
    parts: dict[str, Any] = dict(zip([field.name for field in matches.type], matches.flatten(), strict=True))
    months = parts["month"]
    if pattern is TWITTER:
        months = pc.cast(pc.add(pc.index_in(pc.utf8_lower(months), MONTHS), 1), pa.string())
    else:
        months = pc.if_else(pc.equal(months, ""), parts["month_"], months)
    number = {name: _parse_digits(parts[name]) for name in ("year", "day", "hour", "minute", "second")}
    number["month"] = _parse_digits(months)
    first, days = _find_month(number["year"], number["month"])
    valid = matched & (number["year"] > 0) & (number["month"] > 0) & (number["day"] > 0) & (number["day"] <= days)
    for name, largest in LARGEST.items():
        valid &= number[name] <= largest
    time = (number["hour"] * 60 + number["minute"]) * 60 + number["second"]
    total = (first + number["day"] - 1) * 86_400 + time - _find_offsets(parts["zone"])
    return pa.array(total, mask=~valid)


def _parse_digits(column: pa.Array) -> Numbers:
    """Return the numbers of digits; 0 for none."""
    digits = pc.if_else(pc.equal(column, ""), "0", column)
    return np.asarray(pc.fill_null(pc.cast(digits, pa.int64()), 0))


def _find_month(years: Numbers, months: Numbers) -> tuple[Numbers, Numbers]:
    """Return the first day of each month, in days since 1970, and its number of days."""
    at = (years - 1970) * 12 + months - 1
    first, following = (
        month.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) for month in (at, at + 1)
    )
    return first, following - first


def _find_offsets(zones: pa.Array) -> Numbers:
    """Return the seconds by which each zone is ahead of UTC."""
    names = pc.fill_null(zones, "").dictionary_encode()
    ahead = np.array([_parse_offset(name) for name in names.dictionary.to_pylist()], dtype=np.int64)
    return np.asarray(ahead[names.indices.to_numpy()])


def _parse_offset(zone: str) -> int:
    offset = re.fullmatch(r"([+-])(\d{2}):?(\d{2})?", zone)
    if offset is None:
        return ZONES.get(zone.upper(), 0) * 3600
    sign, hours, minutes = offset.groups()
    return (-1 if sign == "-" else 1) * (int(hours) * 60 + int(minutes or 0)) * 60
