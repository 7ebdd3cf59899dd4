"""``s140 tune``: its trials, their results, and what they may read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from sentiment140_bert import saved_recipe
from sentiment140_bert.errors import RecipeError
from sentiment140_bert.experiments.tune import comparison, trials, tuning
from sentiment140_bert.experiments.tune.space import DEFAULT
from sentiment140_bert.recipe import Range, Recipe, load_recipe
from sentiment140_bert.run import RunDir
from tune_fixtures import TUNING, read, rows_of

pytest_plugins = ("model_fixtures", "tune_fixtures")


def test_every_trial_is_a_training_of_its_values(tuned: Path) -> None:
    tuning = read(tuned)
    folders = ["figures", "final", "trials"]
    files = ["README.md", "best.yaml", "study.db", "study.json", "tuning.json"]
    locks = ["final.lock", "study.db.lock", "study.json.lock"]
    assert sorted(file.name for file in tuned.iterdir()) == sorted([*folders, *files, *locks])
    assert sum(tuning["counts"].values()) == len(rows_of(tuned)) == 6
    for trial in tuning["trials"]:
        run = RunDir(tuned / "trials" / f"trial-{trial['number']:04}")
        recipe = saved_recipe(run.path)
        plain = recipe.to_dict()
        flat = plain["model"] | plain["data"] | plain["training"]
        assert {name: flat[name] for name in trial["values"]} == trial["values"]
        assert recipe.tracking.group == "mine"
        assert not run.metrics.exists()
        assert not run.checkpoints.exists()
        lines = [json.loads(line) for line in run.history.read_text().splitlines()]
        assert [line["eval_accuracy"] for line in lines if "eval_accuracy" in line] == trial["scores"]
        assert trial["value"] == (max(trial["scores"]) if trial["state"] == "complete" else trial["scores"][-1])


def test_the_first_trial_is_the_recipe_as_far_as_its_values_are_in_the_ranges(tuned: Path) -> None:
    tuning = read(tuned)
    values = {name: tuning["own_values"][name] for name in TUNING}
    assert tuning["trials"][0]["values"] == values | {"learning_rate": tuning["trials"][0]["values"]["learning_rate"]}
    assert tuning["own_values"]["hidden_dropout_prob"] == 0.0  # the model's own


def test_the_best_is_the_best_on_validation(tuned: Path) -> None:
    tuning = read(tuned)
    complete = [trial for trial in tuning["trials"] if trial["state"] == "complete"]
    assert tuning["best"]["value"] == max(trial["value"] for trial in complete)
    recipe = load_recipe(str(tuned / "best.yaml"))
    assert not recipe.tuning
    plain = recipe.to_dict()
    flat = plain["model"] | plain["data"] | plain["training"]
    assert {name: flat[name] for name in TUNING} == tuning["best"]["values"]


def test_best_yaml_trains(tuned: Path, s140, tmp_path: Path) -> None:
    s140("train", "--recipe", tuned / "best.yaml", "--output-dir", "run", "--num-train-epochs", 1)
    assert RunDir(tmp_path / "run").is_finished()


def test_the_comparison_is_of_the_same_seeds_and_says_what_it_is(tuned: Path) -> None:
    tuning = read(tuned)
    final = tuning["final"]
    assert final["seeds"] == [43, 44]  # the trials had 42
    best = tuning["best"]["number"]
    assert final["trial"] == best
    assert final["runs"]["best"] == [f"final/trial-{best:04}-seed-{seed}" for seed in (43, 44)]
    for split, result in final["splits"].items():
        for kind, side in (("best", "first"), ("recipe", "second")):
            scores = [
                read(tuned / run, "metrics.json")["splits"][split]["accuracy"]["value"] for run in final["runs"][kind]
            ]
            assert result[side]["value"] == pytest.approx(sum(scores) / 2)
        assert ("is not significant" in result["sentence"]) == (result["p_value"] >= 0.05)
    page = (tuned / "README.md").read_text()
    assert "is not significant." in page or "did better." in page


@pytest.mark.long
def test_a_comparison_is_of_the_best_trial_also_if_another_process_finds_it_meanwhile(
    copied: Path, s140, tunable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("tune", copied, "--recipe", tunable, "--trials", 6)
    compare = comparison.compare

    def compare_while_another_process_works(work: Any, *arguments: Any) -> dict[str, Any]:
        if work.study.queue_next(7):
            work.study.run_next(lambda attempt: 0.999)
        return compare(work, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(comparison, "compare", compare_while_another_process_works)
        stderr = s140(*command, "--final-seeds", 1).stderr
    assert "meanwhile trial 6 has become the best" in stderr
    tuning = read(copied)
    assert tuning["best"]["number"] == tuning["final"]["trial"] == 6
    assert tuning["final"]["runs"]["best"] == ["final/trial-0006-seed-43"]
    assert "step " not in s140(*command, "--final-seeds", 1).stderr
    assert read(copied) == tuning
    s140(*command, "--final-seeds", 0)
    assert read(copied)["final"] is None


def test_the_pictures_are_pictures(tuned: Path) -> None:
    drawn = {path.name for path in (tuned / "figures").iterdir()}
    assert drawn == {"history.png", "importances.png", "parallel_coordinates.png"}
    assert all((tuned / "figures" / name).read_bytes().startswith(b"\x89PNG") for name in drawn)


HELD_OUT = ("test", "manual", "manual_neutral")


@pytest.mark.long
def test_reads_only_training_and_validation_before_the_comparison(
    cache: Path, tmp_path: Path, tunable: Path, s140, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Remove test and manual tweets once the trials have theirs; only the comparison creates them again."""
    s140("prepare", "--recipe", tunable)
    taken = [
        folder / name for kind in ("prepared", "tokenized") for folder in (cache / kind).iterdir() for name in HELD_OUT
    ]
    assert all(folder.is_dir() for folder in taken)
    load = tuning.load_material

    def load_and_remove_the_others(*arguments: Any) -> Any:
        material = load(*arguments)
        for folder in taken:
            shutil.rmtree(folder, ignore_errors=True)
        return material

    command = ("tune", "mine", "--recipe", tunable, "--trials", 4)
    with monkeypatch.context() as patched:
        patched.setattr(tuning, "load_material", load_and_remove_the_others)
        stderr = s140(*command, "--final-seeds", 0).stderr
    assert "damaged" not in stderr
    assert not any(folder.exists() for folder in taken)
    content = read(tmp_path / "mine")
    assert content["counts"]["complete"] == 4
    assert content["final"] is None
    assert "not trained again here; the test tweets were not looked at" in (tmp_path / "mine" / "README.md").read_text()
    assert "was damaged" in s140(*command, "--final-seeds", 1).stderr
    assert all(folder.exists() for folder in taken)


def test_the_recipe_s_own_values_are_not_compared_with_themselves(tmp_path: Path) -> None:
    work = SimpleNamespace(own={"learning_rate": 1e-4, "seed": 1})
    best = {"number": 3, "values": {"learning_rate": 1e-4}}
    assert comparison.compare(work, best, [43], False) == {"trial": 3, "same": comparison.SAME}  # type: ignore[arg-type]


def test_a_trial_is_scored_by_the_weights_that_it_would_keep() -> None:
    scores = [0.5, 0.8, 0.6]
    for metric, best in (("accuracy", 0.8), ("eval_loss", 0.5), ("log_loss", 0.5), ("eval_f1", 0.8)):
        for keeps_best in (True, False):
            recipe = Recipe().with_values({"metric_for_best_model": metric, "load_best_model_at_end": keeps_best})
            assert trials.score_of(recipe, scores) == (best if keeps_best else 0.6), (metric, keeps_best)


def test_default_ranges_are_those_that_have_an_effect() -> None:
    dropouts = Recipe().model.dropouts()
    everything = dict.fromkeys(dropouts, 0.1)
    for changes, own, without in (
        ({}, everything, set()),
        ({"max_steps": 5}, everything, {"num_train_epochs"}),
        ({"metric_for_best_model": "eval_loss"}, everything, {"label_smoothing_factor"}),
        ({}, everything | {"classifier_dropout": None}, {"classifier_dropout"}),
    ):
        ranges = tuning._choose_ranges(Recipe().with_values(changes), own)
        assert ranges == {name: limits for name, limits in DEFAULT.items() if name not in without}
    recipe = Recipe().model_copy(update={"tuning": {"hidden_dropout_prob": Range(0.0, 0.5)}})
    assert tuning._choose_ranges(recipe, everything) == recipe.tuning
    with pytest.raises(RecipeError, match="hidden_dropout_prob: this model has no such dropout"):
        tuning._choose_ranges(recipe, everything | {"hidden_dropout_prob": None})


@pytest.mark.long
def test_values_that_do_not_work_cost_their_trial_only(tmp_path: Path, tunable: Path, s140) -> None:
    plain = yaml.safe_load(tunable.read_text())
    plain["tuning"] = {"learning_rate": [1e-3, 1e30]}
    plain["training"] |= {"learning_rate": 1e-3, "max_grad_norm": 0, "num_train_epochs": 1}
    (tmp_path / "wild.yaml").write_text(yaml.safe_dump(plain))
    stderr = s140(
        "tune", "mine", "--recipe", "wild.yaml", "--trials", 6, "--final-seeds", 0, "--sampler", "random"
    ).stderr
    tuning = read(tmp_path / "mine")
    assert tuning["counts"]["complete"] + tuning["counts"]["failed"] == 6
    assert tuning["counts"]["failed"] > 0
    assert "failed: Training diverged" in stderr
    assert tuning["best"]["values"] == {"learning_rate": 1e-3}
    assert "Training diverged" in (tmp_path / "mine" / "README.md").read_text()
    plain["tuning"] = {"learning_rate": [1e29, 1e30]}
    (tmp_path / "wild.yaml").write_text(yaml.safe_dump(plain))
    result = s140("tune", "none", "--recipe", "wild.yaml", "--trials", 2, code=1)
    assert "No trial finished: Training diverged" in result.stderr


def test_the_address_of_a_store_appears_nowhere(tmp_path: Path, s140, tunable: Path) -> None:
    """Hide it: it may contain a password, and the folder of a file is private."""
    url = f"sqlite:///{tmp_path}/a_private_folder/shared.db?mode=secret"
    (tmp_path / "a_private_folder").mkdir()
    s140("tune", "mine", "--recipe", tunable, "--trials", 1, "--final-seeds", 0, f"--storage={url}")
    command = read(tmp_path / "mine" / "trials" / "trial-0000", "environment.json")["command"]
    assert command.endswith("--storage=shared.db")
    for name in ("tuning.json", "README.md"):
        assert "secret" not in (tmp_path / "mine" / name).read_text()


def test_the_result_is_printed_as_json(copied: Path, s140, tunable: Path) -> None:
    result = json.loads(s140("tune", copied, "--recipe", tunable, "--trials", 6, "--final-seeds", 2, "--json").stdout)
    assert result | {"output": 0, "left": 0} == read(copied) | {"output": 0, "left": 0}
