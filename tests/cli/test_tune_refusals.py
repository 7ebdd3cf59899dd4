"""Check what ``s140 tune`` refuses, and that it then changes nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from sentiment140_bert.cli import main
from sentiment140_bert.errors import RunError
from sentiment140_bert.experiments.tune.results import StudyDir
from sentiment140_bert.files import TEMPORARY
from sentiment140_bert.recipe import load_recipe

pytest_plugins = ("model_fixtures", "tune_fixtures")


IMPOSSIBLE: list[tuple[tuple[object, ...], int, str]] = [
    (("--trials", 0), 1, "--trials must be at least 1, not 0"),
    (("--trials", -3), 1, "--trials must be at least 1, not -3"),
    (("--timeout", 0), 1, "--timeout must be more than 0 seconds"),
    (("--timeout", "0m"), 1, "--timeout must be more than 0 seconds"),
    (("--timeout", "nan"), 1, "--timeout must be more than 0 seconds"),
    (("--timeout", "soon"), 2, "is not a duration. Use seconds, or 90s, 30m, 2.5h"),
    (("--final-seeds", -1), 1, "--final-seeds must be at least 0, not -1"),
    (("--final-seeds", 2, "--seed", 4294967294), 1, "which must be at most 4,294,967,295"),
    (("--eval-strategy", "no", "--no-load-best-model-at-end"), 1, "trials need evaluations"),
    (("--register-model", "m", "--report-to", "mlflow"), 1, "register_model"),
    (("--log-model",), 1, "add --keep-models"),
    (("--dataset", "nowhere.csv"), 1, "nowhere.csv"),
    (("--test-size", 0, "--manual-test", "none"), 1, "There are no test tweets"),
    (("--storage", "my store"), 1, "not a database address"),
    (("--storage", "sqlite://"), 1, "in memory is lost"),
    (("--sampler", "grid"), 2, "'grid' is not one of"),
]


def test_impossible_arguments(tunable: Path, tmp_path: Path) -> None:
    wrong = []
    for arguments, code, message in IMPOSSIBLE:
        words = ["tune", "new", "--recipe", str(tunable), *map(str, arguments)]
        result = CliRunner().invoke(main, words, catch_exceptions=False)
        if (result.exit_code, result.stdout) != (code, "") or message not in result.stderr:
            wrong.append((arguments, result.exit_code, result.output))
        assert not (tmp_path / "new").exists(), arguments
    assert wrong == []


@pytest.mark.parametrize(
    ("ranges", "more", "message"),
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
    tmp_path: Path, s140, tunable: Path, ranges: dict[str, Any], more: dict[str, Any], message: str
) -> None:
    plain = yaml.safe_load(tunable.read_text())
    (tmp_path / "bad.yaml").write_text(yaml.safe_dump(plain | {"tuning": ranges, "training": plain["training"] | more}))
    result = s140("tune", "new", "--recipe", "bad.yaml", code=1)
    assert message in result.stderr
    assert "data: " not in result.stderr
    assert not (tmp_path / "new").exists()


def test_another_study_is_refused_with_the_difference(copied: Path, s140, tunable: Path, tmp_path: Path) -> None:
    command = ("tune", copied, "--recipe", tunable, "--trials", 6)
    assert "recipe.training.weight_decay: 0.01 then, 0.5 now" in s140(*command, "--weight-decay", 0.5, code=1).stderr
    assert "data: " in s140(*command, "--split-seed", 1, code=1).stderr
    assert "pruner: 'median' then, 'none' now" in s140(*command, "--pruner", "none", code=1).stderr
    assert "study: 'mine' then, 'other' now" in s140(*command, "--study-name", "other", code=1).stderr
    shared = (
        *("tune", "elsewhere", "--storage", f"sqlite:///{copied}/study.db", "--study-name", "mine", "--recipe"),
        tunable,
    )
    refused = s140(*shared, "--trials", 6, "--learning-rate", 2e-3, code=1).stderr
    assert "The study 'mine' in" in refused
    assert "recipe.training.learning_rate: 5e-05 then, 0.002 now" in refused


def test_folders_of_something_else_are_left_alone(s140, tunable: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    assert "is a file" in s140("tune", "file", "--recipe", tunable, code=1).stderr
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    assert "is not empty, and `s140 tune` did not write it" in s140("tune", "full", "--recipe", tunable, code=1).stderr
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["notes.txt"]


def test_accepts_what_a_process_that_starts_at_the_same_time_writes(tmp_path: Path) -> None:
    home = StudyDir(tmp_path)
    for name in ("study.db", "study.db.lock", "study.db-journal", f"{TEMPORARY}study.json.abc.json"):
        (tmp_path / name).write_text("")
    home.check()
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="did not write it"):
        home.check()


def test_trials_share_no_repository_of_checkpoints(s140, tunable: Path, tmp_path: Path) -> None:
    command = ("tune", "mine", "--recipe", tunable, "--trials", 1, "--final-seeds", 0)
    stderr = s140(*command, "--checkpoint-repo-id", "you/checkpoints").stderr
    assert "a tuning trains several models; you/checkpoints is for one run" in stderr
    assert load_recipe(str(tmp_path / "mine" / "best.yaml")).tracking.checkpoint_repo_id is None


def test_a_volume_is_refused(s140, tunable: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S140_VOLUMES", str(tmp_path / "volume"))
    assert "is on a volume" in s140("tune", tmp_path / "volume" / "mine", "--recipe", tunable, code=1).stderr
    assert not (tmp_path / "volume").exists()


def replace(path: Path, content: str | None = None) -> None:
    """Replace a path with a file, or with a folder that holds a file if there is no content."""
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    if content is None:
        (path / "odd").mkdir(parents=True)
    else:
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)


def link(path: Path, target: Path | str) -> None:
    replace(path, "")
    path.unlink()
    path.symlink_to(target)


OUTSIDE = ("study.db", "study.json", "study.db.lock", "study.json.lock", "final.lock", "best.yaml", "tuning.json")
Case = tuple[Callable[[Path], None], str]  # what makes a folder odd, and the message; empty if it does no harm
REFUSED_AT_ONCE: dict[str, Case] = {
    **{
        f"{name} is a link": (lambda home, name=name: link(home / name, "../outside/note.txt"), "points outside")
        for name in OUTSIDE
    },
    "trials is a link": (lambda home: link(home / "trials", "../outside"), "points outside"),
    "a trial is a link": (lambda home: link(home / "trials" / "trial-0006", "../../outside"), "points outside"),
    "a pipe": (lambda home: os.mkfifo(home / "study.db-journal"), "a pipe or a device"),
    "study.json is cut off": (lambda home: replace(home / "study.json", "{"), "is damaged"),
    "study.json is a list": (lambda home: replace(home / "study.json", "[]"), "study.json"),
    "study.json is deep": (lambda home: replace(home / "study.json", "[" * 100_000), "is damaged"),
    "study.json is a folder": (
        lambda home: replace(home / "study.json"),
        "is not empty, and `s140 tune` did not write it",
    ),
}
REFUSED_LATER: dict[str, Case] = {  # once the tweets are prepared
    "a lock is a link within": (lambda home: link(home / "study.db.lock", "study.db"), "cannot be opened"),
    "another lock is a link within": (lambda home: link(home / "study.json.lock", "study.db"), "cannot be locked"),
    "a lock is a folder": (lambda home: replace(home / "study.json.lock"), "cannot be locked"),
    "study.json is of another": (
        lambda home: replace(home / "study.json", '{"study": {}}'),
        "was started with other settings",
    ),
    "study.json is of an earlier version": (
        lambda home: replace(home / "study.json", '{"study": "mine", "recipe": {}}'),
        "started by another version of s140",
    ),
    "study.db is text": (lambda home: replace(home / "study.db", "text" * 1000), "file is not a database"),
    "study.db is a folder": (lambda home: replace(home / "study.db"), "a pipe or a folder, not a file"),
    "a trial is a file": (lambda home: replace(home / "trials" / "trial-0006", ""), "trial-0006"),
    "a trial's recipe is odd": (lambda home: replace(home / "trials" / "trial-0006" / "recipe.yaml", "- !!x"), ""),
    "best.yaml is a folder": (lambda home: replace(home / "best.yaml"), "not a regular file"),
    "README.md is a folder": (lambda home: replace(home / "README.md"), "not a regular file"),
    "figures is a file": (lambda home: replace(home / "figures", ""), "figures"),
    "tuning.json is odd": (lambda home: replace(home / "tuning.json", "{"), ""),
    "README.md is a link within": (lambda home: link(home / "README.md", "study.db"), ""),
}


@pytest.mark.parametrize("cases", [REFUSED_AT_ONCE, pytest.param(REFUSED_LATER, marks=pytest.mark.long)])
def test_refuses_an_untrusted_study_folder_and_changes_nothing_outside(
    tmp_path: Path, tuned: Path, tunable: Path, cases: dict[str, Case]
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "note.txt").write_text("mine")
    wrong = {}
    for number, (case, (change, message)) in enumerate(cases.items()):
        home = Path(shutil.copytree(tuned, tmp_path / f"{number}"))
        change(home)
        trials = "7" if case.startswith("a trial") else "6"
        words = ["tune", str(home), "--recipe", str(tunable), "--trials", trials, "--final-seeds", "0"]
        result = CliRunner().invoke(main, [*words, "--study-name", "mine"])
        is_refused = result.exit_code == 1 and message in result.stderr and "Traceback" not in result.output
        if not (is_refused if message else result.exit_code == 0) or isinstance(result.exception, Exception):
            wrong[case] = f"{result.exit_code} {result.exception!r} {result.stderr[-300:]}"
        assert [(file.name, file.read_text()) for file in outside.iterdir()] == [("note.txt", "mine")], case
    assert wrong == {}
