"""A study in its store: trials are given out, each to one process; what a dead one had begun is given out again."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sentiment140_bert.errors import S140Error, StoreError
from sentiment140_bert.experiments.tune import owner, space, strategy
from sentiment140_bert.experiments.tune.identity import refuse_another

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from sentiment140_bert.experiments.tune.store import Store

log = logging.getLogger(__name__)
IDENTITY, OWNER, BEAT, REASON = "s140", "owner", "beat", "reason"
WAIT = 0.5  # seconds before it is looked again whether another process is ready
FINALS, SIGN = "finals", "finals_beat"  # the owner of what comes after the trials, and its sign of life


class TakenOver(S140Error):
    """Another process took this one for dead and goes on with its trial."""


@dataclass(frozen=True)
class Claim:
    """A trial that this process works on.

    Args:
        study: Its own.
        number: From 0.
        values: What is tried.
        known: Scores by the number of their evaluation, of one that was begun before.
        begun_before: Whether another process, or an earlier call, left it unfinished.
    """

    study: Study
    number: int
    trial_id: int
    values: dict[str, Any]
    known: dict[int, float]
    begun_before: bool

    def report(self, number: int, score: float) -> bool:
        """Keeps the score of an evaluation (1, 2, …), and says whether the trial is not worth going on with.

        Raises:
            TakenOver: It is no longer this process's.
            StoreError: The store does not answer.
        """
        with self.study.store.explained():
            self.study.refuse_if_lost(self)
            trial = self.study.trial(self)
            if number not in self.known:
                trial.report(score, number)
            return bool(trial.should_prune())

    def finish(self, score: float) -> None:
        """It came to its end."""
        self._tell("COMPLETE", score)

    def prune(self) -> None:
        """It was ended early."""
        self._tell("PRUNED", None)

    def fail(self, reason: str) -> None:
        """These values do not work: the trial counts, without a score."""
        self._tell("FAIL", None, reason)

    def release(self) -> None:
        """Leaves it to whoever comes next, unfinished."""
        with self.study.store.exclusive():
            if self.study.is_mine(self):
                self.study.optuna._storage.set_trial_user_attr(self.trial_id, OWNER, None)

    def _tell(self, state: str, score: float | None, reason: str = "") -> None:
        from optuna.trial import TrialState

        with self.study.store.exclusive():
            self.study.refuse_if_lost(self)
            if reason:
                self.study.optuna._storage.set_trial_user_attr(self.trial_id, REASON, reason)
            self.study.optuna.tell(self.number, score, state=TrialState[state])


class Study:
    """A study that this process works on.

    Args:
        store: Where it lies.
        name: Within the store.
        identity: What it is a study of: ``space``, ``recipe``, ``data``, ``metric``, ``direction``, ``sampler``,
            ``pruner`` and ``seed``. All processes must have the same.
        patience: Seconds without a sign of life, after which a process on another machine counts as dead.

    Raises:
        StoreError: A study of that name is there and is one of something else; the differences are told.
    """

    def __init__(self, store: Store, name: str, identity: Mapping[str, Any], patience: float = owner.PATIENCE) -> None:
        import optuna

        self.store = store
        self.name = name
        self.identity = identity
        self.me = owner.this_process()
        self.watch = owner.Watch(self.me, patience, one_machine=store.file is not None)
        with store.exclusive():
            known = name in optuna.get_all_study_names(store.optuna)
            self.optuna = optuna.create_study(
                storage=store.optuna,
                study_name=name,
                direction=identity["direction"],
                pruner=strategy.pruner(identity["pruner"]),
                load_if_exists=True,
            )
            before = self.optuna.user_attrs.get(IDENTITY)
            if before is None and known and self.trials():
                raise StoreError(
                    f"The study {name!r} in {store.place} was not made by this tool.", "Choose another --study-name."
                )
            if before is None:
                self.optuna.set_user_attr(IDENTITY, dict(identity))
        refuse_another(before, identity, f"The study {name!r} in {store.place}")

    def trials(self) -> list[FrozenTrial]:
        """All there are, by their numbers."""
        return list(self.optuna.get_trials(deepcopy=False))

    def take(self, planned: int, first: Mapping[str, Any] | None = None) -> Claim | None:
        """A trial to be worked on: one that was left unfinished, or a new one; None when all are given out.

        Args:
            planned: How many trials there are to be in the end.
            first: What the very first one tries; settings that are left away are chosen.

        Raises:
            StoreError: The store does not answer.
        """
        with self.store.exclusive():
            trials = self.trials()
            for each in trials:
                if each.state.name == "RUNNING" and self._is_left(each):
                    return self._claim(each.number, each._trial_id, begun_before=True)
            if not trials and first:
                self.optuna.enqueue_trial(dict(first))
                trials = self.trials()
            waiting = [each.number for each in trials if each.state.name == "WAITING"]
            if not waiting and len(trials) >= planned:
                return None
            self.optuna.sampler = self._sampler(waiting[0] if waiting else len(trials))
            trial = self.optuna.ask()
            return self._claim(trial.number, trial._trial_id, begun_before=False)

    def others(self) -> int:
        """How many trials other processes are at."""
        with self.store.explained():
            return sum(each.state.name == "RUNNING" and not self._is_left(each) for each in self.trials())

    def waited(self, until: float | None = None, finals: bool = False) -> bool:
        """Waits where all that is left is held by processes elsewhere of which no sign of life was seen yet: until one
        gives it or has been silent for too long.

        Args:
            until: As ``time.monotonic`` counts; it waits no longer than that.
            finals: For what comes after the trials, and not for a trial.

        Returns:
            Whether it has waited, and it is worth looking again; if not, others are known to be at work, or nothing is
            held by anybody.
        """
        told = False
        while silent := self._silent(finals):
            now = time.monotonic()
            if until is not None and now >= until:
                break
            if not told:
                log.info(
                    "tune: %s: begun by a process elsewhere; if it gives no sign of life within %g s it counts as dead",
                    ", ".join(silent),
                    self.watch.patience,
                )
            told = True
            pause = min(owner.BEAT, self.watch.patience)
            time.sleep(pause if until is None else min(pause, until - now))
        return told

    def _silent(self, finals: bool) -> list[str]:
        """What is held by processes of which nothing is known; nothing where there is no need to wait: one is known to
        live and goes on with the rest, or something can be taken now."""
        with self.store.explained():
            running = [each for each in self.trials() if each.state.name == "RUNNING"]
            states = {f"trial {each.number}": self._state(each.user_attrs) for each in running}
            if finals and set(states.values()) <= {owner.DEAD}:  # which were left by a budget of time
                attributes = self.optuna.user_attrs
                states = {"the comparison": self._state({OWNER: attributes.get(FINALS), BEAT: attributes.get(SIGN)})}
        blocked = owner.ALIVE in states.values() or (owner.DEAD in states.values() and not finals)
        return [] if blocked else [what for what, state in states.items() if state == owner.SILENT]

    def _state(self, attributes: Mapping[str, Any]) -> str:
        """Of the process that works on something. Without one it died while taking it."""
        theirs = attributes.get(OWNER)
        return self.watch.state(theirs, attributes.get(BEAT)) if theirs else owner.DEAD

    def take_finals(self) -> bool:
        """Whether what comes after the trials is this process's to do: nobody else works on the study any more."""
        with self.store.exclusive():
            if self.others():
                return False
            before = self.optuna.user_attrs.get(FINALS)
            if before and not self.watch.is_dead(before, self.optuna.user_attrs.get(SIGN)):
                return False
            self.optuna.set_user_attr(FINALS, self.me.to_plain())
            return True

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """What ``make`` gave the one process that made it; the others wait for it.

        Args:
            name: By which it is kept in the store.
            make: Gives something that JSON holds; if it raises, the next process makes it.
        """
        maker = f"{name}_{OWNER}"
        while True:
            with self.store.exclusive():
                attributes = self.optuna.user_attrs
                if name in attributes:
                    return attributes[name]
                theirs = attributes.get(maker)
                mine = not theirs or self.watch.is_dead(theirs, None)
                if mine:
                    self.optuna.set_user_attr(maker, self.me.to_plain())
            if mine:
                break
            time.sleep(WAIT)
        try:
            made = make()
        except BaseException:
            with self.store.exclusive():
                self.optuna.set_user_attr(maker, None)
            raise
        with self.store.exclusive():
            self.optuna.set_user_attr(name, made)
        return made

    def release_finals(self) -> None:
        """Leaves them to whoever comes next."""
        with self.store.exclusive():
            self.optuna.set_user_attr(FINALS, None)

    @contextmanager
    def alive(self, claim: Claim | None) -> Iterator[None]:
        """Shows the other processes that this one lives; ``claim`` is None for what comes after the trials."""
        ended = threading.Event()

        def beat() -> None:
            count = 0
            while not ended.wait(owner.BEAT):
                count += 1
                try:
                    self._sign(claim, f"{self.me.mark} {count}")
                except StoreError as error:  # the training itself will meet it where it matters
                    log.debug("tune: no sign of life: %s", error.message)

        thread = threading.Thread(target=beat, name="s140-alive", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def is_mine(self, claim: Claim) -> bool:
        """Whether a trial is still this process's to go on with."""
        now = self.optuna._storage.get_trial(claim.trial_id)
        theirs = now.user_attrs.get(OWNER) or {}
        return now.state.name == "RUNNING" and theirs.get("mark") == self.me.mark

    def refuse_if_lost(self, claim: Claim) -> None:
        """Raises TakenOver where it is not."""
        if not self.is_mine(claim):
            raise TakenOver(
                f"Trial {claim.number} was taken over by another process: this one gave no sign of life for too long.",
                "Nothing is lost: the other one finishes it. The same command takes part again.",
            )

    def trial(self, claim: Claim) -> Any:
        """Optuna's trial."""
        import optuna

        self.optuna.sampler = self._sampler(claim.number)
        return optuna.trial.Trial(self.optuna, claim.trial_id)

    def _claim(self, number: int, trial_id: int, begun_before: bool) -> Claim:
        """Makes it this process's; under the lock. Values that it has stay, others are chosen."""
        import optuna

        self.optuna.sampler = self._sampler(number)
        trial = optuna.trial.Trial(self.optuna, trial_id)
        values = space.suggested(trial, space.of_plain(self.identity["space"]))
        trial.set_user_attr(OWNER, self.me.to_plain())
        known = dict(self.optuna._storage.get_trial(trial_id).intermediate_values)
        return Claim(self, number, trial_id, values, known, begun_before)

    def _is_left(self, trial: FrozenTrial) -> bool:
        """Whether nobody works on a trial that is not finished."""
        return self._state(trial.user_attrs) == owner.DEAD

    def _sampler(self, number: int) -> Any:
        return strategy.sampler(self.identity["sampler"], self.identity["seed"], number)

    def _sign(self, claim: Claim | None, sign: str) -> None:
        with self.store.explained():
            if claim:
                self.optuna._storage.set_trial_user_attr(claim.trial_id, BEAT, sign)
            else:
                self.optuna.set_user_attr(SIGN, sign)
