"""Signs that command a terminal, reverse a line or hide are shown as escapes; all that people read is left alone."""

from __future__ import annotations

import json
import sys
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from sentiment140_bert.text import escape_hidden, escape_hidden_json

BIDIRECTIONAL = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
MARKS = "\u061c\u200e\u200f"  # of direction
WITHOUT_WIDTH = "\u00ad\u180e\u200b\u2060\u2061\u2062\u2063\u2064\ufeff\ufff9\ufffa\ufffb"
SEPARATORS = ("Cc", "Zl", "Zp", "Cs")
READABLE = ("L", "M", "N", "P", "S")


def is_hidden(sign: str) -> bool:
    return escape_hidden(sign) != sign


def test_every_unprintable_character_is_shown_as_an_escape() -> None:
    signs = [chr(code) for code in range(sys.maxunicode + 1)]
    hidden = {
        sign
        for sign in signs
        if unicodedata.category(sign) in SEPARATORS or unicodedata.bidirectional(sign) in BIDIRECTIONAL
    }
    hidden |= {*MARKS, *WITHOUT_WIDTH, *map(chr, range(0xE0000, 0xE0080))}  # the last are tags
    hidden -= {"\n", "\t"}
    assert [ascii(sign) for sign in hidden if escape_hidden(sign) != ascii(sign)[1:-1]] == []


def test_ordinary_text_stays_unchanged() -> None:
    signs = [chr(code) for code in range(sys.maxunicode + 1)]
    readable = [sign for sign in signs if unicodedata.category(sign)[0] in READABLE or sign in " \n\t\xa0\u200c\u200d"]
    assert [ascii(sign) for sign in readable if is_hidden(sign)] == []


@given(st.text(max_size=20))
def test_json_means_the_same(text: str) -> None:
    for shown in (
        escape_hidden_json(json.dumps(text, ensure_ascii=False)),
        escape_hidden_json(json.dumps([text], indent=1)),
    ):
        assert not any(is_hidden(sign) for sign in shown)
        assert json.loads(shown) in (text, [text])


def test_white_space_between_the_values_of_json_stays() -> None:
    assert json.loads(escape_hidden_json('{\r\n"a": "\u202e\x7f"}')) == {"a": "\u202e\x7f"}
