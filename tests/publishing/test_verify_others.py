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
def there(hub: HubServer, classifier_folder: Path) -> HubServer:
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
    found = {}
    for name, table in TABLES.items():
        file = tmp_path_factory.mktemp("tables") / f"{name}.csv"
        file.write_bytes(as_csv(table))
        scores = s140.evaluate(str(classifier_folder), DataConfig(dataset=str(file)))["splits"]["test"]
        found[name] = {key: each["value"] for key, each in scores.items() if isinstance(each, dict) and "value" in each}
    return found


def result(dataset: Any = TWEETS, split: Any = "test", **metrics: Any) -> dict[str, Any]:
    more = {"revision": metrics.pop("revision")} if "revision" in metrics else {}
    return {
        "task": {"type": "text-classification"},
        "dataset": {"name": "tweets", "type": dataset, **({"split": split} if split is not None else {}), **more},
        "metrics": [{"type": kind, "value": value} for kind, value in metrics.items()],
    }


def index(*results: dict[str, Any]) -> str:
    """A card's front matter."""
    return f"---\n{yaml.safe_dump({'model-index': [{'name': 'm', 'results': list(results)}]})}---\n"


@pytest.fixture
def judged(there: HubServer, verify: Verify) -> Callable[..., Verdict]:
    """What is said of the model with this card."""

    def judge(card: str, *arguments: object) -> Verdict:
        there.write(MODEL, "README.md", card.encode())
        return verify(MODEL, *arguments)

    return judge


# ---- right and wrong


def test_right_claims(judged, measured) -> None:
    right = measured["test"]
    claims = {name: right[name] for name in ("accuracy", "f1", "precision", "recall", "roc_auc", "log_loss")}
    found = judged(index(result(**claims, matthews_correlation=right["matthews_correlation"])))
    assert found.code == 0, found.named() + found.named("unchecked")
    assert {each["claim"] for each in found.result["checks"]} == {
        f"model-index, test: {name}" for name in (*claims, "matthews_correlation")
    }


def test_a_wrong_accuracy(judged, measured) -> None:
    found = judged(index(result(accuracy=measured["test"]["accuracy"] + 0.05, f1=measured["test"]["f1"])))
    assert found.code == 1
    assert found.named().startswith("model-index, test: accuracy")
    assert "f1" in found.named("true")


def test_the_split_that_is_named(judged, measured) -> None:
    assert measured["train"]["accuracy"] != measured["test"]["accuracy"]
    assert judged(index(result(split="train", accuracy=measured["train"]["accuracy"]))).code == 0
    assert judged(index(result(split="train", accuracy=measured["test"]["accuracy"]))).code == 1


def test_without_a_split_it_is_test(judged, measured) -> None:
    assert judged(index(result(split=None, accuracy=measured["test"]["accuracy"]))).code == 0


def test_the_revision_that_is_named(there: HubServer, judged, measured) -> None:
    before = there.head(TWEETS, "dataset")
    there.write(TWEETS, "test.csv", as_csv(TABLES["others"]), "dataset")
    right = measured["test"]["accuracy"]
    assert judged(index(result(revision=before, accuracy=right))).code == 0
    assert judged(index(result(accuracy=right))).code == 1


def accuracy(scores: dict[str, float]) -> dict[str, float]:
    return {"accuracy": scores["accuracy"]}


def test_two_datasets(judged, measured) -> None:
    one, other = result(TWEETS, **accuracy(measured["test"])), result(OTHERS, **accuracy(measured["others"]))
    assert measured["test"]["accuracy"] != measured["others"]["accuracy"]
    assert judged(index(one, other)).code == 0


def test_a_dataset_that_is_named_here_says_nothing_of_claims_about_another_one(judged, measured) -> None:
    """Both are true; the user only says how to read one of them."""
    one, other = result(TWEETS, **accuracy(measured["test"])), result(OTHERS, **accuracy(measured["others"]))
    found = judged(index(one, other), "--dataset", TWEETS, "--dataset-split", "test")
    assert found.named() == ""
    assert found.code in (0, 2)


def test_data_of_no_name_are_those_that_are_named_here(judged, measured, tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_bytes(as_csv(TABLES["test"]))
    assert judged(index(result("my tweets", accuracy=measured["test"]["accuracy"])), "--dataset", file).code == 0
    assert judged(index(result("my tweets", accuracy=0.99)), "--dataset", file).code == 1
    assert judged(index(result("my tweets", accuracy=0.99))).code == 2


# ---- as people write


def test_a_value_counts_to_its_last_digit(judged, measured) -> None:
    right = measured["test"]["accuracy"]
    true = [round(right, 4), round(right, 3), round(right, 2), f"{right:.4f}"]
    true += [
        round(100 * right, 2),
        round(100 * right, 1),
        round(100 * right),
        f"{100 * right:.1f}%",
        f"{100 * right:.2f} %",
    ]
    false = [round(right, 2) + 0.01, round(right, 2) - 0.01, round(100 * right) + 1, round(100 * right, 1) + 0.3]
    false += [1, 0, 1.0, 5e-05]
    results = [result(accuracy=value) for value in (*true, *false)]
    for at, each in enumerate(results):
        each["dataset"]["name"] = f"tweets {at}"  # else huggingface_hub takes them for one
    found = judged(index(*results))
    verdicts = [each["verdict"] for each in found.result["checks"]]
    assert verdicts == ["true"] * len(true) + ["false"] * len(false), list(zip((*true, *false), verdicts, strict=False))


def test_a_mean_over_both_classes(judged, classifier_folder: Path) -> None:
    from transformers import pipeline

    answers = pipeline("text-classification", model=str(classifier_folder))([text for text, _ in TABLES["test"]])
    said = [int(each["label"] == "positive") for each in answers]
    truth = [label for _, label in TABLES["test"]]
    values = {average: f1_score(truth, said, average=average) for average in ("binary", "macro", "weighted")}
    assert len({round(each, 2) for each in values.values()}) == 3
    for average, value in values.items():
        found = judged(index(result(f1=value)))
        assert found.code == 0
        assert average == "binary" or f"({average})" in found.named("true")
    assert judged(index(result(f1=max(values.values()) + 0.02))).code == 1
    assert judged(index(result(precision=precision_score(truth, said, average="macro")))).code == 0


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


def test_the_lines_that_trainer_writes(judged, measured) -> None:
    text = TRAINERS.format(**measured["test"])
    flags = ("--dataset", TWEETS, "--dataset-split", "test")
    found = judged(text, *flags)
    assert found.code == 0, found.named()
    assert len(found.result["checks"]) == 3
    assert judged(text.replace("- Accuracy: 0.", "- Accuracy: 0.9"), *flags).code == 1


def test_such_lines_without_data_cannot_be_checked(judged, measured) -> None:
    found = judged(TRAINERS.format(**measured["test"]))
    assert found.code == 2
    assert "--dataset" in found.named("unchecked")


def test_a_line_that_repeats_the_model_index_is_one_claim(judged, measured) -> None:
    right = measured["test"]["accuracy"]
    found = judged(index(result(accuracy=right)) + f"- Accuracy: {right:.4f}\n")
    assert (found.code, len(found.result["checks"])) == (0, 1)


def test_metrics_of_other_kinds_are_left_alone(judged, measured) -> None:
    found = judged(index(result(accuracy=measured["test"]["accuracy"], bleu=31.2, wer=0.1)))
    assert (found.code, len(found.result["checks"])) == (0, 1)


def test_metrics_by_their_other_names(judged, measured) -> None:
    names = {"Accuracy": "accuracy", "ROC AUC": "roc_auc", "auc": "roc_auc", "mcc": "matthews_correlation"}
    names |= {"loss": "log_loss", "eval_loss": "log_loss"}
    found = judged(index(result(**{kind: measured["test"][name] for kind, name in names.items()})))
    assert (found.code, len(found.result["checks"])) == (0, len(names))


# ---- what cannot be checked


def test_no_card_no_claims(there: HubServer, verify: Verify) -> None:
    found = verify(MODEL)
    assert (found.code, "no card" in found.stderr) == (2, True)


def test_no_claims(judged) -> None:
    for card in ("", "# A model\n", "---\nlicense: mit\n---\n", index(), index(result(bleu=1))):
        found = judged(card)
        assert (found.code, "no score" in found.stderr) == (2, True), card


def test_weights_of_another_format(there: HubServer, judged, measured) -> None:
    """A pickle is not opened."""
    repo = there.repos["model", MODEL]
    there.write(MODEL, "pytorch_model.bin", repo.at("main").files["model.safetensors"].content)
    files = {name: blob for name, blob in repo.at("main").files.items() if name != "model.safetensors"}
    repo.at("main").files.clear()
    repo.at("main").files.update(files)
    found = judged(index(result(accuracy=measured["test"]["accuracy"])))
    assert found.code == 2
    assert "safetensors" in found.named("unchecked")
    assert not any("pytorch_model.bin" in request.path for request in there.requests)


def test_data_that_are_not_to_be_had(judged) -> None:
    missing = ("somebody/nothing", "test", "somebody/nothing"), (TWEETS, "validation", "validation")
    for dataset, split, said in (*missing, ("my tweets", "test", "--dataset")):
        found = judged(index(result(dataset, split, accuracy=0.5)))
        assert (found.code, said in found.named("unchecked")) == (2, True), dataset


def test_a_split_that_the_dataset_has_not_even_if_it_has_only_one(there: HubServer, judged) -> None:
    there.create("somebody/single", "dataset")
    there.write("somebody/single", "train.csv", as_csv(TABLES["train"]), "dataset")
    assert judged(index(result("somebody/single", "test", accuracy=0.99))).code == 2


def test_three_classes_are_not_measured_as_two(there: HubServer, small_bert, judged) -> None:
    """Its accuracy over three classes is true; what is measured here leaves the neutral tweets out."""
    from transformers import pipeline

    folder = small_bert(labels=("negative", "neutral", "positive"))
    for file in folder.iterdir():
        there.write(MODEL, file.name, file.read_bytes())
    table = rows(60, 5, (0, 2, 4))
    there.create("somebody/three", "dataset")
    there.write("somebody/three", "test.csv", as_csv(table), "dataset")
    answers = pipeline("text-classification", model=str(folder))([text for text, _ in table])
    names = {0: "negative", 2: "neutral", 4: "positive"}
    right = sum(each["label"] == names[label] for each, (_, label) in zip(answers, table, strict=True)) / len(table)
    found = judged(index(result("somebody/three", accuracy=right)))
    assert found.code in (0, 2), found.named()


def test_labels_that_say_nothing(there: HubServer, judged, measured) -> None:
    config = json.loads(there.files(MODEL)["config.json"])
    there.write(MODEL, "config.json", json.dumps(config | {"id2label": {"0": "a", "1": "b"}}).encode())
    found = judged(index(result(accuracy=measured["test"]["accuracy"])))
    assert found.code == 2
    assert "a, b" in found.named("unchecked")


def test_a_tokenizer_with_more_words_than_the_model_knows(there: HubServer, judged, measured) -> None:
    tokenizer = json.loads(there.files(MODEL)["tokenizer.json"])
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary.update({word: at + 40_000 for word, at in vocabulary.items() if word in WORDS})
    there.write(MODEL, "tokenizer.json", json.dumps(tokenizer).encode())
    assert judged(index(result(accuracy=measured["test"]["accuracy"]))).code == 2


def test_a_card_does_not_reach_into_this_machine(judged, measured, tmp_path: Path, monkeypatch) -> None:
    """A stranger's card may name a dataset on the Hub, and no file of ours."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for file in (tmp_path / "here" / "tweets.csv", tmp_path / "tweets.csv"):
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(as_csv(TABLES["test"]))
    for name in ("here/tweets.csv", "./tweets.csv", "~/tweets.csv", "here/folder"):
        found = judged(index(result(name, accuracy=measured["test"]["accuracy"])))
        assert (found.code, found.named("true")) == (2, ""), name


# ---- hostile cards

ODD_RESULTS = [
    "3",
    "[1]",
    "{}",
    "null",
    "[{name: x}]",
    "[{name: x, results: 3}]",
    "[{name: x, results: [3]}]",
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
    *(f"model-index: {each}" for each in ODD_RESULTS),
]


@pytest.fixture
def judged_here(classifier_folder: Path, tmp_path: Path, verify: Verify) -> Callable[[bytes], int]:
    """The exit code for a model folder with this card."""
    folder = shutil.copytree(classifier_folder, tmp_path / "model")

    def judge(card: bytes) -> int:
        (folder / "README.md").write_bytes(card)
        return verify(folder).code

    return judge


def test_front_matter_that_makes_no_sense(judged_here) -> None:
    codes = {front[:40]: judged_here(f"---\n{front}\n---\n- Accuracy: 0.5\n".encode()) for front in ODD_FRONTS}
    assert codes == dict.fromkeys(codes, 2)


def test_a_card_that_is_no_text(judged_here) -> None:
    cards = [b"\xff\xfe", b"---\na: \xff\n---\n", b"\x00" * 100, b"---\n", b"---"]
    assert [judged_here(card) for card in cards] == [2] * len(cards)


ODD_FIELDS = [
    *(("value", each) for each in (float("nan"), float("inf"), -1e400, "high", "NaN%", [1], {"a": 1}, None, True)),
    *(("type", each) for each in (3, None, ["accuracy"], {"a": 1}, True)),
    *(("dataset", each) for each in (5, None, ["a/b"], {"a": 1}, True, "a/../b", "/etc/passwd", "a/b\nc", "x" * 999)),
    *(("split", each) for each in (5, ["test"], {"a": 1}, True, "te\nst\x1b[2J")),
    *(("revision", each) for each in (1234567, ["main"], {"a": 1}, True, "refs/../x")),
]


def test_a_field_of_the_wrong_kind(judged) -> None:
    wrong = []
    for field, value in ODD_FIELDS:
        odd = result(accuracy=0.123)
        target = odd["metrics"][0] if field in ("value", "type") else odd["dataset"]
        target["type" if field == "dataset" else field] = value
        code = judged(index(odd)).code
        if code != 2 and (code, field) != (1, "value"):
            wrong.append((field, value, code))
    assert wrong == []


def test_a_claim_cannot_write_lines_of_its_own(there: HubServer, s140) -> None:
    """Whatever a card says is shown on one line."""
    forged = "\n99 claims agree, 0 are false, 0 could not be checked (tolerance 0.001)"
    for field in ("split", "type"):
        odd = result(accuracy=0.123)
        odd["dataset"][field] = f"somebody/x{forged}"
        there.write(MODEL, "README.md", index(odd).encode())
        lines = s140("verify", MODEL, code=2).stdout.splitlines()
        assert [line for line in lines if line.startswith("99 claims agree")] == []


def test_a_huge_card_is_read_to_its_end(judged_here) -> None:
    """Work that grows with the square of its length would take minutes."""
    texts = ["\n" * 30_000 + "x", "- " * 30_000, "* \n" * 10_000, "Accuracy" * 9_000]
    assert [judged_here(text.encode()) for text in texts] == [2] * len(texts)
