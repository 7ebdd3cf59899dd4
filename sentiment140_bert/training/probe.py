"""Estimate the duration of a job from a few timed real steps."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from sentiment140_bert.recipe import TrainingConfig

STEPS = 25
WARM_UP = 3
SECONDS = 25.0  # after which no further step is begun, once there are LEAST
LEAST = WARM_UP + 3


class Timed(TrainerCallback):  # type: ignore[misc]
    """Time each step, then let the model be scored and saved once, and end the training.

    ``steps`` holds seconds; ``tweets_scored_per_second`` and ``saving`` (seconds) are None until they are measured.
    """

    def __init__(self) -> None:
        self.steps: list[float] = []
        self.tweets_scored_per_second: float | None = None
        self.saving: float | None = None
        self._began = self._last = time.perf_counter()

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.steps = []  # also of an attempt that ran out of memory
        self._began = self._last = _now()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        now = _now()
        self.steps.append(now - self._last)
        self._last = now
        enough = len(self.steps) >= LEAST and now - self._began > SECONDS
        if enough or state.global_step >= state.max_steps:
            control.should_training_stop = control.should_evaluate = control.should_save = True

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        self.tweets_scored_per_second = (metrics or {}).get("eval_samples_per_second")
        self._last = _now()

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.saving = _now() - self._last


def _now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


@dataclass(frozen=True)
class Estimate:
    """The seconds of a mean step; ``low`` and ``high`` are from the middle half of the measurements."""

    step: float
    low: float
    high: float
    median: float
    measured: int


def step_estimate(seconds: Sequence[float], tokens: Sequence[int]) -> Estimate:
    """Estimate the mean step of a job from some of its steps.

    A step has a cost, and one for each token; both are fitted by medians (Theil and Sen's line), so that a disturbed
    step counts no more than others.

    Args:
        seconds: The duration of each measured step, warm-up included.
        tokens: The tokens of every step of an epoch, padding included; the first ones are those that were measured.
    """
    took = np.asarray(seconds[WARM_UP:] or seconds[-1:])
    x = np.asarray(tokens[: len(seconds)][-len(took) :], dtype=float)
    first, second = np.triu_indices(len(x), 1)
    apart = x[first] != x[second]
    slopes = (took[second] - took[first])[apart] / (x[second] - x[first])[apart]
    slope = max(float(np.median(slopes)), 0.0) if len(slopes) else 0.0
    base = max(float(np.median(took - slope * x)), 0.0)
    step = base + slope * float(np.mean(tokens))
    off = took / (base + slope * x)
    low, high = (float(value) for value in np.quantile(off, (0.25, 0.75)))
    return Estimate(step, step * min(low, 1.0), step * max(high, 1.0), float(np.median(took)), len(took))


@dataclass(frozen=True)
class Job:
    """The parts of a job: optimizer steps, tweets scored in training, checkpoints written."""

    steps: int
    scored: int
    saves: int


def job_of(config: TrainingConfig, tweets_per_step: int, train: int, validation: int) -> Job:
    """Count the parts of a recipe's job.

    Args:
        config: The recipe's section.
        tweets_per_step: The global batch.
        train: The number of training rows.
        validation: The number of validation rows.
    """
    per_epoch = max(-(-train // tweets_per_step), 1)
    steps = config.max_steps if config.max_steps > 0 else math.ceil(config.num_train_epochs * per_epoch)
    epochs = math.ceil(steps / per_epoch)

    def times(strategy: str, every: float) -> int:
        between = math.ceil(every * steps) if every < 1 else int(every)
        return {"no": 0, "steps": steps // max(between, 1), "epoch": epochs, "best": epochs}[strategy]

    scored = times(config.eval_strategy, config.eval_steps or config.logging_steps)
    return Job(steps, scored * validation, times(config.save_strategy, config.save_steps))
