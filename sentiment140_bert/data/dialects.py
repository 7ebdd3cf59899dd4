"""How the fields of a CSV or TSV file are parted and quoted, found out from all of its lines.

In a file of tab-separated tweets a quotation mark is mostly part of the tweet; in CSV it mostly begins a quoted field,
in which another one is doubled (RFC 4180) or, where Spark or MySQL wrote it, has a backslash before it. The wrong reading
merges rows, so each reading is tried on the lines with a quotation mark, and the one that leaves fewest lines unreadable is used.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sentiment140_bert.data.columns import find_layout
from sentiment140_bert.errors import DataError
from sentiment140_bert.settings import DataConfig

LONGEST_FIELD = 100_000  # characters; what is longer is no tweet but, in CSV, an unclosed quote
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
    """``quoting`` is ``double``, ``backslash`` or ``none``."""

    delimiter: str
    quoting: str

    def reader(self, lines: Iterable[str]) -> Any:
        """Return a ``csv.reader`` of lines."""
        csv.field_size_limit(LONGEST_FIELD)
        return csv.reader(lines, delimiter=self.delimiter, **QUOTING[self.quoting])


def find_dialect(open_lines: Open, data: DataConfig, where: str, kind: str, labelled: bool = True) -> Dialect:
    """Find how a file is written.

    Args:
        open_lines: Opens the file's lines.
        data: Its ``delimiter`` and ``quoting``, and its columns.
        where: Name of the file, for errors.
        kind: The ending of its name: ``.tsv`` and ``.txt`` have tabs unless anything else fits.
        labelled: A label is needed.

    Raises:
        DataError: The delimiter is none, or it cannot be told whether quotation marks quote.
    """
    with open_lines() as lines:
        first = next((line for line in lines if line.strip()), "")
    delimiter = _delimiter(first, data, where, TAB if kind in (".tsv", ".txt") else ",", labelled)
    if data.quoting != "auto":
        return Dialect(delimiter, data.quoting)
    if delimiter == TAB:
        return Dialect(delimiter, _quoting_of_tabs(open_lines, where))
    return Dialect(delimiter, _quoting(open_lines, delimiter))


def _delimiter(first: str, data: DataConfig, where: str, usual: str, labelled: bool) -> str:
    """Return the delimiter that was named, or the first one by which the first line has the columns that are needed."""
    if data.delimiter:
        named = {"\\t": TAB, "tab": TAB}.get(data.delimiter, data.delimiter)
        if len(named) != 1 or named in '"\r\n\0':
            raise DataError(
                f"The delimiter {named!r} is not a single character, or one that has a meaning of its own.",
                "For example --delimiter ';'.",
            )
        return named
    candidates = sorted(DELIMITERS, key=lambda each: each != usual)
    fields = {each: next(csv.reader([first], delimiter=each), []) for each in candidates}
    for each in candidates:
        try:
            find_layout(fields[each], data, where, labelled)
        except DataError:
            continue
        return each
    return max(candidates, key=lambda each: len(fields[each]))


@dataclass
class _Lines:
    """Lines on their way to a reader, with those of the record that is being read."""

    lines: Iterable[str]
    of_record: list[str] = field(default_factory=list)

    def __iter__(self) -> Iterator[str]:
        for line in self.lines:
            self.of_record.append(line)
            yield line


def _unreadable(open_lines: Open, dialect: Dialect) -> int:
    """Count the lines with quotation marks that do not become rows of the first one's width."""
    count = width = 0
    with open_lines() as lines:
        watched = _Lines(lines)
        reader = dialect.reader(watched)
        while True:
            watched.of_record.clear()
            try:
                fields = next(reader)
            except StopIteration:
                return count
            except csv.Error:
                count += len(watched.of_record)
                continue
            width = width or len(fields)
            spans = len(watched.of_record)
            if fields and '"' in watched.of_record[0] + watched.of_record[-1]:
                is_whole = len(fields) == width and spans <= MOST_LINES
                # Lines that are rows by themselves were merged by a stray mark at the beginning of two tweets.
                merged = dialect.delimiter == TAB and spans > 1 and _are_rows(watched.of_record, width)
                count += spans if merged or not is_whole else 0


def _are_rows(lines: list[str], width: int) -> bool:
    return all(line.count(TAB) == width - 1 for line in lines)


def _quoting(open_lines: Open, delimiter: str) -> str:
    """Return how fields are quoted: doubled, unless another way leaves fewer lines unreadable."""
    return min(QUOTING, key=_counter(open_lines, delimiter)) if not _is_strict(open_lines, delimiter) else "double"


def _counter(open_lines: Open, delimiter: str) -> Callable[[str], int]:
    return lambda quoting: _unreadable(open_lines, Dialect(delimiter, quoting))


def _is_strict(open_lines: Open, delimiter: str) -> bool:
    """Return True if a file is as RFC 4180 has it, its number of columns aside."""
    with open_lines() as lines:
        reader = Dialect(delimiter, "double").reader(lines)
        try:
            for _ in reader:
                pass
        except csv.Error:
            return False
    return True


def _quoting_of_tabs(open_lines: Open, where: str) -> str:
    """Return how the fields of a file with tabs are quoted: not at all, unless the file quotes consistently."""
    marks = _marks(open_lines)
    if not (marks.needed or marks.unneeded or marks.others):
        return "none"
    count = _counter(open_lines, TAB)
    unreadable = {quoting: count(quoting) for quoting in ("none", "double", "backslash")}
    if unreadable["none"] or unreadable["double"]:
        return min(unreadable, key=unreadable.__getitem__)
    if marks.needed and marks.unneeded and marks.without:
        raise DataError(
            f"{where}: it is not clear whether quotation marks belong to the texts: line {marks.needed} doubles them "
            f"as a quoted field does, and line {marks.unneeded} has some around a field that needs none.",
            "Say it with --quoting none (they belong to the texts) or --quoting double.",
        )
    all_quoted = marks.without == 0 or (marks.without == 1 and marks.quoted >= 10)  # the one may be the header
    return "double" if marks.needed or all_quoted else "none"


class _Marks(NamedTuple):
    """Of a file with tabs: the first line with a field in quotation marks that needs them (a mark in it is doubled),
    and one that does not; 0 if there is none. Then how many fields only begin with a mark, and how many lines have
    such fields and have none."""

    needed: int
    unneeded: int
    others: int
    quoted: int
    without: int


def _marks(open_lines: Open) -> _Marks:
    needed = unneeded = others = quoted = without = 0
    with open_lines() as lines:
        for number, line in enumerate(lines, start=1):
            fields = [each for each in line.rstrip("\r\n").split(TAB) if each.startswith('"')]
            quoted += bool(fields)
            without += not fields and bool(line.strip())
            for each in fields:
                inner = each[1:-1]
                if len(each) < 2 or not each.endswith('"'):
                    others += 1
                elif not inner.replace('""', "").count('"'):
                    needed = needed or (number if '""' in inner else 0)
                    unneeded = unneeded or (0 if '""' in inner else number)
                else:
                    others += 1
    return _Marks(needed, unneeded, others, quoted, without)
