"""Writes where the package is published into the badge, the notebook's install line and the documents.

python scripts/colab/address.py account/repository
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("scripts/colab/sentiment140_bert.ipynb", "docs/colab.md", "README.md", "mkdocs.yml")
ADDRESS = re.compile(r"(github(?:\.com)?/)[\w.-]+/sentiment140_bert\b")


def main(address: str) -> None:
    """Replaces the address in every page."""
    if not re.fullmatch(r"[\w.-]+/sentiment140_bert", address):
        sys.exit(f"{address!r} is not account/sentiment140_bert")
    for page in PAGES:
        file = ROOT / page
        text, count = ADDRESS.subn(rf"\g<1>{address}", file.read_text("utf-8"))
        file.write_text(text, "utf-8")
        print(f"{page}: {count}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit((__doc__ or "").strip())
    main(sys.argv[1])
