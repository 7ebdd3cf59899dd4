"""Paths as users type them."""

from __future__ import annotations

import os
from pathlib import Path

from sentiment140_bert.errors import S140Error, first_line
from sentiment140_bert.visible import shorten


def expand_path(name: str) -> Path:
    """Return the path that a name stands for; there need not be anything.

    Raises:
        S140Error: No file can have such a name, or nothing can be found out of it.
    """
    path = Path(os.path.expanduser(name))  # noqa: PTH111 - Path's own raises where there is no such user
    try:
        path.exists()
    except (OSError, ValueError) as error:
        message = f"{shorten(name)} cannot be a file or folder: {first_line(error)[:100]}."
        raise S140Error(message, "Check it.") from None
    return path
