"""The one gather behind batches of training and of labelling; both rooms' tests hold it against transformers' own."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sentiment140_bert.models.tokenizer import pad_rows

lists = st.lists(st.lists(st.integers(1, 99), max_size=9), max_size=6)


@given(rows=lists, chosen=st.lists(st.integers(0, 5), max_size=8), left=st.booleans(), multiple=st.integers(1, 8))
def test_rows_in_any_order_are_padded_on_either_side(rows, chosen, left, multiple):
    chosen = [at for at in chosen if at < len(rows)]
    flat = np.array([number for row in rows for number in row], dtype=np.int32)
    starts = np.array([sum(map(len, rows[:at])) for at in chosen], dtype=np.int64)
    lengths = np.array([len(rows[at]) for at in chosen], dtype=np.int64)
    made, inside = pad_rows(
        {"a": flat, "b": flat * 10}, starts, lengths, {"a": -9, "b": 0}, left=left, multiple=multiple
    )
    longest = max((len(rows[at]) for at in chosen), default=0)
    width = next(width for width in range(longest, longest + multiple) if width % multiple == 0)

    def expected(times: int, filling: int) -> list[list[int]]:
        padding = [[filling] * (width - len(rows[at])) for at in chosen]
        numbers = [[times * number for number in rows[at]] for at in chosen]
        return [pad + row if left else row + pad for pad, row in zip(padding, numbers, strict=True)]

    assert made["a"].tolist() == expected(1, -9)
    assert made["b"].tolist() == expected(10, 0)
    assert inside.tolist() == [[number != -9 for number in row] for row in expected(1, -9)]
    assert made["a"].dtype == made["b"].dtype == np.int64
    assert made["a"].shape == made["b"].shape == inside.shape == (len(chosen), width)
