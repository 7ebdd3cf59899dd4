"""The one gather behind batches of training and of labelling; both rooms' tests hold it against transformers' own."""

from __future__ import annotations

import numpy as np
import pytest

from sentiment140_bert.padding import padded

FLAT = np.array([1, 2, 3, 4, 5, 6], dtype=np.int32)  # rows of 2, 0 and 4 numbers


@pytest.mark.parametrize(
    ("left", "multiple", "rows"),
    [
        (False, 1, [[3, 4, 5, 6], [9, 9, 9, 9], [1, 2, 9, 9]]),
        (True, 1, [[3, 4, 5, 6], [9, 9, 9, 9], [9, 9, 1, 2]]),
        (False, 5, [[3, 4, 5, 6, 9], [9, 9, 9, 9, 9], [1, 2, 9, 9, 9]]),
        (True, 3, [[9, 9, 3, 4, 5, 6], [9] * 6, [9, 9, 9, 9, 1, 2]]),
    ],
)
def test_rows_in_any_order_filled_up_on_either_side(left: bool, multiple: int, rows: list[list[int]]) -> None:
    made, inside = padded(
        {"a": FLAT, "b": FLAT * 10}, np.array([2, 2, 0]), np.array([4, 0, 2]), {"a": 9, "b": 90},
        left=left, multiple=multiple,
    )  # fmt: skip
    assert made["a"].tolist() == rows
    assert made["b"].tolist() == [[10 * number for number in row] for row in rows]
    assert inside.tolist() == [[number != 9 for number in row] for row in rows]
    assert made["a"].dtype == np.int64


def test_no_rows_are_an_empty_matrix() -> None:
    nothing = np.array([], dtype=np.int64)
    made, inside = padded({"a": FLAT}, nothing, nothing, {"a": 9})
    assert made["a"].shape == inside.shape == (0, 0)
