"""The page that a reader sees, for runs of all kinds: its headings, tables, links and pictures, and that it is true."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pyarrow.parquet as pq
import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from cards_names import HOSTILE
from on_hub import DATA, MODEL
from page_fixtures import Published
from report_fixtures import full_metrics
from sentiment140_bert.cards import metadata
from sentiment140_bert.cards.dataset import render_dataset_card
from sentiment140_bert.cards.facts import Facts, read_facts
from sentiment140_bert.cards.markup import flatten
from sentiment140_bert.cards.merge import merge_cards, parse_card
from sentiment140_bert.cards.model import render_model_card
from sentiment140_bert.recipe import SCORES
from sentiment140_bert.run import RunDir
from sentiment140_bert.shapes import BASELINES

pytest_plugins = ("model_fixtures", "hub_fixtures", "page_fixtures")

RENDERER = MarkdownIt("commonmark").enable("table")
LABELS = {"f1": "F1", "roc_auc": "ROC AUC", "matthews_correlation": "Matthews correlation"}
FIGURES = ["calibration.png", "confusion_matrix.png", "learning_curve.png", "risk_coverage.png", "slices.png"]
MODEL_HEADINGS = ["Use", "Scores", "Training data", "Training", "Intended use and limits"]
DATASET_HEADINGS = ["Use", "Structure", "Processing", "Provenance and licence"]


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
    return Page(render_model_card(facts, title, model_id, FIGURES))


# ---- as it is

PICTURES = ("confusion_matrix", "calibration", "learning_curve", "risk_coverage", "slices")


def test_the_page_of_a_model(small_run: Path, local_run: Path, bare_run: Path) -> None:
    for run in (small_run, local_run, bare_run):
        page = page_of(run)
        assert page.inside("h2") == MODEL_HEADINGS, run
        assert len(page.inside("h1")) == 1, run
        assert [len({len(row) for row in table}) for table in page.tables] == [1] * 8, run
        assert page.pictures == [f"figures/{name}.png" for name in PICTURES], run
        assert all(text.startswith("<!-- ") and text.rstrip().endswith(" -->") for text in page.raw_html), run
        assert len(page.blocks) == 2, run
        assert not re.search(r"\{\{|\{%|None|nan|Undefined|StrictUndefined", page.text), run
        assert "\n\n\n" not in page.text, run


def test_the_page_of_a_dataset(published: Published) -> None:
    page = Page(published.text("README.md", DATA, "dataset"))
    assert page.inside("h2") == DATASET_HEADINGS
    assert [len({len(row) for row in table}) for table in page.tables] == [1] * 3
    assert page.links == [f"https://huggingface.co/{MODEL}"]
    assert all(each.startswith("<!-- ") for each in page.raw_html)
    assert f"load_dataset('{DATA}')" in page.blocks[0]
    assert page.blocks[1] == f"s140 train --dataset {DATA}\n"


@pytest.fixture(scope="module")
def facts(small_run: Path) -> Facts:
    """Every part of every split, and numbers that are all different."""
    found = read_facts(small_run)
    metrics = full_metrics(
        json.loads(json.dumps(found.metrics)), pq.read_table(RunDir(small_run).predictions).to_pylist()
    )
    random = Random(2)

    def differing(content: Any) -> Any:
        if isinstance(content, dict):
            return {key: differing(value) for key, value in content.items()}
        if isinstance(content, list):
            return [differing(value) for value in content]
        return random.random() if type(content) is float else content

    return replace(found, metrics=metrics | {"splits": differing(metrics["splits"])})


def four(score: dict[str, float] | None) -> str:
    return f"{score['value']:.4f}" if score else "–"


def limits(score: dict[str, float] | None) -> str:
    return f"{score['low']:.4f} to {score['high']:.4f}" if score and "low" in score else "" if score else "–"


def in_split(split: dict[str, Any], *keys: str) -> Any:
    """What stands in a split under these keys, or None."""
    content: Any = split
    for key in keys:
        content = content.get(key) if content else None
    return content


def test_every_table_of_a_model_shows_its_numbers(facts: Facts) -> None:
    splits = facts.metrics["splits"]
    names = ["validation", "test", "manual"]
    assert list(splits) == names

    def row(title: str, show: Callable[[Any], str], *keys: str) -> list[str]:
        return [title, *(show(in_split(split, *keys)) for split in splits.values())]

    def pair(title: str, *keys: str) -> list[list[str]]:
        return [row(title, four, *keys), row("… interval", limits, *keys)]

    scores = [["", *names], row("tweets", str, "n")]
    for metric in SCORES:
        scores += pair(LABELS.get(metric, metric.replace("_", " ")), metric)
    scores += pair("calibration error", "calibration", "expected_calibration_error")
    scores.append(row("… with temperature", four, "calibrated", "expected_calibration_error"))
    scores += pair("Brier score", "calibration", "brier_score")
    confusion = [["", *names]]
    for cell in ("true_negative", "false_positive", "false_negative", "true_positive"):
        confusion.append(row(cell.replace("_", " "), str, cell, "value"))
    lifts = [["accuracy of", *names]]
    for key, title in BASELINES.items():
        lifts += pair(title, "baselines", key, "accuracy")
        lifts += pair("accuracy of this model minus it", "baselines", key, "lift")
        lifts.append(row("… p", lambda number: f"{number:.2g}", "baselines", key, "p_value"))
    unsure = [["", *names], row("coverage", four, "abstaining", "coverage")]
    unsure += pair("accuracy on the covered tweets", "abstaining", "accuracy")
    unsure.append(row("tweets, neutral ones included", lambda n: str(n or "–"), "three_way", "n"))
    unsure += pair("accuracy with three classes", "three_way", "accuracy")
    unsure += pair("macro recall with three classes", "three_way", "macro_recall")
    unsure.append(row("recall of neutral", four, "three_way", "recall", "neutral"))
    data = facts.data
    steps = [["step", "rows"], *([step.replace("_", " "), f"{rows:,}"] for step, rows in data["steps"].items())]
    parts = [["split", "tweets", "negative", "positive", "tokens (median)", "cut"]]
    for name, part in data["splits"].items():
        if name != "manual_neutral":
            counts = [f"{part[key]:,}" for key in ("rows", "negative", "positive")]
            lengths = part["token_length"]
            parts.append([name, *counts, str(lengths["p50"]), str(lengths["truncated"])])
    examples = [["text", "label", "score"]]
    for example in facts.metrics["examples"]:
        examples.append([example["text"], example["label"], f"{example['score']:.4f}"])
    found = rendered(facts).tables
    assert found[:-1] == [examples, scores, confusion, lifts, unsure, steps, parts]
    unusual = facts.environment["unusual_arguments"]
    assert found[-1] == [["argument", "value"], *([name, str(value)] for name, value in unusual.items())]


def test_every_sentence_of_a_model_shows_its_numbers(facts: Facts) -> None:
    text = " ".join(rendered(facts).text.split())
    missing = []
    for name, meaning in metadata.HEADLINES.items():
        split = facts.metrics["splits"][name]
        worse = "; ".join(
            f"worse on `{part['name']}` ({part['n']} tweets: {four(part['accuracy'])}, {limits(part['accuracy'])}; "
            f"the others: {part['rest']:.4f})"
            for part in split["slices"]
            if part["worse"]
        )
        leakage = split["leakage"]
        sentences = [
            f"On {split['n']} {meaning} its accuracy is **{four(split['accuracy'])}** "
            f"(interval {limits(split['accuracy'])}).",
            f"{name}: {worse}.",
            f"Of the {split['n']} {name} tweets {leakage['exact']} are in the training split, too, "
            f"and {leakage['near']} more are near duplicates (most words the same).",
        ]
        missing += [sentence for sentence in sentences if sentence not in text]
    learned, abstention = facts.metrics["temperature"], facts.metrics["abstention"]
    training = facts.environment["training"]
    for sentence in (
        f"a temperature of {learned['value']} was fitted to {learned['n']} tweets; a share of "
        f"{abstention['share']} of them has a confidence below {abstention['threshold']}.",
        f"its {facts.metrics['splits']['manual']['neutral_left_out']} neutral tweets are left out",
        f"{training['steps']} steps ({training['epochs']} epochs) in {training['seconds']} s, "
        f"{training['tweets_per_second']} tweets per second",
        f"The checkpoint of step {training['best_step'] or training['steps']} was kept.",
        f"Training seed {facts.recipe['training']['seed']}, seed of the splits {facts.data['settings']['split_seed']}.",
    ):
        missing += [sentence] if sentence not in text else []
    assert missing == []


def test_the_p_value_tells_models_apart_and_not_the_interval(facts: Facts) -> None:
    wrong = []
    for p_value, (low, high) in itertools.product(
        (0.001, 0.049, 0.051, 0.6), ((0.01, 0.09), (-0.05, 0.03), (-0.09, -0.01))
    ):
        metrics = json.loads(json.dumps(facts.metrics))
        value = (low + high) / 2
        lift = {"p_value": p_value, "lift": {"value": value, "low": low, "high": high}}
        metrics["splits"]["test"]["baselines"]["tfidf"] |= lift
        text = " ".join(parse_card(rendered(replace(facts, metrics=metrics)).text).sections["summary"].split())
        better = "this model is better by" if value > 0 else "this model is **worse**: the difference is"
        says = "the difference is not significant:" if p_value > 0.05 else better
        if f"; {says} {value:.4f} ({low:.4f} to {high:.4f})." not in text:
            wrong.append((p_value, low, high))
    assert wrong == []


def test_validation_chose_the_checkpoint_where_it_was_scored_and_the_best_one_kept(facts: Facts) -> None:
    for best, strategy in itertools.product((True, False), ("no", "steps", "epoch")):
        training = facts.recipe["training"] | {"load_best_model_at_end": best, "eval_strategy": strategy}
        text = rendered(replace(facts, recipe=facts.recipe | {"training": training})).text
        chosen = best and strategy != "no"
        assert ("`validation` chose the checkpoint" in text) == chosen, (best, strategy)
        assert ("The last checkpoint was kept" in text) != chosen, (best, strategy)


def test_the_snippet_is_python_that_answers_as_it_says(small_run: Path, published: Published) -> None:
    from transformers import pipeline

    block = Page(published.text("README.md")).blocks[0]
    lines = [line for line in block.splitlines() if line and not line.startswith(("from", "#"))]
    named: dict[str, Any] = {"pipeline": pipeline}
    exec(lines[0], named)  # it names the Hub's id
    (answer,) = eval(lines[1], named)
    assert len(named["classify"]("so good " * 600)) == 1  # more tokens than the model takes
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


def test_what_was_done_to_the_text(small_run: Path) -> None:
    facts = read_facts(small_run)
    for cleaning, said, not_said in (
        ("raw", "cleaning level `raw`)", "masked"),
        ("mask", "users and URLs masked)", "mojibake"),
        ("repair", "entities and mojibake repaired)", "`raw`"),
    ):
        data = facts.data | {"settings": facts.data["settings"] | {"cleaning": cleaning}}
        use = parse_card(rendered(replace(facts, data=data)).text).sections["use"]
        assert said in " ".join(use.split())
        assert not_said not in use


def test_hand_labelled_tweets_without_neutral_ones(small_run: Path) -> None:
    facts = read_facts(small_run)
    data = json.loads(json.dumps(facts.data))
    data["splits"].pop("manual_neutral")
    data["configs"] = {"default": {name: {"num_examples": 1, "num_bytes": 1} for name in data["splits"]}}
    assert "neutral tweets are not part" not in render_dataset_card(data, "tester/data", None)


def test_hand_labelled_tweets_of_one_class(small_run: Path) -> None:
    """Nobody checks that a file with ``--manual-test`` holds both."""
    facts = read_facts(small_run)
    for only, other in (("positive", "negative"), ("negative", "positive")):
        data = json.loads(json.dumps(facts.data))
        data["splits"]["manual"] |= {"rows": 36, only: 36}
        del data["splits"]["manual"][other]
        expected = ["36", "36", "0"] if only == "negative" else ["36", "0", "36"]
        (table,) = [table for table in rendered(replace(facts, data=data)).tables if table[0][0] == "split"]
        assert [row[1:4] for row in table if row[0] == "manual"] == [expected]
        data["configs"] = {"default": {name: {"num_examples": 1, "num_bytes": 1} for name in ("train", "manual")}}
        tables = Page(render_dataset_card(data, "tester/data", None)).tables
        assert [row[1:4] for table in tables for row in table if row[0] == "manual"] == [expected]


def test_a_split_of_neutral_tweets_alone(small_run: Path) -> None:
    facts = read_facts(small_run)
    metrics = json.loads(json.dumps(facts.metrics))
    metrics["splits"]["manual"] = {"n": 0, "neutral_left_out": 28}
    page = rendered(replace(facts, metrics=metrics))
    rows = {row[0]: row[1:] for table in page.tables for row in table}
    assert (rows["tweets"][2], rows["accuracy"][2], rows["Brier score"][2]) == ("0", "–", "–")
    assert "hand-labelled tweets its accuracy" not in page.text


def test_only_pictures_that_there_are(small_run: Path) -> None:
    for figures in ([], ["confusion_matrix.png"], ["learning_curve.png"]):
        page = Page(render_model_card(read_facts(small_run), "model", "tester/model", figures))
        assert page.pictures == [f"figures/{name}" for name in figures]


def test_a_tracked_run_is_linked(small_run: Path) -> None:
    url = "https://wandb.ai/our_team/sentiment140-bert/runs/a_b1~c?nw=x&y=z"
    tracked = replace(read_facts(small_run), tracking={"wandb": {"id": "1", "project": "p", "url": url}})
    links = [each for each in rendered(tracked).links if "wandb" in each]
    assert links == [url]
    offline = replace(tracked, tracking={"wandb": {"id": "1", "project": "p", "url": None}})
    assert "Tracked" not in rendered(offline).text


def test_what_is_no_web_address_is_not_linked(small_run: Path) -> None:
    for url in ("javascript:alert(1)", "https://a.b/> <script>alert(1)</script>", "data:text/html,x"):
        page = rendered(replace(read_facts(small_run), tracking={"wandb": {"url": url}}))
        assert [link for link in page.links if not link.startswith("https://")] == [], url
        assert all(text.startswith("<!-- ") for text in page.raw_html), url


def test_a_published_dataset_is_linked(published: Published) -> None:
    page = Page(published.text("README.md"))
    assert page.links == [f"https://huggingface.co/datasets/{DATA}"]
    revision = published.hub.head(DATA, "dataset")
    assert f"--dataset {DATA} --dataset-revision {revision}" in page.blocks[1]


def test_ids_with_underscores_are_linked_right(small_run: Path) -> None:
    facts = read_facts(small_run)
    published = {"repo_id": "a_b/c_d_e", "revision": "0" * 40}
    page = rendered(replace(facts, data=facts.data | {"published": published}), "m_n", "a_b/m_n")
    assert page.links == ["https://huggingface.co/datasets/a_b/c_d_e"]
    assert page.inside("h1") == ["m_n"]
    data = facts.data | {"configs": {"default": {"train": {"num_examples": 1, "num_bytes": 1}}}}
    assert Page(render_dataset_card(data, "a_b/c_d_e", "a_b/m_n")).links == ["https://huggingface.co/a_b/m_n"]


# ---- hostile names


def with_name(facts: Facts, name: str) -> Facts:
    """Every text that a stranger may have chosen: of files, folders, the machine, the command."""
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
    for each in metrics["examples"]:
        each["text"] = name
    return replace(facts, data=data, recipe=recipe, environment=environment, metrics=metrics)


def test_a_hostile_name_changes_nothing_but_the_words(small_run: Path) -> None:
    facts = read_facts(small_run)

    def pages(name: str) -> tuple[Page, Page]:
        named = with_name(facts, name)
        data = named.data | {"configs": {"default": {"train": {"num_examples": 1, "num_bytes": 1}}}}
        return rendered(named, name, name), Page(render_dataset_card(data, "tester/data", "tester/model"))

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
        assert flatten(name) in of_model.tables[0][1][0]
        assert flatten(name) in " ".join(of_dataset.inside("p")).replace("\n", " ")


def test_a_base_model_folder_of_any_name(small_run: Path) -> None:
    """Its name begins the card's first sentence."""
    facts = read_facts(small_run)

    def page(name: str) -> Page:
        model = {"model_name_or_path": name, "model_revision": None}
        return rendered(replace(facts, recipe=facts.recipe | {"model": model}))

    bases = ("- bert", "1. bert", "+ bert", "# bert", "<b>bert", "__bert__")
    assert [base for base in bases if page(base).shape != page("bert").shape] == []


def test_a_card_made_again_is_the_same(small_run: Path) -> None:
    """Whatever somebody changed in the written sections is as it was; the rest is hand-written and stays."""
    text = render_model_card(read_facts(small_run), "small", "tester/model", FIGURES)
    for changed in (text + "x", text.replace("accuracy", "acc")):
        assert parse_card(merge_cards(text, changed)).sections == parse_card(text).sections
