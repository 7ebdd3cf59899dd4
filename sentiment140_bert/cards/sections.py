"""A card as sections that this package writes, and what people wrote between them."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Any

import yaml

from sentiment140_bert.cards.metadata import front

SECTION = re.compile(r"<!-- begin s140: ([\w-]+) -->\n.*?<!-- end s140: \1 -->\n?", re.DOTALL)
FRONT_MATTER = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)
WRITTEN_BY = re.compile(r"written by sentiment140_bert ([\w.+-]+)")
NUMBER = re.compile(r"(?<![\w.\-/])\d[\d,]*(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w])(?!\.\d)")
NUMBER_OR_HASH = re.compile(rf"\b[0-9a-f]{{40,64}}\b|{NUMBER.pattern}")
THEIRS = ("license", "license_name", "license_link", "thumbnail", "extra_gated_prompt")  # a person's word counts here


@dataclass(frozen=True)
class Card:
    """``metadata`` is the front matter; ``sections`` are whole, marks included, in order; ``between`` is the text
    around them, always one piece more than there are sections."""

    metadata: dict[str, Any]
    sections: dict[str, str]
    between: list[str]

    @property
    def handwritten(self) -> str:
        """What people wrote, as one text."""
        return "\n".join(each.strip() for each in self.between if each.strip())


def parse(text: str) -> Card:
    """Takes a card apart.

    Raises:
        ValueError: The front matter is no YAML mapping.
    """
    text = text.replace("\r\n", "\n")
    front = FRONT_MATTER.match(text)
    try:
        metadata = yaml.safe_load(front[1]) if front else {}
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None
    if metadata is not None and not isinstance(metadata, dict):
        raise ValueError("the front matter is no list of `key: value`")
    body = text[front.end() :] if front else text
    sections, between, at = {}, [], 0
    for match in SECTION.finditer(body):
        if match[1] not in sections:
            between.append(body[at : match.start()])
            sections[match[1]] = match[0]
            at = match.end()
    return Card(metadata or {}, sections, [*between, body[at:]])


def merged(new: str, old: str | None) -> str:
    """A newly written card with what people added to an older one: text between sections, and front matter.

    Args:
        new: As a template gives it.
        old: The card before, as it is on the Hub or in the folder; None if there is none.

    Raises:
        ValueError: The older card's front matter cannot be read.
    """
    if not old:
        return new
    ours, theirs = parse(new), parse(old)
    metadata = {key: value for key, value in theirs.metadata.items() if key not in ours.metadata}
    metadata = {
        key: theirs.metadata.get(key, value) if key in THEIRS else value for key, value in ours.metadata.items()
    } | metadata
    if isinstance(theirs.metadata.get("tags"), list):
        metadata["tags"] = [*dict.fromkeys([*ours.metadata.get("tags", []), *theirs.metadata["tags"]])]
    if not theirs.sections:  # written by hand as a whole, or by another tool: kept below ours
        body = (
            "".join(_pieces(ours.between, ours.sections)).rstrip("\n") + "\n\n" + theirs.between[0].strip("\n") + "\n"
        )
        return front(metadata) + body if theirs.between[0].strip() else front(metadata) + _body(ours)
    before = dict(zip(theirs.sections, theirs.between, strict=False))
    gaps = [
        before.get(name, ours.between[at]) if before.get(name, "").strip() else ours.between[at]
        for at, name in enumerate(ours.sections)
    ]
    gone = [text for name, text in before.items() if name not in ours.sections and text.strip()]
    last = theirs.between[-1] if theirs.between[-1].strip() else ours.between[-1]
    return front(metadata) + "".join(_pieces([*gaps, "".join(gone) + last], ours.sections))


def _pieces(between: list[str], sections: dict[str, str]) -> list[str]:
    return [piece for gap, section in zip(between, [*sections.values(), ""], strict=True) for piece in (gap, section)]


def _body(card: Card) -> str:
    return "".join(_pieces(card.between, card.sections))


def numbers(section: str) -> list[tuple[str, str]]:
    """(number or hash, the line it stands on) of a text, the marks left out, in order."""
    lines = [line for line in section.splitlines() if not line.startswith("<!-- ")]
    return [(match[0], line.strip()) for line in lines for match in NUMBER_OR_HASH.finditer(line)]


def differences(claimed: str, right: str) -> list[tuple[str, str, str]]:
    """Numbers of a section that are not those of the right one: (as claimed, as it should be, line)."""
    ours, theirs = numbers(right), numbers(claimed)
    matcher = difflib.SequenceMatcher(None, [each for each, _ in theirs], [each for each, _ in ours], autojunk=False)
    found = []
    for kind, from_, to, start, end in matcher.get_opcodes():
        if kind == "equal":
            continue
        said, should = theirs[from_:to], ours[start:end]
        line = (said or [("", should[0][1])])[0][1]
        found.append((", ".join(each for each, _ in said), ", ".join(each for each, _ in should), line))
    return found
