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

from sentiment140_bert.evaluation.slices import KINDS

pytest_plugins = "model_fixtures"


@pytest.fixture
def mine(smallest_run: Path, tmp_path: Path) -> Path:
    """A run that is scored again, and so written to."""
    return Path(shutil.copytree(smallest_run, tmp_path / "mine", ignore=shutil.ignore_patterns("checkpoints")))


def test_a_run_is_scored_on_its_own_splits(mine: Path, s140) -> None:
    """As it was after training, and as a table for people."""
    before = json.loads((mine / "metrics.json").read_text())
    assert json.loads(s140("evaluate", mine, "--json").stdout) == before
    assert json.loads((mine / "metrics.json").read_text()) == before
    lines = s140("evaluate", mine).stdout.splitlines()
    splits = ["validation", "test", "manual"]
    assert lines[0].split() == splits
    rows = {line[: line.index("  ")]: line for line in lines[1:] if "  " in line}
    assert rows["tweets"].split()[1:] == [str(before["splits"][name]["n"]) for name in splits]
    for name in splits:
        score = before["splits"][name]["accuracy"]
        assert f"{score['value']:.4f} [{score['low']:.3f}, {score['high']:.3f}]" in rows["accuracy"]


def test_a_model_folder_on_a_dataset(smallest_run: Path, s140, tmp_path: Path) -> None:
    arguments = ("--dataset", "sample", "--max-samples", 50, "--output", tmp_path / "scores.json", "--json")
    result = json.loads(s140("evaluate", smallest_run / "model", *arguments).stdout)
    assert result["splits"]["test"]["n"] == 50
    own = json.loads((smallest_run / "metrics.json").read_text())["splits"]["manual"]
    of_the_tweets_alone = {key: value for key, value in own.items() if key not in ("baselines", "leakage")}
    assert {key: result["splits"]["manual"].get(key) for key in of_the_tweets_alone} == of_the_tweets_alone
    assert json.loads((tmp_path / "scores.json").read_text()) == result


def test_a_run_on_another_dataset_keeps_its_metrics(smallest_run: Path, s140, write: Callable[..., Path]) -> None:
    before = (smallest_run / "metrics.json").read_bytes()
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


def test_entities_are_no_emoticons(smallest_run: Path, s140, write: Callable[..., Path]) -> None:
    words = {"0": "sad", "4": "glad"}
    rows = [[label, f"this &amp; that &quot;{words[label]}&quot; number {at}"] for at in range(30) for label in words]
    result = json.loads(s140("evaluate", smallest_run / "model", "--dataset", write("t.csv", rows), "--json").stdout)
    assert "emoticon" not in {each["name"] for each in result["splits"]["test"]["slices"]}


def test_a_planted_slice_is_flagged_and_no_other(smallest_run: Path, s140, write: Callable[..., Path]) -> None:
    """Labels are the model's answers but for a sixth of them; those of tweets with "but" are the other way round."""
    tweets = (files("sentiment140_bert.data") / "sample" / "tweets.csv").read_text("latin-1")
    texts = [row[5] for row in csv.reader(tweets.splitlines())]
    model = smallest_run / "model"
    asked = ("predict", model, "--input", write("texts.csv", [["text"], *([text] for text in texts)]), "--json")
    asked = (*asked, "--encoding", "latin-1")
    answers = [answer["label"] for answer in json.loads(s140(*asked).stdout)["predictions"]]
    random = Random(3)
    turned = {"negative": "positive", "positive": "negative"}
    rows = [
        [turned[answer] if KINDS["contrast"](text) != (random.random() < 1 / 6) else answer, text]
        for text, answer in zip(texts, answers, strict=True)
    ]
    dataset = write("planted.csv", [["sentiment", "text"], *rows])
    found = json.loads(s140("evaluate", model, "--dataset", dataset, "--manual-test", "none", "--json").stdout)
    split = found["splits"]["test"]
    assert [part["name"] for part in split["slices"] if part["worse"]] == ["contrast"]
    assert {part["name"] for part in split["slices"]} >= {"contrast", "long", "short", "negation"}


def test_names_that_were_assumed_are_said(small_bert: Callable[..., Path], s140) -> None:
    folder = small_bert(labels=("LABEL_0", "LABEL_1"))
    result = s140("evaluate", folder, "--dataset", "sample", "--max-samples", 50)
    assert "LABEL_1 as positive" in result.stderr


def test_a_label_map_that_leaves_nothing_is_no_success(smallest_run: Path, s140, write: Callable[..., Path]) -> None:
    given = ("--dataset", write("t.csv", 40), "--label-map", "0=drop,4=drop")
    result = s140("evaluate", smallest_run, *given, code=1)
    assert "40 are dropped by the label map" in result.stderr
    assert result.stdout == ""


STARS = ("1 star", "2 stars", "3 stars", "4 stars", "5 stars")


def test_a_model_of_five_stars_is_right_where_its_side_is(small_bert: Callable[..., Path], s140, write) -> None:
    folder = small_bert(labels=STARS)
    texts = [f"{word} day {number}" for number in range(30) for word in ("so good a", "a sad", "what a")]
    answers = json.loads(s140("predict", folder, *texts, "--json").stdout)["predictions"]
    said = [int(answer["label"][0]) for answer in answers]
    names = {1: "negative", 2: "negative", 3: "neutral", 4: "positive", 5: "positive"}
    rows = [["label", "text"], *([names[stars], text] for stars, text in zip(said, texts, strict=True))]
    found = json.loads(s140("evaluate", folder, "--dataset", write("t.csv", rows), "--json").stdout)["splits"]["test"]
    counted = Counter(names[stars] for stars in said)
    assert (found["n"], found["neutral_left_out"]) == (counted["negative"] + counted["positive"], counted["neutral"])
    if counted["neutral"]:
        assert found["three_way"]["accuracy"]["value"] == 1.0


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (("a", "b", "c", "d"), "4 labels (a, b, c, d)"),
        (("LABEL_0", "LABEL_1", "LABEL_2"), "nothing says what they mean"),
        (("score",), "only label (score)"),
    ],
)
def test_labels_that_do_not_tell_are_refused(labels, said, small_bert: Callable[..., Path], s140) -> None:
    result = s140("evaluate", small_bert(labels=labels), "--dataset", "sample", code=1)
    assert said in result.stderr
    assert "config.json" in result.stderr


def test_mistakes(smallest_run: Path, classifier_folder: Path, s140) -> None:
    for arguments, said in (
        ([classifier_folder], "--dataset"),
        (["no/such"], "not a run directory"),
        ([smallest_run, "--max-samples", "10"], "--max-samples was given without --dataset"),
        ([smallest_run, "--manual-test", "x.csv"], "--manual-test was given without --dataset"),
        ([smallest_run, "--dataset", "missing.csv"], "missing.csv"),
        ([smallest_run, "--dataset", "sample", "--text-column", "nope"], "nope"),
    ):
        result = s140("evaluate", *arguments, code=1)
        assert said in result.stderr
        assert result.stdout == ""
