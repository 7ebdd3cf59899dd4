"""Prepare tweets for training and evaluation: read, clean, deduplicate, split, tokenize, cache and publish them.

Names are resolved on first use: importing the package loads neither pyarrow nor datasets.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sentiment140_bert.data.loading import PreparedData, load_data, load_splits, prepare, preview

__all__ = ["PreparedData", "load_data", "load_splits", "prepare", "preview"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.loading"), name)
