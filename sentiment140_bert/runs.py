"""What a run directory says of itself: its recipe, as it was and as it may be published."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sentiment140_bert.errors import RunError
from sentiment140_bert.history import entry_of, lines_of
from sentiment140_bert.recipe import FILE_SETTINGS, Recipe, load_recipe
from sentiment140_bert.run_dir import RunDir
from sentiment140_bert.trust import check_folder

log = logging.getLogger(__name__)
ELSEWHERE = ("report_to", "run_name")  # a run may go on being told to others, under another name
CHECKPOINT_FLAG = "--checkpoint-repo-id"
FILE_ENDINGS = (".csv", ".gz", ".zip", ".tsv", ".parquet", ".jsonl", ".yaml", ".yml")


def saved_recipe(path: Path) -> Recipe:
    """The recipe that a run was started with.

    Raises:
        RunError: There is none.
    """
    run = RunDir(path)
    check_folder(path)
    if not run.is_run():
        raise RunError(f"There is no run in {path}.", "Name the folder that `s140 train` wrote.")
    return load_recipe(str(run.recipe))


def differences(before: Recipe, now: Recipe) -> list[str]:
    """In what two recipes would not give the same run, a phrase for each setting."""
    then, today = before.to_dict(), now.to_dict()
    return [
        f"{key}: {then[section].get(key)!r} then, {value!r} now"
        for section in ("model", "data", "training")
        for key, value in today[section].items()
        if then[section].get(key) != value and key not in ELSEWHERE
    ]


def public(recipe: Recipe, base: str | None = None) -> Recipe:
    """The recipe as others may have it: without the folders of this machine and the place of its checkpoints.

    Args:
        recipe: Of a run.
        base: What the run noted as its base model's name; a relative folder cannot be told from a Hub id elsewhere.
    """
    names = {
        "model_name_or_path": base or recipe.model.model_name_or_path,
        **{name: getattr(recipe.data, name) for name in ("dataset", *FILE_SETTINGS)},
    }
    changed: dict[str, Any] = {key: without_folders(name) for key, name in names.items() if name}
    return recipe.with_values(changed | {"checkpoint_repo_id": None})


def without_checkpoint_repo(recipe: Recipe, what: str) -> Recipe:
    """The recipe for work that trains several models, which cannot share one repository of checkpoints; says so.

    Args:
        recipe: As it was given.
        what: Names the work, as in "a learning curve".
    """
    repo_id = recipe.tracking.checkpoint_repo_id
    if repo_id is None:
        return recipe
    log.warning("hub: %s trains several models; nothing is kept in %s, which is for one run", what, repo_id)
    return recipe.with_values({"checkpoint_repo_id": None})


def public_arguments(arguments: Sequence[str]) -> list[str]:
    """What followed ``s140``, as it may be published: no folders, and no place of checkpoints."""
    left: list[str] = []
    for word in arguments:
        before = left[-1] if left else ""
        if before == CHECKPOINT_FLAG or (before == "--set" and word.startswith("checkpoint_repo_id=")):
            left.pop()
        elif not word.startswith((f"{CHECKPOINT_FLAG}=", "--set=checkpoint_repo_id=")):
            left.append(word)
    return [without_folders(word) for word in left]


def without_folders(argument: str) -> str:
    """An argument of the command line; a path by its last part, as it may be published."""
    flag, equals, value = argument.rpartition("=")
    path = Path(os.path.expanduser(value))  # noqa: PTH111 - Path's own raises where there is no such user
    is_path = "/" in value and "://" not in value
    known = is_path and (path.is_absolute() or path.exists() or value.startswith(".") or value.endswith(FILE_ENDINGS))
    return f"{flag}{equals}{path.name}" if known else argument


def title_of(run: RunDir, recipe: Recipe) -> str:
    """The run's name, as trackers and cards show it."""
    return recipe.training.run_name or run.path.resolve().name


def history_of(run: RunDir) -> list[dict[str, Any]]:
    """The Trainer's log entries; a last line that a killed process did not finish is none.

    Raises:
        RunError: ``history.jsonl`` is damaged.
    """
    numbered = enumerate(lines_of(run.history), start=1)
    whole = {at: line for at, line in numbered if line.endswith(b"\n") and line.strip()}
    entries = {at: entry_of(line) for at, line in whole.items()}
    damaged = [at for at, entry in entries.items() if entry is None]
    if damaged:
        raise RunError(f"{run.history} is damaged: line {damaged[0]} is no log entry.", "Remove the damaged line.")
    return [entry for entry in entries.values() if entry]


def duration(seconds: float) -> str:
    """Seconds in the unit that a person would choose."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
