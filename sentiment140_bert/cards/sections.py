"""A card as sections that this package writes, and what people wrote between them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sentiment140_bert.cards.metadata import front
from sentiment140_bert.data.corpora import SENTIMENT140
from sentiment140_bert.trust import plain_yaml

MARK = re.compile(r"<!-- (begin|end) s140: ([\w-]{1,40}) -->[ \t]*\n?")
FRONT_MATTER = re.compile(
    r"\A\ufeff?\s*---[ \t]*\n(.*?)(?:\n|\A)---[ \t]*(?:\n|\Z)", re.DOTALL
)  # as the Hub's client reads it
WRITTEN_BY = re.compile(r"written by sentiment140_bert ([\w.+-]+)")
NUMBER_OR_HASH = re.compile(
    r"\b[0-9a-f]{40,64}\b"
    r"|\b\d{4}-\d\d-\d\d(?:T[\d:+.]{1,30})?"
    r"|(?<![\w.\-/])-?\d[\d,]{0,30}(?:\.\d{1,30})?(?:[eE][+-]?\d{1,4})?(?!\w)(?!\.\d)"
)
FROM_DATA = ("language",)  # said by data.json alone; an older card may say what its source is not
SOURCE_TAG = SENTIMENT140.tags[0]  # likewise, and with it the others of that source
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
    """Takes a card apart. A mark without its counterpart is text like any other.

    Raises:
        ValueError: The front matter is no YAML mapping.
    """
    text = text.replace("\r\n", "\n")
    matter = FRONT_MATTER.match(text)
    metadata = _metadata(matter[1]) if matter else {}
    body = text[matter.end() :] if matter else text
    sections: dict[str, str] = {}
    between: list[str] = []
    at, begun = 0, None
    for mark in MARK.finditer(body):
        if mark[1] == "begin":
            begun = mark
        elif begun and begun[2] == mark[2]:
            if mark[2] not in sections:  # a copy is somebody's own
                between.append(body[at : begun.start()])
                sections[mark[2]] = body[begun.start() : mark.end()]
                at = mark.end()
            begun = None
    return Card(metadata, sections, [*between, body[at:]])


def _metadata(text: str) -> dict[str, Any]:
    content = plain_yaml.load(text, repeated=True)
    if content is not None and not isinstance(content, dict):
        raise ValueError("it is no list of `key: value`")
    return content or {}


def merged(new: str, old: str | None, decided_keys: Collection[str] = ()) -> str:
    """A newly written card with what people added to an older one: text between sections, and front matter.

    Args:
        new: As a template gives it.
        old: The card before, as it is on the Hub or in the folder; None if there is none.
        decided_keys: Keys of the front matter that the new one decides, although people may write them.

    Raises:
        ValueError: The older card's front matter cannot be read.
    """
    if not old:
        return new
    ours, theirs = parse(new), parse(old)
    metadata = _merged_metadata(ours.metadata, theirs.metadata, decided_keys)
    if not theirs.sections:  # written by hand as a whole, or by another tool: kept below ours
        below = theirs.between[0].strip("\n")
        return front(metadata) + _body(ours).rstrip("\n") + "\n" + (f"\n{below}\n" if below.strip() else "")
    before = dict(zip(theirs.sections, theirs.between, strict=False))
    gaps = [
        before[name] if before.get(name, "").strip() else gap
        for name, gap in zip(ours.sections, ours.between, strict=False)
    ]
    gone = [text for name, text in before.items() if name not in ours.sections and text.strip()]
    last = theirs.between[-1] if theirs.between[-1].strip() else ours.between[-1]
    return front(metadata) + _body(Card(metadata, ours.sections, [*gaps, "".join(gone) + last]))


def said_by_people(card: Card) -> dict[str, Any]:
    """What of the front matter is ours only until somebody says otherwise."""
    return {key: card.metadata[key] for key in THEIRS if key in card.metadata}


def with_metadata_of(text: str, other: str, news: dict[str, Any]) -> str:
    """A card with those keys of another one's front matter that it does not have itself, and with ``news``."""
    card, theirs = parse(text), parse(other)
    return front(_merged_metadata(card.metadata, theirs.metadata | card.metadata) | news) + _body(card)


def _merged_metadata(
    ours: dict[str, Any], theirs: dict[str, Any], decided_keys: Collection[str] = ()
) -> dict[str, Any]:
    theirs = {key: value for key, value in theirs.items() if key not in (*FROM_DATA, *decided_keys)}
    kept = {key: theirs[key] for key in THEIRS if key in theirs}
    merged = theirs | ours | kept
    tags = theirs.get("tags")
    if isinstance(tags, list):
        claimed = SENTIMENT140.tags if SOURCE_TAG in tags else ()
        own = [tag for tag in tags if isinstance(tag, str) and tag not in claimed]
        merged["tags"] = [*dict.fromkeys([*ours.get("tags", []), *own])]
    order = [*ours, *(key for key in theirs if key not in ours)]
    return {key: merged[key] for key in order}


def _body(card: Card) -> str:
    pieces = zip(card.between, [*card.sections.values(), ""], strict=True)
    return "".join(gap + section for gap, section in pieces)


def numbers(section: str) -> list[tuple[str, str]]:
    """Return (number, date or hash; the line it is on) of a text, in order."""
    return [(match[0], line.strip()) for line in section.split("\n") for match in NUMBER_OR_HASH.finditer(line)]


def differences(claimed: str, right: str) -> list[tuple[str, str, str]]:
    """Return where two texts differ: (as claimed, as it should be, line).

    These are the numbers that differ, or the lines where no number does.
    """
    said, should = claimed.split("\n"), right.split("\n")
    matcher = difflib.SequenceMatcher(None, said, should, autojunk=False)
    found = []
    for kind, from_, to, start, end in matcher.get_opcodes():
        if kind == "equal":
            continue
        theirs, ours = said[from_:to], should[start:end]
        pairs = zip(theirs, ours, strict=True) if len(theirs) == len(ours) else [("\n".join(theirs), "\n".join(ours))]
        for one, other in pairs:
            found += _differing(numbers(one), numbers(other)) or [(one, other, one or other)]
    return found


def _differing(theirs: list[tuple[str, str]], ours: list[tuple[str, str]]) -> list[tuple[str, str, str]]:
    if [each for each, _ in theirs] == [each for each, _ in ours]:
        return []
    if len(theirs) == len(ours):
        return [(said, should, line) for (said, line), (should, _) in zip(theirs, ours, strict=True) if said != should]
    matcher = difflib.SequenceMatcher(None, [each for each, _ in theirs], [each for each, _ in ours], autojunk=False)
    found = []
    for kind, from_, to, start, end in matcher.get_opcodes():
        if kind != "equal":
            said, should = theirs[from_:to], ours[start:end]
            line = (said or should)[0][1]
            found.append((", ".join(each for each, _ in said), ", ".join(each for each, _ in should), line))
    return found
