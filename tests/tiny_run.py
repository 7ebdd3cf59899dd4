"""The flags of a tiny training run, and the command line as a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

# 180 tweets in 6 steps an epoch, 60 to validate, 60 to test.
TINY = {
    "model-name-or-path": "bundled:minilm",
    "dataset": "sample",
    "max-samples": 300,
    "validation-size": 60,
    "test-size": 60,
    "num-train-epochs": 2,
    "learning-rate": 1e-4,
    "per-device-train-batch-size": 32,
    "logging-steps": 1,
    "report-to": "none",
}


def flags(**changes: Any) -> list[str]:
    """TINY as flags; ``changes`` are given with underscores."""
    chosen = TINY | {name.replace("_", "-"): value for name, value in changes.items()}
    return [word for name, value in chosen.items() for word in (f"--{name}", str(value))]


def process(*arguments: object, env: dict[str, str] | None = None, **options: Any) -> subprocess.Popen[str]:
    """The command line as a process of its own, with nothing on stdin."""
    return subprocess.Popen(
        [sys.executable, "-m", "sentiment140_bert", *map(str, arguments)],
        env=os.environ | (env or {}),
        **{
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "text": True,
        }
        | options,
    )


def signalled(started: subprocess.Popen[str], number: signal.Signals, at: str, timeout: int = 60) -> tuple[str, str]:
    """Sends a signal once a process begins a line with ``at``; what it printed, and what it said after that line."""
    for line in started.stderr:
        if line.startswith(at):
            started.send_signal(number)
            break
    return started.communicate(timeout=timeout)
