"""``s140 evaluate``: a run on its own splits, any model on any tweets, and tweets that it was trained on."""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from random import Random

import pytest

from sentiment140_bert.evaluation.run import load_run_data
from sentiment140_bert.evaluation.slices import KINDS
from sentiment140_bert.run import RunDir

pytest_plugins = ("model_fixtures", "hub_fixtures")


@pytest.fixture
def copy(smallest_run: Path, tmp_path: Path) -> Path:
    """Return a run that may be changed."""
    return Path(shutil.copytree(smallest_run, tmp_path / "copy"))


def test_a_run_is_scored_on_its_own_splits(copy: Path, s140) -> None:
    """Print the scores of training, as a table for people."""
    before = json.loads((copy / "metrics.json").read_text())
    assert json.loads(s140("evaluate", copy, "--json").stdout) == before
    assert json.loads((copy / "metrics.json").read_text()) == before
    temperature, threshold = before["temperature"]["value"], before["abstention"]["threshold"]
    calibration = json.loads((copy / "model" / "config.json").read_text())["sentiment_calibration"]
    assert calibration == {"temperature": temperature, "neutral_below": threshold}
    lines = s140("evaluate", copy, "--all").stdout.splitlines()
    splits = ["validation", "test", "manual"]
    assert lines[0].split() == ["validation", "test", "hand-labeled"]
    rows = {line[: line.index("  ")]: line for line in lines[1:] if "  " in line}
    assert rows["tweets"].split()[1:] == [str(before["splits"][name]["n"]) for name in splits]
    for name in splits:
        score = before["splits"][name]["accuracy"]
        assert f"{score['value']:.4f} [{score['low']:.3f}, {score['high']:.3f}]" in rows["accuracy"]
    summary = s140("evaluate", copy).stdout.splitlines()
    sizes = [before["splits"][name]["n"] for name in ("test", "manual")]
    assert summary[0].split() == ["test", f"({sizes[0]})", "hand-labeled", f"({sizes[1]})"]
    assert summary[1].split()[1:] == rows["accuracy"].split()[-6:]  # two scores with two limits each
    text = " ".join(summary)
    for name in ("test", "manual"):
        baselines = before["splits"][name]["baselines"]
        strongest = max(baselines.values(), key=lambda baseline: baseline["accuracy"]["value"])
        assert f"{strongest['lift']['value']:+.3f} on " in text
    assert len(summary) < 15
    assert max(map(len, summary[: summary.index("")])) <= 80  # the table; a terminal wraps the sentences


TRAINING_SCORES = ("baselines", "leakage")  # that need the training tweets


def test_a_model_folder_or_a_run_on_a_dataset(smallest_run: Path, s140, tmp_path: Path, write) -> None:
    arguments = ("--dataset", "sample", "--max-samples", 50, "--output", tmp_path / "scores.json", "--json")
    result = json.loads(s140("evaluate", smallest_run / "model", *arguments).stdout)
    assert result["splits"]["test"]["n"] == 50
    before = (smallest_run / "metrics.json").read_bytes()
    own = {key: value for key, value in json.loads(before)["splits"]["manual"].items() if key not in TRAINING_SCORES}
    assert {key: value for key, value in result["splits"]["manual"].items() if key not in TRAINING_SCORES} == own
    assert json.loads((tmp_path / "scores.json").read_text()) == result
    result = json.loads(s140("evaluate", smallest_run, "--dataset", write("tweets.csv", 40), "--json").stdout)
    assert {name: split["n"] for name, split in result["splits"].items()} == {"test": 40}
    assert (smallest_run / "metrics.json").read_bytes() == before


def test_manual_test_is_scored_apart(classifier_folder: Path, s140, write: Callable[..., Path]) -> None:
    tweets = write("tweets.csv", 40)
    manual = write("manual.csv", "0,bad\n2,so so\n4,good\n4,fine\n")
    result = json.loads(
        s140("evaluate", classifier_folder, "--dataset", tweets, "--manual-test", manual, "--json").stdout
    )
    assert (result["splits"]["manual"]["n"], result["splits"]["manual"]["neutral_left_out"]) == (3, 1)
    assert result["splits"]["test"]["n"] == 40
    without = s140("evaluate", classifier_folder, "--dataset", "sample", "--manual-test", "none", "--json")
    assert list(json.loads(without.stdout)["splits"]) == ["test"]


def test_entities_are_not_emoticons(smallest_run: Path, s140, write: Callable[..., Path]) -> None:
    words = {"0": "sad", "4": "glad"}
    rows = [[label, f"this &amp; that &quot;{words[label]}&quot; number {at}"] for at in range(30) for label in words]
    result = json.loads(s140("evaluate", smallest_run / "model", "--dataset", write("t.csv", rows), "--json").stdout)
    assert "emoticon" not in {part["name"] for part in result["splits"]["test"]["slices"]}


def test_a_planted_slice_is_flagged_and_no_other(smallest_run: Path, s140, write: Callable[..., Path]) -> None:
    """Labels are the model's predictions but for a sixth of them; those of tweets with "but" are reversed."""
    tweets = (files("sentiment140_bert.data") / "sample" / "tweets.csv").read_text("latin-1")
    texts = [row[5] for row in csv.reader(tweets.splitlines())]
    model = smallest_run / "model"
    file = write("texts.csv", [["text"], *([text] for text in texts)])
    predictions = json.loads(s140("predict", model, "--input", file, "--encoding", "latin-1", "--json").stdout)
    random, reverse = Random(3), {"negative": "positive", "positive": "negative"}
    rows = [
        [reverse[answer["label"]] if KINDS["contrast"](text) != (random.random() < 1 / 6) else answer["label"], text]
        for text, answer in zip(texts, predictions["predictions"], strict=True)
    ]
    dataset = write("planted.csv", [["sentiment", "text"], *rows])
    result = json.loads(s140("evaluate", model, "--dataset", dataset, "--manual-test", "none", "--json").stdout)
    split = result["splits"]["test"]
    assert [part["name"] for part in split["slices"] if part["worse"]] == ["contrast"]
    assert {part["name"] for part in split["slices"]} >= {"contrast", "long", "short", "negation"}


STARS = ("1 star", "2 stars", "3 stars", "4 stars", "5 stars")


def test_a_model_of_five_stars_is_right_where_its_side_is(small_bert: Callable[..., Path], s140, write) -> None:
    folder = small_bert(labels=STARS)
    texts = [f"{word} day {number}" for number in range(30) for word in ("so good a", "a sad", "what a")]
    predictions = json.loads(s140("predict", folder, *texts, "--json").stdout)["predictions"]
    names = {"1": "negative", "2": "negative", "3": "neutral", "4": "positive", "5": "positive"}
    labels = [names[answer["label"][0]] for answer in predictions]
    rows = [["label", "text"], *map(list, zip(labels, texts, strict=True))]
    split = json.loads(s140("evaluate", folder, "--dataset", write("t.csv", rows), "--json").stdout)["splits"]["test"]
    counts = Counter(labels)
    assert (split["n"], split["neutral_left_out"]) == (counts["negative"] + counts["positive"], counts["neutral"])
    if counts["neutral"]:
        assert split["three_way"]["accuracy"]["value"] == 1.0


def test_labels_that_say_nothing_are_assumed_or_refused(small_bert: Callable[..., Path], s140) -> None:
    assumed = s140("evaluate", small_bert(labels=("LABEL_0", "LABEL_1")), "--dataset", "sample", "--max-samples", 50)
    assert "LABEL_1 as positive" in assumed.stderr
    for labels, message in (
        (("a", "b", "c", "d"), "4 labels (a, b, c, d)"),
        (("LABEL_0", "LABEL_1", "LABEL_2"), "nothing says what they mean"),
        (("score",), "only label (score)"),
    ):
        result = s140("evaluate", small_bert(labels=labels), "--dataset", "sample", code=1)
        assert message in result.stderr
        assert "config.json" in result.stderr


def test_three_classes_by_the_threshold(small_run: Path, s140, write: Callable[..., Path]) -> None:
    words = {"negative": "sad", "neutral": "so", "positive": "glad"}
    rows = [[label, f"{word} number {at}"] for at in range(20) for label, word in words.items()]
    tweets = write("three.csv", [["airline_sentiment", "text"], *rows])
    split = json.loads(s140("evaluate", small_run, "--dataset", tweets, "--json").stdout)["splits"]["test"]
    assert (split["n"], split["neutral_left_out"], split["three_way"]["n"]) == (40, 20, 60)
    assert sum(map(sum, split["three_way"]["matrix"])) == 60


def test_mistakes(smallest_run: Path, classifier_folder: Path, s140, write: Callable[..., Path]) -> None:
    tweets = write("t.csv", 40)
    for arguments, message in (
        ([classifier_folder], "--dataset"),
        (["no/such"], "not a run directory"),
        ([smallest_run, "--max-samples", "10"], "--max-samples was given without --dataset"),
        ([smallest_run, "--manual-test", "x.csv"], "--manual-test was given without --dataset"),
        ([smallest_run, "--dataset", "missing.csv"], "missing.csv"),
        ([smallest_run, "--dataset", "sample", "--text-column", "nope"], "nope"),
        ([smallest_run, "--dataset", tweets, "--label-map", "0=drop,4=drop"], "40 are dropped by the label map"),
    ):
        result = s140("evaluate", *arguments, code=1)
        assert message in result.stderr
        assert result.stdout == ""


# ---- tweets that a model was trained on


@pytest.fixture
def leaky(small_run: Path, write: Callable[..., Path]) -> Path:
    """Score 40 new tweets, 20 training tweets as they are, and 20 with other case, mentions and spaces."""
    train = load_run_data(RunDir(small_run)).splits()["train"]
    copied = list(zip(train["label"], train["text"], strict=True))
    rows = [[str(4 * (at % 2)), f"quite another thing number {at} of {'joy' if at % 2 else 'woe'}"] for at in range(40)]
    rows += [[str(4 * label), text] for label, text in copied[:20]]
    disguised = (text.upper().replace("@USER", "@Somebody_Else") for _, text in copied[20:40])
    rows += [[str(4 * label), f" {text} "] for (label, _), text in zip(copied[20:40], disguised, strict=True)]
    return write("leaky.csv", rows, encoding="utf-8")


def test_a_run_finds_its_training_tweets(small_run: Path, s140, leaky: Path) -> None:
    output = s140("evaluate", small_run, "--dataset", leaky, "--json")
    result = json.loads(output.stdout)
    assert result["splits"]["test"]["leakage"]["exact"] == 40
    assert result["leaked"]["test"]["exact"] == list(range(40, 80))
    assert result["splits"]["test_unseen"]["n"] == 40 - len(result["leaked"]["test"]["near"])
    assert "40 of these 80 test tweets are in its training data" in output.stderr
    assert "tfidf" in result["splits"]["test"]["baselines"]
    summary = s140("evaluate", small_run, "--dataset", leaky).stdout.splitlines()[0]
    assert f"test_unseen ({result['splits']['test_unseen']['n']})" in summary


def test_a_model_folder_finds_them_by_their_hashes(
    copy: Path, small_run: Path, pushed: Path, classifier_folder, s140, leaky
) -> None:
    def evaluate(model: object) -> tuple[dict, str]:
        result = json.loads(s140("evaluate", model, "--dataset", leaky, "--json").stdout)
        return result["splits"]["test"], result["unknown"]

    leakage = {"exact": 40, "near": None, "same_user": None, "overlapping_in_time": None}
    for model in (small_run / "model", "tester/sentiment"):
        split, unknown = evaluate(model)
        assert split["leakage"] == leakage
        assert "near duplicates, users and times were not checked" in unknown
        assert list(split["baselines"]) == ["majority"]
    split, unknown = evaluate(classifier_folder)
    assert "does not say what it was trained on" in unknown
    assert "leakage" not in split
    (copy / "model" / "training_rows.safetensors").write_bytes(b"no tensors")
    assert "is damaged" in evaluate(copy / "model")[1]
