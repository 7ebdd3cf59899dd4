"""``s140 tune`` after a kill, beside another process, and once more."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

import sentiment140_bert
from command_line import Command, signalled
from sentiment140_bert import saved_recipe
from sentiment140_bert.experiments.tune.owner import this_process
from sentiment140_bert.experiments.tune.trials import left_in
from sentiment140_bert.locks import lock_folder
from sentiment140_bert.recipe import load_recipe
from sentiment140_bert.run import RunDir
from sentiment140_bert.training.checkpoints import seal
from tune_fixtures import TUNING, Clock, read, rows_of, what_came_out

pytest_plugins = ("model_fixtures", "tune_fixtures")


def test_the_same_command_again_trains_nothing(copied: Path, s140, tunable: Path) -> None:
    """What a process did not come to that was killed after its last trial is made up for."""
    before, best = read(copied), (copied / "best.yaml").read_text()
    (copied / "best.yaml").unlink()
    left = RunDir(copied / "trials" / "trial-0005").checkpoints
    (left / "checkpoint-6").mkdir(parents=True)
    result = s140("tune", copied, "--recipe", tunable, "--trials", 6, "--final-seeds", 2)
    said = result.stderr
    table = dict(line.split(maxsplit=1) for line in result.stdout.splitlines() if line.startswith(tuple(TUNING)))
    assert table["learning_rate"].split()[0] == f"{before['best']['values']['learning_rate']:.3g}"
    assert "6 of 6 trials are done" in said
    assert "step " not in said
    assert read(copied) == before
    assert (copied / "best.yaml").read_text() == best
    assert not left.exists()


@pytest.mark.long
def test_models_are_kept_on_request_also_later(copied: Path, s140, tunable: Path) -> None:
    best = read(copied)["best"]["number"]
    s140("tune", copied, "--recipe", tunable, "--trials", 6, "--final-seeds", 1, "--keep-models")
    if "same" in read(copied)["final"]:
        pytest.skip("the recipe's own values were the best")
    for name in (f"trial-{best:04}", "recipe"):
        run = RunDir(copied / "final" / f"{name}-seed-43")
        assert run.weights.is_file()
        assert run.card.is_file()
        assert not run.checkpoints.exists()
    s140("tune", copied, "--recipe", tunable, "--trials", 6, "--final-seeds", 1)
    assert RunDir(copied / "final" / "recipe-seed-43").weights.is_file()


def test_a_checkpoint_of_another_study_is_not_gone_on_with(copied: Path) -> None:
    """Its store was removed, and a trial of the same number begun."""
    run = RunDir(copied / "trials" / "trial-0000")
    checkpoint = run.checkpoints / "checkpoint-6"
    checkpoint.mkdir(parents=True)
    (checkpoint / "model.safetensors").write_bytes(b"weights")
    seal(checkpoint, 1.0)
    recipe, fingerprint = saved_recipe(run.path), run.read(run.data)["fingerprint"]
    assert left_in(run, recipe, fingerprint) == checkpoint
    assert left_in(run, recipe.with_values({"learning_rate": 0.5}), fingerprint) is None
    assert left_in(run, recipe, "0" * 64) is None


@pytest.mark.long
def test_a_trial_that_another_process_trains_is_left_to_it(tmp_path: Path, s140, tunable: Path) -> None:
    folder = tmp_path / "mine"
    with lock_folder(folder / "trials" / "trial-0000", "training a trial", create=True):
        (folder / "study.json").write_text("{}")
        asked = ["tune", folder, "--recipe", tunable, "--trials", 1, "--final-seeds", 0]
        other = Command(*asked)
        _, said = other.communicate()
    assert other.returncode == 1
    assert "is in use: training a trial by process" in said
    assert rows_of(folder) == [(0, "RUNNING")]
    s140(*asked)
    assert rows_of(folder) == [(0, "COMPLETE")]


def test_more_trials_go_on_where_the_others_ended(copied: Path, s140, tunable: Path) -> None:
    before = what_came_out(copied)
    s140("tune", copied, "--recipe", tunable, "--trials", 7, "--final-seeds", 0)
    assert what_came_out(copied)[:6] == before
    assert len(rows_of(copied)) == 7


def kill(folder: Path, tunable: Path, trials: int, line: str) -> str:
    """Kill a tuning where it says ``line``; return what it said until then."""
    words = ("tune", folder, "--recipe", tunable, "--trials", trials, "--final-seeds", 0)
    started = Command(*words, pause_at=line)
    _, said = signalled(started, signal.SIGKILL)
    assert started.returncode == -signal.SIGKILL, said
    return said


def test_a_study_that_is_killed_twice_loses_nothing_and_repeats_nothing(
    tmp_path: Path, tuned: Path, tunable: Path, s140
) -> None:
    """Killed in the middle of its second trial, and while it begins the fourth."""
    folder = tmp_path / "mine"
    first = kill(folder, tunable, 6, "tune: trial 1, evaluation 1")
    second = kill(folder, tunable, 6, "tune: trial 3 (")
    assert [state for _, state in rows_of(folder)].count("RUNNING") == 1
    third = s140("tune", folder, "--recipe", tunable, "--trials", 6, "--final-seeds", 0).stderr
    assert "tune: trial 1 (2 of 6) (begun before)" in second
    assert "tune: trial 3 (4 of 6) (begun before)" in third
    assert "tune: trial 0 (" not in second + third
    assert "tune: trial 1 (" in first
    assert "tune: trial 2 (" not in first + third
    assert [number for number, _ in rows_of(folder)] == list(range(6))
    assert what_came_out(folder) == what_came_out(tuned)  # as if it had never been killed


def held_elsewhere(folder: Path, trials: dict[int, str]) -> None:
    """As a machine leaves a store that went down: in mid-trial, or, without one, in mid-comparison."""
    there = json.dumps(replace(this_process(), place="elsewhere").to_plain())
    with sqlite3.connect(folder / "study.db") as store:
        for number, state in trials.items():
            store.execute("update trials set state = ?, datetime_complete = null where number = ?", (state, number))
            store.execute(
                "update trial_user_attributes set value_json = ? where key = 'owner' and trial_id = "
                "(select trial_id from trials where number = ?)",
                (there, number),
            )
        if not trials:
            store.execute("update study_user_attributes set value_json = ? where key = 'finals'", (there,))


@pytest.mark.long
def test_what_a_machine_left_that_went_down_is_made(
    copied: Path, tunable: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Called once: it waits until the other one counts as dead, and does its trial and its comparison."""
    caplog.set_level("INFO")
    before = what_came_out(copied)
    held_elsewhere(copied, {5: "RUNNING"})
    sentiment140_bert.tune(load_recipe(str(tunable)), copied, 6, final_seeds=2)
    assert "trial 5: begun by a process elsewhere" in caplog.text
    assert what_came_out(copied) == before
    held_elsewhere(copied, {})
    caplog.clear()
    tuning = sentiment140_bert.tune(load_recipe(str(tunable)), copied, 6, final_seeds=2)
    assert "the comparison: begun by a process elsewhere" in caplog.text
    assert "other processes are still at work" not in caplog.text
    assert tuning["final"] == read(copied)["final"] is not None


@pytest.mark.long
def test_nothing_is_named_that_is_not_there(tmp_path: Path, s140, tunable: Path) -> None:
    asked = ("tune", tmp_path / "mine", "--recipe", tunable, "--trials", 1, "--final-seeds", 0)
    s140(*asked)
    (tmp_path / "mine" / "best.yaml").unlink()
    shutil.rmtree(tmp_path / "mine" / "figures")
    held_elsewhere(tmp_path / "mine", {0: "RUNNING"})
    result = s140(*asked, "--timeout", "0.001s")
    assert "trials held by other processes: 1" in result.stdout
    assert result.stdout.endswith("mine/README.md, tuning.json\n")
    assert sorted(each.name for each in (tmp_path / "mine").iterdir() if each.name in ("best.yaml", "figures")) == []


@pytest.mark.long
def test_a_signal_leaves_a_checkpoint_and_says_how_to_go_on(tmp_path: Path, tunable: Path, s140) -> None:
    asked = ("tune", tmp_path / "mine", "--recipe", tunable, "--trials", 1, "--final-seeds", 0)
    started = Command(*asked, pause_at="tune: trial 0, evaluation 1")
    stdout, stderr = signalled(started, signal.SIGTERM)
    assert (started.returncode, stdout) == (143, ""), stderr
    assert "Finished trials are kept; go on with the same command." in stderr
    assert "Traceback" not in stderr
    assert rows_of(tmp_path / "mine") == [(0, "RUNNING")]
    again = s140(*asked).stderr
    assert "tune: going on from checkpoint-" in again
    assert "tune: trial 0, evaluation 1:" not in again
    assert "tune: trial 0, evaluation 2:" in again
    assert len(read(tmp_path / "mine")["trials"][0]["scores"]) == 2


@pytest.mark.long
def test_two_processes_on_one_store_share_its_trials(tmp_path: Path, tunable: Path) -> None:
    """One stands still in its first trial while the other makes the rest; the last to end makes the comparison."""
    asked = ("tune", tmp_path / "mine", "--recipe", tunable, "--trials", 3, "--final-seeds", 1)
    first = Command(*asked, pause_at="tune: trial 0, evaluation 1")
    first.wait_until_paused()
    second = Command(*asked)
    stdout, said = second.communicate()
    assert second.returncode == 0, said
    assert "trials held by other processes: 1" in stdout
    assert "the last of them makes the comparison" in said
    assert read(tmp_path / "mine")["final"] is None
    first.resume()
    _, own = first.communicate()
    assert first.returncode == 0, own
    assert [number for number in range(3) if f"tune: trial {number} (" in said] == [1, 2]
    assert [number for number in range(3) if f"tune: trial {number} (" in own] == [0]
    assert "begun before" not in said + own
    assert rows_of(tmp_path / "mine") == [(0, "COMPLETE"), (1, "COMPLETE"), (2, "COMPLETE")]
    final = read(tmp_path / "mine")["final"]
    assert "same" in final or own.count("tune: the recipe as it is, seed 43") == 1


@pytest.mark.long
def test_a_timeout_ends_the_trials_and_the_comparison_is_made(copied: Path, s140, tunable: Path) -> None:
    said = s140("tune", copied, "--recipe", tunable, "--trials", 50, "--timeout", "0.001s", "--final-seeds", 2).stderr
    assert "tune: the time is over" in said
    assert len(rows_of(copied)) == 6
    nothing = s140("tune", "new", "--recipe", tunable, "--trials", 5, "--timeout", "0.001s", code=1).stderr
    assert "The time was over before a trial came to its end." in nothing
    assert "Give a longer --timeout" in nothing


def test_the_folder_may_be_renamed(copied: Path, s140, tunable: Path) -> None:
    before = read(copied)
    moved = copied.rename(copied.with_name("moved"))
    s140("tune", moved, "--recipe", tunable, "--trials", 6, "--final-seeds", 0)
    assert read(moved) == before
    (moved / "study.json").write_text('{"study": 5}')
    assert "study: 5 then, 'moved' now" in s140("tune", moved, "--recipe", tunable, code=1).stderr


@pytest.mark.long
def test_damaged_results_are_written_again(copied: Path, s140, tunable: Path) -> None:
    before = read(copied)
    asked = ("tune", copied, "--recipe", tunable, "--trials", 6)
    for damaged in ("{", "[]", '{"final": {"trial": 1}}', '{"final": 5}'):
        (copied / "tuning.json").write_text(damaged)
        said = s140(*asked, "--final-seeds", 0).stderr
        assert "It is written anew; a comparison is made anew by" in said, damaged
        assert read(copied) == before | {"final": None}, damaged
    (copied / "tuning.json").write_text(damaged)
    s140(*asked, "--final-seeds", 2)
    assert read(copied) == before
