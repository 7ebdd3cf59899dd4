"""Credentials without a reachable W&B: the run is kept offline, as one run, without any prompt."""

from __future__ import annotations

import json
import logging
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from command_line import Command, complete, signalled
from eavesdropper import STALL, Eavesdropper
from sentiment140_bert.tracking import sync
from sentiment140_bert.tracking import wandb as wandb_tracker
from tiny_run import flags
from told import tell
from wandb_files import segments

pytest_plugins = "hub_fixtures"
KEY = "b" * 39 + "7"


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Eavesdropper]:
    """Start a W&B that accepts no key."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    with Eavesdropper() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        yield server


def evaluate(run: Path) -> str:
    """Tells of it from a process of its own; what that printed."""
    (run / "tracking.json").write_text('{"wandb": {}}')
    printed = "".join(complete("evaluate", run))
    assert KEY not in printed
    return printed


def test_a_key_that_is_refused_keeps_it_offline_as_one_run(run_copy: Path, refusing: Eavesdropper) -> None:
    printed = evaluate(run_copy)
    assert "in use" not in printed
    assert "To send it: wandb sync" in printed
    assert len(list((run_copy / "wandb").glob("offline-run-*/*.wandb"))) == 1
    ids = {segment.parent.name.rpartition("-")[2] for segment in segments(run_copy)}
    assert ids == {json.loads((run_copy / "tracking.json").read_text())["wandb"]["id"]}


def test_another_open_run_survives_a_refused_key(run_copy: Path, refusing: Eavesdropper, tmp_path: Path) -> None:
    import wandb

    settings = wandb.Settings(silent=True)
    callers = wandb.init(mode="offline", project="p", dir=tmp_path, reinit="create_new", settings=settings)
    callers.log({"a": 1})
    assert tell(run_copy, "wandb")
    callers.log({"a": 2})
    callers.finish()


def wait_a_second() -> None:
    """In the command's own process: how long it waits for an answer of W&B."""
    wandb_tracker.TO_ANSWER = 1


@pytest.mark.long
def test_a_silent_wandb_does_not_delay_a_stop(encoder: Path, refusing: Eavesdropper, tmp_path: Path) -> None:
    refusing.rule = lambda method, path, count: STALL
    words = flags(model_name_or_path=encoder, report_to="wandb", num_train_epochs=3)
    words = ["train", "--output-dir", tmp_path / "run", *words]
    with Command(*words, pause_at="step 8/", prepare=wait_a_second) as started:
        signalled(started, signal.SIGTERM)
    assert started.returncode == 143


@pytest.mark.long
def test_a_key_of_the_wrong_length_keeps_it_offline(run_copy: Path, monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WANDB_API_KEY", "abc")
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    assert "To send it: wandb sync" in evaluate(run_copy)


def test_a_long_tag_does_not_end_tracking(run_copy: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert tell(run_copy, "wandb", tags=["x" * 65])


def test_a_refused_project_can_be_corrected(run_copy: Path, monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr(sync, "PAUSES", (0.0,) * 4)
    monkeypatch.setattr(sync, "ENDING", 900.0)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WANDB_PROJECT", "no/project")
    assert not tell(run_copy, "wandb")
    monkeypatch.setenv("WANDB_PROJECT", "a-project")
    assert tell(run_copy, "wandb")


def test_run_directories_of_every_name_and_no_mode_asks_for_anything(
    run_copy: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    wrong = []
    modes = ("dryrun", "offline", "online", "disabled")
    for name, mode in zip(("with space", "e😀", "n" * 200, "it's"), modes, strict=True):
        monkeypatch.setenv("WANDB_MODE", mode)
        folder = Path(shutil.copytree(run_copy, tmp_path / name))
        complete = tell(folder, "wandb")
        if not complete or len(segments(folder)) != (mode != "disabled"):
            wrong.append((name, mode, complete, segments(folder)))
    assert wrong == []


@pytest.mark.parametrize(("value", "is_tracked"), [("true", False), ("1", False), ("false", True), ("", True)])
def test_the_variable_of_transformers_disables_wandb_with_a_message(
    run_copy: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture, value, is_tracked
) -> None:
    caplog.set_level(logging.INFO, "sentiment140_bert")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WANDB_DISABLED", value)
    assert tell(run_copy, "wandb")
    assert (len(segments(run_copy)) == 1) == is_tracked
    assert (f"wandb: nothing is tracked, because WANDB_DISABLED is {value}" in caplog.text) != is_tracked
