"""A row that was read, a row that could not be, and what a model answered: plain values, which load nothing."""

from __future__ import annotations

from typing import Any, NamedTuple


class Row(NamedTuple):
    """A tweet as it was written. ``number`` is its line in a text file, its place in a table; both count from 1.

    ``label`` is empty where none is needed."""

    number: int
    text: str
    label: str = ""
    user: str | None = None
    time: str | None = None
    topic: str | None = None
    id: str | None = None


class BadRow(NamedTuple):
    """A row that cannot be used, and why; ``rows`` says how many lines of the file it swallowed."""

    number: int
    reason: str
    content: str
    rows: int = 1


class Answer(NamedTuple):
    """What became of a row of the input: a label and a score, or the ``error`` why it could not be read.

    ``row`` counts the rows from 1, ``id`` is that of the input, if it has ids."""

    row: int
    id: str | None
    text: str
    label: str | None = None
    score: float | None = None
    error: str | None = None

    def columns(self, key: str) -> dict[str, Any]:
        """Return the values by name, after ``key``: ``id`` or ``row``; ``error`` only where there is one."""
        names = (key, "text", "label", "score", *(["error"] if self.error else []))
        return {name: getattr(self, name) for name in names}
