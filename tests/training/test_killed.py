"""Kill a run: it resumes from its newest complete checkpoint, and ends bit for bit like an undisturbed one."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from command_line import Command
from killing import RESULTS, damaged, same, trained
from sentiment140_bert.files import hash_file
from sentiment140_bert.machine.facts import multiplies_bf16
from sentiment140_bert.run import saved_recipe
from sentiment140_bert.training.checkpoints import MANIFEST, newest_complete
from tiny_run import flags

pytest_plugins = "model_fixtures"

OFTEN = {"save_strategy": "steps", "save_steps": 2, "eval_strategy": "steps", "eval_steps": 2, "logging_steps": 1}
SHAPES = {
    "an epoch at a time": {},
    "in the middle of an epoch": OFTEN,
    "accumulated": OFTEN | {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 4},
    "in bf16": OFTEN | {"precision": "bf16"},
}


@pytest.mark.parametrize(
    "shape",
    [pytest.param(SHAPES[name], id=name, marks=pytest.mark.long if name != "accumulated" else ()) for name in SHAPES],
)
def test_a_killed_run_ends_like_an_undisturbed_one(small_bert, tmp_path: Path, shape: dict[str, Any]) -> None:
    """Kill it three times; before the last time cut off the newest checkpoint, as a power cut may do."""
    if shape.get("precision") == "bf16" and not multiplies_bf16():
        pytest.skip("this processor has no instructions for bf16")
    words = flags(model_name_or_path=small_bert("BertModel", dropout=0.1), **shape)
    undisturbed = trained(tmp_path / "undisturbed", words)
    assert undisturbed.code == 0, undisturbed.stderr
    folder, every = tmp_path / "killed", shape.get("save_steps", 6)
    for step in (5, 8, 11):
        ended = trained(folder, words, f"step {step}/", whole=(step - 1) // every * every or None)
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
    assert trained(folder, words, "step 9/", threads=1, whole=6).code == -signal.SIGKILL
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
    classifier_folder, smallest_run: Path, tmp_path: Path, s140, left: tuple[str, ...]
) -> None:
    """Kill it at any point of the start; files are written whole, and the recipe last."""
    folder = tmp_path / "run"
    folder.mkdir()
    for name in left:
        written = smallest_run / name
        (folder / name).write_bytes(written.read_bytes() if written.suffix == ".json" else b"half")
    s140("train", "--output-dir", folder, *flags(model_name_or_path=classifier_folder, max_steps=1))
    assert (folder / "metrics.json").is_file()


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
    ended = trained(tmp_path / "run", [*words, "--keep-checkpoints"])
    assert ended.code == 0, ended.stderr
    assert newest_complete(tmp_path / "run" / "checkpoints").name == "checkpoint-24"


def test_a_run_killed_during_scoring_is_scored(
    run_with_checkpoints: Path, smallest_words: list[str], tmp_path: Path, s140
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run_with_checkpoints, folder)
    for gone in ("metrics.json", "predictions.parquet", "model/model.safetensors"):
        (folder / gone).unlink()
    card, license_file = folder / "model" / "README.md", folder / "model" / "LICENSE"
    card.write_text(f"{card.read_text()}\nWritten by hand.\n")
    license_file.write_text("mine")
    assert "step " not in s140("train", "--output-dir", folder, *smallest_words).stderr
    assert same(folder, run_with_checkpoints)
    assert "Written by hand." in card.read_text()
    assert license_file.read_text() == "mine"


REMOVALS = "REMOVALS_BEFORE_THE_KILL"  # environment variable


def die_while_checkpoints_are_removed() -> None:
    """Let this process kill itself when it has removed so many files of checkpoints, once the run is finished."""
    left = int(os.environ[REMOVALS])

    def hear(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event not in ("os.remove", "os.rmdir") or not Path("run/metrics.json").exists():
            return
        path, folder = arguments
        if folder != -1:  # the descriptor of a folder whose content is removed
            path = Path("/proc/self/fd", str(folder)).readlink()
        if "run/checkpoints" in str(path):
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hear)


def test_a_finished_run_loses_its_checkpoints_whenever_it_is_killed(smallest_words: list[str], tmp_path: Path) -> None:
    """Kill it between scoring and removal, then in the middle of each checkpoint, of which it has two."""
    folder = tmp_path / "run"
    words = ["train", "--output-dir", folder, *smallest_words, "--num-train-epochs", "2"]
    left, hashes = [], []
    for removals in ("0", "3", "12", "1000"):
        environment = {REMOVALS: removals}
        with Command(*words, cwd=tmp_path, env=environment, prepare=die_while_checkpoints_are_removed) as command:
            assert command.wait() == (-signal.SIGKILL if removals != "1000" else 0), command.stderr.whole()
        stderr = command.stderr.whole()
        assert ("is finished: nothing is trained" in stderr) == (removals != "0")
        left.append(len(list(folder.glob("checkpoints/*/*"))))
        hashes.append([hash_file(folder / name) for name in RESULTS])
        assert json.loads((folder / "metrics.json").read_text())["weights_sha256"] == hashes[0][0]
    assert left == sorted({*left}, reverse=True)
    assert hashes == hashes[:1] * 4
    assert "checkpoints: removed " in stderr
    assert not (folder / "checkpoints").exists()


def test_checkpoints_stay_while_they_are_kept_or_may_be_all_that_is_left(
    run_with_checkpoints: Path, smallest_words: list[str], tmp_path: Path, s140
) -> None:
    """Repeat the command of a finished run without the flag, then of one without it in its recipe: with half a model,
    and with a whole one."""
    folder, command = tmp_path / "run", ("train", "--output-dir", tmp_path / "run", *smallest_words)
    shutil.copytree(run_with_checkpoints, folder)
    weights = folder / "model" / "model.safetensors"
    content = weights.read_bytes()
    assert "checkpoints: they stay, as this run's recipe says" in s140(*command).stderr
    saved = saved_recipe(folder).with_values({"keep_checkpoints": False})
    (folder / "recipe.yaml").write_text(saved.to_yaml())
    s140(*command, "--keep-checkpoints")
    assert "checkpoints: they stay, as this run's recipe says" in s140(*command).stderr
    (folder / "recipe.yaml").write_text(saved.to_yaml())
    weights.write_bytes(content[:-1])
    assert f"checkpoints: they stay, because {weights} is not what was scored" in s140(*command).stderr
    assert newest_complete(folder / "checkpoints")
    weights.write_bytes(content)
    assert "checkpoints: removed " in s140(*command).stderr
    assert not (folder / "checkpoints").exists()


def test_what_else_is_among_the_checkpoints_stays(smallest_words: list[str], tmp_path: Path, s140) -> None:
    folder = tmp_path / "run" / "checkpoints"
    (folder / "mine").mkdir(parents=True)
    (folder / "thesis.txt").write_text("mine")
    assert "checkpoints: removed " in s140("train", "--output-dir", tmp_path / "run", *smallest_words).stderr
    assert {path.name for path in folder.iterdir()} == {"mine", "thesis.txt"}


def test_any_damage_is_found(run_with_checkpoints: Path, tmp_path: Path) -> None:
    """Draw 60 damages of all files and of the manifest, which names each of them."""
    newest = newest_complete(run_with_checkpoints / "checkpoints")
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
