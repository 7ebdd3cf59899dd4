"""Hooks of MkDocs: the site starts with README.md, and has SECURITY.md; links to other files lead to the repository."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
PAGES = {"index.md": "README.md", "security.md": "SECURITY.md"}  # by their names on the site
LINK = re.compile(r"""(\]\(|\bsrc=")(?!https?://|#|mailto:)([^)"\s#]+)""")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are not in docs/."""
    for page, source in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text("utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Return a page's text with links that work on the site."""
    name = page.file.src_uri
    folder = posixpath.dirname(PAGES.get(name, f"docs/{name}"))
    on_site = {source: page for page, source in PAGES.items()}

    def relink(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, match[2]))
        if not (ROOT / target).exists():
            return match[0]  # MkDocs reports it
        address = on_site.get(target, target.removeprefix("docs/"))
        if address not in files.src_uris:
            address = f"{config.repo_url}/blob/main/{target}"
        return match[1] + address

    return LINK.sub(relink, markdown)
