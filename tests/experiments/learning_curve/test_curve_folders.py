"""Folders of a learning curve that others wrote: odd or damaged files and links are one error, and nothing is written
outside."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from command_line import Command
from curve_fixtures import find_run, hash_files, read
from sentiment140_bert.cli import main
from tiny_run import flags

pytest_plugins = ("model_fixtures", "curve_fixtures")
POINT = "points/size-40-seed-42"
REMOVED = object()


def subset_of(size: int) -> dict[str, Any]:
    return {"size": size, "fingerprint": "0" * 64, "train": {}, "sha256_in_next": None}


# File, place in it, value, and a part of the error.
ODD: list[tuple[str, str, Any, str]] = [
    ("plan.json", "name", None, "plan.json does not have the format"),
    ("plan.json", "cut_short", [1], "cut_short"),
    ("plan.json", "price_per_hour", -1.0, "price_per_hour"),
    ("plan.json", "seeds", [], "seeds"),
    ("plan.json", "seeds", [-1], "seeds.0"),
    ("plan.json", "seeds", [*range(101)], "seeds"),
    ("plan.json", "subsets", [subset_of(size) for size in range(2, 103)], "subsets"),
    ("plan.json", "subsets.0.size", 10**25, "subsets.0.size"),
    ("plan.json", "subsets", [], "the sizes do not ascend"),
    ("plan.json", "subsets", [subset_of(80), subset_of(40)], "the sizes do not ascend"),
    ("plan.json", "subsets", [subset_of(40), subset_of(40)], "the sizes do not ascend"),
    ("plan.json", "subsets.0.size", 0, "subsets.0.size"),
    ("plan.json", "subsets.0.size", "../../outside", "subsets.0.size"),
    ("plan.json", "recipe.training.learning_rate", -1, "learning_rate"),
    ("plan.json", "data", 3, "data"),
    ("plan.json", "data.splits.train", REMOVED, "data.splits"),
    ("plan.json", "data.splits.test.rows", None, "data.splits.test.rows"),
    ("plan.json", "data.splits.test.sha256", "0" * 64, "was not scored on the tweets of this curve"),
    ("failed.json", "size-160-seed-43", 5, "failed.json does not have the format"),
    ("failed.json", "size-160-seed-43", {"reason": 1}, "size-160-seed-43.reason"),
    (f"{POINT}/metrics.json", "splits.manual", REMOVED, "was not scored on the tweets of this curve"),
    (f"{POINT}/metrics.json", "splits.test.baselines.majority", REMOVED, "was not scored on the tweets of this curve"),
    (f"{POINT}/metrics.json", "splits.test.accuracy", "high", f"{POINT}; "),
    (f"{POINT}/metrics.json", "splits", 5, f"{POINT}; "),
    (f"{POINT}/environment.json", "training.seconds", "long", f"{POINT}; "),
    (f"{POINT}/environment.json", "gpu", ["a"], f"{POINT}; "),
]


def change(content: Any, place: str, value: Any) -> None:
    *path, last = [int(key) if key.isdecimal() else key for key in place.split(".")]
    for key in path:
        content = content[key]
    if value is REMOVED:
        del content[last]
    else:
        content[last] = value


def test_an_odd_value_is_one_error(curve: Path) -> None:
    wrong = []
    shutil.rmtree(find_run(curve, 160, 43).path)  # so that failed.json is read
    for name, place, value, message in ODD:
        file = curve / name
        before = file.read_bytes() if file.is_file() else None
        content = json.loads(before or "{}")
        change(content, place, value)
        file.write_text(json.dumps(content))
        result = CliRunner().invoke(main, ["learning-curve", str(curve), "--redraw"], catch_exceptions=False)
        if result.exit_code != 1 or result.stderr.count("Error: ") != 1 or message not in result.stderr:
            wrong.append((name, place, value, result.output[-300:]))
        file.unlink() if before is None else file.write_bytes(before)
    assert wrong == []


def test_keys_that_nobody_expects_are_ignored_and_texts_are_escaped(curve: Path, s140: Callable) -> None:
    """Ignore such keys, since they could otherwise replace results."""
    for seed in (42, 43):
        shutil.rmtree(find_run(curve, 160, seed).path)
    plan = read(curve / "plan.json")
    plan["cut_short"] = "<img src=x onerror=alert(1)> \x1b]0;x\x07 [a](javascript:b)"
    plan["subsets"][2] |= {"scores": {"test": 5}, "tfidf": 3, "points": 1, "seconds": "x"}
    (curve / "plan.json").write_text(json.dumps(plan))
    failure = {"reason": "so", "hint": "", "state": "finished", "splits": 5, "seed": [1], "cost": "x"}
    (curve / "failed.json").write_text(json.dumps({"size-160-seed-43": failure}))
    s140("learning-curve", curve, "--redraw")
    page = (curve / "README.md").read_text()
    assert [mark for mark in ("<img", "\x1b", "[a](") if mark in page] == []
    size = read(curve / "curve.json")["sizes"][2]
    assert size.keys() == {"size", "fingerprint", "train", "sha256_in_next", "points", "cost"}
    point = {"seed": 43, "run": "points/size-160-seed-43", "state": "failed", "reason": "so", "hint": ""}
    assert size["points"][1] == point


def test_a_base_whose_folder_is_gone_stays_without_its_folders(curve: Path, s140: Callable) -> None:
    """A relative path looks like an id of the Hub then."""
    plan, noted = read(curve / "plan.json"), find_run(curve, 160, 42).read_environment()["base_model"]["name"]
    plan["recipe"]["model"]["model_name_or_path"] = f"acme/{noted}"
    (curve / "plan.json").write_text(json.dumps(plan))
    s140("learning-curve", curve, "--redraw")
    assert read(curve / "curve.json")["recipe"]["model"]["model_name_or_path"] == noted
    assert "acme" not in (curve / "README.md").read_text()


@pytest.mark.parametrize("broken", ["", "{", "[]", "{}", '{"data": 3, "price_per_hour": NaN}'])
def test_a_damaged_file_is_one_error_or_written_again(curve: Path, s140: Callable, broken: str) -> None:
    """Write again only curve.json and an empty list of failures, which follow from the other files."""
    plan = (curve / "plan.json").read_bytes()
    (curve / "plan.json").write_text(broken)
    assert "plan.json" in s140("learning-curve", curve, "--redraw", code=1).stderr
    (curve / "plan.json").write_bytes(plan)
    (curve / "curve.json").write_text(broken)
    s140("learning-curve", curve, "--redraw")
    assert read(curve / "curve.json")["price_per_hour"] == 3.5


def test_predictions_for_other_tweets_are_one_error(curve: Path, s140: Callable) -> None:
    file = find_run(curve, 80, 42).predictions
    table = pq.read_table(file)
    pq.write_table(table.slice(0, len(table) - 110), file)
    stderr = s140("learning-curve", curve, "--redraw", code=1).stderr
    assert "size-80-seed-42 was not scored on the tweets of this curve" in stderr
    file.write_bytes(b"no parquet")
    assert "predictions.parquet is damaged" in s140("learning-curve", curve, "--redraw", code=1).stderr


LINKS = ["points", POINT, "plan.json", "curve.json", "curve.csv", "README.md", "failed.json", f"{POINT}/metrics.json"]


def test_links_out_of_the_folder_are_refused(curve: Path, s140: Callable, words: list[str], tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    for name in LINKS:
        link, target = curve / name, outside / name
        target.parent.mkdir(parents=True, exist_ok=True)
        exists = link.exists()
        if exists:
            link.rename(target)
        else:
            target.write_text("{}")
        link.symlink_to(target)
        before = hash_files(outside)
        for more in (["--redraw"], words):
            stderr = s140("learning-curve", curve, *more, code=1).stderr
            assert f"{link} is a link that points outside" in stderr, name
        assert hash_files(outside) == before, name
        link.unlink()
        if exists:
            target.rename(link)
        shutil.rmtree(outside)
    s140("learning-curve", curve, "--redraw")


def test_folders_of_something_else_stay_unchanged(s140: Callable, words: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    before = hash_files(tmp_path)
    for arguments, message in (
        (["file", *words], "is a file"),
        (["full", *words], "is not empty, and `s140 learning-curve` did not write it"),
        (["full", "--redraw"], "There is no learning curve in full"),
    ):
        assert message in s140("learning-curve", *arguments, code=1).stderr
    assert hash_files(tmp_path) == before


def test_a_local_base_model_that_changed_meanwhile_is_refused(curve: Path, s140: Callable, words: list[str]) -> None:
    plan = json.loads((curve / "plan.json").read_text())
    assert len(plan["base_weights"]) == 64
    (curve / "plan.json").write_text(json.dumps(plan | {"base_weights": "0" * 64}))
    result = s140("learning-curve", curve, *words, code=1)
    assert "has other weights than when" in result.stderr


def test_another_recipe_or_other_tweets_are_refused(
    curve: Path, s140: Callable, words: list[str], write: Callable[..., Path]
) -> None:
    before = hash_files(curve)
    for changes, message in (
        (("--learning-rate", 2e-3), "learning_rate: 0.001 then, 0.002 now"),
        (("--seed", 7), "seed: 42 then, 7 now"),
        (("--set", "adam_beta2=0.98"), "adam_beta2"),
        (("--max-samples", 290), "max_samples: 300 then, 290 now"),
    ):
        assert message in s140("learning-curve", curve, *words, *changes, code=1).stderr
    assert hash_files(curve) == before
    recipe = find_run(curve, 80, 43).recipe
    recipe.write_text(recipe.read_text().replace("weight_decay: 0.01", "weight_decay: 0.5"))
    assert "weight_decay: 0.5 then, 0.01 now" in s140("learning-curve", curve, *words, code=1).stderr
    words = [*words, "--dataset", str(write("tweets.csv", 300)), "--sizes", "40", "--seeds", "1"]
    s140("learning-curve", "curve", *words)
    write("tweets.csv", 302)
    assert "fingerprint" in s140("learning-curve", "curve", *words, code=1).stderr


def test_a_base_model_that_is_trained_again_meanwhile_is_not_mixed_in(
    small_bert: Callable[..., Path], tmp_path: Path
) -> None:
    base, other = small_bert("BertModel"), small_bert()
    words = [tmp_path / "curve", "--sizes", "60,120", "--seeds", "1", *flags(model_name_or_path=base)]
    with Command("learning-curve", *words, pause_at="step 1/") as command:
        command.wait_until_paused()
        shutil.copy(other / "model.safetensors", base / "new").replace(base / "model.safetensors")
        command.resume()
        _, errors = command.communicate()
    assert command.returncode == 1
    assert f"The base model {base} has other weights than when this command began" in errors
    assert "1 of 2 runs failed" in errors
