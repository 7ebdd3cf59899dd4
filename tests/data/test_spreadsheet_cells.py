from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment140_bert.data.texts import FORMULAS, NUMBER, escape_cell, unescape_cell


@pytest.mark.parametrize("text", ["=1+1", "+1+1", "-a1", "@user hi", "\tx", "'quoted", "＝1"])
def test_what_a_spreadsheet_would_compute(text: str) -> None:
    assert escape_cell(text) == f"'{text}"


@given(st.one_of(st.text(), st.builds(str.__add__, st.sampled_from(FORMULAS), st.text())))
def test_every_text_comes_back(text: str) -> None:
    cell = escape_cell(text)
    assert unescape_cell(cell) == text
    assert NUMBER.fullmatch(cell) or not cell.startswith(tuple(sign for sign in FORMULAS if sign != "'"))


@pytest.mark.parametrize("number", ["-1", "+1", "-0.5", "-1e-5"])
def test_a_number_stays(number: str) -> None:
    assert escape_cell(number) == number
