"""A stopped run leaves a complete checkpoint, and ends bit for bit like an undisturbed one."""

from __future__ import annotations

import json
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from safetensors.torch import load_file

from command_line import Command, signalled
from model_fixtures import train
from sentiment140_bert.files import hash_file
from sentiment140_bert.training.checkpoints import newest_complete, seal, training_seconds
from tiny_run import flags

pytest_plugins = "model_fixtures"


class Stopped(NamedTuple):
    folder: Path
    code: int
    stdout: str
    stderr: str


Words = Callable[..., list[str]]


@pytest.fixture(scope="module")
def words(small_bert: Callable[..., Path]) -> Words:
    """The flags of a training of a tiny BERT, with changes; dropout draws random numbers in each step."""
    folder = small_bert("BertModel", dropout=0.1)
    return lambda **changes: flags(model_name_or_path=folder, **changes)


@pytest.fixture(scope="module")
def run(words: Words, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the same training undisturbed; not to be changed."""
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    train(folder, [*words(), "--keep-checkpoints"])
    return folder


@pytest.fixture(scope="module")
def stopped(words: Words, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, Stopped]]:
    """The recipe of ``run``, once stopped by SIGTERM, which a scheduler may send again and again, and once by SIGINT,
    after the seventh of its twelve steps."""
    home = tmp_path_factory.mktemp("stopped")

    def stop(number: signal.Signals) -> Stopped:
        folder = home / number.name
        with Command("train", "--output-dir", folder, *words(), "--json", cwd=home, pause_at="step 7/") as command:
            command.wait_until_paused()
            command.send_signal(number)
            assert any("a checkpoint will be written" in line for line in command.stderr)
            if number == signal.SIGTERM:
                command.send_signal(number)
            command.resume()
            code = command.wait()
            return Stopped(folder, code, command.stdout.whole(), command.stderr.whole())

    yield {number: stop(number) for number in (signal.SIGTERM, signal.SIGINT)}
    shutil.rmtree(home)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_leaves_a_complete_checkpoint_and_says_how_to_resume(stopped, number: int, code: int) -> None:
    run = stopped[number]
    assert run.code == code, run.stderr
    checkpoint = newest_complete(run.folder / "checkpoints")
    assert checkpoint is not None
    assert checkpoint.name == "checkpoint-8"  # the signal came when the seventh step was done
    assert f"s140 train --output-dir {run.folder} --resume" in run.stderr
    assert "Traceback" not in run.stderr
    assert run.stdout == ""
    assert not (run.folder / "model").exists()
    assert not (run.folder / "metrics.json").exists()


@pytest.mark.parametrize("resume", [["--resume"], []], ids=["with --resume", "the same command"])
@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"learning_rate": 3e-5}, "learning_rate: 0.0001 then, 3e-05 now"),
        ({"max_samples": 400}, "max_samples: 300 then, 400 now"),
        ({"max_grad_norm": 2}, "max_grad_norm: 1.0 then, 2.0 now"),
    ],
)
def test_resuming_with_another_recipe_is_refused(
    stopped, words: Words, s140, resume, changed: dict[str, float], named: str
) -> None:
    folder = stopped[signal.SIGINT].folder
    before = (folder / "recipe.yaml").read_bytes()
    result = s140("train", "--output-dir", folder, *resume, *words(**changed), code=1)
    assert named in result.stderr
    assert "--overwrite" in result.stderr
    assert (folder / "recipe.yaml").read_bytes() == before


def test_a_further_training_argument_is_a_difference_too(stopped, s140) -> None:
    folder = stopped[signal.SIGINT].folder
    result = s140("train", "--output-dir", folder, "--resume", "--set", "adam_beta2=0.98", code=1)
    assert "adam_beta2" in result.stderr


def test_a_resumed_run_ends_with_the_very_same_weights(run: Path, words: Words, stopped, s140) -> None:
    """Leave the beginning of a newer checkpoint next to the complete one, as after a power cut."""
    folder = stopped[signal.SIGTERM].folder
    cut_off = folder / "checkpoints" / "checkpoint-12"
    cut_off.mkdir()
    (cut_off / "model.safetensors").write_bytes(b"\x00" * 1000)
    result = s140("train", "--output-dir", folder, *words(), "--json")
    assert "unfinished run of this recipe" in result.stderr
    report = json.loads(result.stdout)
    assert report["training"]["steps"] == 12
    assert hash_file(folder / "model" / "model.safetensors") == hash_file(run / "model" / "model.safetensors")
    assert report["metrics"] == json.loads((run / "metrics.json").read_text())
    history = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in history if "loss" in entry] == list(range(1, 13))


def test_a_checkpoint_that_was_cut_off_is_not_resumed_from(stopped, s140) -> None:
    """Damage the only checkpoint past the first epoch: the run resumes from the one before."""
    folder = stopped[signal.SIGINT].folder
    newest = newest_complete(folder / "checkpoints")
    with (newest / "optimizer.pt").open("r+b") as file:
        file.truncate(100)
    result = s140("train", "--output-dir", folder, "--resume", "--json")
    assert "resume: from checkpoint-6" in result.stderr
    assert json.loads(result.stdout)["training"]["steps"] == 12
    history = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in history if "loss" in entry] == list(range(1, 13))  # none twice


def with_the_first_as_best(run: Path, folder: Path) -> Path:
    """A copy of a finished run, as it was before scoring, whose newest checkpoint says that the first one was best."""
    shutil.copytree(run, folder, ignore=shutil.ignore_patterns("model", "metrics.json"))
    newest = newest_complete(folder / "checkpoints")
    assert newest.name == "checkpoint-12"
    file = newest / "trainer_state.json"
    first = {
        "best_global_step": 6,
        "best_model_checkpoint": "/elsewhere/checkpoints/checkpoint-6",
        "best_metric": 1.0,
    }
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | first), "utf-8")
    seal(newest, training_seconds(newest))
    assert newest_complete(folder / "checkpoints") == newest
    return folder


def test_a_run_that_was_moved_keeps_its_best_weights(run: Path, tmp_path: Path, s140) -> None:
    """Move a run whose newest checkpoint names the best one by its old place."""
    folder, moved = with_the_first_as_best(run, tmp_path / "here"), tmp_path / "there"
    folder.rename(moved)
    report = json.loads(s140("train", "--output-dir", moved, "--resume", "--json").stdout)
    assert report["training"]["best_step"] == 6
    weights = {
        path.parent.name: load_file(path)
        for path in (moved / "model" / "model.safetensors", *run.glob("checkpoints/*/model.safetensors"))
    }
    assert all(torch.equal(weights["model"][name], weights["checkpoint-6"][name]) for name in weights["model"])
    assert any(not torch.equal(weights["model"][name], weights["checkpoint-12"][name]) for name in weights["model"])


def test_a_missing_best_checkpoint_is_an_error(run: Path, tmp_path: Path, s140) -> None:
    folder = with_the_first_as_best(run, tmp_path / "run")
    shutil.rmtree(folder / "checkpoints" / "checkpoint-6")
    assert "checkpoint-6, is missing" in s140("train", "--output-dir", folder, "--resume", code=1).stderr


def test_checkpoints_are_kept_once_that_was_said(words: Words, tmp_path: Path, s140) -> None:
    """Say so when a stopped run is resumed, and not when it is resumed again, as the message has it."""
    command = ["train", "--output-dir", tmp_path / "run"]
    for more, step in ((words(), 3), (["--resume", "--keep-checkpoints"], 8)):
        with Command(*command, *more, pause_at=f"step {step}/") as process:
            signalled(process, signal.SIGTERM)
    s140(*command, "--resume")
    assert newest_complete(tmp_path / "run" / "checkpoints").name == "checkpoint-12"


def test_another_tokenizer_is_refused(small_bert: Callable[..., Path], tmp_path: Path, s140) -> None:
    """The base model's folder was written again while a run was stopped: ids of its tokens changed."""
    base = shutil.copytree(small_bert("BertModel"), tmp_path / "base")
    command = ["train", "--output-dir", tmp_path / "run", *flags(model_name_or_path=base)]
    with Command(*command, pause_at="step 3/") as process:
        signalled(process, signal.SIGTERM)
    content = json.loads((base / "tokenizer.json").read_text("utf-8"))
    vocabulary = content["model"]["vocab"]
    vocabulary["a"], vocabulary["b"] = vocabulary["b"], vocabulary["a"]
    (base / "tokenizer.json").write_text(json.dumps(content), "utf-8")
    stderr = " ".join(s140(*command, code=1).stderr.split())
    assert re.search("The (tokenizer|tweets) (is|are) not th.* was started with", stderr)


def test_a_finished_run_is_not_resumed(run: Path, s140) -> None:
    assert "nothing to resume" in s140("train", "--output-dir", run, "--resume", code=1).stderr


def test_there_must_be_a_run_to_resume(tmp_path: Path, s140) -> None:
    result = s140("train", "--output-dir", tmp_path / "none", "--resume", *flags(), code=1)
    assert "no run" in result.stderr
    assert not (tmp_path / "none").exists()
