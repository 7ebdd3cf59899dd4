"""Publish splits: write the files of a dataset, and read back nothing but what its ``data.json`` describes."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sentiment140_bert.data import clean, published_dataset
from sentiment140_bert.data.cache import Prepared
from sentiment140_bert.data.pipeline import prepare_splits, tokenize_splits
from sentiment140_bert.errors import DataError
from sentiment140_bert.models import load_tokenizer
from sentiment140_bert.recipe import DataConfig

MANUAL = [
    ["4", "1", "Mon May 11 03:17:40 UTC 2009", "a phone", "one", "by hand, glad"],
    ["0", "2", "Mon May 11 03:18:03 UTC 2009", "NO_QUERY", "two", "by hand, sad"],
    ["2", "3", "Mon May 11 03:18:54 UTC 2009", "a film", "three", "by hand"],
]
ROWS = {"train": 90, "validation": 20, "test": 10, "manual": 2}


class Published:
    """A snapshot of a dataset repository, and the splits that it was written from."""

    def __init__(self, folder: Path, prepared: Prepared, tokens: Prepared) -> None:
        self.folder, self.prepared, self.tokens = folder, prepared, tokens
        self.checked: dict[str, str] = {}
        self.sizes, hashes = published_dataset.write_dataset(
            prepared, tokens, folder, lambda text, file: self.checked.update({file: text.decode()})
        )
        tokenizer = tokens.report["tokenizer"] | {"splits": hashes, "name": "bundled:minilm", "revision": None}
        described = tokens.report | {"tokenizer": tokenizer, "configs": self.sizes}
        (folder / "data.json").write_text(json.dumps(described), "utf-8")

    def read(self) -> Prepared:
        return published_dataset.read_dataset(self.folder, "somebody/tweets", "c" * 40)

    def read_tokens(self, name: str) -> Any:
        return published_dataset.read_tokens(self.folder, self.read(), name)

    def change(self, file: str, change: Callable[[pa.Table], pa.Table]) -> None:
        """Rewrite a parquet file, of which there is one for each split here."""
        [path] = self.folder.glob(f"{file}-*.parquet")
        pq.write_table(change(pq.read_table(path)), path)


@pytest.fixture
def published(cache: Path, write, tmp_path: Path) -> Published:
    write("t.csv", 120)
    write("manual.csv", MANUAL)
    prepared = prepare_splits(DataConfig(dataset="t.csv", manual_test="manual.csv", validation_size=20, test_size=10))
    tokenizer = load_tokenizer("bundled:minilm", None, clean.make_normalizer("repair"))
    return Published(tmp_path / "published", prepared, tokenize_splits(prepared, tokenizer, 10))


def list_rows(prepared: Prepared) -> dict[str, list[tuple[str, int]]]:
    return {name: list(zip(split["text"], split["label"], strict=True)) for name, split in prepared.splits().items()}


def test_written_splits_and_tokens_are_read_back(published: Published):
    read = published.read()
    assert list_rows(read) == list_rows(published.prepared)
    assert read.report["published"] == {"repo_id": "somebody/tweets", "revision": "c" * 40}
    assert read.report["fingerprint"] == published.prepared.report["fingerprint"]
    topics = {name: split["topic"][:] for name, split in read.splits().items() if name.startswith("manual")}
    assert topics == {"manual": ["a phone", None], "manual_neutral": ["a film"]}
    assert all(split["row"][:] == list(range(len(split))) for split in read.splits().values())
    for name in ROWS:
        ids, lengths, truncated = published.read_tokens(name)
        expected = published.tokens.splits()[name]["input_ids"][:]
        assert ids.to_pylist() == expected
        assert lengths.tolist() == list(map(len, expected))
        assert truncated == published.tokens.report["splits"][name]["token_length"]["truncated"]
    assert published.read_tokens("manual_neutral") is None


def test_files_match_their_configs_and_all_text_was_checked_first(published: Published):
    three_way = {"manual": 3}
    expected = {"default": ROWS, "tokenized": ROWS, "three_way": three_way}
    assert {
        config: {name: size["num_examples"] for name, size in sizes.items()}
        for config, sizes in published.sizes.items()
    } == expected
    for config, sizes in published.sizes.items():
        for name, size in sizes.items():
            [file] = (published.folder / config).glob(f"{name}-*.parquet")
            assert file.name == f"{name}-00000-of-00001.parquet"
            table = pq.read_table(file)
            assert len(table) == size["num_examples"]
            assert abs(table.nbytes - size["num_bytes"]) <= 0.05 * table.nbytes, "more than the marks of missing values"
            if config == "tokenized":
                ones = [[1] * len(ids) for ids in table["input_ids"].to_pylist()]
                assert table["attention_mask"].to_pylist() == ones
            else:
                checked = published.checked[f"{config}/{file.name}"].split("\n")
                topics = [topic for topic in table["topic"].to_pylist() if topic] if config == "three_way" else []
                assert checked == table["text"].to_pylist() + topics


def test_the_number_of_rows_in_a_file_makes_no_difference(cache, write, tmp_path, monkeypatch):
    write("t.csv", 40)
    prepared = prepare_splits(DataConfig(dataset="t.csv", validation_size=7, test_size=10))
    tokens = tokenize_splits(prepared, load_tokenizer("bundled:minilm", None, clean.make_normalizer("repair")), 10)
    for per_shard in (1, 7, 10, 1000):
        monkeypatch.setattr(published_dataset, "ROWS_PER_SHARD", per_shard)
        folder = tmp_path / f"published {per_shard}"
        published = Published(folder, prepared, tokens)
        for name, count in {"train": 23, "validation": 7, "test": 10}.items():
            shards = -(-count // per_shard)
            assert len(list((folder / "default").glob(f"{name}-*-of-{shards:05}.parquet"))) == shards
            assert published.sizes["default"][name]["num_examples"] == count
            assert published.read_tokens(name)[0].to_pylist() == tokens.splits()[name]["input_ids"][:]
        assert list_rows(published.read()) == list_rows(prepared)


def catch_refusal(call: Callable[[], Any]) -> str:
    """Return the message of an error, or nothing without one."""
    try:
        call()
    except DataError as error:
        return str(error)
    return ""


def replace_column(table: pa.Table, name: str, values: list[Any]) -> pa.Table:
    at = table.column_names.index(name)
    return table.set_column(at, name, pa.array(values, table.schema.field(at).type))


def change_text(table: pa.Table) -> pa.Table:
    return replace_column(table, "text", [*table["text"].to_pylist()[:-1], "another"])


def change_label(table: pa.Table) -> pa.Table:
    labels = table["label"].to_pylist()
    return replace_column(table, "label", [1 - labels[0] if labels[0] < 2 else 0, *labels[1:]])


def change_order(table: pa.Table) -> pa.Table:
    return table.take(np.arange(len(table))[::-1])


def drop_row(table: pa.Table) -> pa.Table:
    return table.slice(1)


def add_row(table: pa.Table) -> pa.Table:
    return pa.concat_tables([table, table.slice(0, 1)])


TEXT_CHANGES = (change_text, change_label, change_order, drop_row, add_row)


def test_changed_tweets_of_any_split_are_refused(published: Published):
    files = [*(f"default/{name}" for name in ROWS), "three_way/manual"]
    missed = []
    for file in files:
        [path] = published.folder.glob(f"{file}-*.parquet")
        right = path.read_bytes()
        for change in TEXT_CHANGES:
            if file.startswith("three_way") and change is change_order:
                change = drop_row  # two classes, of which each keeps its order
            published.change(file, change)
            if "data.json describes" not in catch_refusal(published.read):
                missed.append((file, change.__name__))
            path.write_bytes(right)
    assert not missed
    published.read()


def change_token(ids: list[list[int]]) -> list[list[int]]:
    return [*ids[:-1], [*ids[-1][:-1], 5]]


def move_end(ids: list[list[int]]) -> list[list[int]]:
    """Return the same tokens in the same order, with one more in the first text."""
    return [[*ids[0], ids[1][0]], ids[1][1:], *ids[2:]]


def test_changed_tokens_of_any_split_are_refused(published: Published):
    changes = (change_token, move_end, lambda ids: ids[::-1], lambda ids: ids[1:], lambda ids: [*ids, ids[0]])
    missed = []
    for name in ROWS:
        [path] = published.folder.glob(f"tokenized/{name}-*.parquet")
        right = path.read_bytes()
        for at, change in enumerate(changes):
            ids = change(pq.read_table(path)["input_ids"].to_pylist())
            columns = {
                "input_ids": ids,
                "attention_mask": [[1] * len(text_ids) for text_ids in ids],
                "labels": [0] * len(ids),
            }
            schema = published_dataset.get_features("tokenized", 2).arrow_schema
            pq.write_table(pa.table(columns, schema=schema), path)
            if f"split {name}, are not those that its data.json describes" not in catch_refusal(
                partial(published.read_tokens, name)
            ):
                missed.append((name, at))
            path.write_bytes(right)
    assert not missed


DESCRIPTIONS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "another fingerprint": lambda data: data.update(fingerprint="0" * 64),
    "another sha256": lambda data: data["splits"]["train"].update(sha256="0" * 64),
    "no hashes of tokens": lambda data: data.update(tokenizer={"sha256": "0" * 64, "max_length": 10}),
    "a split less": lambda data: data["splits"].pop("test"),
    "no train split": lambda data: data["splits"].pop("train"),
    "no such cleaning": lambda data: data["settings"].update(cleaning="nonsense"),
    "settings of no kind": lambda data: data.update(settings=[]),
    "no token lengths": lambda data: data["splits"]["train"].pop("token_length"),
    "rows that are no number": lambda data: data["splits"]["train"].update(rows="many"),
    "no steps": lambda data: data.pop("steps"),
    "no seed": lambda data: data.pop("seed"),
    "a source without a name": lambda data: data["sources"]["training"].pop("name"),
    "leakage that is no number": lambda data: data["leakage"]["test"].update(exact="some"),
    "no users": lambda data: data["leakage"]["test"].pop("same_user"),
}


def test_a_damaged_description_is_refused(published: Published):
    """Not only when the card is written, which is after hours of training."""
    path = published.folder / "data.json"
    right, missed = path.read_text("utf-8"), []
    contents = {repr(content): content for content in (b"", b"{", b"[]", b"\xff\xfe", b'{"splits": {}}')}
    for name, change in DESCRIPTIONS.items():
        data = json.loads(right)
        change(data)
        contents[name] = json.dumps(data).encode()
    for name, content in contents.items():
        path.write_bytes(content)
        if "data.json of somebody/tweets" not in catch_refusal(published.read):
            missed.append((name, catch_refusal(published.read)))
    path.unlink()
    assert "The data.json of somebody/tweets is damaged" in catch_refusal(published.read)
    assert missed == []
