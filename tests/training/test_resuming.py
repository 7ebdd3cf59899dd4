"""An untrusted checkpoint: whatever its files hold, resuming succeeds or fails with one error."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result
from safetensors.torch import load_file, save_file
from transformers.trainer_pt_utils import safe_globals

from sentiment140_bert.cli import main
from sentiment140_bert.files import write_json
from sentiment140_bert.run import RunDir
from sentiment140_bert.training import checkpoints
from tiny_run import flags

pytest_plugins = "hub_fixtures"
ODD = (None, "x", [], {}, [None], {"a": "b"}, -1, 1e308 * 10, True, [1.5, "x"])


@pytest.fixture(scope="module")
def interrupted(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that ended at step 6 of 12, when its first checkpoint was the newest."""
    run = RunDir(tmp_path_factory.mktemp("interrupted") / "run")
    interrupt(run, encoder)
    return run.path


def interrupt(run: RunDir, encoder: Path, *options: str) -> None:
    """Train, and keep the state after step 6."""
    assert train(run, encoder, *options).exit_code == 0
    environment = json.loads(run.environment.read_text())
    del environment["training"]
    write_json(run.environment, environment)
    run.metrics.unlink()
    shutil.rmtree(run.checkpoints / "checkpoint-12")


def train(run: RunDir, encoder: Path, *options: str) -> Result:
    words = ["train", "--output-dir", str(run.path), *flags(model_name_or_path=encoder, num_train_epochs=2), *options]
    words += ["--keep-checkpoints"]
    return CliRunner().invoke(main, words, catch_exceptions=False)  # what would be a traceback goes through


def change_json(name: str, change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        change(content)
        (folder / name).write_text(json.dumps(content))

    return write


def change_torch(name: str, change: Callable[[Any], Any]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        with safe_globals():
            content = torch.load(folder / name, weights_only=True)
        torch.save(change(content), folder / name)

    return write


def replace(name: str, key: str, value: Any) -> Callable[[Path], None]:
    if name.endswith(".json"):
        return change_json(name, lambda content: content.__setitem__(key, value))
    return change_torch(name, lambda content: content | {key: value})


def set_moment(value: Any) -> Callable[[Any], Any]:
    def change(content: Any) -> Any:
        for state in content["state"].values():
            state["exp_avg"] = value
        return content

    return change


def set_group(name: str, value: Any) -> Callable[[Any], Any]:
    def change(content: Any) -> Any:
        content["param_groups"][0][name] = value
        return content

    return change


def without_moment(content: Any) -> Any:
    for state in content["state"].values():
        del state["exp_avg"]
    return content


def save_other_weights(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    save_file({name: torch.zeros(3, 5) for name in weights}, folder / "model.safetensors")


STATE = ["best_metric", "epoch", "eval_steps", "global_step", "log_history", "max_steps", "num_train_epochs"]
STATE += ["stateful_callbacks", "total_flos", "train_batch_size", "best_model_checkpoint", "num_input_tokens_seen"]
SCHEDULE = ["base_lrs", "last_epoch", "_step_count", "_last_lr", "lr_lambdas"]
# What is changed, and how; each is tried by itself.
CHANGES: dict[str, list[Callable[[Path], None]]] = {
    "trainer_state.json": [replace("trainer_state.json", key, value) for key in STATE for value in ODD],
    "scheduler.pt": [
        *(replace("scheduler.pt", key, [1]) for key in ("optimizer", "step", "get_lr", "state_dict")),
        *(replace("scheduler.pt", key, value) for key in SCHEDULE for value in ODD),
    ],
    "rng_state.pth": [replace("rng_state.pth", key, value) for key in ("python", "numpy", "cpu") for value in ODD],
    "optimizer.pt": [
        *(change_torch("optimizer.pt", set_group(key, value)) for key in ("lr", "betas", "eps") for value in ODD),
        *(change_torch("optimizer.pt", set_moment(value)) for value in (torch.zeros(1), torch.zeros(1).expand(32, 32))),
        change_torch("optimizer.pt", set_moment(torch.zeros(1).expand(3_000_000_000))),
        change_torch("optimizer.pt", set_group("amsgrad", True)),
        change_torch("optimizer.pt", without_moment),
        *(replace("optimizer.pt", key, value) for key in ("state", "param_groups") for value in ODD),
        change_torch("optimizer.pt", lambda content: [1, 2]),
    ],
    "model.safetensors": [save_other_weights, lambda folder: (folder / "model.safetensors").write_bytes(b"x" * 99)],
}


def refuse(changes: list[Callable[[Path], None]], name: str, run: RunDir, interrupted: Path, encoder: Path) -> int:
    """Resume from a checkpoint with each change by itself; return how many were refused."""
    refused = 0
    for change in changes:
        shutil.copytree(interrupted, run.path)
        folder = run.checkpoints / "checkpoint-6"
        change(folder)
        checkpoints.seal(folder, 1.0)
        result = train(run, encoder, "--resume")
        if result.exit_code:
            refused += 1
            assert "checkpoint" in result.stderr
            assert name in result.stderr or "random states" in result.stderr
            assert not run.metrics.exists()
        shutil.rmtree(run.path)
    return refused


@pytest.mark.parametrize("name", CHANGES)
def test_odd_files_of_a_checkpoint_are_refused(name: str, interrupted: Path, encoder: Path, tmp_path: Path) -> None:
    changes = CHANGES[name][::9]
    assert refuse(changes, name, RunDir(tmp_path / "run"), interrupted, encoder) >= len(changes) / 2


@pytest.mark.long
@pytest.mark.parametrize("name", CHANGES)
def test_more_odd_files_of_a_checkpoint(name: str, interrupted: Path, encoder: Path, tmp_path: Path) -> None:
    changes = CHANGES[name][1::3]
    assert refuse(changes, name, RunDir(tmp_path / "run"), interrupted, encoder) >= len(changes) / 2


@pytest.mark.parametrize(
    "optim", ["adafactor", *(pytest.param(name, marks=pytest.mark.long) for name in ("rmsprop", "sgd"))]
)
def test_a_run_with_another_optimizer_is_resumed(optim: str, encoder: Path, tmp_path: Path) -> None:
    """Its state is not the state of Adam."""
    run = RunDir(tmp_path / "run")
    interrupt(run, encoder, "--optim", optim)
    result = train(run, encoder, "--optim", optim, "--resume")
    assert result.exit_code == 0, result.output
    assert "from checkpoint-6" in result.output
