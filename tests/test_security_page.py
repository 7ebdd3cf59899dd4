"""SECURITY.md names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TESTS = re.compile(r"\]\((tests/[\w/]+\.py) \"([\w ]+)\"\)")  # a link whose title names the tests


def test_every_promise_names_tests_that_are_there() -> None:
    page = (ROOT / "SECURITY.md").read_text("utf-8")
    tables = re.findall(r"\| promise \| tests \|\n\|---\|---\|\n(.*?)\n\n", page, re.DOTALL)
    assert len(tables) > 1
    for line in "\n".join(tables).splitlines():
        named = [(file, test) for file, tests in TESTS.findall(line) for test in tests.split()]
        assert named, line
        for file, test in named:
            assert f"def {test}(" in (ROOT / file).read_text("utf-8"), f"{file}::{test}"
