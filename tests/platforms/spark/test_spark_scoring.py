from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow.parquet as pq
import pytest

import sentiment140_bert
from hub_server import HubServer
from on_hub import MODEL
from sentiment140_bert import models, predict
from sentiment140_bert.data.texts import read_texts
from sentiment140_bert.platforms.spark import predict as scoring
from sentiment140_bert.platforms.spark.processes import pack_error, unpack_error
from sentiment140_bert.tracking import mlflow_models

pytest_plugins = ("spark_fixtures", "hub_fixtures")

ODD = [
    *(None, "", "   ", "no words: \u2603\u200d\ufe0f 🙂🙂", "e\u0301 and é", "a\x00null", "tab\tline\nbreak"),
    *("@you http://example.com/1 &amp; &lt;3", "long " * 900, "עברית 日本語"),
]


def sample_tweets(count: int) -> list[str]:
    """Return the packaged tweets many times, each time mixed with other words, so that no two are equal."""
    from importlib.resources import files

    path = files("sentiment140_bert.data") / "sample" / "tweets.csv"
    tweets, random_ = list(read_texts(str(path))), random.Random(1)
    created = []
    for number in range(count):
        words = tweets[number % len(tweets)].split()
        random_.shuffle(words)
        created.append(" ".join([*words[: random_.randint(1, 12)], str(number)]))
    return created


def scored(spark: Any, name: str, key: str = "id") -> dict[Any, tuple[str, float]]:
    rows = spark.table(name).select(key, "label", "score").toArrow().to_pylist()
    return {row[key]: (row["label"], row["score"]) for row in rows}


@pytest.fixture
def target(spark) -> Any:
    yield "tweets.scored"
    spark.sql("DROP TABLE IF EXISTS tweets.scored")


@pytest.fixture
def one_thread() -> Iterator[Callable[[], None]]:
    """For a model this small more threads of torch only wait for each other: ten times as long on a busy machine."""
    import torch

    before = torch.get_num_threads()
    yield lambda: torch.set_num_threads(1)
    torch.set_num_threads(before)


@pytest.mark.long
def test_100_000_rows_are_labelled_as_by_predict(
    spark, encoder: Path, tmp_path: Path, target: str, s140, one_thread
) -> None:
    """Return a table of 100,000 distinct tweets, and the same as a file."""
    import pyarrow as pa

    texts = sample_tweets(100_000)
    assert len(set(texts)) == 100_000
    rows = pa.table({"id": range(len(texts)), "text": texts})
    pq.write_table(rows, tmp_path / "tweets.parquet", row_group_size=20_000)
    spark.read.parquet(str(tmp_path / "tweets.parquet")).repartition(4).write.saveAsTable("tweets.hundred")
    try:
        arguments = ["--model", encoder, "--input-table", "tweets.hundred", "--output-table", target, "--json"]
        report = json.loads(s140("spark", "predict", *arguments).stdout)
    finally:
        result = scored(spark, target)
        spark.sql("DROP TABLE tweets.hundred")
    output = tmp_path / "labels.parquet"
    one_thread()
    s140("predict", encoder, "--input", tmp_path / "tweets.parquet", "--output", output)
    expected = pq.read_table(output).to_pylist()
    assert len(result) == len(expected) == report["count"] == 100_000
    assert set(report["labels"]) == {"negative", "positive"}
    assert sum(report["labels"].values()) == 100_000
    assert min(report["labels"].values()) > 1_000  # so that agreeing means something
    wrong = [at for at, row in enumerate(expected) if result[at][0] != row["label"]]
    assert wrong == []
    assert max(abs(result[at][1] - row["score"]) for at, row in enumerate(expected)) < 1e-5


def test_every_column_stays_as_it_is_and_odd_texts_are_answered(spark, table, encoder: Path, target: str, s140) -> None:
    columns = "id int, text string, amount decimal(10,2), seen timestamp, tags array<string>, more struct<a:int>"
    created = [(at, text, None, None, ["x", None], None) for at, text in enumerate(ODD)]
    name = table("odd", created, columns)
    s140("spark", "predict", "--model", encoder, "--input-table", name, "--output-table", target)
    before, after = spark.table(name), spark.table(target)
    assert after.dtypes == [*before.dtypes, ("label", "string"), ("score", "double")]
    assert sorted(after.select(*before.columns).collect()) == sorted(before.collect())
    expected = [answer for _, answer in predict(str(encoder), ["" if text is None else text for text in ODD])]
    result = scored(spark, target)
    assert [result[at][0] for at in range(len(ODD))] == [item.label for item in expected]
    assert [result[at][1] for at in range(len(ODD))] == pytest.approx([entry.score for entry in expected], abs=1e-5)


def test_each_row_is_answered_once_and_the_model_loaded_once_in_a_process(spark, table, encoder: Path) -> None:
    frame = sentiment140_bert.with_predictions(spark.table(table("once", 200, parts=8)), str(encoder))
    plan = frame._jdf.queryExecution().executedPlan().toString()
    assert plan.count("ArrowEvalPython") == 1
    assert scoring._load_once.cache_info().maxsize == 1
    assert frame.count() == 200


def test_numbers_can_be_texts_and_new_columns_named(spark, table, encoder: Path, target: str, s140) -> None:
    name = table("labeled", [[7, "positive"], [8, "negative"]], "tweet int, label string")
    arguments = ["--model", encoder, "--input-table", f"table:{name}", "--output-table", target]
    result = s140("spark", "predict", *arguments, code=1)
    assert "already has a column label" in result.stderr
    assert not spark.catalog.tableExists(target)
    s140("spark", "predict", *arguments, "--prefix", "predicted_")
    assert spark.table(target).columns == ["tweet", "label", "predicted_label", "predicted_score"]


def test_bytes_that_are_no_text_are_answered(spark, table, encoder: Path) -> None:
    frame = spark.table(table("bytes", [[bytearray(b"\xff\xfe")], [bytearray(b"hello")]], "text binary"))
    assert sentiment140_bert.with_predictions(frame, str(encoder)).count() == 2
    assert sentiment140_bert.with_predictions(frame, str(encoder)).filter("score is null").count() == 0


def test_nothing_is_replaced_unasked(spark, table, encoder: Path, target: str, s140) -> None:
    arguments = ["spark", "predict", "--model", encoder, "--input-table"]
    first, second = table("first", 6), table("second", 4)
    s140(*arguments, first, "--output-table", target)
    assert f"Table {target} already exists" in s140(*arguments, second, "--output-table", target, code=1).stderr
    assert spark.table(target).count() == 6
    assert "4 rows" in s140(*arguments, second, "--output-table", target, "--overwrite").stdout
    assert spark.table(target).count() == 4
    spark.sql(f"CREATE OR REPLACE TEMPORARY VIEW part AS SELECT id, text FROM {first} WHERE id < 3")
    for source, output in ((first, first.upper()), (first, f"spark_catalog.{first}"), ("part", first)):
        same = s140(*arguments, source, "--output-table", output, "--overwrite", code=1)
        assert "is the input table" in same.stderr
    assert spark.table(first).count() == 6


def test_a_failed_job_leaves_the_old_table(spark, table, encoder: Path, target: str, s140) -> None:
    arguments = ["spark", "predict", "--model", encoder, "--output-table", target, "--input-table"]
    s140(*arguments, table("whole", 6))
    damaged = table("damaged", 4)
    for address in spark.table(damaged).inputFiles():
        Path(urlsplit(address).path).write_bytes(b"PAR1")
    assert "Spark could not finish its work" in s140(*arguments, damaged, "--overwrite", code=1).stderr
    assert spark.table(target).count() == 6


MISTAKES = (
    ({"--input-table": "tweets.missing"}, "There is no table tweets.missing"),
    ({"--text-column": "missing"}, "no column 'missing'"),
    ({"--model": "./missing"}, "There is no model folder"),
    ({"--model": "models:/main.default.missing@champion"}, "The registry cannot provide models:/main"),
    ({"--output-table": "a b"}, "'a b' is not a table name"),
    ({"--output-table": "nowhere.at.all"}, "nowhere"),
    ({"--output-table": "`..`", "--overwrite": None}, "is not a table name"),
    ({"--output-table": "`../../up`"}, "is not a table name"),
)


def test_a_mistake_is_one_error_and_writes_nothing(
    spark, table, encoder: Path, target: str, s140, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{Path.cwd()}/mlflow.db")
    usual = {"--model": encoder, "--input-table": table("mistakes", 4), "--output-table": target}
    wrong = []
    for changes, sentence in MISTAKES:
        words = [word for pair in (usual | changes).items() for word in pair if word is not None]
        printed = s140("spark", "predict", *words, code=1).stderr
        if sentence not in printed or "Traceback" in printed or spark.catalog.tableExists(target):
            wrong.append((changes, sentence, printed))
    assert wrong == []


def test_an_error_on_a_worker_reaches_the_user_as_one_message(spark, table, target: str) -> None:
    from pyspark.sql import functions

    from sentiment140_bert.errors import S140Error
    from sentiment140_bert.platforms.spark.predict import _load_predictor
    from sentiment140_bert.platforms.spark.processes import explain_errors

    frame = spark.table(table("lost", 4))
    lost = frame.select(scoring.make_column("s140-nothing.zip", functions.col("text"), _load_predictor))
    with pytest.raises(S140Error, match="did not arrive on a worker"), explain_errors():
        lost.collect()


def test_an_error_survives_whatever_is_put_around_it() -> None:
    error = sentiment140_bert.S140Error('a "b"\nline {2} é', "do {this}")
    error.exit_code = 143
    result = unpack_error(
        f"Traceback (most recent call last):\n  RuntimeError: {pack_error(error)}\n\tat org.apache.spark {{}}\n"
    )
    assert result is not None
    assert (result.message, result.hint, result.exit_code) == (error.message, error.hint, 143)
    assert unpack_error("RuntimeError: something else") is None


@pytest.mark.long
def test_a_hub_id_is_fetched_by_the_driver_alone(
    spark, table, hub: HubServer, pushed: Path, encoder: Path, target: str, s140
) -> None:
    name = table("from_hub", 40)
    s140("spark", "predict", "--model", MODEL, "--input-table", name, "--output-table", target)
    texts = {row["id"]: row["text"] for row in spark.table(name).collect()}
    expected = dict(zip(texts, (answer for _, answer in predict(str(pushed), texts.values())), strict=True))
    result = scored(spark, target)
    assert {key: label for key, (label, _) in result.items()} == {key: item.label for key, item in expected.items()}


@pytest.fixture
def registered(run_copy: Path, monkeypatch, tmp_path: Path) -> str:
    """Register the small run's model in an MLflow registry (a database in a file), like Unity Catalog."""
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    model, tokenizer = models.load_model_and_tokenizer(str(run_copy))
    with mlflow.start_run():
        mlflow.transformers.log_model(
            {"model": model, "tokenizer": tokenizer},
            name="model",
            task="text-classification",
            pip_requirements=["torch", "transformers"],
            registered_model_name="main.default.sentiment",
        )
    mlflow.MlflowClient().set_registered_model_alias("main.default.sentiment", "champion", "1")
    return "models:/main.default.sentiment@champion"


@pytest.mark.long
def test_a_registered_model_answers_as_the_run_does(
    spark, table, registered: str, run_copy: Path, target: str, s140
) -> None:
    """Check its tokenizer, too: the masks of users, URLs and entities survive MLflow."""
    tweets = ["@you http://example.com/1 &amp; so glad", "missed the bus &lt;/3 Ã©", *sample_tweets(200)]
    name = table("registered", list(enumerate(tweets)), "id int, text string")
    expected = [answer for _, answer in predict(str(run_copy), tweets)]
    assert [answer for _, answer in predict(registered, tweets)] == expected
    s140("spark", "predict", "--model", registered, "--input-table", name, "--output-table", target)
    result = scored(spark, target)
    assert [result[at][0] for at in range(len(tweets))] == [item.label for item in expected]
    assert [result[at][1] for at in range(len(tweets))] == pytest.approx([entry.score for entry in expected], abs=1e-5)
    with mlflow_models.fetch(registered) as folder:
        tokenizer = models.load_tokenizer(str(folder))
    own = models.load_tokenizer(str(run_copy))
    assert tokenizer.backend_tokenizer.to_str() == own.backend_tokenizer.to_str()


def test_a_registered_model_of_another_flavour_is_refused(registered: str, tmp_path: Path, monkeypatch) -> None:
    import mlflow

    shutil.rmtree(tmp_path / "runs")
    path = mlflow.pyfunc.log_model(name="other", python_model=lambda model_input: model_input, pip_requirements=[])
    with pytest.raises(sentiment140_bert.S140Error, match="was not logged by MLflow's transformers flavour"):
        sentiment140_bert.load_classifier(f"models:/{path.model_id}")
