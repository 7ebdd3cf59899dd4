"""A private repository on the Hub that keeps the newest checkpoint of one training, and of nothing else."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sentiment140_bert import trust
from sentiment140_bert.credentials import without_password
from sentiment140_bert.errors import HubError
from sentiment140_bert.hub import publish
from sentiment140_bert.hub.checkpoint_files import (
    INDEX,
    LONGEST_INDEX,
    README,
    File,
    Stored,
    damaged,
    index_of,
    is_ours,
    read_index,
    readme_of,
    step_of,
)
from sentiment140_bert.hub.client import Hub
from sentiment140_bert.run_dir import sha256_of

log = logging.getLogger(__name__)
GITATTRIBUTES = ".gitattributes"  # the Hub's own
ELSEWHERE = "Name another one: --checkpoint-repo-id user/checkpoints"


class CheckpointRepo:
    """One repository. Its methods are called by one thread at a time.

    Args:
        hub: Logged in or not.
        repo_id: user/name.

    Raises:
        HubError: The name can be no repository's.
    """

    def __init__(self, hub: Hub, repo_id: str) -> None:
        publish.check_name(repo_id, "--checkpoint-repo-id")
        self.hub, self.repo_id = hub, repo_id
        self.head: str | None = None  # the commit that we know
        self.seen: set[str] = set()  # sha256 of the large files that any commit of it held
        self.told_of_storage = False

    @property
    def url(self) -> str:
        """Its page."""
        return without_password(f"{self.hub.api.endpoint}/{self.repo_id}")

    def open(self) -> None:
        """Makes sure, before hours are spent, that there is a login, and a private repository to write to.

        Raises:
            HubError: There is not, or it holds something else.
        """
        log.info("hub: logged in as %s", publish.login(self.hub))
        if self.repo_id.partition("/")[0] not in self.hub.owners and not trust.is_known_place(
            "checkpoint_repo_id", self.repo_id
        ):
            raise HubError(
                f"A recipe names {self.repo_id} for checkpoints, which is not {self.hub.user}'s, and nobody on this "
                "machine has named it before. Nothing is sent there, for the recipe may come from somebody else.",
                f"If you trust it, name it: --checkpoint-repo-id {self.repo_id}",
            )
        target = publish.Target("model", self.repo_id, private=None)
        if not self.hub.patiently(f"looking for {self.repo_id}", self.hub.api.repo_exists, self.repo_id):
            self.hub.patiently(
                f"making {self.repo_id}", self.hub.api.create_repo, self.repo_id, private=True, exist_ok=True
            )
        info = self._info()
        foreign = sorted(name for name in names_of(info) if name != GITATTRIBUTES and not is_ours(name))
        if foreign:
            shown = ", ".join(ascii(name)[1:-1] for name in foreign[:3])
            raise HubError(f"{self.repo_id} holds something else than checkpoints of a training: {shown}.", ELSEWHERE)
        if names_of(info) - {GITATTRIBUTES} and INDEX not in names_of(info):
            raise HubError(f"{self.repo_id} has no {INDEX}, so its files are not this tool's.", ELSEWHERE)
        publish.open_target(self.hub, target)  # asks for the right to write
        self.head = info.sha

    def stored(self) -> Stored | None:
        """What is there now; None if nothing is.

        Raises:
            RunError: It is damaged.
            HubError: The Hub cannot be reached.
        """
        info = self._info()
        self.head = info.sha
        return self._stored_at(info)

    def text(self, stored: Stored, name: str, folder: Path) -> str:
        """One of the run's files, brought into ``folder``."""
        try:
            return self.bring(stored, [name], folder)[0].read_text("utf-8")
        except UnicodeDecodeError:
            raise damaged(self.repo_id, f"{name} is no text") from None

    def bring(self, stored: Stored, names: Iterable[str], folder: Path) -> list[Path]:
        """Files at the commit of ``stored``, brought into ``folder`` and checked. What a call that was cut off has
        brought there already is not fetched again.

        Raises:
            RunError: One is not what the index says.
            HubError: The Hub cannot be reached.
        """
        brought = []
        for name in names:
            wanted, path = stored.files[name], folder / name
            if not (path.is_file() and path.stat().st_size == wanted["size"] and sha256_of(path) == wanted["sha256"]):
                self._download(name, stored.commit, folder)
            if path.stat().st_size != wanted["size"] or sha256_of(path) != wanted["sha256"]:
                path.unlink()
                raise damaged(self.repo_id, f"{name} is not what {INDEX} says (its sha256 is another one)")
            brought.append(path)
        return brought

    def keep(self, newest: str, files: Mapping[str, File]) -> None:
        """Makes the repository hold exactly ``files``, in one commit; what is there already is not sent again.

        Raises:
            HubError: It could not be done, and the repository is what it was; or another machine is further.
        """
        everything = {**files, README: File.of(readme_of(self.repo_id))}
        everything[INDEX] = File.of(index_of(newest, everything))
        removed = self.hub.patiently(
            f"keeping {newest} in {self.repo_id}", self._commit, newest, everything, step_of(newest)
        )
        if removed:
            self._give_storage_back()

    def _commit(self, newest: str, files: Mapping[str, File], step: int) -> bool:
        """One attempt. It looks anew, for an earlier one may have arrived although its answer was lost.

        Returns:
            Whether files were removed that still count as the repository's.
        """
        from huggingface_hub import CommitOperationDelete

        info = self._look()
        if not info.private:
            raise HubError(f"{self.repo_id} is public now.", "Make it private again; checkpoints are not for others.")
        if info.sha != self.head:
            other = self._stored_at(info)
            if other and other.step > step:
                raise HubError(f"another machine keeps its checkpoints in {self.repo_id}, and is at step {other.step}")
        there = {each.rfilename: each for each in info.siblings or []}
        news = [_addition(name, each) for name, each in files.items() if not _is_same(there.get(name), each)]
        stale = [name for name in there if is_ours(name) and name not in files]
        replaced = any(each.lfs for name, each in there.items() if name in {op.path_in_repo for op in news})
        if news or stale:
            done = self.hub.api.create_commit(
                self.repo_id,
                [*news, *(CommitOperationDelete(name) for name in stale)],
                commit_message=f"s140 train: {newest}",
                parent_commit=info.sha,
            )
            self.head = done.oid
        else:
            self.head = info.sha
        return bool(stale) or replaced

    def _give_storage_back(self) -> None:
        """Forgets earlier commits and their large files, which would count as storage for ever."""
        try:
            self.hub.patiently(f"forgetting earlier commits of {self.repo_id}", self._squash)
            info = self._info()
            kept = {each.lfs.sha256 for each in info.siblings or [] if each.lfs}
            self.head = info.sha
            self.hub.patiently(f"freeing storage of {self.repo_id}", self._delete_all_but, kept)
        except HubError as error:
            if not self.told_of_storage:
                log.warning("hub: older checkpoints still count as storage: %s", error.message)
            self.told_of_storage = True

    def _squash(self) -> None:
        self.hub.api.super_squash_history(self.repo_id, commit_message="s140 train: the newest checkpoint")

    def _delete_all_but(self, kept: set[str]) -> None:
        """Deletes large files that ``kept`` does not name: those of earlier commits, and old ones. What is neither may
        be another machine's, sent and not yet committed."""
        yesterday = datetime.now(UTC) - timedelta(days=1)
        files = [each for each in self.hub.api.list_lfs_files(self.repo_id) if each.file_oid not in kept]
        gone = [each for each in files if each.file_oid in self.seen or each.pushed_at < yesterday]
        # After a squash no commit names them, so that no history is to be rewritten.
        self.hub.api.permanently_delete_lfs_files(self.repo_id, gone, rewrite_history=False)

    def _info(self) -> Any:
        """The repository now: ``sha``, ``private`` and ``siblings``.

        Raises:
            HubError: It is public.
        """
        info = self.hub.patiently(f"looking into {self.repo_id}", self._look)
        if not info.private:
            raise HubError(
                f"{self.repo_id} is public, and checkpoints are not for others.",
                "Make it private on its page, or name a new one: it is made, private.",
            )
        return info

    def _look(self) -> Any:
        info = self.hub.api.repo_info(self.repo_id, files_metadata=True)
        self.seen |= {each.lfs.sha256 for each in info.siblings or [] if each.lfs}
        return info

    def _stored_at(self, info: Any) -> Stored | None:
        index = next((each for each in info.siblings or [] if each.rfilename == INDEX), None)
        if index is None:
            return None
        if (index.size or 0) > LONGEST_INDEX or index.lfs:
            raise damaged(self.repo_id, f"{INDEX} is no index of a few lines")
        path = self.hub.patiently(
            f"reading {INDEX} of {self.repo_id}",
            self.hub.api.hf_hub_download,
            self.repo_id,
            INDEX,
            revision=info.sha,
        )
        if Path(path).stat().st_size > LONGEST_INDEX:
            raise damaged(self.repo_id, f"{INDEX} is no index of a few lines")
        return read_index(Path(path).read_bytes(), info.sha, names_of(info), self.repo_id)

    def _download(self, name: str, commit: str, folder: Path) -> None:
        self.hub.patiently(
            f"fetching {name} of {self.repo_id}",
            self.hub.api.hf_hub_download,
            self.repo_id,
            name,
            revision=commit,
            local_dir=folder,
        )


def names_of(info: Any) -> set[str]:
    """The names of a repository's files."""
    return {each.rfilename for each in info.siblings or []}


def _is_same(there: Any, file: File) -> bool:
    """Whether the Hub has it: it names large files by their sha256, others by git's hash."""
    from huggingface_hub.utils.sha import git_hash

    if there is None or there.size != file.size:
        return False
    if there.lfs:
        return bool(there.lfs.sha256 == file.sha256)
    content = file.content if isinstance(file.content, bytes) else file.content.read_bytes()
    return bool(there.blob_id == git_hash(content))


def _addition(name: str, file: File) -> Any:
    """What is sent of a file.

    Raises:
        HubError: It is not what it was when the checkpoint was written.
    """
    from huggingface_hub import CommitOperationAdd

    addition = CommitOperationAdd(name, file.content)
    sent = addition.upload_info
    if (sent.size, sent.sha256.hex()) != (file.size, file.sha256):
        raise HubError(f"{name} was changed while it was being sent.", "Is something else writing into the run?")
    return addition
