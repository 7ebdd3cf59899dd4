"""One kind of progress bar for all long work, drawn on stderr where a person looks at it."""

from __future__ import annotations

import logging
import sys
from typing import Any

log = logging.getLogger("sentiment140_bert")
SHAPE = "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt}{unit}, {remaining} left{postfix}"


def progress_bar(
    name: str, total: int | None, unit: str = "", initial: int = 0, shown: bool = True, **options: Any
) -> Any:
    """Return a bar with what is done and the time left, on a terminal or below a cell of a notebook.

    It is not drawn where stderr is a file or a pipe, or where the logger ``sentiment140_bert`` was set to a level above
    INFO, as ``--quiet`` does.

    Args:
        name: What is being done, in a word.
        total: Units in all; None where they are not known.
        unit: Their name, in the plural.
        initial: Units that were done before.
        shown: False never draws it.
        options: Further arguments of ``tqdm``.
    """
    from tqdm import tqdm

    disable: bool | None = None  # on a terminal only
    if not shown or is_quiet():
        disable = True
    elif _in_notebook():
        disable = False
    unit = f" {unit}" if unit else ""
    interval = 0.5 if disable is False else 0.1
    shape: dict[str, Any] = {
        "bar_format": SHAPE if total else None,
        "mininterval": interval,
        "dynamic_ncols": True,
    } | options
    return tqdm(desc=name, total=total, unit=unit, initial=initial, disable=disable, **shape)


def is_quiet() -> bool:
    """Return True if the package's logger shows warnings and errors only."""
    return log.level > logging.INFO


def _in_notebook() -> bool:
    """Return True if stderr is shown below a cell: no terminal, but a carriage return redraws the line."""
    return type(sys.stderr).__module__.startswith("ipykernel.")
