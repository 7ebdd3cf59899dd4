"""A card as sections that this package writes, and the text that people write between them."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sentiment140_bert.cards.metadata import format_front_matter
from sentiment140_bert.data.corpora import SENTIMENT140
from sentiment140_bert.schemas import pick
from sentiment140_bert.trust import plain_yaml

MARK = re.compile(r"<!-- (begin|end) s140: ([\w-]{1,40}) -->[ \t]*\n?")
FRONT_MATTER = re.compile(
    r"\A\ufeff?\s*---[ \t]*\n(.*?)(?:\n|\A)---[ \t]*(?:\n|\Z)", re.DOTALL
)  # as the Hub's client reads it
LAYOUT = 3  # of the templates in model_card/; a card of another layout cannot be compared line by line
WRITTEN_BY = re.compile(r"written by sentiment140_bert ([\w.+-]+)(?:, layout (\d{1,9}))?:")
NUMBER_OR_HASH = re.compile(
    r"\b[0-9a-f]{40,64}\b"
    r"|\b\d{4}-\d\d-\d\d(?:T[\d:+.]{1,30})?"
    r"|(?<![\w.\-/])-?\d[\d,]{0,30}(?:\.\d{1,30})?(?:[eE][+-]?\d{1,4})?(?!\w)(?!\.\d)"
)
FROM_DATA = ("language",)  # decided by data.json alone; an older card may describe another source
SOURCE_TAG = SENTIMENT140.tags[0]  # the same, with the other tags of that source
PERSONAL = ("license", "license_name", "license_link", "thumbnail", "extra_gated_prompt")  # a person decides these
# Keys that a new card decides, whatever is written into an older one.
RENDERED: tuple[str, ...] = ("language", "base_model", "base_model_relation", "library_name", "pipeline_tag")
RENDERED += ("datasets", "metrics", "widget", "model-index")
Number = tuple[str, str]  # and its line
T = TypeVar("T")


@dataclass(frozen=True)
class Card:
    """``metadata`` is the front matter; ``sections`` are whole, marks included, in order; ``between`` is the text
    around them, always one piece more than there are sections."""

    metadata: dict[str, Any]
    sections: dict[str, str]
    between: list[str]

    @property
    def handwritten(self) -> str:
        """Return what people wrote, as one text."""
        return "\n".join(self.texts.values())

    @property
    def texts(self) -> dict[str, str]:
        """Return what people wrote, by the section that it precedes; what stands at the end by an empty name."""
        gaps = zip([*self.sections, ""], self.between, strict=True)
        return {name: gap.strip() for name, gap in gaps if gap.strip()}


def parse_card(text: str) -> Card:
    """Split a card into its sections and what is between them. A mark without its counterpart is text like any other.

    Raises:
        ValueError: The front matter is not a YAML mapping.
    """
    text = text.replace("\r\n", "\n")
    matter = FRONT_MATTER.match(text)
    metadata = _load_metadata(matter[1]) if matter else {}
    body = text[matter.end() :] if matter else text
    sections: dict[str, str] = {}
    between: list[str] = []
    at, begin = 0, None
    for mark in MARK.finditer(body):
        if mark[1] == "begin":
            begin = mark
        elif begin and begin[2] == mark[2]:
            if mark[2] not in sections:  # a copy is hand-written text
                between.append(body[at : begin.start()])
                sections[mark[2]] = body[begin.start() : mark.end()]
                at = mark.end()
            begin = None
    return Card(metadata, sections, [*between, body[at:]])


def _load_metadata(text: str) -> dict[str, Any]:
    content = plain_yaml.load(text, repeated=True)
    if content is not None and not isinstance(content, dict):
        raise ValueError("it is not a list of `key: value`")
    return content or {}


def merge_cards(new: str, old: str | None, decided_keys: Collection[str] = ()) -> str:
    """Add what people wrote on an older card, between its sections and in its front matter, to a new card.

    Args:
        new: The new card, as rendered from a template.
        old: The card before, from the Hub or from the folder, or None.
        decided_keys: Keys of the front matter that the new card decides, although people may write them.

    Raises:
        ValueError: The older card's front matter cannot be read.
    """
    if not old:
        return new
    rendered, edited = parse_card(new), parse_card(old)
    metadata = _merge_metadata(rendered.metadata, edited.metadata, decided_keys)
    if not edited.sections:  # written by hand as a whole, or by another tool: kept below
        text, below = format_front_matter(metadata) + _join(rendered).rstrip("\n"), edited.between[0].strip("\n")
        return f"{text}\n\n{below}\n" if below.strip() else f"{text}\n"
    before = dict(zip(edited.sections, edited.between, strict=False))
    gaps = [
        before[name] if before.get(name, "").strip() else gap
        for name, gap in zip(rendered.sections, rendered.between, strict=False)
    ]
    orphans = [text for name, text in before.items() if name not in rendered.sections and text.strip()]
    last = edited.between[-1] if edited.between[-1].strip() else rendered.between[-1]
    merged = Card(metadata, rendered.sections, [*gaps, "".join(orphans) + last])
    return format_front_matter(metadata) + _join(merged)


def reconcile(before: str, one: str, other: str) -> tuple[str, list[str]]:
    """Return a card with what was changed on two copies of it, and what both changed, differently.

    The text is taken whole from the copy where it was changed, the front matter key by key; tags are added and removed
    one by one.

    Args:
        before: The card before it was changed.
        one: A copy.
        other: The other copy; if this package wrote none of it, it lacks keys that nobody removed.

    Raises:
        ValueError: A front matter is not a YAML mapping.
    """
    base, first, second = parse_card(before), parse_card(one), parse_card(other)
    is_others = not second.sections  # then it lacks texts that nobody removed
    texts = second.texts or (base.texts if is_others else {})
    is_edited = (first.texts != base.texts, texts != base.texts)
    conflicts = ["text"] if first.texts != texts and (all(is_edited) or (is_others and first.texts and texts)) else []
    newer = first if is_edited[0] or (is_others and first.texts) else second
    seconds = second.metadata if second.sections else base.metadata | second.metadata
    metadata: dict[str, Any] = {}
    for key in dict.fromkeys([*newer.metadata, *first.metadata, *seconds]):
        value, here, there = (
            [source[key]] if key in source else [] for source in (base.metadata, first.metadata, seconds)
        )
        if key == "tags":
            here = [_reconcile_tags(*(_list_tags(source) for source in (base.metadata, first.metadata, seconds)))]
        elif repr(here) == repr(value):  # which is also equal if it is not a number
            here = there
        elif repr(there) not in (repr(value), repr(here)) and key not in RENDERED:
            conflicts.append(str(key))
        if here:
            metadata[key] = here[0]
    return format_front_matter(metadata) + _join(newer), conflicts


def _reconcile_tags(before: list[str], here: list[str], there: list[str]) -> list[str]:
    removed = {tag for tag in before if tag not in {*here} & {*there}}
    return [tag for tag in dict.fromkeys([*here, *there]) if tag not in removed]


def _list_tags(metadata: dict[str, Any]) -> list[str]:
    """Return the tags as texts, as the Hub has them; people write a single one, numbers and ``true``, too, and by
    mistake lists."""
    tags = metadata.get("tags")
    listed = tags if isinstance(tags, list) else [] if tags is None else [tags]
    return [tag if isinstance(tag, str) else json.dumps(tag) for tag in listed if isinstance(tag, str | int | float)]


def _merge_metadata(
    rendered: dict[str, Any], edited: dict[str, Any], decided_keys: Collection[str] = ()
) -> dict[str, Any]:
    edited = {key: value for key, value in edited.items() if key not in (*FROM_DATA, *decided_keys)}
    if str(pick(edited, "co2_eq_emissions", "source")).startswith("codecarbon "):  # of the older card's training
        del edited["co2_eq_emissions"]
    personal = {key: edited[key] for key in PERSONAL if key in edited}
    merged = edited | rendered | personal
    if tags := _list_tags(edited):
        outdated = SENTIMENT140.tags if SOURCE_TAG in tags else ()
        own = [tag for tag in tags if tag not in outdated]
        merged["tags"] = [*dict.fromkeys([*rendered.get("tags", []), *own])]
    order = [*rendered, *(key for key in edited if key not in rendered)]
    return {key: merged[key] for key in order}


def _join(card: Card) -> str:
    pieces = zip(card.between, [*card.sections.values(), ""], strict=True)
    return "".join(gap + section for gap, section in pieces)


def find_numbers(section: str) -> list[tuple[str, str]]:
    """Return (number, date or hash; its line) for each in a text, in order."""
    return [(match[0], line.strip()) for line in section.split("\n") for match in NUMBER_OR_HASH.finditer(line)]


def list_differences(claimed: str, right: str) -> list[tuple[str, str, str]]:
    """Return where two texts differ: (claimed, right, line).

    These are the numbers that differ, or the lines where no number does.
    """
    claimed_lines, right_lines = claimed.split("\n"), right.split("\n")
    differences = []
    for one, other in _list_changes(claimed_lines, right_lines):
        pairs = zip(one, other, strict=True) if len(one) == len(other) else [("\n".join(one), "\n".join(other))]
        for claimed_text, right_text in pairs:
            numbers = _list_changed_numbers(find_numbers(claimed_text), find_numbers(right_text))
            differences += numbers or [(claimed_text, right_text, claimed_text or right_text)]
    return differences


def _list_changed_numbers(claimed: list[Number], right: list[Number]) -> list[tuple[str, str, str]]:
    if [number for number, _ in claimed] == [number for number, _ in right]:
        return []
    if len(claimed) == len(right):
        pairs = zip(claimed, right, strict=True)
        return [(one, other, line) for (one, line), (other, _) in pairs if one != other]
    changes = _list_changes(claimed, right, key=lambda number: number[0])
    return [
        (", ".join(number for number, _ in one), ", ".join(number for number, _ in other), (one or other)[0][1])
        for one, other in changes
    ]


def _list_changes(
    before: Sequence[T], after: Sequence[T], key: Callable[[T], Any] = lambda item: item
) -> Iterator[tuple[Sequence[T], Sequence[T]]]:
    """Yield the parts of two sequences that differ."""
    matcher = difflib.SequenceMatcher(None, [key(item) for item in before], [key(item) for item in after], False)
    for kind, from_, to, start, end in matcher.get_opcodes():
        if kind != "equal":
            yield before[from_:to], after[start:end]
