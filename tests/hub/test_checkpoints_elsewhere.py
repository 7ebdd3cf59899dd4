"""Keep checkpoints on the Hub with several processes, other disks and volumes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from command_line import finish_ranks
from hub_server import HubServer, Repo
from kept_trainings import REPO, history_of, kept_steps, training
from sentiment140_bert.run import RunDir
from sentiment140_bert.training.checkpoints import best_of

pytest_plugins = ("hub_fixtures", "checkpoint_fixtures")


@pytest.mark.long
def test_two_processes_keep_one_repository_and_go_on_from_it(hub: HubServer, encoder: Path, tmp_path: Path) -> None:
    shared = {"num_train_epochs": 2, "per_device_train_batch_size": 16}
    _, first = finish_ranks(*training(encoder, tmp_path / "run", **shared))
    assert first.count("hub: logged in as") == 1
    names = {name.rpartition("/")[2] for name in hub.files(REPO) if name.startswith("checkpoint-12/")}
    assert {"rng_state_0.pth", "rng_state_1.pth"} < names
    _, second = finish_ranks(*training(encoder, tmp_path / "bare", **shared))
    assert second.count("resume: from checkpoint-12") == 1
    losses = [[entry["loss"] for entry in history_of(tmp_path / name) if "loss" in entry] for name in ("run", "bare")]
    assert losses[0] == losses[1]


@pytest.fixture
def other_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system than the tests' own."""
    shared = Path("/dev/shm")
    if not shared.is_dir() or shared.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no other file system")
    with tempfile.TemporaryDirectory(dir=shared) as place:
        yield Path(place)


def test_they_are_brought_to_another_disk_too(
    hub: HubServer, repository: Repo, encoder: Path, tmp_path: Path, other_disk: Path, s140
) -> None:
    """The run lies where a link leads to."""
    (tmp_path / "run").symlink_to(other_disk)
    result = s140(*training(encoder, tmp_path / "run", num_train_epochs=2), "--keep-checkpoints")
    assert "resume: from checkpoint-12" in result.stderr
    assert (tmp_path / "run" / "metrics.json").is_file()
    assert list(other_disk.rglob("checkpoint-12/model.safetensors"))


@pytest.mark.parametrize("is_damaged", [True, False])
def test_a_best_checkpoint_that_is_lost_here_is_fetched(
    hub: HubServer, repository: Repo, encoder: Path, tmp_path: Path, s140, is_damaged: bool
) -> None:
    words = training(encoder, tmp_path / "run", num_train_epochs=2)
    s140(*words, "--keep-checkpoints")
    for name in ("model", "metrics.json"):
        path = tmp_path / "run" / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    newest = tmp_path / "run" / "checkpoints" / "checkpoint-12"
    best = best_of(newest) or newest
    if is_damaged:
        (best / "model.safetensors").write_bytes(b"12")
    else:
        shutil.rmtree(best)
    assert "hub: fetching checkpoint-12" in s140(*words, "--keep-checkpoints").stderr
    assert RunDir(tmp_path / "run").is_finished()


def test_a_fetch_that_was_killed_goes_on_in_the_present_folder(
    hub: HubServer, repository: Repo, encoder: Path, tmp_path: Path, monkeypatch, s140
) -> None:
    """The files that it leaves in the run directory are not foreign."""
    (tmp_path / "here" / ".from-the-hub").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    assert "resume: from checkpoint-12" in s140(*training(encoder, Path(), num_train_epochs=2)).stderr
    assert not Path(".from-the-hub").exists()


@pytest.mark.long
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
    assert "the first checkpoint of this run replaces what" in other.stderr
    assert kept_steps(hub) == [6]
