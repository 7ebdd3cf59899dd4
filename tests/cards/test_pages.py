"""The page that a reader sees, for runs of all kinds: its headings, tables, links and pictures, and that it is true."""

from __future__ import annotations

import ast
import itertools
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from card_page import Page
from on_hub import DATA, MODEL
from page_fixtures import Published
from report_fixtures import vary_facts
from sentiment140_bert.cards import metadata
from sentiment140_bert.cards.dataset import render_dataset_card
from sentiment140_bert.cards.facts import Facts, read_facts
from sentiment140_bert.cards.merge import parse_card
from sentiment140_bert.cards.model import render_model_card
from sentiment140_bert.schemas import BASELINES, SCORE_LABELS, SCORES

pytest_plugins = ("model_fixtures", "hub_fixtures", "page_fixtures")

FIGURES = ["calibration.png", "confusion_matrix.png", "learning_curve.png", "risk_coverage.png", "slices.png"]
HEADINGS = ["Use", "Intended use", "Limits"]
DETAILS = ["More predictions", "All scores", "Scores by kind of tweet", "Calibration", "Training data"]
DETAILS += ["Hyperparameters", "Reproduce", "Files and hashes"]
DATASET_DETAILS = ["Configs and columns", "Processing", "Files and hashes"]
SPLIT_NAMES = {"manual": "hand-labeled"}


def load_page(run: Path) -> Page:
    return Page((run / "model" / "README.md").read_text("utf-8"))


def render(facts: Facts, title: str = "model", model_id: str = "tester/model") -> Page:
    return Page(render_model_card(facts, title, model_id, FIGURES))


PICTURES = ("confusion_matrix", "slices", "calibration", "risk_coverage", "learning_curve")


def test_the_page_of_a_model(small_run: Path, local_run: Path, bare_run: Path) -> None:
    for run in (small_run, local_run, bare_run):
        page = load_page(run)
        is_scored = run != bare_run  # on held-out tweets
        assert page.inside("h2") == HEADINGS, run
        assert len(page.inside("h1")) == 1, run
        assert page.summaries == [title for title in DETAILS if is_scored or "kind" not in title], run
        assert {len({len(row) for row in table}) for table in page.tables} == {1}, run
        assert page.pictures == [
            f"figures/{name}.png" for name in PICTURES if is_scored or name not in ("confusion_matrix", "slices")
        ], run
        assert page.foreign_html == [], run
        assert len(page.blocks) == 2, run
        assert not re.search(r"\{\{|\{%|None|nan|Undefined|StrictUndefined", page.text), run
        assert "\n\n\n" not in page.text, run


def test_the_page_of_a_dataset(published: Published) -> None:
    page = Page(published.text("README.md", DATA, "dataset"))
    assert (page.inside("h2"), page.summaries) == (HEADINGS, DATASET_DETAILS)
    assert [len({len(row) for row in table}) for table in page.tables] == [1] * 5
    assert page.links == [f"https://huggingface.co/{MODEL}"]
    assert page.foreign_html == []
    assert f'load_dataset("{DATA}")' in page.blocks[0]
    assert page.blocks[1] == f"s140 train --dataset {DATA}\n"


@pytest.fixture(scope="module")
def facts(small_run: Path) -> Facts:
    return vary_facts(small_run, 2)


def format_score(score: dict[str, float] | None) -> str:
    if not score:
        return "–"
    return f"{score['value']:.4f}" + (f" ({score['low']:.4f} to {score['high']:.4f})" if "low" in score else "")


def look_up(split: dict[str, Any], *keys: str) -> Any:
    """Return the value under these keys of a split, or None."""
    content: Any = split
    for key in keys:
        content = content.get(key) if content else None
    return content


def test_every_table_of_a_model_shows_its_numbers(facts: Facts) -> None:
    splits = facts.metrics["splits"]
    held_out = {name: splits[name] for name in ("test", "manual")}
    names = ["validation", "test", "hand-labeled"]
    assert list(splits) == ["validation", *held_out]
    best = max(BASELINES, key=lambda key: splits["test"]["baselines"][key]["accuracy"]["value"])

    def row(title: str, show: Callable[[Any], str], *keys: str, of: dict[str, Any] = splits) -> list[str]:
        return [title, *(show(look_up(split, *keys)) for split in of.values())]

    headline = [
        ["", *(f"{SPLIT_NAMES.get(name, name)} ({split['n']} tweets)" for name, split in held_out.items())],
        row("accuracy", format_score, "accuracy", of=held_out),
        row("… of the strongest baseline", format_score, "baselines", best, "accuracy", of=held_out),
        row("macro-F1", format_score, "macro_f1", of=held_out),
    ]
    scores = [["", *names], row("tweets", str, "n")]
    scores += [row(SCORE_LABELS[metric], format_score, metric) for metric in SCORES]
    for cell in ("true_negative", "false_positive", "false_negative", "true_positive"):
        scores.append(row(cell.replace("_", " "), str, cell, "value"))
    lifts = [["accuracy", *names]]
    for key, title in BASELINES.items():
        lifts.append(row(title, format_score, "baselines", key, "accuracy"))
        lifts.append(row("… difference of this model", format_score, "baselines", key, "lift"))
        lifts.append(row("… p", lambda number: f"{number:.2g}", "baselines", key, "p_value"))
    slices = [
        [
            [f"{SPLIT_NAMES.get(name, name)}: kind of tweet", "tweets", "accuracy", "the others"],
            *(
                [
                    part["name"] + (" (worse)" if part["worse"] else ""),
                    *(str(part["n"]), format_score(part["accuracy"]), f"{part['rest']:.4f}"),
                ]
                for part in split["slices"]
            ),
        ]
        for name, split in held_out.items()
    ]
    unsure = [["", *names], row("calibration error", format_score, "calibration", "expected_calibration_error")]
    unsure.append(row("… with temperature", format_score, "calibrated", "expected_calibration_error"))
    unsure.append(row("Brier score", format_score, "calibration", "brier_score"))
    unsure.append(row("coverage with abstention", format_score, "abstaining", "coverage"))
    unsure.append(row("… accuracy on the covered tweets", format_score, "abstaining", "accuracy"))
    unsure.append(row("accuracy with neutral as third class", format_score, "three_way", "accuracy"))
    unsure.append(row("… macro recall", format_score, "three_way", "macro_recall"))
    unsure.append(row("… recall of neutral", format_score, "three_way", "recall", "neutral"))
    data = facts.data
    steps = [["step", "rows"], *([step.replace("_", " "), f"{rows:,}"] for step, rows in data["steps"].items())]
    parts = [["split", "tweets", "negative", "positive", "tokens (median)", "cut"]]
    for name, part in data["splits"].items():
        if name != "manual_neutral":
            counts = [f"{part[key]:,}" for key in ("rows", "negative", "positive")]
            lengths = part["token_length"]
            parts.append([SPLIT_NAMES.get(name, name), *counts, str(lengths["p50"]), str(lengths["truncated"])])
    examples = [["text", "label", "score"]]
    for example in facts.metrics["examples"]:
        examples.append([example["text"], example["label"], f"{example['score']:.4f}"])
    tables = render(facts).tables
    assert tables[:-2] == [headline, examples, scores, lifts, *slices, unsure, steps, parts]
    unusual = facts.environment["unusual_arguments"]
    assert tables[-2] == [["argument", "value"], *([name, str(value)] for name, value in unusual.items())]
    assert tables[-1] == [
        ["", "sha256, or revision"],
        ["weights, model.safetensors", facts.metrics["weights_sha256"]],
        ["tokenizer", data["tokenizer"]["sha256"]],
        ["fingerprint of all splits", data["fingerprint"]],
        ["training tweets, file", data["sources"]["training"]["sha256"]],
        ["hand-labeled tweets, file", data["sources"]["manual"]["sha256"]],
    ]


def test_every_sentence_of_a_model_shows_its_numbers(facts: Facts) -> None:
    text = " ".join(render(facts).text.split())
    missing = []
    for name in metadata.HEADLINES:
        split, shown = facts.metrics["splits"][name], SPLIT_NAMES.get(name, name)
        leakage = split["leakage"]
        sentences = [
            f"On {shown} tweets it is significantly worse on `{part['name']}`: {format_score(part['accuracy'])} of "
            f"{part['n']} tweets, {part['rest']:.4f} of the others."
            for part in split["slices"]
            if part["worse"]
        ]
        assert sentences
        sentences.append(
            f"Of the {split['n']} {shown} tweets {leakage['exact']} are in the training split, too, "
            f"and {leakage['near']} more are near duplicates (most words the same)."
        )
        missing += [sentence for sentence in sentences if sentence not in text]
    learned, abstention = facts.metrics["temperature"], facts.metrics["abstention"]
    training, neutral = facts.environment["training"], facts.metrics["splits"]["manual"]["neutral_left_out"]
    for sentence in (
        f"fine-tuned on {facts.data['splits']['train']['rows']} invented tweets to tell",
        f"In brackets: {100 * facts.metrics['confidence_level']:g}% confidence intervals.",
        f"A temperature of {learned['value']} was fitted to {learned['n']} validation tweets; a share of "
        f"{abstention['share']} of them has a confidence below {abstention['threshold']}.",
        f"The {neutral} neutral tweets among the hand-labeled ones are not in the scores above.",
        f"{training['steps']} steps ({training['epochs']} epochs), precision {facts.environment['precision']['name']}.",
        f"It took {training['seconds']} s, {training['tweets_per_second']} tweets per second, on",
        f"The checkpoint of step {training['best_step'] or training['steps']} was kept.",
        f"Training seed {facts.recipe['training']['seed']}, seed of the splits {facts.data['settings']['split_seed']}.",
    ):
        missing += [sentence] if sentence not in text else []
    assert missing == []


def test_no_hash_is_in_the_running_text(published: Published) -> None:
    """They are in a table at the end, and in commands."""
    for repo_id, kind in ((MODEL, "model"), (DATA, "dataset")):
        text = published.text("README.md", repo_id, kind).split("\n---\n", 1)[1]
        before, _, table = text.partition("<summary>Files and hashes</summary>")
        hashes = re.findall(r"[0-9a-f]{40,}", re.sub(r"```.*?```", "", before, flags=re.DOTALL))
        assert (hashes, len(re.findall(r"[0-9a-f]{40,}", table)) > 3) == ([], True), kind


def test_the_snippet_is_python_that_answers_as_it_says(small_run: Path, published: Published) -> None:
    from transformers import pipeline

    block = Page(published.text("README.md")).blocks[0]
    *_, model, call = ast.parse(block).body
    named: dict[str, Any] = {"pipeline": pipeline}
    exec(ast.unparse(model), named)  # it names the Hub's id
    (answer,) = eval(ast.unparse(call), named)
    assert max(map(len, block.splitlines())) <= 80, "it is cut off on the Hub"
    assert len(named["classify"]("so good " * 600)) == 1  # more tokens than the model takes
    assert block.splitlines()[-1] == f"# [{{'label': {answer['label']!r}, 'score': {answer['score']:.4f}}}]"


def test_a_run_without_held_out_tweets(bare_run: Path) -> None:
    """Nothing was scored on the way, so no checkpoint was chosen."""
    text = load_page(bare_run).text
    assert "It was not scored on held-out tweets." in text
    environment = json.loads((bare_run / "environment.json").read_text("utf-8"))
    assert environment["training"]["best_step"] is None
    for words in ("test tweets were held out", "hand-labeled", "model-index", "chose the checkpoint"):
        assert words not in text


def test_sentences_follow_the_facts(facts: Facts) -> None:
    """The chosen checkpoint, the cleaning, and the significance, which the p-value decides, not the interval."""
    for best, strategy in itertools.product((True, False), ("no", "steps", "epoch")):
        training = facts.recipe["training"] | {"load_best_model_at_end": best, "eval_strategy": strategy}
        text = render(replace(facts, recipe=facts.recipe | {"training": training})).text
        chosen = best and strategy != "no"
        assert ("The validation tweets chose the checkpoint" in text) == chosen, (best, strategy)
        assert ("The last checkpoint was kept" in text) != chosen, (best, strategy)
    for cleaning, words, other_words in (
        ("raw", "leaves them as they are, as in training (cleaning level `raw`)", "masks"),
        ("mask", "masks users and URLs, as in training", "mojibake"),
        ("repair", "repairs entities and mojibake, as in training", "`raw`"),
    ):
        data = facts.data | {"settings": facts.data["settings"] | {"cleaning": cleaning}}
        use = parse_card(render(replace(facts, data=data)).text).sections["use"]
        assert words in " ".join(use.split())
        assert other_words not in use
    for p_value, (low, high) in itertools.product(
        (0.001, 0.049, 0.051, 0.6), ((0.01, 0.09), (-0.05, 0.03), (-0.09, -0.01))
    ):
        metrics, value = json.loads(json.dumps(facts.metrics)), (low + high) / 2
        lift = {"p_value": p_value, "lift": {"value": value, "low": low, "high": high}}
        metrics["splits"]["test"]["baselines"]["tfidf"] |= lift
        metrics["splits"]["test"]["baselines"]["tfidf"]["accuracy"]["value"] = 2  # the best
        text = " ".join(parse_card(render(replace(facts, metrics=metrics)).text).sections["summary"].split())
        better = "this model is more accurate by" if value > 0 else "this model is **less accurate**: the difference is"
        verdict = "the difference is not significant:" if p_value > 0.05 else better
        shown = f"On test tweets {verdict} {value:.4f} ({low:.4f} to {high:.4f}), p = {p_value:.2g}."
        assert shown in text, (p_value, low, high)
        limits = parse_card(render(replace(facts, metrics=metrics)).text).sections["limits"]
        assert ("On test tweets the baseline, which needs no GPU, is at least as accurate." in limits) == (value <= 0)


def count_rows(facts: Facts, split: str) -> list[list[list[str]]]:
    """Return the counts of a split on the model's page, and on the dataset's."""
    name = SPLIT_NAMES[split]
    sizes = {"default": {name: {"num_examples": 1, "num_bytes": 1} for name in ("train", "manual")}}
    dataset = Page(render_dataset_card(facts.data | {"configs": sizes}, "tester/data", None))
    return [
        [row[1:4] for table in page.tables if table[0][0] == "split" for row in table if row[0] in (split, name)]
        for page in (render(facts), dataset)
    ]


def test_hand_labelled_tweets_of_one_class(small_run: Path) -> None:
    """Negative, positive or neutral ones alone; nobody checks that a file with ``--manual-test`` has several."""
    facts = read_facts(small_run)
    for only, other, expected in (
        ("positive", "negative", ["36", "0", "36"]),
        ("negative", "positive", ["36", "36", "0"]),
    ):
        data = json.loads(json.dumps(facts.data))
        data["splits"]["manual"] |= {"rows": 36, only: 36}
        del data["splits"]["manual"][other]
        assert count_rows(replace(facts, data=data), "manual") == [[expected], [expected]]
    metrics = json.loads(json.dumps(facts.metrics))
    metrics["splits"]["manual"] = {"n": 0, "neutral_left_out": 28}
    page = render(replace(facts, metrics=metrics))
    rows = {row[0]: row[1:] for table in page.tables for row in table}
    assert (rows["tweets"][2], rows["macro-F1"][2], rows["Brier score"][2]) == ("0", "–", "–")
    assert page.tables[0][0] == ["", f"test ({metrics['splits']['test']['n']} tweets)"]


def test_a_run_scored_by_an_earlier_version_shows_the_scores_that_it_has(facts: Facts) -> None:
    metrics = json.loads(json.dumps(facts.metrics))
    for split in metrics["splits"].values():
        del split["macro_f1"]
    page = render(replace(facts, metrics=metrics))
    assert "macro-F1" not in [row[0] for table in page.tables for row in table]
    assert "macro_f1" not in parse_card(page.text).metadata["metrics"]
    assert len(page.tables) == len(render(facts).tables)


def test_only_existing_pictures_are_shown(small_run: Path) -> None:
    for figures in ([], ["confusion_matrix.png"], ["learning_curve.png"]):
        page = Page(render_model_card(read_facts(small_run), "model", "tester/model", figures))
        assert page.pictures == [f"figures/{name}" for name in figures]


def test_links_lead_to_datasets_and_trackers_only(small_run: Path, published: Published) -> None:
    page = Page(published.text("README.md"))
    assert page.links == [f"https://huggingface.co/datasets/{DATA}"]
    assert f"--dataset {DATA} --dataset-revision {published.hub.head(DATA, 'dataset')}" in page.blocks[1]
    facts = read_facts(small_run)
    url = "https://wandb.ai/our_team/sentiment140-bert/runs/a_b1~c?nw=x&y=z"
    for address, links in ((url, [url]), (None, []), ("javascript:alert(1)", []), ("data:text/html,x", [])):
        page = render(replace(facts, tracking={"wandb": {"id": "1", "project": "p", "url": address}}))
        assert [link for link in page.links if "wandb" in link or not link.startswith("https")] == links, address
    page = render(replace(facts, tracking={"wandb": {"url": "https://a.b/> <script>alert(1)</script>"}}))
    assert page.foreign_html == []
    data = facts.data | {"published": {"repo_id": "a_b/c_d_e", "revision": "0" * 40}}
    page = render(replace(facts, data=data), "m_n", "a_b/m_n")
    assert (page.links, page.inside("h1")) == (["https://huggingface.co/datasets/a_b/c_d_e"], ["m_n"])
    data |= {"configs": {"default": {"train": {"num_examples": 1, "num_bytes": 1}}}}
    assert Page(render_dataset_card(data, "a_b/c_d_e", "a_b/m_n")).links == ["https://huggingface.co/a_b/m_n"]


def test_names_of_a_run_and_its_base_model(small_run: Path, local_run: Path) -> None:
    """A local run has another name than its folder; a base model's name begins the first sentence, whatever it is."""
    (line,) = [line for line in load_page(local_run).blocks[0].splitlines() if "model=" in line]
    assert Path(re.findall(r'model="([^"]*)"', line)[0]).parts[-2:] == ("local", "model")
    assert load_page(local_run).inside("h1") == ["tweets of ours"]
    facts = read_facts(small_run)

    def shape(name: str) -> list[str]:
        model = {"model_name_or_path": name, "model_revision": None}
        return render(replace(facts, recipe=facts.recipe | {"model": model})).shape

    for name in ("- bert", "1. bert", "+ bert", "# bert", "<b>bert", "__bert__"):
        assert shape(name) == shape("bert"), name
