"""`s140 benchmark accuracy` and `inference`, small: what is compared is the same work."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AlbertConfig, AlbertModel, AutoModelForSequenceClassification

from sentiment140_bert import modeling
from sentiment140_bert.benchmark import Contender
from sentiment140_bert.benchmark.report import CEILING
from sentiment140_bert.errors import DataError, ModelError
from sentiment140_bert.recipe import Recipe
from sentiment140_bert.workflows import preparing
from sentiment140_bert.workflows.benchmarking import _nothing_measured
from sentiment140_bert.workflows.benchmarks.accuracy import _right, package, plain
from sentiment140_bert.workflows.benchmarks.inference import drawn
from sentiment140_bert.workflows.same_accuracy import _difference
from tiny_run import flags

pytest_plugins = ("model_fixtures", "forked_contenders")


def test_both_ways_are_trained_with_each_seed_and_scored_on_the_same_tweets(s140, small_bert) -> None:
    answer = s140(
        "benchmark", "accuracy", *flags(), "--model-name-or-path", small_bert(dropout=0.1), "--seeds", 2,
        "--max-steps", 2, "--per-device-train-batch-size", 8, "--json",
    )  # fmt: skip
    found = json.loads(answer.stdout)
    assert [(run["way"], run["seed"]) for run in found["runs"]] == [
        (way, seed) for seed in (42, 43) for way in ("package", "trainer")
    ]
    assert all(0 <= run[name] <= 1 for run in found["runs"] for name in ("validation", "test"))
    ours, theirs = ([run["test"] for run in found["runs"] if run["way"] == way] for way in ("package", "trainer"))
    assert found["means"]["package"]["test"] == pytest.approx(sum(ours) / 2)
    assert found["difference"]["mean"] == pytest.approx((sum(ours) - sum(theirs)) / 2)
    assert found["rows"]["train"] > 0


def test_what_a_plain_trainer_does_not_have_is_refused(s140) -> None:
    said = s140("benchmark", "accuracy", *flags(layerwise_lr_decay=0.9), code=1).stderr
    assert "layerwise_lr_decay is 0.9, and a plain Trainer has one rate for all" in said


@pytest.mark.parametrize("way", [package, plain])
def test_both_ways_are_asked_for_the_recipes_dropout(small_bert, tmp_path: Path, way: Callable[..., object]) -> None:
    """ALBERT has no dropout of that name before its classifier."""
    recipe = Recipe().with_values({"model_name_or_path": str(small_bert()), "dataset": "sample"})
    data = preparing.tokenized(recipe)
    small = AlbertConfig(embedding_size=8, hidden_size=16, num_attention_heads=2, intermediate_size=16, vocab_size=99)
    AlbertModel(small).save_pretrained(tmp_path)
    other = recipe.with_values({"model_name_or_path": str(tmp_path), "classifier_dropout": 0.3})
    with pytest.raises(ModelError, match="classifier_dropout: a model of the kind albert has no such dropout"):
        way(other, data)


def test_what_is_counted_as_right_is_the_label(small_bert) -> None:
    """A model that always says `positive` is right about the positive tweets of each split, and no others."""
    recipe = Recipe().with_values({"model_name_or_path": str(small_bert()), "dataset": "sample"})
    data = preparing.tokenized(recipe)
    model = modeling.load_encoder(recipe.model.model_name_or_path)
    torch.nn.init.zeros_(model.classifier.weight)
    model.classifier.bias.data = torch.tensor([0.0, 1.0])
    found = _right(model, data)
    assert set(found) == {"validation", "test", "manual"}
    for name, right in found.items():
        assert right.tolist() == [label == 1 for label in data[0].splits()[name]["label"]]


def test_the_interval_of_a_difference_is_students() -> None:
    """By hand: differences 1, 2, 3 have the mean 2, the deviation 1, and t = 4.3027 for two degrees of freedom."""
    found = _difference([2, 3, 4], [1, 1, 1])
    assert found["mean"] == 2
    assert found["high"] - found["mean"] == pytest.approx(4.30265 / 3**0.5, rel=1e-4)
    assert _difference([2], [1]) == {"mean": 1, "low": None, "high": None}


@pytest.mark.long
@pytest.mark.usefixtures("forked")
def test_labelling_is_compared_with_pipeline(s140, smallest_run: Path, tmp_path: Path) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("".join(f"what a lovely day number {number}\n" for number in range(40)), "utf-8")
    answer = s140(
        "benchmark", "inference", smallest_run, "--texts", texts, "--tweets", 30, "--slow-tweets", 10, "--rounds", 1,
        "--only", "pipeline_32", "--only", "package", "--only", "onnx", "--json",
    )  # fmt: skip
    found = json.loads(answer.stdout)
    contenders = found["contenders"]
    assert (contenders["pipeline_32"]["tweets"], contenders["package"]["tweets"]) == (10, 30)
    assert "There is no ONNX export" in contenders["onnx"]["failed"]
    assert set(found["ratios"]) == {"package / pipeline_32"}
    model = AutoModelForSequenceClassification.from_pretrained(smallest_run / "model")
    assert found["flops_per_token"] == 2 * model.num_parameters(exclude_embeddings=True)


@pytest.mark.long
@pytest.mark.usefixtures("forked")
def test_where_nothing_could_be_measured_the_reason_is_the_answer(s140, small_bert) -> None:
    options = ("--texts", "nothing.txt", "--rounds", 1, "--only", "package")
    answer = s140("benchmark", "inference", small_bert(), *options, code=1)
    assert answer.stdout == ""
    assert "Error: Nothing could be measured: There is no file nothing.txt. Check the path" in answer.stderr


def test_a_file_without_texts_is_no_work(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    with pytest.raises(DataError, match="holds no texts"):
        drawn(str(tmp_path / "empty.txt"), 10, seed=0)


def test_reasons_are_told_by_contender_where_they_differ() -> None:
    contenders = [Contender(name, f"way {name}", _difference) for name in "ab"]
    contenders.append(Contender(CEILING, "the best matrix product", _difference))
    same = _nothing_measured(contenders, {"a": "No file.", "b": "No file."})
    assert same.message == "Nothing could be measured: No file."
    differing = _nothing_measured(contenders, {"a": "No file.", "b": "No export."})
    assert differing.message.splitlines()[1:] == ["  way a: No file.", "  way b: No export."]
