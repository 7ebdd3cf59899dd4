"""The wheel or the source distribution, built from the checkout."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def build(kind: str, folder: Path, source: Path = ROOT) -> Path:
    """Build a ``wheel`` or ``sdist`` into an empty folder; return its file."""
    command = [sys.executable, "-m", "build", f"--{kind}", "--no-isolation", "--outdir", str(folder), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    (file,) = folder.iterdir()
    return file
