"""Whether what lies in the cache is whole: there it stays for months, and anybody may have been at it."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired

import pyarrow.compute as pc
from typing_extensions import TypedDict

from sentiment140_bert import shapes
from sentiment140_bert.data import saved
from sentiment140_bert.errors import S140Error

if TYPE_CHECKING:
    from datasets import DatasetDict

REPORT = "data.json"
PREPARED, TOKENIZED = "prepared", "tokenized"
DAMAGE = (S140Error, *saved.SENSELESS)  # what the functions here raise where something is not whole
# Of the system's errors these say nothing about what lies there.
TROUBLE = {
    *(errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE, errno.ENOMEM),
    *(errno.EIO, errno.ESTALE, errno.ETIMEDOUT),
}


class Split(TypedDict):
    """A split before it has tokens."""

    rows: shapes.Count
    sha256: shapes.Sha256


class Report(TypedDict):
    """What is used of the report of prepared splits."""

    sources: dict[str, shapes.Source]
    steps: dict[str, shapes.Count]
    splits: dict[str, Split]
    fingerprint: shapes.Sha256
    settings: shapes.Settings
    seed: int
    leakage: NotRequired[dict[str, shapes.Leakage]]
    suspects: NotRequired[shapes.Suspects]


class Lengths(shapes.Tokens):
    """All that is kept of a split's tokens."""

    min: shapes.Count
    p90: shapes.Count
    p99: shapes.Count
    mean: shapes.Number
    total: shapes.Count


SHAPES = {PREPARED: Report, TOKENIZED: dict[str, Lengths]}


def report_in(folder: Path, kind: str) -> dict[str, Any]:
    """The report of what was kept.

    Raises:
        DAMAGE: It is missing, no JSON, or lacks something.
    """
    report: dict[str, Any] = shapes.checked(json.loads((folder / REPORT).read_text("utf-8")), SHAPES[kind], REPORT)
    return report


def is_trouble(error: BaseException) -> bool:
    """Whether something could not be read for reasons that are not its own."""
    causes = (error, error.__context__)
    return any(isinstance(each, OSError) and each.errno in TROUBLE for each in causes)


def check_splits(folder: Path, kind: str, report: dict[str, Any], columns: list[str]) -> None:
    """Opens the splits, which reads no more than where their rows lie.

    Args:
        folder: Where they lie.
        kind: ``prepared`` or ``tokenized``.
        report: From :func:`report_in`.
        columns: That each must have.

    Raises:
        DAMAGE: One is missing, cannot be opened, or has not the rows or tokens that the report says.
    """
    splits: DatasetDict = saved.load(folder)
    described = report["splits"] if kind == PREPARED else report
    unsaid, missing = (
        {name for name in each if not name.endswith("neutral")}  # which may be told and not kept, or kept and not told
        for each in (splits.keys() - described.keys(), described.keys() - splits.keys())
    )
    if "published" in report:  # and not all of it was
        missing = set()
    if wrong := {"train"} - splits.keys() or missing or unsaid:
        raise ValueError(f"{', '.join(sorted(wrong))} is not there, or not in {REPORT}")
    for name, split in splits.items():
        if absent := [each for each in columns if each not in split.column_names]:
            raise ValueError(f"{name} has no column {absent[0]}")
        if name not in described:
            continue
        if kind == PREPARED:
            found, expected = len(split), described[name]["rows"]
        else:
            ids = split.data.table["input_ids"]
            found, expected = int(pc.sum(pc.list_value_length(ids)).as_py() or 0), described[name]["total"]
        if found != expected:
            raise ValueError(f"{name} holds {found:,} {'rows' if kind == PREPARED else 'tokens'}, not {expected:,}")
