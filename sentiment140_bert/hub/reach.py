"""Check once, without waiting long, whether a model or dataset is available."""

from __future__ import annotations

from pathlib import Path

from sentiment140_bert.credentials import strip_passwords
from sentiment140_bert.errors import HubError
from sentiment140_bert.hub.client import Hub, reason

TIMEOUT = 3.0  # seconds


def look_up(kind: str, repo_id: str, revision: str | None = None) -> tuple[str, str]:
    """Return ``cached``, ``reachable`` or ``missing``, and a remark.

    Args:
        kind: ``model`` or ``dataset``.
        repo_id: user/name.
        revision: Branch, tag or commit.
    """
    from huggingface_hub import constants
    from huggingface_hub.utils import httpx

    if _in_cache(kind, repo_id, revision):
        return "cached", "in the cache of this machine"
    if constants.HF_HUB_OFFLINE:
        return "missing", "HF_HUB_OFFLINE is set, and it is not in the cache"
    from sentiment140_bert.hub.replies import ODD_ANSWERS

    hub = Hub()
    try:
        hub.api.repo_info(repo_id, repo_type=kind, revision=revision, timeout=TIMEOUT)
    except (OSError, RuntimeError, ValueError, httpx.HTTPError, httpx.InvalidURL, HubError, *ODD_ANSWERS) as error:
        return "missing", f"{strip_passwords(hub.api.endpoint)}: {reason(error)}"
    return "reachable", "on the Hub, to be downloaded"


def _in_cache(kind: str, repo_id: str, revision: str | None) -> bool:
    from huggingface_hub import constants, try_to_load_from_cache
    from huggingface_hub.file_download import repo_folder_name

    if kind == "model":
        return isinstance(try_to_load_from_cache(repo_id, "model.safetensors", revision=revision), str)
    folder = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repo_id, repo_type=kind) / "snapshots"
    return folder.is_dir() and any(folder.iterdir())
