"""Read published datasets of strangers: any value of their files may be odd, and none is a traceback."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hub_server import HubServer
from on_hub import DATA
from sentiment140_bert.cards.dataset import render_dataset_card
from sentiment140_bert.data import leakage, published_dataset
from sentiment140_bert.errors import RunError, S140Error

pytest_plugins = "hub_fixtures"
NUMBERS = (-1, 10**30, float("nan"), float("inf"), 1.5, True)
VALUES = (*NUMBERS, None, "x", "../../x", "\ud800", "a" * 99_999, [], {}, [None], {"a": 5})


def list_paths(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the keys that lead to every value in JSON."""
    for key, value in content.items() if isinstance(content, dict) else enumerate(content):
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from list_paths(value, (*path, key))


def replace(content: Any, path: tuple[Any, ...], *values: Any) -> Any:
    """Return a copy with another value at a path, or with none."""
    changed = copy.deepcopy(content)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    if values:
        inner[path[-1]] = values[0]
    else:
        del inner[path[-1]]
    return changed


def find_unexplained(call: Callable[[], Any], kind: type[Exception] = S140Error, must_fail: bool = True) -> list[str]:
    """Return the error of a call if the package does not explain it."""
    with ThreadPoolExecutor(1) as thread:
        error = thread.submit(call).exception()
    is_fine = isinstance(error, kind) or (error is None and not must_fail)
    return [] if is_fine else [repr(error)[:200]]


def use(folder: Path) -> None:
    """Read all of a dataset, as training and verifying do."""
    prepared = published_dataset.read_dataset(folder, "somebody/tweets", "c" * 40)
    for name in prepared.splits():
        published_dataset.read_tokens(folder, prepared, name)
    render_dataset_card(json.loads((folder / "data.json").read_text("utf-8")), "somebody/tweets", "somebody/model")


@pytest.fixture
def published(pushed: Path, hub: HubServer, cache: Path, tmp_path: Path) -> Path:
    """The folder of a pushed dataset."""
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
    for path in list_paths(right):
        for content in (replace(right, path, next(values)), replace(right, path)):
            file.write_text(json.dumps(content), "utf-8")
            wrong += [(path, error) for error in find_unexplained(lambda: use(published), must_fail=False)]
    assert wrong == []


def test_its_tables_may_be_odd(published: Path) -> None:
    tables = {
        "no rows": pa.table({"text": pa.array([], pa.string()), "label": pa.array([], pa.int64())}),
        "other columns": pa.table({"a": [1]}),
        "other types": pa.table({"text": [1], "label": ["x"], "input_ids": ["x"], "labels": [[1]]}),
        "nulls": pa.table({name: [None] for name in ("text", "label", "input_ids", "attention_mask", "labels")}),
        "another label": pa.table(
            {"text": ["a"], "label": [77], "input_ids": [[10**12]], "attention_mask": [[1]], "labels": [-5]}
        ),
    }
    wrong = []
    for path in sorted(published.rglob("*.parquet")):
        right, contents = path.read_bytes(), {}
        for name, table in tables.items():
            pq.write_table(table, path)
            contents[name] = path.read_bytes()
        cut = {"cut": right[:-9], "zeros": right[:9] + bytes(40) + right[49:], "gone": None}
        for name, content in {**contents, "empty": b"", "short": b"PAR1", **cut}.items():
            path.unlink() if content is None else path.write_bytes(content)
            wrong += [(path.name, name, error) for error in find_unexplained(lambda: use(published))]
        path.write_bytes(right)
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
        unexplained = find_unexplained(lambda: leakage.read_hashes(tmp_path / "rows.safetensors"), RunError)
        wrong += [(name, error) for error in unexplained]
    assert wrong == []
