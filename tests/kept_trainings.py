"""Small trainings that keep their checkpoints on the Hub, as processes of their own, which may be killed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from command_line import Command
from hub_server import TOKEN, HubServer
from tiny_run import flags

REPO = "tester/checkpoints"
EPOCHS = 3  # of six steps each


def training(encoder: Path, folder: Path, *more: object, repo: str | None = REPO, **changes: Any) -> list[object]:
    """The command line of a small training that keeps its checkpoints in ``repo``."""
    where = ["--checkpoint-repo-id", repo] if repo else []
    words = flags(**({"model_name_or_path": encoder, "num_train_epochs": EPOCHS} | changes))
    return ["train", "--output-dir", folder, *words, *where, *more]


def start(words: Sequence[object], **options: Any) -> Command:
    """Start it in a process of one thread, as all of them are, so that their results agree in every bit."""
    return Command(*words, env={"HF_TOKEN": TOKEN, "OMP_NUM_THREADS": "1"}, **options)


def finish(words: Sequence[object], **options: Any) -> tuple[str, str]:
    """Run it from beginning to end; return what it wrote to stdout and to stderr."""
    with start(words, **options) as command:
        assert command.wait() == 0, command.stderr.whole()
        return command.stdout.whole(), command.stderr.whole()


def kept_steps(hub: HubServer, repo: str = REPO) -> list[int]:
    """The steps of the checkpoints that a repository holds; none where it holds no index yet."""
    if ("model", repo) not in hub.repos or "checkpoints.json" not in hub.files(repo):
        return []
    names = {name.split("/")[0] for name in hub.files(repo) if name.startswith("checkpoint-")}
    return sorted(int(name.removeprefix("checkpoint-")) for name in names)


def history_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
