"""Which column of a file is the text, the label, the user, the time, the topic and the id."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sentiment140_bert.data.schema import is_label, mapping, shown
from sentiment140_bert.errors import DataError
from sentiment140_bert.recipe import DataConfig

# Names of columns in data sets that people train on, the most telling first; compared without case and spaces.
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
TOPIC_NAMES = ("query", "topic", "flag")
ID_NAMES = ("id", "tweet_id", "tweetid", "ids", "id_str")
MOST_COLUMNS = 100_000
LONGEST_NAME = 200  # characters of a name that a message shows whole
NO_TOPIC = ("", "NO_QUERY")  # what the corpus writes where there is none
CORPUS_NAMES = {"target", "flag", "user", "text"}  # of its six columns, where somebody added a header


class Columns(NamedTuple):
    """Positions of the columns in a row, from 0; None where there is no such column."""

    text: int
    label: int | None = None
    user: int | None = None
    time: int | None = None
    topic: int | None = None
    id: int | None = None


@dataclass(frozen=True)
class Layout:
    """Of a file: where its ``columns`` are, how many fields a row has, and whether the first row holds their names."""

    columns: Columns
    width: int
    header: bool


CORPUS = Columns(text=5, label=0, user=4, time=2, topic=3, id=1)


def find_layout(first: Sequence[str], data: DataConfig, where: str, labelled: bool = True) -> Layout:
    """Find the columns by the first row of a file.

    Args:
        first: The first row, which may be a header.
        data: Its names or numbers (from 1) of columns, and the labels that its map knows.
        where: Name of the file, for errors.
        labelled: A label is needed.

    Raises:
        DataError: Wrong delimiter, no such column, or no way to tell the columns apart.
    """
    known = mapping(data.label_map) if data.label_map else ()
    if len(first) < 2 and labelled:
        raise DataError(
            f"{where}: row 1 has a single column ({shown(first[0] if first else '')}): is the delimiter wrong?",
            "Name the right one with --delimiter, e.g. --delimiter ';' or --delimiter '\\t'. Labels in a file of "
            "their own are named by --labels-file.",
        )
    named = (data.text_column, data.label_column, data.user_column, data.time_column, data.id_column)
    if any(name and _number(name, first) for name in named):
        return _by_number(first, data, where, labelled, known)
    if not any(named) and (layout := layout_without_header(first, known)):
        return layout
    return Layout(find_columns(first, data, where, labelled), len(first), True)


def layout_without_header(first: Sequence[str], known: Collection[str] = ()) -> Layout | None:
    """Return the layout of a file without names by its first row: the corpus's six columns, or two with a label.

    Args:
        first: The first row.
        known: Labels, tidied, beside those that have a meaning of their own.
    """
    if len(first) == 6 and is_label(first[0], known):
        return Layout(CORPUS, 6, header=False)
    if len(first) == 2 and is_label(first[0], known) != is_label(first[1], known):
        label = 0 if is_label(first[0], known) else 1
        return Layout(Columns(text=1 - label, label=label), 2, header=False)
    return None


def find_columns(names: Sequence[str], data: DataConfig, where: str, labelled: bool = True) -> Columns:
    """Find the columns by their names.

    Raises:
        DataError: There is no column of a name that was given, two of it, or no obvious text or label.
    """

    if len(names) > MOST_COLUMNS:
        raise DataError(
            f"{where} has {len(names):,} columns, more than the {MOST_COLUMNS:,} that are read.",
            "Is it the right file, and the right --delimiter?",
        )
    forms = [_positions(names, form) for form in (str, _tidy)]

    def find(wanted: str | None, usual: Sequence[str], flag: str, needed: bool = False) -> int | None:
        for name in [wanted] if wanted else usual:
            if (at := _position(names, forms, name, where)) is not None:
                return at
        if not (wanted or needed):
            return None
        missing = f"no column {shown(wanted)}" if wanted else f"no column that is obviously the {flag}"
        raise DataError(
            f"{where}: {missing} in row 1; the columns are: {shown_names(names)}.",
            f"Name it with --{flag}-column (by its name, or by its number where the file has no header), or another "
            "separator with --delimiter. Without a header and flags, a file must have two columns (label, text) or "
            "the six of Sentiment140.",
        )

    text = find(data.text_column, TEXT_NAMES, "text", needed=True)
    return Columns(
        text or 0,
        find(data.label_column, LABEL_NAMES, "label", needed=True) if labelled else None,
        find(data.user_column, USER_NAMES, "user"),
        find(data.time_column, TIME_NAMES, "time"),
        find(None, TOPIC_NAMES, "topic"),
        find(data.id_column, ID_NAMES, "id"),
    )


def _positions(names: Sequence[str], form: Callable[[str], str]) -> dict[str, list[int]]:
    """Return where each form of a name stands: of the name itself, and as messages show it."""
    found: dict[str, list[int]] = {}
    for at, name in enumerate(names):
        for each in {form(name), form(shown(name, LONGEST_NAME)[1:-1])}:
            found.setdefault(each, []).append(at)
    return found


def _position(names: Sequence[str], forms: Sequence[Mapping[str, list[int]]], wanted: str, where: str) -> int | None:
    """Return where a column stands; by its name as it is, else without spaces, case and marks around it."""
    for name, positions in zip((wanted, _tidy(wanted)), forms, strict=True):
        at = positions.get(name, [])
        if len(at) > 1:
            raise DataError(
                f"{where} has two columns {shown(names[at[0]])}.", "Rename one of them: it is not clear which is meant."
            )
        if at:
            return at[0]
    return None


def _tidy(name: str) -> str:
    return name.strip().strip("\ufeff\"'").strip().lower()


def _by_number(first: Sequence[str], data: DataConfig, where: str, labelled: bool, known: Collection[str]) -> Layout:
    """Return the layout of which columns are named by number; the first row is a header if it has a usual name."""
    usual = {*TEXT_NAMES, *LABEL_NAMES, *USER_NAMES, *TIME_NAMES, *ID_NAMES}

    def find(wanted: str | None, flag: str, needed: bool = False) -> int | None:
        number = _number(wanted, first) if wanted else None
        if number and number <= len(first):
            return number - 1
        if wanted or needed:
            raise DataError(
                f"{where}: row 1 has {len(first)} columns, and --{flag}-column is "
                f"{shown(wanted) if wanted else 'not given'}.",
                f"Give the numbers of all columns that are needed, from 1 to {len(first)}.",
            )
        return None

    label = find(data.label_column, "label", needed=True) if labelled else None
    columns = Columns(
        find(data.text_column, "text", needed=True) or 0,
        label,
        find(data.user_column, "user"),
        find(data.time_column, "time"),
        id=find(data.id_column, "id"),
    )
    is_header = any(_tidy(name) in usual for name in first) and not (
        label is not None and is_label(first[label], known)
    )
    return Layout(columns, len(first), is_header)


def _number(wanted: str, names: Sequence[str]) -> int | None:
    """Return the number that a column is named by; None for a name, which a number may be."""
    is_number = wanted.isascii() and wanted.isdigit() and len(wanted) < 10 and wanted not in names
    return int(wanted) or None if is_number else None


def shown_names(names: Sequence[str], most: int = 60) -> str:
    """Return names of columns or files for a message, each whole, so that it can be given to a flag."""
    rest = f" and {len(names) - most:,} others" if len(names) > most else ""
    return ", ".join(shown(name, LONGEST_NAME) for name in names[:most]) + rest
