"""Files to a repository on the Hub, in one commit or none."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from sentiment140_bert.errors import HubError
from sentiment140_bert.hub import fetch
from sentiment140_bert.hub.client import Hub

log = logging.getLogger(__name__)
# What an earlier push may have left and this one no longer has, by kind of repository; nothing else is ever removed.
OURS = {
    "model": ("figures/*.png", "model-*-of-*.safetensors", "model.safetensors.index.json", "tracking.json"),
    "dataset": ("default/*.parquet", "tokenized/*.parquet"),
}


@dataclass(frozen=True)
class Target:
    """Where something goes: ``kind`` is ``model`` or ``dataset``; ``private`` None leaves an existing one as it is."""

    kind: str
    repo_id: str
    private: bool | None = None
    revision: str | None = None
    create_pr: bool = False
    commit_message: str = ""
    tag: str | None = None
    pr_number: int | None = None  # of a pull request that is gone on with

    @property
    def name(self) -> str:
        return f"{self.kind} {self.repo_id}"

    @property
    def url(self) -> str:
        """The page's address, below the Hub's own."""
        return f"{'datasets/' if self.kind == 'dataset' else ''}{self.repo_id}"


@dataclass(frozen=True)
class Pushed:
    """What became of a push. ``changed`` is False where the Hub had it all already; ``commit`` is the newest then."""

    kind: str
    repo_id: str
    url: str
    commit: str
    changed: bool
    private: bool
    pr_url: str | None
    tag: str | None


def check_name(repo_id: str, what: str) -> None:
    """Raises HubError where ``repo_id`` is no user/name that the Hub could have."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise HubError(f"{what} {repo_id!r}: {str(error).splitlines()[0]}", "Give it as user/name.") from None
    if repo_id.count("/") != 1:
        raise HubError(f"{what} {repo_id!r} names no owner.", "Give it as user/name.")


def login(hub: Hub) -> str:
    """The name of whoever is logged in here.

    Raises:
        HubError: Nobody is, the Hub does not accept the token, or it may only read.
    """
    from huggingface_hub import get_token

    if get_token() is None:
        raise HubError("Nobody is logged in to the Hub here.", "Run `hf auth login`, or set HF_TOKEN.")
    found: dict[str, Any] = hub.patiently("asking the Hub who is logged in", hub.api.whoami)
    role = ((found.get("auth") or {}).get("accessToken") or {}).get("role")
    if role == "read":
        raise HubError(
            f"The Hub's token of {found['name']} may only read.", "Make one that may write: hf.co/settings/tokens"
        )
    return str(found["name"])


def open_target(hub: Hub, target: Target) -> Target:
    """Makes the repository and the branch where they do not exist, and finds out whether we may write there.

    Returns:
        The target; where an earlier push opened a pull request that is still open, on that one.

    Raises:
        HubError: No right to, or the tag is there already, on another commit.
    """
    from huggingface_hub import CommitOperationAdd

    about = {"repo_id": target.repo_id, "repo_type": target.kind}
    existed = hub.patiently(f"looking for {target.name}", hub.api.repo_exists, **about)
    if not existed:
        hub.patiently(
            f"making {target.name}", hub.api.create_repo, **about, private=bool(target.private), exist_ok=True
        )
    if target.create_pr:
        target = _on_open_pr(hub, target)
    elif target.revision and not target.revision.startswith("refs/"):
        hub.patiently(
            f"making branch {target.revision}", hub.api.create_branch, **about, branch=target.revision, exist_ok=True
        )
    # The Hub refuses this question to whoever may not write: the cheapest way to know before anything is uploaded.
    hub.patiently(
        f"asking for the right to write to {target.name}",
        lambda: hub.api.preupload_lfs_files(
            target.repo_id,
            [CommitOperationAdd("README.md", b"-")],
            repo_type=target.kind,
            revision=target.revision,
            create_pr=target.create_pr,
        ),
    )
    info = hub.patiently(f"reading {target.name}", hub.api.repo_info, **about, revision=target.revision)
    if target.tag and _tagged(hub, target) not in (None, info.sha):
        raise HubError(f"{target.name} has a tag {target.tag} already, on an older commit.", "Choose another --tag.")
    if existed and target.private not in (None, bool(info.private)):
        hub.patiently(
            f"setting who may see {target.name}", hub.api.update_repo_settings, **about, private=target.private
        )
    return target


def _on_open_pr(hub: Hub, target: Target) -> Target:
    def numbers() -> list[int]:
        discussions = hub.api.get_repo_discussions(
            target.repo_id, repo_type=target.kind, discussion_type="pull_request", discussion_status="open"
        )
        return [each.num for each in discussions if each.title == target.commit_message]

    opened = hub.patiently(f"reading the pull requests of {target.name}", numbers)
    if not opened:
        return target
    return replace(target, create_pr=False, revision=f"refs/pr/{max(opened)}", pr_number=max(opened))


def _tagged(hub: Hub, target: Target) -> str | None:
    """The commit that the tag is on."""
    refs = hub.patiently(
        f"reading the tags of {target.name}", hub.api.list_repo_refs, repo_id=target.repo_id, repo_type=target.kind
    )
    return next((each.target_commit for each in refs.tags if each.name == target.tag), None)


def readme(hub: Hub, target: Target) -> str | None:
    """The card as it is on the Hub now; None where there is none."""
    commit_id = fetch.commit_of(hub, target.kind, target.repo_id, target.revision)
    return fetch.read_text(hub, target.kind, target.repo_id, "README.md", commit_id)


def additions(files: Mapping[str, Path | bytes]) -> list[Any]:
    """Files as huggingface_hub's operations."""
    from huggingface_hub import CommitOperationAdd

    return [CommitOperationAdd(name, str(each) if isinstance(each, Path) else each) for name, each in files.items()]


def upload_large(hub: Hub, target: Target, files: Mapping[str, Path | bytes]) -> None:
    """Sends large files ahead of the commit, so that the commit itself is quick; nothing is to be seen of them yet."""
    hub.patiently(
        f"uploading to {target.name}",
        lambda: hub.api.preupload_lfs_files(
            target.repo_id,
            additions(files),
            repo_type=target.kind,
            revision=target.revision,
            create_pr=target.create_pr,
        ),
    )


def commit(hub: Hub, target: Target, files: Mapping[str, Path | bytes]) -> Pushed:
    """One commit with all of ``files``, or none where the Hub has them already.

    Args:
        hub: Logged in.
        target: Opened with :func:`open_target`.
        files: Path in the repository to a file or its content.

    Raises:
        HubError: It could not be done; the branch is what it was.
    """
    from huggingface_hub import CommitOperationDelete

    about = {"repo_id": target.repo_id, "repo_type": target.kind}
    before = hub.patiently(f"reading {target.name}", hub.api.repo_info, **about, revision=target.revision)

    def attempt() -> Any:
        # Each attempt looks anew: an earlier one may have arrived although its answer was lost.
        info = hub.api.repo_info(**about, revision=target.revision)
        stale = [
            each.rfilename
            for each in info.siblings or []
            if each.rfilename not in files and any(fnmatch(each.rfilename, ours) for ours in OURS[target.kind])
        ]
        return hub.api.create_commit(
            **about,
            operations=[*additions(files), *(CommitOperationDelete(name) for name in stale)],
            commit_message=target.commit_message,
            revision=target.revision,
            create_pr=target.create_pr,
            parent_commit=info.sha,
        )

    done = hub.patiently(f"committing to {target.name}", attempt)
    if target.tag and not _tagged(hub, target):
        hub.patiently(
            f"tagging {target.name}", hub.api.create_tag, **about, tag=target.tag, revision=done.oid, exist_ok=True
        )
    page = f"{hub.api.endpoint}/{target.url}"
    return Pushed(
        kind=target.kind,
        repo_id=target.repo_id,
        url=page,
        commit=done.oid,
        changed=done.oid != before.sha,
        private=bool(before.private),
        pr_url=done.pr_url or (f"{page}/discussions/{target.pr_number}" if target.pr_number else None),
        tag=target.tag,
    )
