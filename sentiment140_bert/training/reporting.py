"""What a training that is one of many tells while it goes on: its scores, which may end it, and how far it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

Report = Callable[[int, float], bool]
Advance = Callable[[float], None]


class Reported(TrainerCallback):  # type: ignore[misc]
    """Reports each evaluation's score; ends the training where the answer is that it is not worth going on.

    ``values`` holds the scores by the number of the evaluation (1, 2, …), ``stopped`` whether it was ended.

    Args:
        metric: As the Trainer names it, ``eval_accuracy``.
        report: Gets number and score, and says whether to stop.
        values: Scores of the evaluations before the checkpoint that is resumed from.
        advance: Gets the share of the training that is done, after each step.
    """

    def __init__(
        self, metric: str, report: Report, values: dict[int, float] | None = None, advance: Advance | None = None
    ) -> None:
        self.metric = metric
        self.report = report
        self.values = dict(values or {})
        self.advance = advance
        self.stopped = False

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Forgets what a resumed training will measure again; the Trainer's own log knows what it has measured."""
        done = sum(self.metric in entry for entry in state.log_history)
        self.values = {number: value for number, value in self.values.items() if number <= done}

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self.advance:
            self.advance(state.global_step / max(1, state.max_steps))

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        value = (metrics or {}).get(self.metric)
        if value is None:
            return
        number = len(self.values) + 1
        self.values[number] = float(value)
        if self.report(number, float(value)) and state.global_step < state.max_steps:
            self.stopped = control.should_training_stop = True
            control.should_save = False
