"""Where the tests publish, and what is to be seen there afterwards."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

from hub_server import HubServer, Repo

# Other names than in test_hub_server.py: what is downloaded stays in one cache.
MODEL, DATA = "tester/sentiment", "tester/tweets"
BOTH = ("--repo-id", MODEL, "--dataset-repo-id", DATA)


class AfterAPush(NamedTuple):
    """A run that was pushed, what the Hub has then, and which endpoints it was asked for."""

    run: Path
    repos: dict[tuple[str, str], Repo]
    endpoints: list[str]


def published(hub: HubServer) -> list[str]:
    """Repositories with a commit besides their first, on any branch."""
    return [repo_id for (_, repo_id), repo in hub.repos.items() if len(repo.commits) > 1 or repo.lfs]


def titles(hub: HubServer, repo_id: str, kind: str = "model", revision: str = "main") -> list[str]:
    return [commit.title for commit in hub.commits(repo_id, kind, revision)]


def commits_of_ours(hub: HubServer) -> tuple[int, int]:
    """How many commits there are on main of dataset and model, besides the first."""
    return len(hub.commits(DATA, "dataset")) - 1, len(hub.commits(MODEL)) - 1


def changed_by_last(hub: HubServer, repo_id: str, kind: str = "model") -> set[str]:
    """Paths that the newest commit added, changed or removed."""
    now, before = (commit.files for commit in hub.commits(repo_id, kind)[:2])
    return {path for path in now.keys() | before.keys() if now.get(path) != before.get(path)}


def hashes(folder: Path) -> dict[str, str]:
    """Every file below a folder."""
    return {
        str(each.relative_to(folder)): hashlib.sha256(each.read_bytes()).hexdigest()
        for each in sorted(folder.rglob("*"))
        if each.is_file()
    }
