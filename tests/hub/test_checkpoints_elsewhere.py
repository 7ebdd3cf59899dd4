"""Checkpoints on the Hub with several processes, and beside a volume."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from hub_server import HubServer
from kept_trainings import REPO, history_of, kept_steps, training

pytest_plugins = ("hub_fixtures", "checkpoint_fixtures")
TORCHRUN = [
    Path(sys.executable).parent / "torchrun",
    "--standalone",
    "--nproc_per_node",
    "2",
    "-m",
    "sentiment140_bert",
]


def launched(words: list[object]) -> subprocess.CompletedProcess[str]:
    hidden = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [str(each) for each in (*TORCHRUN, *words)],
        env=os.environ | hidden,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def test_two_processes_keep_one_repository_and_go_on_from_it(hub: HubServer, encoder: Path, tmp_path: Path) -> None:
    shared = {"num_train_epochs": 2, "per_device_train_batch_size": 16}
    first = launched(training(encoder, tmp_path / "run", **shared))
    assert first.stderr.count("hub: logged in as") == 1
    names = {name.rpartition("/")[2] for name in hub.files(REPO) if name.startswith("checkpoint-12/")}
    assert {"rng_state_0.pth", "rng_state_1.pth"} < names
    second = launched(training(encoder, tmp_path / "bare", **shared))
    assert second.stderr.count("resume: from checkpoint-12") == 1
    losses = [[each["loss"] for each in history_of(tmp_path / name) if "loss" in each] for name in ("run", "bare")]
    assert losses[0] == losses[1]


def test_a_run_on_a_volume_is_kept_on_the_hub_too(
    hub: HubServer, encoder: Path, tmp_path: Path, s140, monkeypatch
) -> None:
    volume = tmp_path / "Volumes" / "runs"
    volume.mkdir(parents=True)
    monkeypatch.setenv("S140_VOLUMES", str(tmp_path / "Volumes"))
    s140(*training(encoder, volume / "run", num_train_epochs=2))
    assert kept_steps(hub)[-1] == 12
    again = s140(*training(encoder, volume / "bare", num_train_epochs=2))
    assert "resume: from checkpoint-12" in again.stderr
    assert (volume / "bare" / "metrics.json").is_file()
    other = s140(*training(encoder, volume / "bare", "--overwrite", num_train_epochs=1))
    assert "is replaced by the first checkpoint" in other.stderr
    assert kept_steps(hub) == [6]
