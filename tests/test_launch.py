"""`accelerate launch` and `torchrun` as a person types them: two processes learn what one does."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from command_line import Command
from tiny_run import flags

pytest_plugins = "hub_fixtures"

BESIDE_PYTHON = Path(sys.executable).parent
TWO = ("torchrun", "accelerate launch")
LAUNCHERS = {
    "torchrun": ["torchrun", "--standalone", "--nproc_per_node", "2"],
    # Without a GPU too: it is what makes accelerate start torchrun. Its --cpu starts one process, whatever the number.
    "accelerate launch": ["accelerate", "launch", "--multi_gpu", "--num_processes", "2"],
    "accelerate launch --cpu": ["accelerate", "launch", "--cpu", "--num_processes", "2"],
}
# 180 tweets in steps of 32: the last of the six has 20. Each step is written down, nothing is drawn but the order.
STEPS = {"num_train_epochs": 2, "learning_rate": 1e-3, "seed": 3}


@pytest.fixture(scope="module")
def model(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without dropout: each process draws its own."""
    folder = shutil.copytree(encoder, tmp_path_factory.mktemp("launched") / "model")
    config = json.loads((folder / "config.json").read_text())
    dropouts = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "config.json").write_text(json.dumps(config | dropouts))
    return folder


@pytest.fixture(scope="module")
def alone(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One process, 32 tweets at once."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    started = Command("train", "--output-dir", folder, *flags(model_name_or_path=model, **STEPS))
    _, stderr = started.communicate(timeout=240)
    assert started.returncode == 0, stderr
    return folder


def launch(launcher: str, *words: object, module: bool = True) -> subprocess.Popen[str]:
    program, *options = LAUNCHERS[launcher]
    ours = ["-m", "sentiment140_bert"] if module else [str(Path(__file__).with_name("cramped_rank.py"))]
    command = [str(BESIDE_PYTHON / program), *options, *ours, "train", *map(str, words)]
    hidden = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=os.environ | hidden, **pipes)


def log_of(run: Path, name: str) -> dict[int, float]:
    entries = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    assert [each["step"] for each in entries] == sorted(each["step"] for each in entries)  # one writer
    return {each["step"]: each[name] for each in entries if name in each}


def agree(run: Path, alone: Path) -> None:
    for name in ("loss", "grad_norm", "learning_rate", "eval_loss"):
        assert log_of(run, name) == pytest.approx(log_of(alone, name), rel=1e-3), name
    assert list(log_of(run, "loss")) == list(range(1, 13))
    first, second = (load_file(folder / "model" / "model.safetensors") for folder in (alone, run))
    for name, weight in first.items():
        if not name.endswith("key.bias"):  # has no gradient but rounding, of which AdamW makes steps
            torch.testing.assert_close(second[name], weight, atol=1e-3, rtol=1e-2)
    scores = [json.loads((folder / "metrics.json").read_text())["splits"]["test"] for folder in (alone, run)]
    assert scores[1]["log_loss"]["value"] == pytest.approx(scores[0]["log_loss"]["value"], rel=1e-3)


@pytest.mark.parametrize("launcher", TWO)
def test_two_processes_give_the_loss_of_one_at_the_same_global_batch(
    launcher: str, model: Path, alone: Path, tmp_path: Path
) -> None:
    shared = flags(model_name_or_path=model, per_device_train_batch_size=16, **STEPS)
    started = launch(launcher, "--output-dir", tmp_path / "run", *shared, "--json")
    stdout, stderr = started.communicate(timeout=240)
    assert started.returncode == 0, stderr[-4000:]
    agree(tmp_path / "run", alone)
    environment = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert environment["processes"] == 2
    assert environment["training"]["batch"] == {"tweets": 32, "per_device": 16, "accumulated": 1}
    assert json.loads(stdout)["run"]  # one object: only the main process reports
    assert stderr.count("step 1/12  loss") == 1
    assert stderr.count("scoring test") == 1


def test_a_launched_run_is_stopped_and_resumed_as_one(model: Path, alone: Path, tmp_path: Path) -> None:
    """In the middle of the second epoch."""
    words = [
        "--output-dir",
        tmp_path / "run",
        *flags(model_name_or_path=model, per_device_train_batch_size=16, **STEPS),
    ]
    started = launch("torchrun", *words)
    heard = []
    for line in started.stderr:
        heard.append(line)
        if line.startswith("step 8/"):
            started.send_signal(signal.SIGTERM)  # torchrun passes it on
            break
    _, rest = started.communicate(timeout=240)
    assert started.returncode != 0
    assert "--resume" in "".join(heard) + rest
    again = launch("torchrun", "--output-dir", tmp_path / "run", "--resume")
    _, stderr = again.communicate(timeout=240)
    assert again.returncode == 0, stderr[-4000:]
    assert "resume: from checkpoint-" in stderr
    agree(tmp_path / "run", alone)


def test_where_one_process_runs_out_of_memory_both_compute_smaller_parts(
    model: Path, alone: Path, tmp_path: Path
) -> None:
    shared = [*flags(model_name_or_path=model, per_device_train_batch_size=16, **STEPS), "--auto-find-batch-size"]
    started = launch("torchrun", "--output-dir", tmp_path / "run", *shared, module=False)
    stdout, stderr = started.communicate(timeout=240)
    assert started.returncode == 0, stderr[-4000:]
    agree(tmp_path / "run", alone)
    training = json.loads((tmp_path / "run" / "environment.json").read_text())["training"]
    assert training["batch"] == {"tweets": 32, "per_device": 8, "accumulated": 2}
    assert training["out_of_memory"] == 1
    assert stderr.count("a step's 32 tweets are now computed in 4 parts of 8") == 1
    assert "memory ran short 1 time: the steps of 32 tweets were computed in parts of 8" in stdout


def test_accelerate_with_cpu_is_one_process_and_says_so(model: Path, tmp_path: Path) -> None:
    started = launch(
        "accelerate launch --cpu", "--output-dir", tmp_path / "run", *flags(model_name_or_path=model, max_steps=1)
    )
    _, stderr = started.communicate(timeout=240)
    assert started.returncode == 0, stderr[-4000:]
    assert "one process was started" in stderr
    assert "accelerate launch --multi_gpu" in stderr
    assert json.loads((tmp_path / "run" / "environment.json").read_text())["processes"] == 1


def test_a_mistake_is_told_once_and_ends_both(model: Path, tmp_path: Path) -> None:
    started = launch("torchrun", "--output-dir", tmp_path / "run", *flags(model_name_or_path=model, precision="bf16"))
    _, stderr = started.communicate(timeout=240)
    assert started.returncode != 0
    assert "bf16 was asked for" in stderr
    assert not (tmp_path / "run").exists()
