"""``s140 evaluate A B``: several models on the same tweets."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from sentiment140_bert.evaluation.compare import describe_comparison

pytest_plugins = ("model_fixtures", "hub_fixtures")


def test_two_models_on_the_tweets_of_the_first(small_run: Path, classifier_folder: Path, s140, tmp_path: Path) -> None:
    arguments = ("evaluate", small_run, classifier_folder, "--differences", tmp_path / "differing.csv")
    result = json.loads(s140(*arguments, "--json").stdout)
    assert list(result["models"]) == [str(small_run), str(classifier_folder)]
    assert [comparison["split"] for comparison in result["comparisons"]] == ["validation", "test", "manual"]
    own = json.loads((small_run / "metrics.json").read_text())["splits"]
    for comparison in result["comparisons"]:
        accuracy = own[comparison["split"]]["accuracy"]["value"]
        other = result["models"][str(classifier_folder)][comparison["split"]]["accuracy"]["value"]
        assert (comparison["first"]["value"], comparison["second"]["value"]) == (accuracy, other)
        assert comparison["difference"]["value"] == pytest.approx(accuracy - other)
        assert comparison["in_words"] == describe_comparison(comparison, str(small_run), str(classifier_folder))
    with (tmp_path / "differing.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    counts = [
        comparison[f"only_{which}_right"] for comparison in result["comparisons"] for which in ("first", "second")
    ]
    assert len(rows) == result["differing"] == sum(counts)
    assert not any(row["text"].startswith(("@", "=", "+")) for row in rows)


def test_a_table_and_words_for_people(small_run: Path, classifier_folder: Path, s140) -> None:
    out = s140("evaluate", small_run, classifier_folder, "--dataset", "sample", "--max-samples", 60).stdout
    assert out.splitlines()[0].split() == ["accuracy", "test", "(60)", "hand-labeled", "(72)"]
    assert "not significant" in out or "is better" in out


def test_a_model_does_not_differ_from_itself(small_run: Path, s140, tmp_path: Path) -> None:
    file = tmp_path / "differing.parquet"
    result = json.loads(s140("evaluate", small_run, small_run, "--differences", file, "--json").stdout)
    assert [name.rpartition(" ")[2] for name in result["models"]] == ["(1)", "(2)"]
    assert all(some["p_value"] == 1 and some["difference"]["value"] == 0 for some in result["comparisons"])
    assert pq.read_table(file).num_rows == 0


def test_three_models_are_three_pairs(small_run: Path, classifier_folder: Path, s140) -> None:
    models = (small_run, classifier_folder, small_run / "model")
    result = json.loads(s140("evaluate", *models, "--dataset", "sample", "--manual-test", "none", "--json").stdout)
    assert [comparison["split"] for comparison in result["comparisons"]] == ["test"] * 3 + ["test_unseen"] * 3
    assert "tfidf" in result["models"][str(small_run)]["test"]["baselines"]


def test_mistakes(small_run: Path, classifier_folder: Path, s140, write: Callable[..., Path]) -> None:
    tweets = write("tweets.csv", 40)
    before = tweets.read_bytes()
    for arguments, message in (
        ([small_run, "--differences", "x.csv"], "two models or more"),
        ([classifier_folder, small_run], "is not a run directory"),
        ([small_run, classifier_folder, "--differences", "x.txt"], ".csv, .parquet"),
        ([small_run, classifier_folder, "--differences", "no/such/x.csv"], "does not exist"),
        ([small_run, "no/such"], "no/such"),
        ([small_run, classifier_folder, "--max-samples", "10"], "without --dataset"),
        ([small_run, small_run, "--dataset", tweets, "--output", tweets], "would be overwritten"),
        ([small_run, small_run, "--dataset", tweets, "--differences", tweets], "would be overwritten"),
    ):
        result = s140("evaluate", *arguments, code=1)
        assert message in result.stderr
        assert result.stdout == ""
    assert tweets.read_bytes() == before
