"""Rows of like length into batches that hold a given number of tokens."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

CPU_TOKENS = 1_024  # padding included, that a CPU is best handed at once


def batches_by_budget(
    lengths: npt.NDArray[np.int64], budget: int, pads: bool = True
) -> Iterator[npt.NDArray[np.int64]]:
    """Yield rows, longest first, cut so that a padded batch holds at most ``budget`` tokens (or a single row).

    Args:
        lengths: Tokens of each row.
        budget: Tokens of a batch.
        pads: Rows of different lengths may go together.
    """
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        longest = int(lengths[order[start]])
        size = max(1, budget // max(1, longest))
        if not pads:
            size = min(size, int((lengths[order[start : start + size]] == longest).sum()))
        yield order[start : start + size]
        start += size
