"""scripts/benchmarks/prepare.py: all contenders do the same work, and none of them touches the cache."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest

from prepare import main, package, pandas_map, tokenizer_alone, write_rows

pytest_plugins = "forked_contenders"

TWEETS = [[str(4 * (n % 2)), f"tweet {n} for @somebody_{n} &amp; www.example.org/{n} "] for n in range(200)]
REPEATED = [["4", "Tweet 1 for @me &amp; http://another.example"], ["0", "so-so"], ["4", "SO-SO "], ["0", " "]]


@pytest.fixture
def file(write, tmp_path: Path) -> str:
    source = write("source.csv", [["target", "text"], *TWEETS, *REPEATED])
    assert write_rows(str(source), None, tmp_path / "drawn.csv") == 204
    return str(tmp_path / "drawn.csv")


@pytest.mark.parametrize("way", [pandas_map, package, tokenizer_alone])
def test_every_way_prepares_the_same_tweets(file: str, cache: Path, way) -> None:
    """Prepare 204 rows, of which one is a duplicate, two contradict each other, and one is empty."""
    turn = way(file=file, tokenizer="bundled:minilm", max_length=8)
    first, second = turn(), turn()
    assert (first.tweets, first.tokens) == (second.tweets, second.tokens) == (200, 200 * 8)
    assert os.environ["S140_CACHE"] == str(cache)
    assert list(cache.iterdir()) == []


def test_rows_are_drawn_from_both_labels_in_their_order(write, tmp_path: Path) -> None:
    source = write("source.csv", [["target", "text"], *sorted(TWEETS)])
    assert write_rows(str(source), 50, tmp_path / "drawn.csv") == 50
    with (tmp_path / "drawn.csv").open(encoding="utf-8", newline="") as opened:
        labels = [row[0] for row in csv.reader(opened)]
    assert labels == ["0"] * 25 + ["1"] * 25


@pytest.mark.long
@pytest.mark.usefixtures("forked")
def test_the_script_prints_figures_and_ratios(write, run_script) -> None:
    source = write("source.csv", [["target", "text"], *TWEETS])
    options = ("--dataset", source, "--tokenizer", "bundled:minilm", "--rows", 100, "--rounds", 1)
    result = json.loads(run_script(main, *options, "--json").stdout)
    assert (result["kind"], result["dataset"], result["rows"], result["ceiling"]) == (
        "prepare",
        "source.csv",
        100,
        None,
    )
    assert {name: contender["tweets"] for name, contender in result["contenders"].items()} == {
        "pandas_map": 100,
        "package": 100,
        "tokenizer_alone": 100,
    }
    assert set(result["ratios"]) == {"package / pandas_map", "package / tokenizer_alone"}
    assert result["contenders"]["package"]["audit_seconds"] > 0
