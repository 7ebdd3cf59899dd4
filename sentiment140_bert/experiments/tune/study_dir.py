"""Where each thing of a tuning lies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sentiment140_bert.errors import RunError
from sentiment140_bert.files import TEMPORARY
from sentiment140_bert.run import RunDir
from sentiment140_bert.training.volumes import is_volume
from sentiment140_bert.trust import check_folder


@dataclass(frozen=True)
class TuningDir:
    """Where each thing of a tuning lies. ``path`` need not exist yet."""

    path: Path

    @property
    def about(self) -> Path:
        """Which study it is, and of what; written first."""
        return self.path / "study.json"

    @property
    def store(self) -> Path:
        """The study itself, unless it lies on a server."""
        return self.path / "study.db"

    @property
    def best(self) -> Path:
        """The recipe with the best values so far."""
        return self.path / "best.yaml"

    @property
    def results(self) -> Path:
        """All numbers of table and pictures."""
        return self.path / "tuning.json"

    @property
    def figures(self) -> Path:
        return self.path / "figures"

    @property
    def page(self) -> Path:
        return self.path / "README.md"

    @property
    def tracked(self) -> RunDir:
        """What the trackers are told of the whole study."""
        return RunDir(self.path / "study")

    def trial(self, number: int) -> RunDir:
        """The run of a trial."""
        return RunDir(self.path / "trials" / f"trial-{number:04}")

    def final(self, name: str, seed: int) -> RunDir:
        """A run that is trained after the trials."""
        return RunDir(self.path / "final" / f"{name}-seed-{seed}")

    def read(self, file: Path) -> dict[str, Any]:
        """A JSON file; empty where there is none.

        Raises:
            RunError: It is damaged.
        """
        return RunDir(self.path).read(file) if file.is_file() else {}

    @contextmanager
    def written_alone(self) -> Iterator[None]:
        """One process at a time is within such a block, so that no older results are written over newer ones."""
        from filelock import FileLock

        self.path.mkdir(parents=True, exist_ok=True)
        with FileLock(self.path / f"{self.about.name}.lock"):
            yield

    def refuse_something_else(self) -> None:
        """Raises RunError where the folder is neither new nor a tuning's, or one that trials cannot be made in."""
        check_folder(self.path)
        if is_volume(self.path):
            raise RunError(
                f"{self.path} is on a volume, whose files cannot be appended to; trials need that.",
                "Choose an OUTPUT on a local disk, and copy it to the volume afterwards.",
            )
        if self.path.exists() and not self.path.is_dir():
            raise RunError(f"{self.path} is a file.", "Choose another OUTPUT.")
        if not self.path.is_dir() or self.about.is_file():
            return
        ours = (self.store.name, TEMPORARY)  # what a process that began just now has written by now
        if any(not each.name.startswith(ours) for each in self.path.iterdir()):
            raise RunError(f"{self.path} is not empty, and no tuning.", "Choose another OUTPUT.")
