"""The pages of a model and its dataset, compared with those that this package writes from the measured facts."""

from __future__ import annotations

import ast
import html
import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from sentiment140_bert import schemas
from sentiment140_bert.cards import merge
from sentiment140_bert.cards.facts import Facts
from sentiment140_bert.cards.markup import escape, flatten
from sentiment140_bert.errors import first_line
from sentiment140_bert.publishing import claims
from sentiment140_bert.publishing.checks import CLAIMED, FALSE, TRUE, WARNING, Check, leave_unchecked, settle
from sentiment140_bert.publishing.layout import find_changed_sections
from sentiment140_bert.recipe import SECTION_BY_KEY
from sentiment140_bert.run import EVAL_RESULTS
from sentiment140_bert.trust import plain_yaml

# Keys of a front matter that the Hub reads as properties of the model or the dataset; the tool writes them, or nobody.
HUB_KEY = re.compile(
    "language|base-model|base-model-relation|library-name|pipeline-tag|datasets|metrics|widget|model-index|model-name"
    "|eval-results|train-eval-index|dataset-info|configs|task-categories"
)
PROPERTY_TAG = re.compile(
    r"(dataset|base_model|license|language|library|pipeline_tag|metric|eval_results|model-index)s?:"
    rf"|{merge.SOURCE_TAG}$"
)
TITLE = re.compile(r"^# (.+)$", re.MULTILINE)
# Between the settings of a command line, each of which is read alone.
BEFORE_SETTING = re.compile(rf"\s(?=--(?:set|(?:no-)?(?:{'|'.join(SECTION_BY_KEY).replace('_', '[-_]')}))(?![\w-]))")
SNIPPET = re.compile(r"^ {4}model=(.+),$", re.MULTILINE)


def compare_card(name: str, file: Path, right: str) -> Iterator[Check]:
    """Compare a card with the one that the tool writes, and list what else is on it.

    Args:
        name: The card's, for the table.
        file: The card.
        right: The card that the tool writes.
    """
    try:
        text = file.read_text("utf-8").replace("\r\n", "\n")
        claimed, expected = merge.parse_card(text), merge.parse_card(right)
    except (OSError, ValueError) as error:
        yield leave_unchecked(name, None, f"its README.md cannot be read: {first_line(error)}")
        return
    yield from _compare_front_matter(name, text, claimed, expected)
    written_by = merge.WRITTEN_BY.search(claimed.sections.get("summary", ""))
    if written_by and written_by[2] != str(merge.LAYOUT):
        yield leave_unchecked(
            f"{name}: text", None, "it has another layout; its owner can write it again: s140 card RUN"
        )
    elif not written_by or written_by[1] != version("sentiment140-bert"):
        yield leave_unchecked(f"{name}: text", None, "it was written by another version, or by another tool")
    else:
        yield from _compare_sections(name, claimed, expected)
    if "the dataset" not in claims.find_source_claims(right):  # neither its source nor its publisher says so
        yield from _find_another_source(name, text, claimed, expected)
    yield from _list_handwritten(name, claimed)


def _find_another_source(name: str, text: str, claimed: merge.Card, expected: merge.Card) -> Iterator[Check]:
    """Find claims on a card, by any version or hand, that are true only of tweets of Sentiment140."""
    language, source = expected.metadata.get("language"), "another source in data.json"
    is_english = "en" in (language if isinstance(language, list) else [language])
    for claim, words in claims.find_source_claims(text).items():
        if claim != "the language" or not is_english:
            yield Check(f"{name}: {claim}, as of Sentiment140", words, source, FALSE)
    for line in claimed.handwritten.splitlines():
        if claims.NAME.search(line):
            yield Check(f"{name}: text by hand about Sentiment140", line, source, WARNING, "it has other tweets")


def _compare_sections(name: str, claimed: merge.Card, expected: merge.Card) -> Iterator[Check]:
    wrong = [
        Check(f"{name}: section {section}", "left out", "present", FALSE)
        for section in expected.sections
        if section not in claimed.sections
    ]
    wrong += [
        Check(f"{name}: section {section}", "present", "the tool writes none", FALSE)
        for section in claimed.sections
        if section not in expected.sections
    ]
    order = [section for section in claimed.sections if section in expected.sections]
    if order != [section for section in expected.sections if section in order]:
        wrong.append(Check(f"{name}: order of the sections", ", ".join(order), ", ".join(expected.sections), FALSE))
    for section in order:
        if claimed.sections[section].rstrip() != expected.sections[section].rstrip():
            wrong += [
                Check(f"{name}, {section}: {line[:80]}", stated, right, FALSE)
                for stated, right, line in merge.list_differences(claimed.sections[section], expected.sections[section])
            ]
    for gap in claimed.between:
        wrong += [
            Check(f"{name}: section {copy}, again", "a copy", "the tool writes one", FALSE)
            for copy in merge.parse_card(gap).sections
        ]
    yield from wrong or [Check(f"{name}: text", "as its files", "as its files", TRUE)]


def _list_handwritten(name: str, card: merge.Card) -> Iterator[Check]:
    """List what people wrote around the sections, with a warning where that reads like a claim or hides a section."""
    after = ["the front matter", *card.sections]
    for place, gap in zip(after, card.between, strict=True):
        if not gap.strip():
            continue
        where = f"{name}: text by hand after {place}"
        yield Check(where, gap.strip(), None, CLAIMED, "nobody measured its content")
        yield from warn(where, gap)
        if merge.MARK.search(gap):
            yield Check(f"{where}: mark", gap.strip(), None, WARNING, "a mark of this tool without its counterpart")
    for section in find_changed_sections(card):
        text, why = card.texts.get(section), "text by hand hides it, or changes how it looks"
        yield Check(f"{name}: section {section}", text, None, WARNING, why)


def warn_of_values(where: str, content: Any) -> Iterator[Check]:
    """Warn of whatever reads like a claim in parsed JSON that nothing here measures, its keys included."""
    for key, value in dict.fromkeys(_list_values(where, content)):
        # A card may show a key and a word or number in two cells, where that is enough to be a claim.
        text = f"| {key} | {value} |" if len(value.split()) == 1 else f"{key}: {value}"
        yield from warn(f"{where}: {key}", text, is_literal=True)


def _list_values(key: str, content: Any) -> Iterator[tuple[str, str]]:
    """Yield every value of parsed JSON as a card shows it, with the nearest key; of a mapping the key alone."""
    rest = [(key, content)]
    while rest:
        key, value = rest.pop()
        if isinstance(value, list):
            rest += [(key, part) for part in reversed(value)]
            continue
        if isinstance(value, dict):
            rest += reversed(value.items())
        yield flatten(key), "" if isinstance(value, dict) else flatten(str(value))


def warn(where: str, text: str, *, is_literal: bool = False) -> Iterator[Check]:
    """Warn of whatever reads like a claim in a text that nothing here can measure; see ``find_claims``."""
    for place in dict.fromkeys(claims.find_claims(text, is_literal=is_literal)):
        yield Check(f"{where}: {place}", place, None, WARNING, "it reads like a claim, and nobody measured it")


def _compare_front_matter(name: str, text: str, claimed: merge.Card, expected: merge.Card) -> Iterator[Check]:
    """Compare the keys that the tool writes, and list a person's own."""
    where, stated, right = f"{name}, front matter", dict(claimed.metadata), dict(expected.metadata)
    matter = merge.FRONT_MATTER.match(text)
    try:
        plain_yaml.load(matter[1] if matter else "")
    except ValueError as error:
        yield Check(f"{where}: YAML", first_line(error), "every key once", FALSE)
    tags = stated.get("tags")
    own_tags = [tag for tag in tags if tag not in right["tags"]] if isinstance(tags, list) else []
    if isinstance(tags, list) and not any(PROPERTY_TAG.match(str(tag).lower()) for tag in own_tags):
        stated["tags"] = [tag for tag in tags if tag in right["tags"]]
    else:
        own_tags = []
    personal = {f"tag {tag}": tag for tag in own_tags}
    for key in [key for key in stated if key not in right or key in merge.PERSONAL]:
        if key in merge.PERSONAL or not HUB_KEY.fullmatch(str(key).lower().replace("_", "-")):
            content, written = stated.pop(key), right.pop(key, None)
            personal |= {str(key): content} if content != written else {}
    wrong = [*compare_yaml(where, stated, right)]
    yield from wrong or [Check(where, "as its files", "as its files", TRUE)]
    for key, content in personal.items():
        has_license = key == "license" and expected.metadata.get(key) not in (None, "unknown")
        verdict, written = (WARNING, expected.metadata[key]) if has_license else (CLAIMED, "nothing of the kind")
        yield Check(f"{where}: {key}", content, None, verdict, f"a person wrote it; the tool writes {written}")
        yield from warn(f"{where}: {key}", f"{key}: {yaml.safe_dump(content, allow_unicode=True)}")


def compare_yaml(name: str, claimed: Any, right: Any) -> Iterator[Check]:
    """Compare parsed YAML, value by value; a value that the tool does not write is false, too."""
    for leaf in settle(claimed, right)[1]:
        if leaf.verdict != TRUE:
            yield Check(f"{name}: {'.'.join(leaf.path)}", leaf.claimed, leaf.measured, FALSE)


def compare_results(folder: Path, right: str | None, dataset: str | None) -> Iterator[Check]:
    """Compare the eval results: the tool's own file, and no other about its dataset.

    Args:
        folder: The page's.
        right: The tool's file; None if it writes none.
        dataset: Id of the dataset on the Hub.
    """
    for file in sorted(folder.glob(".eval_results/*")):
        name = str(file.relative_to(folder))
        try:
            entries = plain_yaml.load(file.read_text("utf-8"))
        except (OSError, ValueError) as error:
            yield leave_unchecked(name, None, f"it cannot be read: {first_line(error)}")
            continue
        if name == EVAL_RESULTS:
            wrong = [*compare_yaml(name, entries, yaml.safe_load(right or "[]"))]
            yield from wrong or [Check(name, "as metrics.json", "as metrics.json", TRUE)]
        elif dataset and dataset.lower() in yaml.safe_dump(entries).lower():
            yield Check(name, str(entries), f"the tool writes {EVAL_RESULTS} alone", FALSE)
        else:
            yield leave_unchecked(name, str(entries), "nothing here can measure these results")


def read_names(file: Path, title: str, model_id: str) -> tuple[str, str]:
    """Return the title and the model's name on a card, by default ``title`` and ``model_id``."""
    try:
        card = merge.parse_card(file.read_text("utf-8"))
    except (OSError, ValueError):
        return title, model_id
    line = TITLE.search(card.sections.get("summary", ""))
    index = card.metadata.get("model-index")
    name = str(index[0].get("name")) if isinstance(index, list) and index and isinstance(index[0], dict) else ""
    if line:
        title = name if str(escape(name)) == line[1] else re.sub(r"\\(.)", r"\1", html.unescape(line[1]))
    snippet = SNIPPET.search(card.sections.get("use", ""))
    try:
        stated_id = ast.literal_eval(snippet[1]) if snippet else model_id
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        stated_id = model_id
    return title, stated_id if isinstance(stated_id, str) else model_id


def list_description(name: str, data: schemas.Data) -> Iterator[Check]:
    """List the description in ``data.json``, which is its publisher's word."""
    for key, value in data.get("description", {}).items():
        where = f"{name}: {key.replace('_', ' ')}"
        content = ", ".join(value) if isinstance(value, list) else str(value)
        yield Check(where, content, None, CLAIMED, "its publisher says so")


def list_claimed(facts: Facts, title: str, pictures: list[str]) -> Iterator[Check]:
    """List the claims of a card that nobody can measure, and warn of those that read like scores."""
    environment = facts.environment
    training, machine = environment["training"], f"{environment['gpu'] or environment['cpu']}"
    carbon, teacher = environment.get("carbon"), environment.get("teacher")
    packages = ", ".join(f"{name} {number}" for name, number in environment["packages"].items())
    urls = [str(entry.get("url")) for entry in facts.tracking.values() if isinstance(entry, dict)]
    values = {
        "name": title,
        "base model": facts.base_name,
        "teacher": f"{teacher['name']}, weights {teacher['weights']}" if teacher else "",
        "start": environment["started"],
        "duration": f"{training['seconds']} s, {training['tweets_per_second']} tweets per second",
        "steps": f"{training['steps']}, the best {training['best_step']}",
        "machine": f"{machine}, {environment['threads']} threads, {environment['processes']} processes",
        "number format": environment["precision"]["name"],
        "package versions": f"Python {environment['python']}, {packages}",
        "command and recipe": environment["command"] or "recipe.yaml",
        "history of the training": "; ".join(environment.get("changed", [])) or "in one piece",
        "CO2": f"{carbon['grams']} g in {carbon['country']}, by {carbon['source']}" if carbon else "",
        "pictures": ", ".join(pictures),
        "tracker": ", ".join(urls),
    }
    for name, content in values.items():
        if content:
            yield Check(name, content, None, CLAIMED, "nobody can measure it again")
    yield from list_description("tweets", facts.data)
    names = {"name": title, "base model": facts.base_name, "pictures": pictures, "tracker": urls}
    yield from warn_of_values("page", names)
    settings = BEFORE_SETTING.split(environment["command"] or "")
    yield from warn_of_values("environment.json", {**environment, "command": settings})
