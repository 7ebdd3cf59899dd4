"""Hook of hatchling: README.md as PyPI shows it, where links to other files must lead to the repository."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

LINK = re.compile(r"""(!\[[^\]]*\]\(|\bsrc="|\]\()(?!https?://|#|mailto:)([^)"\s]+)""")


class PypiReadme(MetadataHookInterface):
    """Set the description of the package."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add README.md to the project's metadata; its links stay as they are while ``[project.urls]`` is missing."""
        text = Path(self.root, "README.md").read_text("utf-8")
        if repository := metadata.get("urls", {}).get("Repository"):

            def complete(match: re.Match[str]) -> str:
                kind = "blob" if match[1] == "](" else "raw"
                return f"{match[1]}{repository}/{kind}/v{metadata['version']}/{match[2]}"

            text = LINK.sub(complete, text)
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
