"""Runs with damaged files: every command ends with one error message, or does without the file."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from sentiment140_bert.cli import main
from sentiment140_bert.errors import RunError, TrustError
from sentiment140_bert.files import write_json
from sentiment140_bert.run import RunDir
from sentiment140_bert.schemas.history import parse_entry
from sentiment140_bert.tracking.tracked_run import History
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
COMMANDS: dict[str, list[object]] = {
    "predict": ["predict", "RUN", "fine"],
    "track": ["track", "show", "RUN"],
    "card": ["card", "RUN"],
    "push": ["push-to-hub", "RUN", "--repo-id", "u/m", "--dataset-repo-id", "u/d", "--dry-run"],
    "verify": ["verify", "RUN"],
    "train": ["train", "--output-dir", "RUN", "FLAGS"],
    "report": ["report", "RUN", "--no-attributions"],
    "compare": ["evaluate", "RUN", "RUN"],
    "suspects": ["suspects", "RUN", "--overwrite", "--output", "found.csv", "--folds", "2"],
    "by model": ["suspects", "RUN", "--overwrite", "--output", "found.csv", "--folds", "2", "--by", "model"],
    "evaluate": ["evaluate", "RUN"],
}
READ_ALL_TWEETS = ("compare", "suspects", "by model", "evaluate")  # slower: damaged in one way only


@pytest.fixture
def copies(run_with_checkpoints: Path, tmp_path: Path) -> Iterator[RunDir]:
    """Yield copies of a finished run, as many as are taken."""
    return (RunDir(shutil.copytree(run_with_checkpoints, tmp_path / f"run-{number}")) for number in itertools.count())


@pytest.fixture
def run(copies: Iterator[RunDir]) -> RunDir:
    return next(copies)


def damage(file: Path, how: str) -> None:
    file.unlink(missing_ok=True)
    if how == "a folder":
        file.mkdir()
    elif how == "a pipe":
        os.mkfifo(file)
    else:
        file.write_bytes(DAMAGE[how])


@pytest.fixture
def call(smallest_words: list[str]) -> Callable[..., Result]:
    """Return a function that runs a command."""

    def invoke(run: RunDir, words: list[object]) -> Result:
        filled = [run.path if word == "RUN" else word for word in words]
        filled = [part for word in filled for part in (smallest_words if word == "FLAGS" else [word])]
        return CliRunner().invoke(main, [str(word) for word in filled], catch_exceptions=True)

    return invoke


def is_explained(result: Result, verify: bool = False) -> bool:
    """Return True if a command succeeded, or ended in a message that names a remedy or the file."""
    if not isinstance(result.exception, SystemExit | None):
        return False
    if verify:  # it has an exit code for each finding
        return True
    return result.exit_code in (0, 1) and (result.exit_code == 0) == ("Error: " not in result.stderr)


@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.long)], ids=["cut", "whole"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_finished_run(copies: Iterator[RunDir], call, command: str, whole: bool) -> None:
    """Return one damage for each file, another one for the next command; or all of them."""
    ways = ("wrong types",) if command in READ_ALL_TWEETS else ("wrong types", "a folder")
    failures = []
    cut = [(file, ways[at % len(ways)]) for at, file in enumerate(FILES, list(COMMANDS).index(command))]
    if command in READ_ALL_TWEETS:
        cut = cut[::3]
    for file, how in itertools.product(FILES, ways) if whole else cut:
        run = next(copies)
        damage(run.path / file, how)
        result = call(run, COMMANDS[command])
        if not is_explained(result, command == "verify"):
            failures.append((file, how, result.exception, result.output))
    assert failures == []


@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.long)], ids=["cut", "whole"])
def test_a_run_to_resume(copies: Iterator[RunDir], call, whole: bool) -> None:
    failures = []
    files = ("data.json", "environment.json", "tracking.json", "history.jsonl")
    cut = [*zip(files, itertools.cycle(("wrong types", "deep")), strict=False), ("history.jsonl", "a folder")]
    for file, how in itertools.product(files, ("wrong types", "deep", "a folder")) if whole else cut:
        run = next(copies)
        environment = json.loads(run.environment.read_text("utf-8"))
        del environment["training"]
        write_json(run.environment, environment)
        run.metrics.unlink()
        damage(run.path / file, how)
        result = call(run, ["train", "--output-dir", "RUN", "FLAGS", "--resume"])
        if not is_explained(result) or (
            result.exit_code and not any(words in result.stderr for words in (file, "did not write it"))
        ):
            failures.append((file, how, result.exception, result.output))
    assert failures == []


@pytest.mark.parametrize("how", ["wrong types", "no text"])
def test_overwrite_replaces_all_of_them(run: RunDir, call, how: str) -> None:
    for file in FILES:
        damage(run.path / file, how)
    result = call(run, ["train", "--output-dir", "RUN", "FLAGS", "--overwrite"])
    assert result.exit_code == 0, result.output


READERS: dict[str, Callable[[RunDir], object]] = {
    "data.json": RunDir.read_data,
    "environment.json": RunDir.read_environment,
    "metrics.json": RunDir.read_metrics,
    "tracking.json": RunDir.read_tracking,
    "published.json": RunDir.read_publications,
}


def test_reading_names_the_damaged_file(tmp_path: Path) -> None:
    """Name the damaged file; an empty object is valid where every key is optional."""
    for number, (file, how) in enumerate(itertools.product(FILES[:-1], (*DAMAGE, "a folder", "a pipe"))):
        run = RunDir(tmp_path / str(number))
        run.path.mkdir()
        damage(run.path / file, how)
        if how == "nothing in it" and file in ("tracking.json", "published.json"):
            assert READERS[file](run) == {}
        else:
            with pytest.raises((RunError, TrustError)) as caught:
                READERS[file](run)
            assert file in caught.value.message, how


def test_an_environment_lacks_its_training_only_until_the_run_is_finished(run: RunDir) -> None:
    environment = json.loads(run.environment.read_text("utf-8"))
    del environment["training"]
    write_json(run.environment, environment)
    with pytest.raises(RunError, match="training"):
        run.read_environment()
    run.metrics.unlink()
    assert run.read_environment() == environment


def test_scores_are_computed_again(run: RunDir, call) -> None:
    damage(run.metrics, "wrong types")
    assert f"s140 evaluate {run.path}" in call(run, ["train", "--output-dir", "RUN", "FLAGS"]).stderr
    assert call(run, ["evaluate", "RUN"]).exit_code == 0
    assert call(run, ["card", "RUN"]).exit_code == 0


@pytest.mark.parametrize("file", ["data.json", "environment.json"])
def test_a_finished_run_has_a_copy(run: RunDir, call, file: str) -> None:
    before = (run.path / file).read_bytes()
    damage(run.path / file, "wrong types")
    stderr = call(run, ["train", "--output-dir", "RUN", "FLAGS"]).stderr
    (copied,) = re.findall(r"cp (\S+) (\S+)", stderr)
    shutil.copyfile(*copied)
    assert (run.path / file).read_bytes() == before
    assert call(run, ["train", "--output-dir", "RUN", "FLAGS"]).exit_code == 0


@pytest.mark.parametrize("file", ["tracking.json", "published.json"])
def test_some_files_may_be_removed(run: RunDir, call, file: str) -> None:
    damage(run.path / file, "no text")
    assert f"Remove {run.path / file}" in call(run, ["card", "RUN"]).stderr
    (run.path / file).unlink()
    assert call(run, ["card", "RUN"]).exit_code == 0


NO_ENTRIES = [
    *(b"{}", b"5", b"null", b"[" * 20_000, b"\xff", b'{"step": "x"}', b'{"step": 1e999}', b'{"step": true}'),
    *(b'{"step": -1}', b'{"step": 1.0}', b'{"step": 9007199254740993}', b'{"step": 1, "loss": true}'),
    *(b'{"step": 1, "loss": "0.5"}', b'{"step": 1, "loss": 1e300}', b'{"step": 1, "loss": NaN}', b'{"loss": 0.5}'),
    '{"step": 1}'.encode("utf-16"),
]


def test_drops_lines_that_are_not_log_entries(tmp_path: Path) -> None:
    """Drop them when the run resumes, like a line that was cut off; trackers skip them."""
    file = tmp_path / "history.jsonl"
    good, later = b'{"step": 1, "time": 2.0, "loss": 0.5}\n', b'{"step": 9, "loss": 0.4}\n'
    failures = []
    for line in NO_ENTRIES:
        file.write_bytes(good + line + b"\n" + later + b'{"step": 1, "lo')
        steps = [point.step for point in History(file).read()[1]]
        Progress(file, tweets=1, shown=False).on_train_begin(
            None, SimpleNamespace(epoch=None, global_step=5, max_steps=9, is_world_process_zero=True), None
        )
        if parse_entry(line) is not None or steps != [1, 9] or file.read_bytes() != good:
            failures.append((line, parse_entry(line), steps, file.read_bytes()))
    assert failures == []


def test_shows_a_run_of_an_older_version_as_before(run: RunDir, call) -> None:
    """Accept scores without what only cards need: older versions did not write it."""
    metrics = json.loads(run.metrics.read_text("utf-8"))
    del metrics["examples"], metrics["intervals"]["calibration_error"]
    write_json(run.metrics, metrics)
    environment = json.loads(run.environment.read_text("utf-8"))
    for key in ("usage", "batch", "out_of_memory"):
        del environment["training"][key]
    write_json(run.environment, environment)
    assert call(run, ["train", "--output-dir", "RUN", "FLAGS"]).exit_code == 0
    assert call(run, ["card", "RUN"]).exit_code == 1
