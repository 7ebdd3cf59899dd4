"""Refuse a published dataset that was changed or cannot be fetched; every kind of change: data/test_publish.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hub_server import HubServer
from on_hub import DATA
from published_dataset_fixtures import read, rewrite
from sentiment140_bert.data import untrusted_datasets
from sentiment140_bert.errors import S140Error

pytest_plugins = ("hub_fixtures", "published_dataset_fixtures")
SOURCE = "tester/tweets-of-another-kind"
pytestmark = pytest.mark.usefixtures("pushed", "cache", "stranger")


def reverse(table: Any) -> Any:
    return table.take(list(range(len(table)))[::-1])


@pytest.mark.parametrize("is_seen", [False, True], ids=["never seen", "what it was before in the cache"])
@pytest.mark.parametrize(
    ("file", "name"), [("default/train", "train"), ("default/test", "test"), ("three_way/manual", "three_way")]
)
def test_changed_texts_are_refused(hub: HubServer, file: str, name: str, is_seen: bool, prepared, refused) -> None:
    if is_seen:
        prepared()
    rewrite(hub, f"{file}-00000-of-00001.parquet", reverse)
    refused(name)


def test_changed_tokens_are_refused(hub: HubServer, refused) -> None:
    rewrite(hub, "tokenized/train-00000-of-00001.parquet", reverse)
    refused("train")


def test_it_is_refused_before_any_step_of_a_training(hub: HubServer, train) -> None:
    hub.write(DATA, "data.json", b'{"splits": {}, "fingerprint": "0"}', "dataset")
    result = train(code=1)
    assert result.stderr.startswith("Error: ")
    assert DATA in result.stderr
    assert not Path("new").exists()


@pytest.mark.parametrize("endpoint", ["repo_info", "resolve_head", "resolve_get"])
@pytest.mark.parametrize("fault", [{"status": 503}, {"reset": True}], ids=["503", "reset"])
def test_one_fault_does_not_lead_to_other_splits(
    hub: HubServer, impatient, run_copy: Path, endpoint: str, fault: dict[str, Any], prepared
) -> None:
    """To draw new ones out of the published train split would go unnoticed."""
    hub.fail(endpoint, **fault)
    assert prepared()["fingerprint"] == read(run_copy / "data.json")["fingerprint"]


@pytest.mark.parametrize("is_cached", [False, True], ids=["never seen", "in the cache of datasets"])
@pytest.mark.parametrize("trouble", ["no hub", "no login"])
def test_a_dataset_that_cannot_be_fetched_does_not_lead_to_other_splits(
    hub: HubServer, impatient, run_copy: Path, prepared, monkeypatch, trouble: str, is_cached: bool
) -> None:
    """datasets falls back to what it has in its own cache, of which new splits would be drawn."""
    if is_cached:
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


def test_names_of_nothing_are_refused(prepared) -> None:
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


def test_without_the_hub_no_other_commit_takes_the_place_of_a_named_one(
    hub: HubServer, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """datasets takes the newest of its cache, whatever was named."""
    import datasets
    from huggingface_hub import constants

    hub.create(SOURCE, "dataset")
    rows = [f"{4 * (at % 2)},number {at}\n" for at in range(50)]
    commits = []
    for count in (20, 50):
        hub.write(SOURCE, "train.csv", ("label,text\n" + "".join(rows[:count])).encode(), "dataset")
        commits.append(hub.head(SOURCE, "dataset"))
        splits, commit = untrusted_datasets.load_from_hub(SOURCE, commits[-1])
        assert (len(splits["train"]), commit) == (count, commits[-1])
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    for revision in (None, commits[1]):
        splits, commit = untrusted_datasets.load_from_hub(SOURCE, revision)
        assert (len(splits["train"]), commit) == (50, commits[1])
    for revision in (commits[0], "main"):
        with pytest.raises(S140Error, match=f"the cache has commit {commits[1]}"):
            untrusted_datasets.load_from_hub(SOURCE, revision)
