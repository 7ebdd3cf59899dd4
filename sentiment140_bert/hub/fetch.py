"""Download from the Hub, always at one commit."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path

from sentiment140_bert.errors import HubError
from sentiment140_bert.hub.client import Hub

LARGEST_TEXT = 10_000_000  # bytes of a card
PUBLISHED = ["README.md", "data.json", "default/*.parquet", "tokenized/*.parquet", "three_way/*.parquet"]


def resolve_commit(hub: Hub, kind: str, repo_id: str, revision: str | None = None) -> str:
    """Return the commit that a branch or tag is on now.

    Raises:
        HubError: There is no such repository or revision, or the Hub cannot be reached.
    """
    info = hub.retry(f"looking for {kind} {repo_id}", hub.api.repo_info, repo_id, repo_type=kind, revision=revision)
    if info.sha is None:
        raise HubError(f"The Hub gave no commit for {kind} {repo_id}.", "Check HF_ENDPOINT.")
    return str(info.sha)


def download(hub: Hub, kind: str, repo_id: str, commit: str, patterns: list[str] | None = None) -> Path:
    """Return a folder with the repository's files at that commit; cached files are not fetched again.

    Args:
        hub: Logged in or not.
        kind: ``model`` or ``dataset``.
        repo_id: user/name.
        commit: From :func:`resolve_commit`.
        patterns: Only files that match one of these.
    """
    about = {"repo_type": kind, "revision": commit, "allow_patterns": patterns}
    return Path(hub.retry(f"downloading {kind} {repo_id}", hub.api.snapshot_download, repo_id, **about))


def read_text(hub: Hub, kind: str, repo_id: str, path: str, revision: str | None = None) -> str | None:
    """Read a text file of a repository; None where the repository has no such file.

    Raises:
        HubError: It is unavailable, not text, or larger than any card.
    """
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    def read() -> str | None:
        try:
            file = hub.api.hf_hub_download(repo_id, path, repo_type=kind, revision=revision)
        except LocalEntryNotFoundError:  # no answer; its parent class means that there is no such file
            raise
        except EntryNotFoundError:
            return None
        size = Path(file).stat().st_size
        if size > LARGEST_TEXT:
            raise HubError(
                f"{path} of {repo_id} has {size:,} bytes, too many for a card.", "Ask its owner to shorten it."
            )
        return Path(file).read_text("utf-8")

    return hub.retry(f"reading {path} of {repo_id}", read)


def list_files(kind: str, repo_id: str, commit: str) -> list[str]:
    """Return the names of a repository's files; none under HF_HUB_OFFLINE."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return []
    hub = Hub()
    about = {"repo_type": kind, "revision": commit}
    return list(hub.retry(f"listing {kind} {repo_id}", hub.api.list_repo_files, repo_id, **about))


def list_others(repo_id: str, commit: str) -> list[str]:
    """Return the files of a published dataset that `s140 push-to-hub` did not write; none under HF_HUB_OFFLINE."""
    names = list_files("dataset", repo_id, commit)
    return [name for name in names if not any(fnmatch(name, pattern) for pattern in (*PUBLISHED, ".gitattributes"))]


def download_published_dataset(hub: Hub, repo_id: str, revision: str | None = None) -> tuple[Path, str] | None:
    """Return the folder and the commit of a dataset that `s140 push-to-hub` made; None for other datasets.

    Raises:
        HubError: There is no such dataset, or the Hub cannot be reached. Under HF_HUB_OFFLINE the cache is asked.
    """
    from huggingface_hub import constants, try_to_load_from_cache

    if constants.HF_HUB_OFFLINE:
        cached = try_to_load_from_cache(repo_id, "data.json", repo_type="dataset", revision=revision)
        folder = Path(cached).parent if isinstance(cached, str) else None
        return (folder, folder.name) if folder and (folder / "tokenized").is_dir() else None
    commit = resolve_commit(hub, "dataset", repo_id, revision)
    about = {"repo_type": "dataset", "revision": commit}
    names = hub.retry(f"listing dataset {repo_id}", hub.api.list_repo_files, repo_id, **about)
    if "data.json" not in names or not any(name.startswith("tokenized/") for name in names):
        return None
    return download(hub, "dataset", repo_id, commit, PUBLISHED), commit
