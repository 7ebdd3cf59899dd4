"""Find the columns of a file: its text, label, user, time, topic and id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

from sentiment140_bert.data.labels import interpret_label_map, is_label, quote
from sentiment140_bert.errors import DataError
from sentiment140_bert.recipe import DataConfig
from sentiment140_bert.text import escape_hidden

# Usual names of columns, the most telling first; compared without case and spaces.
TEXT_NAMES = (
    *("text", "tweet", "full_text", "tweet_text", "tweettext", "sentimenttext", "originaltweet", "original_tweet"),
    *("sentence", "content", "review", "reviewtext", "review_text", "body", "message", "comment", "texts", "tweets"),
    *("clean_text", "reviews", "sentences", "contents"),
)
LABEL_NAMES = (
    *("label", "target", "sentiment", "polarity", "class", "labels", "airline_sentiment", "sentiments", "category"),
    *("rating", "stars", "star_rating", "overall"),
)
USER_NAMES = ("user", "username", "user_name", "screen_name", "author", "author_id", "user_id", "userid")
TIME_NAMES = ("date", "created_at", "timestamp", "time", "datetime", "tweetdate", "tweet_date", "tweet_created")
TOPIC_NAMES = ("query", "topic")  # published as slices of the scores
CORPUS_TOPIC = "flag"  # with others of the corpus; elsewhere it may be anything
ID_NAMES = ("id", "tweet_id", "tweetid", "ids", "id_str")
MOST_COLUMNS = 100_000
LONGEST_NAME = 200  # characters of a name that a message shows whole
LONGEST_LIST = 3_000  # characters of all of them
NO_TOPIC = ("", "NO_QUERY")  # what the corpus writes for a tweet without a query
CORPUS_NAMES = {"target", "flag", "user", "text"}  # names that others gave to four of its six columns
CSV_HINT = (
    " (its name, or its number if the file has no header), or name another delimiter with --delimiter. Without a "
    "header and flags, a file must have two columns (label, text) or the six of Sentiment140."
)


class Row(NamedTuple):
    """A tweet before its label is interpreted. ``number`` is its line in a text file, its place in a table, from 1.

    ``label`` is empty in a file without labels. Of a table that is read without labels, ``record`` has the plain values
    of all columns by their names; of a JSON object those of its own keys."""

    number: int
    text: str
    label: str = ""
    user: str | None = None
    time: str | None = None
    topic: str | None = None
    id: str | None = None
    record: Mapping[str, Any] | None = None


class BadRow(NamedTuple):
    """A row that cannot be used, and the reason; ``rows`` is the number of the file's lines that it spans."""

    number: int
    reason: str
    content: str
    rows: int = 1


class Columns(NamedTuple):
    """Positions of the columns in a row, from 0; None if there is no such column."""

    text: int
    label: int | None = None
    user: int | None = None
    time: int | None = None
    topic: int | None = None
    id: int | None = None


@dataclass(frozen=True)
class Layout:
    """Positions of the ``columns``, the number of fields in a row, and True if the first row is a header."""

    columns: Columns
    width: int
    header: bool


CORPUS = Columns(text=5, label=0, user=4, time=2, topic=3, id=1)


def make_bad_row(number: int, reason: str, content: str, rows: int = 1) -> BadRow:
    """Return a bad row that can be written and printed, whatever bytes it holds."""
    return BadRow(number, escape_hidden(reason), escape_hidden(content[:200])[:200], rows)


def find_layout(first: Sequence[str], data: DataConfig, where: str, labelled: bool = True) -> Layout:
    """Find the columns by the first row of a file.

    Args:
        first: The first row, which may be a header.
        data: Names or numbers (from 1) of columns, and the label map.
        where: Name of the file, for errors.
        labelled: A label is needed.

    Raises:
        DataError: Wrong delimiter, no such column, or no way to tell the columns apart.
    """
    mapped = interpret_label_map(data.label_map) if data.label_map else ()
    if len(first) < 2 and labelled:
        raise DataError(
            f"{where}: row 1 has a single column ({quote(first[0] if first else '')}): is the delimiter wrong?",
            "Name the right one with --delimiter, e.g. --delimiter ';' or --delimiter '\\t'. If the labels are in "
            "another file, name it with --labels-file.",
        )
    named = (data.text_column, data.label_column, data.user_column, data.time_column, data.id_column)
    if any(name and _parse_number(name, first) for name in named):
        return _find_by_number(first, data, where, labelled, mapped)
    if not any(named) and (layout := find_layout_without_header(first, mapped)):
        return layout
    return Layout(find_columns(first, data, where, labelled, in_csv=True), len(first), True)


def find_layout_without_header(first: Sequence[str], mapped: Collection[str] = ()) -> Layout | None:
    """Return the layout of a file without names by its first row: the corpus's six columns, or two with a label.

    Args:
        first: The first row.
        mapped: Tidied labels of a label map; those of schemes count anyway.
    """
    if len(first) == 6 and is_label(first[0], mapped):
        return Layout(CORPUS, 6, header=False)
    if len(first) == 2 and is_label(first[0], mapped) != is_label(first[1], mapped):
        label = 0 if is_label(first[0], mapped) else 1
        return Layout(Columns(text=1 - label, label=label), 2, header=False)
    return None


def number_repeated(names: Sequence[str]) -> list[str]:
    """Return the names of columns, with a number after one that came before: ``x``, ``x (2)``."""
    counts: Counter[str] = Counter()
    unique = []
    for name in names:
        counts[name] += 1
        unique.append(name if counts[name] == 1 else f"{name} ({counts[name]})")
    return unique


def find_columns(
    names: Sequence[str], data: DataConfig, where: str, labelled: bool = True, in_csv: bool = False
) -> Columns:
    """Find the columns by their names.

    Raises:
        DataError: A named column is missing or there are two of it; or no column is obviously the text or the label.
    """

    if len(names) > MOST_COLUMNS:
        raise DataError(
            f"{where} has {len(names):,} columns, more than the maximum of {MOST_COLUMNS:,}.",
            "Check the file and the --delimiter.",
        )
    forms = [_index_names(names, form) for form in (str, _tidy)]
    topics = (*TOPIC_NAMES, *([CORPUS_TOPIC] if forms[1].keys() >= CORPUS_NAMES else []))

    def find(name: str | None, usual: Sequence[str], flag: str, needed: bool = False) -> int | None:
        for candidate in [name] if name else usual:
            if (at := _find_name(names, forms, candidate, where)) is not None:
                return at
        if not (name or needed):
            return None
        missing = f"no column {quote(name)}" if name else f"no column that is obviously the {flag}"
        raise DataError(
            f"{where}: {missing} in row 1; the columns are: {list_names(names)}.",
            f"Name it with --{flag}-column{CSV_HINT if in_csv else '.'}",
        )

    return _find_each(find, data, labelled, topics)


def _find_each(find: Callable[..., int | None], data: DataConfig, labelled: bool, topics: Sequence[str]) -> Columns:
    """Return what ``find`` returns for each column: by its name in the settings, its usual names and its flag."""
    return Columns(
        find(data.text_column, TEXT_NAMES, "text", needed=True) or 0,
        find(data.label_column, LABEL_NAMES, "label", needed=True) if labelled else None,
        find(data.user_column, USER_NAMES, "user"),
        find(data.time_column, TIME_NAMES, "time"),
        find(None, topics, "topic"),
        find(data.id_column, ID_NAMES, "id"),
    )


def _index_names(names: Sequence[str], form: Callable[[str], str]) -> dict[str, list[int]]:
    """Return the positions of each name in one form, and of the same name as messages show it."""
    positions: dict[str, list[int]] = {}
    for at, name in enumerate(names):
        for spelling in {form(name), form(quote(name, LONGEST_NAME)[1:-1])}:
            positions.setdefault(spelling, []).append(at)
    return positions


def _find_name(
    names: Sequence[str], forms: Sequence[Mapping[str, list[int]]], column_name: str, where: str
) -> int | None:
    """Return the position of a column: by its exact name, else by its name without spaces, case and quotes."""
    for name, positions in zip((column_name, _tidy(column_name)), forms, strict=True):
        at = positions.get(name, [])
        if len(at) > 1:
            raise DataError(f"{where} has two columns {quote(names[at[0]])}.", "Rename one of them.")
        if at:
            return at[0]
    return None


def _tidy(name: str) -> str:
    return name.strip().strip("\ufeff\"'").strip().lower()


def _find_by_number(
    first: Sequence[str], data: DataConfig, where: str, labelled: bool, mapped: Collection[str]
) -> Layout:
    """Return the layout if columns are named by number; the first row is a header if it has a usual name."""
    usual = {*TEXT_NAMES, *LABEL_NAMES, *USER_NAMES, *TIME_NAMES, *ID_NAMES}

    def find(name: str | None, _usual: Sequence[str], flag: str, needed: bool = False) -> int | None:
        number = _parse_number(name, first) if name else None
        if number and number <= len(first):
            return number - 1
        if name or needed:
            raise DataError(
                f"{where}: row 1 has {len(first)} columns, and --{flag}-column is "
                f"{quote(name) if name else 'not given'}.",
                f"Name every needed column by its number, from 1 to {len(first)}.",
            )
        return None

    columns = _find_each(find, data, labelled, ())
    has_usual_name = any(_tidy(name) in usual for name in first)
    is_header = has_usual_name and not (columns.label is not None and is_label(first[columns.label], mapped))
    return Layout(columns, len(first), is_header)


def _parse_number(name: str, names: Sequence[str]) -> int | None:
    """Return the number that a column is named by; None for a name, which may look like a number."""
    is_number = name.isascii() and name.isdigit() and len(name) < 10 and name not in names
    return int(name) or None if is_number else None


def list_names(names: Sequence[str], most: int = 60) -> str:
    """Return names of columns or files for a message, each whole, so that it can be given to a flag."""
    quoted = [quote(name, LONGEST_NAME) for name in names[:most]]
    ends = accumulate(len(name) for name in quoted)
    shown = [name for name, end in zip(quoted, ends, strict=True) if end <= LONGEST_LIST]
    rest = f" and {len(names) - len(shown):,} others" if len(names) > len(shown) else ""
    return ", ".join(shown) + rest
