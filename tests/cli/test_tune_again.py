"""``s140 tune`` after a kill, next to another process, and a second time."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from command_line import Command, complete, signalled
from sentiment140_bert import saved_recipe
from sentiment140_bert.experiments.tune.trials import find_checkpoint
from sentiment140_bert.locks import lock_folder
from sentiment140_bert.run import RunDir
from sentiment140_bert.training.checkpoints import seal
from tune_fixtures import TUNING, read, rows_of, what_came_out

pytest_plugins = ("model_fixtures", "tune_fixtures")


def test_the_same_command_again_trains_nothing(copied: Path, s140, tunable: Path) -> None:
    """Catch up on what a process killed after its last trial could not do."""
    before, best = read(copied), (copied / "best.yaml").read_text()
    (copied / "best.yaml").write_text(f"# mine\n{best}")
    left = RunDir(copied / "trials" / "trial-0005").checkpoints
    (left / "checkpoint-6").mkdir(parents=True)
    result = s140("tune", copied, "--recipe", tunable, "--trials", 6, "--final-seeds", 2)
    stderr = result.stderr
    table = dict(line.split(maxsplit=1) for line in result.stdout.splitlines() if line.startswith(tuple(TUNING)))
    assert table["learning_rate"].split()[0] == f"{before['best']['values']['learning_rate']:.3g}"
    assert "6 of 6 trials are done" in stderr
    assert "step " not in stderr
    assert read(copied) == before
    assert "replaces this file" in best
    assert {file.name: file.read_text() for file in copied.glob("best*")} == {
        "best.yaml": best,
        "best-1.yaml": f"# mine\n{best}",
    }
    assert not left.exists()


@pytest.mark.long
def test_models_are_kept_on_request_also_later(copied: Path, s140, tunable: Path) -> None:
    best = read(copied)["best"]["number"]
    s140("tune", copied, "--recipe", tunable, "--trials", 6, "--final-seeds", 1, "--keep-models")
    for name in (f"trial-{best:04}", "recipe"):
        run = RunDir(copied / "final" / f"{name}-seed-43")
        assert run.weights.is_file()
        assert run.card.is_file()
        assert not run.checkpoints.exists()
    s140("tune", copied, "--recipe", tunable, "--trials", 6, "--final-seeds", 1)
    assert RunDir(copied / "final" / "recipe-seed-43").weights.is_file()


def test_does_not_resume_a_checkpoint_of_another_study(copied: Path) -> None:
    """Remove the store, and start a trial with the same number."""
    run = RunDir(copied / "trials" / "trial-0000")
    checkpoint = run.checkpoints / "checkpoint-6"
    checkpoint.mkdir(parents=True)
    (checkpoint / "model.safetensors").write_bytes(b"weights")
    seal(checkpoint, 1.0)
    recipe, fingerprint = saved_recipe(run.path), run.read_data()["fingerprint"]
    assert find_checkpoint(run, recipe, fingerprint) == checkpoint
    assert find_checkpoint(run, recipe.with_values({"learning_rate": 0.5}), fingerprint) is None
    assert find_checkpoint(run, recipe, "0" * 64) is None


@pytest.mark.long
def test_a_trial_that_another_process_trains_is_left_to_it(tmp_path: Path, s140, tunable: Path) -> None:
    folder = tmp_path / "mine"
    with lock_folder(folder / "trials" / "trial-0000", "training a trial", create=True):
        (folder / "study.json").write_text("{}")
        command = ["tune", folder, "--recipe", tunable, "--trials", 1, "--final-seeds", 0]
        _, stderr = complete(*command, code=1)
    assert "is in use: training a trial by process" in stderr
    assert rows_of(folder) == [(0, "FAIL")]
    s140(*command)
    assert rows_of(folder) == [(0, "FAIL"), (1, "COMPLETE")]


def test_more_trials_continue_after_the_earlier_ones(copied: Path, s140, tunable: Path) -> None:
    before = what_came_out(copied)
    s140("tune", copied, "--recipe", tunable, "--trials", 7, "--final-seeds", 0)
    assert what_came_out(copied)[:6] == before
    assert len(rows_of(copied)) == 7


def kill(folder: Path, tunable: Path, trials: int, line: str) -> str:
    """Kill a tuning when it prints ``line``; return its stderr."""
    words = ("tune", folder, "--recipe", tunable, "--trials", trials, "--final-seeds", 0)
    started = Command(*words, pause_at=line)
    _, stderr = signalled(started, signal.SIGKILL)
    assert started.returncode == -signal.SIGKILL, stderr
    return stderr


def test_a_study_that_is_killed_twice_loses_nothing_and_repeats_nothing(
    tmp_path: Path, tuned: Path, tunable: Path, s140
) -> None:
    """Kill it in its second trial, and again when it starts the fourth."""
    folder = tmp_path / "mine"
    first = kill(folder, tunable, 6, "tune: trial 1, evaluation 1")
    second = kill(folder, tunable, 6, "tune: trial 3 (")
    assert [state for _, state in rows_of(folder)].count("RUNNING") == 1
    third = s140("tune", folder, "--recipe", tunable, "--trials", 6, "--final-seeds", 0).stderr
    assert "tune: trial 1 (2 of 6) (resumed)" in second
    assert "tune: trial 3 (4 of 6) (resumed)" in third
    assert "tune: trial 0 (" not in second + third
    assert "tune: trial 1 (" in first
    assert "tune: trial 2 (" not in first + third
    assert what_came_out(folder) == what_came_out(tuned)  # as if it had never been killed


@pytest.mark.long
def test_a_signal_leaves_a_checkpoint_and_says_how_to_resume(tmp_path: Path, tunable: Path, s140) -> None:
    command = ("tune", tmp_path / "mine", "--recipe", tunable, "--trials", 1, "--final-seeds", 0)
    started = Command(*command, pause_at="tune: trial 0, evaluation 1")
    stdout, stderr = signalled(started, signal.SIGTERM)
    assert (started.returncode, stdout) == (143, ""), stderr
    assert "Finished trials are kept; run the same command again to resume." in stderr
    assert "Traceback" not in stderr
    assert rows_of(tmp_path / "mine") == [(0, "FAIL")]
    again = s140(*command).stderr
    assert "tune: resuming from checkpoint-" in again
    assert "tune: trial 0, evaluation 1:" not in again
    assert "tune: trial 0, evaluation 2:" in again
    assert len(read(tmp_path / "mine")["trials"][0]["scores"]) == 2


@pytest.mark.long
def test_two_processes_on_one_store_share_its_trials(tmp_path: Path, tunable: Path) -> None:
    """Pause one in its first trial while the other runs the rest; the last to end makes the comparison."""
    command = ("tune", tmp_path / "mine", "--recipe", tunable, "--trials", 3, "--final-seeds", 1)
    first = Command(*command, pause_at="tune: trial 0, evaluation 1")
    first.wait_until_paused()
    stdout, stderr = complete(*command)
    assert "trials that other processes are running: 1" in stdout
    assert "the last one makes the comparison" in stderr
    assert read(tmp_path / "mine")["final"] is None
    first.resume()
    _, own = first.communicate()
    assert first.returncode == 0, own
    assert [number for number in range(3) if f"tune: trial {number} (" in stderr] == [1, 2]
    assert [number for number in range(3) if f"tune: trial {number} (" in own] == [0]
    assert "resumed" not in stderr + own
    assert rows_of(tmp_path / "mine") == [(0, "COMPLETE"), (1, "COMPLETE"), (2, "COMPLETE")]
    final = read(tmp_path / "mine")["final"]
    assert final
    assert own.count("tune: the recipe as it is, seed 43") == 1


@pytest.mark.long
def test_a_timeout_ends_the_trials_and_the_comparison_is_made(copied: Path, s140, tunable: Path) -> None:
    stderr = s140("tune", copied, "--recipe", tunable, "--trials", 50, "--timeout", "0.001s", "--final-seeds", 2).stderr
    assert "tune: --timeout is reached" in stderr
    assert len(rows_of(copied)) == 6
    nothing = s140("tune", "new", "--recipe", tunable, "--trials", 5, "--timeout", "0.001s", code=1).stderr
    assert "--timeout was reached before any trial finished." in nothing
    assert "Use a longer --timeout" in nothing


@pytest.mark.long
def test_the_folder_may_be_renamed_and_damaged_results_are_written_again(copied: Path, s140, tunable: Path) -> None:
    before = read(copied)
    moved = copied.rename(copied.with_name("moved"))
    (moved / "tuning.json").write_text('{"final": 5')
    stderr = s140("tune", moved, "--recipe", tunable, "--trials", 6, "--final-seeds", 2).stderr
    assert "step " not in stderr
    assert read(moved) == before
    (moved / "study.json").write_text('{"study": 5}')
    assert "study: 5 then, '5' now" in s140("tune", moved, "--recipe", tunable, code=1).stderr
