"""Files to a repository on the Hub, in one commit or none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from sentiment140_bert.credentials import without_password
from sentiment140_bert.errors import HubError
from sentiment140_bert.hub import fetch
from sentiment140_bert.hub.client import Hub
from sentiment140_bert.run_dir import CALIBRATION, CONFUSION, EVAL_RESULTS, LEARNING, RISK_COVERAGE, SLICES, sha256_of

# What an earlier push may have left and this one no longer has, by kind of repository; nothing else is ever removed.
OURS = {
    "model": (
        *(f"figures/{name}" for name in (CALIBRATION, CONFUSION, LEARNING, RISK_COVERAGE, SLICES)),
        EVAL_RESULTS,
        "model-*-of-*.safetensors",
        "model.safetensors.index.json",
        "tracking.json",
        "added_tokens.json",
        "special_tokens_map.json",
        "vocab.txt",
    ),
    "dataset": ("default/*.parquet", "tokenized/*.parquet", "three_way/*.parquet"),
}
SHA256_DIGITS = 64  # by which the Hub names large files; the others by git's sha1
REF = re.compile(r"(?!.*\.\.)[\w][\w./-]{0,99}")


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
    hub.user = str(found["name"])
    hub.owners = {hub.user, *(str(owner["name"]) for owner in found.get("orgs") or [])}
    return hub.user


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
        private = target.kind == "dataset" if target.private is None else target.private
        hub.patiently(f"making {target.name}", hub.api.create_repo, **about, private=private, exist_ok=True)
    if target.create_pr:
        target = hub.patiently(f"reading the pull requests of {target.name}", _on_open_pr, hub, target)
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
    if target.tag and _tagged(hub, target) not in (None, fetch.commit_of(hub, *_where(target))):
        raise _tag_taken(target)
    if target.private:  # to be hidden first, to be shown last
        _make_visible_to(hub, target)
    return target


def _where(target: Target) -> tuple[str, str, str | None]:
    return target.kind, target.repo_id, target.revision


def _make_visible_to(hub: Hub, target: Target) -> bool:
    """Whether the repository is private, after it was made what the target asks for."""
    about = {"repo_id": target.repo_id, "repo_type": target.kind}
    info = hub.patiently(f"reading {target.name}", hub.api.repo_info, **about)
    if target.private not in (None, bool(info.private)):
        hub.patiently(
            f"setting who may see {target.name}", hub.api.update_repo_settings, **about, private=target.private
        )
    return bool(info.private) if target.private is None else target.private


def _on_open_pr(hub: Hub, target: Target) -> Target:
    """The target on the pull request that an earlier push of ours opened and that is still open, if there is one."""
    discussions = hub.api.get_repo_discussions(
        target.repo_id, repo_type=target.kind, discussion_type="pull_request", discussion_status="open"
    )
    opened = [each.num for each in discussions if each.title == target.commit_message and each.author == hub.user]
    if not opened:
        return target
    return replace(target, create_pr=False, revision=f"refs/pr/{max(opened)}", pr_number=max(opened))


def _tagged(hub: Hub, target: Target) -> str | None:
    """The commit that the tag is on."""
    refs = hub.patiently(
        f"reading the tags of {target.name}", hub.api.list_repo_refs, repo_id=target.repo_id, repo_type=target.kind
    )
    return next((each.target_commit for each in refs.tags if each.name == target.tag), None)


def _tag_taken(target: Target) -> HubError:
    return HubError(f"{target.name} has a tag {target.tag} already, on an older commit.", "Choose another --tag.")


def readme(hub: Hub, target: Target) -> tuple[str | None, str]:
    """The card as it is on the Hub now (None where there is none), and the commit that it was read at."""
    commit_id = fetch.commit_of(hub, *_where(target))
    return fetch.read_text(hub, target.kind, target.repo_id, "README.md", commit_id), commit_id


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


def commit(hub: Hub, target: Target, files: Mapping[str, Path | bytes], parent: str) -> Pushed:
    """One commit with all of ``files``, or none where the Hub has them already.

    Args:
        hub: Logged in.
        target: Opened with :func:`open_target`.
        files: Path in the repository to a file or its content.
        parent: The commit that the card was read at, with :func:`readme`.

    Raises:
        HubError: It could not be done, and the branch is what it was; 412: somebody changed it after ``parent``.
    """
    from huggingface_hub import CommitOperationDelete

    def attempt() -> tuple[Target, Any]:
        # Each attempt looks anew: an earlier one may have arrived although its answer was lost.
        now = _on_open_pr(hub, target) if target.create_pr else target
        info = hub.api.repo_info(now.repo_id, repo_type=now.kind, revision=now.revision)
        there = [each.rfilename for each in info.siblings or []]
        stale = [name for name in there if name not in files and _is_ours(name, now.kind)]
        done = hub.api.create_commit(
            now.repo_id,
            [*additions(files), *(CommitOperationDelete(name) for name in stale)],
            repo_type=now.kind,
            commit_message=now.commit_message,
            revision=now.revision,
            create_pr=now.create_pr,
            parent_commit=parent if now is target else info.sha,
        )
        return now, done

    now, done = hub.patiently(f"committing to {target.name}", attempt)
    page = without_password(f"{hub.api.endpoint}/{target.url}")
    return Pushed(
        kind=target.kind,
        repo_id=target.repo_id,
        url=page,
        commit=done.oid,
        changed=done.oid != parent,
        private=bool(target.private),
        pr_url=done.pr_url or (f"{page}/discussions/{now.pr_number}" if now.pr_number else None),
        tag=None,
    )


def check_tag(hub: Hub, target: Target, files: Mapping[str, Path | bytes], parent: str) -> None:
    """Raises HubError where the tag is there already and a commit of ``files`` on ``parent`` would not be its."""
    from huggingface_hub.utils.sha import git_hash

    if not target.tag or _tagged(hub, target) is None:
        return
    there = {
        each.path: each.lfs.sha256 if each.lfs else each.blob_id
        for each in hub.patiently(
            f"reading {target.name}",
            lambda: list(hub.api.get_paths_info(target.repo_id, list(files), repo_type=target.kind, revision=parent)),
        )
    }
    for name, content in files.items():
        if isinstance(content, Path) and len(there.get(name, "")) == SHA256_DIGITS:
            here = sha256_of(content)
        else:
            here = git_hash(content if isinstance(content, bytes) else content.read_bytes())
        if there.get(name) != here:
            raise HubError(
                f"{target.name} has a tag {target.tag} already, and {name} has changed since.", "Choose another --tag."
            )


def finish(hub: Hub, target: Target, pushed: Pushed) -> Pushed:
    """What follows a commit: its tag, and who may see it.

    Raises:
        HubError: It could not be done, or the tag is another commit's.
    """
    if target.tag:
        there = _tagged(hub, target)
        if there not in (None, pushed.commit):
            raise _tag_taken(target)
        if there is None:
            hub.patiently(
                f"tagging {target.name}",
                hub.api.create_tag,
                target.repo_id,
                tag=target.tag,
                revision=pushed.commit,
                repo_type=target.kind,
                exist_ok=True,
            )
    return replace(pushed, tag=target.tag, private=_make_visible_to(hub, target))


def _is_ours(name: str, kind: str) -> bool:
    path = PurePosixPath(name)
    return any(path.match(pattern) and name.count("/") == pattern.count("/") for pattern in OURS[kind])
