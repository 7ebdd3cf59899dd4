"""Recipes and command lines as they may be published: no folders of this machine, no place of its checkpoints."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sentiment140_bert.recipe import FILE_SETTINGS, Recipe

CHECKPOINT_FLAG = "--checkpoint-repo-id"
OUTPUT_FLAGS = ("--output-dir", "--output_dir")
FILE_ENDINGS: tuple[str, ...] = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".parquet", ".yaml", ".yml")
FILE_ENDINGS += (".gz", ".bz2", ".xz", ".zip")


def make_public(recipe: Recipe, base_model: str | None = None, is_on_hub: bool | None = None) -> Recipe:
    """Return a run's recipe as it may be published.

    Args:
        recipe: Recipe of the run.
        base_model: Base model as noted in the run; elsewhere a relative folder looks like a Hub id.
        is_on_hub: Whether the run's tweets came from the Hub, as noted in the run; None if it did not read them yet.
    """
    changes: dict[str, Any] = {
        name: Path(file).name for name in FILE_SETTINGS if (file := getattr(recipe.data, name)) is not None
    }
    changes["model_name_or_path"] = strip_folders(base_model or recipe.model.model_name_or_path)
    dataset = recipe.data.dataset
    if dataset and not is_on_hub:
        changes["dataset"] = strip_folders(dataset) if is_on_hub is None else Path(dataset).name
    return recipe.with_values(changes | {"checkpoint_repo_id": None})


def make_arguments_public(arguments: Sequence[str]) -> list[str]:
    """Return what followed ``s140`` on the command line, as it may be published."""
    public: list[str] = []
    for word in arguments:
        before = public[-1] if public else ""
        if before == CHECKPOINT_FLAG or (before == "--set" and word.startswith("checkpoint_repo_id=")):
            public.pop()
        elif not word.startswith((f"{CHECKPOINT_FLAG}=", "--set=checkpoint_repo_id=")):
            public.append(word)
    return [_strip_output_dir(word, before) for before, word in zip(["", *public], public, strict=False)]


def _strip_output_dir(argument: str, before: str) -> str:
    """Return an argument without folders; that of a run need not exist yet to be one."""
    if before in OUTPUT_FLAGS:
        return Path(argument).name
    flag, equals, value = argument.partition("=")
    return f"{flag}={Path(value).name}" if flag in OUTPUT_FLAGS and equals else strip_folders(argument)


def strip_folders(argument: str) -> str:
    """Return an argument of the command line, or its last part if it is a path."""
    flag, equals, value = argument.rpartition("=")
    path = Path(os.path.expanduser(value))  # noqa: PTH111 - Path's own raises where there is no such user
    is_path = "/" in value and "://" not in value
    is_local = path.is_absolute() or path.exists() or value.startswith(".") or value.endswith(FILE_ENDINGS)
    return f"{flag}{equals}{path.name}" if is_path and is_local else argument
