"""``s140 verify`` of other people's models: the scores that their card states, measured on the tweets it names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load, save
from sklearn.metrics import f1_score, precision_score

from hub_server import HubServer
from others_fixtures import MODEL, OTHERS, TABLES, TWEETS, as_csv, index, result

pytest_plugins = "others_fixtures"


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


def test_another_precision_or_code_of_the_snippet_is_a_warning(hub_model: HubServer, verify_card, measured) -> None:
    """The scores are those of float32 and of transformers' own code."""
    config = json.loads(hub_model.files(MODEL)["config.json"])
    notes = {"_name_or_path": "/home/anna/model", "finetuning_task": "sst-2", "torch_dtype": "float32"}
    right = index(result(accuracy=measured["test"]["accuracy"]))
    hub_model.write(MODEL, "config.json", json.dumps(config | notes).encode())
    hub_model.write(MODEL, "pytorch_model.bin", b"other weights")
    verdict = verify_card(right, "--strict")
    assert (verdict.code, "pytorch_model.bin" in verdict.named("claimed")) == (0, True), verdict.named("warning")
    changes = {"torch_dtype": "float16", "auto_map": {"AutoConfig": "evil.Evil"}}
    hub_model.write(MODEL, "config.json", json.dumps(config | changes).encode())
    verdict = verify_card(right)
    assert (verdict.code, verdict.result["warnings"]) == (0, 2)
    weights = {name: tensor.half() for name, tensor in load(hub_model.files(MODEL)["model.safetensors"]).items()}
    hub_model.write(MODEL, "config.json", json.dumps({**config, "dtype": None}).encode())
    hub_model.write(MODEL, "model.safetensors", save(weights, {"format": "pt"}))
    assert "config.json: dtype | F16 | float32" in verify_card(right).named("warning")


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
