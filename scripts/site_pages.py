"""Hooks of MkDocs: the site starts with README.md, and has SECURITY.md; links to other files lead to the repository.

As long as pyproject.toml names no repository, such links become plain text.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from address import read_address
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
PAGES = {"index.md": "README.md", "security.md": "SECURITY.md"}  # by their names on the site
LINK = re.compile(r"""(\]\(|\bsrc=")(?!https?://|#|mailto:)([^)"\s#]+)""")
TEXT_LINK = re.compile(r"""\[([^\[\]]*)\]\((?!https?://|#|mailto:)([^)"\s#]+)[^)]*\)""")


def on_config(config: Any) -> Any:
    """Show the repository, if pyproject.toml names one."""
    config.repo_url = read_address()
    config.repo_name = "GitHub"
    return config


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

    def find(link: str) -> tuple[str, bool]:
        """Return the path of a linked file in the repository, and True if the site has no page of it."""
        target = posixpath.normpath(posixpath.join(folder, link))
        address = on_site.get(target, target.removeprefix("docs/"))
        return target, (ROOT / target).exists() and address not in files.src_uris

    def relink(match: re.Match[str]) -> str:
        target, is_elsewhere = find(match[2])
        if not (ROOT / target).exists():
            return match[0]  # MkDocs reports it
        if is_elsewhere:
            return f"{match[1]}{config.repo_url}/blob/main/{target}"
        return match[1] + on_site.get(target, target.removeprefix("docs/"))

    if not config.repo_url:
        markdown = TEXT_LINK.sub(lambda match: match[1] if find(match[2])[1] else match[0], markdown)
    return LINK.sub(relink, markdown)
