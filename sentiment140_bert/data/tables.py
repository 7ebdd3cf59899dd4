"""Tables of a catalog, as Spark knows them: labelled tweets out of one, in an order that only their content decides."""

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
    from pyspark.sql import DataFrame, SparkSession

PREFIX = "table:"
# A folder with copies of tables, for processes that have no Spark session of their own.
COPIES = "S140_TABLES"


def is_table(name: str) -> bool:
    """Whether a dataset's name is that of a table: ``table:catalog.schema.name``."""
    return name.startswith(PREFIX)


def session() -> SparkSession:
    """The Spark session that is there (as in every notebook and job of Databricks), else a new one on this machine.

    Raises:
        MissingExtra: pyspark is not installed.
        S140Error: Spark does not start, for example without Java.
    """
    try:
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError:
        raise MissingExtra("A table of Spark", "spark") from None
    active = SparkSession.getActiveSession()
    if active is not None:
        return active
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # else workers would take the first python3 of the PATH
    # Whatever fails reaches us as an exception; the log would only print Java's stack before our sentence.
    quiet = {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", "spark.log.level": "FATAL"}
    try:
        return SparkSession.builder.config(map=quiet).getOrCreate()
    except PySparkException as error:
        raise S140Error(
            f"Spark does not start: {first_line(error)}.", "It needs Java 17 or newer: set JAVA_HOME, or install one."
        ) from None


def frame(name: str) -> DataFrame:
    """A table, not yet read; with or without ``table:`` before its name.

    Raises:
        DataError: There is none of that name, or it may not be read.
    """
    plain = name.removeprefix(PREFIX)
    if not plain or "/" in plain:
        raise DataError(
            f"{plain!r} is no name of a table.",
            "Name one as catalog.schema.table; files and folders are named by their path, without table:.",
        )
    spark = session()
    with refusals_explained(plain):
        found = spark.table(plain)
        _ = found.columns  # with Spark Connect the table is looked up only now
        return found


@contextmanager
def refusals_explained(name: str) -> Iterator[None]:
    """Turns Spark's refusals of a table into a DataError that names it."""
    from pyspark.errors import AnalysisException, ParseException

    try:
        yield
    except AnalysisException as error:
        if error.getCondition() == "TABLE_OR_VIEW_NOT_FOUND":
            here = session().catalog.currentCatalog()
            raise DataError(
                f"There is no table {name} (the current catalog is {here}).",
                "Name it as catalog.schema.table; a table that you may not see looks as if it were not there.",
            ) from None
        if isinstance(error, ParseException):
            raise DataError(
                f"{name!r} is no name of a table.", "Write catalog.schema.table; put `backticks` around unusual parts."
            ) from None
        raise DataError(f"Spark refuses the table {name}: {first_line(error)}.", "May you read and write it?") from None


def read(name: str, data: DataConfig) -> Any:
    """The labelled tweets of a table.

    A table has no order of its own, so the rows are sorted: the same content gives the same splits and fingerprint.

    Args:
        name: As in ``table:catalog.schema.name``.
        data: Its columns, where they are not obvious.

    Returns:
        A ``datasets.Dataset`` in memory with the columns of text and label, and of user, date and topic where there
        are such; all strings, every other column is left where it is.

    Raises:
        DataError: There is no such table or column.
    """
    from datasets import Dataset
    from datasets.table import InMemoryTable

    copies = os.environ.get(COPIES)
    table = pq.read_table(_copy_in(Path(copies), name)) if copies else _collected(name, data)
    return Dataset(InMemoryTable(table))


def copy(name: str, data: DataConfig, folder: Path) -> None:
    """Writes what :func:`read` would give into ``folder``, where it is found by whoever has that in ``S140_TABLES``."""
    pq.write_table(_collected(name, data), _copy_in(folder, name))


def _copy_in(folder: Path, name: str) -> Path:
    return folder / f"{quote(name, safe='')}.parquet"


def _collected(name: str, data: DataConfig) -> pa.Table:
    found = frame(name)
    from pyspark.sql import functions

    positions = find_columns(found.columns, data, name)
    wanted = list(dict.fromkeys(found.columns[at] for at in positions if at is not None))
    columns = [functions.col(quoted(column)).cast("string").alias(column) for column in wanted]
    with refusals_explained(name):
        table = found.select(*columns).toArrow()
    table = table.cast(pa.schema([(column, pa.string()) for column in wanted]))
    return table.sort_by([(column, "ascending") for column in wanted])


def quoted(column: str) -> str:
    """A column's name as Spark takes it, whatever signs are in it."""
    return f"`{column.replace('`', '``')}`"
