"""scripts/setup.sh and scripts/quickstart.sh, with programs of our own in the place of Python and ``s140``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest_plugins = "hub_fixtures"
ROOT = Path(__file__).resolve().parents[1]
# Makes an environment whose python notes what it is asked for.
PYTHON = """#!/bin/sh
if [ "$1 $2" = "-m venv" ]; then
  echo "$*" >> calls
  mkdir -p .venv/bin
  printf '#!/bin/sh\\necho "$*" >> calls\\n' > .venv/bin/python
  chmod 755 .venv/bin/python
  exit
fi
exec PYTHON_ITSELF "$@"
"""
INSTALLED = "-m pip install --quiet --disable-pip-version-check -c constraints.txt -e .[offline]"


def program(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(0o755)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Copy the scripts and what they read."""
    home = tmp_path / "clone"
    shutil.copytree(ROOT / "scripts", home / "scripts")
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, home)
    program(home / "python", PYTHON.replace("PYTHON_ITSELF", sys.executable))
    return home


def set_up(clone: Path) -> list[str]:
    """Run the setup, and return the commands that it called."""
    command = ["bash", "-c", ". scripts/setup.sh offline"]
    environment = os.environ | {"PYTHON": str(clone / "python")}
    done = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    calls = clone / "calls"
    heard = calls.read_text().splitlines() if calls.exists() else []
    calls.unlink(missing_ok=True)
    return heard


def test_an_environment_without_pip_gets_it_and_keeps_what_is_in_it(clone: Path) -> None:
    """Imitate a venv whose creation was cut off, or that another tool made."""
    program(clone / ".venv/bin/python", "#!/bin/sh\necho 'No module named pip' >&2\nexit 1\n")
    (clone / ".venv/left_over").write_text("")
    assert set_up(clone) == ["-m venv .venv", INSTALLED]


def test_creates_an_environment_once_and_installs_again_after_changes(clone: Path) -> None:
    assert set_up(clone) == ["-m venv .venv", INSTALLED]
    assert set_up(clone) == []
    (clone / "constraints.txt").write_text("")
    assert set_up(clone) == ["-m pip --version", INSTALLED]


@pytest.mark.long
def test_the_quickstart_does_not_touch_another_run(clone: Path, small_run: Path) -> None:
    """Put a run of other tweets into the folder that `s140 train --recipe quickstart` also uses."""
    run = Path(shutil.copytree(small_run, clone / "runs" / "quickstart"))
    (clone / "scripts" / "setup.sh").write_text('set -euo pipefail; cd "$(dirname "${BASH_SOURCE[0]}")/.."\n')
    program(clone / "bin" / "s140", f'#!/bin/sh\nexec {sys.executable} -m sentiment140_bert "$@"\n')
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    environment = os.environ | {"PATH": f"{clone / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    command = ["bash", "scripts/quickstart.sh"]
    done = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 1
    assert "holds a finished run that was started with another recipe" in done.stderr
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
