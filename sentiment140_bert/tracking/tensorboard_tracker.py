"""TensorBoard: event files in the run directory."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sentiment140_bert import trust
from sentiment140_bert.errors import TrackerError
from sentiment140_bert.tracking.story import Point, State
from sentiment140_bert.tracking.tracker import Remember, Tracker

MOST_PIXELS = 16_000_000  # of a figure; decoded it takes 16 bytes for each


class Tensorboard(Tracker):
    """Event files; those of a later process lie beside the first ones and are shown as one run."""

    name = "tensorboard"
    how_to_name = "TENSORBOARD_LOGGING_DIR"

    def unnamed_place(self) -> str:
        noted = self.known.get("folder") or ""
        return "" if self._named_folder() or trust.is_known_place("tensorboard", noted) else noted

    def open(self, remember: Remember) -> None:
        from torch.utils.tensorboard import SummaryWriter

        noted = self.known.get("folder")
        known = noted if noted and trust.is_known_place("tensorboard", noted) else self._named_folder()
        if known:
            trust.remember_place("tensorboard", known)
        self.writer: Any = SummaryWriter(known or str(self.story.run.tensorboard))
        remember({"folder": known or None})

    def points(self, points: Sequence[Point]) -> None:
        for point in points:
            self.writer.add_scalar(point.name, point.value, point.step, walltime=point.time)
        self.writer.flush()

    def file(self, name: str, content: bytes) -> None:
        step = self.story.last_step()
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
        step = self.story.last_step()
        for name, value in self.story.scores().items():
            self.writer.add_scalar(name, value, step)
        self.writer.flush()

    def published(self) -> None:
        for kind, url in self.story.urls().items():
            self.writer.add_text(f"published/{kind}", url, self.story.last_step())
        self.writer.flush()

    def close(self, state: State) -> None:
        self.writer.close()

    def _named_folder(self) -> str | None:
        named = os.environ.get("TENSORBOARD_LOGGING_DIR")
        return str(Path(named).resolve() / self.story.title) if named else None
