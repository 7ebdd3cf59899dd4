"""``s140 verify`` of other people's pages that are odd, or whose model or tweets cannot be used."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hub_server import HubServer
from others_fixtures import MODEL, TABLES, TWEETS, WORDS, Verify, as_csv, index, result, rows

pytest_plugins = "others_fixtures"


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
