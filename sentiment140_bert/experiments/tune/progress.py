"""How far a study is: one bar for all trials with the best so far; plain lines without a terminal."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from tqdm import tqdm

log = logging.getLogger(__name__)


class Progress:
    """What is shown while trials are made.

    Args:
        planned: Trials in the end.
        finished: Those that are.
        maximize: Whether a greater score is better.
        best: Number and score of the best one so far.
    """

    def __init__(self, planned: int, finished: int, maximize: bool, best: tuple[int, float] | None) -> None:
        self.planned = planned
        self.maximize = maximize
        self.best = best
        self.done = finished
        self.number = 0
        shape = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
        self.bar: tqdm[Any] = tqdm(
            desc="tune", total=planned, initial=finished, bar_format=shape, disable=None, leave=False
        )

    def begun(self, number: int, values: Mapping[str, Any], before: bool) -> None:
        """A trial begins, or goes on."""
        self.number = number
        again = " (begun before)" if before else ""
        self._say(f"trial {number} ({self.done + 1} of {self.planned}){again}: {described(values)}")
        self.advance(0.0)

    def evaluated(self, number: int, score: float) -> None:
        """A trial was scored, and may go on."""
        self._say(f"trial {self.number}, evaluation {number}: {score:.4f}")

    def advance(self, share: float) -> None:
        """So much of the trial is done."""
        if not self.bar.disable:
            said = f"{self.done} of {self.planned}, trial {self.number}: {share:.0%}{self._best()}"
            self.bar.set_postfix_str(said, refresh=False)
            self.bar.update(max(0.0, self.done + share - self.bar.n))

    def finished(self, number: int, score: float) -> None:
        """A trial has a score."""
        better = self.best is None or (score > self.best[1] if self.maximize else score < self.best[1])
        if better:
            self.best = number, score
        self._ended(f"trial {number}: {score:.4f}{', the best so far' if better else self._best()}")

    def pruned(self, number: int) -> None:
        """A trial was ended early."""
        self._ended(f"trial {number}: ended early, not worth going on with{self._best()}")

    def failed(self, number: int, reason: str) -> None:
        """A trial's values do not work."""
        self._ended(f"trial {number} failed: {reason}")

    def count(self, finished: int) -> None:
        """So many are finished by now, those of other processes among them."""
        self.done = finished

    def close(self) -> None:
        """Takes the bar away."""
        self.bar.close()

    def _ended(self, line: str) -> None:
        self.done += 1
        self._say(line)

    def _best(self) -> str:
        return f" (best so far: {self.best[1]:.4f}, trial {self.best[0]})" if self.best else ""

    def _say(self, line: str) -> None:
        self.bar.clear()
        log.info("tune: %s", line)
        self.bar.refresh()


def described(values: Mapping[str, Any]) -> str:
    """Settings and values in a line."""
    return ", ".join(f"{name} {shown(value)}" for name, value in values.items())


def shown(value: Any) -> str:
    """A value with as many digits as people need."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
