"""scripts/benchmarks/accuracy.py, small: both ways do the same work."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AlbertConfig, AlbertModel

from accuracy import main, package, score, subtract, trainer
from sentiment140_bert import models
from sentiment140_bert.data import loading
from sentiment140_bert.errors import ModelError
from sentiment140_bert.recipe import Recipe
from tiny_run import flags

pytest_plugins = ("model_fixtures", "forked_contenders")


def test_both_ways_are_trained_with_each_seed_and_scored_on_the_same_tweets(run_script, small_bert) -> None:
    answer = run_script(
        main, *flags(), "--model-name-or-path", small_bert(dropout=0.1), "--seeds", 2,
        "--max-steps", 2, "--per-device-train-batch-size", 8, "--json",
    )  # fmt: skip
    report = json.loads(answer.stdout)
    assert [(run["way"], run["seed"]) for run in report["runs"]] == [
        (way, seed) for seed in (42, 43) for way in ("package", "trainer")
    ]
    assert all(0 <= run[name] <= 1 for run in report["runs"] for name in ("validation", "test"))
    package_scores, trainer_scores = (
        [run["test"] for run in report["runs"] if run["way"] == way] for way in ("package", "trainer")
    )
    assert report["means"]["package"]["test"] == pytest.approx(sum(package_scores) / 2)
    assert report["difference"]["mean"] == pytest.approx((sum(package_scores) - sum(trainer_scores)) / 2)
    assert report["rows"]["train"] > 0


def test_refuses_what_a_plain_trainer_does_not_have(run_script) -> None:
    stderr = run_script(main, *flags(layerwise_lr_decay=0.9), code=1).stderr
    assert "layerwise_lr_decay is 0.9, and a plain Trainer has one rate for all" in stderr


@pytest.mark.parametrize("way", [package, trainer])
def test_both_ways_are_asked_for_the_recipes_dropout(small_bert, tmp_path: Path, way: Callable[..., object]) -> None:
    """Use ALBERT, which has no dropout of that name before its classifier."""
    recipe = Recipe().with_values({"model_name_or_path": str(small_bert()), "dataset": "sample"})
    data = loading.load_data(recipe)
    small = AlbertConfig(embedding_size=8, hidden_size=16, num_attention_heads=2, intermediate_size=16, vocab_size=99)
    AlbertModel(small).save_pretrained(tmp_path)
    other = recipe.with_values({"model_name_or_path": str(tmp_path), "classifier_dropout": 0.3})
    with pytest.raises(ModelError, match="classifier_dropout: albert models have no such dropout"):
        way(other, data)


def test_counts_a_tweet_as_correct_by_its_label(small_bert) -> None:
    """Use a model that always predicts positive: it is right on the positive tweets of each split, and no others."""
    recipe = Recipe().with_values({"model_name_or_path": str(small_bert()), "dataset": "sample"})
    data = loading.load_data(recipe)
    model = models.load_encoder(recipe.model.model_name_or_path)
    torch.nn.init.zeros_(model.classifier.weight)
    model.classifier.bias.data = torch.tensor([0.0, 1.0])
    correct = score(model, data)
    assert set(correct) == {"validation", "test", "manual"}
    for name, right in correct.items():
        assert right.tolist() == [label == 1 for label in data[0].splits()[name]["label"]]


def test_interval_of_a_difference_is_students_t() -> None:
    """Compute by hand: differences 1, 2, 3 have mean 2, deviation 1, and t = 4.3027 for two degrees of freedom."""
    difference = subtract([2, 3, 4], [1, 1, 1])
    assert difference["mean"] == 2
    assert difference["high"] - difference["mean"] == pytest.approx(4.30265 / 3**0.5, rel=1e-4)
    assert subtract([2], [1]) == {"mean": 1, "low": None, "high": None}
