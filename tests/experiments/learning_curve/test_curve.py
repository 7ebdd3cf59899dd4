"""``s140 learning-curve`` with a BERT so small that it is trained at once."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from command_line import Command, signalled
from curve_fixtures import SEEDS, SIZES, find_run, hash_files, read, read_points
from sentiment140_bert import saved_recipe
from sentiment140_bert.experiments.learning_curve.plan import CurveDir, Training, estimate_time_left, limit_sizes
from sentiment140_bert.recipe import Recipe
from sentiment140_bert.text import format_duration

pytest_plugins = ("model_fixtures", "curve_fixtures")
FILES = ["README.md", "curve.csv", "curve.json", "curve.png", "plan.json", "points"]
RUN_FILES = {"recipe.yaml", "data.json", "environment.json", "history.jsonl", "metrics.json", "predictions.parquet"}


def test_each_training_is_an_ordinary_run_without_its_weights(finished_curve: Path) -> None:
    """Take every number of the curve from a run, and score all runs on the same tweets."""
    curve = read(finished_curve / "curve.json")
    assert sorted(path.name for path in finished_curve.iterdir()) == FILES
    assert set(read_points(finished_curve)) == {(size, seed) for size in SIZES for seed in SEEDS}
    for (size, seed), point in read_points(finished_curve).items():
        run = find_run(finished_curve, size, seed)
        assert {path.name for path in run.path.iterdir()} == RUN_FILES
        recipe = saved_recipe(run.path)
        assert (recipe.data.max_train_samples, recipe.training.seed) == (size, seed)
        assert (recipe.tracking.group, recipe.training.run_name) == ("mine", f"mine-{run.path.name}")
        metrics, training = read(run.metrics), read(run.environment)["training"]
        assert read(run.data)["splits"]["train"]["rows"] == size
        assert (point["run"], point["seconds"], point["steps"], point["weights_sha256"]) == (
            *(f"points/{run.path.name}", training["seconds"], training["steps"], metrics["weights_sha256"]),
        )
        assert point["cost"] == pytest.approx(training["seconds"] / 3600 * 3.5)
        for name in ("test", "manual"):
            split, tfidf = metrics["splits"][name], metrics["splits"][name]["baselines"]["tfidf"]
            scores = (split["accuracy"], tfidf["accuracy"], tfidf["lift"], curve["data"]["splits"][name]["sha256"])
            assert tuple(point["splits"][name][key] for key in ("accuracy", "tfidf", "lift", "rows_sha256")) == scores


def test_subsets_are_nested_by_their_hashes(finished_curve: Path) -> None:
    """Train the model and the baseline of both seeds on the same tweets."""
    sizes = read(finished_curve / "curve.json")["sizes"]
    hashes = [size["train"]["sha256"] for size in sizes]
    assert [size["sha256_in_next"] for size in sizes] == [hashes[0], hashes[1], None]
    assert len({*hashes}) == len({size["fingerprint"] for size in sizes}) == 3
    assert [(size["train"]["negative"], size["train"]["positive"]) for size in sizes] == [(20, 20), (40, 40), (80, 80)]
    for size in sizes:
        assert {point["data_fingerprint"] for point in size["points"]} == {size["fingerprint"]}
        first, second = (point["splits"]["test"]["tfidf"] for point in size["points"])
        assert first == second


def test_the_same_command_again_trains_nothing(curve: Path, s140: Callable, words: list[str]) -> None:
    before = hash_files(curve / "points")
    result = s140("learning-curve", curve, *words, "--json")
    assert "curve: size" not in result.stderr
    assert "finished earlier" not in result.stderr
    assert hash_files(curve / "points") == before
    content = json.loads(result.stdout)
    assert content.pop("output") == str(curve)
    assert content == read(curve / "curve.json")
    assert content["price_per_hour"] == 3.5  # the earlier call's


def test_other_sizes_and_seeds_keep_the_finished_trainings(curve: Path, s140: Callable, words: list[str]) -> None:
    before = hash_files(curve / "points")
    result = s140("learning-curve", curve, *words, "--sizes", "40,80,160,1000", "--seeds", "1")
    left_out = "size-40-seed-43, size-80-seed-43, size-160-seed-43 (3 in all). They stay in points/"
    assert f"finished earlier, with other sizes or seeds: {left_out}" in result.stderr
    assert "1,000: there are 180 tweets to train on; the largest size is now all of them." in result.stdout
    assert before.items() < hash_files(curve / "points").items()
    assert [size["size"] for size in read(curve / "curve.json")["sizes"]] == [40, 80, 160, 180]
    assert "there are 180 tweets" in (curve / "README.md").read_text()


@pytest.mark.long
def test_a_killed_curve_resumes_at_its_step(words: list[str], s140: Callable, tmp_path: Path) -> None:
    """Kill it in the middle of the last size, after a checkpoint; it ends as if nothing had happened."""
    stepwise = ["--save-strategy", "steps", "--eval-strategy", "steps", "--save-steps", "3", "--eval-steps", "3"]
    words = [*words, *stepwise, "--sizes", "80,160", "--seeds", "1"]
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    s140("learning-curve", undisturbed, *words)
    command = Command("learning-curve", killed, *words, cwd=tmp_path, pause_at="step 7/")  # the smaller size has 5
    _, stderr = signalled(command, signal.SIGKILL)
    assert command.returncode == -signal.SIGKILL
    assert "curve: size 160, seed 1 of 1" in stderr
    assert not find_run(killed, 160, 42).is_finished()
    smaller = hash_files(killed / "points" / "size-80-seed-42")
    result = s140("learning-curve", killed, *words)
    assert "curve: size 80" not in result.stderr
    assert any(f"resume: from checkpoint-{step}" in result.stderr for step in (3, 6))  # 6 may not have been sealed yet
    assert hash_files(killed / "points" / "size-80-seed-42") == smaller
    for key, point in read_points(undisturbed).items():
        assert [read_points(killed)[key][name] for name in ("splits", "weights_sha256")] == [
            *(point["splits"], point["weights_sha256"]),
        ]


def test_a_signal_leaves_a_checkpoint_to_resume_from(words: list[str], s140: Callable, tmp_path: Path) -> None:
    words = [*words, "--sizes", "160", "--seeds", "1"]
    command = Command("learning-curve", "curve", *words, cwd=tmp_path, pause_at="step 3/")
    stdout, stderr = signalled(command, signal.SIGTERM)
    assert (command.returncode, stdout) == (143, ""), stderr
    assert "Finished points are kept; run the same command again to resume." in stderr
    assert "Traceback" not in stderr
    assert "unfinished" in s140("learning-curve", "curve", *words, "--dry-run").stdout
    assert "resume: from checkpoint-" in s140("learning-curve", "curve", *words).stderr


def test_failed_trainings_are_listed_and_tried_again(
    curve: Path, s140: Callable, words: list[str], tmp_path: Path
) -> None:
    """A file is in the place of one training, another was killed at its very beginning, and those of a second curve
    diverge."""
    blocked, killed = find_run(curve, 80, 42), find_run(curve, 160, 42)
    shutil.rmtree(blocked.path)
    blocked.path.write_text("in the way")
    shutil.rmtree(killed.path)
    killed.path.mkdir()
    killed.data.write_text("{}")
    (killed.path / ".s140-new-environment.json.abc.json").write_text("{")
    result = s140("learning-curve", curve, *words, code=1)
    assert "1 of 6 runs failed:\n  - size 80, seed 42: " in result.stderr
    assert killed.is_finished()
    points = read_points(curve)
    assert {key for key, point in points.items() if point["state"] == "failed"} == {(80, 42)}
    reasons = (
        result.stderr,
        points[80, 42]["reason"],
        (curve / "README.md").read_text().split("## Missing")[1],
    )
    assert ["is a file" in reason for reason in reasons] == [True] * 3
    assert [size["scores"]["test"]["seeds"] for size in read(curve / "curve.json")["sizes"]] == [2, 1, 2]
    blocked.path.unlink()
    s140("learning-curve", curve, *words)
    assert {point["state"] for point in read_points(curve).values()} == {"finished"}
    assert read(curve / "failed.json") == {}
    diverging = [*words, "--sizes", "40", "--learning-rate", "1e30", "--set", "max_grad_norm=0"]
    result = s140("learning-curve", "diverging", *diverging, "--json", code=1)
    assert result.stdout == ""
    assert "2 of 2 runs failed:\n  - size 40, seed 42: Training diverged" in result.stderr
    assert "Lower --learning-rate" in result.stderr
    again = s140("learning-curve", "diverging", *diverging, code=1).stderr
    assert "curve: size 40, seed 1 of 2" in again
    assert "resume:" not in again


@pytest.mark.long
def test_models_are_kept_on_request(tmp_path: Path, s140: Callable, words: list[str]) -> None:
    s140("learning-curve", "curve", *words, "--sizes", "40", "--seeds", 1, "--keep-models")
    run = find_run(tmp_path / "curve", 40, 42)
    assert (run.weights.is_file(), run.card.is_file(), run.checkpoints.exists()) == (True, True, False)
    s140("predict", run.path, "what a lovely day")
    run.predictions.write_bytes(b"no parquet")
    hint = s140("learning-curve", "curve", "--redraw", code=1).stderr.partition("s140 ")[2]
    s140(*shlex.split(hint))  # which scores it: it is an ordinary run, whose recipe finds its tweets again
    s140("learning-curve", "curve", "--redraw")


def test_a_dry_run_counts_the_work_and_writes_nothing(
    curve: Path, s140: Callable, words: list[str], tmp_path: Path
) -> None:
    """In epochs: 40 tweets in 3 steps; in steps: seven steps of two times 16 tweets. 60 are scored at the end of
    training, and 220 after it."""
    scored = 60 + 60 + 72 + 28  # validation, test, manual, and the neutral ones
    steps = ["--max-steps", 7, "--gradient-accumulation-steps", 2, "--eval-strategy", "steps", "--eval-steps", 7]
    steps += ["--save-strategy", "steps", "--save-steps", 7, "--sizes", 160, "--seeds", 1]
    for more, expected in (
        ([], {"size": 40, "steps": 3, "tweets": 40 + 60 + scored}),
        (steps, {"size": 160, "steps": 7, "tweets": 7 * 2 * 16 + 60 + scored}),
    ):
        plan = json.loads(s140("learning-curve", "new", *words, *more, "--dry-run", "--json").stdout)
        assert plan["trainings"][0] == {"seed": 42, "state": "missing"} | expected
        assert plan["tweets"] == sum(training["tweets"] for training in plan["trainings"])
        assert not (tmp_path / "new").exists()
    before = hash_files(curve)
    output = s140("learning-curve", curve, *words, "--dry-run").stdout
    assert "to do: 0 tweets to process, 0 optimizer steps; nothing was trained" in output
    assert hash_files(curve) == before


def test_results_are_written_again_from_finished_trainings(curve: Path, s140: Callable) -> None:
    shutil.rmtree(find_run(curve, 160, 43).path)
    for name in ("curve.csv", "curve.png", "README.md"):
        (curve / name).unlink()
    assert "5 of 6 runs" in s140("learning-curve", curve, "--redraw").stdout
    assert read_points(curve)[160, 43]["state"] == "missing"
    assert sorted(path.name for path in curve.iterdir()) == FILES
    assert "not trained yet" in (curve / "README.md").read_text()


ARGUMENTS: list[tuple[tuple[object, ...], int, str]] = [
    (("--sizes", "40,abc"), 2, "is not a list of whole numbers"),
    (("--sizes", "40,80.5"), 2, "whole numbers"),
    (("--sizes", ""), 2, "whole numbers"),
    (("--sizes", "80,40"), 1, "--sizes must ascend; got 80, 40"),
    (("--sizes", "40,40"), 1, "--sizes must ascend"),
    (("--sizes", "0,40"), 1, "--sizes must each be at least 2 training tweets; got 0, 40"),
    (("--sizes", "-5"), 1, "--sizes must each be at least 2"),
    (("--seeds", 0), 1, "--seeds must be between 1 and 100, not 0"),
    (("--sizes", ",".join(map(str, range(2, 103)))), 1, "--sizes must be at most 100, not 101"),
    (("--price-per-hour", -1), 1, "--price-per-hour must be 0 or more, not -1"),
    (("--price-per-hour", "nan"), 1, "--price-per-hour must be 0 or more, not nan"),
    (("--price-per-hour", "inf"), 1, "--price-per-hour must be 0 or more, not inf"),
    (("--max-train-samples", 100), 1, "max_train_samples: the sizes of a learning curve replace it"),
    (("--register-model", "m", "--report-to", "mlflow"), 1, "register_model"),
    (("--log-model",), 1, "add --keep-models"),
    (("--dataset", "nowhere.csv"), 1, "nowhere.csv"),
    (("--redraw",), 1, "--redraw reads everything from OUTPUT"),
    (("--test-size", 0, "--manual-test", "none"), 1, "There are no test tweets"),
]


def test_impossible_arguments_of_a_curve(words: list[str], s140: Callable, tmp_path: Path) -> None:
    for arguments, code, message in ARGUMENTS:
        result = s140("learning-curve", "new", *words, *arguments, code=code)
        assert result.stdout == "", arguments
        assert message in result.stderr, arguments
        assert not (tmp_path / "new").exists(), arguments
    assert "--sizes is missing" in s140("learning-curve", "new", code=1).stderr


def plan_trainings(folder: Path, example: dict[str, Any], states: tuple[str, ...]) -> list[Training]:
    """Plan trainings of 100 and 300 tweets, with two seeds each; the finished ones have 2 epochs, of 50 tweets a
    second with the first seed and 100 with the second."""
    planned = [
        Training(CurveDir(folder), Recipe().with_values({"max_train_samples": size, "seed": seed}))
        for size in (100, 300)
        for seed in (1, 2)
    ]
    for training, state in zip(planned, states, strict=True):
        if state == "finished":
            training.run.path.mkdir(parents=True, exist_ok=True)
            own = {"tweets_per_second": 50 * training.seed, "epochs": 2.0}
            training.run.environment.write_text(json.dumps(example | {"training": example["training"] | own}))
    return planned


def test_the_time_left_is_that_of_unfinished_trainings(finished_curve: Path, tmp_path: Path) -> None:
    example = read(find_run(finished_curve, 40, 42).environment)
    for number, (states, tweets, speed) in enumerate(
        (
            (("finished", "unfinished", "missing", "failed"), 700, 50),
            (("finished", "finished", "missing", "missing"), 600, 100),
            (("finished", "finished", "finished", "missing"), 300, 100),
            (("missing", "missing", "missing", "missing"), 800, 0),
        )
    ):
        planned = plan_trainings(tmp_path / str(number), example, states)
        expected = f", about {format_duration(tweets * 2 / speed)} of training left" if speed else ""
        assert estimate_time_left(planned, [*states]) == expected


@given(st.lists(st.integers(2, 300), min_size=1, unique=True).map(sorted), st.integers(2, 300))
def test_sizes_end_at_all_tweets(sizes: list[int], available: int) -> None:
    chosen, sentence = limit_sizes(sizes, available)
    too_large = [str(size) for size in sizes if size > available]
    assert chosen == sorted({min(size, available) for size in sizes})
    assert (sentence or "").startswith(f"{' and '.join(too_large)}: there are {available} tweets" if too_large else "")
    assert (sentence is None) == (not too_large)
