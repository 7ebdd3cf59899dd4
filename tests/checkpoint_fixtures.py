"""A pytest plugin for tests of checkpoints on the Hub: a training undisturbed, one that is lost, and a repository."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from conftest import HUB
from hub_server import TOKEN, HubServer, Repo
from kept_trainings import REPO, finish, kept_steps, start, training
from once import make_once
from sentiment140_bert.cli import main


@pytest.fixture(scope="session")
def undisturbed(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the same training without a repository and a kill; not to be changed."""
    return make_once(
        tmp_path_factory, "undisturbed", lambda folder: finish(training(encoder, folder, repo=None), cwd=folder.parent)
    )


@pytest.fixture
def lost(hub: HubServer, encoder: Path, tmp_path: Path) -> Callable[..., None]:
    """Return a function that trains until a checkpoint is on the Hub, kills the process, and removes its files."""

    def train_and_lose(*more: object, **changes: Any) -> None:
        folder = tmp_path / "lost"
        words = training(encoder, folder / "run", *more, **changes)
        with start(words, cwd=tmp_path, pause_at="step 9/") as command:
            command.wait_until_paused()
            command.wait_for(lambda: kept_steps(hub))
        shutil.rmtree(folder)

    return train_and_lose


@pytest.fixture(scope="session")
def repository_after(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """Return a repository after a training of two epochs; not to be changed."""
    HUB.reset()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_TOKEN", TOKEN)
        words = training(encoder, tmp_path_factory.mktemp("kept") / "run", num_train_epochs=2)
        result = CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    repository = HUB.repos["model", REPO]
    HUB.reset()
    return repository


@pytest.fixture
def repository(hub: HubServer, repository_after: Repo) -> Repo:
    """Put a copy of it on the Hub."""
    hub.repos["model", REPO] = copy.deepcopy(repository_after)
    return hub.repos["model", REPO]
