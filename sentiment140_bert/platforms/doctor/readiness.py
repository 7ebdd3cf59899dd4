"""Whether what a job needs beside the machine is there: logins (never their values), package versions."""

from __future__ import annotations

import importlib.metadata
import os
from typing import Any

DISTRIBUTION = "sentiment140-bert"


def logins() -> dict[str, bool]:
    """Which credentials are present; what they are is looked at by nobody."""
    from huggingface_hub import get_token

    return {
        "huggingface": get_token() is not None,
        "databricks": bool(os.environ.get("DATABRICKS_TOKEN") or os.environ.get("DATABRICKS_CLIENT_SECRET"))
        or os.path.isfile(os.path.expanduser(os.environ.get("DATABRICKS_CONFIG_FILE") or "~/.databrickscfg")),  # noqa: PTH111, PTH113 - no home, no error
        "mlflow_server": bool(os.environ.get("MLFLOW_TRACKING_URI")),
    }


def versions() -> list[dict[str, Any]]:
    """Each package that is needed: ``name``, ``wanted`` range, ``installed`` version or None, whether it ``fits``."""
    from packaging.requirements import Requirement

    found = []
    for line in importlib.metadata.requires(DISTRIBUTION) or []:
        wanted = Requirement(line)
        if wanted.marker and not wanted.marker.evaluate({"extra": ""}):
            continue
        try:
            installed: str | None = importlib.metadata.version(wanted.name)
        except importlib.metadata.PackageNotFoundError:
            installed = None
        fits = installed is not None and wanted.specifier.contains(installed, prereleases=True)
        found.append({"name": wanted.name, "wanted": str(wanted.specifier), "installed": installed, "fits": fits})
    return found
