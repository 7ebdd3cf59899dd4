"""A study in its store: who gets which trial."""

from __future__ import annotations

import sqlite3
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment140_bert.errors import MissingExtra, StoreError
from sentiment140_bert.experiments.tune import owner, space, strategy, summary
from sentiment140_bert.experiments.tune.store import SECONDS, Store, check
from sentiment140_bert.experiments.tune.study import Claim, Study, TakenOver
from sentiment140_bert.recipe import Range
from tune_fixtures import Clock

pytest_plugins = "tune_fixtures"

SPACE = {
    "learning_rate": Range(1e-5, 1e-3, log=True),
    "max_length": Range(16, 64, step=16),
    "per_device_train_batch_size": Range(choices=(8, 16)),
}
IDENTITY: dict[str, Any] = {
    "space": space.plain(SPACE),
    "recipe": {"training": {"seed": 42}},
    "data": "0" * 64,
    "metric": "eval_accuracy",
    "direction": "maximize",
    "sampler": "tpe",
    "pruner": "none",
    "seed": 42,
}


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/study.db"


def opened(url: str, *, seconds: float = SECONDS, **changes: Any) -> Study:
    return Study(Store(url, seconds), "mine", IDENTITY | changes)


def left_elsewhere(url: str, claims: int = 1) -> Study:
    """A study on which another machine works, which has taken trials."""
    there = opened(url)
    there.me = replace(there.me, place="elsewhere")
    for _ in range(claims):
        there.take(claims)
    return there


def score_of(values: dict[str, Any]) -> float:
    return values["learning_rate"] * 100 + values["max_length"] / 1000


def made(study: Study, planned: int) -> list[dict[str, Any]]:
    while claim := study.take(planned):
        claim.finish(score_of(claim.values))
    return [each["values"] for each in summary.of_trials(study)]


def test_there_are_as_many_trials_as_were_planned(url: str) -> None:
    study = opened(url)
    assert len(made(study, 4)) == 4
    assert study.take(4) is None
    assert len(made(opened(url), 6)) == 6
    assert made(opened(url), 2) == made(opened(url), 6)  # fewer are no order to forget some


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_what_is_tried_does_not_depend_on_how_often_it_was_begun(tmp_path: Path, sampler: str) -> None:
    at_once = made(opened(f"sqlite:///{tmp_path}/a.db", sampler=sampler), 8)
    for planned in range(1, 9):
        piecemeal = made(opened(f"sqlite:///{tmp_path}/b.db", sampler=sampler), planned)
    assert piecemeal == at_once
    assert len({each["learning_rate"] for each in at_once}) == 8
    other = made(opened(f"sqlite:///{tmp_path}/c.db", sampler=sampler, seed=43), 2)
    assert other != at_once[:2]


def test_the_first_one_tries_what_it_is_told(url: str) -> None:
    claim = opened(url).take(3, {"learning_rate": 1e-4, "max_length": 32})
    assert claim
    assert (claim.values["learning_rate"], claim.values["max_length"]) == (1e-4, 32)
    assert claim.values["per_device_train_batch_size"] in (8, 16)


def test_values_are_drawn_as_the_ranges_say(url: str) -> None:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    ranges = SPACE | {"weight_decay": Range(0.0, 0.1), "num_train_epochs": Range(1.0, 4.0, step=1.0)}
    study = opened(url, space=space.plain(ranges | {"warmup_steps": Range(1, 500, log=True)}))
    assert study.take(1)
    (trial,) = study.trials()
    assert trial.distributions == {
        "learning_rate": FloatDistribution(1e-5, 1e-3, log=True),
        "max_length": IntDistribution(16, 64, step=16),
        "per_device_train_batch_size": CategoricalDistribution((8, 16)),
        "weight_decay": FloatDistribution(0.0, 0.1),
        "num_train_epochs": FloatDistribution(1.0, 4.0, step=1.0),
        "warmup_steps": IntDistribution(1, 500, log=True),
    }


def test_sampler_and_pruner_are_those_of_the_names() -> None:
    import optuna

    pruners = [type(strategy.pruner(name)) for name in strategy.PRUNERS]
    assert pruners == [optuna.pruners.MedianPruner, optuna.pruners.HyperbandPruner, optuna.pruners.NopPruner]
    samplers = [type(strategy.sampler(name, 42, 0)) for name in strategy.SAMPLERS]
    assert samplers == [optuna.samplers.TPESampler, optuna.samplers.RandomSampler]


def test_two_processes_get_different_trials_and_no_more_than_planned(url: str) -> None:
    one, other = opened(url), opened(url)
    claims = [study.take(3) for study in (one, other, one, other)]
    assert [each and each.number for each in claims] == [0, 1, 2, None]
    assert not one.take_finals()
    for each in claims[:3]:
        assert each
        each.finish(0.5)
    assert one.take_finals()
    assert not other.take_finals()
    one.release_finals()
    assert other.take_finals()


def test_what_a_dead_process_had_begun_is_given_out_again_with_its_values(url: str) -> None:
    dying = opened(url)
    claim = dying.take(2)
    assert claim
    claim.report(1, 0.25)
    dead = replace(dying.me, pid=2**22 + 1).to_plain()  # a number that no process has
    dying.optuna._storage.set_trial_user_attr(claim.trial_id, "owner", dead)
    assert opened(url).others() == 0  # a budget of time may be over before it is given out again
    again = opened(url).take(2)
    assert again
    assert dying.others() == 1
    assert (again.number, again.values, again.known) == (claim.number, claim.values, {1: 0.25})
    assert again.begun_before
    again.finish(0.5)
    assert [each["state"] for each in summary.of_trials(dying)] == ["complete"]


def test_what_a_silent_process_elsewhere_holds_is_waited_for_and_given_out_again(
    url: str, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    there = left_elsewhere(url, 2)
    study = Study(there.store, "mine", IDENTITY, patience=300)
    assert study.take(2) is None
    assert study.waited()
    assert 300 < clock.now - 1000 <= 300 + owner.BEAT
    both = [study.take(2), study.take(2)]
    assert [each and (each.number, each.begun_before) for each in both] == [(0, True), (1, True)]
    assert caplog.text.count("trial 0, trial 1: begun by a process elsewhere") == 1
    assert not study.waited()
    assert not study.take_finals()
    for each in both:
        assert each
        each.finish(0.5)
    assert study.take_finals()


def test_a_process_elsewhere_that_gives_a_sign_is_left_to_its_work(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner, "BEAT", 0.1)
    there = left_elsewhere(url)
    study = Study(there.store, "mine", IDENTITY, patience=100)
    (running,) = there.trials()
    claim = Claim(there, running.number, running._trial_id, {}, {}, begun_before=False)
    with there.alive(claim):
        assert study.waited()
        assert not study.waited()
        assert study.take(1) is None
        assert not study.take_finals()


def test_no_longer_is_waited_than_there_is_time(url: str, clock: Clock) -> None:
    study = Study(left_elsewhere(url).store, "mine", IDENTITY, patience=1000)
    assert not study.waited(until=clock.now)
    assert study.waited(until=clock.now + 50)
    assert clock.now == 1050
    assert study.take(1) is None


@pytest.mark.parametrize("trials", [0, 1])
def test_a_comparison_that_a_silent_process_elsewhere_holds_is_waited_for(url: str, clock: Clock, trials: int) -> None:
    """A trial that a budget of time has left, of a dead process of this machine, is no reason not to."""
    there = opened(url)
    assert there.take_finals()
    there.optuna.set_user_attr("finals", replace(there.me, place="elsewhere").to_plain())
    for _ in range(trials):
        there.optuna.ask()  # and there it ended
    study = Study(there.store, "mine", IDENTITY, patience=300)
    assert not study.take_finals()
    assert study.waited(finals=True)
    assert clock.now > 1300
    assert study.take_finals()


def test_a_process_that_died_while_it_took_a_trial_loses_none(url: str) -> None:
    study = opened(url)
    study.optuna.ask()  # and there it ended
    claim = opened(url).take(1)
    assert claim
    assert set(claim.values) == set(SPACE)
    assert opened(url).take(1) is None


def test_a_trial_that_is_released_is_gone_on_with_at_once(url: str) -> None:
    claim = opened(url).take(1)
    assert claim
    assert opened(url).take(1) is None
    claim.release()
    again = opened(url).take(1)
    assert again
    assert again.values == claim.values


def test_who_was_taken_for_dead_finishes_nothing(url: str) -> None:
    slow = opened(url)
    claim = slow.take(1)
    assert claim
    slow.optuna._storage.set_trial_user_attr(claim.trial_id, "owner", replace(slow.me, mark="other").to_plain())
    for told in (lambda: claim.report(1, 0.9), lambda: claim.finish(0.9), claim.prune, lambda: claim.fail("no")):
        with pytest.raises(TakenOver, match="taken over"):
            told()
    claim.release()
    assert summary.of_trials(slow)[0]["state"] == "running"


def test_signs_of_life_are_given(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner, "BEAT", 0.1)
    study = opened(url)
    claim = study.take(1)
    assert claim

    def sign() -> Any:
        return study.optuna._storage.get_trial(claim.trial_id).user_attrs.get("beat")

    with study.alive(claim):
        while not (first := sign()):
            pass
        while sign() == first:
            pass
    last = sign()
    assert last not in (None, first)


def test_trials_end_early_when_the_pruner_says_so(url: str) -> None:
    study = opened(url, pruner="median")
    for score in (0.5, 0.6, 0.7, 0.8, 0.9):
        claim = study.take(6)
        assert claim
        assert not claim.report(1, score)
        claim.finish(score)
    last = study.take(6)
    assert last
    assert last.report(1, 0.1)
    last.prune()
    trials = summary.of_trials(study)
    assert (trials[5]["state"], trials[5]["value"]) == ("pruned", 0.1)
    assert summary.counts(trials) == {"complete": 5, "pruned": 1, "failed": 0, "running": 0, "waiting": 0}
    assert summary.best(trials, maximize=True) == {"number": 4, "value": 0.9, "values": trials[4]["values"]}
    assert summary.best(trials, maximize=False)["number"] == 0  # type: ignore[index]


SCORES = st.sampled_from([0.25, 0.5, 0.75])


@given(st.lists(st.tuples(st.sampled_from(["complete", "pruned", "failed", "running"]), SCORES)), st.booleans())
def test_the_best_is_the_first_of_the_best_complete_ones(rows: list[tuple[str, float]], maximize: bool) -> None:
    trials = [
        {"number": number, "state": state, "value": score, "values": {"seed": number}}
        for number, (state, score) in enumerate(rows)
    ]
    scores = [score for state, score in rows if state == "complete"]
    found = summary.best(trials[::-1], maximize)
    assert summary.best(trials, maximize) == found
    if scores:
        top = max(scores) if maximize else min(scores)
        number = rows.index(("complete", top))
        assert found == {"number": number, "value": top, "values": {"seed": number}}
    else:
        assert found is None
    assert summary.counts(trials) == {
        state: [each for each, _ in rows].count(state)
        for state in ("complete", "pruned", "failed", "running", "waiting")
    }


def test_what_matters_is_told_from_four_complete_trials_on(url: str) -> None:
    study = opened(url)
    made(study, 3)
    assert summary.importances(study, summary.of_trials(study))["refused"].startswith("3 complete trials say nothing")
    made(study, 4)
    told = summary.importances(study, summary.of_trials(study))
    assert told["trials"] == 4
    assert set(told["shares"]) == set(SPACE)
    assert sum(told["shares"].values()) == pytest.approx(1)
    assert list(told["shares"].values()) == sorted(told["shares"].values(), reverse=True)
    alike = [each | {"value": 0.5} for each in summary.of_trials(study)]
    assert "All complete trials have the same score" in summary.importances(study, alike)["refused"]


def test_values_that_do_not_work_count_and_are_not_the_best(url: str) -> None:
    study = opened(url)
    claim = study.take(2)
    assert claim
    claim.fail("Training diverged.")
    trial = summary.of_trials(study)[0]
    assert (trial["state"], trial["reason"], trial["value"]) == ("failed", "Training diverged.", None)
    assert summary.best([trial], maximize=True) is None
    assert len(made(study, 2)) == 2


def test_another_study_is_refused_with_the_difference(url: str) -> None:
    opened(url)
    rates = {"learning_rate": {"low": 1e-5, "high": 1e-2}}
    for changes, said in (
        ({"data": "1" * 64}, "data: 000000000000… then, 111111111111… now"),
        ({"recipe": {"training": {"seed": 7}}}, "recipe.training.seed: 42 then, 7 now"),
        ({"space": rates}, "space.learning_rate.high: 0.001 then, 0.01 now"),
        ({"pruner": "median", "sampler": "random"}, "sampler: 'tpe' then, 'random' now; pruner: 'none' then"),
    ):
        with pytest.raises(StoreError) as caught:
            opened(url, **changes)
        assert said in caught.value.message.replace('"', "'")


def test_a_study_of_somebody_else_is_refused(url: str) -> None:
    import optuna

    theirs = optuna.create_study(storage=url, study_name="mine")
    theirs.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    with pytest.raises(StoreError, match="was not made by this tool"):
        opened(url)


def test_a_locked_store_is_said_to_be(url: str) -> None:
    study = opened(url, seconds=1)
    with sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="is locked: another program"):
            study.take(1)
        connection.execute("ROLLBACK")
    with study.store.exclusive(), pytest.raises(StoreError, match="is locked"):
        opened(url, seconds=1)
    assert study.take(1)


def test_what_is_no_store_is_refused() -> None:
    for url, said in (
        ("study.db", "no address of a database"),
        ("sqlite://", "in memory is gone with the process"),
        ("sqlite:///:memory:", "in memory is gone with the process"),
        ("oracle://user:secret@host/name", "of the kind oracle cannot be shared safely"),
        ("nonsense://x", "of the kind nonsense cannot be shared safely"),
        ("mysql+nodriver://user:secret@host/name", "cannot be used"),
    ):
        with pytest.raises(StoreError) as caught:
            Store(url)
        assert said in caught.value.message
        assert "secret" not in str(caught.value)


def test_a_store_is_named_without_its_password() -> None:
    for url in ("postgresql://me:secret@host/name", "mysql+pymysql://me@host/name?password=secret"):
        place, file = check(url)
        assert "secret" not in place
        assert "host/name" in place
        assert file is None


def test_a_file_that_is_no_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "study.db").write_text("my notes, which are long enough to be none of a database" * 20)
    with pytest.raises(StoreError, match=r"cannot be used: .*file is not a database"):
        Store(f"sqlite:///{tmp_path}/study.db")
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be opened"):
        Store(f"sqlite:///{tmp_path}/file/study.db")


def test_without_optuna_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtra) as caught:
        check("sqlite:///study.db")
    assert "[tune]" in caught.value.message
    assert "pip install" in caught.value.hint
