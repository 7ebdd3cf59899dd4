"""Runs with files that somebody broke by hand: every command ends in a sentence, or does without the file."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sentiment140_bert.cli import main
from sentiment140_bert.errors import RunError
from sentiment140_bert.run_dir import RunDir, write_json
from sentiment140_bert.tracking.story import History
from sentiment140_bert.training.callbacks import Progress

pytest_plugins = "model_fixtures"

WRONG = {"splits": 5, "fingerprint": 3, "packages": [], "base_model": 7, "training": "x", "mlflow": 3, "model": 1}
DAMAGE: dict[str, bytes] = {
    "empty": b"",
    "nothing in it": b"{}",
    "a list": b"[]",
    "wrong types": json.dumps(WRONG).encode(),
    "no text": b'\xff\xfe{"a": 1}',
    "deep": b'{"a":' * 20_000,
    "no number": b'{"a": NaN}',
    "half a character": b'{"a": "\\ud800"}',
}
FILES = ("data.json", "environment.json", "metrics.json", "tracking.json", "published.json", "history.jsonl")
QUICK: dict[str, list[object]] = {
    "predict": ["predict", "RUN", "fine"],
    "track": ["track", "show", "RUN"],
    "card": ["card", "RUN"],
    "push": ["push-to-hub", "RUN", "--repo-id", "u/m", "--dataset-repo-id", "u/d", "--dry-run"],
    "verify": ["verify", "RUN"],
    "train": ["train", "--output-dir", "RUN", "FLAGS"],
    "report": ["report", "RUN", "--no-attributions"],
}
SLOW: dict[str, list[object]] = {
    "compare": ["evaluate", "RUN", "RUN"],
    "suspects": ["suspects", "RUN", "--output", "found.csv", "--folds", "2"],
    "by model": ["suspects", "RUN", "--output", "found.csv", "--folds", "2", "--by", "model"],
    "evaluate": ["evaluate", "RUN"],
}


@pytest.fixture
def mine(smallest_run: Path, tmp_path: Path) -> RunDir:
    return RunDir(shutil.copytree(smallest_run, tmp_path / "mine"))


def damage(file: Path, how: str) -> None:
    file.unlink(missing_ok=True)
    if how == "a folder":
        file.mkdir()
    elif how == "a pipe":
        os.mkfifo(file)
    else:
        file.write_bytes(DAMAGE[how])


@pytest.fixture
def told(smallest_words: list[str]) -> Callable[..., Result]:
    """Gives a command, which may succeed or end in a sentence."""

    def call(run: RunDir, asked: list[object]) -> Result:
        filled: list[Any] = [run.path if each == "RUN" else each for each in asked]
        filled = [word for each in filled for word in (smallest_words if each == "FLAGS" else [each])]
        result = CliRunner().invoke(main, [str(each) for each in filled], catch_exceptions=False)
        assert result.exit_code in (0, 1) or filled[0] == "verify", result.output
        assert (result.exit_code == 0) == ("Error: " not in result.stderr) or filled[0] == "verify", result.output
        return result

    return call


@pytest.mark.parametrize("how", ["wrong types", "a folder"])
@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("command", QUICK)
def test_a_finished_run(mine: RunDir, told, file: str, how: str, command: str) -> None:
    damage(mine.path / file, how)
    told(mine, QUICK[command])


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("command", SLOW)
def test_what_looks_at_all_tweets(mine: RunDir, told, file: str, command: str) -> None:
    damage(mine.path / file, "wrong types")
    told(mine, SLOW[command])


@pytest.mark.parametrize("how", ["wrong types", "deep", "a folder"])
@pytest.mark.parametrize("file", [each for each in FILES if each not in ("metrics.json", "published.json")])
def test_a_run_that_is_to_go_on(mine: RunDir, told, file: str, how: str) -> None:
    environment = json.loads(mine.environment.read_text("utf-8"))
    del environment["training"]
    write_json(mine.environment, environment)
    mine.metrics.unlink()
    damage(mine.path / file, how)
    told(mine, ["train", "--output-dir", "RUN", "FLAGS", "--resume"])


@pytest.mark.parametrize("how", ["wrong types", "no text"])
@pytest.mark.parametrize("file", FILES)
def test_any_of_them_is_overwritten(mine: RunDir, told, file: str, how: str) -> None:
    damage(mine.path / file, how)
    assert told(mine, ["train", "--output-dir", "RUN", "FLAGS", "--overwrite"]).exit_code == 0


@pytest.mark.parametrize("how", [*DAMAGE, "a folder", "a pipe"])
@pytest.mark.parametrize("file", [each for each in FILES if each != "history.jsonl"])
def test_reading_says_what_is_wrong(tmp_path: Path, file: str, how: str) -> None:
    """Of a file that may hold anything, nothing is no damage."""
    damage(tmp_path / file, how)
    if how == "nothing in it" and file in ("tracking.json", "published.json"):
        assert RunDir(tmp_path).read(tmp_path / file) == {}
        return
    with pytest.raises(RunError, match=file):
        RunDir(tmp_path).read(tmp_path / file)


def test_scores_are_computed_again(mine: RunDir, told) -> None:
    damage(mine.metrics, "wrong types")
    assert f"s140 evaluate {mine.path}" in told(mine, ["train", "--output-dir", "RUN", "FLAGS"]).stderr
    assert told(mine, ["evaluate", "RUN"]).exit_code == 0
    assert told(mine, ["card", "RUN"]).exit_code == 0


@pytest.mark.parametrize("file", ["data.json", "environment.json"])
def test_a_finished_run_has_a_copy(mine: RunDir, told, file: str) -> None:
    before = (mine.path / file).read_bytes()
    damage(mine.path / file, "wrong types")
    said = told(mine, ["train", "--output-dir", "RUN", "FLAGS"]).stderr
    (copied,) = re.findall(r"cp (\S+) (\S+)", said)
    shutil.copyfile(*copied)
    assert (mine.path / file).read_bytes() == before
    assert told(mine, ["train", "--output-dir", "RUN", "FLAGS"]).exit_code == 0


@pytest.mark.parametrize("file", ["tracking.json", "published.json"])
def test_what_may_be_forgotten(mine: RunDir, told, file: str) -> None:
    damage(mine.path / file, "no text")
    assert f"Remove {mine.path / file}" in told(mine, ["card", "RUN"]).stderr
    (mine.path / file).unlink()
    assert told(mine, ["card", "RUN"]).exit_code == 0


@pytest.mark.parametrize("line", [b"{}", b"5", b"null", b"[" * 20_000, b"\xff", b'{"step": "x"}', b'{"step": 1e999}'])
def test_lines_that_are_no_log_entries_are_dropped(tmp_path: Path, line: bytes) -> None:
    """As one that was cut off, when a run goes on; a tracker passes them over."""
    file = tmp_path / "history.jsonl"
    good, later = b'{"step": 1, "time": 2.0, "loss": 0.5}\n', b'{"step": 9, "loss": 0.4}\n'
    file.write_bytes(good + line + b"\n" + later + b'{"step": 1, "lo')
    assert [point.step for point in History(file).read()[1]] == [1, 9]
    Progress(file, tweets=1)._forget_after(5)
    assert file.read_bytes() == good


def test_a_run_of_an_older_version_is_shown_as_before(mine: RunDir, told) -> None:
    """What only cards need of its scores was not written always."""
    metrics = json.loads(mine.metrics.read_text("utf-8"))
    del metrics["examples"], metrics["intervals"]["calibration_error"]
    write_json(mine.metrics, metrics)
    environment = json.loads(mine.environment.read_text("utf-8"))
    for each in ("usage", "batch", "out_of_memory"):
        del environment["training"][each]
    write_json(mine.environment, environment)
    assert told(mine, ["train", "--output-dir", "RUN", "FLAGS"]).exit_code == 0
    assert told(mine, ["card", "RUN"]).exit_code == 1
