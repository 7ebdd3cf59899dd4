"""Texts by hand around the sections of a card: which ones hide a section, or change how it looks."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from sentiment140_bert.cards.facts import read_facts
from sentiment140_bert.cards.merge import parse_card
from sentiment140_bert.cards.model import render_model_card
from sentiment140_bert.publishing.layout import find_changed_sections

pytest_plugins = ("model_fixtures", "hub_fixtures", "page_fixtures")

CARD = """\
<!-- begin s140: use -->
## Use

Its answers are "positive" and 'negative'; see [accuracy].
<!-- end s140: use -->
{}<!-- begin s140: limits -->
## Limits

<details>
<summary>More</summary>

| tweets | "accuracy" |
|---|---|
| 'test' | 0.5 |

</details>
<!-- end s140: limits -->
"""
HIDING = {
    "an attribute that does not end": ('<div title="', "<div title='", "<p title='", "<hr title='"),
    "a tag that does not end": ("<div", "<div\nid=a", "<p"),
    "another kind of markup": ("<?", "<!X", "<![CDATA[", "<? > <div hidden> ?>", "<!X <div hidden>>"),
    "code": ("```", "~~~", "```\n\n~~~", "````\n```", "- ```\n\n```"),
    "an element": ("<details>", "<div hidden>", "<DIV\nstyle='display:none'>", "<li hidden>", "*a <b hidden>*"),
    "an element after another": ("</div><div>\n<div>", "<ul><li hidden></ul><li hidden>"),
    "an end that is none": (
        *("<div hidden>\n\n`</div>`", "<div hidden>\n\n\\</div>", "<div hidden>\n\n| a </div> |\n|---|"),
        *("<div hidden><textarea></div></textarea>", "<!-- --!><div hidden> -->", "<!--><div hidden> -->"),
        *("<!-- a ---><div hidden> -->", '<br a"><div hidden><br b">', "<div hidden><title></div></title>"),
    ),
    "what changes a page": ("<style>h2 {display: none}</style>", "[accuracy]: https://a.example", "$$", "\\\\("),
}
HARMLESS = [
    *(
        "",
        "A note.",
        "# A *heading*",
        "- a\n- b",
        "1. a\n\n   b",
        "> a",
        "    code",
        "```\n<div>\n```",
        "`<div>`",
        "\\<div>",
    ),
    *(
        "| a | b |\n|---|---|\n| 1 | 2 |",
        "![a](b.png)",
        "[a](https://a.example)",
        "<https://a.example>",
        "[b]: c",
        "a < b",
    ),
    *(
        "a<br>b",
        "<br/>",
        "</br>",
        "<hr>",
        "<p align=center>",
        "<p align=center>\n\n# a\n\n</p>",
        "<p>a<p>b",
        "<P>a</P>",
    ),
    *("<details>\n<summary>a</summary>\n\nb\n\n</details>", "<details open><summary>a</summary>b</details>"),
    *('<div align="center">\n  <img src="a.png" width=50 alt="a > b">\n</div>', "<ul><li>a<li>b</ul>", "<!-- a -->"),
    *(
        "<!-- a\n\nb -->",
        "<!----- a ----->",
        "<a href='b'><img src=c></a>",
        "<table><tr><td>a<tr><td>b</table>",
        "$$a$$",
    ),
    *(
        "**a** <sub>b</sub> <kbd>c</kbd>",
        "<b>a</b><i>b</i>",
        "costs 5 $",
        "a\n***\nb",
        "- <b>a</b>\n- <i>b</i>",
        "<h2>a</h2>",
    ),
    *("<br", "a <span", "<img alt='"),  # which CommonMark shows as they are
]


def find_changed(gap: str) -> list[str]:
    return [*find_changed_sections(parse_card(CARD.format(f"\n{gap}\n\n")))]


@pytest.mark.parametrize("kind", HIDING)
def test_a_text_that_hides_the_next_section_is_found(kind: str) -> None:
    assert [gap for gap in HIDING[kind] if not find_changed(gap)] == []


def test_plain_markdown_and_closed_elements_are_allowed() -> None:
    assert [gap for gap in HARMLESS if find_changed(gap)] == []


def test_lines_next_to_a_section_may_belong_to_its_blocks() -> None:
    """A block of HTML, such as the mark at the end of a section, ends at the next empty line."""
    for gap, changed in (
        ("- a\n", []),
        ("a\n", []),
        ("<div></div>\n", ["limits"]),
        ("`<div hidden>`\n\n", []),
        ("</details>\n\n", ["limits"]),
    ):
        assert [*find_changed_sections(parse_card(CARD.format(gap)))] == changed, gap
    for text, changed in (("## Notes\n\n", []), ("`<div hidden>`\n\n", ["use"])):
        use, limits = CARD.partition("{}")[::2]
        assert [*find_changed_sections(parse_card(f"{limits}{text}{use}"))] == changed, text


def test_the_sections_of_a_card_do_not_change_one_another(small_run: Path) -> None:
    card = render_model_card(read_facts(small_run), "small", "tester/small", ["calibration.png"])
    assert [*find_changed_sections(parse_card(card))] == []
    mark = "<!-- begin s140: limits"
    hidden = find_changed_sections(parse_card(card.replace(mark, f'<div title="\n\n{mark}')))
    assert [*hidden] == ["limits"]


def test_the_time_for_a_text_of_any_length_is_bounded() -> None:
    for text in ("<a", "<!--", '<a b="c" ', "- a\n", "a <!--\n", "<!-- begin s140: limits -->\n\n"):
        for length in (100_000, 10_000_000):
            before = time.process_time()
            find_changed(text * (length // len(text)))
            assert time.process_time() - before < 60, text
