"""The memory of a process is its own, not that of the process that started it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sentiment140_bert.machine import usage

CHILD = "from sentiment140_bert.machine.usage import read_peak_memory; print(read_peak_memory())"
FAT = """
import subprocess, sys
held = b"x" * 400 * 2**20
subprocess.run([sys.executable, "-c", sys.argv[1]], check=True)
"""


@pytest.mark.skipif(usage._read_high_water_mark() is None, reason="this system tells no high-water mark")
def test_a_small_child_of_a_large_parent_reports_its_own_peak() -> None:
    output = subprocess.run([sys.executable, "-c", FAT, CHILD], check=True, capture_output=True, text=True).stdout
    assert 5 < int(output) < 200


def test_both_sources_agree_on_a_process_that_grew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use getrusage where /proc does not tell, as in gVisor and on macOS."""
    block = bytearray(b"x" * 300 * 2**20)
    peak = usage.read_peak_memory()
    monkeypatch.setattr(usage, "_read_high_water_mark", lambda: None)
    assert peak is not None
    assert peak > len(block) / 2**20
    assert usage.read_peak_memory() >= peak - 1
