"""wandb runs that the caller opened and has used already: what is logged into them arrives."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sentiment140_bert.run import RunDir, saved_recipe
from sentiment140_bert.tracking import open_trackers
from sentiment140_bert.tracking.tracks import describe_tracked_run
from told import change_scores, tell
from wandb_files import Kept, read_segment, segments

pytest_plugins = "hub_fixtures"
STEPS = 6


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("NETRC", raising=False)


@contextmanager
def callers_run(folder: Path, mode: Any = "offline") -> Iterator[Any]:
    import wandb

    with wandb.init(mode=mode, project="theirs", dir=folder, settings=wandb.Settings(silent=True)) as run:
        yield run
        run.finish()  # one that is disabled stays wandb.run otherwise


def whole(file: Path) -> Kept:
    """Read it once it is complete: ``finish`` returns a little earlier."""
    while not (logged := read_segment(file)).exits:
        time.sleep(0.1)
    return logged


def losses(folder: Path) -> list[float]:
    (file,) = segments(folder)
    return [row["train/loss"] for row in whole(file).history.values() if "train/loss" in row]


def trained_losses(run: Path) -> list[float]:
    entries = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    return [entry["loss"] for entry in entries if "loss" in entry]


def test_a_new_run_of_the_caller_gets_every_step(run_copy: Path, tmp_path: Path) -> None:
    with callers_run(tmp_path):
        assert tell(run_copy, "wandb")
    assert losses(tmp_path) == trained_losses(run_copy)


def test_their_run_has_steps_already(run_copy: Path, tmp_path: Path) -> None:
    with callers_run(tmp_path) as run:
        for number in range(50):
            run.log({"mine": number})
        assert tell(run_copy, "wandb")
        run.log({"afterwards": 1})
    assert losses(tmp_path) == trained_losses(run_copy)


def test_two_trainings_within_one_run_of_theirs(run_copy: Path, tmp_path: Path) -> None:
    import shutil

    second = Path(shutil.copytree(run_copy, tmp_path / "second"))
    (second / "history.jsonl").write_text(
        "".join(json.dumps({"step": step, "time": 1.0, "loss": 777.0}) + "\n" for step in range(1, STEPS + 1))
    )
    with callers_run(tmp_path):
        assert tell(run_copy, "wandb")
        assert tell(second, "wandb")
    logged = losses(tmp_path)
    assert logged.count(777.0) == STEPS
    assert set(trained_losses(run_copy)) <= set(logged)


def test_one_of_several_trainings_gets_a_run_of_its_own(run_copy: Path, tmp_path: Path) -> None:
    recipe = saved_recipe(run_copy).with_values({"report_to": ["wandb"]})
    with callers_run(tmp_path) as run:
        with open_trackers(["wandb"], lambda: describe_tracked_run(RunDir(run_copy), recipe, is_part=True)):
            pass
        assert json.loads((run_copy / "tracking.json").read_text())["wandb"]["id"] != run.id
    assert losses(tmp_path) == []


def test_resumes_a_run_that_the_caller_ended(run_copy: Path, tmp_path: Path) -> None:
    with callers_run(tmp_path) as run:
        assert tell(run_copy, "wandb")
    change_scores(run_copy)
    with callers_run(tmp_path) as another:
        import wandb

        assert tell(run_copy, "wandb")
        assert wandb.run is another
    (segment,) = segments(run_copy)
    assert whole(segment).ids == {run.id}


def test_a_disabled_run_of_the_caller_gets_nothing(run_copy: Path, tmp_path: Path, caplog) -> None:
    with callers_run(tmp_path, mode="disabled"), caplog.at_level("INFO"):
        tell(run_copy, "wandb")
    assert "kept offline" not in caplog.text
