"""Publish files to a repository on the Hub, in one commit or none."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from sentiment140_bert.credentials import strip_passwords
from sentiment140_bert.errors import HubError
from sentiment140_bert.files import hash_file
from sentiment140_bert.hub import fetch
from sentiment140_bert.hub.client import Hub
from sentiment140_bert.results import Pushed
from sentiment140_bert.run import EVAL_RESULTS, FIGURES, GRAPHS, GRAPHS_NOTE

if TYPE_CHECKING:
    from huggingface_hub import GitCommitInfo as GitCommitInfo

    from sentiment140_bert.hub.reply_shapes import User

CONFIGS = ("default", "tokenized", "three_way")
# Files of an earlier push that this one may no longer have, by kind of repository; nothing else is ever removed.
REMOVABLE = {
    "model": (
        *(f"figures/{name}" for name in FIGURES),
        EVAL_RESULTS,
        f"model-{'[0-9]' * 5}-of-{'[0-9]' * 5}.safetensors",
        "model.safetensors.index.json",
        "tracking.json",
        "added_tokens.json",
        "special_tokens_map.json",
        "vocab.txt",
    ),
    "dataset": tuple(f"{config}/*-{'[0-9]' * 5}-of-{'[0-9]' * 5}.parquet" for config in CONFIGS),
    "space": (),
}
COMMAND = "s140 push-to-hub"
DESCRIPTION = re.compile(rf"Published by {COMMAND}, run [0-9a-f]*\.")  # of each commit, by which it is known
SHA256_DIGITS = 64  # by which the Hub names large files; the others by git's sha1
REF = re.compile(r"(?!.*\.\.)[\w][\w./-]{0,99}")


@dataclass(frozen=True)
class Target:
    """A place on the Hub, and the run to publish there: the first digits of the sha256 of its weights.

    ``kind`` is ``model``, ``dataset`` or ``space``; ``private`` None leaves what exists.
    """

    kind: str
    repo_id: str
    private: bool | None = None
    revision: str | None = None
    create_pr: bool = False
    commit_message: str = ""
    tag: str | None = None
    pr_number: int | None = None  # of an open pull request that gets the commit
    run_id: str = ""

    @property
    def name(self) -> str:
        return f"{self.kind} {self.repo_id}"

    @property
    def url(self) -> str:
        """The page's address, below the Hub's own."""
        return self.repo_id if self.kind == "model" else f"{self.kind}s/{self.repo_id}"

    @property
    def description(self) -> str:
        """The sentence of each commit, by which later pushes know it."""
        return f"Published by {COMMAND}, run {self.run_id}."

    @property
    def is_proposal(self) -> bool:
        """True if the commit goes to a pull request, which leaves the repository itself as it is."""
        return self.create_pr or (self.revision or "").startswith("refs/pr/")

    @property
    def about(self) -> dict[str, Any]:
        """The repository, as huggingface_hub's functions take it."""
        return {"repo_id": self.repo_id, "repo_type": self.kind}


def check_name(repo_id: str, what: str) -> None:
    """Raise HubError unless ``repo_id`` is a user/name that the Hub could have."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise HubError(f"{what} {repo_id!r}: {str(error).splitlines()[0]}", "Use the form user/name.") from None
    if repo_id.count("/") != 1:
        raise HubError(f"{what} {repo_id!r} has no owner.", "Use the form user/name.")


def login(hub: Hub) -> str:
    """Return the name of the user who is logged in here.

    Raises:
        HubError: Nobody is, the Hub does not accept the token, or it may only read.
    """
    from huggingface_hub import get_token

    if get_token() is None:
        raise HubError("You are not logged in to the Hub.", "Run `hf auth login`, or set HF_TOKEN.")
    user: User = hub.retry("asking the Hub who is logged in", hub.api.whoami)
    role = ((user.get("auth") or {}).get("accessToken") or {}).get("role")
    if role == "read":
        raise HubError(
            f"The Hub token of {user['name']} can only read.", "Create one that can write: hf.co/settings/tokens"
        )
    hub.user = user["name"]
    hub.owners = {hub.user, *(owner["name"] for owner in user.get("orgs") or [])}
    return hub.user


def open_target(hub: Hub, target: Target) -> Target:
    """Make the repository and the branch where they do not exist, and check the right to write there.

    Returns:
        The target; on the pull request that an earlier push opened, if that is still open.

    Raises:
        HubError: There is no right to write, or the tag is on another commit already.
    """
    about = target.about
    if not hub.retry(f"looking for {target.name}", hub.api.repo_exists, **about):
        private = target.kind == "dataset" if target.private is None else target.private
        new = {"private": private, "space_sdk": "static" if target.kind == "space" else None, "exist_ok": True}
        hub.retry(f"creating {target.name}", hub.api.create_repo, **about, **new)
    if target.create_pr:
        target = hub.retry(f"reading the pull requests of {target.name}", _reuse_open_pr, hub, target)
    elif target.revision and not target.revision.startswith("refs/"):
        hub.retry(
            f"creating branch {target.revision}", hub.api.create_branch, **about, branch=target.revision, exist_ok=True
        )
    # The Hub refuses this request without the right to write: the cheapest way to know before anything is uploaded.
    upload_large(hub, target, {"README.md": b"-"}, "asking for the right to write to")
    if target.tag and _commit_of_tag(hub, target) not in (None, fetch.resolve_commit(hub, *_where(target))):
        raise _tag_taken(target)
    return target


def hide(hub: Hub, target: Target) -> None:
    """Make the repository private if the target says so, before anything is committed; it is shown last."""
    if target.private and not target.is_proposal:
        _set_visibility(hub, target)


def _where(target: Target) -> tuple[str, str, str | None]:
    return target.kind, target.repo_id, target.revision


def is_private(hub: Hub, target: Target) -> bool:
    """Return True if the repository is private now."""
    return bool(hub.retry(f"reading {target.name}", hub.api.repo_info, **target.about).private)


def _set_visibility(hub: Hub, target: Target) -> bool:
    """Make the repository private or public as the target says; return True if it is then private."""
    private = is_private(hub, target)
    if target.private not in (None, private):
        change = {**target.about, "private": target.private}
        hub.retry(f"setting who may see {target.name}", hub.api.update_repo_settings, **change)
    return private if target.private is None else target.private


def _reuse_open_pr(hub: Hub, target: Target) -> Target:
    """Return the target on the open pull request of an earlier push of the same run, if there is one."""
    discussions = hub.api.get_repo_discussions(**target.about, discussion_type="pull_request", discussion_status="open")
    numbers = [pr.num for pr in discussions if pr.title == target.commit_message and pr.author == hub.user]
    for number in sorted(numbers, reverse=True):
        proposal = replace(target, create_pr=False, revision=f"refs/pr/{number}", pr_number=number)
        if any(is_of_run(commit, target) for commit in list_commits(hub, proposal)):
            return proposal
    return target


def _commit_of_tag(hub: Hub, target: Target) -> str | None:
    """Return the commit that the tag is on; None without the tag."""
    refs = hub.retry(f"reading the tags of {target.name}", hub.api.list_repo_refs, **target.about)
    return next((tag.target_commit for tag in refs.tags if tag.name == target.tag), None)


def _tag_taken(target: Target) -> HubError:
    return HubError(f"{target.name} has a tag {target.tag} already, on an older commit.", "Choose another --tag.")


def read_card(hub: Hub, target: Target) -> tuple[str | None, str]:
    """Return the card as it is on the Hub now (None without one), and the commit that it was read at."""
    commit_id = fetch.resolve_commit(hub, *_where(target))
    return fetch.read_text(hub, target.kind, target.repo_id, "README.md", commit_id), commit_id


def additions(files: Mapping[str, Path | bytes]) -> list[Any]:
    """Make huggingface_hub's operations that add files."""
    from huggingface_hub import CommitOperationAdd

    return [CommitOperationAdd(name, content) for name, content in files.items()]


def upload_large(hub: Hub, target: Target, files: Mapping[str, Path | bytes], what: str = "uploading to") -> None:
    """Send large files ahead of the commit, so that the commit itself is quick; nobody can see them yet."""
    place = {**target.about, "revision": target.revision, "create_pr": target.create_pr}
    hub.retry(f"{what} {target.name}", lambda: hub.api.preupload_lfs_files(additions=additions(files), **place))


def commit(hub: Hub, target: Target, files: Mapping[str, Path | bytes], parent: str) -> Pushed:
    """Make one commit with all of ``files``, or none if the Hub has them already.

    Args:
        hub: Logged in.
        target: Opened with :func:`open_target`.
        files: Path in the repository to a file or its content.
        parent: The commit that the card was read at, with :func:`read_card`.

    Raises:
        HubError: It could not be done, and the branch is what it was; 412: it was changed after ``parent``.
    """
    from huggingface_hub import CommitOperationDelete

    def attempt() -> tuple[Target, Any]:
        # Each attempt reads the state first: an earlier one may have arrived although its answer was lost.
        now = _reuse_open_pr(hub, target) if target.create_pr else target
        info = hub.api.repo_info(**now.about, revision=now.revision)
        names = [file.rfilename for file in info.siblings or []]
        stale = [name for name in names if name not in files and _is_removable(name, now.kind, names)]
        result = hub.api.create_commit(
            **now.about,
            operations=[*additions(files), *(CommitOperationDelete(name) for name in stale)],
            commit_message=now.commit_message,
            commit_description=now.description,
            revision=now.revision,
            create_pr=now.create_pr,
            parent_commit=parent if now is target else info.sha,
        )
        return now, result

    now, result = hub.retry(f"committing to {target.name}", attempt)
    page = strip_passwords(f"{hub.api.endpoint}/{target.url}")
    return Pushed(
        kind=target.kind,
        repo_id=target.repo_id,
        url=page,
        commit=result.oid,
        changed=result.oid != parent,
        private=bool(target.private),
        pr_url=result.pr_url or (f"{page}/discussions/{now.pr_number}" if now.pr_number else None),
        tag=None,
    )


def check_tag(hub: Hub, target: Target, files: Mapping[str, Path | bytes], parent: str) -> None:
    """Raise HubError if the tag exists and a commit of ``files`` on ``parent`` would be another one than it names."""
    if not target.tag or _commit_of_tag(hub, target) is None:
        return
    hashes = read_hashes(hub, target, files, parent)
    for name, content in files.items():
        if not is_content(content, hashes.get(name, "")):
            raise HubError(
                f"{target.name} has a tag {target.tag} already, and {name} has changed since.", "Choose another --tag."
            )


def list_commits(hub: Hub, target: Target) -> list[GitCommitInfo]:
    """Return the commits of the target's branch, newest first; none if there is no such branch."""
    where = target.about | {"revision": target.revision}
    what = f"reading the commits of {target.name}"
    if target.revision and not hub.retry(what, hub.api.revision_exists, **where):
        return []
    return list(hub.retry(what, hub.api.list_repo_commits, **where))


def is_of_user(hub: Hub, commit: GitCommitInfo) -> bool:
    """Return True for a push of the user who is logged in, of whichever run; merges and reverts of pushes are none."""
    return {*commit.authors} == {hub.user} and DESCRIPTION.fullmatch(commit.message.strip()) is not None


def is_of_run(commit: GitCommitInfo, target: Target) -> bool:
    """Return True for a push of the target's run, by whichever user; merges and reverts of pushes are none."""
    return bool(commit.message.strip() == target.description)


def read_hashes(hub: Hub, target: Target, names: Iterable[str], revision: str) -> dict[str, str]:
    """Return the Hub's hash of each of these files that a revision has."""
    if not (paths := list(names)):
        return {}
    there = hub.retry(
        f"reading {target.name}",
        lambda: list(hub.api.get_paths_info(**target.about, paths=paths, revision=revision)),
    )
    return {file.path: file.lfs.sha256 if file.lfs else file.blob_id for file in there}


def is_content(content: Path | bytes, there: str) -> bool:
    """Return True if a file has this hash on the Hub."""
    from huggingface_hub.utils.sha import git_hash

    if isinstance(content, Path) and len(there) == SHA256_DIGITS:
        return hash_file(content) == there
    return bool(git_hash(content if isinstance(content, bytes) else content.read_bytes()) == there)


def finish(hub: Hub, target: Target, pushed: Pushed) -> Pushed:
    """Do what follows a commit: tag it, and set who may see it.

    Raises:
        HubError: It could not be done, or the tag is on another commit.
    """
    if target.tag:
        tagged = _commit_of_tag(hub, target)
        if tagged not in (None, pushed.commit):
            raise _tag_taken(target)
        if tagged is None:
            new = {"tag": target.tag, "revision": pushed.commit, "exist_ok": True}
            hub.retry(f"tagging {target.name}", hub.api.create_tag, **target.about, **new)
    private = is_private(hub, target) if target.is_proposal else _set_visibility(hub, target)
    return replace(pushed, tag=target.tag, private=private)


def is_replaced(name: str, target: Target, files: Mapping[str, Path | bytes], names: list[str]) -> bool:
    """Return True if a push of these files replaces or removes the file of this name, next to those of ``names``."""
    return name in files or _is_removable(name, target.kind, names)


def _is_removable(name: str, kind: str, names: list[str]) -> bool:
    """Return True for a file of an earlier push; graphs without their note are of another tool."""
    path = PurePosixPath(name)
    if name in (GRAPHS_NOTE, *GRAPHS.values()):
        return kind == "model" and GRAPHS_NOTE in names
    return any(path.match(pattern) and name.count("/") == pattern.count("/") for pattern in REMOVABLE[kind])
