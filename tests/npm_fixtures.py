"""A pytest plugin for tests that use packages of npm, in a browser or in Node."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

InstallPackage = Callable[[str], Path]


@pytest.fixture(scope="session")
def install_package(tmp_path_factory: pytest.TempPathFactory) -> InstallPackage:
    """Return a function that installs a package once, running none of its scripts, and returns ``node_modules``."""

    @cache
    def install(package: str) -> Path:
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("npm is not installed here")
        folder = tmp_path_factory.mktemp("npm")
        command = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", package]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
        if done.returncode:
            pytest.skip(f"npm cannot install {package} here: {done.stderr[-200:]}")
        return folder / "node_modules"

    return install
