"""Read labeled tweets from a table of Spark's catalog, in an order that only their content decides."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from sentiment140_bert.data.columns import find_columns
from sentiment140_bert.errors import DataError, MissingExtra, S140Error, first_line
from sentiment140_bert.recipe import DataConfig

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

PREFIX = "table:"
# Environment variable with a folder of copies of tables, for processes without a Spark session.
COPIES = "S140_TABLES"


def is_table(name: str) -> bool:
    """Return True if a dataset's name is that of a table: ``table:catalog.schema.name``."""
    return name.startswith(PREFIX)


def get_session() -> SparkSession:
    """Return the active Spark session (every notebook and job of Databricks has one), else a new one on this machine.

    Raises:
        MissingExtra: pyspark is not installed.
        S140Error: Spark does not start, for example without Java.
    """
    try:
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError:
        raise MissingExtra("Reading a Spark table", "spark") from None
    active = SparkSession.getActiveSession()
    if active is not None:
        return active
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # else workers would take the first python3 of the PATH
    # Every failure is an exception here; the log would only print Java's stack before the error message.
    settings = {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", "spark.log.level": "FATAL"}
    settings["spark.executorEnv.PYTHONSAFEPATH"] = "1"  # else workers import modules of the current folder
    try:
        return SparkSession.builder.config(map=settings).getOrCreate()
    except PySparkException as error:
        raise S140Error(
            f"Spark cannot start: {first_line(error)}.", "It needs Java 17 or newer: install it, or set JAVA_HOME."
        ) from None


def open_table(name: str) -> DataFrame:
    """Look up a table, without reading it; with or without ``table:`` before its name.

    Raises:
        DataError: No table has that name, or it may not be read.
    """
    plain = name.removeprefix(PREFIX)
    if not exists(plain):
        raise _no_table(plain)
    with explain_refusals(plain):
        frame = get_session().table(plain)
        _ = frame.columns  # with Spark Connect the table is looked up only now
        return frame


def exists(name: str) -> bool:
    """Return True if the catalog has such a table; files, which Spark also reads as ``csv.name``, are none.

    Raises:
        DataError: It is not the name of a table.
    """
    if not name or "/" in name or ".." in name:
        raise DataError(
            f"{name!r} is not a table name.",
            "Use the form catalog.schema.table; give files and folders by their path, without table:.",
        )
    session = get_session()
    with explain_refusals(name):
        return bool(session.catalog.tableExists(name))


def is_read_by(frame: DataFrame, name: str) -> bool:
    """Return True if a table is what a frame reads, by another spelling of its name or through a view."""
    return bool({*frame.inputFiles()} & {*get_session().table(name).inputFiles()})


def is_same(one: str, other: str) -> bool:
    """Return True if two names of existing tables are of the same."""
    first, second = (get_session().catalog.getTable(name) for name in (one, other))
    return (first.catalog, first.namespace, first.name) == (second.catalog, second.namespace, second.name)


def _no_table(name: str) -> DataError:
    here = get_session().catalog.currentCatalog()
    return DataError(
        f"There is no table {name} (the current catalog is {here}).",
        "Use the form catalog.schema.table; a table that you have no access to looks missing, too.",
    )


@contextmanager
def explain_refusals(name: str) -> Iterator[None]:
    """Turn Spark's refusals of a table into a DataError that names it."""
    from pyspark.errors import AnalysisException, ParseException

    try:
        yield
    except AnalysisException as error:
        if error.getCondition() == "TABLE_OR_VIEW_NOT_FOUND":
            raise _no_table(name) from None
        if isinstance(error, ParseException):
            raise DataError(
                f"{name!r} is not a table name.",
                "Use the form catalog.schema.table, with `backticks` around unusual parts.",
            ) from None
        raise DataError(
            f"Spark refused the table {name}: {first_line(error)}.", "Check your right to read and write it."
        ) from None


def read_table(name: str, data: DataConfig) -> Any:
    """Read the labeled tweets of a table.

    A table has no order, so the rows are sorted: the same content gives the same splits and fingerprint.

    Args:
        name: ``table:catalog.schema.name``.
        data: Names of its columns, if they are not obvious.

    Returns:
        A ``datasets.Dataset`` in memory with the columns of text and label, and those of user, date and topic if
        there are such; all strings, without any other column.

    Raises:
        DataError: There is no such table or column.
    """
    from datasets import Dataset
    from datasets.table import InMemoryTable

    copies = os.environ.get(COPIES)
    table = pq.read_table(_copy_path(Path(copies), name)) if copies else _collect(name, data)
    return Dataset(InMemoryTable(table))


def copy_table(name: str, data: DataConfig, folder: Path) -> None:
    """Write the rows of :func:`read_table` into ``folder``, for processes that have it in ``S140_TABLES``."""
    pq.write_table(_collect(name, data), _copy_path(folder, name))


def _copy_path(folder: Path, name: str) -> Path:
    return folder / f"{quote(name, safe='')}.parquet"


def _collect(name: str, data: DataConfig) -> pa.Table:
    frame = open_table(name)
    positions = find_columns(frame.columns, data, name)
    names = list(dict.fromkeys(frame.columns[at] for at in positions if at is not None))
    columns = [read_text(column).alias(column) for column in names]
    with explain_refusals(name):
        table = frame.select(*columns).toArrow()
    table = table.cast(pa.schema([(column, pa.string()) for column in names]))
    return table.sort_by([(column, "ascending") for column in names])


def read_text(column: str) -> Column:
    """Return a column as text; bytes that are no UTF-8 become U+FFFD."""
    from pyspark.sql import functions

    return functions.make_valid_utf8(functions.col(quote_column(column)).cast("string"))


def quote_column(column: str) -> str:
    """Return a column's name as Spark takes it, whatever characters it has."""
    return f"`{column.replace('`', '``')}`"
