"""The trainings of a learning curve: each an ordinary run in a folder of its own, made, gone on with, or kept."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sentiment140_bert.data import preparing
from sentiment140_bert.errors import Interrupted, S140Error
from sentiment140_bert.experiments import series
from sentiment140_bert.experiments.learning_curve.curve_dir import FAILED, CurveDir, state_of
from sentiment140_bert.recipe import Recipe
from sentiment140_bert.run_dir import RunDir, write_json

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Training:
    """One training of the curve: its recipe says all, ``max_train_samples`` and ``seed`` included."""

    home: CurveDir
    recipe: Recipe

    @property
    def size(self) -> int:
        return self.recipe.data.max_train_samples or 0

    @property
    def seed(self) -> int:
        return self.recipe.training.seed

    @property
    def run(self) -> RunDir:
        return self.home.run(self.size, self.seed)

    def state(self) -> str:
        """Whether it is finished, failed, unfinished or missing."""
        return state_of(self.home, self.run)

    def check(self, fingerprint: str) -> None:
        """Makes sure that what lies in its folder is this training.

        Raises:
            RunError: It was made by another recipe, or of other tweets.
        """
        series.check(self.run, self.recipe, fingerprint)

    def go(self, data: preparing.Data, keep_model: bool, arguments_given: list[str] | None) -> bool:
        """Trains it, or goes on with it; whether it came to its end.

        Args:
            data: Its own.
            keep_model: Else weights are removed when they were scored; checkpoints are in any case.
            arguments_given: What followed ``s140`` on the command line.

        Raises:
            Interrupted: A signal stopped it; a checkpoint is kept.
        """
        try:
            series.train(
                self.run,
                self.recipe,
                data,
                keep_model=keep_model,
                restart=self.state() == FAILED,
                hint="Finished points are kept; go on with the same command.",
                arguments_given=arguments_given,
            )
        except Interrupted:
            raise
        except S140Error as error:
            log.warning("curve: size %s, seed %d failed: %s", f"{self.size:,}", self.seed, error.message)
            self._note_failure({"reason": error.message, "hint": error.hint})
            return False
        self._note_failure(None)
        return True

    def _note_failure(self, why: Mapping[str, str] | None) -> None:
        known = self.home.read(self.home.failures)
        others = {name: each for name, each in known.items() if name != self.run.path.name}
        now = others | ({self.run.path.name: why} if why else {})
        if now != known:
            write_json(self.home.failures, now)


def trainings(
    home: CurveDir, recipe: Recipe, sizes: list[int], seeds: list[int], keep_models: bool
) -> Iterator[Training]:
    """Every training of a curve, the smallest sizes first."""
    name = home.path.resolve().name
    shared = {"group": recipe.tracking.group or name} | ({} if keep_models else {"log_model": False})
    for size in sizes:
        for seed in seeds:
            own = {"max_train_samples": size, "seed": seed, "run_name": f"{name}-size-{size}-seed-{seed}"}
            yield Training(home, recipe.with_values(shared | own))
