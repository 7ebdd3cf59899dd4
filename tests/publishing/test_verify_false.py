"""``s140 verify`` of our own pages: what is false is named: claims, weights, tokenizers, data."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from on_hub import DATA, MODEL
from page_fixtures import (
    DATA_JSON,
    METRICS,
    README,
    RESULTS,
    Published,
    Verdict,
    another_digit,
    other_weights,
    rewrite_page,
)

pytest_plugins = ("model_fixtures", "hub_fixtures", "page_fixtures")

Verify = Callable[..., Verdict]


# ---- what is false

CHANGES = {
    "score table": (README, another_digit(r"\| accuracy \| (0\.\d+)"), ["scores", "accuracy"]),
    "interval": (README, another_digit(r"\| recall \| 0\.\d+ \(0\.\d+ to (0\.\d+)"), ["scores", "recall"]),
    "confusion matrix": (README, another_digit(r"\| false positive \| (\d+)"), ["scores", "false positive"]),
    "score of the first table": (README, another_digit(r"\| \*\*(0\.\d+)"), ["summary", "accuracy"]),
    "number of tweets": (README, another_digit(r"test \((\d+) tweets"), ["summary"]),
    "difference from the baseline": (README, another_digit(r"On test tweets [^.\d]+ (-?0\.\d+)"), ["summary"]),
    "kind of tweet": (README, another_digit(r"\| negation \| \d+ \| (0\.\d+)"), ["slices", "negation"]),
    "model-index": (README, another_digit(r"type: accuracy\n      value: (0\.\d+)"), ["front matter", "accuracy"]),
    "far digit of model-index": (README, another_digit(r"type: f1\n      value: (0\.\d{12})"), ["front matter", "f1"]),
    "name of a metric": (README, lambda text: swapped(text, "type: accuracy\n", "type: roc_auc\n"), ["front matter"]),
    "split of a score": (README, lambda text: text.replace("split: test\n", "split: validation\n"), ["front matter"]),
    "pinned revision in model-index": (README, another_digit(r"revision: ([0-9a-f]{40})"), ["front matter"]),
    "score of the widget": (README, another_digit(r"    score: (0\.\d+)"), ["front matter"]),
    "label of the widget": (README, lambda text: swapped(text, "label: positive", "label: negative"), ["front matter"]),
    "score of an answer": (README, another_digit(r"tive \| (0\.\d+) \|"), ["use"]),
    "label of an answer": (README, lambda text: swapped(text, "| positive |", "| negative |"), ["use"]),
    "speed": (README, another_digit(r"(\d+\.\d) tweets per second"), ["reproduce"]),
    "learning rate": (README, another_digit(r"`learning_rate` \| `(0\.\d+)`"), ["training", "learning_rate"]),
    "day": (README, another_digit(r"started \d{4}-\d\d-(\d\d)"), ["reproduce"]),
    "version": (README, another_digit(r"torch \d+\.(\d+)"), ["reproduce"]),
    "base model": (README, lambda text: re.sub(r"\n.+ fine-tuned", "\nRoBERTa fine-tuned", text, count=1), ["summary"]),
    "held out": (
        README,
        lambda text: text.replace("the test tweets were held out", "all tweets were held out"),
        ["scores"],
    ),
    "dataset in front": (README, lambda text: re.sub(r"(\ndatasets:\n- )\S+", r"\1a/b", text, count=1), ["front"]),
    "sha256 of the weights": (README, another_digit(r"safetensors` \| `([0-9a-f]{64})"), ["files", "weights"]),
    "sha256 of the source": (README, another_digit(r"training tweets, file \| `([0-9a-f]{64})`"), ["files"]),
    "pinned revision": (README, another_digit(r"dataset \| revision `([0-9a-f]{40})`"), ["files"]),
    "rows": (README, another_digit(r"\| rows read \| ([\d,]+)"), ["data", "rows read"]),
    "eval result": (RESULTS, another_digit(r"value: (0\.\d+)"), [RESULTS, "test"]),
    "notes of an eval result": (RESULTS, another_digit(r"accuracy on (\d+)"), [RESULTS]),
    "dataset of an eval result": (RESULTS, another_digit(r"revision: ([0-9a-f]{40})"), [RESULTS]),
    "metrics.json": (METRICS, another_digit(r'"roc_auc": \{\s*"value": (0\.\d\d)'), ["roc_auc"]),
    "sha256 in metrics.json": (METRICS, another_digit(r'"weights_sha256": "([0-9a-f]{64})'), ["weights' sha256"]),
    "fingerprint in metrics.json": (METRICS, another_digit(r'"data_fingerprint": "([0-9a-f]{64})'), ["fingerprint"]),
}


def swapped(text: str, one: str, other: str) -> str:
    return text.replace(one, "\0").replace(other, one).replace("\0", other)


# What the page's own files do not show to be wrong: the tweets have to be fetched.
NEED_TWEETS = {"metrics.json", "fingerprint in metrics.json", "pinned revision in model-index", "pinned revision"}


def test_any_claim_that_was_changed_is_named(published: Published, verify: Verify) -> None:
    """A single one is enough, even if the tweets cannot be had; the table says which."""
    passed = []
    for claim, (path, change, names) in CHANGES.items():
        published.put_back()
        published.change(path, change)
        if claim not in NEED_TWEETS:
            del published.hub.repos["dataset", DATA]
        verdict = verify(MODEL)
        if verdict.code != 1 or not is_named(verdict, names):
            passed.append((claim, verdict.code, verdict.named()))
    assert passed == []


def is_named(found: Verdict, names: list[str]) -> bool:
    """Return True if a line of the false claims contains all of these."""
    return any(all(name in line for name in names) for line in found.named().splitlines())


def test_all_claims_that_were_changed_are_named(published: Published, verify: Verify) -> None:
    for path, change, _ in CHANGES.values():
        published.change(path, change)
    verdict = verify(MODEL)
    assert verdict.code == 1
    assert [claim for claim, (_, _, names) in CHANGES.items() if not is_named(verdict, names)] == []


def test_a_result_that_was_added(published: Published, verify: Verify) -> None:
    """Nobody measured that, and it stands among the scores that were."""
    more = "\n    - type: pearsonr\n      value: 0.99\n"
    published.change(README, lambda text: re.sub(r"(type: log_loss\n +value: [\d.]+)\n", rf"\1{more}", text, count=1))
    assert verify(MODEL).code != 0


def cheat_in_metrics(metrics: Any) -> None:
    test, manual = metrics["splits"]["test"], metrics["splits"]["manual"]
    test["accuracy"]["value"] = 0.9
    test["recall"]["low"] = 0.01
    test["true_positive"]["value"] = 29
    test["calibration"]["expected_calibration_error"]["value"] = 0.01
    manual["calibration"]["bins"][0]["observed"] = 0.99
    manual["neutral_left_out"] = 1
    manual["n"] = 7_200
    metrics["examples"][0]["text"] = "what a dull day, I hate it"
    metrics["examples"][1]["label"] = "neutral"


def cheat_in_data(data: Any) -> None:
    data["splits"]["train"]["rows"] = 180_000
    data["splits"]["test"] |= {"negative": 1, "positive": 59}


CAREFUL = [
    *(["test", "accuracy"], ["test", "recall"], ["test", "true_positive"], ["test", "calibration"]),
    *(["manual", "calibration"], ["manual", "neutral"], ["manual", "tweets"]),
    *(["answer", "what a lovely surprise"], ["answer", "missed the last bus"]),
]


def test_claims_that_were_changed_wherever_they_stand(published: Published, verify: Verify) -> None:
    """Card, front matter and JSON agree with each other, but not with the model and its data."""
    published.change_json(METRICS, cheat_in_metrics)
    published.change_json(DATA_JSON, cheat_in_data)
    rewrite_page(published)
    verdict = verify(MODEL)
    assert verdict.code == 1
    missing = [names for names in [*CAREFUL, ["train", "rows"], ["test", "negative"]] if not is_named(verdict, names)]
    assert missing == []


CHEATS: list[tuple[str, Callable[[Any], None]]] = [
    (METRICS, lambda metrics: metrics["splits"]["test"]["accuracy"].update(low=0.59)),
    (METRICS, lambda metrics: metrics["splits"]["test"]["true_positive"].update(value=29)),
    (METRICS, lambda metrics: metrics["splits"]["test"]["calibration"]["brier_score"].update(value=0.01)),
    (METRICS, lambda metrics: metrics["splits"]["test"]["slices"][0].update(worse=True)),
    (METRICS, lambda metrics: metrics["splits"]["test"]["leakage"].update(near=59)),
    (METRICS, lambda metrics: metrics["splits"]["manual"]["three_way"]["accuracy"].update(value=0.99)),
    (METRICS, lambda metrics: metrics["splits"]["test"]["baselines"]["tfidf"]["lift"].update(value=0.9)),
    (METRICS, lambda metrics: metrics["temperature"].update(value=9.5)),
    (METRICS, lambda metrics: metrics["examples"][0].update(text="what a dull day, I hate it")),
    (DATA_JSON, lambda data: data["splits"]["train"].update(rows=180_000)),
    (DATA_JSON, lambda data: data.update(fingerprint="0" * 64)),
    (DATA_JSON, lambda data: data["splits"]["test"].update(sha256="0" * 64)),
    (DATA_JSON, lambda data: data["splits"]["validation"].update(negative=1)),
    (METRICS, lambda metrics: metrics["abstention"].update(threshold=0.99)),
    (METRICS, lambda metrics: metrics["splits"]["test"]["slices"].pop()),
    (METRICS, lambda metrics: metrics["splits"]["test"].update(n=61)),
    (METRICS, lambda metrics: metrics["splits"]["manual"]["f1"].update(value=0.99)),
]


@pytest.mark.long
def test_one_of_them_is_enough(published: Published, verify: Verify) -> None:
    passed = []
    for at, (path, cheat) in enumerate(CHEATS):
        published.put_back()
        published.change_json(path, cheat)
        rewrite_page(published)
        if verify(MODEL).code != 1:
            passed.append(at)
    assert passed == []


def test_hashes_of_other_training_texts(published: Published, verify: Verify, tmp_path: Path) -> None:
    import numpy as np

    from sentiment140_bert.data.leakage import read_hashes, write_hashes

    (tmp_path / "right").write_bytes(published.hub.files(MODEL)["training_rows.safetensors"])
    right = read_hashes(tmp_path / "right")
    for hashes in (np.arange(len(right), dtype=np.uint64), right[:-1], np.append(right[1:], right[-1] ^ np.uint64(1))):
        write_hashes(tmp_path / "rows", hashes)
        published.hub.write(MODEL, "training_rows.safetensors", (tmp_path / "rows").read_bytes())
        verdict = verify(MODEL)
        assert verdict.code == 1
        assert "hashes of training texts" in verdict.named()


HIDDEN: dict[str, Callable[[str], str]] = {
    "another version": lambda text: text.replace("written by sentiment140_bert ", "written by sentiment140_bert 9"),
    "no version": lambda text: text.replace("<!-- written by sentiment140_bert", "<!-- made by"),
    "a version further up": lambda text: text.replace(
        "<!-- begin s140: summary", "written by sentiment140_bert 0.0.1\n<!-- begin s140: summary"
    ),
    "no begin": lambda text: text.replace("<!-- begin s140: scores -->", "<!-- begin scores -->"),
    "another section": lambda text: text.replace("s140: scores -->", "s140: our-scores -->"),
}


def test_a_card_whose_numbers_cannot_be_compared_does_not_pass(published: Published, verify: Verify) -> None:
    for name, hide in HIDDEN.items():
        published.put_back()
        published.change(README, another_digit(r"\| accuracy \| 0?(\.\d)"))
        published.change(README, hide)
        assert verify(MODEL).code in (1, 2), name


# ---- weights, tokenizer, data


def test_other_weights_of_the_same_shape(published: Published, tmp_path: Path, verify: Verify) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(published.hub.files(MODEL)["model.safetensors"])
    other_weights(file)
    published.hub.write(MODEL, "model.safetensors", file.read_bytes())
    verdict = verify(MODEL)
    assert verdict.code == 1
    assert "weights' sha256" in verdict.named()
    assert "log_loss" in verdict.named()


def test_weights_that_are_damaged(published: Published, verify: Verify) -> None:
    weights = published.hub.files(MODEL)["model.safetensors"]
    for damaged in (weights[: len(weights) // 2], b"x" * 1_000, b""):
        published.hub.write(MODEL, "model.safetensors", damaged)
        verdict = verify(MODEL)
        assert verdict.code == 1
        assert "weights' sha256" in verdict.named()
        assert "scores" in verdict.named("unchecked")


def test_no_weights(published: Published, verify: Verify) -> None:
    published.remove("model.safetensors")
    verdict = verify(MODEL)
    assert verdict.code == 2
    assert "weights' sha256" in verdict.named("unchecked")


def with_vocabulary(change: Callable[[dict[str, int]], None]) -> Callable[[Any], None]:
    def changed(tokenizer: Any) -> None:
        change(tokenizer["model"]["vocab"])

    return changed


def test_another_tokenizer(published: Published, verify: Verify) -> None:
    def rotate(vocabulary: dict[str, int]) -> None:
        words = [word for word in vocabulary if word.isalpha()]
        ids = [vocabulary[word] for word in words]
        vocabulary.update(zip(words, [*ids[1:], ids[0]], strict=True))

    published.change_json("tokenizer.json", with_vocabulary(rotate))
    verdict = verify(MODEL)
    assert verdict.code == 1
    assert re.search(r"test: \w+|answer to", verdict.named())


def test_a_tokenizer_with_more_words_than_the_model_knows(published: Published, verify: Verify) -> None:
    def enlarge(vocabulary: dict[str, int]) -> None:
        vocabulary.update({word: at + 40_000 for word, at in vocabulary.items() if word.isalpha()})

    published.change_json("tokenizer.json", with_vocabulary(enlarge))
    assert verify(MODEL).code in (1, 2)


def test_labels_that_were_exchanged(published: Published, verify: Verify) -> None:
    published.change_json("config.json", lambda config: config.update(id2label={"0": "positive", "1": "negative"}))
    verdict = verify(MODEL)
    assert verdict.code == 1
    assert "test: accuracy" in verdict.named()


def with_another_label(published: Published) -> str:
    """Somebody changes a single label of the published test split; the new commit."""
    path = "default/test-00000-of-00001.parquet"
    table = pq.read_table(io.BytesIO(published.hub.files(DATA, "dataset")[path]))
    labels = table["label"].to_pylist()
    labels[0] = 1 - labels[0]
    at = table.column_names.index("label")
    table = table.set_column(at, table.schema.field("label"), pa.array(labels, table.schema.field("label").type))
    content = io.BytesIO()
    pq.write_table(table, content)
    return published.hub.write(DATA, path, content.getvalue(), "dataset")


def test_a_change_of_the_dataset_on_main_is_none_at_the_pinned_commit(published: Published, verify: Verify) -> None:
    with_another_label(published)
    published.change(README, another_digit(r"\| train \| (\d+)"), DATA, "dataset")
    assert verify(MODEL).code == 0


def test_a_changed_dataset_that_the_page_pins(published: Published, verify: Verify) -> None:
    published.move_pin(with_another_label(published))
    verdict = verify(MODEL)
    assert verdict.code == 1
    assert "dataset" in verdict.named()
    assert "test" in verdict.named()


def test_a_changed_card_of_the_dataset(published: Published, verify: Verify) -> None:
    for where in (r"\| train \| (\d+)", r"num_examples: (\d+)"):
        published.put_back()
        published.move_pin(published.change(README, another_digit(where), DATA, "dataset"))
        verdict = verify(MODEL)
        assert verdict.code == 1
        assert "dataset card" in verdict.named()


def test_a_changed_description_of_the_dataset(published: Published, verify: Verify) -> None:
    """Its card says the same: neither is what the parquet files hold."""
    commit = published.change_json(
        DATA_JSON, lambda data: data["splits"]["train"].update(rows=180_000), DATA, "dataset"
    )
    published.change(README, lambda text: text.replace("| train | 180 |", "| train | 180,000 |"), DATA, "dataset")
    published.move_pin(published.hub.head(DATA, "dataset"))
    assert commit
    assert verify(MODEL).code == 1
