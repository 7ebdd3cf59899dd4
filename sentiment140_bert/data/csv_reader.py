"""Read CSV and TSV files, whose delimiter and quoting are detected from all of their lines.

In a file with tabs a quotation mark is mostly part of the tweet; in CSV it mostly begins a quoted field, in which
another one is doubled (RFC 4180) or, if Spark or MySQL wrote it, has a backslash before it. The wrong reading merges
rows, so each is tried on the lines with a quotation mark, and the one that leaves fewest of them unreadable is used.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, NamedTuple

from sentiment140_bert.data.columns import BadRow, Layout, Row, find_layout, make_bad_row, number_repeated
from sentiment140_bert.data.files import open_text
from sentiment140_bert.data.records import add_record
from sentiment140_bert.data.sources import Source
from sentiment140_bert.errors import DataError
from sentiment140_bert.recipe import DataConfig

LONGEST_FIELD = 100_000  # characters; a longer one is an unclosed quote in a CSV, not a tweet
MOST_SWALLOWED = 500_000  # lines that are read of such a record, which could fill the memory
MOST_LINES = 100  # a quoted text that spans more lines is an unclosed quote as well
TAB = "\t"
DELIMITERS = (",", ";", TAB, "|")
QUOTING: dict[str, dict[str, Any]] = {
    "double": {"strict": True},
    "backslash": {"strict": True, "escapechar": "\\"},
    "none": {"quoting": csv.QUOTE_NONE},
}
Open = Callable[[], AbstractContextManager[Iterable[str]]]


class Dialect(NamedTuple):
    """A delimiter, and ``quoting``: ``double``, ``backslash`` or ``none``."""

    delimiter: str
    quoting: str

    def reader(self, lines: Iterable[str]) -> Any:
        """Return a ``csv.reader`` of lines."""
        csv.field_size_limit(LONGEST_FIELD)
        return csv.reader(lines, delimiter=self.delimiter, **QUOTING[self.quoting])


def find_dialect(open_lines: Open, data: DataConfig, where: str, kind: str, labelled: bool = True) -> Dialect:
    """Detect the delimiter and the quoting of a file.

    Args:
        open_lines: Opens the file's lines.
        data: ``delimiter`` and ``quoting``, if they are named, and the columns.
        where: Name of the file, for errors.
        kind: The ending of its name: ``.tsv`` and ``.txt`` have tabs unless another delimiter fits.
        labelled: A label is needed.

    Raises:
        DataError: The delimiter cannot be one, or it is not clear whether quotation marks quote.
    """
    with open_lines() as lines:
        first = next((line for line in lines if line.strip()), "")
    delimiter = _find_delimiter(first, data, where, TAB if kind in (".tsv", ".txt") else ",", labelled)
    if data.quoting != "auto":
        return Dialect(delimiter, data.quoting)
    if delimiter == TAB:
        return Dialect(delimiter, _find_quoting_with_tabs(open_lines, where))
    return Dialect(delimiter, _find_quoting(open_lines, delimiter))


def _find_delimiter(first: str, data: DataConfig, where: str, usual: str, labelled: bool) -> str:
    """Return the delimiter that was named, or the first one by which the first line has the columns that are needed."""
    if data.delimiter:
        named = {"\\t": TAB, "tab": TAB}.get(data.delimiter, data.delimiter)
        if len(named) != 1 or named in '"\r\n\0':
            raise DataError(
                f"The delimiter must be one character, not a quotation mark or a line break; got {named!r}.",
                "For example --delimiter ';'.",
            )
        return named
    candidates = sorted(DELIMITERS, key=lambda delimiter: delimiter != usual)
    fields = {delimiter: _split_line(first, delimiter) for delimiter in candidates}
    for delimiter in candidates:
        try:
            find_layout(fields[delimiter], data, where, labelled)
        except DataError:
            continue
        return delimiter
    return max(candidates, key=lambda delimiter: len(fields[delimiter]))


def _split_line(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:  # it is a bad row, and the next one tells the columns
        return []


class BoundedLines:
    """Lines on their way to a reader: one record gets no more than ``MOST_SWALLOWED`` of them.

    ``first`` and ``last`` are the record's lines so far, ``count`` is how many it has.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = iter(lines)
        self.begin_record()

    def begin_record(self) -> None:
        """Start to count from 0."""
        self.count, self.first, self.last = 0, "", ""

    def __iter__(self) -> BoundedLines:
        return self

    def __next__(self) -> str:
        if self.count == MOST_SWALLOWED:
            raise csv.Error(f"a quote opens and does not close within {MOST_SWALLOWED:,} lines")
        self.last = next(self.lines)
        self.first = self.first if self.count else self.last
        self.count += 1
        return self.last


def _count_unreadable(open_lines: Open, delimiter: str, quoting: str) -> int:
    """Count the lines with quotation marks that do not become rows of the first one's width."""
    count = width = 0
    with open_lines() as lines:
        bounded = BoundedLines(lines)
        for record in _read_records(Dialect(delimiter, quoting).reader(bounded), bounded):
            if isinstance(record, BadRow):
                count += record.rows
                continue
            width = width or len(record.fields)
            ends = (bounded.first, bounded.last)
            if '"' in "".join(ends):
                # Lines that are rows by themselves were merged by a stray mark at the beginning of two tweets.
                are_rows = delimiter == TAB and all(line.count(TAB) == width - 1 for line in ends)
                is_whole = len(record.fields) == width and not (are_rows and record.lines > 1)
                count += 0 if is_whole else record.lines
    return count


def _find_quoting(open_lines: Open, delimiter: str) -> str:
    """Return the quoting of a file: double, unless another one leaves fewer lines unreadable.

    Without any quoting most lines can be read, so that needs more: fewer lines with a quoted field than strays.
    """
    strays = _count_strays(open_lines, delimiter)
    if not strays:
        return "double"
    quoted = re.compile(rf'(?:^|{re.escape(delimiter)})"(?:[^"]|"")*"(?={re.escape(delimiter)}|\r?\n?$)')
    with open_lines() as lines:
        is_quoted = sum(1 for line in lines if quoted.search(line)) > strays
    candidates = ("double", "backslash") if is_quoted else ("double", "backslash", "none")
    return min(candidates, key=partial(_count_unreadable, open_lines, delimiter))


def _count_strays(open_lines: Open, delimiter: str) -> int:
    """Count the records that violate RFC 4180, their number of columns aside."""
    count = 0
    with open_lines() as lines:
        bounded = BoundedLines(lines)
        reader = Dialect(delimiter, "double").reader(bounded)
        while True:
            try:
                for _ in reader:
                    bounded.begin_record()
                return count
            except csv.Error:
                count += 1
                bounded.begin_record()


def _find_quoting_with_tabs(open_lines: Open, where: str) -> str:
    """Return the quoting of a file with tabs: none, unless the file quotes consistently.

    Raises:
        DataError: Some lines point to the one, and some to the other.
    """
    marks = _count_marks(open_lines)
    if not marks.quoted:
        return "none"
    count = partial(_count_unreadable, open_lines, TAB)
    if marks.quoted >= 19 * marks.without and marks.quoted > marks.others:
        return min(("double", "backslash"), key=count)
    unreadable = {quoting: count(quoting) for quoting in ("none", "double", "backslash")}
    best = min(unreadable, key=unreadable.__getitem__)
    if unreadable["none"] == unreadable["double"] == 0 and not marks.unneeded and marks.needed:
        best = "double"
    if best == "none" and marks.needed and (contrary := marks.unneeded or marks.others_first):
        raise DataError(
            f"{where}: it is not clear whether quotation marks belong to the texts: line {marks.needed} doubles them "
            f"as a quoted field does, and line {contrary} has some that do not quote a field.",
            "Pass --quoting none if they belong to the texts, else --quoting double.",
        )
    return best


class _Marks(NamedTuple):
    """Fields of a file with tabs that begin with a quotation mark.

    ``needed`` is the first line with one that is a quoted field and needs to be, as a mark in it is doubled;
    ``unneeded`` the first with one that does not; ``others_first`` the first with one that only begins so, of
    ``others``; 0 without one. ``quoted`` lines have such fields, ``without`` lines have none.
    """

    needed: int
    unneeded: int
    others_first: int
    others: int
    quoted: int
    without: int


def _count_marks(open_lines: Open) -> _Marks:
    needed = unneeded = others_first = others = quoted = without = 0
    with open_lines() as lines:
        for number, line in enumerate(lines, start=1):
            fields = [field for field in line.rstrip("\r\n").split(TAB) if field.startswith('"')]
            quoted += bool(fields)
            without += not fields and bool(line.strip())
            for field in fields:
                inner = field[1:-1]
                if len(field) < 2 or not field.endswith('"') or '"' in inner.replace('""', ""):
                    others, others_first = others + 1, others_first or number
                elif '""' in inner:
                    needed = needed or number
                else:
                    unneeded = unneeded or number
    return _Marks(needed, unneeded, others_first, others, quoted, without)


# ---- rows


class Record(NamedTuple):
    """The fields that begin in line ``number`` and span ``lines`` lines."""

    number: int
    lines: int
    fields: list[str]


def read_csv(source: Source, data: DataConfig, encoding: str, labelled: bool) -> Iterator[Row | BadRow]:
    """Yield the rows of a CSV or TSV file; see :func:`~sentiment140_bert.data.readers.read_source`."""
    open_lines = partial(open_text, source, encoding, "surrogateescape")
    dialect = find_dialect(open_lines, data, source.name, source.kind, labelled)
    with open_lines() as lines:
        layout: Layout | None = None
        names: list[str] = []
        bounded = BoundedLines(lines)
        for record in _read_records(dialect.reader(bounded), bounded):
            if isinstance(record, BadRow):
                yield record
                continue
            if layout is None:
                layout = find_layout(record.fields, data, source.name, labelled)
                if layout.header:
                    names = [] if labelled else number_repeated(record.fields)
                    continue
            row = _make_row(record, layout)
            yield add_record(row, zip(names, record.fields, strict=True)) if names else row


def _read_records(reader: Any, bounded: BoundedLines) -> Iterator[Record | BadRow]:
    """Yield every record of a reader of lines that is not an empty line."""
    while True:
        number = reader.line_num + 1
        bounded.begin_record()
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield make_bad_row(number, f"not valid CSV: {error}", "", reader.line_num - number + 1)
            continue
        lines = reader.line_num - number + 1
        if lines > MOST_LINES:
            reason = f"a quote opens and does not close within {MOST_LINES} lines"
            yield make_bad_row(number, reason, fields[-1][:200], lines)
        elif fields:
            yield Record(number, lines, fields)


def _make_row(record: Record, layout: Layout) -> Row | BadRow:
    number, lines, fields = record
    if len(fields) != layout.width:
        reason = f"{len(fields)} columns instead of {layout.width}"
        return make_bad_row(number, reason, " | ".join(fields[:200])[:200], lines)
    text, label, user, time, topic, id_ = layout.columns
    return Row(
        number,
        fields[text],
        "" if label is None else fields[label],
        None if user is None else fields[user],
        None if time is None else fields[time],
        None if topic is None else fields[topic],
        None if id_ is None else fields[id_],
    )
