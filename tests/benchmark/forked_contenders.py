"""A pytest plugin: commands of ``scripts/benchmarks`` in this process, and their contenders in forked processes.

That each contender has a new interpreter is the subject of ``test_alternation.py``; its contenders import nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner, Result

import benchmark
from command_line import FORKS


@pytest.fixture
def run_script() -> Callable[..., Result]:
    """Run the command of a script in this process."""

    def invoke(command: click.Command, *words: object, code: int = 0) -> Result:
        result = CliRunner().invoke(command, [str(word) for word in words], catch_exceptions=False)
        assert result.exit_code == code, result.output
        return result

    return invoke


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fork contenders from a process that has imported torch, which saves some seconds for each."""
    monkeypatch.setattr(benchmark, "multiprocessing", SimpleNamespace(get_context=lambda kind: FORKS))
