"""A pytest plugin: contenders of a benchmark in processes forked from one that has imported torch.

That each has a new interpreter is the subject of ``test_alternation.py``, with contenders that import nothing.
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from command_line import FORKS
from sentiment140_bert.benchmark import alternation


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fork contenders, which saves some seconds for each."""
    monkeypatch.setattr(alternation, "multiprocessing", SimpleNamespace(get_context=lambda kind: FORKS))
