"""Rows of like length into batches that hold a given number of tokens."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

CPU_TOKENS = 1_024  # padding included, that a CPU is best handed at once


def batches_by_budget(lengths: npt.NDArray[np.int64], budget: int) -> Iterator[npt.NDArray[np.int64]]:
    """Rows, longest first, cut so that a padded batch holds at most ``budget`` tokens (or a single row)."""
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        size = max(1, budget // max(1, int(lengths[order[start]])))
        yield order[start : start + size]
        start += size
