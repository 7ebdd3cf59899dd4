"""What the Hub reads of a card: the front matter as huggingface_hub takes it, with the numbers of ``metrics.json``."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import DatasetCard, EvalResult, ModelCard
from huggingface_hub.utils import HfHubHTTPError
from hypothesis import example, given, settings
from hypothesis import strategies as st

from on_hub import DATA, MODEL
from page_fixtures import Published
from sentiment140_bert.cards import metadata
from sentiment140_bert.cards.facts import Facts, read
from sentiment140_bert.cards.model import model_card
from sentiment140_bert.cards.sections import parse
from sentiment140_bert.settings import SCORES

pytest_plugins = ("model_fixtures", "hub_fixtures", "page_fixtures")

ID = r"[\w.-]+/[\w.-]+"


def front_of(run: Path) -> dict[str, Any]:
    return parse((run / "model" / "README.md").read_text("utf-8")).metadata


def splits_of(run: Path) -> dict[str, Any]:
    return json.loads((run / "metrics.json").read_text("utf-8"))["splits"]


def test_the_bundled_encoder_is_named_by_its_id_on_the_hub(small_run: Path) -> None:
    front = parse(model_card(with_base(read(small_run), "bundled:minilm", on_hub=False), "t", "t/model", [])).metadata
    assert front["base_model"] == "sentence-transformers/all-MiniLM-L6-v2"
    assert front["base_model_relation"] == "finetune"
    assert front["license"] == "apache-2.0"


# ---- the model's


def test_the_fields_of_a_model(published: Published) -> None:
    front = parse(published.text("README.md")).metadata
    assert front["language"] == "en"
    assert front["license"] == "unknown"
    assert (front["library_name"], front["pipeline_tag"]) == ("transformers", "text-classification")
    assert front["datasets"] == [DATA]
    assert {"accuracy", "f1"} <= {*front["metrics"]} <= {*SCORES}
    assert "sentiment-analysis" in front["tags"]
    assert "base_model" not in front  # a folder: nobody else has it
    examples = json.loads(published.text("metrics.json"))["examples"]
    assert front["widget"] == [
        {"text": each["text"], "output": [{"label": each["label"], "score": each["score"]}]} for each in examples
    ]


def test_the_model_index_names_the_published_split(published: Published) -> None:
    revision = json.loads(published.text("data.json"))["published"]["revision"]
    results = ModelCard(published.text("README.md")).data.eval_results
    assert {(each.dataset_type, each.dataset_config, each.dataset_revision) for each in results} == {
        (DATA, "default", revision)
    }
    assert {each.dataset_split for each in results} == {"test", "manual"}
    assert revision == published.hub.head(DATA, "dataset")


@pytest.mark.parametrize("name", ["small_run", "local_run", "bare_run"])
def test_the_same_numbers_in_every_run(name: str, request: pytest.FixtureRequest) -> None:
    run = request.getfixturevalue(name)
    results = ModelCard.load(run / "model" / "README.md").data.eval_results or []
    scored = {(each.dataset_split, each.metric_type): each.metric_value for each in results}
    splits = splits_of(run)
    assert scored == {
        (split, metric): splits[split][metric]["value"]
        for split in ("test", "manual")
        for metric in SCORES
        if metric in splits.get(split, {})
    }


@pytest.mark.parametrize("name", ["small_run", "local_run", "bare_run"])
def test_plain_yaml(name: str, request: pytest.FixtureRequest) -> None:
    """No anchors, no tags, no numpy: the Hub's own parser is another one."""
    text = (request.getfixturevalue(name) / "model" / "README.md").read_text("utf-8")
    head = text.split("\n---\n")[0]
    assert not re.search(r"(^|[ -])[&*]\w|!!|numpy|python/", head.replace("&amp;", ""), re.MULTILINE)
    for each in yaml.safe_load(head.removeprefix("---\n"))["widget"]:
        assert type(each["output"][0]["score"]) is float


def test_a_base_model_that_is_on_the_hub(small_run: Path) -> None:
    facts = with_base(read(small_run), "google-bert/bert-base-uncased")
    front = parse(model_card(facts, "t", "tester/t", [])).metadata
    assert front["base_model"] == "google-bert/bert-base-uncased"
    assert front["base_model_relation"] == "finetune"
    assert front["license"] == "apache-2.0"
    assert "(https://huggingface.co/google-bert/bert-base-uncased)" in model_card(facts, "t", "tester/t", [])


def test_a_base_model_of_unknown_licence(small_run: Path) -> None:
    front = parse(model_card(with_base(read(small_run), "somebody/bert"), "t", "tester/t", [])).metadata
    assert (front["base_model"], front["license"]) == ("somebody/bert", "unknown")


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
    facts = read(small_run)
    sources = {role: source | {"name": name} for role, source in facts.data["sources"].items()}
    facts = replace(facts, data=facts.data | {"sources": sources})
    text = model_card(facts, name, name, [])
    front = parse(text).metadata
    assert front["model-index"][0]["name"] == name
    assert {result["dataset"]["type"] for result in front["model-index"][0]["results"]} == {name}
    card = ModelCard(text)
    assert card.data.model_name == name
    assert card.text.lstrip().startswith("<!-- begin s140: summary -->")
    assert front["license"] == "unknown"


# ---- eval results and the dataset's


def test_the_eval_results_are_the_accuracies(published: Published) -> None:
    from huggingface_hub import parse_eval_result_entries

    splits = json.loads(published.text("metrics.json"))["splits"]
    content = yaml.safe_load(published.text(".eval_results/sentiment140.yaml"))
    entries = parse_eval_result_entries(content)
    assert {entry.task_id: entry.value for entry in entries} == {
        name: splits[name]["accuracy"]["value"] for name in ("test", "manual")
    }
    assert {(entry.dataset_id, entry.dataset_revision) for entry in entries} == {
        (DATA, published.hub.head(DATA, "dataset"))
    }


def test_there_are_none_where_the_tweets_have_no_id_on_the_hub(local_run: Path) -> None:
    assert metadata.eval_results(read(local_run)) is None
    assert not (local_run / "model" / ".eval_results").exists()
    assert "datasets" not in front_of(local_run)


def test_where_the_source_is_on_the_hub_it_is_named(small_run: Path) -> None:
    facts = read(small_run)
    source = facts.data["sources"]["training"] | {"name": "stanfordnlp/sentiment140", "on_hub": True}
    facts = replace(facts, data=facts.data | {"sources": facts.data["sources"] | {"training": source}})
    front = metadata.of_model(facts, "t")
    assert front["datasets"] == ["stanfordnlp/sentiment140"]
    assert "stanfordnlp/sentiment140" in (metadata.eval_results(facts) or "")


def test_the_fields_of_a_dataset(published: Published) -> None:
    text = published.text("README.md", DATA, "dataset")
    front = DatasetCard(text).data.to_dict()
    assert (front["language"], front["license"]) == (["en"], "mit")
    assert front["task_categories"] == ["text-classification"]
    assert front["size_categories"] == ["n<1K"]
    assert [each["config_name"] for each in front["configs"]] == ["default", "tokenized", "three_way"]
    files = published.hub.files(DATA, "dataset")
    for config in front["configs"]:
        for each in config["data_files"]:
            assert [name for name in files if name.startswith(each["path"].rstrip("*"))]


@pytest.mark.parametrize(
    ("rows", "category"),
    [(999, "n<1K"), (1_000, "1K<n<10K"), (10_000, "10K<n<100K"), (999_999, "100K<n<1M"), (1_600_498, "1M<n<10M")],
)
def test_the_size_of_a_dataset(small_run: Path, rows: int, category: str) -> None:
    data = json.loads((small_run / "data.json").read_text("utf-8"))
    data["configs"] = {"default": {"train": {"num_examples": rows, "num_bytes": 1}}}
    assert metadata.of_dataset(data)["size_categories"] == [category]


def test_real_tweets_are_not_said_to_be_under_a_licence(local_run: Path) -> None:
    data = json.loads((local_run / "data.json").read_text("utf-8"))
    data["configs"] = {"default": {"train": {"num_examples": 5, "num_bytes": 1}}}
    assert metadata.of_dataset(data)["license"] == "unknown"


@pytest.mark.parametrize(("repo_id", "kind"), [(MODEL, "model"), (DATA, "dataset")])
def test_the_hub_accepts_the_card(published: Published, repo_id: str, kind: str) -> None:
    card = (ModelCard if kind == "model" else DatasetCard)(published.text("README.md", repo_id, kind))
    try:
        card.validate(repo_type=kind)
    except (HfHubHTTPError, ValueError) as error:
        pytest.fail(str(error))


def test_results_that_we_write_are_read_by_huggingface_hub_one_by_one(published: Published) -> None:
    for each in ModelCard(published.text("README.md")).data.eval_results:
        assert isinstance(each, EvalResult)
        assert type(each.metric_value) is float
        assert re.fullmatch(ID, each.dataset_type)
