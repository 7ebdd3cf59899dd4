"""Untrusted run files: with any value at any place, a card and a report are written or refused with one error."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from sentiment140_bert.cli import main
from sentiment140_bert.run import RunDir

pytest_plugins = "model_fixtures"
FILES = ["metrics.json", "data.json", "environment.json"]
MEASURED = {"value": 0.5, "low": 0.4, "high": 0.6}
ODD = [None, "x $ | ` <b>\n", [], {}, -1, 10**15, math.inf, True, [None], {"a $": [1]}]


def places(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the place of each value; of a list only those in its first item."""
    if path:
        yield path
    for key in content if isinstance(content, dict) else [0] if isinstance(content, list) and content else []:
        yield from places(content[key], (*path, key))


def changed(content: Any, path: tuple[Any, ...], value: Any) -> Any:
    copy = json.loads(json.dumps(content))
    parent = copy
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    return copy


def renamed(content: Any, path: tuple[Any, ...], name: str) -> Any:
    """Return the content with another key at a place."""
    copy = json.loads(json.dumps(content))
    parent = copy
    for key in path[:-1]:
        parent = parent[key]
    parent[name] = parent.pop(path[-1])
    return copy


def odd_contents(content: Any) -> Iterator[Any]:
    every = list(places(content))
    for number, path in enumerate(every):
        for shift in range(3):
            yield changed(content, path, ODD[(3 * number + shift) % len(ODD)])
        if isinstance(path[-1], str):
            yield renamed(content, path, "x $ / ..")


def commands(run: Path) -> list[list[str]]:
    return [["card", str(run)], ["report", str(run), "--no-attributions"]]


def failures(run: Path, name: str, chosen: slice, place: Path) -> tuple[int, list[str]]:
    """Return how many contents were tried, and the exceptions that came through."""
    shutil.copytree(run, place)
    whole = json.loads((place / name).read_text())
    assert all(CliRunner().invoke(main, words).exit_code == 0 for words in commands(place))
    defects, tried = [], 0
    for content in list(odd_contents(whole))[chosen]:
        (place / name).write_text(json.dumps(content))
        for words in commands(place):
            tried += 1
            result = CliRunner().invoke(main, words)
            if result.exception and not isinstance(result.exception, SystemExit):
                wrong = [path for path in places(whole) if _at(content, path) != _at(whole, path)][-1]
                defects.append(f"{words[0]}: {'.'.join(map(str, wrong))}: {result.exception!r}")
    return tried, defects


def _at(content: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        try:
            content = content[key]
        except (LookupError, TypeError):
            return None
    return content


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("chosen", [slice(3, None, 101), pytest.param(slice(None, None, 29), marks=pytest.mark.long)])
def test_odd_values(smallest_run: Path, tmp_path: Path, name: str, chosen: slice) -> None:
    tried, defects = failures(smallest_run, name, chosen, tmp_path / "run")
    assert tried
    assert defects == []


def test_tables_have_their_size(smallest_run: Path, tmp_path: Path) -> None:
    """Refuse them: a picture of 30,000 slices would be 180 m high, and the report reads three rows of a matrix."""
    run = RunDir(shutil.copytree(smallest_run, tmp_path / "run"))
    sound = json.loads(run.metrics.read_text())
    name, split = next(iter(sound["splits"].items()))
    three_way = {"matrix": [[1] * 3] * 4, "n": 3} | dict.fromkeys(("accuracy", "macro_recall", "macro_f1"), MEASURED)
    slices = [{"name": "x", "n": 1, "accuracy": MEASURED, "rest": 0.5, "p_value": None, "worse": False}] * 1_001
    odd = (
        ("slices", sound | {"splits": {name: split | {"slices": slices}}}),
        ("matrix", sound | {"splits": {name: split | {"three_way": three_way | {"recall": {}}}}}),
        ("level", sound | {"intervals": sound["intervals"] | {"level": 1e308}}),
    )
    for key, content in odd:
        run.metrics.write_text(json.dumps(content))
        result = CliRunner().invoke(main, ["card", str(run.path)])
        assert (result.exit_code, key in result.output) == (1, True), result.output
