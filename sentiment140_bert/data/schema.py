"""What the columns of a tweet file mean: where text and label stand, and which label is negative or positive."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sentiment140_bert import values
from sentiment140_bert.errors import DataError
from sentiment140_bert.values import MAPPED, label_pairs

NEGATIVE, POSITIVE, NEUTRAL = 0, 1, 2
DROPPED = -1  # what a label map leaves out
LABEL_NAMES = {NEGATIVE: "negative", POSITIVE: "positive", NEUTRAL: "neutral"}

_NAMED = {
    "negative": NEGATIVE,
    "neg": NEGATIVE,
    "positive": POSITIVE,
    "pos": POSITIVE,
    "neutral": NEUTRAL,
    "neu": NEUTRAL,
    "neut": NEUTRAL,
}
SIGNED = "-1/0/1"
SCHEMES: dict[str, dict[str, int]] = {
    "0/2/4 (Sentiment140)": {"0": NEGATIVE, "2": NEUTRAL, "4": POSITIVE},
    "0/1": {"0": NEGATIVE, "1": POSITIVE},
    SIGNED: {"-1": NEGATIVE, "0": NEUTRAL, "1": POSITIVE},
    "names": _NAMED,
}

TEXT_NAMES = ("text", "tweet", "sentence", "content", "sentimenttext", "tweettext", "tweet_text", "body", "message")
LABEL_NAMES_OF_COLUMNS = ("label", "target", "sentiment", "polarity", "class", "labels", "airline_sentiment")
USER_NAMES = ("user", "username", "user_name", "author")
DATE_NAMES = ("date", "created_at", "timestamp", "time", "tweetdate", "tweet_created")
TOPIC_NAMES = ("query", "topic", "flag")
NO_TOPIC = ("", "NO_QUERY")  # what the corpus writes where there is none
SIX_COLUMNS = ("target", "id", "date", "flag", "user", "text")


@dataclass(frozen=True)
class Layout:
    """Positions of the columns in a row; ``header`` says whether the first row holds their names."""

    text: int
    label: int
    width: int
    header: bool
    user: int | None = None
    date: int | None = None
    topic: int | None = None


class Columns(NamedTuple):
    """Positions of the columns by name; the last three may be missing."""

    text: int
    label: int
    user: int | None
    date: int | None
    topic: int | None


class Labels(NamedTuple):
    """``meaning`` of each tidied label (a class, or ``DROPPED``), and ``scheme``, how the report calls that."""

    scheme: str
    meaning: Mapping[str, int]


def tidy(value: object) -> str:
    """A label as the schemes spell it: ``" 4.0 "`` and ``4`` become ``"4"``, ``"Positive"`` becomes ``"positive"``."""
    return str(value).strip().strip('"').lower().removesuffix(".0")


def scheme_of(counts: Mapping[str, int]) -> str:
    """The scheme that explains most rows; of equals the first.

    Args:
        counts: How many rows carry each tidied label.
    """
    # In -1/0/1 a 0 is neutral. A few stray -1 in a file of 0 and 1 must not turn every 0 into that.
    stray = 0.01 * sum(counts.values())

    def explained(name: str) -> float:
        return sum(n for label, n in counts.items() if label in SCHEMES[name]) - (stray if name == SIGNED else 0)

    return max(SCHEMES, key=explained)


def labels_of(counts: Mapping[str, int], label_map: str | None, where: str) -> Labels:
    """What the labels of a file mean. Labels that a map does not name are read by their own names.

    Args:
        counts: How many rows carry each tidied label.
        label_map: As ``--label-map`` takes it.
        where: Name of the file, for errors.

    Raises:
        DataError: The map names no label of the file; without one, the labels are 0, 1 and 2, which datasets use for
            different things.
    """
    if label_map:
        given = mapping(label_map)
        if not given.keys() & counts.keys():
            raise DataError(
                f"{where}: the label map {values.shown(label_map)} names none of its labels, "
                f"which are {shown_counts(counts)}.",
                "Name them in --label-map.",
            )
        return Labels(f"as mapped: {label_map}", _NAMED | given)
    stray = 0.01 * sum(counts.values())
    numbers = {label for label, count in counts.items() if count > stray}
    if "2" in numbers and numbers <= {"0", "1", "2"} and "4" not in counts:
        raise DataError(
            f"{where}: its labels are {shown_counts(counts)}, and nothing says what they mean: 2 is neutral in "
            "Sentiment140, and positive where 1 is neutral.",
            f"Say it with --label-map, as in --label-map {','.join(_EXAMPLE[each] for each in sorted(numbers))}.",
        )
    scheme = scheme_of(counts)
    return Labels(scheme, SCHEMES[scheme])


_EXAMPLE = {"0": "0=negative", "1": "1=neutral", "2": "2=positive"}  # the numbers of TweetEval


def mapping(label_map: str) -> dict[str, int]:
    """A label map, by tidied labels.

    Raises:
        DataError: It is not as it must be.
    """
    pairs = label_pairs(label_map)
    given = {tidy(label): meaning for label, meaning in (pairs or {}).items()}
    if not pairs or len(given) < len(pairs):
        raise DataError(
            f"--label-map {MAPPED[1]}; got {values.shown(label_map)}.", "Each label of the file may stand in it."
        )
    return {label: DROPPED if meaning == "drop" else _NAMED[meaning] for label, meaning in given.items()}


def shown_counts(counts: Mapping[str, int]) -> str:
    """Labels and how many rows carry each, the most frequent ones."""
    most = sorted(counts, key=lambda label: (-counts[label], label))
    rest = f" and {len(most) - 8:,} others" if len(most) > 8 else ""
    return ", ".join(f"{shown(label)} ({counts[label]:,})" for label in most[:8]) + rest


def is_label(value: object, known: Collection[str] = ()) -> bool:
    """Whether any scheme knows this label, or it is one of ``known``."""
    return tidy(value) in known or any(tidy(value) in scheme for scheme in SCHEMES.values())


def layout_of(
    first: Sequence[str], text_column: str | None, label_column: str | None, where: str, known: Collection[str] = ()
) -> Layout:
    """Finds text and label from the first row of a file.

    Args:
        first: The first row, which may be a header.
        text_column: Name given by the user; asks for a header.
        label_column: Likewise.
        where: Name of the file, for errors.
        known: Labels, tidied, beside those that the schemes know.

    Raises:
        DataError: Wrong delimiter, no such column, or no way to tell the columns apart.
    """
    if len(first) < 2:
        raise DataError(
            f"{where}: row 1 has a single column ({shown(first[0] if first else '')}): is the delimiter wrong?",
            "Name the right one with --delimiter, e.g. --delimiter ';' or --delimiter '\\t'.",
        )
    if not (text_column or label_column) and (layout := without_header(first, known)):
        return layout
    text, label, user, date, topic = named_columns(first, text_column, label_column, where)
    return Layout(text, label, len(first), True, user, date, topic)


def without_header(first: Sequence[str], known: Collection[str] = ()) -> Layout | None:
    """The layout of the corpus itself, by a file's first row: six columns, or two with a label; None for any other."""
    if len(first) == 6 and is_label(first[0], known):
        return Layout(text=5, label=0, width=6, header=False, user=4, date=2, topic=3)
    if len(first) == 2 and is_label(first[0], known) != is_label(first[1], known):
        label = 0 if is_label(first[0], known) else 1
        return Layout(text=1 - label, label=label, width=2, header=False)
    return None


def named_columns(names: Sequence[str], text_column: str | None, label_column: str | None, where: str) -> Columns:
    """Positions of the columns that matter among named ones.

    Raises:
        DataError: A column that was named, or text or label, is not among them.
    """
    lower = [name.strip().strip("\ufeff").lower() for name in names]

    def find(wanted: str | None, usual: Sequence[str], flag: str) -> int:
        for name in [wanted] if wanted else usual:
            if name.lower() in lower:
                return lower.index(name.lower())
        missing = f"no column {wanted!r}" if wanted else f"no column that is obviously the {flag}"
        raise DataError(
            f"{where}: {missing} in row 1; the columns are: {shown_names(names)}.",
            f"Name it with --{flag}-column, or another separator with --delimiter. Without a header a file must have "
            "two columns (label, text) or the six of Sentiment140.",
        )

    def maybe(usual: Sequence[str]) -> int | None:
        return next((lower.index(name) for name in usual if name in lower), None)

    return Columns(
        find(text_column, TEXT_NAMES, "text"),
        find(label_column, LABEL_NAMES_OF_COLUMNS, "label"),
        maybe(USER_NAMES),
        maybe(DATE_NAMES),
        maybe(TOPIC_NAMES),
    )


def shown_names(names: Sequence[str]) -> str:
    """Names of columns in a sentence, the first ones."""
    rest = f" and {len(names) - 20:,} others" if len(names) > 20 else ""
    return ", ".join(shown(name) for name in names[:20]) + rest


def shown(text: str) -> str:
    """A label or a column's name in a sentence: quoted, and cut where it is long."""
    said = repr(text if len(text) <= 40 else text[:39] + "…")
    return said if len(said) <= 100 else said[:99] + "…"  # of signs that are written as escapes
