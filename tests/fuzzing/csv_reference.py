"""Read CSV and JSON lines a second time, by regular expressions, as a reference for the reader."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from sentiment140_bert.data.columns import find_columns, find_layout
from sentiment140_bert.data.csv_reader import LONGEST_FIELD, MOST_LINES
from sentiment140_bert.data.readers import ROWS_WITH_NAMES
from sentiment140_bert.recipe import DataConfig

LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
END = re.compile(r"\r\n|\r|\n")
SIGN = re.compile(r'""|[^"]', re.DOTALL)


class Line(NamedTuple):
    """A record: in which line it begins, how many it spans, its fields; None where it cannot be one."""

    number: int
    lines: int
    fields: list[str] | None


@dataclass
class Expected:
    """The (line, text, label) of good rows of a file, and the number of lines of bad ones, by their first line."""

    good: list[tuple[int, str, str]] = field(default_factory=list)
    bad: dict[int, int] = field(default_factory=dict)


def records(text: str, delimiter: str) -> Iterator[Line]:
    """Yield every record that is no empty line."""
    free = re.escape(delimiter)
    quoted = re.compile(rf'"((?:[^"]|"")*+)("([^{free}\r\n]*))?')
    plain = re.compile(rf"[^{free}\r\n]*")
    at, number = 0, 1
    while at < len(text):
        start, fields, is_wrong = at, [], False
        while True:
            if match := quoted.match(text, at):
                value, begin = match[1].replace('""', '"'), at + 1
                is_closed = match[2] and not match[3]
            else:
                match = plain.match(text, at)
                value, begin, is_closed = match[0], at, True
            if len(value) > LONGEST_FIELD:
                is_wrong, at = True, _behind(text, begin, match, quoted=match.re is quoted)
                break
            if not is_closed:
                is_wrong, at = True, match.end()
                break
            fields.append(value)
            at = match.end()
            if not text.startswith(delimiter, at):
                break
            at += 1
        end = END.search(text, at) if is_wrong else END.match(text, at)
        at = end.end() if end else len(text)
        lines = len(LINE.findall(text, start, at))
        if is_wrong:
            yield Line(number, lines, None)
        elif fields != [""] or '"' in text[start:at]:
            yield Line(number, lines, fields)
        number += lines


def _behind(text: str, begin: int, match: re.Match[str], quoted: bool) -> int:
    """Return the position at which the field has become too long."""
    if not quoted:
        return begin + LONGEST_FIELD
    count = 0
    for sign in SIGN.finditer(text, begin, match.end(1)):
        count += 1
        if count > LONGEST_FIELD:
            return sign.end() - 1
    return match.end(1) + 1 + LONGEST_FIELD - count  # in what follows the closing quote


def expected_csv(text: str, delimiter: str, data: DataConfig, name: str) -> Expected:
    """Read a CSV file."""
    expected, layout = Expected(), None
    for number, lines, fields in records(text, delimiter):
        if fields is None or lines > MOST_LINES:
            expected.bad[number] = lines
            continue
        if layout is None:
            layout = find_layout(fields, data, name)
            if layout.header:
                continue
        read = [fields[at] for at in layout.columns[:5] if at is not None and len(fields) == layout.width]
        if len(fields) == layout.width and _is_unicode("".join(read)):  # what is not read may be anything
            expected.good.append((number, fields[layout.columns.text], fields[layout.columns.label]))
        else:  # a row of the right width is one, however many lines it spans
            expected.bad[number] = lines if len(fields) != layout.width else 1
    return expected


def expected_json(text: str, data: DataConfig, name: str) -> Expected:
    """Read JSON lines."""
    expected, objects = Expected(), []
    for number, line in enumerate(LINE.findall(text), start=1):
        if not line.strip():
            continue
        expected.bad[number] = 1
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        objects.append((number, record))
    named = [record for _, record in objects[:ROWS_WITH_NAMES] if isinstance(record, dict)]
    names = list(dict.fromkeys(key for record in named for key in record))
    if not names:
        return expected
    columns = [None if at is None else names[at] for at in find_columns(names, data, name)]
    for number, record in objects:
        if not isinstance(record, dict):
            continue
        values = [record.get(value) if value is not None else None for value in columns]
        if values[0] is None or values[1] is None or any(isinstance(value, dict | list) for value in values):
            continue
        written = [str(value) for value in values if value is not None]
        if all(len(value) <= LONGEST_FIELD for value in written) and _is_unicode("".join(map(str, values[:6]))):
            del expected.bad[number]
            expected.good.append((number, written[0], written[1]))
    return expected


def _is_unicode(text: str) -> bool:
    return not re.search("[\ud800-\udfff]", text)
