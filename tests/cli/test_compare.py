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
    assert [each["split"] for each in result["comparisons"]] == ["validation", "test", "manual"]
    own = json.loads((small_run / "metrics.json").read_text())["splits"]
    for each in result["comparisons"]:
        split = each["split"]
        assert each["first"]["value"] == own[split]["accuracy"]["value"]
        others = result["models"][str(classifier_folder)][split]["accuracy"]["value"]
        assert each["second"]["value"] == others
        assert each["difference"]["value"] == pytest.approx(own[split]["accuracy"]["value"] - others)
        assert each["in_words"] == describe_comparison(each, str(small_run), str(classifier_folder))
    with (tmp_path / "differing.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == result["differing"]
    expected = sum(each["only_first_right"] + each["only_second_right"] for each in result["comparisons"])
    assert len(rows) == expected
    assert not any(row["text"].startswith(("@", "=", "+")) for row in rows)


def test_a_table_and_words_for_people(small_run: Path, classifier_folder: Path, s140) -> None:
    out = s140("evaluate", small_run, classifier_folder, "--dataset", "sample", "--max-samples", 60).stdout
    assert out.splitlines()[0].split() == ["accuracy", "test", "(60)", "manual", "(72)"]
    assert "not significant" in out or "is better" in out


def test_a_model_beside_itself_differs_nowhere(small_run: Path, s140, tmp_path: Path) -> None:
    file = tmp_path / "differing.parquet"
    result = json.loads(s140("evaluate", small_run, small_run, "--differences", file, "--json").stdout)
    assert [list(result["models"])[at].rpartition(" ")[2] for at in (0, 1)] == ["(1)", "(2)"]
    assert all(each["p_value"] == 1 and each["difference"]["value"] == 0 for each in result["comparisons"])
    assert pq.read_table(file).num_rows == 0


def test_three_models_are_three_pairs(small_run: Path, classifier_folder: Path, s140) -> None:
    models = (small_run, classifier_folder, small_run / "model")
    result = json.loads(s140("evaluate", *models, "--dataset", "sample", "--manual-test", "none", "--json").stdout)
    assert [each["split"] for each in result["comparisons"]] == ["test"] * 3 + ["test_unseen"] * 3
    assert all(
        "tfidf" in scores["test"]["baselines"] for name, scores in result["models"].items() if name == str(small_run)
    )


def test_mistakes(small_run: Path, classifier_folder: Path, s140) -> None:
    for arguments, said in (
        ([small_run, "--differences", "x.csv"], "two models or more"),
        ([classifier_folder, small_run], "is not a run directory"),
        ([small_run, classifier_folder, "--differences", "x.txt"], ".csv, .parquet"),
        ([small_run, classifier_folder, "--differences", "no/such/x.csv"], "does not exist"),
        ([small_run, "no/such"], "no/such"),
        ([small_run, classifier_folder, "--max-samples", "10"], "without --dataset"),
    ):
        result = s140("evaluate", *arguments, code=1)
        assert said in result.stderr
        assert result.stdout == ""


def test_what_is_read_is_not_overwritten(small_run: Path, s140, write: Callable[..., Path]) -> None:
    tweets = write("tweets.csv", 40)
    before = tweets.read_bytes()
    for words in (
        ("evaluate", small_run, small_run, "--dataset", tweets, "--output"),
        ("evaluate", small_run, small_run, "--dataset", tweets, "--differences"),
        ("predict", small_run, "--input", tweets, "--output"),
    ):
        assert "would be overwritten" in s140(*words, tweets, code=1).stderr
    assert tweets.read_bytes() == before


def test_a_page_is_written_over_no_other_file(mine: Path, s140) -> None:
    before = (mine / "metrics.json").read_bytes()
    assert ".html" in s140("report", mine, "--no-attributions", "--output", mine / "metrics.json", code=1).stderr
    assert (mine / "metrics.json").read_bytes() == before


def test_lone_surrogates_are_a_sentence(small_run: Path, s140, tmp_path: Path) -> None:
    (tmp_path / "s.jsonl").write_text('{"text": "fine"}\n{"text": "ok \\udc80"}\n')
    words = ("predict", small_run, "--input", tmp_path / "s.jsonl", "--max-bad-rows", 0)
    assert "the first is row 2" in s140(*words, code=1).stderr
    assert "not valid Unicode" in s140("predict", small_run, "a \udc80", code=1).stderr


@pytest.fixture
def trained_on(small_run: Path) -> list[tuple[int, str]]:
    """Labels and texts of a run's training split."""
    from sentiment140_bert.evaluation.run import load_run_data
    from sentiment140_bert.run import RunDir

    train = load_run_data(RunDir(small_run)).splits()["train"]
    return list(zip(train["label"], train["text"], strict=True))


@pytest.fixture
def leaky(trained_on: list[tuple[int, str]], write: Callable[..., Path]) -> Path:
    """40 new tweets, 20 training tweets as they are, and 20 with other case, mentions and spaces."""
    rows = [[str(4 * (at % 2)), f"quite another thing number {at} of {'joy' if at % 2 else 'woe'}"] for at in range(40)]
    rows += [[str(4 * label), text] for label, text in trained_on[:20]]
    rows += [
        [str(4 * label), f" {text.upper().replace('@USER', '@Somebody_Else')} "] for label, text in trained_on[20:40]
    ]
    return write("leaky.csv", rows, encoding="utf-8")


def test_training_tweets_among_the_scored_ones_are_called_out(small_run: Path, s140, leaky: Path) -> None:
    result = s140("evaluate", small_run, "--dataset", leaky, "--json")
    found = json.loads(result.stdout)
    assert found["splits"]["test"]["leakage"]["exact"] == 40
    assert found["leaked"]["test"]["exact"] == list(range(40, 80))
    unseen = found["splits"]["test_unseen"]
    assert unseen["n"] == 40 - len(found["leaked"]["test"]["near"])
    assert "40 of these 80 test tweets are in its training data" in result.stderr
    assert "tfidf" in found["splits"]["test"]["baselines"]


def test_a_model_folder_knows_them_without_the_tweets(small_run: Path, s140, leaky: Path) -> None:
    result = s140("evaluate", small_run / "model", "--dataset", leaky, "--json")
    found = json.loads(result.stdout)
    assert found["splits"]["test"]["leakage"] == {
        "exact": 40,
        "near": None,
        "same_user": None,
        "overlapping_in_time": None,
    }
    assert "near duplicates, users and times were not looked for" in found["unknown"]
    assert list(found["splits"]["test"]["baselines"]) == ["majority"]


def test_of_other_models_nothing_is_known(classifier_folder: Path, s140, leaky: Path) -> None:
    found = json.loads(s140("evaluate", classifier_folder, "--dataset", leaky, "--json").stdout)
    assert "does not say what it was trained on" in found["unknown"]
    assert "leakage" not in found["splits"]["test"]


def test_a_damaged_list_of_training_texts_is_said(mine: Path, s140, leaky: Path) -> None:
    (mine / "model" / "training_rows.safetensors").write_bytes(b"no tensors")
    found = json.loads(s140("evaluate", mine / "model", "--dataset", leaky, "--json").stdout)
    assert "is damaged" in found["unknown"]


def test_the_published_model_knows_them_too(pushed: Path, s140, leaky: Path) -> None:
    found = json.loads(s140("evaluate", "tester/sentiment", "--dataset", leaky, "--json").stdout)
    assert found["splits"]["test"]["leakage"]["exact"] == 40


def test_three_classes_by_the_threshold(small_run: Path, s140, write: Callable[..., Path]) -> None:
    rows = [
        [label, f"{word} number {at}"]
        for at in range(20)
        for label, word in (("negative", "sad"), ("neutral", "so"), ("positive", "glad"))
    ]
    tweets = write("three.csv", [["airline_sentiment", "text"], *rows])
    found = json.loads(s140("evaluate", small_run, "--dataset", tweets, "--json").stdout)["splits"]["test"]
    assert (found["n"], found["neutral_left_out"], found["three_way"]["n"]) == (40, 20, 60)
    assert sum(map(sum, found["three_way"]["matrix"])) == 60


def test_calibrated_scores_change_no_label(small_run: Path, s140) -> None:
    texts = ["what a lovely surprise", "so sad today", "the train is late", "hm"]
    plain, calibrated, abstaining = (
        json.loads(s140("predict", small_run, *texts, *flags, "--json").stdout)["predictions"]
        for flags in ([], ["--calibrated"], ["--abstain"])
    )
    learned = json.loads((small_run / "model" / "config.json").read_text())["sentiment_calibration"]
    metrics = json.loads((small_run / "metrics.json").read_text())
    assert learned == {
        "temperature": metrics["temperature"]["value"],
        "neutral_below": metrics["abstention"]["threshold"],
    }
    for one, other, third in zip(plain, calibrated, abstaining, strict=True):
        assert one["label"] == other["label"]
        odds = (one["score"] / (1 - one["score"])) ** (1 / learned["temperature"])
        assert other["score"] == pytest.approx(odds / (1 + odds), abs=1e-4)
        assert third["score"] == other["score"]
        assert third["label"] == ("neutral" if other["score"] < learned["neutral_below"] else one["label"])


def test_calibration_survives_the_trip_to_the_hub(pushed: Path, s140) -> None:
    texts = ["what a lovely surprise", "so sad today"]
    here, there = (
        json.loads(s140("predict", model, *texts, "--calibrated", "--json").stdout)["predictions"]
        for model in (pushed, "tester/sentiment")
    )
    assert here == there


def test_a_model_that_was_not_calibrated(classifier_folder: Path, s140) -> None:
    for flag in ("--calibrated", "--abstain"):
        assert "was not calibrated" in s140("predict", classifier_folder, "hello", flag, code=1).stderr


def test_a_calibration_that_makes_no_sense(mine: Path, s140) -> None:
    config = mine / "model" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"sentiment_calibration": {"temperature": -1}}))
    assert "sentiment_calibration" in s140("predict", mine, "hello", "--calibrated", code=1).stderr
