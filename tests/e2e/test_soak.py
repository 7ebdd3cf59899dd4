"""Check that runs in one process, one after the other, leave nothing behind; scripts/soak.py is the long form."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest_plugins = "hub_fixtures"
SCRIPT = Path(__file__).parents[2] / "scripts" / "soak.py"


@pytest.fixture(scope="module")
def soak():
    """Load the script as a module."""
    spec = importlib.util.spec_from_file_location("soak", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.long
def test_four_runs_leave_no_more_than_two(encoder: Path, tmp_path: Path) -> None:
    """Check files, threads, processes and temporary files; four runs are too few to judge memory."""
    settings = {"model_name_or_path": encoder, "max_samples": 200, "validation_size": 40, "test_size": 40}
    settings |= {"eval_strategy": "steps", "eval_steps": 2, "save_strategy": "steps", "save_steps": 2}
    settings |= {"max_steps": 2, "report_to": "tensorboard"}
    words = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--runs", "4", *words],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    rows = re.findall(r"^(\d+)  [\d.]+  (\d+)  (\d+)  (\d+)  (\d+)$", done.stdout, re.MULTILINE)
    assert [row[0] for row in rows] == ["1", "2", "3", "4"], done.stdout + done.stderr
    assert rows[1][1:] == rows[2][1:] == rows[3][1:], done.stdout
    assert rows[3][3] == "0"  # child processes
    assert list(tmp_path.iterdir()) == []


def test_refuses_a_soak_that_cannot_fail(soak, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    for words in (["--runs", "1"], ["--runs", "2"], ["--warm-up", "0"], ["--warm-up", "50"]):
        monkeypatch.setattr(sys, "argv", ["soak.py", *words])
        with pytest.raises(SystemExit) as ended:
            soak.main()
        assert ended.value.code == 2
        assert "--warm-up must be at least 1" in capsys.readouterr().err, words


@pytest.mark.parametrize("name", ["files", "threads", "children", "temporary"])
def test_names_what_grows(soak, name: str) -> None:
    rows = [soak.Resources(700.0, 8, 5, 0, 1) for _ in range(5)]
    assert soak.find_growth(rows) == []
    assert soak.find_growth([*rows, rows[0]._replace(**{name: 9})]) == [
        f"{name}: {getattr(rows[0], name)} after the first runs, 9 at the end"
    ]


def test_memory_is_judged_by_its_slope(soak) -> None:
    rows = [soak.Resources(700 + 0.9 * run + 5 * (run % 2), 8, 5, 0, 1) for run in range(20)]
    assert soak.find_growth(rows) == []
    rows = [soak.Resources(700 + 1.5 * run, 8, 5, 0, 1) for run in range(20)]
    assert soak.find_growth(rows) == ["memory grows by 1.50 MiB a run; 1 are allowed"]
