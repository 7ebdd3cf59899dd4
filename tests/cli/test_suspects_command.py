from __future__ import annotations

import csv
import json
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from click.testing import CliRunner

import sentiment140_bert
from command_line import Command, signalled
from sentiment140_bert import saved_recipe
from sentiment140_bert.cli import main
from sentiment140_bert.data.clean import clean
from sentiment140_bert.data.pipeline import prepare_splits
from sentiment140_bert.data.texts import escape_cell
from sentiment140_bert.run import RunDir
from tiny_run import flags

pytest_plugins = "model_fixtures"


@pytest.fixture
def copy(smallest_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(smallest_run, tmp_path / "copy"))


def listed(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def test_the_list_names_training_rows_the_worst_first(smallest_run: Path, s140, tmp_path: Path) -> None:
    def content() -> dict[Path, bytes]:
        return {file: file.read_bytes() for file in smallest_run.rglob("*") if file.is_file()}

    before = content()
    stdout = s140("suspects", smallest_run, "--output", "s.csv").stdout
    assert content() == before
    rows = listed(tmp_path / "s.csv")
    assert list(rows[0]) == ["rank", "row", "label", "suggested", "confidence", "label_quality", "sample", "text"]
    train = prepare_splits(saved_recipe(smallest_run).data).splits()["train"]
    expected = {
        row: (text, label) for row, text, label in zip(train["row"], train["text"], train["label"], strict=True)
    }
    names = ["negative", "positive"]
    for rank, row in enumerate(rows, start=1):
        text, label = expected[int(row["row"])]
        assert (int(row["rank"]), row["text"]) == (rank, escape_cell(text))
        assert [row["label"], row["suggested"]] == [names[label], names[1 - label]]
        assert float(row["confidence"]) + float(row["label_quality"]) == pytest.approx(1, abs=2e-6)
        assert float(row["confidence"]) > 0.5
    qualities = [float(row["label_quality"]) for row in rows]
    assert qualities == sorted(qualities)
    assert f"suspects    {len(rows)} (" in stdout
    assert "checked     180 training tweets; 5 folds, by baseline" in stdout
    assert "A suspect label can still be right: s.csv" in stdout
    assert f"s140 train --recipe {smallest_run}/recipe.yaml --drop-suspects s.csv" in stdout


def test_rows_are_those_of_the_source(smallest_run: Path, s140, tmp_path: Path) -> None:
    s140("suspects", smallest_run, "--output", "s.csv")
    source = Path(sentiment140_bert.__file__).parent / "data" / "sample" / "tweets.csv"
    with source.open(encoding="latin-1", newline="") as lines:
        tweets = list(csv.reader(lines))
    cleaned, _ = clean(pa.chunked_array([[tweet[5] for tweet in tweets]]), "repair")
    for row in listed(tmp_path / "s.csv"):
        at = int(row["row"]) - 1
        assert {"0": "negative", "4": "positive"}[tweets[at][0]] == row["label"]
        assert row["text"] == escape_cell(cleaned[at].as_py())


def test_as_json_with_a_limit_and_a_sample(smallest_run: Path, s140, tmp_path: Path) -> None:
    arguments = ("suspects", smallest_run, "--output", "s.csv", "--most", 20, "--sample", 7, "--json")
    result = json.loads(s140(*arguments).stdout)
    rows = listed(tmp_path / "s.csv")
    assert (len(rows), result["written"], result["sample"], result["looked_at"]) == (20, 20, 7, 180)
    assert result["suspects"] > 20
    assert result["share"] == pytest.approx(result["suspects"] / 180)
    assert set(result["noise"]) == {"negative", "positive"}
    marked = [row["rank"] for row in rows if row["sample"]]
    assert len(marked) == 7
    before = (tmp_path / "s.csv").read_bytes()
    s140(*arguments, "--overwrite")
    assert (tmp_path / "s.csv").read_bytes() == before
    s140(*arguments, "--seed", 43, "--overwrite")
    assert [row["rank"] for row in listed(tmp_path / "s.csv") if row["sample"]] != marked


def test_training_without_them_leaves_out_what_is_listed(smallest_run: Path, s140, tmp_path: Path) -> None:
    s140("suspects", smallest_run, "--output", "s.csv")
    rows = listed(tmp_path / "s.csv")
    assert any(row["text"].startswith("'@user") for row in rows)
    arguments = ("prepare", "--recipe", smallest_run / "recipe.yaml", "--drop-suspects", "s.csv", "--json")
    assert json.loads(s140(*arguments).stdout)["splits"]["train"]["rows"] == 180 - len(rows)


@pytest.fixture(scope="module")
def undisturbed(smallest_run: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the result of ``--by model``, the content of the list, and the messages."""
    home = tmp_path_factory.mktemp("undisturbed")
    copy = shutil.copytree(smallest_run, home / "copy")
    arguments = ["suspects", str(copy), "--output", str(home / "s.csv"), "--by", "model", "--folds", "3", "--json"]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    (folds,) = RunDir(copy).suspects.iterdir()
    return {
        "said": result.stderr,
        "list": (home / "s.csv").read_bytes(),
        "files": {file.name: file.read_bytes() for file in folds.iterdir()},
        "folds_at": folds,
    } | json.loads(result.stdout)


def test_the_runs_own_recipe_is_trained_once_a_fold(undisturbed: dict[str, Any]) -> None:
    assert (undisturbed["by"], undisturbed["folds"], undisturbed["looked_at"]) == ("model", 3, 180)
    words = undisturbed["said"]
    assert "suspects: 3 trainings on 120 tweets each, about " in words
    assert words.index("suspects: 3 trainings") < words.index("suspects: training 1 of 3") < words.index("step 8/8")
    assert words.count("step 8/8  loss") == 3  # 120 tweets by 16
    assert sorted(undisturbed["files"]) == ["fold-1.parquet", "fold-2.parquet", "fold-3.parquet"]


def test_a_kill_and_a_stop_lose_no_fold(copy: Path, undisturbed: dict[str, Any], s140, tmp_path: Path) -> None:
    """Kill it between the first two trainings, stop it within the second one, and then let it finish."""
    arguments = ("suspects", copy, "--output", "s.csv", "--by", "model", "--folds", 3)
    killed = Command(*arguments, cwd=tmp_path, pause_at="suspects: training 2 of 3")
    signalled(killed, signal.SIGKILL)
    assert killed.returncode == -signal.SIGKILL
    (folds,) = RunDir(copy).suspects.iterdir()
    first = (folds / "fold-1.parquet").stat()
    assert not (folds / "fold-2.parquet").exists()

    stopped = Command(*arguments, cwd=tmp_path, pause_at="step 3/8")
    _, stderr = signalled(stopped, signal.SIGTERM)
    assert stopped.returncode == 128 + signal.SIGTERM, stderr
    assert "1 of 3 folds were finished before" in stderr
    assert "training 1 of 3" not in stderr
    assert "Run the same command again to resume." in stderr
    assert list((folds / "training-2" / "checkpoints").glob("checkpoint-*/complete.json"))
    assert not (folds / "fold-2.parquet").exists()
    assert not (tmp_path / "s.csv").exists()

    stderr = s140(*arguments).stderr
    assert "1 of 3 folds were finished before" in stderr
    assert "training 1 of 3" not in stderr
    assert (folds / "fold-1.parquet").stat().st_mtime_ns == first.st_mtime_ns
    assert {file.name: file.read_bytes() for file in folds.iterdir()} == undisturbed["files"]
    assert (tmp_path / "s.csv").read_bytes() == undisturbed["list"]


@pytest.mark.long
def test_a_damaged_fold_and_other_folds_are_trained_again(copy: Path, undisturbed: dict[str, Any], s140) -> None:
    """Name a damaged fold; the folds of another seed are different ones."""
    arguments = ("suspects", copy, "--output", "s.csv", "--by", "model", "--folds", 3)
    shutil.copytree(undisturbed["folds_at"], RunDir(copy).suspects / undisturbed["folds_at"].name)
    (folds,) = RunDir(copy).suspects.iterdir()
    (folds / "fold-2.parquet").write_bytes(undisturbed["files"]["fold-2.parquet"][:60])
    again = s140(*arguments).stderr
    assert "fold-2.parquet is damaged" in again
    assert "suspects: 1 training on 120 tweets each" in again
    assert {file.name: file.read_bytes() for file in folds.iterdir()} == undisturbed["files"]

    assert "finished before" not in s140(*arguments, "--seed", 1, "--overwrite").stderr
    assert len(list(RunDir(copy).suspects.iterdir())) == 2
    RunDir(copy).clear()
    assert not RunDir(copy).suspects.exists()


def test_impossible_requests_are_refused_before_any_training(smallest_run: Path, s140, tmp_path: Path) -> None:
    (tmp_path / "reviewed.csv").write_text("by hand")
    for arguments, words in (
        (("--folds", 1), "--folds must be at least 2"),
        (("--folds", 100), "100 folds need 100 texts or more of each label"),
        (("--seed", -1), "--seed must be between 0 and 4,294,967,295"),
        (("--output", "s.txt"), "s.txt has no file extension that can be written"),
        (("--output", "nowhere/s.csv"), "The folder nowhere does not exist"),
        (("--output", "reviewed.csv"), "reviewed.csv exists."),
    ):
        for by in ("baseline", "model"):
            result = s140("suspects", smallest_run, "--output", "s.csv", "--by", by, *arguments, code=1)
            assert words in result.stderr
            assert result.stdout == ""
            assert "training 1 of" not in result.stderr
            assert not list(tmp_path.glob("s.*"))
    (tmp_path / "folder.csv").mkdir()
    refused = s140("suspects", smallest_run, "--output", "folder.csv", code=2)
    assert "'folder.csv' is a directory" in refused.stderr


def test_a_missing_and_an_unfinished_run(copy: Path, s140) -> None:
    assert "There is no run in nowhere" in s140("suspects", "nowhere", "--output", "s.csv", code=1).stderr
    RunDir(copy).metrics.unlink()
    unfinished = s140("suspects", copy, "--output", "s.csv", code=1).stderr
    assert "is not finished" in unfinished
    assert f"s140 train --output-dir {copy} --resume" in unfinished


@pytest.mark.long
def test_other_data_than_the_run_was_trained_on(
    s140, write: Callable[..., Path], small_bert: Callable[..., Path], tmp_path: Path
) -> None:
    tweets = write("tweets.csv", 120)
    model = small_bert("BertModel")
    sizes = {"validation_size": 20, "test_size": 20, "max_samples": 100}
    s140("train", "--output-dir", "run", *flags(dataset=tweets, model_name_or_path=model, num_train_epochs=1, **sizes))
    write("tweets.csv", 122)
    changed = s140("suspects", "run", "--output", "s.csv", code=1).stderr
    assert "has changed since it was trained" in changed
    assert not (tmp_path / "s.csv").exists()


def test_without_cleanlab_the_extra_is_named(smallest_run: Path, s140, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cleanlab", None)
    assert "[noise]" in s140("suspects", smallest_run, "--output", "s.csv", code=1).stderr
