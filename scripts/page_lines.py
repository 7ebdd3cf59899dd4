"""Text of generated Markdown pages, wrapped as the hand-written ones are."""

from __future__ import annotations

import textwrap


def wrap(text: str, first: str = "", other: str = "") -> str:
    """Return lines of at most 118 columns, apart from longer words; ``first`` and ``other`` begin the lines."""
    lines = textwrap.wrap(
        text, 118, initial_indent=first, subsequent_indent=other, break_long_words=False, break_on_hyphens=False
    )
    return "\n".join(lines) + "\n"


def list_item(text: str) -> str:
    """Return an item of a list."""
    return wrap(text, "- ", "  ")
