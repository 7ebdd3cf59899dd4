"""Which tweet goes into which split: duplicates folded, the sample drawn, splits disjoint and stratified.

Every choice follows one number for each text, a hash of the seed and the text itself. So the same input and
seed give the same splits on any machine, with any number of processes and any library version; and a smaller
sample is part of a larger one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sentiment140_bert.data import dates
from sentiment140_bert.data.schema import LABEL_NAMES, NEGATIVE, POSITIVE
from sentiment140_bert.errors import DataError
from sentiment140_bert.recipe import DataConfig

Indices = npt.NDArray[np.int64]
ROWS_AT_ONCE = 50_000
BOTH = 2  # stratum of a text that carries both labels, kept by conflicts=keep


@dataclass(frozen=True)
class Folded:
    """Rows that remain after equal texts were folded into one, and what was folded.

    ``rows`` are indices into the input, in its order; ``counts`` has ``duplicates`` (repeats that were dropped),
    ``conflicting_texts``, ``conflicting_rows`` (all rows with such a text) and ``conflicting_dropped``.
    """

    rows: Indices
    counts: dict[str, int]


def fold(keys: pa.ChunkedArray, labels: npt.NDArray[np.int8], conflicts: str) -> Folded:
    """Keeps one row of each text.

    Args:
        keys: The normalised text of each row.
        labels: 0 or 1 of each row.
        conflicts: What becomes of texts with both labels: ``drop`` all their rows, keep one of the ``majority`` label
            (none where it is a tie), or ``keep`` one row of each label.
    """
    code = _codes(keys)
    positive, total = np.bincount(code, labels == POSITIVE), np.bincount(code)
    both = (positive > 0) & (positive < total)
    if conflicts == "keep":
        kept = _first_of(code * 2 + labels)
    elif conflicts == "majority":
        winner = np.where(2 * positive > total, POSITIVE, np.where(2 * positive < total, NEGATIVE, -1))
        agreeing = np.flatnonzero(labels == winner[code])
        kept = agreeing[_first_of(code[agreeing])]
    else:
        clear = np.flatnonzero(~both[code])
        kept = clear[_first_of(code[clear])]
    conflicting = both[code]
    kept_conflicting = int(conflicting[kept].sum())
    counts = {
        "duplicates": int((~conflicting).sum()) - (len(kept) - kept_conflicting),
        "conflicting_texts": int(both.sum()),
        "conflicting_rows": int(conflicting.sum()),
        "conflicting_dropped": int(conflicting.sum()) - kept_conflicting,
    }
    return Folded(kept, counts)


def _codes(values: pa.ChunkedArray) -> Indices:
    """A number for each value, the same for equal ones."""
    indices = values.combine_chunks().dictionary_encode().indices
    return np.asarray(indices.to_numpy(zero_copy_only=False), dtype=np.int64)


def _first_of(code: Indices) -> Indices:
    """Positions of the first occurrence of every code, in order."""
    _, first = np.unique(code, return_index=True)
    return np.sort(first)


def priorities(keys: pa.ChunkedArray, seed: int) -> npt.NDArray[np.uint64]:
    """The number that decides where a text goes: blake2b of the text, keyed with the seed; 8 bytes."""
    start = hashlib.blake2b(digest_size=8, key=str(seed).encode())

    def number(key: str) -> bytes:
        digest = start.copy()
        digest.update(key.encode())
        return digest.digest()

    slices = (keys.slice(start, ROWS_AT_ONCE).to_pylist() for start in range(0, len(keys), ROWS_AT_ONCE))
    numbers = b"".join(b"".join(map(number, some)) for some in slices)
    return np.frombuffer(numbers, dtype=">u8").astype(np.uint64)


def assign(table: pa.Table, data: DataConfig, name: str = "the input") -> dict[str, Indices]:
    """Draws the sample from all rows and parts it.

    Args:
        table: Columns ``key``, ``label`` (0 or 1), ``user`` and ``date``; one row for each text (two for a text
            that carries both labels and was kept).
        data: ``max_samples``, sizes, ``split_by`` and ``split_seed``.
        name: Of the source, for errors.

    Returns:
        Row indices of ``train``, ``validation`` and ``test``; disjoint, in an order that mixes the labels.

    Raises:
        DataError: One label only, more samples asked than there are, a split without both labels, or no user or date.
    """
    labels = table["label"].to_numpy()
    _refuse_one_class(labels, name)
    if data.max_samples and data.max_samples > len(table):
        raise _too_few(data.max_samples, len(table), name)
    text = _codes(table["key"])
    priority = priorities(table["key"], data.split_seed)
    order = drawing_order(labels, text, priority)
    order = order[: _cut(text[order], data.max_samples or len(order))]
    n_test, n_validation = (_rows(size, len(order)) for size in (data.test_size, data.validation_size))
    if n_test + n_validation > len(order) - 2 or n_validation < 2 or (data.test_size and n_test < 2):
        raise DataError(
            f"{name}: {len(order):,} tweets do not allow {n_test:,} for test and {n_validation:,} for validation, with "
            "two or more everywhere and some left to train on.",
            "Change --test-size, --validation-size or --max-samples.",
        )
    if data.split_by == "time":
        order = _latest_first(table, order, priority, name)
        groups = order
    elif data.split_by == "user":
        order, groups = _user_by_user(table, order, data.split_seed, name)
    else:
        groups = text[order]
    first, second = _cut(groups, n_test), _cut(groups, n_test + n_validation)
    parts = {"train": order[second:], "validation": order[first:second], "test": order[:first]}
    for split, part in parts.items():
        if len(np.unique(labels[part])) < 2 and (split != "test" or data.test_size):
            raise DataError(
                f"{name}: the {split} split ({len(part):,} tweets) does not hold both labels.",
                "Take more tweets, larger splits, or --split-by random.",
            )
    return {split: part[np.argsort(priority[part], kind="stable")] for split, part in parts.items() if len(part)}


def sample(table: pa.Table, rows: int, seed: int, name: str = "the input") -> pa.Table:
    """``rows`` rows of all of ``table`` (columns ``text`` and ``label``), stratified by label, in the table's order.

    Raises:
        DataError: There are fewer.
    """
    if rows > len(table):
        raise _too_few(rows, len(table), name)
    order = drawing_order(table["label"].to_numpy(), np.arange(len(table)), priorities(table["text"], seed))
    return table.take(pa.array(np.sort(order[:rows])))


def _too_few(asked: int, there: int, name: str) -> DataError:
    return DataError(
        f"{name}: {asked:,} samples were asked for, but only {there:,} distinct tweets are there.",
        "Lower --max-samples, or leave it away to use all.",
    )


def _refuse_one_class(labels: npt.NDArray[np.int8], name: str) -> None:
    present = np.unique(labels)
    if not len(present):
        raise DataError(f"{name} holds no tweet that is negative or positive.", "Is it the right file?")
    if len(present) == 1:
        raise DataError(
            f"{name}: one class only, all {len(labels):,} usable tweets are {LABEL_NAMES[int(present[0])]}.",
            "The corpus is sorted by label, its first 800,000 rows are all negative: give the whole file, and sample "
            "from all of it with --max-samples.",
        )


def _rows(size: float, total: int) -> int:
    return round(size * total) if size < 1 else int(size)


def drawing_order(labels: npt.NDArray[np.int8], text: Indices, priority: npt.NDArray[np.uint64]) -> Indices:
    """All rows in an order of which every stretch holds the labels in their proportion, to within a row.

    In each stratum the k-th of n units, by priority, stands at (k + 1/2) / n; strata are merged by that. Rows of one
    text are a unit, and a stratum of their own where they carry both labels.
    """
    order = np.lexsort((labels, text, priority))
    twins = np.bincount(text)[text[order]] == 2
    stratum = np.where(twins, BOTH, labels[order])
    position = np.empty(len(order))
    for each in np.unique(stratum):
        chosen = np.flatnonzero(stratum == each)
        unit = np.arange(len(chosen)) // (2 if each == BOTH else 1)
        position[chosen] = (unit + 0.5) / (unit[-1] + 1)
    return order[np.lexsort((np.arange(len(order)), stratum, position))]


def _cut(groups: Indices, wanted: int) -> int:
    """The place nearest to ``wanted`` where one group ends and the next begins (the lower one of two)."""
    ends = np.flatnonzero(np.diff(groups, prepend=-1, append=-1))
    return int(ends[np.argmin(np.abs(ends - wanted))])


def _latest_first(table: pa.Table, rows: Indices, priority: npt.NDArray[np.uint64], name: str) -> Indices:
    written = table["date"].take(pa.array(rows))
    if written.null_count:
        raise DataError(f"{name} has no date for every tweet, which --split-by time needs.", "Use --split-by random.")
    when = dates.seconds(written)
    if when.null_count:
        unread = written.filter(pc.is_null(when))[0].as_py()
        raise DataError(
            f"{name}: the date {unread!r} cannot be read.", f"Known: {dates.KNOWN}. Or use --split-by random."
        )
    return rows[np.lexsort((priority[rows], when.to_numpy()))][::-1]


def _user_by_user(table: pa.Table, rows: Indices, seed: int, name: str) -> tuple[Indices, Indices]:
    """Rows in the hash order of their users, and a number for each row's user."""
    users = table["user"].take(pa.array(rows))
    if users.null_count:
        raise DataError(f"{name} has no user for every tweet, which --split-by user needs.", "Use --split-by random.")
    rank = priorities(users, seed)
    by_user = np.argsort(rank, kind="stable")
    return rows[by_user], _codes(users)[by_user]
