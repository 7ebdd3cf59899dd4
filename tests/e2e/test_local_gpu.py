"""scripts/local_gpu.sh, as far as it goes where there is no GPU, and the recipe that it trains."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from sentiment140_bert.recipe import load_recipe

ROOT = Path(__file__).resolve().parents[2]


def call(root: Path, path: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the script of a clone, with the programs of a folder before those of this machine."""
    return subprocess.run(
        ["bash", str(root / "scripts" / "local_gpu.sh"), *words],
        env=os.environ | {"PATH": f"{path}{os.pathsep}{os.environ['PATH']}"} | environment,
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("driver", ["none", "no GPU"])
def test_without_a_gpu_it_says_what_to_do_and_installs_nothing(tmp_path: Path, driver: str) -> None:
    """Replace this machine's own nvidia-smi: if it lists a GPU, the real job would start."""
    answer = {"none": "exit 127", "no GPU": "echo 'No devices were found' >&2\nexit 6"}[driver]
    (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{answer}\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    before = (ROOT / ".venv").exists()
    result = call(ROOT, tmp_path)
    assert result.returncode == 3
    assert result.stdout == ""
    assert "no NVIDIA GPU here" in result.stderr
    assert "scripts/quickstart.sh" in result.stderr
    assert (ROOT / ".venv").exists() == before


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Copy the scripts, with a setup that installs nothing, and an `s140` and `nvidia-smi` that log their calls."""
    home = tmp_path / "clone"
    (home / "bin").mkdir(parents=True)
    shutil.copytree(ROOT / "scripts", home / "scripts")
    setup = 'set -euo pipefail; cd "$(dirname "${BASH_SOURCE[0]}")/.."; export PATH="$PWD/bin:$PATH"\n'
    (home / "scripts" / "setup.sh").write_text(setup)
    (home / "constraints.txt").write_text("torch==2.13.0\n")
    programs = {"nvidia-smi": "echo 'GPU 0: a GPU (UUID: GPU-1)'", "s140": 'echo "s140 $*"', "python": "exit 0"}
    for name, line in programs.items():
        (home / "bin" / name).write_text(f"#!/bin/sh\n{line}\n")
        (home / "bin" / name).chmod(0o755)
    return home


def in_clone(clone: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return call(clone, clone / "bin", *words, **environment)


def calls(result: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in result.stdout.splitlines() if line.startswith("s140 ")]


def test_with_a_gpu_the_doctor_comes_first(clone: Path) -> None:
    result = in_clone(clone, "--dataset", "stanford")
    assert result.returncode == 0, result.stderr
    assert calls(result) == [
        "s140 doctor --recipe local-8gb --output-dir runs/local-8gb --dataset stanford",
        "s140 train --recipe local-8gb --output-dir runs/local-8gb --dataset stanford",
    ]
    assert "s140 predict runs/local-8gb" in result.stdout


def test_does_not_train_what_the_doctor_refuses(clone: Path) -> None:
    (clone / "bin" / "s140").write_text('#!/bin/sh\necho "s140 $*"\n[ "$1" != doctor ]\n')
    result = in_clone(clone)
    assert result.returncode == 1
    assert [line.split()[1] for line in calls(result)] == ["doctor"]


def test_resumes_an_unfinished_run_and_leaves_a_finished_one_alone(clone: Path) -> None:
    run = clone / "runs" / "local-8gb"
    run.mkdir(parents=True)
    for name in ("recipe.yaml", "environment.json"):
        (run / name).write_text("")
    result = in_clone(clone, "--dataset", "stanford")
    assert calls(result) == ["s140 train --recipe local-8gb --output-dir runs/local-8gb --dataset stanford"]
    assert "resuming the unfinished run" in result.stderr
    (run / "metrics.json").write_text("")
    result = in_clone(clone)
    assert calls(result) == []
    assert "is finished" in result.stderr


def test_says_how_to_resume_this_very_run(clone: Path) -> None:
    result = in_clone(clone, "--dataset", "my tweets.csv", S140_RUN="runs/the other")
    again = r"S140_RUN=runs/the\ other bash scripts/local_gpu.sh --dataset my\ tweets.csv"
    assert f"to resume from there: {again}\n" in result.stderr
    assert "to resume from there: bash scripts/local_gpu.sh\n" in in_clone(clone, S140_RUN="").stderr


def test_with_a_gpu_the_quickstart_is_not_needed(clone: Path) -> None:
    assert [call.split()[1:] for call in calls(in_clone(clone, "--quickstart"))] == [
        [word, "--recipe", "local-8gb", "--output-dir", "runs/local-8gb"] for word in ("doctor", "train")
    ]


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not installed")
def test_shellcheck_has_nothing_to_say() -> None:
    result = subprocess.run(["shellcheck", "-x", "scripts/local_gpu.sh"], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


def test_the_recipe_is_the_real_job_in_less_memory() -> None:
    local, real = load_recipe("local-8gb"), load_recipe("bert-base-100k")
    assert (local.model, local.data) == (real.model, real.data)
    assert local.training.auto_find_batch_size
    assert (local.training.precision, local.training.optim) == ("auto", "adamw_torch_fused")
    same = ("num_train_epochs", "learning_rate", "per_device_train_batch_size", "weight_decay", "seed")
    assert [getattr(local.training, name) for name in same] == [getattr(real.training, name) for name in same]
