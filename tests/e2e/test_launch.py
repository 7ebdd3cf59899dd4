"""`accelerate launch` and `torchrun` as a person types them: two processes learn what one does."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import cramped_rank
from command_line import Command, complete, finish_ranks, start_ranks
from model_fixtures import train
from once import make_once
from sentiment140_bert.training.checkpoints import newest_complete
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
    """Switch dropout off, since each process draws its own."""
    folder = shutil.copytree(encoder, tmp_path_factory.mktemp("launched") / "model")
    config = json.loads((folder / "config.json").read_text())
    dropouts = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "config.json").write_text(json.dumps(config | dropouts))
    return folder


@pytest.fixture(scope="module")
def alone(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train in one process, 32 tweets at once."""
    words = flags(model_name_or_path=model, **STEPS)
    return make_once(tmp_path_factory, "one_process", lambda folder: train(folder, words))


def launch(launcher: str, *words: object, **options: Any) -> Command:
    """Start the command with a real launcher, which starts a new interpreter for each process."""
    program, *more = LAUNCHERS[launcher]
    alone = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    return Command("train", *words, env=alone, launcher=[BESIDE_PYTHON / program, *more], **options)


def log_of(run: Path, name: str) -> dict[int, float]:
    entries = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in entries] == sorted(entry["step"] for entry in entries)  # one writer
    return {entry["step"]: entry[name] for entry in entries if name in entry}


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


def check_two_processes(run: Path, alone: Path, stdout: str, stderr: str) -> None:
    agree(run, alone)
    environment = json.loads((run / "environment.json").read_text())
    assert environment["processes"] == 2
    assert environment["training"]["batch"] == {"tweets": 32, "per_device": 16, "accumulated": 1}
    assert json.loads(stdout)["run"]  # one object: only the main process reports
    assert stderr.count("step 1/12  loss") == 1
    assert stderr.count("scoring test") == 1


@pytest.fixture
def halves(model: Path, tmp_path: Path) -> list[object]:
    """Return the flags of each of two processes, which share the 32 tweets of a step."""
    return ["--output-dir", tmp_path / "run", *flags(model_name_or_path=model, per_device_train_batch_size=16, **STEPS)]


@pytest.mark.long
def test_two_processes_give_the_loss_of_one_at_the_same_global_batch(halves, alone: Path, tmp_path: Path) -> None:
    check_two_processes(tmp_path / "run", alone, *finish_ranks("train", *halves, "--json"))


@pytest.mark.long
@pytest.mark.parametrize("volumes", ["", "run"])
def test_two_processes_are_stopped_and_resumed_as_one(
    halves, alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, volumes: str
) -> None:
    """Stop them in the second epoch; the second process waits for the first one in its next step."""
    if volumes:
        monkeypatch.setenv("S140_VOLUMES", str(tmp_path / volumes))
    ranks = start_ranks("train", *halves, pause_at="step 8/")
    ranks[0].wait_until_paused()
    for rank in ranks:
        rank.terminate()
    ranks[0].resume()
    assert [rank.wait() for rank in ranks] == [143, 143], ranks[0].stderr.whole()
    assert ranks[0].stderr.whole().count("--resume") == 1
    newest = newest_complete(tmp_path / "run" / "checkpoints")
    assert {file.name for file in newest.glob("rng_state*")} == {"rng_state_0.pth", "rng_state_1.pth"}
    _, stderr = finish_ranks("train", "--output-dir", tmp_path / "run", "--resume")
    assert stderr.count("resume: from checkpoint-") == 1
    agree(tmp_path / "run", alone)


@pytest.mark.long
@pytest.mark.parametrize("begins", [2, 1])
def test_a_run_is_resumed_by_another_number_of_processes(
    model: Path, halves, alone: Path, tmp_path: Path, begins: int
) -> None:
    """Its steps keep their tweets."""
    folder = ["--output-dir", tmp_path / "run"]
    if begins == 2:
        ranks = start_ranks("train", *halves, pause_at="step 8/")
    else:
        ranks = [Command("train", *folder, *flags(model_name_or_path=model, **STEPS), pause_at="step 8/")]
    ranks[0].wait_until_paused()
    for rank in ranks:
        rank.terminate()
    ranks[0].resume()
    assert {rank.wait() for rank in ranks} == {143}, ranks[0].stderr.whole()
    if begins == 2:
        complete("train", *folder, "--resume")
    else:
        finish_ranks("train", *folder, "--resume")
    agree(tmp_path / "run", alone)


@pytest.mark.long
def test_when_one_process_runs_out_of_memory_both_compute_smaller_parts(halves, alone: Path, tmp_path: Path) -> None:
    stdout, stderr = finish_ranks("train", *halves, "--auto-find-batch-size", prepare=cramped_rank.install)
    agree(tmp_path / "run", alone)
    training = json.loads((tmp_path / "run" / "environment.json").read_text())["training"]
    assert training["batch"] == {"tweets": 32, "per_device": 8, "accumulated": 2}
    assert training["out_of_memory"] == 1
    assert stderr.count("a step's 32 tweets are now computed in 4 parts of 8") == 1
    assert "out of memory 1 time: each step of 32 tweets was computed in parts of 8" in stdout


def test_a_mistake_is_an_error_message_and_ends_both(model: Path, tmp_path: Path) -> None:
    words = ["--output-dir", tmp_path / "run", *flags(model_name_or_path=model, precision="fp16")]
    _, stderr = finish_ranks("train", *words, code=1)
    assert "fp16 was requested" in stderr
    assert "Traceback" not in stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.long
@pytest.mark.parametrize("launcher", TWO)
def test_each_launcher_starts_two_processes(launcher: str, halves, alone: Path, tmp_path: Path) -> None:
    with launch(launcher, *halves, "--json") as command:
        assert command.wait() == 0, command.stderr.whole()[-4000:]
        check_two_processes(tmp_path / "run", alone, command.stdout.whole(), command.stderr.whole())


@pytest.mark.long
def test_a_launched_run_is_stopped_and_resumed_as_one(halves, alone: Path, tmp_path: Path) -> None:
    """Stop torchrun, which passes the signal on."""
    with launch("torchrun", *halves, pause_at="step 8/") as command:
        command.wait_until_paused()
        command.terminate()
        assert any("a checkpoint will be written" in line for line in command.stderr)  # it has been passed on
        command.resume()
        assert command.wait() != 0
        assert "--resume" in command.stderr.whole()
    with launch("torchrun", "--output-dir", tmp_path / "run", "--resume") as command:
        assert command.wait() == 0, command.stderr.whole()[-4000:]
        assert "resume: from checkpoint-" in command.stderr.whole()
    agree(tmp_path / "run", alone)


@pytest.mark.long
def test_accelerate_with_cpu_starts_one_process_and_warns(model: Path, tmp_path: Path) -> None:
    words = ["--output-dir", tmp_path / "run", *flags(model_name_or_path=model, max_steps=1)]
    with launch("accelerate launch --cpu", *words) as command:
        assert command.wait() == 0, command.stderr.whole()[-4000:]
        assert "one process was started" in command.stderr.whole()
        assert "accelerate launch --multi_gpu" in command.stderr.whole()
    assert json.loads((tmp_path / "run" / "environment.json").read_text())["processes"] == 1
