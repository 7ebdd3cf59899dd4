"""The page that a reader sees, for runs of all kinds: its headings, tables, links and pictures, and that it is true."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from cards_names import HOSTILE
from on_hub import DATA, MODEL
from page_fixtures import Published
from sentiment140_bert.cards.dataset import dataset_card
from sentiment140_bert.cards.facts import Facts, read
from sentiment140_bert.cards.markup import plain
from sentiment140_bert.cards.model import model_card
from sentiment140_bert.cards.sections import merged, parse

pytest_plugins = ("model_fixtures", "hub_fixtures", "page_fixtures")

RENDERER = MarkdownIt("commonmark").enable("table")
FIGURES = ["calibration.png", "confusion_matrix.png", "learning_curve.png", "risk_coverage.png", "slices.png"]
MODEL_HEADINGS = ["Use", "Scores", "Training data", "Training", "Intended use and limits", "Citation"]
DATASET_HEADINGS = ["Use", "Structure", "What was done", "Provenance and licence", "Citation"]


class Page:
    """A card as a browser shows it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = RENDERER.parse(text.split("\n---\n", 1)[1])
        self.html = RENDERER.render(text.split("\n---\n", 1)[1])

    def inside(self, kind: str) -> list[str]:
        """The text of every element of a kind: h1, td, …"""
        pairs = zip(self.tokens, self.tokens[1:], strict=False)
        return [shown(token) for before, token in pairs if before.tag == kind and before.nesting == 1]

    @property
    def tables(self) -> list[list[list[str]]]:
        tables: list[list[list[str]]] = []
        for before, token in zip(self.tokens, self.tokens[1:], strict=False):
            if before.type == "table_open":
                tables.append([])
            elif before.type == "tr_open":
                tables[-1].append([])
            if before.type in ("td_open", "th_open"):
                tables[-1][-1].append(shown(token))
        return tables

    def _all(self) -> list[Token]:
        return [each for token in self.tokens for each in (token, *(token.children or []))]

    @property
    def links(self) -> list[str]:
        return [str(each.attrs["href"]) for each in self._all() if each.type == "link_open"]

    @property
    def pictures(self) -> list[str]:
        return [str(each.attrs["src"]) for each in self._all() if each.type == "image"]

    @property
    def raw_html(self) -> list[str]:
        return [each.content for each in self._all() if each.type in ("html_block", "html_inline")]

    @property
    def shape(self) -> list[str]:
        return [each.type for each in self._all() if each.type not in ("text", "softbreak", "inline")]

    @property
    def blocks(self) -> list[str]:
        return [each.content for each in self.tokens if each.type == "fence"]


def shown(token: Token) -> str:
    return "".join(each.content for each in token.children or [] if each.type in ("text", "code_inline"))


def page_of(run: Path) -> Page:
    return Page((run / "model" / "README.md").read_text("utf-8"))


def rendered(facts: Facts, title: str = "model", model_id: str = "tester/model") -> Page:
    return Page(model_card(facts, title, model_id, FIGURES))


# ---- as it is

PICTURES = ("confusion_matrix", "calibration", "learning_curve", "risk_coverage", "slices")


@pytest.mark.parametrize("name", ["small_run", "local_run", "bare_run"])
def test_the_page_of_a_model(name: str, request: pytest.FixtureRequest) -> None:
    page = page_of(request.getfixturevalue(name))
    assert page.inside("h2") == MODEL_HEADINGS
    assert len(page.inside("h1")) == 1
    assert [len({len(row) for row in table}) for table in page.tables] == [1] * 8
    assert page.pictures == [f"figures/{name}.png" for name in PICTURES]
    assert all(each.startswith("<!-- ") and each.rstrip().endswith(" -->") for each in page.raw_html)
    assert len(page.blocks) == 3
    assert not re.search(r"\{\{|\{%|None|nan|Undefined|StrictUndefined", page.text)
    assert "\n\n\n" not in page.text


def test_the_page_of_a_dataset(published: Published) -> None:
    page = Page(published.text("README.md", DATA, "dataset"))
    assert page.inside("h2") == DATASET_HEADINGS
    assert [len({len(row) for row in table}) for table in page.tables] == [1] * 3
    assert page.links == [f"https://huggingface.co/{MODEL}"]
    assert all(each.startswith("<!-- ") for each in page.raw_html)
    assert f"load_dataset('{DATA}')" in page.blocks[0]
    assert page.blocks[1] == f"s140 train --dataset {DATA}\n"


def test_the_tables_say_what_the_files_say(small_run: Path) -> None:
    page, metrics = page_of(small_run), read(small_run).metrics["splits"]
    rows = {row[0]: row[1:] for table in page.tables for row in table}
    names = ["validation", "test", "manual"]
    assert rows["tweets"] == [str(metrics[name]["n"]) for name in names]
    assert rows["accuracy"] == [f"{metrics[name]['accuracy']['value']:.4f}" for name in names]
    assert rows["true positive"] == [str(metrics[name]["true_positive"]["value"]) for name in names]
    limits = metrics["manual"]["recall"]
    scores = next(table for table in page.tables if any(row[0] == "recall" for row in table))
    after = [row[0] for row in scores].index("recall") + 1
    assert scores[after] == ["… interval", *scores[after][1:3], f"{limits['low']:.4f} to {limits['high']:.4f}"]


def test_the_snippet_is_python_that_answers_as_it_says(small_run: Path, published: Published) -> None:
    from transformers import pipeline

    block = Page(published.text("README.md")).blocks[0]
    lines = [line for line in block.splitlines() if line and not line.startswith(("from", "#"))]
    named: dict[str, Any] = {"pipeline": pipeline}
    exec(lines[0], named)  # it names the Hub's id
    (answer,) = eval(lines[1], named)
    assert block.splitlines()[-1] == f"# [{{'label': {answer['label']!r}, 'score': {answer['score']:.4f}}}]"


def test_the_snippet_of_a_run_at_home_names_its_model_folder(local_run: Path) -> None:
    """The run's name is another one than its folder's."""
    (line,) = [line for line in page_of(local_run).blocks[0].splitlines() if "model=" in line]
    named = Path(re.findall(r"model='([^']*)'", line)[0])
    assert named.parts[-2:] == ("local", "model")
    assert page_of(local_run).inside("h1") == ["tweets of ours"]


# ---- what a run has not


def test_without_test_and_hand_labelled_tweets(bare_run: Path) -> None:
    text = page_of(bare_run).text
    assert "held-out" not in text.split("begin s140: use")[0]
    assert "`test` was held out" not in text
    assert "`manual` was labelled" not in text
    assert "model-index" not in text


def test_no_checkpoint_was_chosen_where_nothing_was_scored_on_the_way(bare_run: Path) -> None:
    environment = json.loads((bare_run / "environment.json").read_text("utf-8"))
    assert environment["training"]["best_step"] is None
    assert "chose the checkpoint" not in page_of(bare_run).text


@pytest.mark.parametrize(
    ("cleaning", "said", "not_said"),
    [
        ("raw", "cleaning level `raw`)", "masked"),
        ("mask", "users and URLs masked)", "mojibake"),
        ("repair", "entities and mojibake repaired)", "`raw`"),
    ],
)
def test_what_was_done_to_the_text(small_run: Path, cleaning: str, said: str, not_said: str) -> None:
    facts = read(small_run)
    data = facts.data | {"settings": facts.data["settings"] | {"cleaning": cleaning}}
    use = parse(rendered(replace(facts, data=data)).text).sections["use"]
    assert said in " ".join(use.split())
    assert not_said not in use


def test_hand_labelled_tweets_without_neutral_ones(small_run: Path) -> None:
    facts = read(small_run)
    data = json.loads(json.dumps(facts.data))
    data["splits"].pop("manual_neutral")
    data["configs"] = {"default": {name: {"num_examples": 1, "num_bytes": 1} for name in data["splits"]}}
    assert "neutral tweets are not part" not in dataset_card(data, "tester/data", None)


@pytest.mark.parametrize("only", ["positive", "negative"])
def test_hand_labelled_tweets_of_one_class(small_run: Path, only: str) -> None:
    """Nobody checks that a file with ``--manual-test`` holds both."""
    facts = read(small_run)
    data = json.loads(json.dumps(facts.data))
    other = "negative" if only == "positive" else "positive"
    data["splits"]["manual"] = data["splits"]["manual"] | {"rows": 36}
    del data["splits"]["manual"][other]
    (table,) = [each for each in rendered(replace(facts, data=data)).tables if each[0][0] == "split"]
    (row,) = [row for row in table if row[0] == "manual"]
    assert (row[1], row[2 if only == "negative" else 3]) == ("36", "36")
    assert row[3 if only == "negative" else 2] in ("0", "–")
    data["configs"] = {"default": {name: {"num_examples": 1, "num_bytes": 1} for name in ("train", "manual")}}
    page = Page(dataset_card(data, "tester/data", None))
    assert "36" in [cell for table in page.tables for row in table if row[0] == "manual" for cell in row]


def test_a_split_of_neutral_tweets_alone(small_run: Path) -> None:
    facts = read(small_run)
    metrics = json.loads(json.dumps(facts.metrics))
    metrics["splits"]["manual"] = {"n": 0, "neutral_left_out": 28}
    page = rendered(replace(facts, metrics=metrics))
    rows = {row[0]: row[1:] for table in page.tables for row in table}
    assert (rows["tweets"][2], rows["accuracy"][2], rows["Brier score"][2]) == ("0", "–", "–")
    assert "hand-labelled tweets its accuracy" not in page.text


@pytest.mark.parametrize("figures", [[], ["confusion_matrix.png"], ["learning_curve.png"]])
def test_only_pictures_that_there_are(small_run: Path, figures: list[str]) -> None:
    page = Page(model_card(read(small_run), "model", "tester/model", figures))
    assert sorted(page.pictures) == [f"figures/{name}" for name in figures]


def test_a_tracked_run_is_linked(small_run: Path) -> None:
    url = "https://wandb.ai/our_team/sentiment140-bert/runs/a_b1~c?nw=x&y=z"
    tracked = replace(read(small_run), tracking={"wandb": {"id": "1", "project": "p", "url": url}})
    links = [each for each in rendered(tracked).links if "wandb" in each]
    assert links == [url]
    offline = replace(tracked, tracking={"wandb": {"id": "1", "project": "p", "url": None}})
    assert "Tracked" not in rendered(offline).text


@pytest.mark.parametrize("url", ["javascript:alert(1)", "https://a.b/> <script>alert(1)</script>", "data:text/html,x"])
def test_what_is_no_web_address_is_not_linked(small_run: Path, url: str) -> None:
    page = rendered(replace(read(small_run), tracking={"wandb": {"url": url}}))
    assert [each for each in page.links if not each.startswith("https://")] == []
    assert all(each.startswith("<!-- ") for each in page.raw_html)


def test_a_published_dataset_is_linked(published: Published) -> None:
    page = Page(published.text("README.md"))
    assert page.links == [f"https://huggingface.co/datasets/{DATA}"]
    revision = published.hub.head(DATA, "dataset")
    assert f"--dataset {DATA} --dataset-revision {revision}" in page.blocks[1]


def test_ids_with_underscores_are_linked_right(small_run: Path) -> None:
    facts = read(small_run)
    published = {"repo_id": "a_b/c_d_e", "revision": "0" * 40}
    page = rendered(replace(facts, data=facts.data | {"published": published}), "m_n", "a_b/m_n")
    assert page.links == ["https://huggingface.co/datasets/a_b/c_d_e"]
    assert page.inside("h1") == ["m_n"]
    data = facts.data | {"configs": {"default": {"train": {"num_examples": 1, "num_bytes": 1}}}}
    assert Page(dataset_card(data, "a_b/c_d_e", "a_b/m_n")).links == ["https://huggingface.co/a_b/m_n"]


# ---- hostile names


def with_name(facts: Facts, name: str) -> Facts:
    """Every text that a stranger may have chosen: of files, folders, the machine, the command."""
    data = json.loads(json.dumps(facts.data))
    for role, source in data["sources"].items():
        source["name"] = f"{name} ({role})"
    data["sources"]["training"]["revision"] = name
    data["tokenizer"] |= {"name": name, "revision": name}
    recipe = json.loads(json.dumps(facts.recipe))
    recipe["model"]["model_name_or_path"] = "folder/" + name.replace("/", "⁄")
    environment = json.loads(json.dumps(facts.environment))
    environment |= {"cpu": name, "command": f"s140 train --run-name {name}", "python": name}
    environment["packages"]["torch"] = name
    environment["unusual_arguments"]["run_name"] = name
    metrics = json.loads(json.dumps(facts.metrics))
    for each in metrics["examples"]:
        each["text"] = name
    return replace(facts, data=data, recipe=recipe, environment=environment, metrics=metrics)


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: ascii(name)[1:25])
def test_a_hostile_name_changes_nothing_but_the_words(small_run: Path, name: str) -> None:
    facts = read(small_run)
    page, harmless = rendered(with_name(facts, name), name, name), rendered(with_name(facts, "x"), "x", "x")
    assert page.shape == harmless.shape
    assert page.links == harmless.links
    assert page.raw_html == harmless.raw_html
    assert page.inside("h1") == [plain(name)]
    assert [[len(row) for row in table] for table in page.tables] == [
        [len(row) for row in table] for table in harmless.tables
    ]
    assert plain(name) in page.tables[0][1][0]
    assert parse(page.text).sections.keys() == parse(harmless.text).sections.keys()
    assert parse(page.text).handwritten == ""
    assert merged(page.text, page.text) == page.text
    for hidden in "\u202e\u2066\u200b\ufeff\x00\x1b":
        assert hidden not in page.html


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: ascii(name)[1:25])
def test_nor_in_the_card_of_a_dataset(small_run: Path, name: str) -> None:
    def page(name: str) -> Page:
        data = with_name(read(small_run), name).data
        data["configs"] = {"default": {"train": {"num_examples": 1, "num_bytes": 1}}}
        return Page(dataset_card(data, "tester/data", "tester/model"))

    found, harmless = page(name), page("x")
    assert (found.shape, found.links, found.raw_html) == (harmless.shape, harmless.links, harmless.raw_html)
    assert plain(name) in " ".join(found.inside("p")).replace("\n", " ")


@pytest.mark.parametrize("base", ["- bert", "1. bert", "+ bert", "# bert", "<b>bert", "__bert__"])
def test_a_base_model_folder_of_any_name(small_run: Path, base: str) -> None:
    """Its name begins the card's first sentence."""
    facts = read(small_run)

    def page(name: str) -> Page:
        model = {"model_name_or_path": name, "model_revision": None}
        return rendered(replace(facts, recipe=facts.recipe | {"model": model}))

    assert page(base).shape == page("bert").shape


@pytest.mark.parametrize("change", [lambda text: text + "x", lambda text: text.replace("accuracy", "acc")])
def test_a_card_made_again_is_the_same(small_run: Path, change: Callable[[str], str]) -> None:
    """Whatever somebody changed in our sections is as it was; the rest is hand-written and is kept."""
    facts = read(small_run)
    text = model_card(facts, "small", "tester/model", FIGURES)
    again = merged(text, change(text))
    assert parse(again).sections == parse(text).sections
