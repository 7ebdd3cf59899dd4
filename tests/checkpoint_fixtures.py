"""A pytest plugin for tests of checkpoints on the Hub: a training undisturbed, one that is lost, and a repository."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from command_line import Command
from conftest import HUB
from hub_server import TOKEN, HubServer, Repo
from kept_trainings import REPO, STARTED, kept_steps, killed, started, training, until
from sentiment140_bert.cli import main


@pytest.fixture(autouse=True)
def _nothing_goes_on() -> Iterator[None]:
    """What a failed test leaves running would write to the next one's Hub."""
    yield
    while STARTED:
        STARTED.pop().kill()


@pytest.fixture(scope="session")
def undisturbed(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same training, without a repository and without a kill; not to be changed."""
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    running = Command(*training(encoder, folder, repo=None), env={"OMP_NUM_THREADS": "1"})
    _, said = running.communicate(timeout=300)
    assert running.returncode == 0, said
    return folder


@pytest.fixture
def lost(hub: HubServer, encoder: Path, tmp_path: Path) -> Callable[..., None]:
    """Trains until a checkpoint is on the Hub, kills the process, and removes all that it wrote here."""

    def train_and_lose(*more: object, **changes: Any) -> None:
        folder = tmp_path / "lost"
        running = started(training(encoder, folder / "run", *more, **changes), cwd=tmp_path)
        until(lambda: bool(kept_steps(hub)), running)
        killed(running)
        shutil.rmtree(folder)

    return train_and_lose


@pytest.fixture(scope="session")
def repository_after(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """A repository after a training of two epochs; not to be changed."""
    HUB.reset()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_TOKEN", TOKEN)
        words = training(encoder, tmp_path_factory.mktemp("kept") / "run", num_train_epochs=2)
        result = CliRunner().invoke(main, [str(each) for each in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    found = HUB.repos["model", REPO]
    HUB.reset()
    return found


@pytest.fixture
def kept(hub: HubServer, repository_after: Repo) -> Repo:
    """A copy of it, on the Hub."""
    hub.repos["model", REPO] = copy.deepcopy(repository_after)
    return hub.repos["model", REPO]
