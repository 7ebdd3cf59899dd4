from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest

from command_line import complete
from conftest import six_columns
from sentiment140_bert.data import pipeline, sources, tables
from sentiment140_bert.errors import DataError
from sentiment140_bert.recipe import DataConfig
from tiny_run import flags

pytest_plugins = ("spark_fixtures", "hub_fixtures")


def config(name: str, **changes: object) -> DataConfig:
    return DataConfig(dataset=name, **{"validation_size": 20, "test_size": 20, **changes})  # type: ignore[arg-type]


def test_a_table_gives_the_splits_that_the_same_rows_in_a_file_give(table, write, cache: Path) -> None:
    name = table("same", 300)
    from_table = pipeline.prepare_splits(config(f"table:{name}")).report
    from_file = pipeline.prepare_splits(config(str(write("same.csv", 300)))).report
    assert from_table["fingerprint"] == from_file["fingerprint"]
    assert from_table["steps"] == from_file["steps"]
    assert from_table["sources"]["training"]["name"] == f"table:{name.rpartition('.')[2]}"
    assert not from_table["sources"]["training"]["on_hub"]


def test_the_order_and_the_parts_of_a_table_change_nothing(table, cache: Path) -> None:
    rows = [
        *six_columns(300),
        *([["0", "1", "Mon Apr 06 22:19:45 PDT 2009", "NO_QUERY", "who", "TWEET 7 is Sad, café"]] * 2),
    ]
    one, other = table("ordered", rows, parts=1), table("disordered", rows[::-1], parts=7)
    first, second = pipeline.prepare_splits(config(f"table:{one}")), pipeline.prepare_splits(config(f"table:{other}"))
    assert first.report["fingerprint"] == second.report["fingerprint"]
    assert first.report["sources"]["training"]["sha256"] == second.report["sources"]["training"]["sha256"]
    assert second.cached
    assert first.report["steps"]["duplicates"] == 2


def test_no_other_column_leaves_the_table(table) -> None:
    name = table(
        "wide", [["so glad", 4, "secret"], ["so sad", 0, "secret"]], "tweet string, polarity int, salary string"
    )
    result = sources.locate(DataConfig(dataset=f"table:{name}"))[0].dataset
    assert result.column_names == ["tweet", "polarity"]
    assert sorted(result["polarity"]) == ["0", "4"]


def test_nulls_and_labels_are_counted_as_in_any_source(table, cache: Path) -> None:
    rows = [[f"tweet {at} is {'good' if at % 2 else 'bad'} \u2603 {'🙂' * at}", float(at % 2)] for at in range(60)]
    rows += [[None, 1.0], ["no label", None], ["", 0.0], ["strange", 7.0]]
    name = table("nulls", rows, "text string, label double")
    report = pipeline.prepare_splits(config(f"table:{name}", max_bad_rows=0.5)).report
    assert report["sources"]["training"]["bad_rows"] == 3
    assert (report["steps"]["rows_read"], report["steps"]["empty"], report["steps"]["distinct"]) == (64, 1, 60)
    with pytest.raises(DataError, match="3 of 64 rows"):
        pipeline.prepare_splits(config(f"table:{name}"))


def test_columns_of_any_name_can_be_named(table, cache: Path) -> None:
    rows = [[f"tweet {at}", "positive" if at % 2 else "negative"] for at in range(60)]
    name = table("odd", rows, "`what was.said` string, `b``l` string")
    chosen = config(f"table:{name}", text_column="what was.said", label_column="b`l")
    assert pipeline.prepare_splits(chosen).report["splits"]["train"]["rows"] == 20


def test_a_table_can_be_the_manual_test(table, cache: Path) -> None:
    manual = table("manual", [["by hand good", 4], ["by hand bad", 0], ["by hand so so", 2]], "text string, target int")
    report = pipeline.prepare_splits(config("sample", manual_test=f"table:{manual}")).report
    assert report["sources"]["manual"]["name"] == f"table:{manual.rpartition('.')[2]}"
    assert (report["splits"]["manual"]["rows"], report["splits"]["manual_neutral"]["rows"]) == (2, 1)


def test_prepare_train_and_evaluate_take_a_table(table, encoder: Path, s140) -> None:
    name = f"table:{table('verbs', 300)}"
    chosen = flags(dataset=name, model_name_or_path=encoder, max_samples=100, validation_size=20, test_size=20)
    data = [word for word in chosen if word != "none"][:10]
    assert json.loads(s140("prepare", *data, "--json").stdout)["splits"]["train"]["rows"] == 60
    s140("train", "--output-dir", "run", *chosen, "--max-steps", 1)
    assert name in Path("run/recipe.yaml").read_text()
    scores = json.loads(s140("evaluate", "run", "--dataset", name, "--json").stdout)
    assert scores["splits"]["test"]["n"] == 300
    assert json.loads(s140("evaluate", "run", "--json").stdout)["splits"]["test"]["n"] == 20  # the same splits again


def test_a_missing_table_is_one_error_message(spark, s140) -> None:
    cases = (
        ("table:tweets.missing", "There is no table tweets.missing"),
        ("table:nowhere.at.all", "nowhere"),
        ("table:two words", "'two words' is not a table name"),
        ("table:", "'' is not a table name"),
        ("table:parquet.`/Volumes/main/x`", "give files and folders by their path"),
        ("table:csv.`tweets.csv`", "There is no table csv.`tweets.csv`"),
        ("table:text.tweets", "There is no table text.tweets"),
    )
    for file in ("tweets", "tweets.csv"):
        Path(file).write_text("text,label\na private note,0\n")
    for name, sentence in cases:
        printed = s140("prepare", "--dataset", name, code=1).stderr
        assert sentence in printed, name
        assert "Traceback" not in printed, name
        assert not sources.is_hub_id(name), name


def test_a_table_without_text_is_one_error_message(table, s140) -> None:
    name = table("numbers", [[1, 2]], "a int, b int")
    result = s140("prepare", "--dataset", f"table:{name}", code=1)
    assert "no column that is obviously the text" in result.stderr
    assert "'a', 'b'" in result.stderr


def test_an_empty_table_is_one_error_message(table, s140) -> None:
    name = table("empty", [], "text string, label int")
    assert "holds no rows" in s140("prepare", "--dataset", f"table:{name}", code=1).stderr


def test_without_pyspark_the_extra_is_named(s140, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pyspark", "pyspark.errors", "pyspark.sql"):
        monkeypatch.setitem(sys.modules, name, None)
    printed = s140("prepare", "--dataset", "table:a.b.c", code=1).stderr
    assert "needs the optional extra [spark]" in printed
    assert "Traceback" not in printed


def test_a_missing_java_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    tools = [Path("/bin"), Path("/usr/bin")]
    (tmp_path / "bin").mkdir()
    for name in ("bash", "dirname", "env", "uname", "ps", "nice", "sh"):
        result = next((folder / name for folder in tools if (folder / name).exists()), None)
        if result:
            (tmp_path / "bin" / name).symlink_to(result)
    _, stderr = complete("prepare", "--dataset", "table:a.b.c", env={"PATH": str(tmp_path / "bin")}, code=1)
    assert "Spark cannot start" in stderr
    assert "Traceback" not in stderr


def test_a_copy_replaces_the_table_without_a_session(table, tmp_path: Path, monkeypatch) -> None:
    name = f"table:{table('copied', 40)}"
    tables.copy_table(name, DataConfig(), tmp_path)
    rows = tables.read_table(name, DataConfig()).to_list()
    monkeypatch.setenv(tables.COPIES, str(tmp_path))
    monkeypatch.setattr(tables, "get_session", lambda: pytest.fail("a session was asked for"))
    assert tables.read_table(name, DataConfig()).to_list() == rows
    assert list(csv.reader([rows[0]["target"]])) == [["0"]]
