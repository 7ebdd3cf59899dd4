"""What a scored split shares with the tweets that a model was trained on; and what a model folder can tell of it later.

A model has an easy time with texts that it was trained on. Equal ones are kept apart when splits are made, near
ones are not, and a file of one's own may hold either.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sentiment140_bert.data import clean, similarity
from sentiment140_bert.data.split import priorities
from sentiment140_bert.errors import RunError, first_line
from sentiment140_bert.run_dir import written_whole

Indices = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]

SEED = 140  # of the hashes; with another one old files would match nothing
HASHES = "hashes"  # the tensor's name
# By what two texts count as equal, which decides what the hashes are of.
RULES = hashlib.sha256(repr(clean.LEVELS["repair"]).encode()).hexdigest()


@dataclass(frozen=True)
class Audit:
    """What a split shares with training.

    ``exact`` and ``near`` are indices of its rows, in order and without a row in both. ``same_user`` counts its rows by
    somebody who also wrote a training tweet, ``overlapping_in_time`` those that are not later than the last training
    tweet: where there are any, the score is not one on tweets of the future. Both are None where no user or time is
    known on one of the sides.
    """

    exact: Indices
    near: Indices
    same_user: int | None
    overlapping_in_time: int | None

    def counts(self) -> dict[str, int | None]:
        """As ``data.json`` and ``metrics.json`` hold it."""
        return {
            "exact": len(self.exact),
            "near": len(self.near),
            "same_user": self.same_user,
            "overlapping_in_time": self.overlapping_in_time,
        }


def audit(scored: pa.Table, training: pa.Table) -> Audit:
    """Looks every scored row up in the training rows.

    Exact is a row whose text is, by :func:`clean.keys`, that of a training row. Near is one that becomes the same
    when mentions and URLs are taken away, or that has nearly the same words (:mod:`similarity`).

    Args:
        scored: Columns ``text``, ``user`` (uint64) and ``time`` (int64); ``key`` is used where it is there.
        training: Likewise.
    """
    return audits({"": scored}, training)[""]


def audits(scored: Mapping[str, pa.Table], training: pa.Table) -> dict[str, Audit]:
    """As :func:`audit`, for several splits at once: the training rows are gone through only once."""
    known = _keys(training)
    keys = {name: _keys(table) for name, table in scored.items()}
    together = pa.chunked_array([chunk for each in keys.values() for chunk in each.chunks], pa.string())
    exact = _contained(together, known)
    bare, bare_known = similarity.bare(together), similarity.bare(known)
    near = _contained(bare, bare_known) & np.asarray(pc.not_equal(bare, ""))
    open_ = np.flatnonzero(~exact & ~near)
    near[open_] = similarity.near(bare.take(pa.array(open_)), bare_known)
    near &= ~exact
    found, start = {}, 0
    for name, table in scored.items():
        rows = slice(start, start := start + len(table))
        found[name] = Audit(
            np.flatnonzero(exact[rows]),
            np.flatnonzero(near[rows]),
            _same_user(table["user"], training["user"]),
            _not_later(table["time"], training["time"]),
        )
    return found


def _keys(table: pa.Table) -> pa.ChunkedArray:
    return table["key"] if "key" in table.column_names else clean.keys(table["text"])


def _contained(values: pa.ChunkedArray, others: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    return np.array(pc.is_in(values, value_set=others, skip_nulls=True), dtype=bool)


def _same_user(users: pa.ChunkedArray, others: pa.ChunkedArray) -> int | None:
    if users.null_count == len(users) or others.null_count == len(others):
        return None
    return int(_contained(users, others).sum())


def _not_later(times: pa.ChunkedArray, others: pa.ChunkedArray) -> int | None:
    last = pc.max(others)
    if times.null_count == len(times) or not last.is_valid:
        return None
    return int(pc.sum(pc.less_equal(times, last)).as_py())


def row_hashes(texts: pa.ChunkedArray) -> Hashes:
    """A number for each text, the same for texts that count as equal; nothing else of a text can be learned from it.

    Whoever has a text can ask whether it was among those that were hashed.

    Args:
        texts: Strings, no nulls.

    Returns:
        uint64, in the order of the texts. That of two million texts two unequal ones agree has a chance of one in ten
        million.
    """
    return priorities(clean.keys(texts), SEED)


def write_hashes(path: Path, hashes: Hashes) -> None:
    """Writes the different hashes, sorted, as a safetensors file; whole or not at all."""
    from safetensors.numpy import save_file

    with written_whole(path) as temporary:
        save_file({HASHES: np.unique(hashes)}, temporary, {"rules": RULES})


def read_hashes(path: Path) -> Hashes:
    """The sorted hashes of a file that :func:`write_hashes` wrote.

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
        raise RunError(f"{path} is damaged: it holds no sorted hashes.", "Fetch or train the model again.")
    if rules != RULES:
        raise RunError(
            f"{path} was written by another version, to which other texts are equal.", "Train again with this version."
        )
    return np.asarray(hashes)
