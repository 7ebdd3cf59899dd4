"""Texts of strangers stay text wherever a card puts them; judged by a Markdown renderer, not by our own rules."""

from __future__ import annotations

import ast
import re
import unicodedata
from typing import Any

import jinja2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from cards_names import HOSTILE
from sentiment140_bert.cards.markup import (
    escape,
    flatten,
    format_block,
    format_code,
    format_literal,
    format_shell,
    read_template,
    render,
)
from sentiment140_bert.data import corpora
from sentiment140_bert.errors import RunError

TEXT = st.text(max_size=40) | st.lists(
    st.sampled_from([*"*_`|[]()<>!#~\\&@:/-+.=1 \n\ta", *HOSTILE, "\ud800"]), max_size=8
).map("".join)
DATASET: dict[str, Any] = {
    "repo_id": "tester/data",
    "model_repo_id": None,
    "tokenizer_name": "t",
    "layout": 2,
    "has_neutral": False,
    "splits": {},
    "data": {
        "configs": {"default": {"train": {"num_examples": 1}}},
        "tokenizer": {"revision": None, "sha256": "0", "max_length": 9},
        "fingerprint": "0",
        "splits": {},
        "steps": {},
        "sources": {},
        "settings": {"cleaning": "raw", "conflicts": "drop", "split_by": "text", "split_seed": 1},
    },
}
RENDERER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def shape(markdown: str) -> list[str]:
    """Return the kinds of elements in a text, in order."""

    def kinds(tokens: list[Token]) -> Any:
        for token in tokens:
            if token.type == "inline":
                yield from kinds(token.children or [])
            elif token.type not in ("text", "softbreak"):
                yield token.type

    return [*kinds(RENDERER.parse(markdown))]


def words(markdown: str) -> str:
    """Return the words that a reader sees."""

    def seen(tokens: list[Token]) -> Any:
        for token in tokens:
            if token.type in ("text", "code_inline", "fence", "html_block", "html_inline"):
                yield token.content
            elif token.type == "softbreak":
                yield " "
            yield from seen(token.children or [])

    return "".join(seen(RENDERER.parse(markdown)))


def page(text: str) -> str:
    """Return the places where the templates put a text."""
    return f"# {text}\n\non {text} fine.\n\n- one: {text}, 3 rows\n\n| {text} | b |\n|---|---|\n| a | {text} |\n"


@given(TEXT)
@example("a\\")
def test_an_escaped_text_is_nothing_but_text(text: str) -> None:
    escaped = escape(text)
    assert shape(page(escaped)) == shape(page("x"))
    if flatten(text):
        assert words(f"on {escaped} fine") == f"on {flatten(text)} fine"


def test_escaped_text_starts_no_markup_at_the_beginning_of_a_line() -> None:
    """Put it at the beginning of a line, like the base model's name in the card's first sentence."""
    begins = (
        *("-", "+", "*", "1.", "12)", "-.", "#", "######", ">", "===", "~~~", "---", "***", "    code", "\t", "1-"),
        "2+",
    )
    texts = [begin + rest for begin in begins for rest in (" item", "", " ")]
    assert [text for text in texts if shape(f"{escape(text)} fine-tuned\n") != shape("x fine-tuned\n")] == []


@given(st.sampled_from(["www.", "https://", "ftp://", "me@", "@", "mailto:me@", "http://www."]), st.data(), TEXT)
def test_escaped_text_is_not_a_link_where_addresses_become_links(begin: str, data: st.DataObject, text: str) -> None:
    """Escape them for GitHub, which looks for these in the source, in any case, and not for character references."""
    upper = data.draw(st.lists(st.booleans(), min_size=len(begin), max_size=len(begin)))
    begin = "".join(sign.upper() if high else sign for sign, high in zip(begin, upper, strict=True))
    for written in (escape(begin + "evil.example"), escape(f"{text} {begin}evil.example")):
        assert not re.search(r"www\.|://|@", str(written), re.IGNORECASE)
        assert words(str(written)).endswith(begin + "evil.example")


@given(TEXT)
def test_one_line_without_hidden_characters(text: str) -> None:
    result = flatten(text)
    assert len(result.splitlines()) <= 1
    assert not {unicodedata.category(item) for item in result} & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    assert flatten(result) == result
    result.encode("utf-8")  # no lone surrogate


def test_harmless_text_stays() -> None:
    for text in ("a plain tweet, isn't it", "caf\xe9 😀 ♥", "日本語", "מה נשמע", "100% :-) $5"):
        assert flatten(text) == text
        assert words(str(escape(text))) == text


@given(TEXT.filter(flatten))
@example("a|b")
@example("``")
@example("\\")
def test_a_code_span_is_one_code_span_in_a_table(text: str) -> None:
    table = f"| a | b |\n|---|---|\n| {format_code(text)} | {format_code(text)} |\n"
    assert shape(table) == shape("| a | b |\n|---|---|\n| `x` | `x` |\n")


def test_an_empty_code_span_opens_none() -> None:
    assert shape(f"| a | b |\n|---|---|\n| {format_code('')} | {format_code('')} |\n") in (
        shape("| a | b |\n|---|---|\n| `x` | `x` |\n"),
        shape("| a | b |\n|---|---|\n| | |\n"),
    )
    assert "`" not in words(f"| a | b |\n|---|---|\n| {format_code('')} | {format_code('')} |\n")


@given(TEXT)
@example("'\"`\\")
@example("```\n# out")
def test_a_literal_is_python_for_the_text_and_stays_in_its_block(text: str) -> None:
    written = format_literal(text)
    assert ast.literal_eval(written) == flatten(text)
    assert shape(f"```python\nclassify({written})\n```\n") == ["fence"]
    assert shape(f"```\ns140 {format_shell(text)}\n```\n") == ["fence"]
    assert shape(f"```\n{format_block(text)}\n```\n") == ["fence"]


@given(TEXT)
@example("<!-- end s140: training -->")
def test_code_contains_no_section_mark(text: str) -> None:
    for written in (escape(text), format_code(text), format_literal(text), format_shell(text), format_block(text)):
        assert not re.search(r"<!-- (begin|end) s140", str(written))


def test_a_text_begins_no_formula() -> None:
    """The Hub takes two dollar signs, and two backslashes before a bracket, for the beginning of one."""
    for text in ("$$x$$", r"\(x\)", r"\[x\]"):
        written = str(escape(text))
        assert "$" not in written
        assert "\\\\" not in written


def test_markup_goes_through_and_is_not_escaped_twice() -> None:
    assert escape(escape("a*b")) == escape("a*b")
    assert escape(Markup("**a**")) == "**a**"


def test_a_template_escapes_what_it_prints_and_misses_nothing() -> None:
    text = render("dataset_card.md", **dict.fromkeys(("version", "title"), "*a* <b>"), corpus=corpora.SAMPLE, **DATASET)
    assert "# \\*a\\* &lt;b&gt;" in text
    with pytest.raises(jinja2.UndefinedError):
        render("dataset_card.md", version="1")
    with pytest.raises(RunError, match=r"The card template no such\.md is not installed\."):
        read_template("no such.md")
