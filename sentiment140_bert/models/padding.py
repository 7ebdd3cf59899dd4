"""Rows of numbers that are held end to end, as padded matrices: one gather for each, whatever its size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]


def padded(
    flat: Mapping[str, npt.NDArray[Any]],
    starts: Numbers,
    lengths: Numbers,
    filling: Mapping[str, int],
    *,
    left: bool = False,
    multiple: int = 1,
) -> tuple[dict[str, Numbers], npt.NDArray[np.bool_]]:
    """Some rows side by side, as wide as the longest of them.

    Args:
        flat: By name the numbers of all rows, end to end; every name has rows of the same lengths.
        starts: Where each chosen row begins in them, shape (rows,).
        lengths: Numbers of each chosen row, shape (rows,).
        filling: What a row is filled up with, by the names in ``flat``.
        left: Whether it is filled up on its left side.
        multiple: Of which the matrices are wide.

    Returns:
        Matrices of int64 by name, and where their numbers are no filling; all of shape (rows, width).
    """
    width = -(-int(lengths.max(initial=0)) // multiple) * multiple
    inside = np.arange(width) < lengths[:, None]
    inside = inside[:, ::-1] if left else inside
    before = np.cumsum(lengths) - lengths
    taken = np.arange(lengths.sum()) + np.repeat(starts - before, lengths)
    made = {}
    for name, numbers in flat.items():
        made[name] = np.full(inside.shape, filling[name], dtype=np.int64)
        made[name][inside] = numbers[taken]
    return made, inside
