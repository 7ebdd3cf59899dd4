"""A card in Markdown, parsed and rendered for tests: its headings, tables, links and pictures."""

from __future__ import annotations

import re

from markdown_it import MarkdownIt
from markdown_it.token import Token

SUMMARY = re.compile(r"<summary>([\w ]+)</summary>")
COMMENT = r"<!-- (?:begin|end) s140: [\w-]+ -->|<!-- written by sentiment140_bert [^<>]*-->"
OWN_HTML = re.compile(rf"(?:{COMMENT}|</?details>|{SUMMARY.pattern}|\s)*")
RENDERER = MarkdownIt("commonmark").enable("table")


class Page:
    """A card as a browser displays it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = RENDERER.parse(text.split("\n---\n", 1)[1])
        self.html = RENDERER.render(text.split("\n---\n", 1)[1])

    def inside(self, kind: str) -> list[str]:
        """Return the text of every element of a kind: h1, td, …"""
        pairs = zip(self.tokens, self.tokens[1:], strict=False)
        return [read_text(token) for before, token in pairs if before.tag == kind and before.nesting == 1]

    @property
    def tables(self) -> list[list[list[str]]]:
        tables: list[list[list[str]]] = []
        for before, token in zip(self.tokens, self.tokens[1:], strict=False):
            if before.type == "table_open":
                tables.append([])
            elif before.type == "tr_open":
                tables[-1].append([])
            if before.type in ("td_open", "th_open"):
                tables[-1][-1].append(read_text(token))
        return tables

    @property
    def all_tokens(self) -> list[Token]:
        return [part for token in self.tokens for part in (token, *(token.children or []))]

    @property
    def links(self) -> list[str]:
        return [str(token.attrs["href"]) for token in self.all_tokens if token.type == "link_open"]

    @property
    def pictures(self) -> list[str]:
        return [str(token.attrs["src"]) for token in self.all_tokens if token.type == "image"]

    @property
    def raw_html(self) -> list[str]:
        return [token.content for token in self.all_tokens if token.type in ("html_block", "html_inline")]

    @property
    def summaries(self) -> list[str]:
        """Return the titles of the parts that a click opens."""
        return [title for text in self.raw_html for title in SUMMARY.findall(text)]

    @property
    def foreign_html(self) -> list[str]:
        """Return whatever HTML is not of the templates."""
        return [text for text in self.raw_html if not OWN_HTML.fullmatch(text)]

    @property
    def shape(self) -> list[str]:
        return [token.type for token in self.all_tokens if token.type not in ("text", "softbreak", "inline")]

    @property
    def blocks(self) -> list[str]:
        return [token.content for token in self.tokens if token.type == "fence"]


def read_text(token: Token) -> str:
    return "".join(token.content for token in token.children or [] if token.type in ("text", "code_inline"))
