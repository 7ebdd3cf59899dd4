"""The repositories that the tests publish to, and their state afterwards."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import NamedTuple

from hub_server import HubServer, Repo

MODEL, DATA = "tester/sentiment", "tester/tweets"
BOTH = ("--repo-id", MODEL, "--dataset-repo-id", DATA)


class AfterAPush(NamedTuple):
    """A run that was pushed, the repositories of the Hub afterwards, and the endpoints that were called."""

    run: Path
    repos: dict[tuple[str, str], Repo]
    endpoints: list[str]


def published(hub: HubServer) -> list[str]:
    """Return the repositories that have more than their first commit, on any branch."""
    return [repo_id for (_, repo_id), repo in hub.repos.items() if len(repo.commits) > 1 or repo.lfs]


def titles(hub: HubServer, repo_id: str, kind: str = "model", revision: str = "main") -> list[str]:
    return [commit.title for commit in hub.commits(repo_id, kind, revision)]


def commits_of_ours(hub: HubServer) -> tuple[int, int]:
    """Count the commits on main of dataset and model, without the first."""
    return len(hub.commits(DATA, "dataset")) - 1, len(hub.commits(MODEL)) - 1


def changed_by_last(hub: HubServer, repo_id: str, kind: str = "model") -> set[str]:
    """Return the paths that the newest commit added, changed or removed."""
    now, before = (commit.files for commit in hub.commits(repo_id, kind)[:2])
    return {path for path in now.keys() | before.keys() if now.get(path) != before.get(path)}


def change_weights(run: Path) -> bytes:
    """Make another run of a finished one: other bytes of its weights, with the same scores."""
    import safetensors.torch

    file, number = run / "model" / "model.safetensors", str(time.time_ns())
    safetensors.torch.save_file(safetensors.torch.load_file(file), file, {"format": "pt", "run": number})
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["weights_sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
    (run / "metrics.json").write_text(json.dumps(metrics))
    return file.read_bytes()


def hashes(folder: Path) -> dict[str, str]:
    """Return the sha256 of every file below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
