"""Where each thing of a learning curve lies, and how far its trainings are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sentiment140_bert.run_dir import RunDir

FINISHED, FAILED, UNFINISHED, MISSING = "finished", "failed", "unfinished", "missing"


@dataclass(frozen=True)
class CurveDir:
    """Where each thing of a learning curve lies. ``path`` need not exist yet."""

    path: Path

    @property
    def plan(self) -> Path:
        """What is trained on what; written first."""
        return self.path / "plan.json"

    @property
    def failures(self) -> Path:
        """Why trainings failed, by the name of their folder."""
        return self.path / "failed.json"

    @property
    def curve(self) -> Path:
        """All numbers of table and picture."""
        return self.path / "curve.json"

    def run(self, size: int, seed: int) -> RunDir:
        """The run of a training."""
        return RunDir(self.path / "points" / f"size-{size}-seed-{seed}")

    def read(self, file: Path) -> dict[str, Any]:
        """A JSON file; empty where there is none.

        Raises:
            RunError: It is damaged.
        """
        if not file.is_file():
            return {}
        from sentiment140_bert.experiments.learning_curve import curve_shapes  # pydantic takes its time

        shape = {self.plan: curve_shapes.Plan, self.failures: curve_shapes.Failures}.get(file)
        return RunDir(self.path).read(file, shape)


def state_of(home: CurveDir, run: RunDir) -> str:
    """Of a training's run: finished, failed, unfinished or missing."""
    if run.is_finished():
        return FINISHED
    if run.path.name in home.read(home.failures):
        return FAILED
    return UNFINISHED if run.is_run() else MISSING
