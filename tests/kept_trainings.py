"""Small trainings that keep their checkpoints on the Hub, as processes of their own, which may be killed."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from command_line import Command
from hub_server import TOKEN, HubServer
from tiny_run import flags

REPO = "tester/checkpoints"
EPOCHS = 20  # of six steps each: more lines of progress than a pipe of a page takes
PAGE = 4096  # bytes
STARTED: list[Command] = []


def training(encoder: Path, folder: Path, *more: object, repo: str | None = REPO, **changes: Any) -> list[object]:
    """The command line of a small training that keeps its checkpoints in ``repo``."""
    where = ["--checkpoint-repo-id", repo] if repo else []
    words = flags(**({"model_name_or_path": encoder, "num_train_epochs": EPOCHS} | changes))
    return ["train", "--output-dir", folder, *words, *where, *more]


def started(words: Sequence[object], **options: Any) -> Command:
    """As a process that can be a page of its stderr ahead of its reader: unheard, it stands still before its end."""
    running = Command(*words, env={"HF_TOKEN": TOKEN, "OMP_NUM_THREADS": "1"}, pipesize=PAGE, **options)
    STARTED.append(running)
    return running


def finished(words: Sequence[object], **options: Any) -> tuple[str, str]:
    """As a process of as many threads, from beginning to end: what it printed and what it said on stderr."""
    running = Command(*words, env={"HF_TOKEN": TOKEN, "OMP_NUM_THREADS": "1"}, **options)
    STARTED.append(running)
    printed, said = running.communicate(timeout=300)
    assert running.returncode == 0, said
    return printed, said


def until(happened: Callable[[], bool], running: Command) -> None:
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


def killed(running: Command) -> None:
    assert running.poll() is None
    running.send_signal(signal.SIGKILL)
    running.communicate()
