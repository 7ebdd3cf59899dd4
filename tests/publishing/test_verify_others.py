"""``s140 verify`` of other people's models: the scores that their card states, measured on the tweets it names."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from sklearn.metrics import f1_score, precision_score

import sentiment140_bert as s140
from hub_server import HubServer
from page_fixtures import Verdict
from sentiment140_bert.recipe import DataConfig

pytest_plugins = ("model_fixtures", "hub_fixtures", "page_fixtures")

MODEL, TWEETS, OTHERS = "somebody/model", "somebody/tweets", "somebody/others"
WORDS = ("good", "bad", "sad", "glad", "happy", "rain", "sun", "bus", "cat", "dog", "love", "hate", "fine", "poor")
Verify = Callable[..., Verdict]


def rows(count: int, seed: int, labels: tuple[int, ...] = (0, 1)) -> list[tuple[str, int]]:
    chosen = random.Random(seed)
    return [(f"{' '.join(chosen.choices(WORDS, k=6))} {at}", chosen.choice(labels)) for at in range(count)]


def as_csv(table: list[tuple[str, int]]) -> bytes:
    return ("text,label\n" + "".join(f"{text},{label}\n" for text, label in table)).encode()


TABLES = {"test": rows(80, 1), "train": rows(40, 2), "others": rows(80, 3)}


@pytest.fixture
def hub_model(hub: HubServer, classifier_folder: Path) -> HubServer:
    """A model without a card, and two datasets."""
    for repo_id, splits in ((TWEETS, ("test", "train")), (OTHERS, ("others", "train"))):
        hub.create(repo_id, "dataset")
        for name in splits:
            hub.write(repo_id, f"{'test' if name == 'others' else name}.csv", as_csv(TABLES[name]), "dataset")
    hub.create(MODEL)
    for file in classifier_folder.iterdir():
        hub.write(MODEL, file.name, file.read_bytes())
    return hub


@pytest.fixture(scope="session")
def measured(classifier_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, float]]:
    """The scores of the model on each table."""
    file, scores = tmp_path_factory.mktemp("tables") / "tweets.csv", {}
    for name, table in TABLES.items():
        file.write_bytes(as_csv(table))
        split = s140.evaluate(str(classifier_folder), DataConfig(dataset=str(file))).splits["test"]
        scores[name] = {
            key: score["value"] for key, score in split.items() if isinstance(score, dict) and "value" in score
        }
    return scores


def result(dataset: Any = TWEETS, split: Any = "test", **metrics: Any) -> dict[str, Any]:
    about = {"name": "tweets", "type": dataset, "split": split, "revision": metrics.pop("revision", None)}
    return {
        "task": {"type": "text-classification"},
        "dataset": {name: value for name, value in about.items() if value is not None},
        "metrics": [{"type": kind, "value": value} for kind, value in metrics.items()],
    }


def index(*results: dict[str, Any]) -> str:
    """Return a card's front matter."""
    return f"---\n{yaml.safe_dump({'model-index': [{'name': 'm', 'results': list(results)}]})}---\n"


@pytest.fixture
def verify_card(hub_model: HubServer, verify: Verify) -> Callable[..., Verdict]:
    """Verify the model with this card."""

    def judge(card: str, *arguments: object) -> Verdict:
        hub_model.write(MODEL, "README.md", card.encode())
        return verify(MODEL, *arguments)

    return judge


def test_right_claims(verify_card, measured) -> None:
    """Named like the scores here, or otherwise; of metrics that nothing here measures it is warned."""
    right = measured["test"]
    names = dict.fromkeys(("accuracy", "f1", "precision", "recall", "roc_auc", "log_loss", "matthews_correlation"))
    verdict = verify_card(index(result(**{name: right[name] for name in names})))
    assert verdict.code == 0, verdict.named() + verdict.named("unchecked")
    assert {check["claim"] for check in verdict.result["checks"]} == {
        f"model-index, test: {name}, on {TWEETS} (test)" for name in names
    }
    others = {"Accuracy": "accuracy", "ROC AUC": "roc_auc", "auc": "roc_auc", "mcc": "matthews_correlation"}
    others |= {"loss": "log_loss", "eval_loss": "log_loss"}
    verdict = verify_card(index(result(**{kind: right[name] for kind, name in others.items()}, bleu=31.2, wer=0.1)))
    assert (verdict.code, len(verdict.result["checks"]), verdict.result["warnings"]) == (0, len(others) + 2, 2)


@pytest.mark.parametrize(
    "text",
    [
        "It reaches an accuracy of 99.9%, better than any other.",
        "| split | accuracy | F1 |\n|---|---|---|\n| test | 0.999 | 0.998 |",
        "**Accuracy** is **0.999**",
        "<b>Accuracy:</b> 0.999",
        "| Accuracy | {accuracy:.4f} | 0.999 |",
        "Accuracy: {accuracy:.4f} on validation, and 0.999 on the test set",
    ],
)
def test_a_claim_that_is_not_measured_is_a_warning(verify_card, measured, text: str) -> None:
    right = index(result(accuracy=measured["test"]["accuracy"]))
    in_front = right.replace("model-index:", "tags: [accuracy-99.9%]\nmodel-index:", 1)
    for card in (f"{right}# My model\n\n{text.format(**measured['test'])}\n", in_front):
        assert verify_card(card).result["warnings"] > 0
        assert verify_card(card, "--strict").code == 1


NAMES: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"name": "Tweets of Somebody: Test Set"}, {"name": "Accuracy (test)"}, ""),
    ({"name": "Sentiment140 (official hand-labeled test set)"}, {}, "dataset's name"),
    ({"name": "training tweets"}, {}, "dataset's name"),
    ({"config": "sst2-official"}, {}, "config"),
    ({"config": ["sst2"]}, {}, "sst2"),
    ({"type": "stanfordnlp/sst2 "}, {}, "stanfordnlp/sst2"),
    ({"split": "train"}, {}, "split"),
    ({"revision": "0" * 40}, {}, "revision"),
    ({}, {"name": "Accuracy on SST-2"}, "metric's name"),
    ({}, {"name": "F1"}, "metric's name"),
    ({}, {"verified": True, "verifyToken": "abc"}, "verifyToken"),
    ({"source": {"name": "A leaderboard", "url": "https://example.org"}}, {}, "A leaderboard"),
]


@pytest.mark.parametrize(("about", "metric", "named"), NAMES)
def test_a_right_score_of_other_names_is_a_warning(
    verify_card, measured, about: dict[str, Any], metric: dict[str, Any], named: str
) -> None:
    right = result(accuracy=measured["test"]["accuracy"])
    right["dataset"] |= about
    right |= {"source": right["dataset"].pop("source")} if "source" in about else {}
    right["metrics"][0] |= metric
    verdict = verify_card(index(right), "--dataset", TWEETS, "--dataset-split", "test", "--strict")
    assert f"on {TWEETS} (test)" in verdict.named("true")
    assert (verdict.code, verdict.named()) == (1 if named else 0, ""), verdict.named("warning")
    assert (named in verdict.named("warning"), verdict.result["warnings"] > 0) == (True, bool(named))


def test_results_of_another_author_are_unchecked(hub_model: HubServer, verify_card, measured) -> None:
    hub_model.write(MODEL, ".eval_results/x.yaml", b"- dataset: {id: somebody/tweets}\n  value: 0.999\n")
    verdict = verify_card(index(result(accuracy=measured["test"]["accuracy"])))
    assert (verdict.code, ".eval_results/x.yaml" in verdict.named("unchecked")) == (2, True)


def test_a_wrong_accuracy(verify_card, measured) -> None:
    verdict = verify_card(index(result(accuracy=measured["test"]["accuracy"] + 0.05, f1=measured["test"]["f1"])))
    assert verdict.code == 1
    assert verdict.named().startswith("model-index, test: accuracy")
    assert "f1" in verdict.named("true")


def test_claims_are_measured_on_the_tweets_that_they_name(
    hub_model: HubServer, verify_card, measured, tmp_path: Path
) -> None:
    """They name dataset, split and revision; ``--dataset`` is for claims that name none, not for other datasets."""
    test, train, others = (measured[name]["accuracy"] for name in TABLES)
    assert len({test, train, others}) == 3
    file = tmp_path / "mine.csv"
    file.write_bytes(as_csv(TABLES["test"]))
    two = index(result(TWEETS, accuracy=test), result(OTHERS, accuracy=others))
    for card, arguments, codes in (
        (index(result(split="train", accuracy=train)), (), {0}),
        (index(result(split="train", accuracy=test)), (), {1}),
        (index(result(split=None, accuracy=test)), (), {0}),
        (two, (), {0}),
        (two, ("--dataset", TWEETS, "--dataset-split", "test"), {0, 2}),
        (index(result("my tweets", accuracy=test)), ("--dataset", file), {0}),
        (index(result("my tweets", accuracy=0.99)), ("--dataset", file), {1}),
        (index(result("my tweets", accuracy=0.99)), (), {2}),
    ):
        verdict = verify_card(card, *arguments)
        assert verdict.code in codes, (card, arguments)
    before = hub_model.head(TWEETS, "dataset")
    hub_model.write(TWEETS, "test.csv", as_csv(TABLES["others"]), "dataset")
    assert verify_card(index(result(revision=before, accuracy=test))).code == 0
    assert verify_card(index(result(accuracy=test))).code == 1


def test_a_value_counts_to_its_last_digit(verify_card, measured) -> None:
    right = measured["test"]["accuracy"]
    true = [round(right, 4), round(right, 3), round(right, 2), f"{right:.4f}", f"{100 * right:.1f}%"]
    true += [round(100 * right, 2), round(100 * right, 1), round(100 * right), f"{100 * right:.2f} %"]
    false = [round(right, 2) + 0.01, round(right, 2) - 0.01, round(100 * right) + 1, round(100 * right, 1) + 0.3]
    false += [1, 0, 1.0, 5e-05]
    results = [result(accuracy=value) for value in (*true, *false)]
    for at, stated in enumerate(results):
        stated["dataset"]["name"] = f"tweets {at}"  # else huggingface_hub takes them for one
    verdict = verify_card(index(*results))
    verdicts = [check["verdict"] for check in verdict.result["checks"] if check["verdict"] != "warning"]
    assert verdicts == ["true"] * len(true) + ["false"] * len(false), list(zip((*true, *false), verdicts, strict=False))


def test_a_mean_over_both_classes(verify_card, classifier_folder: Path) -> None:
    from transformers import pipeline

    predictions = pipeline("text-classification", model=str(classifier_folder))([text for text, _ in TABLES["test"]])
    predicted = [int(prediction["label"] == "positive") for prediction in predictions]
    truth = [label for _, label in TABLES["test"]]
    values = {average: f1_score(truth, predicted, average=average) for average in ("binary", "macro", "weighted")}
    assert len({round(value, 2) for value in values.values()}) == 3
    for average, value in values.items():
        verdict = verify_card(index(result(f1=value)))
        assert verdict.code == 0
        assert average == "binary" or f"({average})" in verdict.named("true")
    assert verify_card(index(result(f1=max(values.values()) + 0.02))).code == 1
    assert verify_card(index(result(precision=precision_score(truth, predicted, average="macro")))).code == 0


TRAINERS = """
This model is a fine-tuned version of [bert-base](https://huggingface.co/bert-base) on the None dataset.
It achieves the following results on the evaluation set:
- Loss: {log_loss:.4f}
- Accuracy: {accuracy:.4f}
- F1: {f1:.4f}

| Training Loss | Epoch | Step | Validation Loss | Accuracy |
|:-------------:|:-----:|:----:|:---------------:|:--------:|
| 0.32          | 1.0   | 100  | 0.9             | 0.1      |
"""


def test_the_lines_that_trainer_writes(verify_card, measured) -> None:
    text = TRAINERS.format(**measured["test"])
    flags = ("--dataset", TWEETS, "--dataset-split", "test")
    verdict = verify_card(text, *flags)
    assert verdict.code == 0, verdict.named()
    assert [check["verdict"] for check in verdict.result["checks"]] == ["true"] * 3 + ["warning"]  # of the table
    assert verify_card(text.replace("- Accuracy: 0.", "- Accuracy: 0.9"), *flags).code == 1
    verdict = verify_card(text)
    assert (verdict.code, "--dataset" in verdict.named("unchecked")) == (2, True)


def test_a_line_that_repeats_the_model_index_is_one_claim(verify_card, measured) -> None:
    right = measured["test"]["accuracy"]
    verdict = verify_card(index(result(accuracy=right)) + f"- Accuracy: {right:.4f}\n")
    assert (verdict.code, len(verdict.result["checks"])) == (0, 1)


def test_a_card_without_scores_is_an_error(hub_model: HubServer, verify: Verify, verify_card) -> None:
    verdict = verify(MODEL)
    assert (verdict.code, "no card" in verdict.stderr) == (2, True)
    for card in ("", "# A model\n", "---\nlicense: mit\n---\n", index(), index(result(bleu=1))):
        verdict = verify_card(card)
        assert (verdict.code, "no score" in verdict.stderr) == (2, True), card


def change_json(path: str, change: Callable[[Any], object]) -> Callable[[HubServer], object]:
    def write(hub: HubServer) -> None:
        content = json.loads(hub.files(MODEL)[path])
        change(content)
        hub.write(MODEL, path, json.dumps(content).encode())

    return write


def rename_weights(hub: HubServer) -> None:
    files = hub.repos["model", MODEL].at("main").files
    files["pytorch_model.bin"] = files.pop("model.safetensors")


def add_words(tokenizer: Any) -> None:
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary.update({word: at + 40_000 for word, at in vocabulary.items() if word in WORDS})


UNUSABLE: list[tuple[Callable[[HubServer], object], str]] = [
    (rename_weights, "safetensors"),
    (change_json("config.json", lambda config: config.update(id2label={"0": "a", "1": "b"})), "a, b"),
    (change_json("tokenizer.json", add_words), ""),
]


def test_models_that_cannot_be_scored(hub_model: HubServer, verify_card, measured) -> None:
    """A pickle is not opened; labels say nothing; the tokenizer has more words than the model."""
    for change, words in UNUSABLE:
        refs = dict(hub_model.repos["model", MODEL].refs)
        hub_model.write(MODEL, "config.json", hub_model.files(MODEL)["config.json"] + b" ")  # a commit to be changed
        change(hub_model)
        verdict = verify_card(index(result(accuracy=measured["test"]["accuracy"])))
        assert (verdict.code, words in verdict.named("unchecked")) == (2, True), words
        hub_model.repos["model", MODEL].refs = refs
    assert not any("pytorch_model.bin" in request.path for request in hub_model.requests)


def test_tweets_that_are_not_available(hub_model: HubServer, verify_card) -> None:
    """A dataset that does not exist, no dataset, and a split that it does not have, even if it has only one."""
    hub_model.create("somebody/single", "dataset")
    hub_model.write("somebody/single", "train.csv", as_csv(TABLES["train"]), "dataset")
    for dataset, split, words in (
        ("somebody/nothing", "test", "somebody/nothing"),
        (TWEETS, "validation", "validation"),
        ("my tweets", "test", "--dataset"),
        ("somebody/single", "test", ""),
    ):
        verdict = verify_card(index(result(dataset, split, accuracy=0.5)))
        assert (verdict.code, words in verdict.named("unchecked")) == (2, True), dataset


def test_three_classes_are_not_measured_as_two(hub_model: HubServer, small_bert, verify_card) -> None:
    """Its accuracy over three classes is true; what is measured here leaves the neutral tweets out."""
    from transformers import pipeline

    folder = small_bert(labels=("negative", "neutral", "positive"))
    for file in folder.iterdir():
        hub_model.write(MODEL, file.name, file.read_bytes())
    table = rows(60, 5, (0, 2, 4))
    hub_model.create("somebody/three", "dataset")
    hub_model.write("somebody/three", "test.csv", as_csv(table), "dataset")
    predictions = pipeline("text-classification", model=str(folder))([text for text, _ in table])
    names = {0: "negative", 2: "neutral", 4: "positive"}
    pairs = zip(predictions, table, strict=True)
    right = sum(prediction["label"] == names[label] for prediction, (_, label) in pairs) / len(table)
    verdict = verify_card(index(result("somebody/three", accuracy=right)))
    assert verdict.code in (0, 2), verdict.named()


def test_a_card_does_not_reach_into_this_machine(verify_card, measured, tmp_path: Path, monkeypatch) -> None:
    """A stranger's card may name a dataset on the Hub, and no file of ours."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for file in (tmp_path / "here" / "tweets.csv", tmp_path / "tweets.csv"):
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(as_csv(TABLES["test"]))
    for name in ("here/tweets.csv", "./tweets.csv", "~/tweets.csv", "here/folder"):
        verdict = verify_card(index(result(name, accuracy=measured["test"]["accuracy"])))
        assert (verdict.code, verdict.named("true")) == (2, ""), name


ODD_RESULTS = [
    *("3", "[1]", "{}", "null", "[{name: x}]", "[{name: x, results: 3}]", "[{name: x, results: [3]}]"),
    "[{name: x, results: [{task: 3, dataset: 4, metrics: 5}]}]",
    "[{name: x, results: [{task: {type: a}, dataset: null, metrics: [{type: accuracy, value: 1}]}]}]",
    "[{name: [x], results: [{task: {type: [a]}, dataset: {type: [b], name: {}}, metrics: [{type: [c], value: {}}]}]}]",
]
ODD_FRONTS = [
    "[",
    "- a",
    "just text",
    "a: !!python/object/apply:os.system [id]",
    "a: &x [*x]",
    "a: " + "[" * 3_000,
    "a: " + "9" * 5_000,
    "a: 1\na: 2",
    *(f"model-index: {odd}" for odd in ODD_RESULTS),
]


def test_odd_cards_are_unchecked(classifier_folder: Path, tmp_path: Path, verify: Verify) -> None:
    """A huge one is read to its end: work that grows with the square of its length would take minutes."""
    folder = shutil.copytree(classifier_folder, tmp_path / "model")
    cards = [f"---\n{front}\n---\n- Accuracy: 0.5\n".encode() for front in ODD_FRONTS]
    cards += [b"\xff\xfe", b"---\na: \xff\n---\n", b"\x00" * 100, b"---\n", b"---"]
    cards += [b"\n" * 30_000 + b"x", b"- " * 30_000, b"* \n" * 10_000, b"Accuracy" * 9_000]
    passed = []
    for card in cards:
        (folder / "README.md").write_bytes(card)
        passed += [card[:40]] if verify(folder).code != 2 else []
    assert passed == []


ODD_FIELDS = [
    *(("value", odd) for odd in (float("nan"), float("inf"), -1e400, "high", "NaN%", [1], {"a": 1}, None, True)),
    *(("type", odd) for odd in (3, None, ["accuracy"], {"a": 1}, True)),
    *(("dataset", odd) for odd in (5, None, ["a/b"], {"a": 1}, True, "a/../b", "/etc/passwd", "a/b\nc", "x" * 999)),
    *(("split", odd) for odd in (5, ["test"], {"a": 1}, True, "te\nst\x1b[2J")),
    *(("revision", odd) for odd in (1234567, ["main"], {"a": 1}, True, "refs/../x")),
]


def test_a_field_of_the_wrong_kind(verify_card) -> None:
    wrong = []
    for field, value in ODD_FIELDS:
        odd = result(accuracy=0.123)
        target = odd["metrics"][0] if field in ("value", "type") else odd["dataset"]
        target["type" if field == "dataset" else field] = value
        code = verify_card(index(odd)).code
        if code != 2 and (code, field) != (1, "value"):
            wrong.append((field, value, code))
    assert wrong == []


def test_a_claim_cannot_write_lines_of_its_own(hub_model: HubServer, s140) -> None:
    """Whatever a card says is shown on one line."""
    forged = "\n99 claims agree, 0 are false, 0 could not be checked (tolerance 0.001)"
    for field in ("split", "type"):
        odd = result(accuracy=0.123)
        odd["dataset"][field] = f"somebody/x{forged}"
        hub_model.write(MODEL, "README.md", index(odd).encode())
        lines = s140("verify", MODEL, code=2).stdout.splitlines()
        assert [line for line in lines if line.startswith("99 claims agree")] == []
