"""Recipes and command lines as they may be published: no folders of this machine, no place of its checkpoints."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sentiment140_bert.recipe import FILE_SETTINGS, Recipe, to_key
from sentiment140_bert.recipe.sections import TEACHER

# Settings that name places of the user's own, which others must not use, and need not to train the same.
OWN_PLACES = ("checkpoint_repo_id", "register_model", "parent_run", "trackio_space_id")
REPOSITORY_FLAGS = ("--repo-id", "--dataset-repo-id", "--space-repo-id")
PUBLISHING_FLAGS = ("--push-to-hub", "--private", "--public")
OUTPUT_FLAGS = ("--output-dir", "--output_dir")
PLACE_FLAGS = (*REPOSITORY_FLAGS, *(f"--{key.replace('_', '-')}" for key in OWN_PLACES))
VALUED_FLAGS = ("--set", *PLACE_FLAGS, *OUTPUT_FLAGS)  # whose value may be the next word
# An absolute path, one from the current or a home folder, of Windows, or of a file system with a name, such as dbfs:/.
LOCAL = re.compile(r"[/.~\\]|[A-Za-z]:\\|file:|(?!models:)[A-Za-z]\w*:/(?!/)")
# What precedes the last part of the name of a table, or of a model in MLflow's registry: catalog and schema.
QUALIFIERS = re.compile(r"^(table:|models:/)(?:[^/.@]+\.)+")
FILE_ENDINGS: tuple[str, ...] = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".parquet", ".yaml", ".yml")
FILE_ENDINGS += (".gz", ".bz2", ".xz", ".zip")


def make_public(
    recipe: Recipe, base_model: str | None = None, is_on_hub: bool | None = None, teacher: str | None = None
) -> Recipe:
    """Return a recipe as it may be published; that of a run by :func:`sentiment140_bert.run.make_run_public`.

    Args:
        recipe: Recipe of the run.
        base_model, teacher: As noted in the run; elsewhere, or once it is gone, a relative folder looks like a Hub id.
        is_on_hub: Whether the run's tweets came from the Hub, as noted in the run; None if it did not read them yet.
    """
    changes: dict[str, Any] = {
        name: Path(file).name for name in FILE_SETTINGS if (file := getattr(recipe.data, name)) is not None
    }
    base = strip_folders(base_model or recipe.model.model_name_or_path)
    changes["model_name_or_path"] = base if base != TEACHER else f"./{base}"  # a folder of this name, not the word
    if recipe.model.teacher:
        changes["teacher"] = strip_folders(teacher or recipe.model.teacher)
    dataset = recipe.data.dataset
    if dataset and not is_on_hub:
        changes["dataset"] = strip_folders(dataset if is_on_hub is None else Path(dataset).name)
    return recipe.with_values(changes | {"checkpoint_repo_id": None})


def make_arguments_public(arguments: Sequence[str]) -> list[str]:
    """Return what followed ``s140`` on the command line, as it may be published."""
    public: list[str] = []
    words = iter(arguments)
    for word in words:
        flag, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
        if word in VALUED_FLAGS:
            flag, equals, value = word, "", next(words, "")
        key = to_key(value.partition("=")[0]) if flag == "--set" else ""
        if flag in (*PLACE_FLAGS, *PUBLISHING_FLAGS) or key in OWN_PLACES:
            continue
        value = _make_value_public(flag, value)
        public += [flag, value] if flag and not equals and value else [f"{flag}{equals}{value}"]
    return public


def _make_value_public(flag: str, value: str) -> str:
    """Return a value without folders; that of a run need not exist yet to be one."""
    if flag in OUTPUT_FLAGS:
        return Path(value).name
    if flag == "--set":
        key, equals, value = value.partition("=")
        return f"{key}{equals}{strip_folders(value)}"
    return strip_folders(value)


def strip_folders(name: str) -> str:
    """Return a name; a file or folder of this machine without its folders, a table or registered model without schema.

    >>> strip_folders("models:/main.clients.sentiment/3")
    'models:/sentiment/3'
    """
    name = QUALIFIERS.sub(r"\1", name)
    parts = re.split(r"[/\\]", name.rstrip("/\\"))
    path = Path(os.path.expanduser(name))  # noqa: PTH111 - Path's own raises where there is no such user
    is_local = LOCAL.match(name) or ("://" not in name and (path.exists() or name.endswith(FILE_ENDINGS)))
    return parts[-1] if len(parts) > 1 and is_local else name
