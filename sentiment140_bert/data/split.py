"""Deduplicate tweets, draw the sample, and divide it into disjoint, stratified splits.

Every choice follows one number for each text, a hash of the seed and the text itself. So the same input and
seed give the same splits on any machine, with any number of processes and any library version; and a smaller
sample is part of a larger one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sentiment140_bert.data import origin
from sentiment140_bert.data.clean import hash_keys
from sentiment140_bert.errors import DataError
from sentiment140_bert.models.labels import LABEL_NAMES, NEUTRAL
from sentiment140_bert.recipe import DataConfig

Indices = npt.NDArray[np.int64]
SEVERAL = len(LABEL_NAMES)  # stratum of a text that carries several labels, kept by conflicts=keep


@dataclass(frozen=True)
class Deduplicated:
    """Rows that remain of equal texts, and the counts of those that were dropped.

    ``rows`` are indices into the input, in its order; ``counts`` has ``duplicates`` (repeats that were dropped),
    ``conflicting_texts``, ``conflicting_rows`` (all rows with such a text) and ``conflicting_dropped``.
    """

    rows: Indices
    counts: dict[str, int]


def deduplicate(keys: pa.ChunkedArray, labels: npt.NDArray[np.int8], conflicts: str) -> Deduplicated:
    """Keep one row of each text.

    Args:
        keys: The normalized text of each row.
        labels: Label of each row.
        conflicts: For texts with several labels: ``drop`` all their rows, keep one of the ``majority`` label (none if
            it is a tie), or ``keep`` one row of each label.
    """
    code = _encode(keys)
    of_label = np.stack([np.bincount(code, labels == label) for label in LABEL_NAMES])
    conflicting = ((of_label > 0).sum(axis=0) > 1)[code]
    if conflicts == "keep":
        rows = _find_first(code * len(LABEL_NAMES) + labels)
    elif conflicts == "majority":
        is_tie = (of_label == of_label.max(axis=0)).sum(axis=0) > 1
        agreeing = np.flatnonzero(labels == np.where(is_tie, -1, of_label.argmax(axis=0))[code])
        rows = agreeing[_find_first(code[agreeing])]
    else:
        clear = np.flatnonzero(~conflicting)
        rows = clear[_find_first(code[clear])]
    remaining = int(conflicting[rows].sum())
    counts = {
        "duplicates": int((~conflicting).sum()) - (len(rows) - remaining),
        "conflicting_texts": len(np.unique(code[conflicting])),
        "conflicting_rows": int(conflicting.sum()),
        "conflicting_dropped": int(conflicting.sum()) - remaining,
    }
    return Deduplicated(rows, counts)


def _encode(values: pa.ChunkedArray) -> Indices:
    """Return a number for each value, the same for equal ones."""
    indices = values.combine_chunks().dictionary_encode().indices
    return np.asarray(indices.to_numpy(zero_copy_only=False), dtype=np.int64)


def _find_first(code: Indices) -> Indices:
    """Return the positions of the first occurrence of every code, in order."""
    _, first = np.unique(code, return_index=True)
    return np.sort(first)


def assign_splits(table: pa.Table, data: DataConfig, name: str = "the input") -> dict[str, Indices]:
    """Draw the sample from all rows and divide it.

    Args:
        table: Columns ``key``, ``label``, ``user`` and ``date``; one row for each text, or for each label of a text
            that carries several and was kept.
        data: ``max_samples``, sizes, ``split_by`` and ``split_seed``.
        name: Name of the source, for errors.

    Returns:
        Row indices of ``train``, ``validation`` and ``test``; disjoint, in an order that mixes the labels.

    Raises:
        DataError: A label is missing, in all rows or in a split; fewer rows than ``max_samples``; no user or date.
    """
    labels = table["label"].to_numpy()
    _check_labels(labels, 3 if data.labels == 3 or NEUTRAL in labels else 2, name)
    if data.max_samples and data.max_samples > len(table):
        raise _explain_too_few(data.max_samples, len(table), name)
    text = _encode(table["key"])
    priority = hash_keys(table["key"], data.split_seed)
    order = order_stratified(labels, text, priority)
    order = order[: _find_boundary(text[order], data.max_samples or len(order))]
    n_test, n_validation = (_count_rows(size, len(order)) for size in (data.test_size, data.validation_size))
    if n_test + n_validation > len(order) - 2 or n_validation < 2 or (data.test_size and n_test < 2):
        raise DataError(
            f"{name}: {len(order):,} tweets make {n_test:,} for the test and {n_validation:,} for validation, but each "
            "split needs at least two, and so does training.",
            "Change --test-size, --validation-size or --max-samples.",
        )
    if data.split_by == "time":
        order = _order_by_time(table, order, priority, name)
        groups = order
    elif data.split_by == "user":
        order, groups = _order_by_user(table, order, data.split_seed, name)
    else:
        groups = text[order]
    first, second = _find_boundary(groups, n_test), _find_boundary(groups, n_test + n_validation)
    parts = {"train": order[second:], "validation": order[first:second], "test": order[:first]}
    for split, part in parts.items():
        if len(np.unique(labels[part])) < len(np.unique(labels)) and (split != "test" or data.test_size):
            raise DataError(
                f"{name}: the {split} split ({len(part):,} tweets) does not hold {describe_all(labels)} labels.",
                "Use more tweets, larger splits, or --split-by random.",
            )
    return {split: part[np.argsort(priority[part], kind="stable")] for split, part in parts.items() if len(part)}


def draw_sample(table: pa.Table, rows: int, seed: int, name: str = "the input") -> pa.Table:
    """Draw ``rows`` rows of ``table`` (columns ``text`` and ``label``), stratified by label, in the table's order.

    Raises:
        DataError: There are fewer.
    """
    if rows > len(table):
        raise _explain_too_few(rows, len(table), name)
    order = order_stratified(table["label"].to_numpy(), np.arange(len(table)), hash_keys(table["text"], seed))
    return table.take(pa.array(np.sort(order[:rows])))


def _explain_too_few(requested: int, available: int, name: str) -> DataError:
    return DataError(
        f"{name}: --max-samples is {requested:,}, but there are only {available:,} distinct tweets.",
        "Lower --max-samples, or omit it to use all.",
    )


def describe_all(labels: npt.NDArray[np.int8]) -> str:
    """Return the number of distinct labels in a word that fits before "labels"."""
    return "both" if len(np.unique(labels)) == 2 else "all three"


def _check_labels(labels: npt.NDArray[np.int8], count: int, name: str) -> None:
    """Make sure that all of the first ``count`` labels occur."""
    present = np.unique(labels)
    if not len(present):
        raise DataError(f"{name} holds no negative or positive tweets.", "Is it the right file?")
    if len(present) == 1:
        raise DataError(
            f"{name}: one class only, all {len(labels):,} usable tweets are {LABEL_NAMES[int(present[0])]}.",
            "Training needs both. If the file is sorted by label, give it whole, and sample from all of it with "
            "--max-samples.",
        )
    if missing := [LABEL_NAMES[label] for label in range(count) if label not in present]:
        raise DataError(
            f"{name} holds no {missing[0]} tweets, and three labels are to be told apart.",
            "Check --label-map; with --labels 2 neutral tweets are left out.",
        )


def _count_rows(size: float, total: int) -> int:
    return round(size * total) if size < 1 else int(size)


def order_stratified(labels: npt.NDArray[np.int8], text: Indices, priority: npt.NDArray[np.uint64]) -> Indices:
    """Order all rows so that every part of the order has the labels in their proportion, to within a row.

    In each stratum the k-th of n units, by priority, has the position (k + 1/2) / n; strata are merged by that. Rows of
    one text are a unit, and a stratum by themselves if they carry several labels.
    """
    order = np.lexsort((labels, text, priority))
    is_repeated = np.bincount(text)[text[order]] > 1
    stratum = np.where(is_repeated, SEVERAL, labels[order])
    position = np.empty(len(order))
    for label in np.unique(stratum):
        rows = np.flatnonzero(stratum == label)
        unit = np.cumsum(np.diff(text[order[rows]], prepend=-1) != 0) - 1
        position[rows] = (unit + 0.5) / (unit[-1] + 1)
    return order[np.lexsort((np.arange(len(order)), stratum, position))]


def _find_boundary(groups: Indices, target: int) -> int:
    """Return the boundary between two groups that is nearest to ``target`` (the lower one of two)."""
    ends = np.flatnonzero(np.diff(groups, prepend=-1, append=-1))
    return int(ends[np.argmin(np.abs(ends - target))])


def _order_by_time(table: pa.Table, rows: Indices, priority: npt.NDArray[np.uint64], name: str) -> Indices:
    dates = table["date"].take(pa.array(rows))
    if dates.null_count:
        raise DataError(f"{name} has no date for every tweet, which --split-by time needs.", "Use --split-by random.")
    times = origin.parse_dates(dates)
    if times.null_count:
        unreadable = dates.filter(pc.is_null(times))[0].as_py()
        raise DataError(
            f"{name}: the date {unreadable!r} cannot be read.",
            f"Readable: {origin.DATE_FORMATS}. Or use --split-by random.",
        )
    return rows[np.lexsort((priority[rows], times.to_numpy()))][::-1]


def _order_by_user(table: pa.Table, rows: Indices, seed: int, name: str) -> tuple[Indices, Indices]:
    """Return rows in the hash order of their users, and a number for each row's user."""
    users = table["user"].take(pa.array(rows))
    if users.null_count:
        raise DataError(f"{name} has no user for every tweet, which --split-by user needs.", "Use --split-by random.")
    rank = hash_keys(users, seed)
    by_user = np.argsort(rank, kind="stable")
    return rows[by_user], _encode(users)[by_user]
