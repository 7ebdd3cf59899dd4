"""Track a run with TensorBoard: event files in the run directory."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sentiment140_bert import trust
from sentiment140_bert.errors import TrackerError
from sentiment140_bert.files import find_free_name
from sentiment140_bert.tracking.tracked_run import Point, RunStatus
from sentiment140_bert.tracking.tracker import Remember, Tracker

MOST_PIXELS = 16_000_000  # of a figure; decoded it takes 16 bytes for each


class Tensorboard(Tracker):
    """Event files; TensorBoard shows those of several processes as one run."""

    name = "tensorboard"
    how_to_name = "TENSORBOARD_LOGGING_DIR"

    def unnamed_place(self) -> str:
        folder = self.state.get("folder") or ""
        return "" if self._named_folder() or trust.is_known_place("tensorboard", folder) else folder

    def open(self, remember: Remember) -> None:
        from torch.utils.tensorboard import SummaryWriter

        earlier = self.state.get("folder")
        folder = earlier if earlier and trust.is_known_place("tensorboard", earlier) else self._find_new_folder()
        if folder:
            trust.remember_place("tensorboard", folder)
        self.writer: Any = SummaryWriter(folder or str(self.tracked_run.run.tensorboard))
        remember({"folder": folder or None})

    def points(self, points: Sequence[Point]) -> None:
        for point in points:
            self.writer.add_scalar(point.name, point.value, point.step, walltime=point.time)
        self.writer.flush()

    def file(self, name: str, content: bytes) -> None:
        step = self.tracked_run.last_step()
        if name.endswith(".png"):
            from matplotlib.image import imread

            # The header of a PNG: https://www.w3.org/TR/png-3/#11IHDR
            width, height = (int.from_bytes(content[at : at + 4], "big") for at in (16, 20))
            if width * height > MOST_PIXELS:
                raise TrackerError(f"{name} has {width:,} x {height:,} pixels", "No figure of this tool is so large")
            self.writer.add_image(name.removesuffix(".png"), imread(io.BytesIO(content)), step, dataformats="HWC")
        else:
            text = content.decode()
            self.writer.add_text(name, text if name.endswith(".md") else f"```\n{text}\n```", step)
        self.writer.flush()

    def scores(self) -> None:
        step = self.tracked_run.last_step()
        for name, value in self.tracked_run.scores().items():
            self.writer.add_scalar(name, value, step)
        self.writer.flush()

    def published(self) -> None:
        for kind, url in self.tracked_run.urls().items():
            self.writer.add_text(f"published/{kind}", url, self.tracked_run.last_step())
        self.writer.flush()

    def close(self, status: RunStatus) -> None:
        self.writer.close()

    def _find_new_folder(self) -> str | None:
        """Return the folder that the user names, with a number if there is one, which may be another run's."""
        folder = self._named_folder()
        return str(find_free_name(Path(folder))) if folder and os.path.lexists(folder) else folder

    def _named_folder(self) -> str | None:
        named = os.environ.get("TENSORBOARD_LOGGING_DIR")
        title = re.sub(r"[^\w.-]", "-", self.tracked_run.title).lstrip(".") or "run"  # never a path
        return str(Path(named).resolve() / title) if named else None
