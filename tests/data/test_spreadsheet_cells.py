from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment140_bert.data.cells import FORMULAS, as_cell, from_cell


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@user hi", "\tx", "'quoted", "＝1"])
def test_what_a_spreadsheet_would_compute(text: str) -> None:
    assert as_cell(text) == f"'{text}"


@given(st.one_of(st.text(), st.builds(str.__add__, st.sampled_from(FORMULAS), st.text())))
def test_every_text_comes_back(text: str) -> None:
    cell = as_cell(text)
    assert from_cell(cell) == text
    assert not cell.startswith(tuple(sign for sign in FORMULAS if sign != "'"))
