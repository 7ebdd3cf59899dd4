"""Write the repository's address into the pages that need it. [project.urls] in pyproject.toml is the one place of it.

python scripts/address.py
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = "scripts/colab/sentiment140_bert.ipynb"
BADGE = "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
LINK = re.compile(rf"\[notebook\]\((?:\.\./)?{re.escape(NOTEBOOK)}\)|{re.escape(BADGE)}\([^)]*\)")


def read_address(project: Path = ROOT / "pyproject.toml") -> str | None:
    """Return the address of the repository on GitHub; None as long as ``[project.urls]`` has no ``Repository``."""
    urls = tomllib.loads(project.read_text("utf-8"))["project"].get("urls", {})
    return str(urls["Repository"]) if "Repository" in urls else None


def write_address(root: Path) -> None:
    """Turn links to the notebook into badges that open it in Colab, and add the address to the citation."""
    address = read_address(root / "pyproject.toml") or ""
    repository = re.fullmatch(r"https://github\.com/([\w.-]+/[\w.-]+)", address)
    if not repository:
        sys.exit(
            f"pyproject.toml names {address or 'no repository'}. "
            'Add [project.urls] with Repository = "https://github.com/ACCOUNT/NAME".'
        )
    badge = f"{BADGE}(https://colab.research.google.com/github/{repository[1]}/blob/main/{NOTEBOOK})"
    for name in ("README.md", "docs/colab.md"):
        page = root / name
        page.write_text(LINK.sub(badge, page.read_text("utf-8")), "utf-8")
    citation = root / "CITATION.cff"
    text = re.sub(r"^repository-code: .*\n", "", citation.read_text("utf-8"), flags=re.MULTILINE)
    citation.write_text(text.replace("license: MIT\n", f"license: MIT\nrepository-code: {address}\n"), "utf-8")


if __name__ == "__main__":
    write_address(ROOT)
