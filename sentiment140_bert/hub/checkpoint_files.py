"""What a repository of checkpoints holds: names on a list, and an index with the sha256 of every file."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sentiment140_bert import shapes
from sentiment140_bert.errors import RunError

INDEX = "checkpoints.json"
README = "README.md"
# Of a run, in the order in which they are put into its directory.
RUN_FILES = ("environment.json", "recipe.yaml", "data.json", "history.jsonl", "tracking.json")
MANIFEST, WEIGHTS, STATE = "complete.json", "model.safetensors", "trainer_state.json"
NEEDED = (MANIFEST, WEIGHTS, STATE)  # in each checkpoint
# Never `training_args.bin`: it is a pickle that nothing reads, and may hold what is nobody's business.
CHECKPOINT_FILE = re.compile(
    r"complete\.json|config\.json|model\.safetensors|trainer_state\.json|optimizer\.pt|scheduler\.pt|scaler\.pt"
    r"|rng_state(?:_[0-9]{1,5})?\.pth|tokenizer\.json|tokenizer_config\.json|special_tokens_map\.json|vocab\.txt"
)
CHECKPOINT = re.compile(r"checkpoint-[1-9][0-9]{0,11}")
LONGEST_INDEX = 1 << 20  # bytes


@dataclass(frozen=True)
class File:
    """A file that belongs into the repository: large ones by their path, others as they are."""

    content: Path | bytes
    size: int
    sha256: str

    @classmethod
    def of(cls, content: bytes) -> File:
        return cls(content, len(content), hashlib.sha256(content).hexdigest())


@dataclass(frozen=True)
class Stored:
    """What a repository held at ``commit``: its newest checkpoint, and size and sha256 of each file."""

    commit: str
    newest: str
    files: Mapping[str, Any]

    @property
    def step(self) -> int:
        return step_of(self.newest)

    @property
    def checkpoints(self) -> list[str]:
        """Their names, by their steps."""
        return sorted({name.partition("/")[0] for name in self.files if "/" in name}, key=step_of)


def step_of(checkpoint: str) -> int:
    """The step of a checkpoint by its name."""
    return int(checkpoint.removeprefix("checkpoint-"))


def is_ours(name: str) -> bool:
    """Whether a file of that name can be one that this tool put into a repository of checkpoints."""
    folder, slash, file = name.partition("/")
    if not slash:
        return name in (INDEX, README, *RUN_FILES)
    return bool(CHECKPOINT.fullmatch(folder) and CHECKPOINT_FILE.fullmatch(file))


def index_of(newest: str, files: Mapping[str, File]) -> bytes:
    """The index that goes along with ``files``."""
    sums = {name: {"size": each.size, "sha256": each.sha256} for name, each in sorted(files.items())}
    return (json.dumps({"format": 1, "newest": newest, "files": sums}, indent=2) + "\n").encode()


def readme_of(repo_id: str) -> bytes:
    """What people who come across the repository should know."""
    return (
        "---\ntags: [s140-checkpoints]\n---\n"
        f"# Checkpoints\n\nThe newest checkpoint of a training by sentiment140_bert, kept here by "
        f"`s140 train --checkpoint-repo-id {repo_id}`. The same command goes on from it on any machine. Once the "
        f"training is finished it is not needed any more: `hf repos delete {repo_id}`\n"
    ).encode()


def read_index(content: bytes, commit: str, there: set[str], repo_id: str) -> Stored:
    """The index of a repository, which anybody may have written.

    Args:
        content: Of :data:`INDEX`.
        commit: It is of.
        there: The names of the repository's files.
        repo_id: For messages.

    Raises:
        RunError: It is no index, names a file that has no business here, or one that is not there.
    """
    try:
        index = shapes.checked(json.loads(content), shapes.CheckpointIndex, INDEX)
    except (ValueError, RecursionError, RunError) as error:
        raise damaged(repo_id, f"{INDEX} cannot be read: {str(error).splitlines()[0].rstrip('.')}") from None
    stored = Stored(commit, index["newest"], index["files"])
    for name in stored.files:
        if not is_ours(name) or name == INDEX:
            raise damaged(repo_id, f"{INDEX} names {name!r}, which is no file of a checkpoint")
    wanted = {f"{checkpoint}/{name}" for checkpoint in (*stored.checkpoints, stored.newest) for name in NEEDED}
    for name in sorted({*RUN_FILES[:4], *wanted, *stored.files}):
        if name not in there or name not in stored.files:
            raise damaged(repo_id, f"{name} is missing")
    return stored


def damaged(repo_id: str, what: str) -> RunError:
    """The error for a repository whose checkpoint cannot be gone on from."""
    return RunError(
        f"The checkpoints in {repo_id} cannot be used: {what}.",
        "Name another --checkpoint-repo-id, or start anew with --overwrite, which replaces them.",
    )
