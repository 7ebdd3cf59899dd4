"""What strangers wrote stays text wherever a card puts it; judged by a Markdown renderer, not by our own rules."""

from __future__ import annotations

import ast
import re
import unicodedata
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from cards_names import HOSTILE
from sentiment140_bert.cards.markup import code, count, escape, interval, literal, plain, score, shell

TEXT = st.text(max_size=40) | st.lists(
    st.sampled_from([*"*_`|[]()<>!#~\\&@:/-+.=1 \n\ta", *HOSTILE, "\ud800"]), max_size=8
).map("".join)
RENDERER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def shape(markdown: str) -> list[str]:
    """What kinds of things a text is made of, in order: no text, only its structure."""

    def kinds(tokens: list[Token]) -> Any:
        for token in tokens:
            if token.type == "inline":
                yield from kinds(token.children or [])
            elif token.type not in ("text", "softbreak"):
                yield token.type

    return [*kinds(RENDERER.parse(markdown))]


def words(markdown: str) -> str:
    """What a reader sees."""

    def seen(tokens: list[Token]) -> Any:
        for token in tokens:
            if token.type in ("text", "code_inline", "fence", "html_block", "html_inline"):
                yield token.content
            elif token.type == "softbreak":
                yield " "
            yield from seen(token.children or [])

    return "".join(seen(RENDERER.parse(markdown)))


def page(text: str) -> str:
    """The places where the templates put a text."""
    return f"# {text}\n\non {text} fine.\n\n- one: {text}, 3 rows\n\n| {text} | b |\n|---|---|\n| a | {text} |\n"


@given(TEXT)
@example("a\\")
def test_an_escaped_text_is_nothing_but_text(text: str) -> None:
    escaped = escape(text)
    assert shape(page(escaped)) == shape(page("x"))
    if plain(text):
        assert words(f"on {escaped} fine") == f"on {plain(text)} fine"


@pytest.mark.parametrize(
    "text", ["- item", "+ item", "* item", "1. item", "12) item", "# title", "> quote", "===", "~~~"]
)
def test_nor_at_the_beginning_of_a_line(text: str) -> None:
    """The card's first sentence begins with the base model's name."""
    assert shape(f"{escape(text)} fine-tuned\n") == shape("x fine-tuned\n")


@pytest.mark.parametrize("text", ["www.evil.example", "https://evil.example", "ftp://evil.example", "me@evil.example"])
def test_nor_a_link_where_addresses_become_links(text: str) -> None:
    """GitHub's extension: it looks for these in the source, character references are not what it looks for."""
    assert not re.search(r"www\.|://|@", str(escape(text)))


@given(TEXT)
def test_one_line_in_which_nothing_hides(text: str) -> None:
    found = plain(text)
    assert len(found.splitlines()) <= 1
    assert not {unicodedata.category(each) for each in found} & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    assert plain(found) == found
    found.encode("utf-8")  # no lone surrogate


@pytest.mark.parametrize("text", ["a plain tweet, isn't it", "caf\xe9 😀 ♥", "日本語", "מה נשמע", "100% :-) $5"])
def test_what_is_harmless_stays(text: str) -> None:
    assert plain(text) == text
    assert words(str(escape(text))) == text


@given(TEXT.filter(plain))
@example("a|b")
@example("``")
@example("\\")
def test_a_code_span_is_one_code_span_in_a_table(text: str) -> None:
    table = f"| a | b |\n|---|---|\n| {code(text)} | {code(text)} |\n"
    assert shape(table) == shape("| a | b |\n|---|---|\n| `x` | `x` |\n")


def test_a_code_span_of_nothing_does_not_open_one() -> None:
    assert shape(f"| a | b |\n|---|---|\n| {code('')} | {code('')} |\n") in (
        shape("| a | b |\n|---|---|\n| `x` | `x` |\n"),
        shape("| a | b |\n|---|---|\n| | |\n"),
    )
    assert "`" not in words(f"| a | b |\n|---|---|\n| {code('')} | {code('')} |\n")


@given(TEXT)
@example("'\"`\\")
@example("```\n# out")
def test_a_literal_is_python_for_the_text_and_stays_in_its_block(text: str) -> None:
    written = literal(text)
    assert ast.literal_eval(written) == plain(text)
    block = f"```python\nclassify({written})\n```\n"
    assert shape(block) == ["fence"]
    assert shape(f"```\ns140 {shell(text)}\n```\n") == ["fence"]


@given(TEXT)
@example("<!-- end s140: training -->")
def test_code_holds_no_mark_of_a_section(text: str) -> None:
    for written in (escape(text), code(text), literal(text), shell(text)):
        assert not re.search(r"<!-- (begin|end) s140", str(written))


def test_markup_goes_through_and_is_not_escaped_twice() -> None:
    assert escape(escape("a*b")) == escape("a*b")
    assert escape(Markup("**a**")) == "**a**"


@pytest.mark.parametrize("value", [["<b>"], {"<b>": 1}, ("*a*", "*b*")])
def test_what_is_no_text_becomes_none_of_it_either(value: object) -> None:
    """A JSON file that somebody edited may hold a list where a name was."""
    assert shape(f"on {escape(value)} fine") == shape("x")


def test_numbers() -> None:
    assert (count(1_600_000), count(0), score(0.86125), score(1)) == ("1,600,000", "0", "0.8612", "1.0000")
    assert interval({"value": 0.5, "low": 0.4, "high": 0.61}) == "0.4000 to 0.6100"
    assert interval({"value": 0.5}) == ""
