"""Sections of a card that what people wrote around them hides or changes, as CommonMark and browsers read it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from markdown_it.token import Token

    from sentiment140_bert.cards.merge import Card

LONGEST = 200_000  # characters of a card that are parsed, which takes seconds; a long one has 30,000
ATTRIBUTE = r"""\s+[a-zA-Z_:][\w.:-]*(?:\s*=\s*(?:[^\s"'=<>`]+|'[^']*'|"[^"]*"))?"""
# A whole tag, a whole comment, or the beginning of what a browser may end elsewhere.
HTML = re.compile(
    rf"<(?P<start>[a-z][\w-]*)(?:{ATTRIBUTE})*\s*/?>|</(?P<end>[a-z][\w-]*)\s*>"
    r"|<!--(?:-?>|.*?--!?>)|(?P<broken><[a-z/!?])",
    re.IGNORECASE | re.DOTALL,
)
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
OPTIONAL_END = {"colgroup", "dd", "dt", "li", "option", "p", "tbody", "td", "tfoot", "th", "thead", "tr"}
# Elements in which, or after which, tags are read in another way; styles also change what is elsewhere.
BROKEN = ""
READ_OTHERWISE = {"frameset", "iframe", "math", "noembed", "noframes", "noscript", "plaintext", "script", "select"}
READ_OTHERWISE |= {BROKEN, "style", "svg", "template", "textarea", "title", "xmp"}
FORMULAS = (("$$", "$$"), ("\\\\(", "\\\\)"))  # what the Hub reads as the begin and the end of one


def find_changed_sections(card: Card) -> Iterator[str]:
    """Yield the names of the sections that do not look as they do alone, because of a text by hand."""
    from markdown_it import MarkdownIt

    pieces = zip(card.between, [*card.sections.values(), ""], strict=True)
    text = "".join(piece for pair in pieces for piece in pair)
    if len(text) > LONGEST:
        yield from card.sections
        return
    markdown = MarkdownIt("commonmark").enable("table")
    rest = markdown.parse(text)
    for (name, section), gap in zip(card.sections.items(), card.between, strict=False):
        alone = markdown.parse(section)
        begins = (at for at, token in enumerate(rest) if token.content.startswith(alone[0].content))
        begin = next((at for at in begins if _begins_with(rest[at : at + len(alone)], alone)), None)
        if begin is None:
            yield name
            continue
        before, end = rest[:begin], begin + len(alone)
        if _is_open(before) or _opens_formula(gap):
            yield name
        last = rest[end - 1]  # a block of HTML takes in the lines behind it
        behind = last.copy(content=last.content.removeprefix(alone[-1].content))
        rest = [behind, *rest[end:]]


def _begins_with(tokens: Sequence[Token], alone: Sequence[Token]) -> bool:
    """Return True if these are the same tokens; the last one may be a longer block of HTML."""
    if len(tokens) < len(alone):
        return False
    last, right = tokens[-1], alone[-1]
    if last.type == "html_block" and last.content.startswith(right.content):
        last = last.copy(content=right.content)
    return all(_describe(token) == _describe(other) for token, other in zip([*tokens[:-1], last], alone, strict=True))


def _describe(token: Token) -> dict[str, Any]:
    return {**token.as_dict(), "map": None}  # the lines that it is from


def _opens_formula(text: str) -> bool:
    return any(
        text.count(begin) % 2 if begin == end else text.count(begin) > text.count(end) for begin, end in FORMULAS
    )


def _is_open(tokens: Sequence[Token]) -> bool:
    """Return True if an element begins in a part of a card and does not end in it, or in another place than it seems
    to."""
    elements: list[str] = []
    for name, is_end in _list_tags(tokens):
        if name in READ_OTHERWISE:
            return True
        if name in VOID:
            continue
        if not is_end:
            elements.append(name)
            continue
        while elements and elements[-1] != name and elements[-1] in OPTIONAL_END:
            elements.pop()
        if not elements or elements.pop() != name:
            return True
    return any(name != "p" for name in elements)  # which ends where the next block begins


def _list_tags(tokens: Sequence[Token]) -> Iterator[tuple[str, bool]]:
    """Yield every tag of the page that Markdown makes, and whether it is an end."""
    for token in tokens:
        if token.type in ("html_block", "html_inline"):
            for tag in HTML.finditer(token.content):
                if tag["broken"]:
                    yield BROKEN, False
                elif name := tag["start"] or tag["end"]:
                    yield name.lower(), bool(tag["end"])
        elif token.nesting and not token.hidden:
            yield token.tag, token.nesting < 0
        yield from _list_tags(token.children or ())
