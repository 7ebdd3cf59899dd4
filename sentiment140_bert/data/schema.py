"""What the labels of a tweet file mean."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from sentiment140_bert.errors import DataError
from sentiment140_bert.models.labels import (
    LABEL_NAMES,
    NAMED,
    NEGATIVE,
    NEUTRAL,
    POSITIVE,
    SCHEMES,
    STARS,
    UNCLEAR,
    are_numbers,
    example,
    find_scheme,
    is_possible,
    tidy,
)
from sentiment140_bert.recipe.values import LABEL_MAP_RULE, parse_label_map
from sentiment140_bert.visible import shorten

__all__ = [
    "DROPPED",
    "LABEL_NAMES",
    "NEGATIVE",
    "NEUTRAL",
    "POSITIVE",
    "SCHEMES",
    "Labels",
    "is_label",
    "labels_of",
    "mapping",
    "shown",
    "shown_counts",
    "tidy",
]

DROPPED = -1  # what a label map leaves out
ON_A_SCALE = {"1", "2", "3", "4", "5"}  # numbers that a scheme which does not know them may have misread
STRAY = 0.01  # share of the rows up to which a label does not change what the others mean


class Labels(NamedTuple):
    """``meaning`` of each tidied label (a class, or ``DROPPED``), and ``scheme``, how the report calls that."""

    scheme: str
    meaning: Mapping[str, int]


def labels_of(counts: Mapping[str, int], label_map: str | None, where: str) -> Labels:
    """Find out what the labels of a file mean. Labels that a map does not name are read by their own names.

    Args:
        counts: How many rows carry each tidied label.
        label_map: As ``--label-map`` takes it.
        where: Name of the file, for errors.

    Raises:
        DataError: The map names no label of the file; without one, the labels are numbers that datasets use for
            different things.
    """
    if label_map:
        given = mapping(label_map)
        if not given.keys() & counts.keys():
            raise DataError(
                f"{where}: the label map {shorten(label_map)} names none of its labels, "
                f"which are {shown_counts(counts)}.",
                "Name them in --label-map.",
            )
        return Labels(f"as mapped: {label_map}", {**NAMED, **SCHEMES[STARS], **given})
    common = {label for label, count in counts.items() if count > STRAY * sum(counts.values())}
    scheme = find_scheme(common, rare=counts) or _best_scheme(counts, common)
    known = SCHEMES[scheme].keys()
    explained = sum(counts[label] for label in common & known)
    if are_numbers(common) and ((common - known) & ON_A_SCALE or 2 * explained <= sum(counts[each] for each in common)):
        pairs = ",".join(f"{label}={meaning}" for label, meaning in example(common).items())
        raise DataError(
            f"{where}: its labels are {shown_counts(counts)}, and {UNCLEAR}.",
            f"Say it with --label-map, as in --label-map {pairs}.",
        )
    return Labels(scheme, SCHEMES[scheme])


def _best_scheme(counts: Mapping[str, int], common: Collection[str]) -> str:
    """Return the scheme that explains most rows; of equals the first."""
    possible = (name for name in SCHEMES if is_possible(name, common))
    return max(possible, key=lambda name: sum(n for label, n in counts.items() if label in SCHEMES[name]))


def mapping(label_map: str) -> dict[str, int]:
    """Return a label map, by tidied labels.

    Raises:
        DataError: It is not as it must be.
    """
    pairs = parse_label_map(label_map)
    given = {tidy(label): meaning for label, meaning in (pairs or {}).items()}
    if not pairs or len(given) < len(pairs):
        raise DataError(
            f"--label-map {LABEL_MAP_RULE}; got {shorten(label_map)}.", "Each label of the file may stand in it."
        )
    return {label: DROPPED if meaning == "drop" else NAMED[meaning] for label, meaning in given.items()}


def shown_counts(counts: Mapping[str, int]) -> str:
    """Return labels and how many rows carry each, the most frequent ones."""
    most = sorted(counts, key=lambda label: (-counts[label], label))
    rest = f" and {len(most) - 8:,} others" if len(most) > 8 else ""
    return ", ".join(f"{shown(label)} ({counts[label]:,})" for label in most[:8]) + rest


def is_label(value: object, known: Collection[str] = ()) -> bool:
    """Return True if any scheme knows this label, or it is one of ``known``."""
    return tidy(value) in known or any(tidy(value) in scheme for scheme in SCHEMES.values())


def shown(text: str, longest: int = 40) -> str:
    """Return a label or a column's name for a message: quoted, and cut where it is longer than so many characters."""
    said = repr(text if len(text) <= longest else text[: longest - 1] + "…")
    return said if len(said) <= longest + 60 else said[: longest + 59] + "…"  # of signs that are written as escapes
