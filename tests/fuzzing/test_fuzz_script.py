"""scripts/fuzz.py: a saved input is tried within the limits that it was found in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
WITH_A_TARGET_OF_OURS = """
import resource, signal, sys
sys.path.insert(0, sys.argv[1])
import fuzz

class Limits:
    def check(self, given):
        assert given == b"saved"
        time = signal.getitimer(signal.ITIMER_PROF)[0]
        memory, _ = resource.getrlimit(resource.RLIMIT_AS)
        return f"{0 < time < 11} {0 < memory < 2**38}"

fuzz.target_of = lambda name, folder: Limits()
sys.argv = ["fuzz.py", "csv", "--input", sys.argv[2]]
fuzz.main()
"""


def test_a_saved_input_has_no_more_time_and_memory_than_any_other(tmp_path: Path) -> None:
    (tmp_path / "input").write_bytes(b"saved")
    command = [sys.executable, "-c", WITH_A_TARGET_OF_OURS, str(SCRIPTS), str(tmp_path / "input")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout == "True True\n", done.stderr
