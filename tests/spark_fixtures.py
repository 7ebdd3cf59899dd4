"""A pytest plugin for tests with Spark: one local session of two cores, and tables of tweets in it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from conftest import six_columns

SCHEMA = "target string, id string, date string, flag string, user string, text string"


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Return the active session, as there is one in every notebook and job of Databricks."""
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    settings = {
        "spark.driver.memory": "1g",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "FATAL",
        "spark.sql.warehouse.dir": str(tmp_path_factory.mktemp("warehouse")),
        "spark.sql.shuffle.partitions": "2",
        "spark.scheduler.barrier.maxConcurrentTasksCheck.maxFailures": "1",  # else it asks for ten minutes
    }
    session = SparkSession.builder.master("local[2]").config(map=settings).getOrCreate()
    session.sql("CREATE DATABASE tweets")
    yield session
    session.stop()


@pytest.fixture
def table(spark: Any) -> Iterator[Callable[..., str]]:
    """Return a function that writes rows (or a count of made-up tweets) as a table, and drop it afterwards.

    Each part is read by a Python process of its own, which must import torch where the rows are labeled.
    """
    written = []

    def write(name: str, rows: Sequence[Sequence[Any]] | int = 120, schema: str = SCHEMA, parts: int = 1) -> str:
        full = f"tweets.{name}"
        rows = six_columns(rows) if isinstance(rows, int) else rows
        written.append(full)
        spark.createDataFrame(rows, schema).repartition(parts).write.saveAsTable(full)
        return full

    yield write
    for table in written:
        spark.sql(f"DROP TABLE IF EXISTS {table}")


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """Return a folder that all machines see, such as /Volumes."""
    folder = tmp_path / "Volumes" / "main" / "default" / "runs"
    folder.mkdir(parents=True)
    return folder
