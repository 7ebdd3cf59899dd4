"""What the labels of a tweet file mean."""

from __future__ import annotations

from collections.abc import Collection, Mapping
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


def shown(text: str, longest: int = 40) -> str:
    """Return a label or a column's name for a message: quoted, and cut where it is longer than so many characters."""
    said = repr(text if len(text) <= longest else text[: longest - 1] + "…")
    return said if len(said) <= longest + 60 else said[: longest + 59] + "…"  # of signs that are written as escapes
