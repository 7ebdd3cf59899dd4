"""What the columns of a tweet file mean: where text and label stand, and which label is negative or positive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sentiment140_bert.errors import DataError

NEGATIVE, POSITIVE, NEUTRAL = 0, 1, 2
LABEL_NAMES = {NEGATIVE: "negative", POSITIVE: "positive", NEUTRAL: "neutral"}

_NAMED = {
    "negative": NEGATIVE,
    "neg": NEGATIVE,
    "positive": POSITIVE,
    "pos": POSITIVE,
    "neutral": NEUTRAL,
    "neu": NEUTRAL,
}
SIGNED = "-1/0/1"
SCHEMES: dict[str, dict[str, int]] = {
    "0/2/4 (Sentiment140)": {"0": NEGATIVE, "2": NEUTRAL, "4": POSITIVE},
    "0/1": {"0": NEGATIVE, "1": POSITIVE},
    SIGNED: {"-1": NEGATIVE, "0": NEUTRAL, "1": POSITIVE},
    "names": _NAMED,
}

TEXT_NAMES = ("text", "tweet", "sentence", "content", "sentimenttext", "body", "message")
LABEL_NAMES_OF_COLUMNS = ("label", "target", "sentiment", "polarity", "class", "labels")
USER_NAMES = ("user", "username", "user_name", "author")
DATE_NAMES = ("date", "created_at", "timestamp", "time")
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


def is_label(value: object) -> bool:
    """Whether any scheme knows this label."""
    return any(tidy(value) in scheme for scheme in SCHEMES.values())


def layout_of(first: Sequence[str], text_column: str | None, label_column: str | None, where: str) -> Layout:
    """Finds text and label from the first row of a file.

    Args:
        first: The first row, which may be a header.
        text_column: Name given by the user; asks for a header.
        label_column: Likewise.
        where: Name of the file, for errors.

    Raises:
        DataError: Wrong delimiter, no such column, or no way to tell the columns apart.
    """
    if len(first) < 2:
        raise DataError(
            f"{where}: row 1 has a single column ({_shown(first[0] if first else '')}): is the delimiter wrong?",
            "Name the right one with --delimiter, e.g. --delimiter ';' or --delimiter '\\t'.",
        )
    if not (text_column or label_column) and (known := without_header(first)):
        return known
    text, label, user, date = named_columns(first, text_column, label_column, where)
    return Layout(text, label, len(first), True, user, date)


def without_header(first: Sequence[str]) -> Layout | None:
    """The layout of the corpus itself, by a file's first row: six columns, or two with a label; None for any other."""
    if len(first) == 6 and is_label(first[0]):
        return Layout(text=5, label=0, width=6, header=False, user=4, date=2)
    if len(first) == 2 and is_label(first[0]) != is_label(first[1]):
        label = 0 if is_label(first[0]) else 1
        return Layout(text=1 - label, label=label, width=2, header=False)
    return None


def named_columns(
    names: Sequence[str], text_column: str | None, label_column: str | None, where: str
) -> tuple[int, int, int | None, int | None]:
    """Positions of text, label, user and date among named columns (the last two may be None).

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
            f"{where}: {missing} in row 1; the columns are: {', '.join(_shown(name) for name in names)}.",
            f"Name it with --{flag}-column, or another separator with --delimiter. Without a header a file must have "
            "two columns (label, text) or the six of Sentiment140.",
        )

    def maybe(usual: Sequence[str]) -> int | None:
        return next((lower.index(name) for name in usual if name in lower), None)

    return (
        find(text_column, TEXT_NAMES, "text"),
        find(label_column, LABEL_NAMES_OF_COLUMNS, "label"),
        maybe(USER_NAMES),
        maybe(DATE_NAMES),
    )


def _shown(text: str) -> str:
    short = text if len(text) <= 40 else text[:39] + "…"
    return repr(short)
