"""Folders written by ``save_to_disk`` of datasets, which may come from anybody: they give no rows but their own."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment140_bert.errors import DataError, first_line

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

STATE, INFO, SPLITS = "state.json", "dataset_info.json", "dataset_dict.json"  # as datasets names them
# What datasets and we meet in files that make no sense.
SENSELESS = (ValueError, OSError, LookupError, TypeError, AttributeError, RecursionError)


def load(path: Path) -> Dataset | DatasetDict:
    """The dataset or the splits in a folder.

    Raises:
        DataError: It was not written by datasets, is damaged, or names what does not lie in it: datasets would open
            that, wherever it is, and wait for ever where it is a pipe.
    """
    from datasets import load_from_disk

    try:
        if (path / STATE).is_file() and (path / INFO).is_file():
            _check_dataset(path)
        elif (path / SPLITS).is_file():
            for name in _read(path / SPLITS)["splits"]:
                _check_dataset(_inside(path, SPLITS, name, stat.S_ISDIR))
        return load_from_disk(str(path))
    except SENSELESS as error:
        raise DataError(
            f"{path} is a directory, but no dataset saved by datasets: {first_line(error)}.",
            "Name a file in it, or a folder written by Dataset.save_to_disk.",
        ) from None


def _check_dataset(folder: Path) -> None:
    if not (folder / STATE).is_file():  # which datasets says, too
        return
    for each in _read(folder / STATE)["_data_files"]:
        _inside(folder, STATE, each["filename"], stat.S_ISREG)


def _inside(folder: Path, file: str, name: Any, is_kind: Callable[[int], bool]) -> Path:
    """What lies in a folder under a name that one of its files gives, and is no link to anywhere else."""
    plain = isinstance(name, str) and name not in ("", ".", "..") and not set(name) & set("/\\:\0")
    place = folder / str(name)
    if not plain or not is_kind(place.lstat().st_mode):
        raise DataError(
            f"{folder / file} names {str(name)[:200]!r}, which is no {'file' if is_kind is stat.S_ISREG else 'folder'} "
            "of its own in that folder.",
            "A saved dataset holds all that it names, without links: `cp -rL` copies one with what its links lead to.",
        )
    return place


def _read(file: Path) -> Any:
    return json.loads(file.read_text("utf-8"))
