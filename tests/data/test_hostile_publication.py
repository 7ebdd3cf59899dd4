"""A published dataset whose data.json somebody wrote: each value of it may be anything, and none is a traceback."""

from __future__ import annotations

import copy
import itertools
import json
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hub_server import HubServer
from on_hub import DATA, MODEL
from sentiment140_bert.cards.dataset import render_dataset_card
from sentiment140_bert.data import leakage, publish
from sentiment140_bert.errors import RunError, S140Error

pytest_plugins = "hub_fixtures"
VALUES = (
    None,
    -1,
    10**30,
    float("nan"),
    float("inf"),
    "x",
    "../../x",
    [],
    {},
    [None],
    {"a": 5},
    True,
    1.5,
    "\ud800",
    "a" * 99_999,
)


def places(content: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to every value in JSON."""
    for key, value in content.items() if isinstance(content, dict) else enumerate(content):
        yield (*place, key)
        if isinstance(value, dict | list):
            yield from places(value, (*place, key))


def put(content: Any, place: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(content)
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return changed


def without(content: Any, place: tuple[Any, ...]) -> Any:
    changed = copy.deepcopy(content)
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    del inner[place[-1]]
    return changed


def error_of(call: Callable[[], Any]) -> BaseException | None:
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(call).exception()


def use(folder: Path) -> None:
    """Do what training on it and verifying it do."""
    prepared = publish.read_dataset(folder, "somebody/tweets", "c" * 40)
    for name in prepared.splits():
        publish.read_tokens(folder, prepared, name)
    render_dataset_card(json.loads((folder / "data.json").read_text("utf-8")), "somebody/tweets", "somebody/model")


@pytest.fixture
def published(pushed: Path, hub: HubServer, cache: Path, tmp_path: Path) -> Path:
    """The files of the pushed dataset."""
    folder = tmp_path / "published"
    for name, content in hub.files(DATA, "dataset").items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    use(folder)
    return folder


def test_any_value_of_its_description_may_be_odd(published: Path) -> None:
    file = published / "data.json"
    right = json.loads(file.read_text("utf-8"))
    values, wrong = itertools.cycle(VALUES), []
    for place in places(right):
        for content in (put(right, place, next(values)), without(right, place)):
            file.write_text(json.dumps(content), "utf-8")
            error = error_of(lambda: use(published))
            if error is not None and not isinstance(error, S140Error):
                wrong.append((place, repr(error)[:200]))
    assert wrong == []


def test_its_tables_may_be_odd(published: Path) -> None:
    tables = {
        "no rows": pa.table({"text": pa.array([], pa.string()), "label": pa.array([], pa.int64())}),
        "other columns": pa.table({"a": [1]}),
        "other types": pa.table({"text": [1], "label": ["x"], "input_ids": ["x"], "labels": [[1]]}),
        "nulls": pa.table(
            {"text": [None], "label": [None], "input_ids": [None], "attention_mask": [None], "labels": [None]}
        ),
        "another label": pa.table(
            {"text": ["a"], "label": [77], "input_ids": [[10**12]], "attention_mask": [[1]], "labels": [-5]}
        ),
    }
    wrong = []
    for path in sorted(published.rglob("*.parquet")):
        right = path.read_bytes()
        for name, table in tables.items():
            pq.write_table(table, path)
            error = error_of(lambda: use(published))
            if not isinstance(error, S140Error):
                wrong.append((path.name, name, repr(error)[:200]))
        for content in (b"", b"PAR1", right[:-9], right[:9] + bytes(40) + right[49:]):
            path.write_bytes(content)
            error = error_of(lambda: use(published))
            if not isinstance(error, S140Error):
                wrong.append((path.name, content[:9], repr(error)[:200]))
        path.write_bytes(right)
        shutil.move(path, path.with_suffix(".gone"))
        if not isinstance(error := error_of(lambda: use(published)), S140Error):
            wrong.append((path.name, "gone", repr(error)[:200]))
        shutil.move(path.with_suffix(".gone"), path)
    assert wrong == []


def test_hashes_of_training_texts_may_be_odd(tmp_path: Path) -> None:
    from safetensors.numpy import save

    rules = {"rules": leakage.RULES}
    files: dict[str, bytes] = {
        "another name": save({"x": np.arange(3, dtype=np.uint64)}, rules),
        "another type": save({leakage.HASHES: np.arange(3, dtype=np.int64)}, rules),
        "floats": save({leakage.HASHES: np.array([1.0, np.nan])}, rules),
        "not sorted": save({leakage.HASHES: np.array([3, 1], dtype=np.uint64)}, rules),
        "a matrix": save({leakage.HASHES: np.zeros((2, 2), dtype=np.uint64)}, rules),
        "a number": save({leakage.HASHES: np.array(5, dtype=np.uint64)}, rules),
        "no rules": save({leakage.HASHES: np.arange(3, dtype=np.uint64)}),
        "empty": b"",
        "no header": b"\xff" * 64,
        "a long header": (10**15).to_bytes(8, "little") + b"{}",
    }
    for kind, size in (("BF16", 4), ("F8_E4M3", 2), ("F4", 1), ("U64", 10**15), ("X", 1), ("C64", 16)):
        header = json.dumps({leakage.HASHES: {"dtype": kind, "shape": [2], "data_offsets": [0, size]}}).encode()
        files[kind] = len(header).to_bytes(8, "little") + header + bytes(min(size, 99))
    wrong = []
    for name, content in files.items():
        (tmp_path / "rows.safetensors").write_bytes(content)
        error = error_of(lambda: leakage.read_hashes(tmp_path / "rows.safetensors"))
        if not isinstance(error, RunError):
            wrong.append((name, repr(error)[:200]))
    assert wrong == []


def test_a_hostile_description_is_explained_by_the_commands(pushed: Path, hub: HubServer, s140, encoder: Path) -> None:
    right = json.loads(hub.files(DATA, "dataset")["data.json"])
    for content in (b"[" * 9999, b"null", b"[]", json.dumps(right | {"splits": None}).encode()):
        hub.write(DATA, "data.json", content, "dataset")
        result = s140("prepare", "--dataset", DATA, "--model-name-or-path", encoder, code=1)
        assert f"The data.json of {DATA} is damaged" in result.stderr
    for name in ("metrics.json", "data.json"):
        hub.write(MODEL, name, b'{"splits": NaN}')
        assert f"{name} is damaged" in s140("verify", MODEL, code=2).stderr
