"""A study in Optuna's storage: which trial comes next, which process takes over a stopped one, and the result of each.

A trial of the study may take several of Optuna's trials, its attempts: where a process was stopped or killed, its
attempt fails without a reason, and Optuna's callback queues the next one with the same values and scores. The number of
the trial is a user attribute, which attempts inherit; so numbers, values and seeds are as if nothing had been stopped.
"""

from __future__ import annotations

import logging
import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sentiment140_bert.errors import Diverged, HardwareError, Interrupted, S140Error, StoreError, diverged
from sentiment140_bert.experiments.tune import space
from sentiment140_bert.experiments.tune.store import (
    GRACE,
    VERSION,
    Store,
    explain_damage,
    ignore_experimental,
    refuse_difference,
)
from sentiment140_bert.schemas.experiments import Importances, TrialRecord

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial, Trial

log = logging.getLogger(__name__)
NUMBER, REASON, IDENTITY = "number", "reason", "s140"  # attributes of an attempt, and of a study
ENOUGH = 4  # complete trials, before anything is said of what matters
STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running", "WAITING": "waiting"}


class NotNeeded(S140Error):
    """Another process has this trial: both asked for it at the same time."""


@dataclass(frozen=True)
class Attempt:
    """A trial that this process works on.

    Args:
        number: Number of the trial, from 0.
        values: The values tried, by setting.
        scores: Scores of earlier attempts, by number of the evaluation (1, 2, …).
        is_retry: An earlier attempt was stopped.
        trial: Optuna's.
    """

    number: int
    values: dict[str, Any]
    scores: dict[int, float]
    is_retry: bool
    trial: Trial

    def report(self, number: int, score: float) -> bool:
        """Store the score of an evaluation, and return True if the trial should be ended early.

        Raises:
            Diverged: It is not a finite number.
        """
        if not math.isfinite(score):
            raise diverged("its score is not a number")
        if number not in self.scores:
            self.trial.report(score, number)
        return bool(self.trial.should_prune())


class Study:
    """A study in its store.

    Args:
        store: The store of the study.
        name: Within the store.
        identity: What the study is about: ``space``, ``recipe``, ``data``, ``metric``, ``direction``, ``sampler``,
            ``pruner`` and ``seed``. All processes must have the same.

    Raises:
        StoreError: A study of that name is of something else, of an earlier version, of another tool or damaged.
    """

    def __init__(self, store: Store, name: str, identity: Mapping[str, Any]) -> None:
        import optuna

        self.store = store
        self.name = name
        self.identity = dict(identity) | {"version": VERSION}
        self.direction: str = identity["direction"]
        self.space = space.from_plain(identity["space"])
        what = f"The study {name!r} in {store.place}"
        with store.explain_errors(), explain_damage(what):
            self.optuna = optuna.create_study(
                storage=store.optuna,
                study_name=name,
                direction=identity["direction"],
                pruner=space.make_pruner(identity["pruner"]),
                load_if_exists=True,
            )
            before = self.optuna.user_attrs.get(IDENTITY)
            is_ours = before is not None or not self.optuna.get_trials(deepcopy=False)
            if not is_ours or [goal.name.lower() for goal in self.optuna.directions] != [identity["direction"]]:
                raise StoreError(f"{what} was not created by `s140 tune`.", "Choose another --study-name.")
            if before is None:
                self.optuna.set_user_attr(IDENTITY, self.identity)
        refuse_difference(before, self.identity, what)
        with store.explain_errors(), explain_damage(what):
            for trial in self.optuna.get_trials(deepcopy=False):
                self._check(trial)

    def list_trials(self) -> list[TrialRecord]:
        """Return the result of each trial, in the order of their numbers."""
        return [_make_record(number, attempts) for number, attempts in sorted(self._list_attempts().items())]

    def queue_next(self, planned: int, first: Mapping[str, Any] | None = None) -> bool:
        """Queue the next trial, one that was stopped before new ones; return False if there is nothing left to take.

        Args:
            planned: Total number of trials to run.
            first: Values of the very first one; settings without a value are sampled.

        Raises:
            StoreError: The store does not answer.
        """
        from optuna.storages import RetryHeartbeatStaleTrialCallback

        with self.store.explain_errors():
            self._fail_dead_attempts()
            trials = self._list_attempts()
            for attempts in trials.values():
                if all(map(_was_stopped, attempts)):
                    with ignore_experimental():
                        retry = RetryHeartbeatStaleTrialCallback(inherit_intermediate_values=True)
                    retry(self.optuna, attempts[-1])
                    return True
            if any(attempt.state.name == "WAITING" for attempts in trials.values() for attempt in attempts):
                return True
            number = 1 + max(trials, default=-1)
            if number < planned:
                self.optuna.enqueue_trial(dict(first or {}) if number == 0 else {}, user_attrs={NUMBER: number})
            return number < planned

    def run_next(self, objective: Callable[[Attempt], float]) -> None:
        """Take a trial from the queue and run it; values that do not work make it a failed one, with the reason.

        Args:
            objective: Returns the score. It may raise optuna.TrialPruned, and any S140Error: those that do not come
                from the values leave the trial to the next attempt.

        Raises:
            StoreError: The store does not answer.
        """
        from optuna.exceptions import UpdateFinishedTrialError

        stopped_by: BaseException | None = None

        def run(trial: Trial) -> float:
            nonlocal stopped_by
            try:
                return objective(self._begin(trial))
            except BaseException as error:
                stopped_by = error
                if isinstance(error, (HardwareError, Diverged)):
                    trial.set_user_attr(REASON, error.message)
                raise

        try:
            with self.store.explain_errors():
                self.optuna.optimize(run, n_trials=1, catch=(NotNeeded, HardwareError, Diverged))
        except (ValueError, AssertionError, UpdateFinishedTrialError) as error:  # Optuna's, of a trial that has ended
            if error is stopped_by and not isinstance(error, UpdateFinishedTrialError):
                raise
            if isinstance(stopped_by, (Interrupted, KeyboardInterrupt)):
                raise stopped_by from None
            log.warning(
                "tune: another process took over a trial because this one did not respond for %d s; "
                "nothing is lost, the other process finishes it",
                GRACE,
            )

    def count_running(self) -> int:
        """Return how many trials other processes are running."""
        with self.store.explain_errors():
            self._fail_dead_attempts()
            return sum(trial["state"] == "running" for trial in self.list_trials())

    def recall(self, name: str, make: Callable[[], Any]) -> Any:
        """Return the note of this name in the study; create it with ``make`` if it is missing."""
        with self.store.explain_errors():
            if name not in self.optuna.user_attrs:
                self.optuna.set_user_attr(name, make())
            return self.optuna.user_attrs[name]

    def rate_importances(self, trials: list[TrialRecord]) -> Importances:
        """Return how much of the scores' variance each setting explains, by fANOVA (Hutter, Hoos and Leyton-Brown
        2014): ``shares`` by setting, largest first, ``method`` and ``trials``; or ``refused``, a sentence."""
        import optuna

        scores = [trial["value"] for trial in trials if trial["state"] == "complete"]
        if len(scores) < ENOUGH:
            return {"refused": f"{len(scores)} complete trials do not tell which settings matter; it takes {ENOUGH}."}
        if len(set(scores)) == 1:
            return {"refused": "All complete trials have the same score, which does not tell which settings matter."}
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=self.identity["seed"])
        shares = optuna.importance.get_param_importances(self.optuna, evaluator=evaluator)
        plain = {name: float(share) for name, share in shares.items()}
        return {"shares": plain, "method": "fANOVA", "trials": len(scores)}

    def _list_attempts(self) -> dict[int, list[FrozenTrial]]:
        trials: dict[int, list[FrozenTrial]] = defaultdict(list)
        for attempt in self.optuna.get_trials(deepcopy=False):
            if attempt.user_attrs.get(NUMBER) is not None:
                trials[attempt.user_attrs[NUMBER]].append(attempt)
        return trials

    def _fail_dead_attempts(self) -> None:
        """Fail what dead processes were running; not while this one runs a trial."""
        import optuna

        with ignore_experimental():
            optuna.storages.fail_stale_trials(self.optuna)
        running = (optuna.trial.TrialState.RUNNING,)
        if self.optuna.get_trials(deepcopy=False, states=running):
            with self.store.alone() as alone:
                for trial in self.optuna.get_trials(deepcopy=False, states=running) if alone else ():
                    self.optuna.tell(trial.number, state=optuna.trial.TrialState.FAIL)

    def _begin(self, trial: Trial) -> Attempt:
        number = trial.user_attrs.get(NUMBER)
        attempts = self._list_attempts().get(number, [])
        earlier = [attempt for attempt in attempts if attempt.number < trial.number]
        if number is None or not all(map(_was_stopped, earlier)):
            trial.set_user_attr(NUMBER, None)
            raise NotNeeded("Another process is running this trial.")
        self.optuna.sampler = space.make_sampler(self.identity["sampler"], self.identity["seed"], number)
        scores = dict(earlier[-1].intermediate_values) if earlier else {}
        return Attempt(number, space.suggest(trial, self.space), scores, bool(earlier), trial)

    def _check(self, trial: FrozenTrial) -> None:
        """Raise an error of ``DAMAGED`` if this tool did not write a trial: a study may come from a stranger."""
        number, reason = (trial.user_attrs.get(name) for name in (NUMBER, REASON))
        fixed, history = trial.system_attrs.get("fixed_params", {}), trial.system_attrs.get("retry_history", [])
        numbers = [*trial.intermediate_values.values(), *([trial.value] if trial.value is not None else [])]
        is_sound = (
            isinstance(trial.number, int)
            and (number is None or (isinstance(number, int) and number >= 0))
            and (reason is None or isinstance(reason, str))
            and isinstance(history, list)
            and all(self.space[name].holds(value) for name, value in [*fixed.items(), *trial.params.items()])
            and trial.distributions == {name: space.get_distribution(self.space[name]) for name in trial.params}
            and all(math.isfinite(score) for score in numbers)
        )
        if trial.state.name in ("COMPLETE", "PRUNED"):
            is_sound &= trial.params.keys() == self.space.keys() and trial.duration is not None
            is_sound &= trial.state.name == "PRUNED" or trial.value is not None
        if not is_sound:
            raise ValueError(f"trial {trial.number} holds something that s140 does not write")
        if trial.datetime_start:
            trial.datetime_start.timestamp()


def _was_stopped(attempt: FrozenTrial) -> bool:
    """Return True if an attempt ended without a result, so that the trial needs another one."""
    return attempt.state.name == "FAIL" and attempt.user_attrs.get(REASON) is None


def _make_record(number: int, attempts: list[FrozenTrial]) -> TrialRecord:
    ended = [attempt for attempt in attempts if attempt.state.is_finished() and not _was_stopped(attempt)]
    last = ended[0] if ended else attempts[-1]
    state = "waiting" if _was_stopped(last) else STATES[last.state.name]
    started = attempts[0].datetime_start
    seconds = (
        (last.datetime_complete - started).total_seconds() if ended and started and last.datetime_complete else None
    )
    return TrialRecord(
        number=number,
        state=state,
        value=last.value if state in ("complete", "pruned") else None,
        values=dict(last.params),
        scores=[score for _, score in sorted(last.intermediate_values.items())],
        reason=last.user_attrs.get(REASON),
        started=started.isoformat(timespec="seconds") if started else None,
        seconds=None if seconds is None else round(seconds, 2),
    )


def find_best(trials: list[TrialRecord], direction: str) -> TrialRecord | None:
    """Return the best complete trial, the first of equal ones, or None.

    Args:
        trials: Trials to choose from.
        direction: maximize or minimize.
    """
    sign = -1 if direction == "maximize" else 1
    complete = [trial for trial in trials if trial["state"] == "complete" and trial["value"] is not None]
    return min(complete, key=lambda trial: (sign * (trial["value"] or 0.0), trial["number"]), default=None)


def count_states(trials: list[TrialRecord]) -> dict[str, int]:
    """Return how many trials there are in each state."""
    return {state: sum(trial["state"] == state for trial in trials) for state in STATES.values()}
