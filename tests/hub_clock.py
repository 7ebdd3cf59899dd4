"""Replace the clock by which huggingface_hub and this package wait: the one private name of the Hub's client in use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def replace_clock(clock: Any, set_attribute: Callable[[Any, str, Any], None] = setattr) -> None:
    """Make the Hub's client and this package's take the time from ``clock``."""
    from huggingface_hub.utils import _http

    from sentiment140_bert.hub import client

    for module in (_http, client):
        set_attribute(module, "time", clock)
