"""A study in its store: who gets which trial, and what becomes of it."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment140_bert.errors import Interrupted, diverged
from sentiment140_bert.experiments.tune import PRUNERS, SAMPLERS, space
from sentiment140_bert.experiments.tune.store import GRACE
from sentiment140_bert.experiments.tune.study import Attempt, Study, count_states, find_best
from sentiment140_bert.recipe import Range
from sentiment140_bert.schemas.experiments import TrialRecord
from tune_fixtures import SPACE, open_study

pytest_plugins = "tune_fixtures"


@pytest.fixture
def study(url: str) -> Iterator[Study]:
    study = open_study(url)
    yield study
    study.store.close()


def score(attempt: Attempt) -> float:
    return float(attempt.values["learning_rate"] * 100 + attempt.values["max_length"] / 1000)


def make_record(number: int, state: str, value: float | None) -> TrialRecord:
    return TrialRecord(
        number=number, state=state, value=value, values={}, scores=[], reason=None, started=None, seconds=None
    )


def run_all(study: Study, planned: int) -> list[TrialRecord]:
    while study.queue_next(planned):
        study.run_next(score)
    return study.list_trials()


def list_values(study: Study) -> list[dict[str, Any]]:
    return [trial["values"] for trial in study.list_trials()]


def interrupt(attempt: Attempt) -> float:
    raise Interrupted("Stopped.", "", signal.SIGTERM)


def run_in_child(url: str, planned: int, **changes: Any) -> None:
    """Take a trial in another process, which is killed while it runs after its first evaluation."""
    if (child := os.fork()) == 0:

        def die(attempt: Attempt) -> float:
            attempt.report(1, 0.25)
            age_heartbeats(url, 0)
            os.kill(os.getpid(), signal.SIGKILL)
            return 0.0

        try:
            study = open_study(url, **changes)
            study.queue_next(planned)
            study.run_next(die)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def age_heartbeats(url: str, seconds: int = GRACE + 5) -> None:
    """Let the last heartbeat of each running trial be longer ago, by default than a live process's can be."""
    running = "FROM trials WHERE state = 'RUNNING'"
    age = f"UPDATE trial_heartbeats SET heartbeat = datetime('now', ?) WHERE trial_id IN (SELECT trial_id {running})"
    while True:  # the first one comes from a thread
        with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
            aged = connection.execute(age, [f"-{seconds} seconds"]).rowcount
            if aged == connection.execute(f"SELECT count(*) {running}").fetchone()[0]:
                return


def test_there_are_as_many_trials_as_were_planned(study: Study, url: str) -> None:
    assert [trial["number"] for trial in run_all(study, 3)] == [0, 1, 2]
    again = open_study(url)
    assert [trial["number"] for trial in run_all(again, 4)] == [0, 1, 2, 3]
    assert len(run_all(again, 2)) == 4  # fewer are no order to forget some


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_what_is_tried_does_not_depend_on_interruptions(tmp_path: Path, sampler: str) -> None:
    at_once = open_study(f"sqlite:///{tmp_path}/a.db", sampler=sampler)
    run_all(at_once, 7)
    url = f"sqlite:///{tmp_path}/b.db"
    for planned in (2, 7):
        run_in_child(url, planned, sampler=sampler)
        piecemeal = open_study(url, sampler=sampler)
        run_all(piecemeal, planned - 1)
        piecemeal.queue_next(planned)
        with pytest.raises(Interrupted):
            piecemeal.run_next(interrupt)
        run_all(piecemeal, planned)
        piecemeal.store.close()
    assert list_values(piecemeal) == list_values(at_once)
    assert len({values["learning_rate"] for values in list_values(at_once)}) == 7
    other = open_study(f"sqlite:///{tmp_path}/c.db", sampler=sampler, seed=43)
    run_all(other, 2)
    assert list_values(other) != list_values(at_once)[:2]


def test_the_first_trial_tries_the_values_it_is_given(study: Study) -> None:
    study.queue_next(3, {"learning_rate": 1e-4, "max_length": 32})
    study.run_next(score)
    (values,) = list_values(study)
    assert (values["learning_rate"], values["max_length"]) == (1e-4, 32)
    assert values["per_device_train_batch_size"] in (8, 16)


def test_values_are_drawn_as_the_ranges_say(url: str) -> None:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    ranges = SPACE | {"weight_decay": Range(0.0, 0.1), "num_train_epochs": Range(1.0, 4.0, step=1.0)}
    study = open_study(url, space=space.to_plain(ranges | {"warmup_steps": Range(1, 500, log=True)}))
    run_all(study, 1)
    assert study.optuna.trials[0].distributions == {
        "learning_rate": FloatDistribution(1e-5, 1e-3, log=True),
        "max_length": IntDistribution(16, 64, step=16),
        "per_device_train_batch_size": CategoricalDistribution((8, 16)),
        "weight_decay": FloatDistribution(0.0, 0.1),
        "num_train_epochs": FloatDistribution(1.0, 4.0, step=1.0),
        "warmup_steps": IntDistribution(1, 500, log=True),
    }
    open_study(url, space=study.identity["space"])  # which checks them


def test_samplers_and_pruners_are_those_of_the_names() -> None:
    import optuna

    pruners = [type(space.make_pruner(name)) for name in PRUNERS]
    assert pruners == [optuna.pruners.MedianPruner, optuna.pruners.HyperbandPruner, optuna.pruners.NopPruner]
    samplers = [type(space.make_sampler(name, 42, 0)) for name in SAMPLERS]
    assert samplers == [optuna.samplers.TPESampler, optuna.samplers.RandomSampler]


def test_two_processes_get_different_trials_and_no_more_than_planned(study: Study, url: str) -> None:
    other = open_study(url)

    def run_others(attempt: Attempt) -> float:
        assert other.count_running() == 1
        assert [trial["state"] for trial in run_all(other, 3)] == ["running", "complete", "complete"]
        return 0.5

    study.queue_next(3)
    study.run_next(run_others)
    assert not study.queue_next(3)
    assert [trial["state"] for trial in study.list_trials()] == ["complete"] * 3
    assert other.count_running() == 0


def test_two_processes_that_ask_at_the_same_time_do_not_run_the_same_trial(study: Study, url: str) -> None:
    other = open_study(url)
    runs = []

    def run(attempt: Attempt) -> float:
        runs.append(attempt.number)
        other.run_next(run) if len(runs) == 1 else None
        return score(attempt)

    study.queue_next(2)
    study.optuna.enqueue_trial({}, user_attrs={"number": 0})  # as if the other one had not seen it
    study.run_next(run)  # what the other one gets is not needed
    assert other.queue_next(2)
    assert study.queue_next(2)  # of the one trial that is queued each thinks that it gets it
    study.run_next(run)
    other.run_next(run)
    assert runs == [0, 1]
    assert [trial["number"] for trial in study.list_trials()] == [0, 1]


def test_a_killed_trial_is_retried_at_once_with_its_values_and_scores(url: str) -> None:
    run_in_child(url, 2)
    study = open_study(url)
    (killed,) = study.list_trials()
    assert study.count_running() == 0  # a budget of time may be over before it is retried
    assert study.queue_next(2)

    def finish(attempt: Attempt) -> float:
        assert (attempt.number, attempt.values, attempt.scores) == (0, killed["values"], {1: 0.25})
        assert attempt.is_retry
        assert not attempt.report(1, 0.75)  # it is known
        attempt.report(2, 0.5)
        return 0.5

    study.run_next(finish)
    (trial,) = study.list_trials()
    assert (trial["state"], trial["value"], trial["scores"], trial["values"]) == (
        "complete",
        0.5,
        [0.25, 0.5],
        killed["values"],
    )
    assert trial["started"] == killed["started"]


def test_a_dead_trial_next_to_a_live_process_is_retried_when_its_heartbeats_end(study: Study, url: str) -> None:
    run_in_child(url, 1)
    beside = open_study(url)
    assert not study.queue_next(1)
    assert beside.count_running() == 1
    age_heartbeats(url)
    assert study.queue_next(1)
    study.run_next(lambda attempt: 0.5)
    assert [trial["state"] for trial in beside.list_trials()] == ["complete"]


def test_a_process_that_was_considered_dead_changes_nothing(
    study: Study, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    other = open_study(url)

    def lose(attempt: Attempt) -> float:
        age_heartbeats(url)
        assert other.queue_next(1)
        other.run_next(lambda retry: 0.75)
        return 0.25

    def lose_and_report(attempt: Attempt) -> float:
        lose(attempt)
        attempt.report(1, 0.25)
        return 0.25

    def lose_and_stop(attempt: Attempt) -> float:
        lose(attempt)
        return interrupt(attempt)

    for number, objective in enumerate((lose, lose_and_report)):
        study.queue_next(number + 1)
        study.run_next(objective)
    assert caplog.text.count("another process took over a trial") == 2
    study.queue_next(3)
    with pytest.raises(Interrupted):
        study.run_next(lose_and_stop)
    assert [trial["value"] for trial in study.list_trials()] == [0.75] * 3


def test_an_interrupted_trial_is_taken_before_new_ones(study: Study, url: str) -> None:
    for _ in range(2):
        study.queue_next(2)
        with pytest.raises(Interrupted):
            study.run_next(interrupt)
        assert [trial["state"] for trial in open_study(url).list_trials()] == ["waiting"]
    assert [trial["state"] for trial in run_all(open_study(url), 1)] == ["complete"]


def test_an_error_not_caused_by_the_values_leaves_the_trial(study: Study) -> None:
    study.queue_next(1)
    for error in (ValueError("a defect"), KeyboardInterrupt()):

        def stop(attempt: Attempt, error: BaseException = error) -> float:
            raise error

        with pytest.raises(type(error)):
            study.run_next(stop)
        assert [trial["state"] for trial in study.list_trials()] == ["waiting"]
        assert study.queue_next(1)


def test_values_that_do_not_work_count_and_are_not_the_best(study: Study) -> None:
    def fail(attempt: Attempt) -> float:
        attempt.report(1, float("nan") if attempt.number else 0.5)
        raise diverged("by its loss")

    for number in range(2):
        study.queue_next(number + 1)
        study.run_next(fail)
    trials = study.list_trials()
    assert [(trial["state"], trial["value"]) for trial in trials] == [("failed", None)] * 2
    assert [trial["reason"] for trial in trials] == [
        "Training diverged: by its loss.",
        "Training diverged: its score is not a number.",
    ]
    assert find_best(trials, "maximize") is None
    assert [trial["state"] for trial in run_all(study, 3)] == ["failed", "failed", "complete"]


def test_trials_end_early_when_the_pruner_says_so(url: str) -> None:
    import optuna

    study = open_study(url, pruner="median")

    def report(attempt: Attempt) -> float:
        value = 0.1 if attempt.number == 5 else 0.5 + attempt.number / 10
        if attempt.report(1, value):
            raise optuna.TrialPruned
        return value

    while study.queue_next(6):
        study.run_next(report)
    trials = study.list_trials()
    assert (trials[5]["state"], trials[5]["value"]) == ("pruned", 0.1)
    assert count_states(trials) == {"complete": 5, "pruned": 1, "failed": 0, "running": 0, "waiting": 0}
    assert [find_best(trials, direction) for direction in ("maximize", "minimize")] == [trials[4], trials[0]]


@given(
    st.lists(st.tuples(st.sampled_from(["complete", "pruned", "failed"]), st.sampled_from([0.25, 0.5]))), st.booleans()
)
def test_the_best_is_the_first_of_the_best_complete_ones(rows: list[tuple[str, float]], maximize: bool) -> None:
    trials = [make_record(number, *row) for number, row in enumerate(rows)]
    best = find_best(trials[::-1], "maximize" if maximize else "minimize")
    scores = [score for state, score in rows if state == "complete"]
    assert best == (trials[rows.index(("complete", (max if maximize else min)(scores)))] if scores else None)


def test_importances_are_rated_from_four_complete_trials_on(study: Study) -> None:
    assert study.rate_importances(run_all(study, 3))["refused"].startswith("3 complete trials do not tell")
    trials = run_all(study, 4)
    importances = study.rate_importances(trials)
    assert importances["trials"] == 4
    assert set(importances["shares"]) == set(SPACE)
    assert sum(importances["shares"].values()) == pytest.approx(1)
    assert list(importances["shares"].values()) == sorted(importances["shares"].values(), reverse=True)
    alike = [make_record(number, "complete", 0.5) for number in range(4)]
    assert "All complete trials have the same score" in study.rate_importances(alike)["refused"]
