"""A file with neutral tweets: training, scores, publishing and predicting with three labels."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from sklearn.metrics import confusion_matrix, f1_score
from transformers import pipeline

from on_hub import BOTH, DATA, MODEL
from sentiment140_bert.evaluation.predictions import read_predictions
from sentiment140_bert.run import RunDir
from tiny_run import flags

pytest_plugins = ("hub_fixtures", "report_fixtures")
WORDS = {"negative": "awful sad cold", "neutral": "meeting bus report", "positive": "lovely happy sunny"}
SIZES = {"max_samples": 270, "validation_size": 60, "test_size": 60}


@pytest.fixture(scope="module")
def tweets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of 90 tweets of each label, in which the labels alternate, and each ninth tweet has a wrong one."""
    file = tmp_path_factory.mktemp("tweets") / "tweets.csv"
    with file.open("w", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow(["text", "label"])
        for number in range(90):
            for at, label in enumerate(WORDS):
                words = [*WORDS.values()][(at + (number % 9 == 0)) % 3]
                writer.writerow([f"{words.split()[number % 3]} thing number {number} {words}", label])
    return file


@pytest.fixture(scope="module")
def words(tweets: Path, encoder: Path) -> list[str]:
    return flags(**SIZES, dataset=tweets, model_name_or_path=encoder)


def test_it_trains_scores_and_predicts_like_two(tweets: Path, s140, tmp_path: Path) -> None:
    learns = flags(**SIZES, dataset=tweets, learning_rate=5e-4, num_train_epochs=1, per_device_train_batch_size=8)
    stderr = s140("train", "--output-dir", "run", *learns).stderr
    assert "three labels: negative, neutral, positive (--labels 2 would leave neutral tweets out)" in stderr
    assert "not trained on" not in stderr
    run = RunDir(tmp_path / "run")
    splits = run.read_metrics()["splits"]
    predictions = read_predictions(run)["test"]
    classify = pipeline("text-classification", model=str(run.model), top_k=None)
    answers = [{answer["label"]: answer["score"] for answer in some} for some in classify(list(predictions.texts))]
    names = ["negative", "positive", "neutral"]
    labels = [names.index(max(some, key=some.get)) for some in answers]
    assert labels == predictions.labels.tolist()
    assert predictions.confidence == pytest.approx([max(some.values()) for some in answers], abs=1e-5)
    matrix = confusion_matrix(predictions.truth, labels, labels=[0, 2, 1])
    assert splits["test"]["three_way"]["matrix"] == matrix.tolist()
    assert splits["test"]["accuracy"]["value"] == pytest.approx(matrix.trace() / 60)
    assert splits["test"]["accuracy"]["value"] > 0.5
    assert splits["test"]["macro_f1"]["value"] == pytest.approx(f1_score(predictions.truth, labels, average="macro"))
    assert splits["test"]["baselines"]["majority"]["accuracy"]["value"] == pytest.approx(1 / 3, abs=0.01)
    history = [json.loads(line) for line in run.history.read_text().splitlines()]
    assert max(entry["eval_accuracy"] for entry in history if "eval_accuracy" in entry) == pytest.approx(
        splits["validation"]["accuracy"]["value"]
    )
    assert "recall of neutral" in s140("evaluate", "run", "--all").stdout
    wrong = 60 - matrix.trace()
    assert f"test: {wrong} errors" in s140("report", "run", "--no-attributions").stderr
    assert "three labels" in s140("suspects", "run", "--output", "suspects.csv", code=1).stderr
    assert "run of two labels" in s140("predict", "run", "--abstain", "hello", code=1).stderr


def test_what_is_published_trains_three_labels_again(words: list[str], s140, hub, tmp_path: Path) -> None:
    s140("train", "--output-dir", "run", *words, "--push-to-hub", *BOTH)
    card = hub.commits(MODEL)[0].files["README.md"].content.decode()
    assert "**negative**, **neutral** or **positive**" in card
    assert "There is no neutral class" not in card
    assert "| recall of neutral |" in card
    assert (
        "neutral tweets are left out" not in hub.commits(DATA, "dataset")[0].files["README.md"].content.decode().lower()
    )
    assert s140("verify", MODEL, "--dataset", DATA).exit_code == 0
    s140("train", "--output-dir", "again", *words, "--dataset", DATA)
    first, again = (RunDir(tmp_path / name) for name in ("run", "again"))
    assert first.read_data()["fingerprint"] == again.read_data()["fingerprint"]
    assert first.weights.read_bytes() == again.weights.read_bytes()


def test_two_labels_can_be_asked_for_and_three_must_be_there(words: list[str], tweets: Path, s140) -> None:
    options = ("--max-samples", 150, "--max-steps", 2)
    stderr = s140("train", "--output-dir", "two", *words, *options, "--labels", 2).stderr
    assert "90 neutral (--labels 3 would train on them, too)" in stderr
    assert set(json.loads(Path("two/model/config.json").read_text())["id2label"].values()) == {"negative", "positive"}
    tweets.with_name("two.csv").write_text(
        "\n".join(line for line in tweets.read_text().splitlines() if "neutral" not in line)
    )
    three = s140("prepare", "--dataset", tweets.with_name("two.csv"), "--labels", 3, code=1).stderr
    assert "holds no neutral tweets, and three labels are to be told apart" in three
    f1 = s140("train", "--output-dir", "f1", *words, "--metric-for-best-model", "f1", code=1).stderr
    assert "f1 is a score of two labels" in f1
