"""Whether what a job needs beside the machine is there: logins (never their values), trackers, package versions."""

from __future__ import annotations

import importlib.metadata
import netrc
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

TRACKERS = ("wandb", "mlflow", "trackio", "tensorboard")
DISTRIBUTION = "sentiment140-bert"


def logins() -> dict[str, bool]:
    """Which credentials are present; what they are is looked at by nobody."""
    from huggingface_hub import get_token

    return {
        "huggingface": get_token() is not None,
        "wandb": bool(os.environ.get("WANDB_API_KEY")) or _in_netrc(),
        "databricks": bool(os.environ.get("DATABRICKS_TOKEN") or os.environ.get("DATABRICKS_CLIENT_SECRET"))
        or Path(os.environ.get("DATABRICKS_CONFIG_FILE") or "~/.databrickscfg").expanduser().is_file(),
        "mlflow_server": bool(os.environ.get("MLFLOW_TRACKING_URI")),
    }


def _in_netrc() -> bool:
    host = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).netloc
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def trackers(report_to: str) -> dict[str, Any]:
    """``installed`` of the trackers, and ``used``: what a recipe's ``report_to`` comes to here."""
    installed = [name for name in TRACKERS if find_spec(name)]
    usual = "mlflow" if "DATABRICKS_RUNTIME_VERSION" in os.environ else "wandb"
    return {"installed": installed, "used": usual if report_to == "auto" else report_to}


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
