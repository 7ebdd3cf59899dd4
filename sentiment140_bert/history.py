"""The lines of ``history.jsonl``: a process that is killed leaves one that is cut off, and hands may leave others."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from sentiment140_bert.errors import RunError

LARGEST = 2**53  # a step; up to there a float tells whole numbers apart


def lines_of(file: Path) -> list[bytes]:
    """The lines of a ``history.jsonl``, the last one perhaps cut off; none where there is no such file.

    Raises:
        RunError: There is something else in its place.
    """
    if not file.exists():
        return []
    remedy = "Remove it: a run goes on without; its curves begin anew."
    if not file.is_file():  # opening a pipe would never end
        raise RunError(f"{file} is there and no regular file.", remedy)
    try:
        return file.read_bytes().splitlines(keepends=True)
    except OSError as error:
        raise RunError(f"{file} cannot be read: {error.strerror}.", remedy) from None


def entry_of(line: bytes) -> dict[str, float | None] | None:
    """The log entry in a line: ``step``, and numbers, None where one was not finite; None of a line that is none."""
    try:
        entry = json.loads(line.decode("utf-8"))  # bytes may be of other encodings, too
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict) or not _is_step(entry.get("step")):
        return None
    return entry if all(value is None or _is_number(value) for value in entry.values()) else None


def _is_step(value: Any) -> bool:
    return type(value) is int and 0 <= value <= LARGEST


def _is_number(value: Any) -> bool:
    """An integer of any length would not fit into a float."""
    return type(value) in (int, float) and -1e300 < value < 1e300 and math.isfinite(value)
