"""A pytest plugin for tests of checkpoints on the Hub: trainings as processes of their own, which may be killed."""

from __future__ import annotations

import copy
import json
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from conftest import HUB
from hub_server import TOKEN, HubServer, Repo
from sentiment140_bert.cli import main
from tiny_run import flags, process

REPO = "tester/checkpoints"
EPOCHS = 20  # of six steps each: more lines of progress than a pipe of a page takes
PAGE = 4096  # bytes
STARTED: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def _nothing_goes_on() -> Iterator[None]:
    """What a failed test leaves running would write to the next one's Hub."""
    yield
    while STARTED:
        STARTED.pop().kill()


def training(encoder: Path, folder: Path, *more: object, repo: str | None = REPO, **changes: Any) -> list[object]:
    """The command line of a small training that keeps its checkpoints in ``repo``."""
    where = ["--checkpoint-repo-id", repo] if repo else []
    words = flags(**({"model_name_or_path": encoder, "num_train_epochs": EPOCHS} | changes))
    return ["train", "--output-dir", folder, *words, *where, *more]


def started(words: Sequence[object], **options: Any) -> subprocess.Popen[str]:
    """As a process that can be a page of its stderr ahead of its reader: unheard, it stands still before its end."""
    running = process(*words, env={"HF_TOKEN": TOKEN, "OMP_NUM_THREADS": "1"}, pipesize=PAGE, **options)
    STARTED.append(running)
    return running


def until(happened: Callable[[], bool], running: subprocess.Popen[str]) -> None:
    """Waits for what a process will do; fails where it ends without."""
    while not happened():
        if running.poll() is not None:
            raise AssertionError(running.stderr.read())
        time.sleep(0.01)


def kept_steps(hub: HubServer, repo: str = REPO) -> list[int]:
    """The steps of the checkpoints that a repository holds; none where it holds no index yet."""
    if ("model", repo) not in hub.repos or "checkpoints.json" not in hub.files(repo):
        return []
    names = {name.split("/")[0] for name in hub.files(repo) if name.startswith("checkpoint-")}
    return sorted(int(name.removeprefix("checkpoint-")) for name in names)


def history_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


def killed(running: subprocess.Popen[str]) -> None:
    assert running.poll() is None
    running.send_signal(signal.SIGKILL)
    running.communicate()


@pytest.fixture(scope="session")
def undisturbed(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same training, without a repository and without a kill; not to be changed."""
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    running = process(*training(encoder, folder, repo=None), env={"OMP_NUM_THREADS": "1"})
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
