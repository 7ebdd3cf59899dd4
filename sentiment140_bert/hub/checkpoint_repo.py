"""Keep the newest checkpoint of one training in a private repository on the Hub, and nothing else."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sentiment140_bert import schemas, trust
from sentiment140_bert.credentials import strip_passwords
from sentiment140_bert.errors import HubError
from sentiment140_bert.files import hash_file
from sentiment140_bert.hub import push, secrets
from sentiment140_bert.hub.checkpoint_index import INDEX, README, Stored, damaged, is_allowed, read_index, step_of
from sentiment140_bert.hub.client import Hub

log = logging.getLogger(__name__)
GITATTRIBUTES = ".gitattributes"  # the Hub's own
RECIPE = "recipe.yaml"
OWN_COMMITS = ("initial commit", "s140 train: ")  # the Hub's own, and ours
LARGEST_INDEX = 1 << 20  # bytes
BINARY = (".safetensors", ".pt", ".pth")  # the other files are text, and searched for secrets
ELSEWHERE = "Name another one: --checkpoint-repo-id user/checkpoints"


class CheckpointRepo:
    """A repository of checkpoints. Its methods are called by one thread at a time.

    Args:
        hub: Logged in or not.
        repo_id: user/name.

    Raises:
        HubError: The name can be no repository's.
    """

    def __init__(self, hub: Hub, repo_id: str) -> None:
        push.check_name(repo_id, "--checkpoint-repo-id")
        self.hub, self.repo_id = hub, repo_id
        self.head: str | None = None  # the last commit that this process read or made
        self.large_files: set[str] = set()  # sha256 of those that any commit held
        self.has_warned_of_storage = False

    @property
    def url(self) -> str:
        """The address of its page."""
        return strip_passwords(f"{self.hub.api.endpoint}/{self.repo_id}")

    def open(self) -> None:
        """Make sure, before hours are spent, that there is a login, and a private repository to write to.

        Raises:
            HubError: There is not, or it holds something else.
        """
        log.info("hub: logged in as %s", push.login(self.hub))
        is_own = self.repo_id.partition("/")[0] in self.hub.owners
        if not is_own and not trust.is_known_place("checkpoint_repo_id", self.repo_id):
            raise HubError(
                f"A recipe names {self.repo_id} for checkpoints, which is not {self.hub.user}'s and was never named on "
                "this machine. Nothing is sent there, because the recipe may come from a stranger.",
                f"If you trust it, name it: --checkpoint-repo-id {self.repo_id}",
            )
        if not self.hub.retry(f"looking for {self.repo_id}", self.hub.api.repo_exists, self.repo_id):
            self.hub.retry(
                f"creating {self.repo_id}", self.hub.api.create_repo, self.repo_id, private=True, exist_ok=True
            )
        info = self._info()
        names = names_of(info) - {GITATTRIBUTES}
        if foreign := sorted(name for name in names if not is_allowed(name)):
            shown = ", ".join(ascii(name)[1:-1] for name in foreign[:3])
            raise HubError(f"{self.repo_id} holds something other than the checkpoints of a run: {shown}.", ELSEWHERE)
        if names and INDEX not in names:
            raise HubError(f"{self.repo_id} has no {INDEX}, so its files were not written by s140.", ELSEWHERE)
        push.open_target(self.hub, push.Target("model", self.repo_id))  # asks for the right to write
        self.head = info.sha

    def read(self) -> Stored | None:
        """Return what the repository holds now; None if it is empty.

        Raises:
            RunError: It is damaged.
            HubError: The Hub cannot be reached.
        """
        info = self._info()
        self.head = info.sha
        return self._stored_at(info)

    def fetch(self, stored: Stored, names: Iterable[str], folder: Path) -> list[Path]:
        """Download files into ``folder`` and check them; those that an earlier call downloaded are only checked.

        Raises:
            RunError: One is not as the index describes it.
            HubError: The Hub cannot be reached.
        """
        return [self._fetch_file(stored, name, folder) for name in names]

    def _fetch_file(self, stored: Stored, name: str, folder: Path) -> Path:
        path = folder / name
        if not _matches(path, stored.files[name]):
            self._download(name, revision=stored.commit, local_dir=folder)
        if not _matches(path, stored.files[name]):
            path.unlink()
            raise damaged(self.repo_id, f"{name} does not match {INDEX} (sha256 differs)")
        return path

    def _download(self, name: str, **place: Any) -> Path:
        what = f"fetching {name} of {self.repo_id}"
        return Path(self.hub.retry(what, self.hub.api.hf_hub_download, self.repo_id, name, **place))

    def keep(self, folder: Path) -> None:
        """Make the repository hold exactly the files of ``folder``, which has an index, in one commit.

        Raises:
            HubError: It could not be done, and the repository is what it was; or another machine is further.
            SecretError: A text file holds a secret.
        """
        index = json.loads((folder / INDEX).read_text("utf-8"))
        names = [*index["files"], INDEX]
        secrets.check_files((name, folder / name) for name in names if not name.endswith(BINARY))
        is_storage_unused = self.hub.retry(
            f"keeping {index['newest']} in {self.repo_id}", self._commit, folder, index["newest"], index["files"]
        )
        if is_storage_unused:
            self._free_storage()

    def _commit(self, folder: Path, newest: str, sums: dict[str, schemas.FileDigest]) -> bool:
        """Make the commit; return True if large files are no longer named by it.

        It reads the repository first: an earlier attempt may have arrived although its answer was lost.
        """
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete
        from huggingface_hub.utils.sha import git_hash

        info = self._look()
        if info.sha != self.head:
            other = self._stored_at(info)
            if other and other.files.get(RECIPE) != sums[RECIPE]:
                raise HubError(f"another run keeps its checkpoints in {self.repo_id}", ELSEWHERE)
            if other and other.step > step_of(newest):
                raise HubError(f"another machine keeps its checkpoints in {self.repo_id}, and is at step {other.step}")
        there = {file.rfilename: file for file in info.siblings or []}
        stale = [name for name in there if is_allowed(name) and name not in sums and name != INDEX]
        is_same = INDEX in there and there[INDEX].blob_id == git_hash((folder / INDEX).read_bytes())
        if is_same and sums.keys() <= there.keys() and not stale:
            self.head = info.sha
            return False
        names = [name for name in (*sums, INDEX) if name != README or README not in there]
        additions = [CommitOperationAdd(name, folder / name) for name in names]
        for addition in additions:
            name, sent = addition.path_in_repo, addition.upload_info
            if name != INDEX and (sent.size, sent.sha256.hex()) != (sums[name]["size"], sums[name]["sha256"]):
                raise HubError(f"{name} has changed since it was written.", "Is another program writing to the run?")
        commit = self.hub.api.create_commit(
            self.repo_id,
            [*additions, *(CommitOperationDelete(name) for name in stale)],
            commit_message=f"s140 train: {newest}",
            parent_commit=info.sha,
        )
        self.head = commit.oid
        return bool({file.lfs.sha256 for file in there.values() if file.lfs} - {sum["sha256"] for sum in sums.values()})

    def _free_storage(self) -> None:
        """Delete the commits of earlier checkpoints, and their large files, which count as storage for ever."""
        try:
            self.hub.retry(f"looking into {self.repo_id}", self._refuse_other_commits)
            only = {"commit_message": "s140 train: the newest checkpoint"}
            self.hub.retry(f"squashing {self.repo_id}", self.hub.api.super_squash_history, self.repo_id, **only)
            self.head = self._info().sha
            self.hub.retry(f"freeing storage of {self.repo_id}", self._delete_unused_files)
        except HubError as error:
            if not self.has_warned_of_storage:
                log.warning("hub: older checkpoints still count as storage: %s", error.message)
            self.has_warned_of_storage = True

    def _refuse_other_commits(self) -> None:
        """Raise HubError if a branch, a tag, a pull request or an earlier commit may name files that are not ours."""
        refs = self.hub.api.list_repo_refs(self.repo_id, include_pull_requests=True)
        others = [ref.name for ref in (*refs.branches, *refs.tags, *refs.converts, *(refs.pull_requests or []))]
        others.remove("main")
        commits = self.hub.api.list_repo_commits(self.repo_id)
        others += [commit.title for commit in commits if not commit.title.startswith(OWN_COMMITS)]
        if others:
            raise HubError(f"{self.repo_id} has other commits, which may name them: {others[0]!r}", ELSEWHERE)

    def _delete_unused_files(self) -> None:
        """Delete large files of earlier checkpoints, and old ones; new ones may be another machine's."""
        used = {file.lfs.sha256 for file in self._info().siblings or [] if file.lfs}
        yesterday = datetime.now(UTC) - timedelta(days=1)
        files = [file for file in self.hub.api.list_lfs_files(self.repo_id) if file.file_oid not in used]
        unused = [file for file in files if file.file_oid in self.large_files or file.pushed_at < yesterday]
        # After a squash no commit names them, so that no history is to be rewritten.
        self.hub.api.permanently_delete_lfs_files(self.repo_id, unused, rewrite_history=False)

    def _info(self) -> Any:
        """Return ``sha`` and ``siblings`` of the repository, which is private.

        Raises:
            HubError: It is public.
        """
        return self.hub.retry(f"looking into {self.repo_id}", self._look)

    def _look(self) -> Any:
        info = self.hub.api.repo_info(self.repo_id, files_metadata=True)
        if not info.private:
            raise HubError(
                f"{self.repo_id} is public, but checkpoints must stay private.",
                "Make it private on its page, or name a new one, which will be private.",
            )
        self.large_files |= {file.lfs.sha256 for file in info.siblings or [] if file.lfs}
        return info

    def _stored_at(self, info: Any) -> Stored | None:
        index = next((file for file in info.siblings or [] if file.rfilename == INDEX), None)
        if index is None:
            return None
        if (index.size or 0) <= LARGEST_INDEX and not index.lfs:
            path = self._download(INDEX, revision=info.sha)
            if path.stat().st_size <= LARGEST_INDEX:
                return read_index(path.read_bytes(), info.sha, names_of(info), self.repo_id)
        raise damaged(self.repo_id, f"{INDEX} is not a valid index")


def names_of(info: Any) -> set[str]:
    """Return the names of a repository's files."""
    return {file.rfilename for file in info.siblings or []}


def _matches(path: Path, expected: schemas.FileDigest) -> bool:
    return path.is_file() and path.stat().st_size == expected["size"] and hash_file(path) == expected["sha256"]
