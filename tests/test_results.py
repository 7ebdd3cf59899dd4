"""The public functions in a Python session: what they take, what they return, and how it looks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import sentiment140_bert as s140
from sentiment140_bert.publishing.checks import CLAIMED, FALSE, TRUE, WARNING, Check, VerifyResult
from sentiment140_bert.recipe import DataConfig
from sentiment140_bert.results import DatasetScores, ListedFiles, Pushed, PushResult, TrainResult, describe_scores

pytest_plugins = "model_fixtures"
PUSHED = Pushed("model", "me/tweets", "https://huggingface.co/me/tweets", "ab" * 20, True, False, None, None)


def test_dir_lists_the_verbs_and_the_version() -> None:
    names = dir(s140)
    assert {"train", "evaluate", "predict", "push_to_hub", "verify", "load_recipe", "__version__"} <= {*names}
    assert not {"import_module", "TYPE_CHECKING", "Any"} & {*names}
    assert s140.__version__
    assert s140.__version__[0].isdigit()


def test_a_finished_run_shows_its_scores(smallest_run: Path) -> None:
    result = TrainResult(smallest_run)
    accuracy = result.metrics["splits"]["test"]["accuracy"]["value"]
    assert f"test accuracy {accuracy:.3f} [" in repr(result)
    assert "validation" not in repr(result)
    assert "\n" not in repr(result)
    page = result._repr_html_()
    assert page.startswith("<table>")
    assert f"{accuracy:.3f} [" in page
    assert list(result.to_dict()) == ["run", "model", "training", "metrics", "published", "tracked", "checkpoints"]
    assert result.model == smallest_run / "model"
    assert "main process" in repr(TrainResult(smallest_run / "elsewhere", is_main=False))


def test_scores_of_a_dataset(small_bert: Callable[..., Path], tmp_path: Path) -> None:
    """Model and dataset may be named by paths; what is said of neutral splits needs no score."""
    file = tmp_path / "tweets.csv"
    rows = [f'{label},"{word} tweet {number}"' for number in range(20) for label, word in ((0, "bad"), (4, "good"))]
    file.write_text("\n".join(["label,text", *rows]))
    scores = s140.evaluate(small_bert(), file)
    assert isinstance(scores, DatasetScores)
    assert "test accuracy" in repr(scores)
    assert str(file) in repr(scores)
    assert scores.to_dict().keys() == {"model", "dataset", "splits", "leaked", "unknown", "assumed"}
    assert s140.evaluate(str(small_bert()), DataConfig(dataset=str(file))).splits == scores.splits
    assert describe_scores({"manual": {"n": 0, "neutral_left_out": 3}}) == "manual: only neutral tweets"


def test_pushes_and_checks_in_a_line(tmp_path: Path) -> None:
    assert repr(PushResult(model=PUSHED)) == f"PushResult(model {PUSHED.url} (commit {'ab' * 6}))"
    assert PushResult(model=PUSHED).to_dict() == {"model": vars(PUSHED)}
    listed = PushResult(files={"model": ListedFiles("me/tweets", {"a": 1_000, "b": 2})})
    assert repr(listed) == "PushResult(not published: model me/tweets (2 files, 1,002 bytes))"
    assert listed.to_dict() == {"model": {"repo_id": "me/tweets", "files": {"a": 1_000, "b": 2}}}
    checks = (
        Check("test: accuracy", 0.9, 0.8, FALSE),
        Check("<b>x</b>", 1, 1, TRUE),
        Check("name", "x", None, CLAIMED),
        Check("text", "x", None, WARNING),
    )
    verdict = VerifyResult("me/tweets", None, FALSE, 0.001, checks)
    counts = "1 agree, 1 false, 0 unchecked, 1 claimed, not checked, 1 warnings"
    assert repr(verdict) == f"VerifyResult('me/tweets': false; {counts})"
    page = verdict._repr_html_()
    assert "&lt;b&gt;x&lt;/b&gt;" in page
    assert "<b>" not in page


def test_one_text_several_and_any_iterable(classifier_folder: Path) -> None:
    """One text is one text, not its letters; a list gives a list that shows itself, a generator is streamed."""
    one = s140.predict(classifier_folder, "what a day")
    several = s140.predict(str(classifier_folder), ["what a day", "<i>oh</i>"])
    assert [text for text, _ in one] == ["what a day"]
    assert several[0][1].score == pytest.approx(one[0][1].score, rel=1e-4)
    label, score = one[0][1]
    assert repr(one) == f"{label} {score:.4f}  what a day"
    assert "&lt;i&gt;oh&lt;/i&gt;" in several._repr_html_()

    def texts() -> Iterator[str]:
        yield "what a day"
        raise AssertionError("read too early")

    assert not isinstance(s140.predict(classifier_folder, texts()), list)


def test_texts_stand_for_paths_and_recipes(smallest_run: Path) -> None:
    assert s140.saved_recipe(str(smallest_run)) == s140.saved_recipe(smallest_run)
    assert s140.load_recipe(smallest_run / "recipe.yaml") == s140.load_recipe(str(smallest_run / "recipe.yaml"))
    assert s140.track(str(smallest_run)) == s140.track(smallest_run)
    assert s140.preview("quickstart").rows


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: s140.train(7, "runs/x"), "recipe must be a Recipe, a packaged name such as 'quickstart', or a file"),
        (lambda: s140.train("quickstart", 7), "output_dir must be a str or a Path, not int"),
        (lambda: s140.evaluate("runs/x", 7), "data must be a DataConfig, or the name of a dataset or file, not int"),
        (lambda: s140.predict(None, "text"), "model must be a str or a Path, not NoneType"),
    ],
)
def test_anything_else_is_refused_in_a_sentence(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(TypeError, match=words):
        call()


def test_predicting_needs_no_module_that_windows_lacks(classifier_folder: Path) -> None:
    program = f"""
import builtins, os
del os.geteuid
plain = builtins.__import__
def refuse(name, globals=None, *others, **named):
    if name in ('fcntl', 'resource', 'termios', 'pwd') and (globals or {{}}).get('__name__', '').startswith('sentim'):
        raise ImportError(name)
    return plain(name, globals, *others, **named)
builtins.__import__ = refuse
import sentiment140_bert
for _ in range(2):  # the second time the cache says that the tokenizer was tried
    print(len(sentiment140_bert.predict({str(classifier_folder)!r}, ['good', 'bad'])))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["2", "2"]


SCRIPT = """\
from sentiment140_bert import evaluate, load_recipe, predict, push_to_hub, train, verify

result = train(load_recipe("quickstart"), "runs/x")
print(result.metrics["splits"]["test"]["accuracy"]["value"] + 1.0, result.model.name)
scores = evaluate(result.run, "tweets.csv")
print(scores.splits["test"]["n"] + 1)
for text, answer in predict(result.run, ["good", "bad"]):
    print(text.upper(), answer.label.upper(), (answer.score or 0.0) + 1.0)
pushed = push_to_hub("runs/x", "me/tweets").model
print(pushed.url if pushed else "", verify("me/tweets").verdict.upper())
reveal_type(result)
reveal_type(scores.splits["test"])
"""


@pytest.mark.long
def test_a_script_of_a_user_is_checked_by_mypy(tmp_path: Path) -> None:
    """No result is Any, so that an editor completes its names."""
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "wrong.py").write_text('from sentiment140_bert import verify\nverify("me/tweets").no_such_name\n')
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--cache-dir",
        str(tmp_path / "cache"),
        "script.py",
        "wrong.py",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
    assert 'Revealed type is "sentiment140_bert.results.TrainResult"' in done.stdout
    assert "script.py" not in "\n".join(line for line in done.stdout.splitlines() if ": error:" in line), done.stdout
    assert 'wrong.py:2: error: "VerifyResult" has no attribute "no_such_name"' in done.stdout
