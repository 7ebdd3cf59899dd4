"""The front matter of a card, as huggingface_hub reads it, with the numbers of ``metrics.json``."""

from __future__ import annotations

import fnmatch
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import DatasetCard, ModelCard
from hypothesis import example, given, settings
from hypothesis import strategies as st

from on_hub import DATA
from page_fixtures import Published
from sentiment140_bert.cards import metadata
from sentiment140_bert.cards.facts import Facts, read_facts
from sentiment140_bert.cards.merge import parse_card
from sentiment140_bert.cards.model import render_model_card
from sentiment140_bert.data.corpora import STANFORD_SHA256
from sentiment140_bert.schemas import SCORES

pytest_plugins = ("model_fixtures", "hub_fixtures", "page_fixtures")


def front_of(run: Path) -> dict[str, Any]:
    return parse_card((run / "model" / "README.md").read_text("utf-8")).metadata


def splits_of(run: Path) -> dict[str, Any]:
    return json.loads((run / "metrics.json").read_text("utf-8"))["splits"]


def test_the_bundled_encoder_is_named_by_its_id_on_the_hub(small_run: Path) -> None:
    front = parse_card(
        render_model_card(with_base(read_facts(small_run), "bundled:minilm", on_hub=False), "t", "t/model", [])
    ).metadata
    assert front["base_model"] == "sentence-transformers/all-MiniLM-L6-v2"
    assert front["base_model_relation"] == "finetune"
    assert front["license"] == "apache-2.0"


# ---- the model's


def test_the_fields_of_a_model(published: Published) -> None:
    front = parse_card(published.text("README.md")).metadata
    assert front["language"] == "en"
    assert front["license"] == "unknown"
    assert (front["library_name"], front["pipeline_tag"]) == ("transformers", "text-classification")
    assert front["datasets"] == [DATA]
    assert {"accuracy", "f1"} <= {*front["metrics"]} <= {*SCORES}
    assert "sentiment-analysis" in front["tags"]
    assert "base_model" not in front  # a folder: nobody else has it
    examples = json.loads(published.text("metrics.json"))["examples"]
    assert front["widget"] == [
        {"text": item["text"], "output": [{"label": item["label"], "score": item["score"]}]} for item in examples
    ]


def test_the_same_numbers_in_every_run(small_run: Path, local_run: Path, bare_run: Path) -> None:
    """Write plain YAML, without anchors, tags and numpy: the Hub has another parser."""
    for run in (small_run, local_run, bare_run):
        results = ModelCard.load(run / "model" / "README.md").data.eval_results or []
        scored = [(part.dataset_split, part.metric_type, part.metric_value) for part in results]
        splits = splits_of(run)
        assert sorted(scored) == sorted(
            (split, metric, splits[split][metric]["value"])
            for split in ("test", "manual")
            for metric in SCORES
            if metric in splits.get(split, {})
        ), run
        head = (run / "model" / "README.md").read_text("utf-8").split("\n---\n")[0]
        assert not re.search(r"(^|[ -])[&*]\w|!!|numpy|python/", head.replace("&amp;", ""), re.MULTILINE), run
        for shown in yaml.safe_load(head.removeprefix("---\n"))["widget"]:
            assert type(shown["output"][0]["score"]) is float


def test_base_models_and_their_licences(small_run: Path) -> None:
    facts = read_facts(small_run)
    for name, license_ in (
        ("google-bert/bert-base-uncased", "apache-2.0"),
        ("distilbert/distilbert-base-uncased", "apache-2.0"),
        ("somebody/bert", "unknown"),
    ):
        text = render_model_card(with_base(facts, name), "t", "tester/t", [])
        front = parse_card(text).metadata
        assert (front["base_model"], front["base_model_relation"], front["license"]) == (name, "finetune", license_)
        assert f"(https://huggingface.co/{name})" in text
    folder = with_base(facts, "google-bert/bert-base-uncased", on_hub=False)
    front = parse_card(render_model_card(folder, "t", "tester/t", [])).metadata
    assert front["license"] == "unknown"
    assert not {"base_model", "base_model_relation"} & front.keys()


def with_base(facts: Facts, name: str, on_hub: bool = True) -> Facts:
    recipe = facts.recipe | {"model": {"model_name_or_path": name, "model_revision": None}}
    base = {"name": name, "revision": "0" * 40, "on_hub": on_hub}
    return replace(facts, recipe=recipe, environment=facts.environment | {"base_model": base})


@settings(max_examples=40)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x85"), min_size=1, max_size=30))
@example("a: {} # b")
@example("---\nlicense: mit\n---")
@example("!!python/object/apply:os.system [id]")
@example("&anchor *alias")
@example("\u202eright to left\u200b\ufeff")
@example("null")
@example("\x00\x07\x1b")
@example("yes")
@example("1e3")
@example("'\"`|>%@")
def test_any_name_is_the_same_name_in_the_front_matter(small_run: Path, name: str) -> None:
    facts = read_facts(small_run)
    sources = {role: source | {"name": name} for role, source in facts.data["sources"].items()}
    facts = replace(facts, data=facts.data | {"sources": sources})
    text = render_model_card(facts, name, name, [])
    front = parse_card(text).metadata
    assert front["model-index"][0]["name"] == name
    assert {result["dataset"]["type"] for result in front["model-index"][0]["results"]} == {name}
    card = ModelCard(text)
    assert card.data.model_name == name
    assert card.text.lstrip().startswith("<!-- begin s140: summary -->")
    assert front["license"] == "unknown"


# ---- eval results and the dataset's


def test_no_eval_results_without_a_dataset_id_on_the_hub(local_run: Path) -> None:
    assert metadata.format_eval_results(read_facts(local_run)) is None
    assert not (local_run / "model" / ".eval_results").exists()
    assert "datasets" not in front_of(local_run)


def of_sources(facts: Facts, **changes: Any) -> Facts:
    """Return the facts with other names of the two sources, and optionally another hash and a published dataset."""
    sources = {
        role: source
        | {"name": changes[role], "on_hub": changes[f"{role}_on_hub"], "sha256": changes.get("sha256", "0" * 64)}
        for role, source in facts.data["sources"].items()
    }
    published = {"published": changes["published"]} if "published" in changes else {}
    return replace(facts, data=facts.data | {"sources": sources} | published)


def test_scores_name_the_data_that_they_were_measured_on(small_run: Path) -> None:
    """Name the published dataset, else the source by its id on the Hub, else by its name."""
    facts, here = read_facts(small_run), {"training_on_hub": False, "manual_on_hub": False}
    published = {"repo_id": "a/b", "revision": "0" * 40}
    named = {"training": "tweets.csv", "manual": "hand.csv"}
    on_hub = {"training": "x/y", "manual": "v/w", "training_on_hub": True, "manual_on_hub": True}
    archive = {"training": "stanford", "manual": "stanford (manual)", "sha256": STANFORD_SHA256, **here}
    expected: list[tuple[Facts, str | None, list[list[Any]]]] = [
        (
            of_sources(facts, **named, **here),
            None,
            [["tweets.csv", "tweets.csv (test)", None, "test", None], ["hand.csv", "hand.csv", None, "manual", None]],
        ),
        (
            of_sources(facts, **on_hub),
            "x/y",
            [["x/y", "x/y (test)", None, None, None], ["v/w", "v/w", None, None, None]],
        ),
        (
            of_sources(facts, **archive),
            "stanfordnlp/sentiment140",
            [
                ["stanfordnlp/sentiment140", "stanford (test)", None, "test", None],
                ["stanfordnlp/sentiment140", "stanford (manual)", None, "manual", None],
            ],
        ),
        (
            of_sources(facts, **named, **here, published=published),
            "a/b",
            [["a/b", f"a/b ({name})", "default", name, "0" * 40] for name in ("test", "manual")],
        ),
    ]
    for variant, dataset, places in expected:
        front = metadata.describe_model(variant, "t")
        assert front.get("datasets") == ([dataset] if dataset else None)
        keys = ("type", "name", "config", "split", "revision")
        actual = [result["dataset"] for result in front["model-index"][0]["results"]]
        assert [[place.get(key) for key in keys] for place in actual] == places
        text = metadata.format_eval_results(variant)
        assert (text is None) == (dataset is None)
        if text is None:
            continue
        splits = facts.metrics["splits"]
        for entry, (name, meaning) in zip(yaml.safe_load(text), metadata.HEADLINES.items(), strict=True):
            accuracy = splits[name]["accuracy"]["value"]
            assert (entry["dataset"]["id"], entry["dataset"]["task_id"], entry["value"]) == (dataset, name, accuracy)
            assert entry["dataset"].get("revision") == ("0" * 40 if dataset == "a/b" else None)
            assert entry["notes"] == f"accuracy on {splits[name]['n']} {meaning}"
            assert str(entry["date"]) == facts.environment["started"]


def test_the_fields_of_a_dataset(published: Published) -> None:
    text = published.text("README.md", DATA, "dataset")
    front = DatasetCard(text).data.to_dict()
    assert (front["language"], front["license"]) == (["en"], "mit")
    assert front["task_categories"] == ["text-classification"]
    assert front["size_categories"] == ["n<1K"]
    assert [item["config_name"] for item in front["configs"]] == ["default", "tokenized", "three_way"]
    files = published.hub.files(DATA, "dataset")
    for config in front["configs"]:
        for file in config["data_files"]:
            assert fnmatch.filter(files, file["path"])
            assert file["path"].endswith(".parquet")  # other files, some also read as parquet, are not checked


def test_the_size_and_the_licence_of_a_dataset(small_run: Path, local_run: Path) -> None:
    """State no license for real tweets; count all splits of the texts for the size."""
    sample, real = (json.loads((run / "data.json").read_text("utf-8")) for run in (small_run, local_run))
    for data, license_ in ((sample, "mit"), (real, "unknown")):
        for rows, category in (
            *((1, "n<1K"), (999, "n<1K"), (1_000, "1K<n<10K"), (9_999, "1K<n<10K"), (10_000, "10K<n<100K")),
            *((99_999, "10K<n<100K"), (100_000, "100K<n<1M"), (999_999, "100K<n<1M"), (1_000_000, "1M<n<10M")),
        ):
            half = {name: {"num_examples": part, "num_bytes": 1} for name, part in (("train", rows - 1), ("test", 1))}
            data["configs"] = {"default": half, "tokenized": half}
            result = metadata.describe_dataset(data)
            assert (result["license"], result["size_categories"]) == (license_, [category]), rows
            assert [part["splits"] for part in result["dataset_info"]] == [
                [{"name": name, **size} for name, size in half.items()]
            ] * 2
            assert [part.get("default") for part in result["configs"]] == [True, None]
