"""The pages are a site: MkDocs builds it without a warning, and it loads nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("material", reason="the extra [docs] is not installed")

ROOT = Path(__file__).resolve().parents[1]


def test_the_site_is_built_strictly_and_loads_no_script_or_style_from_elsewhere(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    pages = sorted(tmp_path.rglob("index.html"))
    assert len(pages) == len(list(ROOT.glob("docs/*.md"))) + 2  # README.md and SECURITY.md
    for page in pages:
        assert (
            re.findall(r"<(?:script|link)[^>]+(?:src|href)=\"?https?://[^>]*(?:\.js|\.css)", page.read_text("utf-8"))
            == []
        )
