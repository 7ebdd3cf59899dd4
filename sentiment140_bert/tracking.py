"""One tracked run from the first step to the last score. Nothing here ever prompts."""

from __future__ import annotations

import logging
import netrc
import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from sentiment140_bert.errors import first_line
from sentiment140_bert.run_dir import RunDir, write_json

log = logging.getLogger(__name__)
PROJECT = "sentiment140-bert"


@dataclass
class Tracked:
    """An open tracked run; without a tracker every method does nothing."""

    wandb_run: Any = None
    callbacks: list[Any] = field(default_factory=list)

    def scores(self, metrics: Mapping[str, Any]) -> None:
        """Adds the scores of every split to the run's summary, as ``split/metric``."""
        if self.wandb_run is None:
            return
        for split, values in metrics["splits"].items():
            numbers = {f"{split}/{name}": each["value"] for name, each in values.items() if _is_score(each)}
            self.wandb_run.summary.update(numbers | {f"{split}/n": values["n"]})


def _is_score(value: Any) -> bool:
    return isinstance(value, dict) and "value" in value


@contextmanager
def tracked(report_to: str, run: RunDir, name: str, config: Mapping[str, Any]) -> Iterator[Tracked]:
    """Opens the run's one tracked run, or goes on in it, and closes it at the end.

    Args:
        report_to: ``wandb`` or ``none``.
        run: Its ``tracking.json`` remembers the id.
        name: Shown by the tracker.
        config: What decided the run.
    """
    if report_to == "none":
        yield Tracked()
        return
    import wandb
    from transformers.integrations import WandbCallback

    callers: Any = wandb.run
    wandb_run, why_offline = (callers, "") if callers else _open(run, name, config)
    url = None if why_offline or wandb_run.offline else wandb_run.url
    write_json(run.tracking, {"wandb": {"id": wandb_run.id, "project": wandb_run.project, "url": url}})
    folder = Path(wandb_run.dir).parent
    exit_code = 1
    try:
        yield Tracked(wandb_run, [WandbCallback()])
        exit_code = 0
    finally:
        if not callers:  # a run that the caller opened is left open
            wandb_run.finish(exit_code=exit_code)
        if why_offline:
            log.info("wandb: kept offline (%s). To send it: wandb sync %s", why_offline, shlex.quote(str(folder)))


def _open(run: RunDir, name: str, config: Mapping[str, Any]) -> tuple[Any, str]:
    """The wandb run, and why it is offline (empty: it is not)."""
    import wandb

    known = run.read(run.tracking).get("wandb", {}) if run.tracking.is_file() else {}
    settings: dict[str, Any] = {
        "project": os.environ.get("WANDB_PROJECT", PROJECT),
        "name": name,
        "dir": str(run.path),
        "config": dict(config),
        "id": known.get("id"),
        "resume": "allow",
        "settings": wandb.Settings(silent=True, console="off"),
    }
    asked = os.environ.get("WANDB_MODE")
    why = "as WANDB_MODE says" if asked == "offline" else ""
    if asked != "disabled" and not why and not _has_credentials():
        why = "no credentials"
    if not why:
        try:
            return wandb.init(mode=asked, **settings), ""  # type: ignore[arg-type]
        except wandb.errors.Error as error:
            why = f"wandb could not be reached: {first_line(error)}"
    return wandb.init(mode="offline", **settings), why


def _has_credentials() -> bool:
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).netloc
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
