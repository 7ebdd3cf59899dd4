"""What one process does for a study: trials as long as there are some, and the comparison if it is the last."""

from __future__ import annotations

import logging
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sentiment140_bert.errors import StoreError
from sentiment140_bert.experiments.tune import finals, trials
from sentiment140_bert.experiments.tune.results import write_best, write_results
from sentiment140_bert.experiments.tune.study_dir import TuningDir
from sentiment140_bert.experiments.tune.trials import Material
from sentiment140_bert.files import remove_leftovers
from sentiment140_bert.recipe import Recipe

if TYPE_CHECKING:
    from sentiment140_bert.experiments.tune.progress import Progress
    from sentiment140_bert.experiments.tune.study import Claim, Study

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Work:
    """What one process does for a study.

    Args:
        home: Of the tuning.
        study: In its store.
        recipe: Of the study.
        material: Of the trials.
        own: The recipe's own values of all settings.
        names: What the tracked runs share.
        arguments_given: What followed ``s140`` on the command line.
    """

    home: TuningDir
    study: Study
    recipe: Recipe
    material: Material
    own: dict[str, Any]
    names: dict[str, Any]
    arguments_given: list[str] | None

    def make_trials(self, planned: int, until: float | None) -> None:
        """Makes trials until all are given out or the time is over."""
        from sentiment140_bert.experiments.tune import space
        from sentiment140_bert.experiments.tune.progress import Progress

        self._remove_leftovers()
        done, best = self._state()
        ranges = space.of_plain(self.study.identity["space"])
        log.info("tune: %d of %d trials are done; %d settings are tuned", done, planned, len(ranges))
        progress = Progress(
            planned,
            done,
            self.study.identity["direction"] == "maximize",
            (best["number"], best["value"]) if best else None,
        )
        try:
            while until is None or time.monotonic() < until:
                claim = self.study.take(planned, space.within(ranges, self.own))
                if claim is None:
                    if self.study.waited(until):
                        continue
                    return
                self._make_one(claim, progress)
                with self.home.written_alone():
                    done, best = self._state()
                    if best:
                        write_best(self.home, self.recipe, best)
                progress.count(done)
        finally:
            progress.close()
        log.info("tune: the time is over")

    def results(self, final: dict[str, Any] | None = None) -> dict[str, Any]:
        """Writes them; not while another process does. The store is free meanwhile: it takes seconds."""
        with self.home.written_alone():
            return write_results(self.home, self.study, self.recipe, self.material.report, self.own, final)

    def compare(self, tuning: dict[str, Any], seeds: int, keep_models: bool) -> dict[str, Any]:
        """Compares the best values with the recipe, and returns the results, written anew; those that it was given
        where that is another's work. If another process finds better ones meanwhile, these are compared."""
        while self._may_compare():
            final = self._compared(tuning["best"], seeds, keep_models)
            tuning = self.results(final)
            if tuning["final"]:
                break
            log.info("tune: meanwhile trial %d has become the best", tuning["best"]["number"])
        return tuning

    def _may_compare(self) -> bool:
        while not self.study.take_finals():
            if not self.study.waited(finals=True):
                log.info("tune: other processes are still at work; the last of them makes the comparison")
                return False
        return True

    def _compared(self, best: dict[str, Any], seeds: int, keep_models: bool) -> dict[str, Any]:
        names = self.names | {"job_type": "final"}
        try:
            with self.study.alive(None):
                final = finals.compared(
                    self.home, self.recipe, best, self.own, seeds, keep_models, names, self.arguments_given
                )
        except BaseException:
            with suppress(StoreError):  # then the next process finds that this one is gone
                self.study.release_finals()
            raise
        self.study.release_finals()  # before anybody looks which is the best: who finds a better one later compares it
        return final

    def _remove_leftovers(self) -> None:
        """What a process left that was killed after its trial had ended, or while it was writing."""
        remove_leftovers(self.home.path)
        for each in self.study.trials():
            if each.state.is_finished():
                shutil.rmtree(self.home.trial(each.number).checkpoints, ignore_errors=True)

    def _state(self) -> tuple[int, dict[str, Any] | None]:
        """How many trials are finished, and the best of them."""
        from sentiment140_bert.experiments.tune import summary

        trials = summary.of_trials(self.study)
        counts = summary.counts(trials)
        done = sum(counts[state] for state in ("complete", "pruned", "failed"))
        return done, summary.best(trials, self.study.identity["direction"] == "maximize")

    def _make_one(self, claim: Claim, progress: Progress) -> None:
        from sentiment140_bert.experiments.tune.study import TakenOver

        run = self.home.trial(claim.number)
        title = f"{self.home.path.resolve().name}-{run.path.name}"
        names = self.names | {"run_name": title, "job_type": "trial", "log_model": False}
        chosen = trials.recipe_of(self.recipe, claim.values, names)
        progress.begun(claim.number, claim.values, claim.begun_before)
        try:
            with self.study.alive(claim):
                trials.attempt(claim, chosen, self.material, run, progress, self.arguments_given)
        except TakenOver as lost:
            log.warning("tune: %s %s", lost.message, lost.hint)
        except BaseException:
            with suppress(StoreError):  # then it is given out again once this process is gone
                claim.release()
            raise
