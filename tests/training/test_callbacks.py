"""Test the callbacks: history, signals, the order of an epoch, random numbers, timing."""

from __future__ import annotations

import json
import math
import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sentiment140_bert.training import callbacks, probe
from sentiment140_bert.training.batching import LengthGroupedBatches, Share
from sentiment140_bert.training.callbacks import (
    EpochOrder,
    EvaluationReporter,
    LogNotifier,
    Progress,
    StepRandomness,
    StopOnSignal,
)

ALONE = SimpleNamespace(world_size=1, device="cpu", save_strategy="epoch")


def state(step: int = 0, **values: Any) -> SimpleNamespace:
    usual = {"global_step": step, "max_steps": 10, "epoch": None, "is_world_process_zero": True, "log_history": []}
    return SimpleNamespace(**(usual | values))


def control() -> SimpleNamespace:
    names = ("should_training_stop", "should_evaluate", "should_save")
    return SimpleNamespace(**dict.fromkeys(names, False))


def read(history: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in history.read_text("utf-8").splitlines()]


class Clock:
    """A clock that moves only when a test moves it."""

    def __init__(self) -> None:
        self.now = 100.0

    def perf_counter(self) -> float:
        return self.now

    def time(self) -> float:
        return 1_000_000 + self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    fake = Clock()
    for module in (callbacks, probe):
        monkeypatch.setattr(module, "time", fake)
    return fake


def test_tweets_per_second_count_from_the_resumed_step(tmp_path: Path, clock: Clock) -> None:
    history, expected = tmp_path / "history.jsonl", []
    for begins, ends, seconds in ((None, 0.5, 4.0), (0.5, 2.0, 10.0), (2.0, 2.25, 0.5)):
        progress = Progress(history, tweets=200, shown=False)
        clock.now += 3  # preparations
        progress.on_train_begin(None, state(1, epoch=begins), None)
        clock.now += seconds
        progress.on_log(None, state(1, epoch=ends), None, {"loss": 0.5})
        progress.on_log(None, state(1, epoch=ends), None, {"eval_loss": 0.5})
        progress.on_train_end(None, state(1), None)
        expected += [round((ends - (begins or 0)) * 200 / seconds, 1), None]
    assert [entry.get("tweets_per_second") for entry in read(history)] == expected


def test_a_log_entry_is_a_line_of_numbers_with_its_step_and_time(tmp_path: Path, clock: Clock) -> None:
    progress = Progress(tmp_path / "history.jsonl", tweets=1, shown=False)
    logs = {"eval_loss": math.nan, "low": -math.inf, "high": math.inf, "one": 1, "tensor": torch.tensor(0.5)}
    progress.on_log(None, state(7), None, logs)
    progress.on_log(None, state(8, is_world_process_zero=False), None, {"one": 2})
    progress.on_log(None, state(9), None, None)
    nothing = dict.fromkeys(("eval_loss", "low", "high"))
    assert read(progress.history) == [{"step": 7, "time": clock.time(), **nothing, "one": 1.0, "tensor": 0.5}]


@given(st.lists(st.integers(0, 9), max_size=12), st.integers(0, 9), st.booleans())
def test_steps_that_are_done_again_are_forgotten(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int], resumed: int, cut: bool
) -> None:
    """Keep all entries up to the resumed step, in their order."""
    history = tmp_path_factory.mktemp("history") / "history.jsonl"
    lines = [json.dumps({"step": step, "loss": at / 2}) + "\n" for at, step in enumerate(steps)]
    history.write_text("".join(lines) + ('{"step": 0, "lo' if cut else ""))
    Progress(history, tweets=1, shown=False).on_train_begin(None, state(resumed), None)
    assert history.read_text() == "".join(line for step, line in zip(steps, lines, strict=True) if step <= resumed)


def test_only_the_main_process_has_a_history_and_a_bar(tmp_path: Path) -> None:
    progress, history = Progress(tmp_path / "history.jsonl", tweets=1), '{"step": 5, "loss": 1.0}\n'
    progress.history.write_text(history)
    progress.on_train_begin(None, state(2, is_world_process_zero=False), None)
    progress.on_step_end(None, state(3, is_world_process_zero=False), None)
    progress.on_train_end(None, state(3), None)
    assert (progress.history.read_text(), progress.bar) == (history, None)
    calls: list[int] = []
    for main in (True, False):
        LogNotifier(lambda: calls.append(1)).on_log(None, state(is_world_process_zero=main), None)
    assert len(calls) == 1


def test_progress_is_plain_lines_where_there_is_no_terminal(tmp_path: Path, capsys) -> None:
    for shown in (True, False):
        progress = Progress(tmp_path / "history.jsonl", tweets=100, shown=shown)
        progress.on_train_begin(None, state(), None)
        progress.on_log(None, state(3, epoch=0.3), None, {"loss": 0.12345, "learning_rate": 2e-5})
        progress.on_log(None, state(3), None, {"eval_accuracy": 0.75, "eval_loss": 0.5})
        progress.on_log(None, state(3), None, {"train_runtime": 3.0})
        progress.on_train_end(None, state(3), None)
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == (2 if shown else 0)
        if shown:
            assert lines[0].startswith("step 3/10  loss 0.1235  lr 2.00e-05  ")
            assert lines[1] == "step 3/10  validation: accuracy 0.7500  loss 0.5000"


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_step_and_a_second_interrupt_ends_at_once(first: signal.Signals) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with StopOnSignal() as stop:
        undisturbed = control()
        stop.on_step_end(ALONE, state(1), undisturbed)
        assert undisturbed == control()
        assert not stop.agreed
        os.kill(os.getpid(), first)
        assert stop.received == first
        assert not stop.agreed  # not before the step ends
        ended = control()
        stop.on_step_end(ALONE, state(2), ended)
        assert stop.agreed
        assert (ended.should_training_stop, ended.should_save) == (True, True)
        os.kill(os.getpid(), signal.SIGTERM)  # a scheduler may send it again and again
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        assert stop.received == first
    assert {number: signal.getsignal(number) for number in before} == before


def test_an_epoch_begins_with_its_own_order() -> None:
    """Check it even if it is resumed anywhere in the middle."""
    batches = LengthGroupedBatches([3, 1, 2], Share(2), 0)
    for epoch in (None, *(tenth / 10 for tenth in range(35))):
        EpochOrder(batches).on_epoch_begin(None, state(epoch=epoch), None)
        assert batches.epoch == math.floor(epoch or 0)


def test_random_numbers_go_back_to_where_the_step_began() -> None:
    torch.manual_seed(3)
    randomness = StepRandomness()
    for step in range(2):
        randomness.on_step_begin(None, state(step), None)
        drawn = torch.rand(3)
    randomness.restore()
    assert torch.equal(torch.rand(3), drawn)


def test_a_probe_times_each_step_and_ends_after_enough(clock: Clock) -> None:
    """End after 25 seconds and at least six steps, or at the last step; then score and save once."""
    quick, slow = [0.5] * 24, [20.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    almost = [4.0] * 6 + [1.0, 0.5, 4.0]  # 25 seconds after seven steps, and more after eight
    for seconds, first in ((quick, None), (slow, 6), (almost, 8)):
        timed = probe.Timed()
        timed.steps = [1.0]  # of an attempt before
        clock.now += 3  # preparations
        timed.on_train_begin(None, state(), None)
        stops = []
        for number, took in enumerate(seconds, 1):
            clock.now += took
            ended = control()
            timed.on_step_end(None, state(number, max_steps=25), ended)
            assert ended.should_training_stop == ended.should_evaluate == ended.should_save
            stops.append(ended.should_training_stop)
        assert timed.steps == seconds
        assert stops == [first is not None and number >= first for number in range(1, len(seconds) + 1)]
    clock.now += 30
    timed.on_evaluate(None, state(7), None, {"eval_samples_per_second": 40.0})
    clock.now += 5
    timed.on_save(None, state(7), None)
    assert (timed.tweets_scored_per_second, timed.saving) == (40.0, 5.0)
    short, ended = probe.Timed(), control()
    short.on_step_end(None, state(2, max_steps=2), ended)
    assert ended.should_training_stop


def test_scores_are_reported_by_their_number_and_may_end_the_training() -> None:
    reports: list[tuple[int, float]] = []

    def report(number: int, value: float) -> bool:
        reports.append((number, value))
        return value < 0.5

    shares: list[float] = []
    reported = EvaluationReporter("eval_accuracy", report, {1: 0.9, 2: 0.8, 3: 0.1}, shares.append)
    log = [{"eval_accuracy": 0.9}, {"loss": 1.0}, {"eval_accuracy": 0.8}]
    reported.on_train_begin(None, state(log_history=log), None)
    assert reported.values == {1: 0.9, 2: 0.8}  # the third is measured again
    for step, metrics, stops in (
        (3, {"eval_accuracy": 0.7}, False),
        (4, {"eval_loss": 0.1}, False),
        (4, None, False),
        (5, {"eval_accuracy": 0.4}, True),
        (10, {"eval_accuracy": 0.3}, False),  # it is at its end
    ):
        ended = control()
        ended.should_save = True
        reported.on_step_end(None, state(step), ended)
        reported.on_evaluate(None, state(step), ended, metrics)
        assert (ended.should_training_stop, ended.should_save) == (stops, not stops), step
    assert reports == [(3, 0.7), (4, 0.4), (5, 0.3)]
    assert reported.stopped
    assert shares == [0.3, 0.4, 0.4, 0.5, 1.0]
