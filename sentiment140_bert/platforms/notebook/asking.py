"""What a notebook asks of the person in front of it."""

from __future__ import annotations

import os
from typing import Any

PREFIX = "S140_NOTEBOOK_"


def widgets(dbutils: Any, **defaults: str) -> dict[str, str]:
    """The values of a notebook's text widgets, which are made if there are none yet.

    Args:
        dbutils: Databricks' own; None anywhere else, where ``S140_NOTEBOOK_<NAME>`` takes a widget's place.
        defaults: Name of each widget to its first value.

    Returns:
        Name to value, white space at both ends removed.
    """
    if dbutils is None:
        return {name: os.environ.get(PREFIX + name.upper(), value).strip() for name, value in defaults.items()}
    for name, value in defaults.items():
        dbutils.widgets.text(name, value)
    return {name: str(dbutils.widgets.get(name)).strip() for name in defaults}
