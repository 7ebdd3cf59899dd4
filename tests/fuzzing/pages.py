"""The target ``card``: whatever strangers named or wrote, a card keeps its sections, nothing in it runs or hides."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import yaml
from markdown_it import MarkdownIt

from card_page import OWN_HTML
from cards_names import HOSTILE
from fuzzing.mutation import PIECES, mutated
from fuzzing.texts import invisible
from sentiment140_bert.cards import facts, merge, metadata
from sentiment140_bert.cards.dataset import render_dataset_card
from sentiment140_bert.cards.model import render_model_card
from sentiment140_bert.errors import RunError
from sentiment140_bert.run import RunDir

RENDERER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
SIGNS = [
    *(b"<!-- begin s140: scores -->\n", b"<!-- end s140: scores -->\n", b"<!--", b"-->", b"---\n", b"\n---\n", b"`"),
    b"```",
]
SIGNS += [
    *(b"| ", b"![a](http://b)", b"<b>", b"</script>", b"\xe2\x80\xae", b"\xe2\x80\x8b", b"\x1b[2J", b"&lt;", b"\\"),
    b"$$",
]
SIGNS += [
    *(b"tags: [a]\n", b"license: mit\n", b"&a ", b"*a", b"<<: *a\n", b"!!timestamp x", b"[" * 500, b"{{"),
    *(b"\xc2\x85", b"\r"),
]
Places = list[tuple[int, tuple[Any, ...]]]


class Cards:
    """The first byte chooses a model card, a dataset card, or an older card to merge with; then texts parted by NUL."""

    name = "card"

    def __init__(self, run: Path) -> None:
        files = RunDir(run)
        read = facts.read_facts(run)
        self.contents = [
            read.recipe,
            read.data,
            read.environment,
            read.metrics,
            {"wandb": {"url": "https://a.example/b"}},
        ]
        self.figures = sorted(item.name for item in files.figures.glob("*.png"))
        every: Places = [(at, path) for at, item in enumerate(self.contents) for path in _texts_in(item)]
        self.places = [place for place in every if self._takes(place)]
        self.card = self._rendered(self.contents, "title", "user/title")
        self.sections = list(merge.parse_card(self.card).sections)

    def draw(self, random: Random) -> bytes:
        """Names that mean harm, or an older card that was damaged."""
        kind = random.choice((0, 0, 1, 2))
        if kind == 2:
            return b"\2" + mutated(self.card.encode(), random, (), PIECES + SIGNS)
        texts = [random.choice(HOSTILE).encode() for _ in range(random.randint(1, 6))]
        texts = [mutated(item, random, (), PIECES[:40] + SIGNS) if random.random() < 0.7 else item for item in texts]
        return bytes((kind,)) + b"\0".join(item.replace(b"\0", b"\1") for item in texts)

    def check(self, raw: bytes) -> str:
        """Renders and takes apart what was rendered."""
        kind, text = raw[0] % 3 if raw else 0, raw[1:].decode("utf-8", "replace")
        if kind == 2:
            return self._merge(text)
        texts = text.split("\0")
        contents = copy.deepcopy(self.contents)
        random = Random(text)
        for item in texts:
            at, path = random.choice(self.places)
            _put(contents[at], path, item)
        try:
            card = self._rendered(contents, texts[0], texts[-1]) if kind == 0 else self._dataset(contents[1], texts)
        except RunError as error:
            if len(error.message) > 2_000:
                raise AssertionError("a long sentence") from error
            return "error: not of the shape of these files"
        self._sound(card, self.sections if kind == 0 else None)
        return "a model card" if kind == 0 else "a dataset card"

    def _takes(self, place: tuple[int, tuple[Any, ...]]) -> bool:
        """Return True if any text is allowed at this place."""
        contents = copy.deepcopy(self.contents)
        _put(contents[place[0]], place[1], "some words")
        try:
            self._rendered(contents, "title", "user/title")
        except (RunError, LookupError, ValueError):  # settings that choose a way are checked with the recipe
            return False
        return True

    def _rendered(self, contents: list[Any], title: str, model_id: str) -> str:
        return render_model_card(facts.check_facts(*contents), title, model_id, self.figures)

    def _dataset(self, data: dict[str, Any], texts: list[str]) -> str:
        size = {"num_examples": 10, "num_bytes": 100}
        configs = {"default": dict.fromkeys(("train", "validation", "test"), size)}
        tokenizer = {"name": texts[0], "revision": None, "sha256": "0" * 64, "max_length": 128}
        return render_dataset_card(data | {"configs": configs, "tokenizer": tokenizer}, texts[-1], texts[0])

    def _sound(self, card: str, expected: list[str] | None) -> None:
        parsed = merge.parse_card(card)
        assert expected is None or list(parsed.sections) == expected, f"its sections are {list(parsed.sections)}"
        hidden = invisible(card)
        assert not hidden, f"there is {hidden}"
        matter = merge.FRONT_MATTER.match(card)
        assert matter, "no front matter"
        marks = merge.MARK.findall(card, matter.end())
        assert len(marks) == 2 * len(parsed.sections), "a mark too many"
        assert yaml.safe_load(matter[1]) == parsed.metadata, "another front matter"
        html = [item for item in _html(RENDERER.parse(card[matter.end() :])) if not OWN_HTML.fullmatch(item)]
        assert not html, f"HTML: {html[0][:200]}"

    def _merge(self, older: str) -> str:
        try:
            merged = merge.merge_cards(self.card, older)
        except ValueError as error:
            if len(str(error)) > 1_000:
                raise AssertionError("a long sentence") from error
            return "error: front matter"
        own, now = merge.parse_card(self.card), merge.parse_card(merged)
        assert list(now.sections) == list(own.sections), f"its sections are {list(now.sections)}"
        assert now.sections == own.sections, "another section"
        assert json.dumps(metadata.format_front_matter(now.metadata)), "front matter"
        assert merge.merge_cards(self.card, merged) == merged, "merged twice is not as merged once"
        return "merged"


def _texts_in(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(content, str):
        yield path
    elif isinstance(content, dict | list):
        for key, value in content.items() if isinstance(content, dict) else enumerate(content):
            yield from _texts_in(value, (*path, key))


def _put(content: Any, path: tuple[Any, ...], text: str) -> None:
    for key in path[:-1]:
        content = content[key]
    content[path[-1]] = text


def _html(tokens: list[Any]) -> Iterator[str]:
    for token in tokens:
        if token.type in ("html_block", "html_inline"):
            yield from (line for line in token.content.splitlines() if line.strip())
        yield from _html(token.children or [])


def trained(folder: Path) -> Path:
    """A small finished run, made where there is none yet."""
    from click.testing import CliRunner

    from sentiment140_bert.cli import main
    from tiny_run import flags

    run = folder / "run"
    if not RunDir(run).is_finished():
        CliRunner().invoke(main, ["train", "--output-dir", str(run), *flags()], catch_exceptions=False)
    return run
