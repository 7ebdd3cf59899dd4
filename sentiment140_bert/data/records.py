"""The plain values of a table's rows, and windows of rows whose memory is bounded however wide the rows are."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from sentiment140_bert.data.columns import BadRow, Row

VALUE = 64  # bytes that a value takes, its characters aside
LARGEST_WINDOW = 1 << 28  # bytes, about
Item = TypeVar("Item")


def add_record(row: Row | BadRow, values: Iterable[tuple[str, Any]]) -> Row | BadRow:
    """Return a row with the plain values of its columns, given as pairs of a name and a value."""
    if isinstance(row, BadRow):
        return row
    return row._replace(record={name: _simplify(value) for name, value in values})


def _simplify(value: Any) -> Any:
    """Return a value that JSON, CSV and Arrow can hold: lists and objects as JSON, others that JSON lacks as text."""
    if hasattr(value, "as_py"):  # a scalar of pyarrow, which is not imported to label texts
        value = value.as_py()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    text = json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, dict | list) else str(value)
    return text.encode("utf-8", "backslashreplace").decode()


def take_window(
    items: Iterator[Item], most: int, measure: Callable[[Item], int], largest: int = LARGEST_WINDOW
) -> list[Item]:
    """Return the next items, ``most`` of them or fewer if they are large: one more than ``largest`` allows at most."""
    window: list[Item] = []
    size = 0
    for item in items:
        window.append(item)
        size += measure(item)
        if len(window) == most or size > largest:
            break
    return window


def measure_row(row: Row | BadRow) -> int:
    """Return about how many bytes a row takes."""
    if isinstance(row, BadRow):
        return 4 * VALUE + len(row.content) + len(row.reason)
    return 8 * VALUE + len(row.text) + measure_record(row.record or {})


def measure_record(record: Mapping[str, Any]) -> int:
    """Return about how many bytes the plain values of a row take."""
    return sum(VALUE + len(value) if isinstance(value, str) else VALUE for value in record.values())
