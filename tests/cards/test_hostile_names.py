"""Names that a stranger chose, of files, machines and commands: a card shows them, and nothing else changes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from card_page import Page
from cards_names import HOSTILE
from sentiment140_bert.cards.dataset import render_dataset_card
from sentiment140_bert.cards.facts import Facts, read_facts
from sentiment140_bert.cards.markup import flatten
from sentiment140_bert.cards.merge import merge_cards, parse_card
from sentiment140_bert.cards.model import render_model_card

pytest_plugins = ("model_fixtures", "hub_fixtures", "page_fixtures")


def with_name(facts: Facts, name: str) -> Facts:
    """Put a name in every text that a stranger can choose."""
    data = json.loads(json.dumps(facts.data))
    for role, source in data["sources"].items():
        source["name"] = f"{name} ({role})"
    data["sources"]["training"]["revision"] = name
    data["tokenizer"] |= {"name": name, "revision": name}
    data["description"] = {"language": [name], "license": name, "dataset_name": name, "citation": f"{name}\n  {name}"}
    recipe = json.loads(json.dumps(facts.recipe))
    recipe["model"]["model_name_or_path"] = "folder/" + name.replace("/", "⁄")
    environment = json.loads(json.dumps(facts.environment))
    environment |= {"cpu": name, "command": f"s140 train --run-name {name}", "python": name}
    environment["packages"]["torch"] = name
    environment["unusual_arguments"]["run_name"] = name
    metrics = json.loads(json.dumps(facts.metrics))
    for example in metrics["examples"]:
        example["text"] = name
    return replace(facts, data=data, recipe=recipe, environment=environment, metrics=metrics)


def test_a_hostile_name_changes_nothing_but_the_words(small_run: Path) -> None:
    facts = read_facts(small_run)

    def pages(name: str) -> tuple[Page, Page]:
        named = with_name(facts, name)
        data = named.data | {"configs": {"default": {"train": {"num_examples": 1, "num_bytes": 1}}}}
        return Page(render_model_card(named, name, name, [])), Page(
            render_dataset_card(data, "tester/data", "tester/model")
        )

    harmless = pages("x")
    for name in HOSTILE:
        of_model, of_dataset = pages(name)
        for page, other in zip((of_model, of_dataset), harmless, strict=True):
            assert page.shape == other.shape, name
            assert page.links == other.links, name
            assert page.raw_html == other.raw_html, name
            sizes = [[[len(row) for row in table] for table in some.tables] for some in (page, other)]
            assert sizes[0] == sizes[1], name
            assert parse_card(page.text).sections.keys() == parse_card(other.text).sections.keys(), name
            assert parse_card(page.text).handwritten == "", name
            assert merge_cards(page.text, page.text) == page.text, name
            assert not {*"\u202e\u2066\u200b\ufeff\x00\x1b"} & {*page.html}, name
        assert of_model.inside("h1") == [flatten(name)]
        assert flatten(name) in of_model.tables[1][1][0]
        assert flatten(name) in " ".join(of_dataset.inside("p")).replace("\n", " ")
