"""Track a run with Trackio: on this machine, or in the user's own Space."""

from __future__ import annotations

import logging
import os
import re
import secrets
import tempfile
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sentiment140_bert import trust
from sentiment140_bert.errors import HubError, TrackerError
from sentiment140_bert.tracking.sync_state import has_key, make_id
from sentiment140_bert.tracking.tracked_run import Point, RunStatus
from sentiment140_bert.tracking.tracker import PROJECT, Remember, Tracker

log = logging.getLogger(__name__)
PUBLIC_HUB = "huggingface.co"


class Trackio(Tracker):
    """A Trackio run. Trackio identifies runs by their names, so a name here ends in something unique."""

    name = "trackio"
    public = ("id", "project", "url")
    durable_after = "next call"  # its own thread writes every half second
    how_to_name = "TRACKIO_SPACE_ID"

    def is_own(self) -> bool:
        return not self.state.get("id") or has_key(self.state)

    def unnamed_place(self) -> str:
        space = self.tracked_run.recipe.training.other_arguments.get("trackio_space_id") or ""
        if os.environ.get("TRACKIO_SPACE_ID") or trust.is_known_place("trackio_space_id", space):
            return ""
        owner = space.rpartition("/")[0]  # without one it is a Space of the login's
        return space if owner and owner not in _owners() else ""

    def open(self, remember: Remember) -> None:
        import trackio

        space = os.environ.get("TRACKIO_SPACE_ID") or self.tracked_run.recipe.training.other_arguments.get(
            "trackio_space_id"
        )
        if space:
            _check_endpoint(space)
            trust.remember_place("trackio_space_id", space)
        title = re.sub(r"[^\w.-]", "-", self.tracked_run.title)
        run_id = self.state.get("id")
        if not run_id:
            key = self.state.get("key") or secrets.token_hex(16)
            remember({"key": key})
            run_id = f"{title}-{make_id(key)}"
        project = self.state.get("project") or self.tracked_run.project or PROJECT
        url = f"https://huggingface.co/spaces/{space}" if space else None
        remember({"id": run_id, "project": project, "url": url})
        self.run: Any = trackio.init(
            project,
            name=run_id,
            group=self.tracked_run.settings.group,
            space_id=space,
            private=True if space else None,  # a new one, which gets the card and the names of repositories
            config={**self.tracked_run.config(), "tags": list(self.tracked_run.settings.tags)},
            resume="allow",
            embed=False,
            auto_log_gpu=None if self.tracked_run.live else False,
            auto_log_cpu=None if self.tracked_run.live else False,
        )

    def points(self, points: Sequence[Point]) -> None:
        for step, together in groupby(points, key=lambda point: point.step):
            self.run.log({point.name: point.value for point in together}, step=step)

    def file(self, name: str, content: bytes) -> None:
        import trackio

        if name.endswith(".png"):
            with tempfile.TemporaryDirectory(prefix="s140-") as folder:
                path = Path(folder) / Path(name).name
                path.write_bytes(content)
                self._log({name.removesuffix(".png"): trackio.Image(str(path))})
        else:
            text = content.decode()
            self._log({name: trackio.Markdown(text if name.endswith(".md") else f"```\n{text}\n```")})

    def scores(self) -> None:
        self._log(self.tracked_run.scores())

    def published(self) -> None:
        self._log({f"published/{kind}": url for kind, url in self.tracked_run.urls().items()})

    def close(self, status: RunStatus) -> None:
        self.run.finish()

    def _log(self, values: dict[str, Any]) -> None:
        self.run.log(values, step=self.tracked_run.last_step())


def _check_endpoint(space: str) -> None:
    """Refuse a Space of another Hub than the public one: Trackio would send that Hub's token to hf.space."""
    from huggingface_hub import constants

    if urlsplit(constants.ENDPOINT).hostname != PUBLIC_HUB:
        raise TrackerError(
            f"the Space {space} would be looked for on hf.space, but HF_ENDPOINT is {constants.ENDPOINT}",
            "Track on this machine: unset TRACKIO_SPACE_ID.",
        )


def _owners() -> set[str]:
    """Return the names of the Hub's user and organizations; none if the Hub does not name them."""
    from sentiment140_bert.hub import push
    from sentiment140_bert.hub.client import Hub

    hub = Hub()
    try:
        push.login(hub)
    except HubError as error:
        log.info("trackio: the Hub does not say who is logged in: %s", error.message)
    return hub.owners
