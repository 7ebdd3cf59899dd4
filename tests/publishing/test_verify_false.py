"""``s140 verify`` of our own pages: what is false is named: claims, weights, tokenizers, data."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

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
from sentiment140_bert.data.leakage import read_hashes, write_hashes

pytest_plugins = ("model_fixtures", "hub_fixtures", "page_fixtures")

Verify = Callable[..., Verdict]
WEIGHTS = "model.safetensors"


def swap(text: str, one: str, other: str) -> str:
    return text.replace(one, "\0").replace(other, one).replace("\0", other)


# A file of the page, an edit, and the words of one line that names it.
CHANGES: dict[str, tuple[str, Callable[[str], str], list[str]]] = {
    "score table": (README, another_digit(r"\| accuracy \| (0\.\d+)"), ["scores", "accuracy"]),
    "score of the first table": (README, another_digit(r"\| \*\*(0\.\d+)"), ["summary", "accuracy"]),
    "model-index": (README, another_digit(r"type: accuracy\n      value: (0\.\d+)"), ["front matter", "accuracy"]),
    "far digit of model-index": (README, another_digit(r"type: f1\n      value: (0\.\d{12})"), ["front matter", "f1"]),
    "name of a metric": (README, lambda text: swap(text, "type: accuracy\n", "type: roc_auc\n"), ["front matter"]),
    "split of a score": (README, lambda text: text.replace("split: test\n", "split: validation\n"), ["front matter"]),
    "score of the widget": (README, another_digit(r"    score: (0\.\d+)"), ["front matter"]),
    "label of an answer": (README, lambda text: swap(text, "| positive |", "| negative |"), ["use"]),
    "learning rate": (README, another_digit(r"`learning_rate` \| `(0\.\d+)`"), ["training", "learning_rate"]),
    "day": (README, another_digit(r"started \d{4}-\d\d-(\d\d)"), ["reproduce"]),
    "held out": (
        README,
        lambda text: text.replace("the test tweets were held out", "all tweets were held out"),
        ["scores"],
    ),
    "pinned revision": (README, another_digit(r"dataset \| revision `([0-9a-f]{40})`"), ["files"]),
    "eval result": (RESULTS, another_digit(r"value: (0\.\d+)"), [RESULTS, "test"]),
    "notes of an eval result": (RESULTS, another_digit(r"accuracy on (\d+)"), [RESULTS]),
    "dataset of an eval result": (RESULTS, another_digit(r"revision: ([0-9a-f]{40})"), [RESULTS]),
    "metrics.json": (METRICS, another_digit(r'"roc_auc": \{\s*"value": (0\.\d\d)'), ["roc_auc"]),
    "sha256 in metrics.json": (METRICS, another_digit(r'"weights_sha256": "([0-9a-f]{64})'), ["weights' sha256"]),
    "fingerprint in metrics.json": (METRICS, another_digit(r'"data_fingerprint": "([0-9a-f]{64})'), ["fingerprint"]),
}


def test_all_claims_that_were_changed_are_named(published: Published, verify: Verify) -> None:
    for path, change, _ in CHANGES.values():
        published.change(path, change)
    verdict = verify(MODEL)
    assert verdict.code == 1
    lines = verdict.named().splitlines()
    assert [
        claim
        for claim, (*_, words) in CHANGES.items()
        if not any(all(word in line for word in words) for line in lines)
    ] == []


def test_one_claim_that_was_changed_is_enough_even_without_the_tweets(find_missed) -> None:
    def change(published: Published, claim: str) -> None:
        del published.hub.repos["dataset", DATA]
        published.change(*CHANGES[claim][:2])

    claims = ("score table", "day", "far digit of model-index", "eval result", "sha256 in metrics.json")
    rows = {claim: (lambda page, claim=claim: change(page, claim), *CHANGES[claim][2]) for claim in claims}
    assert find_missed(rows) == []


def change_weights(content: bytes) -> bytes:
    Path("other.safetensors").write_bytes(content)
    other_weights(Path("other.safetensors"))
    return Path("other.safetensors").read_bytes()


def change_hashes(change: Callable[[Any], Any]) -> Callable[[bytes], bytes]:
    def apply(content: bytes) -> bytes:
        Path("rows").write_bytes(content)
        write_hashes(Path("rows"), change(read_hashes(Path("rows"))))
        return Path("rows").read_bytes()

    return apply


def exchange_words(tokenizer: Any) -> None:
    words = [word for word in tokenizer["model"]["vocab"] if word.isalpha()]
    ids = [tokenizer["model"]["vocab"][word] for word in words]
    tokenizer["model"]["vocab"].update(zip(words, [*ids[1:], ids[0]], strict=True))


def add_words(tokenizer: Any) -> None:
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary.update({word: at + 40_000 for word, at in vocabulary.items() if word.isalpha()})


def change_label(published: Published) -> str:
    """Change a single label of the published test split; return the new commit."""
    path = "default/test-00000-of-00001.parquet"
    table = pq.read_table(io.BytesIO(published.hub.files(DATA, "dataset")[path]))
    labels = table["label"].to_pylist()
    labels[0] = 1 - labels[0]
    at, field = table.column_names.index("label"), table.schema.field("label")
    content = io.BytesIO()
    pq.write_table(table.set_column(at, field, pa.array(labels, field.type)), content)
    return published.hub.write(DATA, path, content.getvalue(), "dataset")


def change_rows_of_dataset(published: Published) -> None:
    """Its card says the same: neither is what the parquet files hold."""
    published.change_json(DATA_JSON, lambda data: data["splits"]["train"].update(rows=180_000), DATA, "dataset")
    published.change(README, lambda text: text.replace("| train | 180 |", "| train | 180,000 |"), DATA, "dataset")
    published.move_pin(published.hub.head(DATA, "dataset"))


def name_other_weights(published: Published) -> None:
    """The card and the metrics have the hash of ``model.safetensors``, and the config names the file that is scored."""
    scored = published.hub.files(MODEL)[WEIGHTS]
    published.change_bytes(WEIGHTS, change_weights)
    published.hub.write(MODEL, "model_b.safetensors", scored)
    digest = hashlib.sha256(published.hub.files(MODEL)[WEIGHTS]).hexdigest()
    published.change_json("config.json", lambda config: config.update(transformers_weights="model_b.safetensors"))
    published.change_json(METRICS, lambda metrics: metrics.update(weights_sha256=digest))
    rewrite_page(published)


def replace_bytes(path: str, change: Callable[[bytes], bytes], *words: str) -> tuple[Any, ...]:
    return lambda page: page.change_bytes(path, change), *words


def replace_json(path: str, change: Callable[[Any], None], *words: str) -> tuple[Any, ...]:
    return lambda page: page.change_json(path, change), *words


EXCHANGED = {"0": "positive", "1": "negative"}
HASHES = "training_rows.safetensors"
FILES: dict[str, tuple[Any, ...]] = {
    "other weights": replace_bytes(WEIGHTS, change_weights, "weights' sha256", "log_loss"),
    "half of the weights": replace_bytes(WEIGHTS, lambda content: content[:9_999], "weights' sha256", "scores"),
    "no safetensors": replace_bytes(WEIGHTS, lambda content: b"x" * 1_000, "weights' sha256", "scores"),
    "an empty file": replace_bytes(WEIGHTS, lambda content: b"", "weights' sha256", "scores"),
    "another tokenizer": replace_json("tokenizer.json", exchange_words, "test: "),
    "weights by another name": (name_other_weights, "weights' sha256", "model_b.safetensors"),
    "exchanged labels": replace_json("config.json", lambda config: config.update(id2label=EXCHANGED), "test: accuracy"),
    "other hashes": replace_bytes(
        HASHES, change_hashes(lambda hashes: hashes + np.uint64(1)), "hashes of training texts"
    ),
    "a hash less": replace_bytes(HASHES, change_hashes(lambda hashes: hashes[:-1]), "hashes of training texts"),
    "a label of the dataset that is pinned": (lambda page: page.move_pin(change_label(page)), "dataset", "test"),
    "rows of the dataset": (change_rows_of_dataset,),
}
EVIL = {"AutoModelForSequenceClassification": "evil.Evil"}
SETTINGS: dict[str, Any] = {
    "dtype": "float16",
    "torch_dtype": "bfloat16",
    "label2id": {"positive": 0, "negative": 1},
    "auto_map": EVIL,
    "custom_pipelines": {"text-classification": {"impl": "evil.Evil", "pt": ["AutoModelForSequenceClassification"]}},
    "pruned_heads": {"0": [0]},
    "function_to_apply": "none",
}
UNUSABLE: dict[str, tuple[Any, ...]] = {
    "no weights": (lambda page: page.remove(WEIGHTS), "weights' sha256"),
    "a tokenizer with more words than the model": replace_json("tokenizer.json", add_words),
}


def test_other_weights_tokenizers_and_data_are_named(find_missed) -> None:
    assert find_missed(FILES) == []
    assert find_missed(UNUSABLE, codes=(1, 2)) == []


def test_settings_with_which_others_get_other_answers_are_false(published: Published, verify: Verify) -> None:
    """Number type, names of labels and code are not those of the model that is scored."""
    published.change_json("config.json", lambda config: config.update(SETTINGS))
    verdict = verify(MODEL)
    assert verdict.code == 1
    named = verdict.named()
    assert [key for key in SETTINGS if f"config.json: {key} |" not in named] == []
    assert len(named.splitlines()) == len(SETTINGS), named


def test_a_tokenizer_that_others_load_in_place_of_the_scored_one_is_false(published: Published, verify: Verify) -> None:
    """transformers takes the file with the newest version of this list."""
    other = {"fast_tokenizer_files": ["tokenizer.json", "tokenizer.5.0.0.json"], "auto_map": EVIL}
    published.change_json("tokenizer_config.json", lambda settings: settings.update(other))
    verdict = verify(MODEL)
    assert verdict.code == 1
    assert [key for key in other if f"tokenizer_config.json: {key} |" not in verdict.named()] == []


def test_a_change_of_the_dataset_on_main_is_none_at_the_pinned_commit(published: Published, verify: Verify) -> None:
    change_label(published)
    published.change(README, another_digit(r"\| train \| (\d+)"), DATA, "dataset")
    assert verify(MODEL).code == 0


CHEATS: dict[str, Callable[[Any], object]] = {
    "a fingerprint": lambda data: data.update(fingerprint="0" * 64),
    "a split's hash": lambda data: data["splits"]["test"].update(sha256="0" * 64),
    "labels of a split": lambda data: data["splits"]["validation"].update(negative=1),
    "rows": lambda data: data["splits"]["train"].update(rows=180_000),
}


def test_a_description_of_data_that_only_the_model_has_is_false(find_missed) -> None:
    """Card and front matter agree with it, the published dataset does not."""

    def cheat(published: Published, change: Callable[[Any], object]) -> None:
        published.change_json(DATA_JSON, change)
        rewrite_page(published)

    assert find_missed({name: (lambda page, how=how: cheat(page, how),) for name, how in CHEATS.items()}) == []


BEGIN = "<!-- begin s140: summary"
HIDDEN: dict[str, Callable[[str], str]] = {
    "another version": lambda text: text.replace("written by sentiment140_bert ", "written by sentiment140_bert 9"),
    "no version": lambda text: text.replace("<!-- written by sentiment140_bert", "<!-- made by"),
    "a version further up": lambda text: text.replace(BEGIN, f"written by sentiment140_bert 0.0.1\n{BEGIN}"),
    "no begin": lambda text: text.replace("<!-- begin s140: scores -->", "<!-- begin scores -->"),
    "another section": lambda text: text.replace("s140: scores -->", "s140: our-scores -->"),
}


def test_a_card_whose_numbers_cannot_be_compared_does_not_pass(find_missed) -> None:
    def hide(published: Published, edit: Callable[[str], str]) -> None:
        published.change(README, another_digit(r"\| accuracy \| 0?(\.\d)"))
        published.change(README, edit)

    rows = {name: (lambda page, edit=edit: hide(page, edit),) for name, edit in HIDDEN.items()}
    assert find_missed(rows, codes=(1, 2)) == []
