"""Name the files of a repository of checkpoints, and write and read its index: size and sha256 of every file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sentiment140_bert import schemas
from sentiment140_bert.errors import RunError
from sentiment140_bert.files import hash_file

INDEX = "checkpoints.json"
README = "README.md"
RUN_FILES = ("environment.json", "recipe.yaml", "data.json", "history.jsonl", "tracking.json")
MANIFEST, WEIGHTS, STATE = "complete.json", "model.safetensors", "trainer_state.json"
NEEDED = (MANIFEST, WEIGHTS, STATE)  # in each checkpoint
# Never `training_args.bin`: it is a pickle that nothing reads, and may hold private values.
CHECKPOINT_FILE = re.compile(
    r"complete\.json|config\.json|model\.safetensors|trainer_state\.json|optimizer\.pt|scheduler\.pt|scaler\.pt"
    r"|rng_state(?:_[0-9]{1,5})?\.pth|tokenizer\.json|tokenizer_config\.json|special_tokens_map\.json|vocab\.txt"
)
START_AGAIN = (
    "Name another --checkpoint-repo-id. --overwrite would start again: it replaces these checkpoints, and removes the "
    "run in --output-dir, too."
)
CHECKPOINT = re.compile(r"checkpoint-[1-9][0-9]{0,11}")


@dataclass(frozen=True)
class Stored:
    """The content of a repository at ``commit``: its newest checkpoint, and size and sha256 of each file."""

    commit: str
    newest: str
    files: Mapping[str, schemas.FileDigest]

    @property
    def step(self) -> int:
        """The step of the newest checkpoint."""
        return step_of(self.newest)

    @property
    def checkpoints(self) -> list[str]:
        """The names of the checkpoints, by their steps."""
        return sorted({name.partition("/")[0] for name in self.files if "/" in name}, key=step_of)


def step_of(checkpoint: str) -> int:
    """Return the step of a checkpoint by its name."""
    return int(checkpoint.removeprefix("checkpoint-"))


def is_allowed(name: str) -> bool:
    """Return True if a repository of checkpoints may hold a file of that name."""
    folder, slash, file = name.partition("/")
    if not slash:
        return name in (INDEX, README, *RUN_FILES)
    return bool(CHECKPOINT.fullmatch(folder) and CHECKPOINT_FILE.fullmatch(file))


def write_index(folder: Path, newest: str, sums: Mapping[str, schemas.FileDigest]) -> None:
    """Write the index of a folder that is about to become the content of a repository.

    Args:
        folder: Holds the files of the run, and of its checkpoints in folders of their own.
        newest: The name of the newest checkpoint.
        sums: Size and sha256 of files, as far as they are known.
    """
    files = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != INDEX:
            files[name] = sums.get(name) or schemas.FileDigest(size=path.stat().st_size, sha256=hash_file(path))
    (folder / INDEX).write_text(json.dumps({"format": 1, "newest": newest, "files": files}, indent=2) + "\n", "utf-8")


def write_readme(folder: Path, repo_id: str) -> None:
    """Tell people who find the repository what it is for."""
    (folder / README).write_text(
        "---\ntags: [s140-checkpoints]\n---\n"
        f"# Checkpoints\n\nThe newest checkpoint of a training by sentiment140_bert, kept here by "
        f"`s140 train --checkpoint-repo-id {repo_id}`. The same command resumes from it on any machine. Once the "
        f"training is finished it is no longer needed: `hf repos delete {repo_id}`\n",
        "utf-8",
    )


def read_index(content: bytes, commit: str, names: set[str], repo_id: str) -> Stored:
    """Read the index of a repository, which may have been written by anyone who can write to it.

    Args:
        content: The content of :data:`INDEX`.
        commit: The commit that it was read at.
        names: The names of the repository's files.
        repo_id: For messages.

    Raises:
        RunError: It is damaged, or names a file that does not belong there or is missing.
    """
    try:
        index = schemas.check_schema(json.loads(content), schemas.CheckpointIndex, INDEX)
    except (ValueError, RecursionError, RunError) as error:
        raise damaged(repo_id, f"{INDEX} cannot be read: {str(error).splitlines()[0].rstrip('.')}") from None
    stored = Stored(commit, index["newest"], index["files"])
    for name in stored.files:
        if not is_allowed(name) or name == INDEX:
            raise damaged(repo_id, f"{INDEX} names {name!r}, which is not a checkpoint file")
    needed = {f"{checkpoint}/{name}" for checkpoint in (*stored.checkpoints, stored.newest) for name in NEEDED}
    for name in sorted({*RUN_FILES[:4], *needed, *stored.files}):
        if name not in names or name not in stored.files:
            raise damaged(repo_id, f"{name} is missing")
    return stored


def damaged(repo_id: str, problem: str) -> RunError:
    """Return the error for a repository whose checkpoint cannot be used."""
    return RunError(
        f"The checkpoints in {repo_id} cannot be used: {problem}.",
        START_AGAIN,
    )
