"""Find out what the labels of a tweet file mean."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from sentiment140_bert.errors import DataError
from sentiment140_bert.models.labels import (
    NAMED,
    SCHEMES,
    STARS,
    UNCLEAR,
    are_numbers,
    find_scheme,
    is_possible,
    suggest_meanings,
    tidy,
)
from sentiment140_bert.recipe.values import LABEL_MAP_RULE, parse_label_map
from sentiment140_bert.text import shorten

DROPPED = -1  # the class of rows that a label map drops
ON_A_SCALE = {"1", "2", "3", "4", "5"}  # numbers that a scheme without them may have misread
STRAY = 0.01  # largest share of the rows at which a label does not change what the others mean


class LabelMeanings(NamedTuple):
    """``meaning`` of each tidied label (a class, or ``DROPPED``), and the name of the ``scheme`` for the report."""

    scheme: str
    meaning: Mapping[str, int]


def interpret_labels(counts: Mapping[str, int], label_map: str | None, where: str) -> LabelMeanings:
    """Find out what the labels of a file mean. Labels that a map does not name are read by their own names.

    Args:
        counts: How many rows carry each tidied label.
        label_map: The value of ``--label-map``.
        where: Name of the file, for errors.

    Raises:
        DataError: The map names no label of the file; without one, the labels are numbers that datasets use for
            different things.
    """
    if label_map:
        mapping = interpret_label_map(label_map)
        if not mapping.keys() & counts.keys():
            raise DataError(
                f"{where}: the label map {shorten(label_map)} names none of its labels, "
                f"which are {list_counts(counts)}.",
                "Name them in --label-map.",
            )
        return LabelMeanings(f"as mapped: {label_map}", {**NAMED, **SCHEMES[STARS], **mapping})
    most_stray = STRAY * sum(counts.values())
    common = {label for label, count in counts.items() if count > most_stray}
    scheme = find_scheme(common, rare=counts) or _find_best_scheme(counts, common)
    in_scheme = SCHEMES[scheme].keys()
    explained = sum(counts[label] for label in common & in_scheme)
    is_unclear = (common - in_scheme) & ON_A_SCALE or 2 * explained <= sum(counts[label] for label in common)
    if are_numbers(common) and is_unclear:
        pairs = ",".join(f"{label}={meaning}" for label, meaning in suggest_meanings(common).items())
        raise DataError(
            f"{where}: its labels are {list_counts(counts)}, and {UNCLEAR}.",
            f"Say it with --label-map, as in --label-map {pairs}.",
        )
    return LabelMeanings(scheme, SCHEMES[scheme])


def _find_best_scheme(counts: Mapping[str, int], common: Collection[str]) -> str:
    """Return the scheme that explains most rows; of equals the first."""
    possible = (name for name in SCHEMES if is_possible(name, common))
    return max(possible, key=lambda name: sum(n for label, n in counts.items() if label in SCHEMES[name]))


def interpret_label_map(label_map: str) -> dict[str, int]:
    """Return the class of each tidied label of a label map.

    Raises:
        DataError: It is not written as it must be.
    """
    pairs = parse_label_map(label_map)
    mapping = {tidy(label): meaning for label, meaning in (pairs or {}).items()}
    if not pairs or len(mapping) < len(pairs):
        raise DataError(
            f"--label-map {LABEL_MAP_RULE}; got {shorten(label_map)}.", "Name any of the file's labels, each once."
        )
    return {label: DROPPED if meaning == "drop" else NAMED[meaning] for label, meaning in mapping.items()}


def list_counts(counts: Mapping[str, int]) -> str:
    """Return the most frequent labels with the number of their rows."""
    most = sorted(counts, key=lambda label: (-counts[label], label))
    rest = f" and {len(most) - 8:,} others" if len(most) > 8 else ""
    return ", ".join(f"{quote(label)} ({counts[label]:,})" for label in most[:8]) + rest


def is_label(value: object, mapped: Collection[str] = ()) -> bool:
    """Return True if any scheme has this label, or it is one of ``mapped``."""
    return tidy(value) in mapped or any(tidy(value) in scheme for scheme in SCHEMES.values())


def quote(text: str, longest: int = 40) -> str:
    """Return a label or the name of a column for a message: quoted, and cut to ``longest`` characters."""
    quoted = repr(text if len(text) <= longest else text[: longest - 1] + "…")
    return quoted if len(quoted) <= longest + 60 else quoted[: longest + 59] + "…"  # characters written as escapes
