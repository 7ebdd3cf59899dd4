"""Packages of npm for tests in a browser or in Node."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest


@cache
def install_package(package: str) -> Path:
    """Install a package into a temporary folder, running none of its scripts, and return its ``node_modules``."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed here")
    folder = Path(tempfile.mkdtemp(prefix="s140-npm-"))
    command = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", package]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
    if done.returncode:
        pytest.skip(f"npm cannot install {package} here: {done.stderr[-200:]}")
    return folder / "node_modules"
