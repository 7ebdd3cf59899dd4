"""A pytest plugin: a program named nvidia-smi that answers as the driver's own does, for machines that have none."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

# The order of the answers is that of `machine.gpu.FIELDS` and the reasons for which the clocks were lowered.
ANSWER = "GPU-6f1a, NVIDIA GeForce RTX 4060, 550.54.15, 8188, 412, {temperature}, {reasons}"
SCRIPT = """#!/bin/sh
case "$*" in
  *{unknown}*) echo "Field is not a valid field to query." ; exit 2 ;;
  *--query-gpu*) echo "{answer}" ;;
  *) echo "| NVIDIA-SMI 550.54.15     Driver Version: 550.54.15    CUDA Version: 12.4 |" ;;
esac
"""


@pytest.fixture
def driver(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Put such a program first on the PATH; ``unknown`` is a query field that it does not understand."""

    def install(
        temperature: object = 61, reasons: str = "0x0000000000000000", unknown: str = "no-such-field", answer: str = ""
    ) -> Path:
        folder = tmp_path_factory.mktemp("driver")
        line = answer or ANSWER.format(temperature=temperature, reasons=reasons)
        program = folder / "nvidia-smi"
        program.write_text(SCRIPT.format(answer=line, unknown=unknown))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        return program

    return install
