"""A pytest plugin for tests of what means harm: a file that comes to be if anything foreign is run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


class Canary:
    """An object whose pickle creates a file when it is opened."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.place,)


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """Return the path of a file that foreign code would create; check after the test that it does not exist."""
    place = tmp_path / "canary"
    yield place
    assert not place.exists()


@pytest.fixture
def code(canary: Path) -> bytes:
    """Python that makes the canary, whatever of it is imported."""
    return f"open({str(canary)!r}, 'w').close()\nclass Evil: pass\n".encode()
