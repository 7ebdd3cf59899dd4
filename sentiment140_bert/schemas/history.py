"""The lines of ``history.jsonl``: the Trainer's log entries."""

from __future__ import annotations

import json
import math
from typing import Any

LARGEST_STEP = 2**53  # up to there a float tells whole numbers apart
LogEntry = dict[str, float | None]  # ``step``, and numbers; None stands for one that was not finite


def parse_entry(line: bytes) -> LogEntry | None:
    """Return the log entry in a line, or None without one."""
    try:
        entry = json.loads(line.decode("utf-8"))  # bytes may be of other encodings, too
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict) or not _is_step(entry.get("step")):
        return None
    return entry if all(value is None or _is_number(value) for value in entry.values()) else None


def _is_step(value: Any) -> bool:
    return type(value) is int and 0 <= value <= LARGEST_STEP


def _is_number(value: Any) -> bool:
    """Return True for a finite number; an integer of any length would not fit into a float."""
    return type(value) in (int, float) and -1e300 < value < 1e300 and math.isfinite(value)
