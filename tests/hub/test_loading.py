"""Load a published model or dataset by its id, and get exactly the pushed one."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest
import yaml

import sentiment140_bert
from hub_server import HubServer
from on_hub import DATA, MODEL
from sentiment140_bert import models
from sentiment140_bert.data.pipeline import prepare_splits
from sentiment140_bert.files import hash_file
from sentiment140_bert.schemas import SCORES
from tiny_run import flags

pytest_plugins = "hub_fixtures"

TEXTS = ["what a lovely surprise", "@user see http://t.co/abc &amp; weep :(", "so sad  today", "ok"]


pytestmark = pytest.mark.usefixtures("pushed")


def test_pipeline_by_id_answers_as_the_run_does(run_copy: Path) -> None:
    from transformers import pipeline

    there, here = (pipeline("text-classification", model=name)(TEXTS) for name in (MODEL, str(run_copy / "model")))
    assert there == here  # of these weights and labels
    answers = [*sentiment140_bert.predict(str(run_copy), TEXTS)]
    assert [answer["label"] for answer in there] == [answer.label for _, answer in answers]


def test_a_model_that_saw_the_scored_tweets_is_no_start(run_copy: Path, tmp_path: Path, s140) -> None:
    words = ["train", "--output-dir", tmp_path / "next", *flags(model_name_or_path=MODEL, split_seed=7)]
    assert f"{MODEL} was trained on" in s140(*words, code=1).stderr
    assert not (tmp_path / "next" / "recipe.yaml").exists()


@pytest.mark.long
def test_a_model_is_exported_by_its_id(run_copy: Path, tmp_path: Path) -> None:
    folder = tmp_path / "exported"
    sentiment140_bert.export(MODEL, output=folder)
    manifest = json.loads((folder / "export.json").read_text("utf-8"))
    assert (manifest["model"], manifest["revision"]) == (MODEL, models.find_cached_commit(MODEL))
    assert manifest["made_of"]["model.safetensors"] == hash_file(run_copy / "model" / "model.safetensors")
    answers = [
        [label for _, (label, _) in sentiment140_bert.predict(str(model), TEXTS)] for model in (run_copy, folder)
    ]
    assert answers[0] == answers[1]


def test_the_dataset_by_id_is_the_prepared_splits_row_for_row(run_copy: Path) -> None:
    from datasets import load_dataset

    prepared = prepare_splits(sentiment140_bert.saved_recipe(run_copy).data).splits()
    loaded = load_dataset(DATA)
    assert list(loaded) == ["train", "validation", "test", "manual"]
    for name, split in loaded.items():
        assert split.column_names == ["text", "label"]
        assert split.features["label"].names == ["negative", "positive"]
        assert split["text"][:] == prepared[name]["text"][:]
        assert split["label"][:] == prepared[name]["label"][:]


def test_its_tokens_are_the_tokenizers_output(run_copy: Path) -> None:
    from datasets import load_dataset
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    texts, tokens = load_dataset(DATA), load_dataset(DATA, "tokenized")
    assert list(tokens) == list(texts)
    for name, split in tokens.items():
        assert split.column_names == ["input_ids", "attention_mask", "labels"]
        assert split.features["labels"].names == ["negative", "positive"]
        assert split["labels"][:] == texts[name]["label"][:]
        right = tokenizer(texts[name]["text"][:], truncation=True, max_length=128)
        assert split["input_ids"][:] == right["input_ids"]
        assert split["attention_mask"][:] == right["attention_mask"]


def test_neutral_tweets_and_topics_of_the_hand_labelled_ones(run_copy: Path) -> None:
    from datasets import load_dataset

    described = json.loads((run_copy / "data.json").read_text("utf-8"))["splits"]
    three_way = load_dataset(DATA, "three_way", split="manual")
    assert three_way.features["label"].names == ["negative", "positive", "neutral"]
    assert three_way.column_names == ["text", "label", "topic"]
    labels = three_way["label"][:]
    assert (len(labels), labels.count(2)) == (100, described["manual_neutral"]["rows"])


def test_the_dataset_card_tells_datasets_the_true_sizes() -> None:
    from datasets import load_dataset, load_dataset_builder

    for config, split in (("default", "train"), ("tokenized", "train"), ("three_way", "manual")):
        described = load_dataset_builder(DATA, config).info
        assert {name: split.num_examples for name, split in described.splits.items()} == {
            name: len(split) for name, split in load_dataset(DATA, config).items()
        }
        assert described.features == load_dataset(DATA, config, split=split).features


def test_the_model_index_holds_the_numbers_of_metrics_json(hub: HubServer, run_copy: Path) -> None:
    from huggingface_hub import ModelCard

    metrics = json.loads((run_copy / "metrics.json").read_text("utf-8"))["splits"]
    results = ModelCard.load(MODEL).data.eval_results
    assert {(result.dataset_split, result.metric_type): result.metric_value for result in results} == {
        (name, metric): metrics[name][metric]["value"] for name in ("test", "manual") for metric in SCORES
    }
    assert {(result.dataset_type, result.dataset_revision) for result in results} == {(DATA, hub.head(DATA, "dataset"))}


def test_the_eval_results_are_read_by_huggingface_hub(hub: HubServer, run_copy: Path) -> None:
    from huggingface_hub import parse_eval_result_entries

    metrics = json.loads((run_copy / "metrics.json").read_text("utf-8"))["splits"]
    (file,) = (content for path, content in hub.files(MODEL).items() if path.startswith(".eval_results/"))
    entries = parse_eval_result_entries(yaml.safe_load(file))
    assert {entry.task_id: entry.value for entry in entries} == {
        name: metrics[name]["accuracy"]["value"] for name in ("test", "manual")
    }
    assert {(entry.dataset_id, entry.dataset_revision) for entry in entries} == {(DATA, hub.head(DATA, "dataset"))}


def test_the_cards_pass_the_hubs_own_check() -> None:
    from huggingface_hub import DatasetCard, ModelCard, RepoCard

    if "https://huggingface.co" in inspect.getsource(RepoCard.validate):
        pytest.skip("this huggingface_hub asks huggingface.co itself, whatever HF_ENDPOINT names")
    ModelCard.load(MODEL).validate()
    DatasetCard.load(DATA).validate()


def test_the_card_names_the_tokenizer_that_made_the_tokens(hub: HubServer, run_copy: Path) -> None:
    from sentiment140_bert.data.tokenize import hash_tokenizer

    data = json.loads(hub.files(DATA, "dataset")["data.json"])
    assert data["tokenizer"]["sha256"] == hash_tokenizer(models.load_tokenizer(MODEL))
    assert data["tokenizer"]["sha256"] in hub.files(DATA, "dataset")["README.md"].decode()
