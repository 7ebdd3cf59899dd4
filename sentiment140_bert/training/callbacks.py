"""Accompany the training steps: show progress, write the history, stop on a signal, keep order and random numbers."""

from __future__ import annotations

import json
import math
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from transformers import EarlyStoppingCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import SaveStrategy

from sentiment140_bert.files import open_to_append, write_text
from sentiment140_bert.progress import is_quiet, progress_bar
from sentiment140_bert.run import read_lines
from sentiment140_bert.schemas.history import parse_entry
from sentiment140_bert.training.batching import LengthGroupedBatches

Report = Callable[[int, float], bool]
Advance = Callable[[float], None]


class Progress(TrainerCallback):  # type: ignore[misc]
    """Show a bar with loss, learning rate, tweets per second and time left, or lines without a terminal or notebook.

    Append every log entry, with ``tweets_per_second`` added, to ``history`` as a line of JSON.

    Args:
        history: The run's ``history.jsonl``.
        tweets: The size of the training split.
        shown: False writes the history only.
    """

    def __init__(self, history: Path, tweets: int, shown: bool = True) -> None:
        self.shown = shown and not is_quiet()
        self.history = history
        self.tweets = tweets
        self.bar: Any = None
        self.started = (0.0, 0.0)

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.started = (time.perf_counter(), state.epoch or 0.0)
        if state.is_world_process_zero:
            self._forget_after(state.global_step)
            self.bar = progress_bar("train", state.max_steps, "steps", initial=state.global_step, shown=self.shown)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if self.bar is not None:
            self.bar.update(state.global_step - self.bar.n)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        if not state.is_world_process_zero or logs is None:
            return
        if "loss" in logs:
            since, epoch = self.started
            tweets = ((state.epoch or 0.0) - epoch) * self.tweets
            logs["tweets_per_second"] = round(tweets / (time.perf_counter() - since), 1)
        numbers = {name: float(value) for name, value in logs.items()}
        finite = {name: value if math.isfinite(value) else None for name, value in numbers.items()}
        entry = {"step": state.global_step, "time": round(time.time(), 3), **finite}
        with open_to_append(self.history) as file:
            file.write(json.dumps(entry).encode() + b"\n")
        if self.shown:
            self._show(logs, state)

    def _forget_after(self, step: int) -> None:
        """Drop entries after the checkpoint that is resumed from, whose steps are done again, and damaged lines.

        Raises:
            RunError: The history is not a regular file.
        """
        lines = read_lines(self.history)
        if lines:
            earlier = [line.decode().rstrip() for line in lines if _step_of(line) <= step]
            write_text(self.history, "".join(f"{line}\n" for line in earlier))

    def _show(self, logs: dict[str, Any], state: TrainerState) -> None:
        has_bar = self.bar is not None and not self.bar.disable
        if "loss" in logs:
            loss, speed = f"loss {logs['loss']:.4f}", f"{logs['tweets_per_second']:.0f} tweets/s"
            if has_bar:
                self.bar.set_postfix_str(f"{loss}, {speed}")
                return
            line = f"{loss}  lr {logs['learning_rate']:.2e}  {speed}"
        elif "eval_accuracy" in logs:
            line = f"validation: accuracy {logs['eval_accuracy']:.4f}  loss {logs['eval_loss']:.4f}"
        else:
            return
        if has_bar:
            self.bar.write(f"epoch {state.epoch:.2f}  {line}", file=sys.stderr)
        else:
            print(f"step {state.global_step}/{state.max_steps}  {line}", file=sys.stderr, flush=True)

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.close()

    def close(self) -> None:
        """End the bar, if there is one."""
        if self.bar is not None:
            self.bar.close()


class LossBreaksTies(TrainerCallback):  # type: ignore[misc]
    """Keep the checkpoint with the lower loss of two with the same validation score; Trainer keeps the first."""

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        score = (metrics or {}).get(f"eval_{str(args.metric_for_best_model).removeprefix('eval_')}")
        if metrics is None or score is None or score != state.best_metric:
            return
        losses = [
            entry["eval_loss"]
            for entry in state.log_history
            if "eval_loss" in entry and entry["step"] == state.best_global_step
        ]
        if losses and metrics["eval_loss"] < losses[-1]:
            # Trainer compares the score with this next, and writes the score itself here if it is better.
            state.best_metric = math.nextafter(score, -math.inf if args.greater_is_better else math.inf)


class EarlyStopping(EarlyStoppingCallback):  # type: ignore[misc]
    """End training after some evaluations in a row without a better score.

    Trainer saves their number in each checkpoint. It is read back here: Trainer would restore all callbacks or none,
    and with them the stop by a signal.
    """

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.early_stopping_patience_counter = 0
        if state.global_step:  # else it is the state of a failed attempt
            saved = state.stateful_callbacks.setdefault(type(self).__name__, self.state())
            self.early_stopping_patience_counter = saved["attributes"]["early_stopping_patience_counter"]

    def is_over(self) -> bool:
        """Return True if there were as many as training is to end after."""
        return bool(self.early_stopping_patience_counter >= self.early_stopping_patience)


class LogNotifier(TrainerCallback):  # type: ignore[misc]
    """Call ``notify`` after each log entry was written to the history."""

    def __init__(self, notify: Callable[[], None]) -> None:
        self.notify = notify

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if state.is_world_process_zero:
            self.notify()


def _step_of(line: bytes) -> float:
    entry = parse_entry(line)
    return math.inf if entry is None else float(entry["step"] or 0)


class StopOnSignal(TrainerCallback):  # type: ignore[misc]
    """On Ctrl-C or SIGTERM finish the step or the evaluation, write a checkpoint, and stop.

    A second Ctrl-C stops at once; SIGTERM, which a scheduler may send again and again, does not. ``received`` is the
    signal's number, None without one; ``agreed`` is True once all processes know of it and stop.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self.agreed = False
        self._before: dict[int, Any] = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            if number == signal.SIGTERM:
                return
            raise KeyboardInterrupt
        self.received = number
        print("\nstopping after this step; a checkpoint will be written …", file=sys.stderr, flush=True)

    def __enter__(self) -> StopOnSignal:
        if threading.current_thread() is threading.main_thread():  # Python lets no other one handle signals
            self._before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if self._is_received_by_any(args):
            self.agreed = True
            control.should_save = True
            if args.save_strategy == SaveStrategy.BEST:
                args.save_strategy = SaveStrategy.STEPS  # else Trainer would save only a better one
            control.should_training_stop = True

    on_evaluate = on_step_end  # the last one comes after the last step

    def _is_received_by_any(self, args: TrainingArguments) -> bool:
        """Return True if a signal came to this process or another: all must stop after the same step."""
        if args.world_size > 1:
            received = torch.tensor(self.received or 0, device=args.device)
            torch.distributed.all_reduce(received, torch.distributed.ReduceOp.MAX)
            self.received = int(received) or None
        return self.received is not None

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        # Trainer takes the stop for the end of an epoch; an evaluation in its middle would count for the best
        # checkpoint and draw random numbers, so that a resumed run would not be the undisturbed one.
        if self.agreed and not float(state.epoch or 0.0).is_integer():
            control.should_evaluate = False
            control.should_save = False


class EpochOrder(TrainerCallback):  # type: ignore[misc]
    """Set the epoch of the batches; in an epoch that several processes resume Trainer does not reach them."""

    def __init__(self, batches: LengthGroupedBatches) -> None:
        self.batches = batches

    def on_epoch_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.batches.set_epoch(int(state.epoch or 0))


class StepRandomness(TrainerCallback):  # type: ignore[misc]
    """Remember the states of the random generators at the start of each step."""

    def __init__(self) -> None:
        self.states: list[torch.Tensor] = []

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.states = [torch.get_rng_state(), *([torch.cuda.get_rng_state()] if torch.cuda.is_available() else [])]

    def restore(self) -> None:
        """Set the generators back to the start of the current step."""
        torch.set_rng_state(self.states[0])
        for state in self.states[1:]:
            torch.cuda.set_rng_state(state)


class EvaluationReporter(TrainerCallback):  # type: ignore[misc]
    """Report each evaluation's score and the progress of a training that is one of many; end it early if told so.

    ``values`` holds the scores by the number of the evaluation (1, 2, …); ``stopped`` is True if it was ended early.

    Args:
        metric: The Trainer's name for it, ``eval_accuracy``.
        report: Takes number and score, and returns True to end the training.
        values: Scores of the evaluations before the checkpoint that is resumed from.
        advance: Takes the share of the training that is done, after each step.
    """

    def __init__(
        self, metric: str, report: Report, values: dict[int, float] | None = None, advance: Advance | None = None
    ) -> None:
        self.metric = metric
        self.report = report
        self.values = dict(values or {})
        self.advance = advance
        self.stopped = False

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Forget what a resumed training will measure again: what is not in the Trainer's own log."""
        measured = sum(self.metric in entry for entry in state.log_history)
        self.values = {number: value for number, value in self.values.items() if number <= measured}

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if self.advance:
            self.advance(state.global_step / max(1, state.max_steps))

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        value = (metrics or {}).get(self.metric)
        if value is None:
            return
        number = len(self.values) + 1
        self.values[number] = float(value)
        if self.report(number, float(value)) and state.global_step < state.max_steps:
            self.stopped = control.should_training_stop = True
            control.should_save = False
