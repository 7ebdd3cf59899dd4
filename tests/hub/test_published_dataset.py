"""Use the very splits of a dataset that ``s140 push-to-hub`` made, and its tokens where they fit."""

from __future__ import annotations

import io
import json
import shutil
import tempfile
from importlib.resources import files
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import sentiment140_bert
from hub_server import TOKEN, HubServer
from on_hub import DATA, MODEL
from published_dataset_fixtures import read, split_rows
from sentiment140_bert.data.loading import load_splits
from sentiment140_bert.data.published_dataset import _TokenDigest
from sentiment140_bert.errors import S140Error
from sentiment140_bert.hub import fetch
from sentiment140_bert.hub.client import Hub
from sentiment140_bert.recipe import DataConfig

pytest_plugins = ("hub_fixtures", "published_dataset_fixtures")
pytestmark = pytest.mark.usefixtures("pushed", "cache", "stranger")


def test_training_uses_the_splits_and_tokens_that_were_published(hub: HubServer, train, run_copy: Path) -> None:
    result = train()
    data, before = read(Path("new/data.json")), read(run_copy / "data.json")
    assert data["fingerprint"] == before["fingerprint"] == read(Path("new/metrics.json"))["data_fingerprint"]
    assert data["published"] == {"repo_id": DATA, "revision": hub.head(DATA, "dataset")}
    assert split_rows(data) == split_rows(before)
    assert f"the splits of {DATA} are used as they were published" in result.stderr
    assert "validation_size 60" in result.stderr  # what the recipe says otherwise is told
    assert "its tokens are used, too" in result.stderr
    assert {request.method for request in hub.requests} <= {"GET", "HEAD"}
    assert {request.token for request in hub.requests} == {TOKEN}


def test_its_splits_and_tokens_are_those_one_would_make_oneself(run_copy: Path, prepared) -> None:
    from datasets import load_from_disk

    published, own = prepared(), sentiment140_bert.prepare(sentiment140_bert.saved_recipe(run_copy))
    assert published["cached"] == own["cached"] == {"splits": False, "tokens": False}
    for name, split in load_from_disk(published["folder"]).items():
        right = load_from_disk(own["folder"])[name]
        assert (split["input_ids"][:], split["labels"][:]) == (right["input_ids"][:], right["labels"][:])
        assert published["splits"][name]["token_length"] == own["splits"][name]["token_length"]
    assert published["leakage"] == own["leakage"]
    assert own["leakage"]["test"]["same_user"] is not None
    assert prepared()["cached"] == {"splits": True, "tokens": True}


def test_its_tokens_are_used_if_tokenizer_and_length_are_the_same(
    encoder: Path, tmp_path: Path, caplog, prepared, monkeypatch
) -> None:
    folders = {name: shutil.copytree(encoder, tmp_path / name) for name in ("another model", "another tokenizer")}
    for folder, file, change in (
        ("another model", "config.json", lambda config: config.update(num_hidden_layers=1)),
        ("another tokenizer", "tokenizer.json", lambda content: content["normalizer"].update(strip_accents=False)),
    ):
        content = read(folders[folder] / file)
        change(content)
        (folders[folder] / file).write_text(json.dumps(content), "utf-8")
    for values, reason in (
        ({"model_name_or_path": str(folders["another model"])}, ""),
        ({"model_name_or_path": MODEL}, ""),
        ({"model_name_or_path": str(folders["another tokenizer"])}, "the tokenizer differs"),
        ({"max_length": 16}, "max_length"),
    ):
        caplog.clear()
        monkeypatch.setenv("S140_CACHE", tempfile.mkdtemp(dir=tmp_path))
        with caplog.at_level("INFO"):
            data = prepared(**values)
        assert ("its tokens are used, too" in caplog.text) == (reason == ""), values
        assert ("tokenized again" in caplog.text) == (reason != ""), values
        assert reason in caplog.text
    assert "the tokenizer differs" not in caplog.text
    assert data["tokenizer"]["max_length"] == 16
    assert max(data["splits"][name]["token_length"]["max"] for name in ("train", "validation", "test", "manual")) == 16


def test_the_card_has_the_length_of_the_training(train) -> None:
    train("--max-length", 16)
    card = Path("new/model/README.md").read_text("utf-8")
    assert "cut after 16 tokens" in card
    assert "cut after 128 tokens" not in card


def test_an_older_revision_is_what_it_was(hub: HubServer, prepared) -> None:
    head = hub.head(DATA, "dataset")
    data = json.loads(hub.files(DATA, "dataset")["data.json"])
    hub.write(DATA, "data.json", json.dumps(data | {"seed": 7}).encode(), "dataset")
    assert prepared(dataset_revision=head)["published"]["revision"] == head
    assert prepared()["published"]["revision"] == hub.head(DATA, "dataset") != head


def test_without_the_hub_a_revision_is_what_it_was(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The named one of two in the cache is used; nothing else is read."""
    from huggingface_hub import constants

    old = hub.head(DATA, "dataset")
    data = json.loads(hub.files(DATA, "dataset")["data.json"])
    new = hub.write(DATA, "data.json", json.dumps(data | {"seed": 7}).encode(), "dataset")
    hub.write(DATA, "other/notes.txt", b"not ours", "dataset")
    online = {revision: fetch.download_published_dataset(Hub(), DATA, revision) for revision in (old, new, None)}
    assert [dataset[1] for dataset in online.values()] == [old, new, hub.head(DATA, "dataset")]
    right = {path for path in hub.files(DATA, "dataset") if path not in (".gitattributes", "other/notes.txt")}
    for folder, _ in online.values():
        assert {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()} == right
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert [fetch.download_published_dataset(Hub(), DATA, revision) for revision in (old, new)] == [
        online[old],
        online[new],
    ]
    assert fetch.download_published_dataset(Hub(), DATA, "0" * 40) is None
    assert fetch.download_published_dataset(Hub(), "tester/nothing") is None


def test_settings_that_change_nothing_are_logged(caplog, prepared) -> None:
    for values, text in (
        ({"manual_test": str(files("sentiment140_bert.data") / "sample" / "manual.csv")}, "manual_test"),
        ({"label_map": "0=positive,4=negative"}, "label_map (here 0=positive,4=negative)"),
    ):
        with caplog.at_level("INFO"):
            prepared(**values)
        assert text in caplog.text


def test_suspects_cannot_be_left_out_of_published_splits(prepared, tmp_path: Path) -> None:
    (tmp_path / "suspects.csv").write_text("text\nanything\n", "utf-8")
    with pytest.raises(S140Error, match=r"the tweets of suspects\.csv cannot be left out") as caught:
        prepared(drop_suspects="suspects.csv")
    assert DATA in str(caught.value)


def test_authors_and_times_are_not_published(hub: HubServer) -> None:
    for path, content in hub.files(DATA, "dataset").items():
        if path.startswith("default/"):
            assert pq.read_schema(io.BytesIO(content)).names == ["text", "label"]
    splits = load_splits(DataConfig(dataset=DATA))[0].splits()
    for split in splits.values():
        assert split.column_names == ["text", "label", "row", "user", "time", "topic"]
        assert {(row["user"], row["time"]) for row in split} == {(None, None)}
    for name, split in splits.items():  # a topic is a query, and of hand-labeled tweets alone
        assert name.startswith("manual") or set(split["topic"]) == {None}


def test_a_run_on_it_is_scored_and_published_like_any_other(hub: HubServer, train, push, s140) -> None:
    from huggingface_hub import ModelCard

    before = hub.files(DATA, "dataset")
    train()
    metrics = read(Path("new/metrics.json"))
    Path("new/metrics.json").unlink()
    s140("evaluate", "new")
    assert read(Path("new/metrics.json")) == metrics
    push(run=Path("new"), to=("--repo-id", "tester/second"))
    results = ModelCard.load("tester/second").data.eval_results
    assert {(result.dataset_type, result.dataset_revision) for result in results} == {(DATA, hub.head(DATA, "dataset"))}
    push(run=Path("new"), to=("--dataset-repo-id", "tester/again"))
    after = hub.files("tester/again", "dataset")
    parquet = [path for path in before if path.endswith(".parquet")]
    assert [after[path] for path in parquet] == [before[path] for path in parquet]


def test_a_fork_with_other_tokens_does_not_replace_those_of_the_original(hub: HubServer, prepared) -> None:
    from datasets import load_from_disk

    fork, files = "somebody/fork", hub.files(DATA, "dataset")
    hub.create(fork, "dataset")
    described = json.loads(files["data.json"])
    for name in described["tokenizer"]["splits"]:
        path = f"tokenized/{name}-00000-of-00001.parquet"
        table = pq.read_table(io.BytesIO(files[path]))
        ids = table["input_ids"].combine_chunks()
        lists = pa.ListArray.from_arrays(ids.offsets, pc.add(ids.flatten(), 1).cast(ids.type.value_type))
        content, digest = io.BytesIO(), _TokenDigest()
        digest.update(pa.chunked_array([lists.cast(pa.list_(pa.int32()))]))
        pq.write_table(table.set_column(table.column_names.index("input_ids"), "input_ids", lists), content)
        described["tokenizer"]["splits"][name], files[path] = digest.hexdigest(), content.getvalue()
    for path, content in (files | {"data.json": json.dumps(described).encode()}).items():
        hub.write(fork, path, content, "dataset")
    forged, own = (load_from_disk(prepared(name)["folder"])["train"]["input_ids"][:] for name in (fork, DATA))
    assert forged == [[number + 1 for number in tweet] for tweet in own]
