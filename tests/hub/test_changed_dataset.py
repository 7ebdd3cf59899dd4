"""Refuse a published dataset that was changed, is damaged, or cannot be had."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hub_server import HubServer
from on_hub import DATA
from published_dataset_fixtures import read, rewritten
from sentiment140_bert.errors import S140Error

pytest_plugins = ("hub_fixtures", "published_dataset_fixtures")
pytestmark = pytest.mark.usefixtures("pushed", "cache", "stranger")


def change_a_text(table: Any) -> Any:
    texts = table["text"].to_pylist()
    return table.set_column(0, "text", [[*texts[:-1], texts[-1] + "!"]])


@pytest.mark.parametrize(
    ("split", "change"),
    [
        ("train", change_a_text),
        ("test", change_a_text),
        ("manual", lambda table: table.slice(1)),
        ("validation", lambda table: table.take([1, 0, *range(2, len(table))])),
        ("train", lambda table: table.drop_columns("label")),
        ("train", lambda table: table.set_column(1, "label", [[1 - label for label in table["label"].to_pylist()]])),
    ],
    ids=["a text", "a test text", "a row less", "another order", "no label", "other labels"],
)
def test_changed_texts_are_refused(hub: HubServer, split: str, change: Callable[[Any], Any], refused) -> None:
    rewritten(hub, f"default/{split}-00000-of-00001.parquet", change)
    refused(split)


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.take([1, 0, *range(2, len(table))]),
        lambda table: table.slice(1),
        lambda table: table.set_column(0, "input_ids", [[[101, 2204, 102]] * len(table)]),
        lambda table: table.drop_columns("input_ids"),
    ],
    ids=["another order", "a row less", "others", "none"],
)
def test_changed_tokens_are_refused(hub: HubServer, change: Callable[[Any], Any], refused) -> None:
    rewritten(hub, "tokenized/train-00000-of-00001.parquet", change)
    refused("train")


@pytest.mark.parametrize("is_seen", [False, True], ids=["never seen", "what it was before in the cache"])
@pytest.mark.parametrize(
    "change",
    [lambda table: table.slice(1), lambda table: table.take(list(range(len(table)))[::-1])],
    ids=["less", "order"],
)
def test_changed_hand_labelled_tweets_are_refused(hub: HubServer, change, is_seen: bool, prepared, refused) -> None:
    if is_seen:
        prepared()
    rewritten(hub, "three_way/manual-00000-of-00001.parquet", change)
    refused("three_way")


def test_refused_is_a_sentence_before_any_step(hub: HubServer, train) -> None:
    rewritten(hub, "default/train-00000-of-00001.parquet", change_a_text)
    result = train(code=1)
    assert result.stderr.startswith("Error: ")
    assert DATA in result.stderr
    assert not Path("new").exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"splits": {}, "fingerprint": "0"}'])
def test_a_damaged_description_is_refused(hub: HubServer, content: bytes, refused) -> None:
    hub.write(DATA, "data.json", content, "dataset")
    refused("data.json")


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data["splits"]["train"].update(sha256="0" * 64),
        lambda data: data["settings"].update(cleaning="nonsense"),
        lambda data: data.update(settings=[]),
        lambda data: data["splits"]["train"].pop("token_length"),
        lambda data: data["splits"]["train"].update(rows="many"),
        lambda data: data.pop("steps"),
        lambda data: data.pop("seed"),
        lambda data: data["sources"]["training"].pop("name"),
        lambda data: data["splits"].pop("train"),
        lambda data: data["leakage"]["test"].update(exact="some"),
        lambda data: data["leakage"]["test"].pop("same_user"),
    ],
    ids=[
        "sha256",
        "cleaning",
        "settings",
        "token_length",
        "rows",
        "steps",
        "seed",
        "name",
        "train",
        "leakage",
        "users",
    ],
)
def test_a_description_that_would_only_be_found_wanting_later_is_refused(
    hub: HubServer, change: Callable[[Any], Any], refused
) -> None:
    """At the latest when the card is written, which is after hours of training."""
    data = json.loads(hub.files(DATA, "dataset")["data.json"])
    change(data)
    hub.write(DATA, "data.json", json.dumps(data).encode(), "dataset")
    refused()


def test_a_damaged_parquet_file_is_refused(hub: HubServer, refused) -> None:
    hub.write(DATA, "default/train-00000-of-00001.parquet", b"PAR1 no more", "dataset")
    refused("train")


@pytest.mark.parametrize("endpoint", ["repo_info", "resolve_head", "resolve_get"])
@pytest.mark.parametrize("fault", [{"status": 503}, {"reset": True}], ids=["503", "reset"])
def test_one_fault_does_not_lead_to_other_splits(
    hub: HubServer, impatient, run_copy: Path, endpoint: str, fault: dict[str, Any], prepared
) -> None:
    """To draw new ones out of the published train split would go unnoticed."""
    hub.fail(endpoint, **fault)
    assert prepared()["fingerprint"] == read(run_copy / "data.json")["fingerprint"]


@pytest.mark.parametrize("is_known", [False, True], ids=["never seen", "in the cache of datasets"])
@pytest.mark.parametrize("trouble", ["no hub", "no login"])
def test_nor_does_a_dataset_that_cannot_be_had(
    hub: HubServer, impatient, run_copy: Path, prepared, monkeypatch, trouble: str, is_known: bool
) -> None:
    """datasets falls back to what it has in its own cache, of which we would draw new splits."""
    if is_known:
        from datasets import load_dataset

        load_dataset(DATA)
    right = read(run_copy / "data.json")["fingerprint"]
    if trouble == "no hub":
        hub.stop()
    else:
        monkeypatch.delenv("HF_TOKEN")
    try:
        fingerprint, message = prepared()["fingerprint"], ""
    except S140Error as error:
        fingerprint, message = right, str(error)
    finally:
        if trouble == "no hub":
            hub.start()
    assert fingerprint == right
    assert message == "" or DATA in message


def test_what_is_not_there_is_a_sentence(prepared) -> None:
    for values in ({"name": "tester/nothing"}, {"dataset_revision": "nowhere"}):
        with pytest.raises(S140Error, match="tester/"):
            prepared(**values)


@pytest.mark.parametrize("name", ["train.csv", "data.json"])
def test_any_other_dataset_is_split_as_before(hub: HubServer, name: str, prepared) -> None:
    """``data.json`` is how many people call their only file."""
    texts = [(f"tweet number {number} is {'good' if number % 2 else 'bad'}", number % 2) for number in range(80)]
    if name == "data.json":
        content = "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in texts)
    else:
        content = "text,label\n" + "".join(f"{text},{label}\n" for text, label in texts)
    hub.create("tester/plain", "dataset")
    hub.write("tester/plain", name, content.encode(), "dataset")
    report = prepared("tester/plain", validation_size=10, test_size=10)
    assert report["splits"]["train"]["rows"] == 60
    assert "published" not in report
