"""``s140 tune`` with a BERT so small that it is trained at once."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from sentiment140_bert import recipes, run_lock, workflows
from sentiment140_bert.cli import main
from sentiment140_bert.errors import RunError
from sentiment140_bert.run_dir import TEMPORARY, RunDir
from sentiment140_bert.training.checkpoints import seal
from sentiment140_bert.tuning.owner import this_process
from sentiment140_bert.tuning.store import Store
from sentiment140_bert.tuning.study import Study
from sentiment140_bert.workflows import saved_recipe, tuning_finals, tuning_trials
from sentiment140_bert.workflows.tuning_dir import TuningDir
from sentiment140_bert.workflows.tuning_trials import left_in
from tiny_run import TINY, process

pytest_plugins = "model_fixtures"

TUNING = {
    "learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
    "per_device_train_batch_size": [32, 64],
    "max_length": [12, 32],
    "layerwise_lr_decay": {"low": 0.5, "high": 1.0},
    "hidden_dropout_prob": {"low": 0.0, "high": 0.3},
}


@pytest.fixture(scope="module")
def recipe(small_bert: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """180 tweets to train on, 60 to validate, 60 to test; five settings to be tuned."""
    plain: dict[str, Any] = {"model": {"model_name_or_path": str(small_bert("BertModel"))}, "tuning": TUNING}
    plain["data"] = {"dataset": "sample", "max_samples": 300, "validation_size": 60, "test_size": 60, "max_length": 32}
    plain["training"] = {
        name.replace("-", "_"): TINY[name] for name in ("num-train-epochs", "logging-steps", "report-to")
    } | {"per_device_train_batch_size": 32, "learning_rate": 1e-4}
    file = tmp_path_factory.mktemp("recipes") / "mine.yaml"
    file.write_text(yaml.safe_dump(plain))
    return file


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, recipe: Path) -> Path:
    """A finished tuning; not to be changed."""
    folder = tmp_path_factory.mktemp("tunings") / "mine"
    asked = ["tune", str(folder), "--recipe", str(recipe), "--trials", "6", "--final-seeds", "2"]
    result = CliRunner().invoke(main, asked, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "mine"))


IDENTITY = ("space", "recipe", "data", "metric", "direction", "sampler", "pruner", "seed")


def read(folder: Path, name: str = "tuning.json") -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / name).read_text("utf-8"))
    return content


def what_came_out(folder: Path) -> list[tuple[Any, ...]]:
    names = ("number", "state", "value", "values", "scores")
    return [tuple(each[name] for name in names) for each in read(folder)["trials"]]


def rows_of(folder: Path) -> list[tuple[int, str]]:
    with sqlite3.connect(folder / "study.db") as connection:
        return connection.execute("select number, state from trials order by number").fetchall()


def test_every_trial_is_a_training_of_its_values(finished: Path) -> None:
    tuning = read(finished)
    folders = ["figures", "final", "trials"]
    files = ["README.md", "best.yaml", "study.db", "study.db.lock", "study.json", "study.json.lock", "tuning.json"]
    assert sorted(each.name for each in finished.iterdir()) == sorted([*folders, *files])
    assert sum(tuning["counts"].values()) == len(rows_of(finished)) == 6
    for each in tuning["trials"]:
        run = RunDir(finished / "trials" / f"trial-{each['number']:04}")
        recipe = saved_recipe(run.path)
        plain = recipe.to_dict()
        flat = plain["model"] | plain["data"] | plain["training"]
        assert {name: flat[name] for name in each["values"]} == each["values"]
        assert recipe.tracking.group == "mine"
        assert not run.metrics.exists()
        assert not run.checkpoints.exists()
        lines = [json.loads(line) for line in run.history.read_text().splitlines()]
        assert [line["eval_accuracy"] for line in lines if "eval_accuracy" in line] == each["scores"]
        assert each["value"] == (max(each["scores"]) if each["state"] == "complete" else each["scores"][-1])


def test_the_first_trial_is_the_recipe_as_it_is(finished: Path) -> None:
    tuning = read(finished)
    assert tuning["trials"][0]["values"] == {name: tuning["own_values"][name] for name in TUNING}
    assert tuning["own_values"]["hidden_dropout_prob"] == 0.0  # the model's own


def test_the_best_is_the_best_on_validation(finished: Path) -> None:
    tuning = read(finished)
    complete = [each for each in tuning["trials"] if each["state"] == "complete"]
    assert tuning["best"]["value"] == max(each["value"] for each in complete)
    recipe = recipes.load(str(finished / "best.yaml"))
    assert not recipe.tuning
    plain = recipe.to_dict()
    flat = plain["model"] | plain["data"] | plain["training"]
    assert {name: flat[name] for name in TUNING} == tuning["best"]["values"]


def test_best_yaml_trains(finished: Path, s140, tmp_path: Path) -> None:
    s140("train", "--recipe", finished / "best.yaml", "--output-dir", "run", "--num-train-epochs", 1)
    assert RunDir(tmp_path / "run").is_finished()


def test_the_comparison_is_of_the_same_seeds_and_says_what_it_is(finished: Path) -> None:
    tuning = read(finished)
    final = tuning["final"]
    if "same" in final:
        pytest.skip("the recipe's own values were the best")
    assert final["seeds"] == [43, 44]  # the trials had 42
    best = tuning["best"]["number"]
    assert final["trial"] == best
    assert final["runs"]["best"] == [f"final/trial-{best:04}-seed-{seed}" for seed in (43, 44)]
    for split, each in final["splits"].items():
        for kind, side in (("best", "first"), ("recipe", "second")):
            scores = [
                read(finished / run, "metrics.json")["splits"][split]["accuracy"]["value"]
                for run in final["runs"][kind]
            ]
            assert each[side]["value"] == pytest.approx(sum(scores) / 2)
        noise = each["p_value"] >= 0.05
        assert ("within noise" in each["sentence"]) == noise
    page = (finished / "README.md").read_text()
    assert "within noise" in page or "did better." in page


def test_a_comparison_is_of_the_best_trial_also_if_another_process_finds_it_meanwhile(
    copy: Path, s140, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("tune", copy, "--recipe", recipe, "--trials", 6)
    really = tuning_finals.compared

    def while_another_works(*arguments: Any) -> dict[str, Any]:
        store = Store(f"sqlite:///{copy}/study.db")
        identity = json.loads((copy / "study.json").read_text())
        claim = Study(store, identity["study"], {key: identity[key] for key in IDENTITY}).take(7)
        if claim:
            claim.finish(0.999)
        return really(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(tuning_finals, "compared", while_another_works)
        said = s140(*asked, "--final-seeds", 1).stderr
    assert "meanwhile trial 6 has become the best" in said
    tuning = read(copy)
    assert tuning["best"]["number"] == tuning["final"]["trial"] == 6
    assert tuning["final"]["runs"]["best"] == ["final/trial-0006-seed-43"]
    s140(*asked, "--final-seeds", 0)
    assert read(copy)["final"] == tuning["final"]
    (copy / "tuning.json").write_text(json.dumps(tuning | {"final": tuning["final"] | {"trial": 5}}))
    s140(*asked, "--final-seeds", 0)
    assert read(copy)["final"] is None


def test_the_pictures_are_pictures(finished: Path) -> None:
    drawn = {each.name for each in (finished / "figures").iterdir()}
    assert drawn == {"history.png", "importances.png", "parallel_coordinates.png"}
    assert all((finished / "figures" / name).read_bytes().startswith(b"\x89PNG") for name in drawn)


def test_the_same_command_again_trains_nothing(copy: Path, s140, recipe: Path) -> None:
    """What a process did not come to that was killed after its last trial is made up for."""
    before, best = read(copy), (copy / "best.yaml").read_text()
    (copy / "best.yaml").unlink()
    left = RunDir(copy / "trials" / "trial-0005").checkpoints
    (left / "checkpoint-6").mkdir(parents=True)
    result = s140("tune", copy, "--recipe", recipe, "--trials", 6, "--final-seeds", 2)
    said = result.stderr
    table = dict(line.split(maxsplit=1) for line in result.stdout.splitlines() if line.startswith(tuple(TUNING)))
    assert table["learning_rate"].split()[0] == f"{before['best']['values']['learning_rate']:.3g}"
    assert "6 of 6 trials are done" in said
    assert "step " not in said
    assert read(copy) == before
    assert (copy / "best.yaml").read_text() == best
    assert not left.exists()


def test_models_are_kept_on_request_also_later(copy: Path, s140, recipe: Path) -> None:
    best = read(copy)["best"]["number"]
    s140("tune", copy, "--recipe", recipe, "--trials", 6, "--final-seeds", 1, "--keep-models")
    if "same" in read(copy)["final"]:
        pytest.skip("the recipe's own values were the best")
    for name in (f"trial-{best:04}", "recipe"):
        run = RunDir(copy / "final" / f"{name}-seed-43")
        assert run.weights.is_file()
        assert run.card.is_file()
        assert not run.checkpoints.exists()
    s140("tune", copy, "--recipe", recipe, "--trials", 6, "--final-seeds", 1)
    assert RunDir(copy / "final" / "recipe-seed-43").weights.is_file()


def test_a_checkpoint_of_another_study_is_not_gone_on_with(copy: Path) -> None:
    """Its store was removed, and a trial of the same number begun."""
    run = RunDir(copy / "trials" / "trial-0000")
    checkpoint = run.checkpoints / "checkpoint-6"
    checkpoint.mkdir(parents=True)
    (checkpoint / "model.safetensors").write_bytes(b"weights")
    seal(checkpoint, 1.0)
    recipe, fingerprint = saved_recipe(run.path), run.read(run.data)["fingerprint"]
    assert left_in(run, recipe, fingerprint) == checkpoint
    assert left_in(run, recipe.with_values({"learning_rate": 0.5}), fingerprint) is None
    assert left_in(run, recipe, "0" * 64) is None


def test_a_trial_that_another_process_trains_is_left_to_it(tmp_path: Path, s140, recipe: Path) -> None:
    folder = tmp_path / "mine"
    with run_lock.held(folder / "trials" / "trial-0000", "training a trial", make=True):
        (folder / "study.json").write_text("{}")
        asked = ["tune", folder, "--recipe", recipe, "--trials", 1, "--final-seeds", 0]
        other = process(*asked)
        _, said = other.communicate(timeout=120)
    assert other.returncode == 1
    assert "is in use: training a trial by process" in said
    assert rows_of(folder) == [(0, "RUNNING")]
    s140(*asked)
    assert rows_of(folder) == [(0, "COMPLETE")]


def test_more_trials_go_on_where_the_others_ended(copy: Path, s140, recipe: Path) -> None:
    before = what_came_out(copy)
    s140("tune", copy, "--recipe", recipe, "--trials", 7, "--final-seeds", 0)
    assert what_came_out(copy)[:6] == before
    assert len(rows_of(copy)) == 7


def killed(folder: Path, recipe: Path, trials: int, at: Callable[[str], bool]) -> str:
    """Starts a tuning, kills it at a line, and returns what it said until then."""
    asked = ("tune", folder, "--recipe", recipe, "--trials", trials, "--final-seeds", 0)
    started = process(*asked)
    said = ""
    for line in started.stderr:
        said += line
        if at(line):
            started.send_signal(signal.SIGKILL)
            break
    started.communicate(timeout=60)
    assert started.returncode == -signal.SIGKILL, said
    return said


def test_a_study_that_is_killed_twice_loses_nothing_and_repeats_nothing(
    tmp_path: Path, finished: Path, recipe: Path, s140
) -> None:
    """Killed in the middle of its second trial, and while it begins the fourth."""
    folder = tmp_path / "mine"
    first = killed(folder, recipe, 6, lambda line: line.startswith("tune: trial 1, evaluation 1"))
    second = killed(folder, recipe, 6, lambda line: line.startswith("tune: trial 3 ("))
    assert [state for _, state in rows_of(folder)].count("RUNNING") == 1
    third = s140("tune", folder, "--recipe", recipe, "--trials", 6, "--final-seeds", 0).stderr
    assert "tune: trial 1 (2 of 6) (begun before)" in second
    assert "tune: trial 3 (4 of 6) (begun before)" in third
    assert "tune: trial 0 (" not in second + third
    assert "tune: trial 1 (" in first
    assert "tune: trial 2 (" not in first + third
    assert [number for number, _ in rows_of(folder)] == list(range(6))
    assert what_came_out(folder) == what_came_out(finished)  # as if it had never been killed


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


def test_what_a_machine_left_that_went_down_is_made(copy: Path, recipe: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Called once: it waits until the other one counts as dead, and does its trial and its comparison."""
    caplog.set_level("INFO")
    before = what_came_out(copy)
    held_elsewhere(copy, {5: "RUNNING"})
    workflows.tune(recipes.load(str(recipe)), copy, 6, final_seeds=2, patience=0.3)
    assert "trial 5: begun by a process elsewhere" in caplog.text
    assert what_came_out(copy) == before
    held_elsewhere(copy, {})
    caplog.clear()
    tuning = workflows.tune(recipes.load(str(recipe)), copy, 6, final_seeds=2, patience=0.3)
    assert "the comparison: begun by a process elsewhere" in caplog.text
    assert "other processes are still at work" not in caplog.text
    assert tuning["final"] == read(copy)["final"] is not None


def test_nothing_is_named_that_is_not_there(tmp_path: Path, s140, recipe: Path) -> None:
    asked = ("tune", tmp_path / "mine", "--recipe", recipe, "--trials", 1, "--final-seeds", 0)
    s140(*asked)
    (tmp_path / "mine" / "best.yaml").unlink()
    shutil.rmtree(tmp_path / "mine" / "figures")
    held_elsewhere(tmp_path / "mine", {0: "RUNNING"})
    result = s140(*asked, "--timeout", "0.001s")
    assert "trials held by other processes: 1" in result.stdout
    assert result.stdout.endswith("mine/README.md, tuning.json\n")
    assert sorted(each.name for each in (tmp_path / "mine").iterdir() if each.name in ("best.yaml", "figures")) == []


def test_a_signal_leaves_a_checkpoint_and_says_how_to_go_on(tmp_path: Path, recipe: Path, s140) -> None:
    asked = ("tune", tmp_path / "mine", "--recipe", recipe, "--trials", 1, "--final-seeds", 0)
    started = process(*asked, "--num-train-epochs", 20)
    for line in started.stderr:
        if line.startswith("tune: trial 0, evaluation 1"):
            started.send_signal(signal.SIGTERM)
            break
    stdout, stderr = started.communicate(timeout=60)
    assert (started.returncode, stdout) == (143, ""), stderr
    assert "Finished trials are kept; go on with the same command." in stderr
    assert "Traceback" not in stderr
    again = s140(*asked, "--num-train-epochs", 20).stderr
    assert "tune: going on from checkpoint-" in again
    scores = read(tmp_path / "mine")["trials"][0]["scores"]
    assert len(scores) == 20


def test_two_processes_on_one_store_share_its_trials(tmp_path: Path, recipe: Path) -> None:
    asked = ("tune", tmp_path / "mine", "--recipe", recipe, "--trials", 5, "--final-seeds", 1)
    both = [process(*asked) for _ in range(2)]
    said = [each.communicate(timeout=240) for each in both]
    assert [each.returncode for each in both] == [0, 0], said
    stderr = said[0][1] + said[1][1]
    assert [number for number, _ in rows_of(tmp_path / "mine")] == list(range(5))
    for number in range(5):
        assert stderr.count(f"tune: trial {number} (") == 1
    assert "begun before" not in stderr
    tuning = read(tmp_path / "mine")
    assert tuning["counts"]["running"] == 0
    if "same" not in tuning["final"]:
        assert stderr.count("tune: the recipe as it is, seed 43") == 1


HELD_OUT = ("test", "manual", "manual_neutral")


def test_until_the_comparison_nothing_but_training_and_validation_is_read(
    cache: Path, tmp_path: Path, recipe: Path, s140, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the trials have their tweets, test and manual ones are taken away; only the comparison makes them anew."""
    s140("prepare", "--recipe", recipe)
    taken = [
        folder / name for kind in ("prepared", "tokenized") for folder in (cache / kind).iterdir() for name in HELD_OUT
    ]
    assert all(each.is_dir() for each in taken)
    really = tuning_trials.material

    def and_no_more(*arguments: Any) -> Any:
        found = really(*arguments)
        for each in taken:
            shutil.rmtree(each, ignore_errors=True)
        return found

    asked = ("tune", "mine", "--recipe", recipe, "--trials", 4)
    with monkeypatch.context() as patched:
        patched.setattr(tuning_trials, "material", and_no_more)
        said = s140(*asked, "--final-seeds", 0).stderr
    assert "damaged" not in said
    assert not any(each.exists() for each in taken)
    tuning = read(tmp_path / "mine")
    assert tuning["counts"]["complete"] == 4
    assert tuning["final"] is None
    assert "not trained again here; the test tweets were not looked at" in (tmp_path / "mine" / "README.md").read_text()
    if tuning["best"]["number"]:
        assert "was damaged" in s140(*asked, "--final-seeds", 1).stderr
        assert all(each.exists() for each in taken)


def test_trials_are_given_two_splits() -> None:
    """There is no way from what a trial is given to what is held out."""
    import dataclasses

    from sentiment140_bert.workflows.tuning_trials import Material

    assert [each.name for each in dataclasses.fields(Material)] == ["train", "validation", "tokenizer", "report", "cut"]


def test_values_that_do_not_work_cost_their_trial_only(tmp_path: Path, recipe: Path, s140) -> None:
    plain = yaml.safe_load(recipe.read_text())
    plain["tuning"] = {"learning_rate": [1e-3, 1e30]}
    plain["training"] |= {"learning_rate": 1e-3, "max_grad_norm": 0, "num_train_epochs": 1}
    (tmp_path / "wild.yaml").write_text(yaml.safe_dump(plain))
    said = s140(
        "tune", "mine", "--recipe", "wild.yaml", "--trials", 6, "--final-seeds", 0, "--sampler", "random"
    ).stderr
    tuning = read(tmp_path / "mine")
    assert tuning["counts"]["complete"] + tuning["counts"]["failed"] == 6
    assert tuning["counts"]["failed"] > 0
    assert "failed: Training diverged" in said
    assert tuning["best"]["values"] == {"learning_rate": 1e-3}
    assert "Training diverged" in (tmp_path / "mine" / "README.md").read_text()
    plain["tuning"] = {"learning_rate": [1e29, 1e30]}
    (tmp_path / "wild.yaml").write_text(yaml.safe_dump(plain))
    result = s140("tune", "none", "--recipe", "wild.yaml", "--trials", 2, code=1)
    assert "No trial came to its end: Training diverged" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--trials", 0), 1, "0 trials try nothing"),
        (("--trials", -3), 1, "-3 trials try nothing"),
        (("--timeout", 0), 1, "In 0 seconds nothing can be tried"),
        (("--timeout", "0m"), 1, "In 0 seconds nothing can be tried"),
        (("--timeout", "nan"), 1, "In nan seconds nothing can be tried"),
        (("--timeout", "soon"), 2, "seconds, or as in 90s, 30m, 2.5h"),
        (("--final-seeds", -1), 1, "-1 seeds are none"),
        (("--final-seeds", 2, "--seed", 4294967294), 1, "must lie between 0 and 4,294,967,295; --final-seeds says"),
        (("--eval-strategy", "no", "--no-load-best-model-at-end"), 1, "no trial can be judged without evaluations"),
        (("--register-model", "m", "--report-to", "mlflow"), 1, "register_model"),
        (("--log-model",), 1, "add --keep-models"),
        (("--dataset", "nowhere.csv"), 1, "nowhere.csv"),
        (("--test-size", 0, "--manual-test", "none"), 1, "Nothing is held out"),
        (("--storage", "my store"), 1, "no address of a database"),
        (("--storage", "sqlite://"), 1, "in memory is gone"),
        (("--sampler", "grid"), 2, "'grid' is not one of"),
    ],
)
def test_what_makes_no_study(s140, recipe: Path, tmp_path: Path, arguments: Any, code: int, said: str) -> None:
    result = s140("tune", "new", "--recipe", recipe, *arguments, code=code)
    assert said in result.stderr
    assert result.stdout == ""
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("ranges", "more", "said"),
    [
        (
            {"lr_scheduler_type": ["linear", "cosine_with_min_lr"]},
            {},
            "cosine_with_min_lr with lr_scheduler_kwargs not",
        ),
        (
            {"learning_rate": [1e-3, 1e-5]},
            {"lr_scheduler_type": "polynomial", "lr_scheduler_kwargs": {"lr_end": 1e-4}},
            "must be smaller",
        ),
    ],
)
def test_a_schedule_that_cannot_be_built_is_refused_before_the_tweets_are_prepared(
    tmp_path: Path, s140, recipe: Path, ranges: dict[str, Any], more: dict[str, Any], said: str
) -> None:
    plain = yaml.safe_load(recipe.read_text())
    (tmp_path / "bad.yaml").write_text(yaml.safe_dump(plain | {"tuning": ranges, "training": plain["training"] | more}))
    result = s140("tune", "new", "--recipe", "bad.yaml", code=1)
    assert said in result.stderr
    assert "data: " not in result.stderr
    assert not (tmp_path / "new").exists()


def test_a_timeout_ends_the_trials_and_the_comparison_is_made(copy: Path, s140, recipe: Path) -> None:
    said = s140("tune", copy, "--recipe", recipe, "--trials", 50, "--timeout", "0.001s", "--final-seeds", 2).stderr
    assert "tune: the time is over" in said
    assert len(rows_of(copy)) == 6
    nothing = s140("tune", "new", "--recipe", recipe, "--trials", 5, "--timeout", "0.001s", code=1).stderr
    assert "The time was over before a trial came to its end." in nothing
    assert "Give a longer --timeout" in nothing


def test_the_folder_may_be_renamed(copy: Path, s140, recipe: Path) -> None:
    before = read(copy)
    moved = copy.rename(copy.with_name("moved"))
    s140("tune", moved, "--recipe", recipe, "--trials", 6, "--final-seeds", 0)
    assert read(moved) == before
    (moved / "study.json").write_text('{"study": 5}')
    assert "study: 5 then, 'moved' now" in s140("tune", moved, "--recipe", recipe, code=1).stderr


@pytest.mark.parametrize("damaged", ["{", "[]", '{"final": {"trial": 1}}', '{"final": 5}'])
def test_damaged_results_are_written_anew(copy: Path, s140, recipe: Path, damaged: str) -> None:
    before = read(copy)
    (copy / "tuning.json").write_text(damaged)
    asked = ("tune", copy, "--recipe", recipe, "--trials", 6)
    assert "It is written anew; a comparison is made anew by" in s140(*asked, "--final-seeds", 0).stderr
    assert read(copy) == before | {"final": None}
    (copy / "tuning.json").write_text(damaged)
    s140(*asked, "--final-seeds", 2)
    assert read(copy) == before


def test_the_address_of_a_store_is_told_nowhere(tmp_path: Path, s140, recipe: Path) -> None:
    """It may hold a password; of a file the folder is nobody's business."""
    url = f"sqlite:///{tmp_path}/a_private_folder/shared.db?mode=secret"
    (tmp_path / "a_private_folder").mkdir()
    s140("tune", "mine", "--recipe", recipe, "--trials", 1, "--final-seeds", 0, f"--storage={url}")
    told = read(tmp_path / "mine" / "trials" / "trial-0000", "environment.json")["command"]
    assert told.endswith("--storage=shared.db")
    for name in ("tuning.json", "README.md"):
        assert "secret" not in (tmp_path / "mine" / name).read_text()


def test_another_study_is_refused_with_the_difference(copy: Path, s140, recipe: Path, tmp_path: Path) -> None:
    asked = ("tune", copy, "--recipe", recipe, "--trials", 6)
    assert "recipe.training.weight_decay: 0.01 then, 0.5 now" in s140(*asked, "--weight-decay", 0.5, code=1).stderr
    assert "data: " in s140(*asked, "--split-seed", 1, code=1).stderr
    assert "pruner: 'median' then, 'none' now" in s140(*asked, "--pruner", "none", code=1).stderr
    assert "study: 'mine' then, 'other' now" in s140(*asked, "--study-name", "other", code=1).stderr
    shared = (
        "tune",
        "elsewhere",
        "--storage",
        f"sqlite:///{copy}/study.db",
        "--study-name",
        "mine",
        "--recipe",
        recipe,
    )
    refused = s140(*shared, "--trials", 6, "--learning-rate", 2e-3, code=1).stderr
    assert "The study 'mine' in" in refused
    assert "recipe.training.learning_rate: 0.0001 then, 0.002 now" in refused


def test_folders_of_something_else_are_left_alone(s140, recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    assert "is a file" in s140("tune", "file", "--recipe", recipe, code=1).stderr
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    assert "is not empty, and no tuning" in s140("tune", "full", "--recipe", recipe, code=1).stderr
    assert [each.name for each in (tmp_path / "full").iterdir()] == ["notes.txt"]


def test_what_a_process_writes_that_begins_at_the_same_time_is_no_obstacle(tmp_path: Path) -> None:
    home = TuningDir(tmp_path)
    for name in ("study.db", "study.db.lock", "study.db-journal", f"{TEMPORARY}study.json.abc.json"):
        (tmp_path / name).write_text("")
    home.refuse_something_else()
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="no tuning"):
        home.refuse_something_else()


def test_trials_share_no_repository_of_checkpoints(s140, recipe: Path, tmp_path: Path) -> None:
    asked = ("tune", "mine", "--recipe", recipe, "--trials", 1, "--final-seeds", 0)
    said = s140(*asked, "--checkpoint-repo-id", "you/checkpoints").stderr
    assert "a tuning trains several models; nothing is kept in you/checkpoints" in said
    assert recipes.load(str(tmp_path / "mine" / "best.yaml")).tracking.checkpoint_repo_id is None


def test_a_volume_is_refused(s140, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S140_VOLUMES", str(tmp_path / "volume"))
    assert "is on a volume" in s140("tune", tmp_path / "volume" / "mine", "--recipe", recipe, code=1).stderr
    assert not (tmp_path / "volume").exists()


def test_the_result_is_printed_as_json(copy: Path, s140, recipe: Path) -> None:
    result = json.loads(s140("tune", copy, "--recipe", recipe, "--trials", 6, "--final-seeds", 2, "--json").stdout)
    assert result | {"output": 0, "left": 0} == read(copy) | {"output": 0, "left": 0}
