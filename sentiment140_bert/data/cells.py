"""Texts in cells that a spreadsheet may open: none of them is computed there, and each comes back as it was."""

from __future__ import annotations

# A cell that begins so is taken for a formula (four of them as wide forms, too). The apostrophe is among them so that
# the one in front can always be taken away again.
FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "'", "＝", "＋", "－", "＠")


def as_cell(text: str) -> str:
    """The text with an apostrophe before it where a spreadsheet would compute it."""
    return f"'{text}" if text.startswith(FORMULAS) else text


def from_cell(cell: str) -> str:
    """What :func:`as_cell` was given."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULAS) else cell
