"""Which tweet goes into which split: duplicates folded, the sample drawn, splits disjoint and stratified.

Every choice follows one number for each text, a hash of the seed and the text itself. So the same input and
seed give the same splits on any machine, with any number of processes and any library version; and a smaller
sample is part of a larger one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sentiment140_bert.data.schema import LABEL_NAMES, NEGATIVE, POSITIVE
from sentiment140_bert.errors import DataError
from sentiment140_bert.recipe import DataConfig

Indices = npt.NDArray[np.int64]
BOTH = 2  # stratum of a text that carries both labels, kept by conflicts=keep
DATE_FORMATS = ("%a %b %d %H:%M:%S %Y", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S")


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


def priorities(keys: Sequence[str], seed: int) -> npt.NDArray[np.uint64]:
    """The number that decides where a text goes: blake2b of the text, keyed with the seed; 8 bytes."""
    start = hashlib.blake2b(digest_size=8, key=str(seed).encode())

    def number(key: str) -> bytes:
        digest = start.copy()
        digest.update(key.encode())
        return digest.digest()

    return np.frombuffer(b"".join(map(number, keys)), dtype=">u8").astype(np.uint64)


def assign(table: pa.Table, data: DataConfig) -> dict[str, Indices]:
    """Draws the sample from all rows and parts it.

    Args:
        table: Columns ``key``, ``label`` (0 or 1), ``user`` and ``date``; one row for each text (two for a text
            that carries both labels and was kept).
        data: ``max_samples``, sizes, ``split_by`` and ``split_seed``.

    Returns:
        Row indices of ``train``, ``validation`` and ``test``; disjoint, in an order that mixes the labels.

    Raises:
        DataError: One label only, more samples asked than there are, a split without both labels, or no user or date.
    """
    labels = table["label"].to_numpy()
    _refuse_one_class(labels, len(table))
    if data.max_samples and data.max_samples > len(table):
        raise _too_few(data.max_samples, len(table))
    priority = priorities(table["key"].to_pylist(), data.split_seed)
    sample, _ = _draw(_pools(table, labels, priority), data.max_samples or len(table))
    drawn = sum(map(np.size, sample))
    n_test, n_validation = (_rows(size, drawn) for size in (data.test_size, data.validation_size))
    if n_test + n_validation > drawn - 2 or n_validation < 2 or (data.test_size and n_test < 2):
        raise DataError(
            f"{drawn:,} tweets do not allow {n_test:,} for test and {n_validation:,} for validation, with two or more "
            "everywhere and some left to train on.",
            "Change --test-size, --validation-size or --max-samples.",
        )
    if data.split_by == "random":
        test, rest = _draw(sample, n_test)
        validation, train = _draw(rest, n_validation)
        parts = [np.concatenate([units.ravel() for units in pool]) for pool in (train, validation, test)]
    else:
        rows = np.concatenate([units.ravel() for units in sample])
        cut = _by_time if data.split_by == "time" else _by_user
        parts = cut(table, rows, priority, n_validation, n_test, data.split_seed)
    splits = {
        name: part[np.argsort(priority[part], kind="stable")]
        for name, part in zip(("train", "validation", "test"), parts, strict=True)
    }
    for name, part in splits.items():
        if len(np.unique(labels[part])) < 2 and (name != "test" or data.test_size):
            raise DataError(
                f"The {name} split ({len(part):,} tweets) does not hold both labels.",
                "Take more tweets, larger splits, or --split-by random.",
            )
    return {name: part for name, part in splits.items() if len(part)}


def sample(table: pa.Table, rows: int, seed: int) -> pa.Table:
    """``rows`` rows of all of ``table`` (columns ``text`` and ``label``), stratified by label, in the table's order.

    Raises:
        DataError: There are fewer.
    """
    if rows > len(table):
        raise _too_few(rows, len(table))
    labels = table["label"].to_numpy()
    order = np.argsort(priorities(table["text"].to_pylist(), seed), kind="stable")
    classes = [order[labels[order] == label] for label in np.unique(labels)]
    quota = _proportional(rows, [len(each) for each in classes])
    chosen = np.concatenate([each[:count] for each, count in zip(classes, quota, strict=True)])
    return table.take(pa.array(np.sort(chosen)))


def _too_few(asked: int, there: int) -> DataError:
    return DataError(
        f"{asked:,} samples were asked for, but only {there:,} distinct tweets are there.",
        "Lower --max-samples, or leave it away to use all.",
    )


def _refuse_one_class(labels: npt.NDArray[np.int8], rows: int) -> None:
    present = np.unique(labels)
    if len(present) == 2:
        return
    only = LABEL_NAMES[int(present[0])] if len(present) else "unusable"
    raise DataError(
        f"One class only: all {rows:,} usable tweets are {only}.",
        "The corpus is sorted by label, its first 800,000 rows are all negative: give the whole file, and sample from "
        "all of it with --max-samples.",
    )


def _rows(size: float, total: int) -> int:
    return round(size * total) if size < 1 else int(size)


Pools = list[npt.NDArray[np.int64]]  # for each stratum a (units, rows of a unit) array of row indices


def _pools(table: pa.Table, labels: npt.NDArray[np.int8], priority: npt.NDArray[np.uint64]) -> Pools:
    """Units by stratum (negative, positive, both), each sorted by priority; rows of equal text form one unit."""
    code = _codes(table["key"])
    order = np.lexsort((labels, code, priority))
    twin = np.bincount(code)[code[order]] == 2
    single = order[~twin]
    return [
        single[labels[single] == NEGATIVE].reshape(-1, 1),
        single[labels[single] == POSITIVE].reshape(-1, 1),
        order[twin].reshape(-1, 2),
    ]


def _draw(pools: Pools, rows: int) -> tuple[Pools, Pools]:
    """The first units of every stratum, ``rows`` rows in all in the strata's proportions; and the rest."""
    quota = _proportional(rows, [pool.size for pool in pools])
    if quota[BOTH] % 2:
        quota[BOTH] -= 1
        roomiest = max((NEGATIVE, POSITIVE), key=lambda stratum: pools[stratum].size - quota[stratum])
        quota[roomiest] += 1
    units = [rows // max(pool.shape[1], 1) for rows, pool in zip(quota, pools, strict=True)]
    taken = [pool[:count] for pool, count in zip(pools, units, strict=True)]
    left = [pool[count:] for pool, count in zip(pools, units, strict=True)]
    return taken, left


def _proportional(total: int, sizes: Sequence[int]) -> list[int]:
    """``total`` shared out in proportion to ``sizes``, by largest remainder (Hamilton's method)."""
    everything = sum(sizes)
    shares = [total * size / everything for size in sizes] if everything else [0.0] * len(sizes)
    quota = [int(share) for share in shares]
    by_remainder = sorted(range(len(sizes)), key=lambda at: quota[at] - shares[at])
    for at in by_remainder[: total - sum(quota)]:
        quota[at] += 1
    return quota


def _by_time(
    table: pa.Table, rows: Indices, priority: npt.NDArray[np.uint64], n_validation: int, n_test: int, seed: int
) -> list[Indices]:
    """The latest rows are the test, those before them the validation split."""
    dates = table["date"].take(pa.array(rows)).to_pylist()
    if any(date is None for date in dates):
        raise DataError("--split-by time needs a date for every tweet, and there is none.", "Use --split-by random.")
    when = np.array([_parsed(date) for date in dates])
    order = rows[np.lexsort((priority[rows], when))]
    train = len(rows) - n_test - n_validation
    return [order[:train], order[train : train + n_validation], order[train + n_validation :]]


def _parsed(date: str) -> float:
    words = date.split()
    plain = " ".join(words[:4] + words[5:]) if len(words) == 6 else date  # without the zone's name: PDT throughout
    for known in DATE_FORMATS:
        try:
            return datetime.strptime(plain[:24] if known is DATE_FORMATS[0] else plain[:19], known).timestamp()
        except ValueError:
            continue
    raise DataError(
        f"The date {date!r} cannot be read.",
        "Known: 'Mon Apr 06 22:19:45 PDT 2009' and ISO 8601. Or use --split-by random.",
    )


def _by_user(
    table: pa.Table, rows: Indices, priority: npt.NDArray[np.uint64], n_validation: int, n_test: int, seed: int
) -> list[Indices]:
    """Whole users in hash order fill the test, then the validation split; sizes are met as nearly as users allow."""
    users: list[Any] = table["user"].take(pa.array(rows)).to_pylist()
    if any(user is None for user in users):
        raise DataError("--split-by user needs a user for every tweet, and there is none.", "Use --split-by random.")
    rank = priorities(users, seed)
    order = rows[np.lexsort((rank,))]
    starts = np.flatnonzero(np.diff(np.sort(rank), prepend=rank.min() - np.uint64(1) if rank.min() else np.uint64(1)))
    starts = np.append(starts, len(order))

    def boundary(wanted: int) -> int:
        return int(starts[np.argmin(np.abs(starts - wanted))])

    test, validation = boundary(n_test), boundary(n_test + n_validation)
    return [order[validation:], order[test:validation], order[:test]]
