"""Training that stops early stops at the same step however often it is killed, and says so."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from hub_server import HubServer
from killing import same, trained
from on_hub import BOTH, MODEL
from tiny_run import flags

pytest_plugins = "hub_fixtures"
PATIENCE = 2
SETTINGS: dict[str, Any] = {
    **{"eval_strategy": "steps", "eval_steps": 2, "save_strategy": "steps", "save_steps": 2, "num_train_epochs": 20},
    **{"learning_rate": 2e-3, "early_stopping_patience": PATIENCE},
}


def read_training(run: Path) -> dict[str, Any]:
    training: dict[str, Any] = json.loads((run / "environment.json").read_text())["training"]
    return training


def list_counts(run: Path) -> list[tuple[int, int]]:
    """Return the step of each evaluation, and how many in a row were no better by then.

    The better of two with the same score is the one with the lower loss, as for the best checkpoint.
    """
    entries = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    best, count, counts = (-1.0, 0.0), 0, []
    for entry in entries:
        if "eval_accuracy" in entry:
            value = (entry["eval_accuracy"], -entry["eval_loss"])
            count = 0 if value > best else count + 1
            best = max(best, value)
            counts.append((entry["step"], count))
    return counts


@pytest.fixture(scope="module")
def words(encoder: Path) -> list[str]:
    return flags(model_name_or_path=encoder, **SETTINGS)


@pytest.fixture(scope="module")
def stopped(words: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run that stopped early, with its checkpoints; not to be changed."""
    run = tmp_path_factory.mktemp("stopped") / "run"
    ended = trained(run, [*words, "--keep-checkpoints"], threads=1)
    assert ended.code == 0, ended.stderr
    return run


def test_it_stops_after_so_many_evaluations_without_a_better_score(stopped: Path) -> None:
    training, counts = read_training(stopped), list_counts(stopped)
    assert [count for _, count in counts[-2:]] == [PATIENCE - 1, PATIENCE]
    assert max(count for _, count in counts[:-1]) < PATIENCE
    assert counts[-1][0] == training["steps"] < 120
    assert training["best_step"] == counts[-1 - PATIENCE][0]
    assert training["stopped_early"]
    card = (stopped / "model" / "README.md").read_text()
    epochs = f"{training['steps']} steps ({training['epochs']} epochs"
    assert f"{epochs}, then stopped early: evaluations in a row without a better validation score: {PATIENCE})" in card


def test_its_card_is_verified(
    stopped: Path, tmp_path: Path, hub: HubServer, impatient: list[float], s140: Callable[..., Result]
) -> None:
    s140("push-to-hub", shutil.copytree(stopped, tmp_path / "run"), *BOTH)
    assert b"then stopped early" in hub.files(MODEL)["README.md"]
    assert json.loads(s140("verify", MODEL, "--json").stdout)["verdict"] == "true"


def test_it_stops_at_the_same_step_after_a_kill(stopped: Path, words: list[str], tmp_path: Path) -> None:
    """Kill it between the last two evaluations, the first of which was no better."""
    run, (at, _) = tmp_path / "run", list_counts(stopped)[-2]
    assert trained(run, words, f"step {at + 1}/", whole=at, threads=1).code == -signal.SIGKILL
    assert f"resume: from checkpoint-{at}\n" in trained(run, words, threads=1).stderr
    assert same(run, stopped)
    assert list_counts(run) == list_counts(stopped)
    assert read_training(run)["stopped_early"]


def test_a_run_that_had_stopped_takes_no_further_step(stopped: Path, words: list[str], tmp_path: Path) -> None:
    """Take back what comes after the last checkpoint, as if it had been killed there."""
    run = shutil.copytree(stopped, tmp_path / "run")
    environment = json.loads((run / "environment.json").read_text())
    del environment["training"]
    (run / "environment.json").write_text(json.dumps(environment))
    (run / "metrics.json").unlink()
    (run / "model" / "model.safetensors").unlink()
    ended = trained(run, [*words, "--keep-checkpoints"], threads=1)
    assert "\nstep " not in ended.stderr
    assert same(run, stopped)
    assert read_training(run)["stopped_early"]
    assert read_training(run)["steps"] == read_training(stopped)["steps"]
