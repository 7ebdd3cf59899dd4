"""Kill a run: it resumes from its newest complete checkpoint, and ends bit for bit like an undisturbed one."""

from __future__ import annotations

import json
import random
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from killing import damaged, same, trained
from sentiment140_bert.training.checkpoints import MANIFEST, newest_complete
from tiny_run import flags

pytest_plugins = "model_fixtures"

OFTEN = {"save_strategy": "steps", "save_steps": 2, "eval_strategy": "steps", "eval_steps": 2, "logging_steps": 1}
SHAPES = {
    "an epoch at a time": {},
    "in the middle of an epoch": OFTEN,
    "accumulated": OFTEN | {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 4},
}


@pytest.mark.parametrize(
    "shape",
    [pytest.param(SHAPES[name], id=name, marks=pytest.mark.long if name != "accumulated" else ()) for name in SHAPES],
)
def test_a_killed_run_ends_like_an_undisturbed_one(small_bert, tmp_path: Path, shape: dict[str, Any]) -> None:
    """Kill it three times; before the last time cut off the newest checkpoint, as a power cut may do."""
    words = flags(model_name_or_path=small_bert("BertModel", dropout=0.1), **shape)
    undisturbed = trained(tmp_path / "undisturbed", words)
    assert undisturbed.code == 0, undisturbed.stderr
    folder = tmp_path / "killed"
    for step in (5, 8, 11):
        ended = trained(folder, words, f"step {step}/", whole=step > 6)
        assert ended.code == -signal.SIGKILL, ended.stderr
        assert not (folder / "metrics.json").exists()
    newest = newest_complete(folder / "checkpoints")
    with (newest / "optimizer.pt").open("r+b") as file:
        file.truncate(1000)
    ended = trained(folder, words)
    assert ended.code == 0, ended.stderr
    assert f"skipping {newest.name}: optimizer.pt has 1,000 of " in ended.stderr
    assert same(folder, tmp_path / "undisturbed")
    entries = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in entries if "loss" in entry] == list(range(1, 13))
    assert list(folder.rglob(".s140*")) == []


@pytest.mark.long
def test_a_changed_environment_is_shown_on_the_terminal_and_the_card(small_bert, tmp_path: Path) -> None:
    """Mention only a changed number of threads, which sums in another order, so that the last bits may differ."""
    folder, words = tmp_path / "run", flags(model_name_or_path=small_bert(), num_train_epochs=3)
    assert trained(folder, words, "step 9/", threads=1, whole=True).code == -signal.SIGKILL
    assert "last digits" not in trained(folder, words, "step 15/", threads=1).stderr
    ended = trained(folder, words, threads=2)
    assert ended.code == 0, ended.stderr
    assert "so the last digits may differ (threads: 1, then 2)" in ended.stderr
    environment = json.loads((folder / "environment.json").read_text())
    assert (environment["threads"], environment["changed"]) == (1, ["threads: 1, then 2"])
    card = (folder / "model" / "README.md").read_text()
    assert "changed during training (threads: 1, then 2)" in card
    assert "not an identical one." in card
    assert "reproduces this model" not in card


LEFT = [
    (".s140.lock",),
    pytest.param(("data.json",), marks=pytest.mark.long),
    ("data.json", "environment.json", ".s140-new-x"),
]


@pytest.mark.parametrize("left", LEFT)
def test_a_run_killed_before_its_first_step_starts_again(
    classifier_folder, tmp_path: Path, s140, left: tuple[str, ...]
) -> None:
    """Kill it at any point of the start; the recipe is written last."""
    folder = tmp_path / "run"
    folder.mkdir()
    for name in left:
        (folder / name).write_text("half")
    s140("train", "--output-dir", folder, *flags(model_name_or_path=classifier_folder, max_steps=1))
    assert (folder / "metrics.json").is_file()


def test_a_folder_with_only_a_recipe_is_not_a_run(classifier_folder: Path, tmp_path: Path, s140) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "recipe.yaml").write_text("mine")
    assert "`s140 train` did not write it" in s140("train", "--output-dir", folder, *flags(), code=1).stderr
    assert [(path.name, path.read_text()) for path in folder.iterdir()] == [("recipe.yaml", "mine")]


def test_other_tweets_are_refused(write, classifier_folder: Path, tmp_path: Path, s140) -> None:
    """Add tweets to the file that the run was started with."""
    tweets = write("tweets.csv", 300)
    words = flags(model_name_or_path=classifier_folder, dataset=tweets, max_samples=250)
    assert trained(tmp_path / "run", words, "step 3/").code == -signal.SIGKILL
    write("tweets.csv", 310)
    stderr = s140("train", "--output-dir", tmp_path / "run", *words, code=1).stderr
    assert "The tweets are not those that" in stderr
    assert "fingerprint" in stderr


def test_one_checkpoint_is_enough_to_end_with(small_bert, tmp_path: Path) -> None:
    """With save_total_limit 1 Trainer would remove the last checkpoint while it is being sealed, if another is best."""
    words = flags(model_name_or_path=small_bert(), save_total_limit=1, learning_rate=0.5, num_train_epochs=4)
    ended = trained(tmp_path / "run", words)
    assert ended.code == 0, ended.stderr
    assert newest_complete(tmp_path / "run" / "checkpoints").name == "checkpoint-24"


def test_a_run_killed_during_scoring_is_scored(smallest_run: Path, smallest_words, tmp_path: Path, s140) -> None:
    folder = tmp_path / "run"
    shutil.copytree(smallest_run, folder)
    for gone in ("metrics.json", "predictions.parquet", "model/README.md"):
        (folder / gone).unlink()
    s140("train", "--output-dir", folder, *smallest_words)
    assert same(folder, smallest_run)


def test_any_damage_is_found(smallest_run: Path, tmp_path: Path) -> None:
    """Draw 60 damages of all files and of the manifest, which names each of them."""
    newest = newest_complete(smallest_run / "checkpoints")
    assert set(json.loads((newest / MANIFEST).read_text())["files"]) == {
        path.name for path in newest.iterdir() if path.name != MANIFEST
    }
    draw = random.Random(1)
    for _ in range(60):
        copy = tmp_path / newest.name
        shutil.copytree(newest, copy)
        done = damaged(copy, draw)
        assert newest_complete(tmp_path) is None, done
        shutil.rmtree(copy)
