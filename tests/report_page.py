"""The page of a report, parsed for tests: its tables, elements and text."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

from sentiment140_bert.cards.facts import Facts
from sentiment140_bert.cards.report_page import Mistake, render_report


class Tables(HTMLParser):
    """Parse the tables of each section as rows of cells, by the section's id."""

    def __init__(self) -> None:
        super().__init__()
        self.sections: dict[str, list[list[list[str]]]] = {}
        self.section = ""
        self.inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "section":
            self.section = str(dict(attrs)["id"])
            self.sections[self.section] = []
        elif tag == "table":
            self.sections[self.section].append([])
        elif tag == "tr":
            self.sections[self.section][-1].append([])
        elif tag in ("td", "th"):
            self.sections[self.section][-1][-1].append("")
            self.inside = True
        elif tag == "small":
            self.handle_data(" ")

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self.inside:
            row = self.sections[self.section][-1][-1]
            row[-1] = (row[-1] + data.replace("\n", " ")).lstrip()


def read_tables(text: str) -> dict[str, list[list[list[str]]]]:
    parser = Tables()
    parser.feed(re.sub(r"<svg.*?</svg>", "", text, flags=re.DOTALL))
    return {
        section: [[[" ".join(cell.split()) for cell in row] for row in table] for table in some]
        for section, some in parser.sections.items()
    }


class Elements(HTMLParser):
    """Parse every element with its attributes, and all text that is neither style nor script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.inside = ""
        self.raw: dict[str, str] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in ("dt", "dd"):
            self.text += " "
        self.inside = tag

    def handle_data(self, data: str) -> None:
        if self.inside in ("style", "script"):
            self.raw[self.inside] = self.raw.get(self.inside, "") + data
        else:
            self.text += data

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""


def make_mistake(text: str = "a tweet", **changes: Any) -> Mistake:
    words = ((text, None),)
    right = {"split": "test", "label": "negative", "prediction": "positive", "confidence": 0.9, "words": words}
    return Mistake(**(right | changes))


def render(facts: Facts, *mistakes: Mistake, title: str = "a run", wrong: dict[str, int] | None = None) -> str:
    return render_report(facts, title, mistakes, wrong or {"test": 7, "manual": 1})


def read_words(text: str) -> str:
    return " ".join(Elements(text).text.split())
