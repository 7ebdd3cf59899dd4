"""Run the short form of scripts/torture.py, and check that the scripts name tests that exist."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def torture() -> ModuleType:
    spec = spec_from_file_location("torture", REPOSITORY / "scripts" / "torture.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.long
@pytest.mark.timeout(900)
def test_short_form_loses_nothing() -> None:
    ended = subprocess.run(
        [sys.executable, "scripts/torture.py", "--short"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    table = [re.split(r"\s{2,}", line) for line in ended.stdout.splitlines()]
    assert table[0] == ["case", "tried", "survived", "lost", "skipped", "seconds"]
    cases = {row[0]: row[1:4] for row in table[1:-1]}
    assert cases["killed at a random moment"] == ["4", "4", "0"]
    assert cases["damaged checkpoints"] == ["50", "50", "0"]
    assert cases["fuzzed: csv"] == ["2,000", "2,000", "0"]
    assert all(lost == "0" for _, _, lost in cases.values())
    assert table[-1][0].startswith("Lost: 0, of ")


def test_counts_losses(torture: ModuleType, tmp_path: Path) -> None:
    """Count failed tests, and tries that did not survive."""
    row = torture.count_survivors("some", iter([True, False, True]))
    assert (row.tried, row.survived) == (3, 2)
    (tmp_path / "test_two.py").write_text("import pytest\ndef test_a(): assert 0\ndef test_b(): pytest.skip('x')\n")
    row = torture.run_tests("tests", [str(tmp_path / "test_two.py")])
    assert (row.tried, row.survived, row.skipped) == (1, 0, 1)
    row = torture.run_tests("none", [str(tmp_path / "test_two.py"), "-k", "nothing_of_that_name"])
    assert (row.tried, row.survived) == (1, 0)


def test_long_form_names_tests_that_exist(torture: ModuleType) -> None:
    for selection in torture.TESTS.values():
        paths = [REPOSITORY / name for name in selection if name.startswith("tests/")]
        assert paths
        assert all(path.exists() for path in paths), selection


def test_lowest_versions_are_tried_with_tests_that_exist() -> None:
    script = (REPOSITORY / "scripts" / "minimal.sh").read_text("utf-8")
    (listed,) = re.findall(r"^tests=\(([^)]*)\)", script, re.MULTILINE)
    assert len(listed.split()) > 10
    assert [path for path in listed.split() if not (REPOSITORY / path).exists()] == []
