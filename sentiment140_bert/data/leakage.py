"""Count what a scored split shares with the training tweets, and store hashes for the same question later.

Texts that a model was trained on are easy for it. Equal ones never get into two splits, near duplicates may, and any
other file that is scored may hold either.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sentiment140_bert import schemas
from sentiment140_bert.data import clean, near_duplicates
from sentiment140_bert.errors import RunError, first_line
from sentiment140_bert.files import write_whole

log = logging.getLogger(__name__)
Indices = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]

SEED = 140  # of the hashes; with another one old files would match nothing
AUDITED = ("validation", "test", "manual")  # the splits of which data.json has counts
HASHES = "hashes"  # the tensor's name
# The rules by which two texts count as equal, which decide the hashed keys.
RULES = hashlib.sha256(repr(clean.LEVELS["repair"]).encode()).hexdigest()


@dataclass(frozen=True)
class Audit:
    """The rows that a split shares with training.

    ``exact`` and ``near`` are indices of its rows, in order and without a row in both; ``near`` is None if only the
    hashes of the training texts are there. ``same_user`` counts its rows by
    a user who also wrote a training tweet, ``overlapping_in_time`` those that are not later than the last training
    tweet: if there are any, the score is not one on later tweets. Both are None if one side has no users or times.
    """

    exact: Indices
    near: Indices | None
    same_user: int | None
    overlapping_in_time: int | None

    def rows(self) -> dict[str, list[int]]:
        """Return the indices of the ``exact`` and ``near`` rows."""
        return {"exact": self.exact.tolist(), "near": [] if self.near is None else self.near.tolist()}

    def counts(self) -> schemas.Leakage:
        """Return the counts that ``data.json`` and ``metrics.json`` hold."""
        return {
            "exact": len(self.exact),
            "near": None if self.near is None else len(self.near),
            "same_user": self.same_user,
            "overlapping_in_time": self.overlapping_in_time,
        }


def audit(scored: pa.Table, training: pa.Table) -> Audit:
    """Look every scored row up in the training rows.

    Exact is a row whose text is, by :func:`clean.make_keys`, that of a training row. Near is one that becomes the same
    when mentions and URLs are removed, or that has nearly the same words (:mod:`near_duplicates`).

    Args:
        scored: Columns ``text``, ``user`` (uint64) and ``time`` (int64); ``key`` is used if it exists.
        training: The same columns.
    """
    return audit_splits({"": scored}, training)[""]


def audit_splits(scored: Mapping[str, pa.Table], training: pa.Table) -> dict[str, Audit]:
    """Audit several splits at once, with a single pass over the training rows."""
    training_keys = _get_keys(training)
    keys = {name: _get_keys(table) for name, table in scored.items()}
    together = pa.chunked_array([chunk for column in keys.values() for chunk in column.chunks], pa.string())
    exact = _is_in(together, training_keys)
    texts, training_texts = near_duplicates.strip_masks(together), near_duplicates.strip_masks(training_keys)
    near = _is_in(texts, training_texts) & np.asarray(pc.not_equal(texts, ""))
    undecided = np.flatnonzero(~exact & ~near)
    near[undecided] = near_duplicates.find_near_duplicates(texts.take(pa.array(undecided)), training_texts)
    near &= ~exact
    audits, start = {}, 0
    for name, table in scored.items():
        rows = slice(start, start := start + len(table))
        audits[name] = Audit(
            np.flatnonzero(exact[rows]),
            np.flatnonzero(near[rows]),
            _count_same_user(table["user"], training["user"]),
            _count_not_later(table["time"], training["time"]),
        )
    return audits


def count_shared(tables: Mapping[str, pa.Table]) -> dict[str, schemas.Leakage]:
    """Count the rows that each split of ``tables`` shares with its train split, for ``data.json``."""
    audited = {name: tables[name] for name in AUDITED if name in tables}
    return {name: audit.counts() for name, audit in audit_splits(audited, tables["train"]).items()}


def _get_keys(table: pa.Table) -> pa.ChunkedArray:
    return table["key"] if "key" in table.column_names else clean.make_keys(table["text"])


def _is_in(values: pa.ChunkedArray, others: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    return np.array(pc.is_in(values, value_set=others, skip_nulls=True), dtype=bool)


def _count_same_user(users: pa.ChunkedArray, others: pa.ChunkedArray) -> int | None:
    if users.null_count == len(users) or others.null_count == len(others):
        return None
    return int(_is_in(users, others).sum())


def _count_not_later(times: pa.ChunkedArray, others: pa.ChunkedArray) -> int | None:
    last = pc.max(others)
    if times.null_count == len(times) or not last.is_valid:
        return None
    return int(pc.sum(pc.less_equal(times, last)).as_py())


def hash_texts(texts: pa.ChunkedArray) -> Hashes:
    """Return a number for each text, the same for texts that count as equal.

    A text can be looked up among the hashed ones; nothing else of them can be learned.

    Args:
        texts: Strings, no nulls.

    Returns:
        uint64, in the order of the texts. The chance that two unequal ones of two million texts agree is one in ten
        million.
    """
    return clean.hash_keys(clean.make_keys(texts), SEED)


def write_hashes(path: Path, hashes: Hashes) -> None:
    """Write the distinct hashes, sorted, as a safetensors file; whole or not at all."""
    from safetensors.numpy import save_file

    with write_whole(path) as temporary:
        save_file({HASHES: np.unique(hashes)}, temporary, {"rules": RULES})


def add_hashes(path: Path, hashes: Hashes) -> None:
    """Write the hashes of a model's training texts, with those of its ancestors that the file holds already."""
    if path.exists():
        try:
            hashes = np.union1d(hashes, read_hashes(path))
        except RunError as error:
            log.warning(
                "leakage: what this model's base or teacher was trained on is no longer known: %s", error.message
            )
    write_hashes(path, hashes)


def read_hashes(path: Path) -> Hashes:
    """Read the sorted hashes of a file that :func:`write_hashes` wrote.

    Raises:
        RunError: It is missing, damaged, or was written by a version to which other texts are equal.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            rules = (file.metadata() or {}).get("rules")
            hashes = file.get_tensor(HASHES)
    except FileNotFoundError:
        raise RunError(f"There is no file {path}.", "Models of older versions have none; train again.") from None
    except (SafetensorError, OSError, TypeError, AttributeError) as error:  # the last two of types that numpy lacks
        raise RunError(f"{path} is damaged: {first_line(error)}.", "Fetch or train the model again.") from None
    if hashes.dtype != np.uint64 or hashes.ndim != 1 or not (hashes[:-1] < hashes[1:]).all():
        raise RunError(f"{path} is damaged: its hashes are not sorted.", "Fetch or train the model again.")
    if rules != RULES:
        raise RunError(
            f"{path} was written by another version, which compares texts differently.",
            "Train again with this version.",
        )
    return np.asarray(hashes)
