"""``s140 learning-curve`` with a BERT so small that it is trained at once."""

from __future__ import annotations

import itertools
import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from command_line import Command, signalled
from sentiment140_bert import saved_recipe
from sentiment140_bert.cli import main
from sentiment140_bert.experiments.learning_curve.plan import CurveDir, Training, estimate_time_left, limit_sizes
from sentiment140_bert.files import hash_file
from sentiment140_bert.recipe import Recipe
from sentiment140_bert.run import RunDir
from sentiment140_bert.visible import format_duration
from tiny_run import flags

pytest_plugins = "model_fixtures"

SIZES = (40, 80, 160)
SEEDS = (42, 43)
FILES = ["README.md", "curve.csv", "curve.json", "curve.png", "plan.json", "points"]


@pytest.fixture(scope="module")
def asked(small_bert: Callable[..., Path]) -> list[str]:
    """Recipe, sizes and seeds; 180 tweets to train on, 60 to test."""
    model = small_bert("BertModel")
    tiny = flags(model_name_or_path=model, num_train_epochs=1, per_device_train_batch_size=16, learning_rate=1e-3)
    return [*tiny, "--sizes", ",".join(map(str, SIZES)), "--seeds", "2"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, asked: list[str]) -> Path:
    """A finished curve; not to be changed."""
    folder = tmp_path_factory.mktemp("curves") / "mine"
    said = [*asked, "--price-per-hour", "3.5"]
    result = CliRunner().invoke(main, ["learning-curve", str(folder), *said], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "mine"))


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return content


def points(folder: Path) -> dict[tuple[int, int], dict[str, Any]]:
    sizes = read(folder / "curve.json")["sizes"]
    return {(size["size"], point["seed"]): point for size in sizes for point in size["points"]}


def run(folder: Path, size: int, seed: int) -> RunDir:
    return RunDir(folder / "points" / f"size-{size}-seed-{seed}")


def content(folder: Path) -> dict[str, str]:
    return {str(file.relative_to(folder)): hash_file(file) for file in folder.rglob("*") if file.is_file()}


def test_each_training_is_an_ordinary_run_without_its_weights(finished: Path) -> None:
    assert sorted(each.name for each in finished.iterdir()) == FILES
    assert set(points(finished)) == {(size, seed) for size in SIZES for seed in SEEDS}
    for (size, seed), point in points(finished).items():
        here = run(finished, size, seed)
        assert point["run"] == f"points/{here.path.name}"
        recipe = saved_recipe(here.path)
        assert (recipe.data.max_train_samples, recipe.training.seed) == (size, seed)
        assert (recipe.tracking.group, recipe.training.run_name) == ("mine", f"mine-{here.path.name}")
        kept = {each.name for each in here.path.iterdir()}
        assert kept == {"recipe.yaml", "data.json", "environment.json", "history.jsonl", "metrics.json"} | {
            "predictions.parquet"
        }
        assert read(here.data)["splits"]["train"]["rows"] == size


def test_subsets_are_nested_by_their_hashes(finished: Path) -> None:
    sizes = read(finished / "curve.json")["sizes"]
    assert [each["sha256_in_next"] for each in sizes] == [
        sizes[0]["train"]["sha256"],
        sizes[1]["train"]["sha256"],
        None,
    ]
    assert len({each["train"]["sha256"] for each in sizes}) == 3
    assert [(each["train"]["negative"], each["train"]["positive"]) for each in sizes] == [(20, 20), (40, 40), (80, 80)]
    for (size, _), point in points(finished).items():
        (subset,) = (each for each in sizes if each["size"] == size)
        assert point["data_fingerprint"] == subset["fingerprint"]


def test_all_are_scored_on_the_same_tweets(finished: Path) -> None:
    splits = read(finished / "curve.json")["data"]["splits"]
    for point in points(finished).values():
        assert {name: each["rows_sha256"] for name, each in point["splits"].items()} == {
            name: splits[name]["sha256"] for name in ("test", "manual")
        }


def test_every_number_is_that_of_the_runs(finished: Path) -> None:
    for (size, seed), point in points(finished).items():
        metrics, training = (
            read(run(finished, size, seed).metrics),
            read(run(finished, size, seed).environment)["training"],
        )
        for name in ("test", "manual"):
            split = metrics["splits"][name]
            assert point["splits"][name]["accuracy"] == split["accuracy"]
            assert point["splits"][name]["tfidf"] == split["baselines"]["tfidf"]["accuracy"]
            assert point["splits"][name]["lift"] == split["baselines"]["tfidf"]["lift"]
        assert (point["seconds"], point["steps"]) == (training["seconds"], training["steps"])
        assert point["cost"] == pytest.approx(training["seconds"] / 3600 * 3.5)
        assert point["weights_sha256"] == metrics["weights_sha256"]


def test_the_baseline_is_trained_on_the_same_subset(finished: Path) -> None:
    """Both seeds of a size have the same one, sizes have different ones."""
    tfidf = {key: point["splits"]["test"]["tfidf"] for key, point in points(finished).items()}
    assert all(tfidf[size, 42] == tfidf[size, 43] for size in SIZES)
    fitted = {run(finished, size, 42).read(run(finished, size, 42).data)["fingerprint"] for size in SIZES}
    assert len(fitted) == 3


def test_the_same_command_again_trains_nothing(copy: Path, s140, asked: list[str]) -> None:
    before = content(copy / "points")
    result = s140("learning-curve", copy, *asked, "--json")
    assert "curve: size" not in result.stderr
    assert "finished earlier" not in result.stderr
    assert content(copy / "points") == before
    curve = json.loads(result.stdout)
    assert curve.pop("output") == str(copy)
    assert curve == read(copy / "curve.json")
    assert curve["price_per_hour"] == 3.5  # the earlier call's


def test_more_sizes_and_seeds_go_on_with_what_is_there(copy: Path, s140, asked: list[str]) -> None:
    before = content(copy / "points")
    more = [*asked, "--sizes", "40,80,160,1000", "--seeds", "1"]
    result = s140("learning-curve", copy, *more)
    said = result.stdout
    left = "size-40-seed-43, size-80-seed-43, size-160-seed-43 (3 in all). They stay in points/"
    assert f"finished earlier, and not of these sizes and seeds: {left}" in result.stderr
    assert "1,000: there are 180 tweets to train on; the largest size is all of them." in said
    after = content(copy / "points")
    assert before.items() < after.items()
    assert [each["size"] for each in read(copy / "curve.json")["sizes"]] == [40, 80, 160, 180]
    assert "there are 180 tweets" in (copy / "README.md").read_text()


def test_another_recipe_is_refused_with_the_difference(copy: Path, s140, asked: list[str]) -> None:
    before = content(copy)
    for changes, said in (
        (("--learning-rate", 2e-3), "learning_rate: 0.001 then, 0.002 now"),
        (("--seed", 7), "seed: 42 then, 7 now"),
        (("--set", "adam_beta2=0.98"), "adam_beta2"),
    ):
        assert said in s140("learning-curve", copy, *asked, *changes, code=1).stderr
    assert content(copy) == before


def test_other_tweets_are_refused(s140, asked: list[str], write: Callable[..., Path], tmp_path: Path) -> None:
    asked = [*asked, "--dataset", str(write("tweets.csv", 300)), "--sizes", "40", "--seeds", "1"]
    s140("learning-curve", "curve", *asked)
    write("tweets.csv", 302)
    assert "fingerprint" in s140("learning-curve", "curve", *asked, code=1).stderr


def test_a_point_of_another_recipe_is_refused(copy: Path, s140, asked: list[str]) -> None:
    recipe = run(copy, 80, 43).recipe
    recipe.write_text(recipe.read_text().replace("weight_decay: 0.01", "weight_decay: 0.5"))
    assert "weight_decay: 0.5 then, 0.01 now" in s140("learning-curve", copy, *asked, code=1).stderr


@pytest.mark.long
def test_after_a_kill_it_goes_on_in_the_very_step(asked: list[str], s140, tmp_path: Path) -> None:
    """Killed in the middle of the last size, after a checkpoint; all ends as if nothing had happened."""
    stepwise = ["--save-strategy", "steps", "--eval-strategy", "steps", "--save-steps", "3", "--eval-steps", "3"]
    asked = [*asked, *stepwise, "--sizes", "80,160", "--seeds", "1"]
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    s140("learning-curve", undisturbed, *asked)
    started = Command(
        "learning-curve", killed, *asked, cwd=tmp_path, pause_at="step 7/"
    )  # the smaller size has 5 steps
    _, said = signalled(started, signal.SIGKILL)
    assert started.returncode == -signal.SIGKILL
    assert "curve: size 160, seed 1 of 1" in said
    assert not run(killed, 160, 42).is_finished()
    kept = content(killed / "points" / "size-80-seed-42")
    result = s140("learning-curve", killed, *asked)
    assert "curve: size 80" not in result.stderr
    assert any(f"resume: from checkpoint-{step}" in result.stderr for step in (3, 6))  # 6 may not have been sealed yet
    assert content(killed / "points" / "size-80-seed-42") == kept
    ours, theirs = points(killed), points(undisturbed)
    for key, point in theirs.items():
        assert ours[key]["splits"] == point["splits"]
        assert ours[key]["weights_sha256"] == point["weights_sha256"]


def test_a_signal_leaves_a_checkpoint_and_says_how_to_go_on(asked: list[str], s140, tmp_path: Path) -> None:
    asked = [*asked, "--sizes", "160", "--seeds", "1"]
    started = Command("learning-curve", "curve", *asked, cwd=tmp_path, pause_at="step 3/")
    stdout, stderr = signalled(started, signal.SIGTERM)
    assert (started.returncode, stdout) == (143, ""), stderr
    assert "Finished points are kept; run the same command again to resume." in stderr
    assert "Traceback" not in stderr
    shown = s140("learning-curve", "curve", *asked, "--dry-run").stdout
    assert "unfinished" in shown
    assert "resume: from checkpoint-" in s140("learning-curve", "curve", *asked).stderr


def test_what_was_killed_at_its_very_beginning_starts_anew(copy: Path, s140, asked: list[str]) -> None:
    here = run(copy, 160, 43)
    shutil.rmtree(here.path)
    here.path.mkdir()
    here.data.write_text("{}")
    (here.path / ".s140-new-environment.json.abc.json").write_text("{")
    s140("learning-curve", copy, *asked)
    assert here.is_finished()


def test_what_failed_is_tried_again_from_its_beginning(tmp_path: Path, s140, asked: list[str]) -> None:
    """All trainings diverge, and begin anew when they are tried again."""
    diverging = [*asked, "--sizes", "40", "--learning-rate", "1e30", "--set", "max_grad_norm=0"]
    result = s140("learning-curve", "curve", *diverging, "--json", code=1)
    assert result.stdout == ""
    assert "2 of 2 trainings failed:" in result.stderr
    assert "size 40, seed 42: Training diverged" in result.stderr
    assert "Lower --learning-rate" in result.stderr
    assert {point["state"] for point in points(tmp_path / "curve").values()} == {"failed"}
    again = s140("learning-curve", "curve", *diverging, code=1).stderr
    assert "curve: size 40, seed 1 of 2" in again
    assert "resume:" not in again


def test_one_failed_size_is_recorded_beside_the_others(copy: Path, s140, asked: list[str]) -> None:
    """The folder of one training cannot be written to: a file stands in its place."""
    here = run(copy, 80, 42)
    shutil.rmtree(here.path)
    here.path.write_text("in the way")
    shutil.rmtree(run(copy, 160, 42).path)
    result = s140("learning-curve", copy, *asked, code=1)
    assert "1 of 6 trainings failed:\n  - size 80, seed 42: " in result.stderr
    assert "is a file" in result.stderr
    assert run(copy, 160, 42).is_finished()
    found = points(copy)
    assert {key for key, point in found.items() if point["state"] == "failed"} == {(80, 42)}
    assert "is a file" in found[80, 42]["reason"]
    assert "is a file" in (copy / "README.md").read_text().split("## What is missing")[1]
    assert [each["scores"]["test"]["seeds"] for each in read(copy / "curve.json")["sizes"]] == [2, 1, 2]
    here.path.unlink()
    s140("learning-curve", copy, *asked)
    assert {point["state"] for point in points(copy).values()} == {"finished"}
    assert read(copy / "failed.json") == {}


@pytest.mark.long
def test_models_are_kept_on_request(tmp_path: Path, s140, asked: list[str]) -> None:
    s140("learning-curve", "curve", *asked, "--sizes", "40", "--seeds", 1, "--keep-models")
    here = run(tmp_path / "curve", 40, 42)
    assert here.weights.is_file()
    assert here.card.is_file()
    assert not here.checkpoints.exists()
    s140("predict", here.path, "what a lovely day")
    s140("evaluate", here.path)  # it is an ordinary run: its recipe finds its tweets again


def test_a_dry_run_writes_nothing(copy: Path, s140, asked: list[str], tmp_path: Path) -> None:
    plan = json.loads(s140("learning-curve", "new", *asked, "--dry-run", "--json").stdout)
    assert not (tmp_path / "new").exists()
    first = plan["trainings"][0]
    scored = 60 + 60 + 72 + 28  # validation, test, manual, and the neutral ones
    assert first == {"size": 40, "seed": 42, "state": "missing", "steps": 3, "tweets": 40 + 60 + scored}
    assert plan["tweets"] == sum(each["tweets"] for each in plan["trainings"])
    before = content(copy)
    shown = s140("learning-curve", copy, *asked, "--dry-run").stdout
    assert "to do: 0 tweets to process, 0 optimizer steps; nothing was trained" in shown
    assert content(copy) == before


def test_results_are_written_anew_from_what_is_finished(copy: Path, s140) -> None:
    shutil.rmtree(run(copy, 160, 43).path)
    for name in ("curve.csv", "curve.png", "README.md"):
        (copy / name).unlink()
    said = s140("learning-curve", copy, "--redraw").stdout
    assert "5 of 6 trainings" in said
    assert points(copy)[160, 43]["state"] == "missing"
    assert sorted(each.name for each in copy.iterdir()) == FILES
    assert "not trained yet" in (copy / "README.md").read_text()


def test_a_damaged_curve_is_written_again(copy: Path, s140) -> None:
    before = read(copy / "curve.json")
    for damaged in ("{", "[]", '{"price_per_hour": "dear"}', '{"price_per_hour": NaN}'):
        (copy / "curve.json").write_text(damaged)
        said = s140("learning-curve", copy, "--redraw").stderr
        assert "give --price-per-hour again where there was one." in said, damaged
        assert read(copy / "curve.json")["price_per_hour"] is None
    s140("learning-curve", copy, "--redraw", "--price-per-hour", 3.5)
    assert read(copy / "curve.json") == before


def test_what_failed_once_and_is_finished_did_not_fail(copy: Path, s140, asked: list[str]) -> None:
    """Trained by hand, or killed before the note was taken back."""
    (copy / "failed.json").write_text('{"size-80-seed-43": {"reason": "CUDA out of memory", "hint": ""}}')
    assert "6 of 6 trainings" in s140("learning-curve", copy, *asked).stdout


def test_answers_of_other_tweets_are_noticed(copy: Path, s140) -> None:
    file = run(copy, 80, 42).predictions
    table = pq.read_table(file)
    pq.write_table(table.slice(0, len(table) - 110), file)
    said = s140("learning-curve", copy, "--redraw", code=1).stderr
    assert "size-80-seed-42 was not scored on the tweets of this curve" in said
    file.write_bytes(b"no parquet")
    assert "predictions.parquet cannot be read" in s140("learning-curve", copy, "--redraw", code=1).stderr


IMPOSSIBLE: list[tuple[tuple[object, ...], int, str]] = [
    (("--sizes", "40,abc"), 2, "whole numbers with commas between them"),
    (("--sizes", "40,80.5"), 2, "whole numbers"),
    (("--sizes", ""), 2, "whole numbers"),
    (("--sizes", "80,40"), 1, "The sizes 80, 40 do not ascend"),
    (("--sizes", "40,40"), 1, "do not ascend"),
    (("--sizes", "0,40"), 1, "The sizes 0, 40 are not numbers of training tweets"),
    (("--sizes", "-5"), 1, "not numbers of training tweets"),
    (("--seeds", 0), 1, "--seeds must be at least 1, not 0"),
    (("--price-per-hour", -1), 1, "--price-per-hour must be 0 or more, not -1"),
    (("--price-per-hour", "nan"), 1, "--price-per-hour must be 0 or more, not nan"),
    (("--price-per-hour", "inf"), 1, "--price-per-hour must be 0 or more, not inf"),
    (("--max-train-samples", 100), 1, "max_train_samples: the sizes of a learning curve replace it"),
    (("--register-model", "m", "--report-to", "mlflow"), 1, "register_model"),
    (("--log-model",), 1, "add --keep-models"),
    (("--dataset", "nowhere.csv"), 1, "nowhere.csv"),
    (("--redraw",), 1, "--redraw takes everything from OUTPUT"),
    (("--test-size", 0, "--manual-test", "none"), 1, "Nothing is held out"),
]


def test_what_makes_no_curve(asked: list[str], tmp_path: Path) -> None:
    wrong = []
    for arguments, code, said in IMPOSSIBLE:
        words = ["learning-curve", "new", *asked, *map(str, arguments)]
        result = CliRunner().invoke(main, words, catch_exceptions=False)
        if (result.exit_code, result.stdout) != (code, "") or said not in result.stderr:
            wrong.append((arguments, result.exit_code, result.output))
        assert not (tmp_path / "new").exists(), arguments
    assert wrong == []


def test_folders_of_something_else_are_left_alone(s140, asked: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    assert "is a file" in s140("learning-curve", "file", *asked, code=1).stderr
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    assert "is not empty, and not a learning curve" in s140("learning-curve", "full", *asked, code=1).stderr
    assert "There is no learning curve in full" in s140("learning-curve", "full", "--redraw", code=1).stderr
    (tmp_path / "full" / "plan.json").write_text("{")
    assert "plan.json is damaged" in s140("learning-curve", "full", "--redraw", code=1).stderr
    assert "--sizes is missing" in s140("learning-curve", "new", code=1).stderr


BROKEN = ("{}", '{"data": 3, "size-40-seed-42": 5, "price_per_hour": "x"}')
FILES_OF_A_CURVE = ("plan.json", "failed.json", "curve.json", "points/size-40-seed-42/metrics.json")


@pytest.mark.long
def test_files_that_somebody_broke(finished: Path, asked: list[str], tmp_path: Path) -> None:
    """A point has no weights that could be scored again."""
    wrong = []
    for at, (name, broken, more) in enumerate(itertools.product(FILES_OF_A_CURVE, BROKEN, (True, False))):
        folder = Path(shutil.copytree(finished, tmp_path / str(at) / "mine"))
        (folder / name).write_text(broken)
        words = ["learning-curve", str(folder), *(asked if more else ["--redraw"])]
        result = CliRunner().invoke(main, words, catch_exceptions=False)
        remedy = f"Remove {folder / 'points' / 'size-40-seed-42'};" if name.startswith("points") else ""
        if (result.exit_code == 1) != ("Error: " in result.stderr) or remedy not in result.stderr:
            wrong.append((name, broken, more, result.output))
    assert wrong == []


def plan_of(folder: Path, example: dict[str, Any], *states: str) -> list[Training]:
    """Trainings of 100 and 300 tweets, with two seeds each, in these states; what is finished had 50 tweets a second
    or 100, and 2 epochs."""
    planned = [
        Training(CurveDir(folder), Recipe().with_values({"max_train_samples": size, "seed": seed}))
        for size in (100, 300)
        for seed in (1, 2)
    ]
    for at, (training, state) in enumerate(zip(planned, states, strict=True)):
        if state == "finished":
            training.run.path.mkdir(parents=True, exist_ok=True)
            own = {"tweets_per_second": 50 * (1 + at % 2), "epochs": 2.0}
            training.run.environment.write_text(json.dumps(example | {"training": example["training"] | own}))
    return planned


def test_the_time_left_is_that_of_what_is_not_finished(finished: Path, tmp_path: Path) -> None:
    example = read(run(finished, 40, 42).environment)
    for number, (states, tweets, speed) in enumerate(
        (
            (("finished", "unfinished", "missing", "failed"), 700, 50),
            (("finished", "finished", "missing", "missing"), 600, 100),
            (("finished", "finished", "finished", "missing"), 300, 100),
        )
    ):
        planned = plan_of(tmp_path / str(number), example, *states)
        assert (
            estimate_time_left(planned, list(states))
            == f", about {format_duration(tweets * 2 / speed)} of training left"
        )
    assert estimate_time_left(plan_of(tmp_path / "new", example, *["missing"] * 4), ["missing"] * 4) == ""


@given(st.lists(st.integers(2, 300), min_size=1, unique=True).map(sorted), st.integers(2, 300))
def test_sizes_end_at_what_there_is(sizes: list[int], available: int) -> None:
    chosen, said = limit_sizes(sizes, available)
    beyond = [size for size in sizes if size > available]
    assert chosen == sorted({min(size, available) for size in sizes})
    if beyond:
        assert said.startswith(f"{' and '.join(map(str, beyond))}: there are {available} tweets")
    else:
        assert said is None


def test_a_number_of_steps_is_counted_in_tweets(s140, asked: list[str]) -> None:
    """Seven steps of two times 16 tweets; 60 are scored at the end of these, and 220 after it."""
    steps = ["--max-steps", 7, "--gradient-accumulation-steps", 2, "--eval-strategy", "steps", "--eval-steps", 7]
    words = [*asked, *steps, "--save-strategy", "steps", "--save-steps", 7, "--sizes", 160, "--seeds", 1]
    (told,) = json.loads(s140("learning-curve", "new", *words, "--dry-run", "--json").stdout)["trainings"]
    assert (told["steps"], told["tweets"]) == (7, 7 * 2 * 16 + 60 + 60 + 60 + 72 + 28)
