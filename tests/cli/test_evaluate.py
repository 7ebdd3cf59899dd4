from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sentiment140_bert.evaluation.slices import KINDS

pytest_plugins = "model_fixtures"


def test_a_run_is_scored_on_its_own_splits(run: Path, s140) -> None:
    before = json.loads((run / "metrics.json").read_text())
    assert json.loads(s140("evaluate", run, "--json").stdout) == before
    assert json.loads((run / "metrics.json").read_text()) == before


def test_a_table_for_people(run: Path, s140) -> None:
    lines = s140("evaluate", run).stdout.splitlines()
    assert lines[0].split() == ["validation", "test", "manual"]
    tested = json.loads((run / "metrics.json").read_text())["splits"]["test"]
    accuracy = next(line for line in lines if line.startswith("accuracy"))
    value = tested["accuracy"]
    assert f"{value['value']:.4f} [{value['low']:.3f}, {value['high']:.3f}]" in accuracy
    assert next(line for line in lines if line.startswith("tweets")).split()[1:3] == ["60", "60"]


def test_a_model_folder_on_a_dataset(run: Path, s140, tmp_path: Path) -> None:
    arguments = ("--dataset", "sample", "--max-samples", 50, "--output", tmp_path / "scores.json", "--json")
    result = json.loads(s140("evaluate", run / "model", *arguments).stdout)
    assert result["splits"]["test"]["n"] == 50
    own = json.loads((run / "metrics.json").read_text())["splits"]["manual"]
    of_the_tweets_alone = {key: value for key, value in own.items() if key not in ("baselines", "leakage")}
    assert {key: result["splits"]["manual"].get(key) for key in of_the_tweets_alone} == of_the_tweets_alone
    assert json.loads((tmp_path / "scores.json").read_text()) == result


def test_a_run_on_another_dataset_keeps_its_metrics(run: Path, s140, write: Callable[..., Path]) -> None:
    before = (run / "metrics.json").read_bytes()
    result = json.loads(s140("evaluate", run, "--dataset", write("tweets.csv", 40), "--json").stdout)
    assert {name: split["n"] for name, split in result["splits"].items()} == {"test": 40}
    assert (run / "metrics.json").read_bytes() == before


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


def test_entities_are_no_emoticons(run: Path, s140, write: Callable[..., Path]) -> None:
    words = {"0": "sad", "4": "glad"}
    rows = [[label, f"this &amp; that &quot;{words[label]}&quot; number {at}"] for at in range(30) for label in words]
    result = json.loads(s140("evaluate", run / "model", "--dataset", write("t.csv", rows), "--json").stdout)
    assert "emoticon" not in {each["name"] for each in result["splits"]["test"]["slices"]}


def test_a_planted_slice_is_flagged_and_no_other(run: Path, s140, write: Callable[..., Path]) -> None:
    """The labels of tweets with "but" are turned round; the other flags are those of the tweets without such words."""
    from importlib.resources import files

    tweets = (files("sentiment140_bert.data") / "sample" / "tweets.csv").read_text("latin-1")
    rows = [[row[0], row[5]] for row in csv.reader(tweets.splitlines())]
    turned = {"0": "4", "4": "0"}
    contrast = KINDS["contrast"]
    planted = [[turned[label] if contrast(text) else label, text] for label, text in rows]
    rest = [[label, text] for label, text in rows if not contrast(text)]
    others, all_ = (
        {each["name"] for each in splits["test"]["slices"] if each["worse"]}
        for splits in (
            json.loads(s140("evaluate", run / "model", "--dataset", write(name, content), "--json").stdout)["splits"]
            for name, content in (("rest.csv", rest), ("planted.csv", planted))
        )
    )
    assert all_ - others == {"contrast"}


def test_names_that_were_assumed_are_said(small_bert: Callable[..., Path], s140) -> None:
    folder = small_bert(labels=("LABEL_0", "LABEL_1"))
    result = s140("evaluate", folder, "--dataset", "sample", "--max-samples", 50)
    assert "LABEL_1 as positive" in result.stderr


def test_a_label_map_that_leaves_nothing_is_no_success(run: Path, s140, write: Callable[..., Path]) -> None:
    given = ("--dataset", write("t.csv", 40), "--label-map", "0=drop,4=drop")
    result = s140("evaluate", run, *given, code=1)
    assert "40 are dropped by the label map" in result.stderr
    assert result.stdout == ""


def test_four_labels_are_refused(small_bert: Callable[..., Path], s140) -> None:
    result = s140("evaluate", small_bert(labels=("a", "b", "c", "d")), "--dataset", "sample", code=1)
    assert "4 labels (a, b, c, d)" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["MODEL"], "--dataset"),
        (["no/such"], "not a run directory"),
        (["RUN", "--max-samples", "10"], "--max-samples was given without --dataset"),
        (["RUN", "--manual-test", "x.csv"], "--manual-test was given without --dataset"),
        (["RUN", "--dataset", "missing.csv"], "missing.csv"),
        (["RUN", "--dataset", "sample", "--text-column", "nope"], "nope"),
    ],
)
def test_mistakes(run: Path, classifier_folder: Path, s140, arguments: list[str], said: str) -> None:
    known = {"MODEL": classifier_folder, "RUN": run}
    result = s140("evaluate", *(known.get(each, each) for each in arguments), code=1)
    assert said in result.stderr
    assert result.stdout == ""
