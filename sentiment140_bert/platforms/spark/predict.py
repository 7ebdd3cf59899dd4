"""``s140 spark predict``: a label and a score for every row of a table."""

from __future__ import annotations

import hashlib
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typing_extensions import TypedDict

from sentiment140_bert.errors import DataError, ModelError, S140Error
from sentiment140_bert.files import Place, hash_file, to_name
from sentiment140_bert.inference.predict import load_classifier
from sentiment140_bert.platforms.spark.processes import pack_error
from sentiment140_bert.recipe import DataConfig

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

COLUMNS = ("label", "score")
# From a model folder to a function that gives (label, score) for each text, in order.
Loader = Callable[[str], Callable[[Iterable[str]], Iterable[tuple[str, float | None]]]]


def send_model(session: SparkSession, folder: Path) -> str:
    """Send a model folder to every worker, once a session, and return its name there.

    The driver may have it from anywhere, and no worker needs a login or the network.
    """
    from pyspark.errors import PySparkException

    files = sorted(file for file in folder.iterdir() if file.is_file())
    content = "".join(f"{file.name} {hash_file(file)}\n" for file in files)
    name = f"s140-{hashlib.sha256(content.encode()).hexdigest()[:16]}.zip"
    path = Path(_make_outbox().name) / name
    if not path.is_file():
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for file in files:
                archive.write(file, file.name)
    try:
        session.addArtifacts(str(path), archive=True)
    except PySparkException as error:
        if error.getCondition() != "DUPLICATED_ARTIFACT":  # this very content was sent before: that is its name
            raise
    return name


@lru_cache(maxsize=1)
def _make_outbox() -> tempfile.TemporaryDirectory[str]:
    """Make the folder that workers fetch models from; it lasts as long as this process, for they may do so late."""
    return tempfile.TemporaryDirectory(prefix="s140-models-")


def make_column(name: str, texts: Column, load: Loader) -> Column:
    """Return a column of structs ``label`` (string) and ``score`` (double) for a column of texts (null is empty).

    Args:
        name: Result of :func:`send_model`.
        texts: Strings.
        load: Importable by name on the workers; called once in each of their Python processes.
    """
    import pandas as pd
    from pyspark.sql import functions

    def predict_batches(batches: Iterator[pd.Series[str]]) -> Iterator[pd.DataFrame]:
        try:
            predict = _load_once(name, load)
            for batch in batches:
                texts = [text if isinstance(text, str) else "" for text in batch]
                yield pd.DataFrame(predict(texts), columns=list(COLUMNS))
        except S140Error as error:
            raise RuntimeError(pack_error(error)) from None

    predict_batches.__annotations__ = {"batches": Iterator[pd.Series], "return": Iterator[pd.DataFrame]}
    # Not deterministic for the optimizer: else each field of the struct might predict all rows again.
    udf = functions.pandas_udf(predict_batches, "label string, score double").asNondeterministic()
    return udf(texts)


@lru_cache(maxsize=1)
def _load_once(name: str, load: Loader) -> Callable[[Iterable[str]], Iterable[tuple[str, float | None]]]:
    _choose_gpu()
    return load(str(_find_model(name)))


def _find_model(name: str) -> Path:
    from pyspark import SparkFiles

    for home in (Path(SparkFiles.getRootDirectory()), Path()):
        if (home / name).is_dir():
            return home / name
    raise ModelError(
        f"The model did not arrive on a worker: there is no {name}.",
        "Workers get it through Spark's addArtifacts, which needs Spark 4.",
    )


def _choose_gpu() -> None:
    """Use the GPU that Spark gives to this task; by default all tasks would use the first one."""
    import torch
    from pyspark import TaskContext

    context = TaskContext.get()
    resources: dict[str, Any] = context.resources() if context else {}
    if "gpu" in resources and torch.cuda.device_count() > 1:
        torch.cuda.set_device(int(resources["gpu"].addresses[0]))


class ScoredTable(TypedDict):
    """The tables, the number of rows, and that of each label."""

    model: str
    input_table: str
    output_table: str
    count: int
    labels: dict[str, int]


def spark_predict(
    model: Place,
    input_table: str,
    output_table: str,
    *,
    text_column: str | None = None,
    revision: str | None = None,
    prefix: str = "",
    overwrite: bool = False,
) -> ScoredTable:
    """Label every row of a table, and write all its columns with ``label`` and ``score`` as another table.

    Args:
        model: A run directory, a model folder, a Hub id, or ``models:/catalog.schema.name@alias``.
        input_table: ``catalog.schema.name``; it is streamed, never in one place.
        output_table: The same.
        text_column: Needed if it is not obvious.
        revision: Revision of a Hub model.
        prefix: Prefix of the names of the two new columns.
        overwrite: Replace the output table if there is one.

    Raises:
        S140Error: The model, the table or its text column are not available, or the output would replace something.
    """
    from sentiment140_bert.data import tables
    from sentiment140_bert.platforms.spark.processes import explain_errors

    source, target = (name.removeprefix(tables.PREFIX) for name in (input_table, output_table))
    session = tables.get_session()
    frame = tables.open_table(source)
    if replaces := tables.exists(target):
        with tables.explain_refusals(target):
            if tables.is_same(source, target) or tables.is_read_by(frame, target):
                raise DataError(f"{target} is the input table.", "Name another one with --output-table.")
        if not overwrite:
            raise DataError(f"Table {target} already exists.", "Name another one, or pass --overwrite.")
    scored = with_predictions(frame, model, text_column=text_column, revision=revision, prefix=prefix)
    with explain_errors(), tables.explain_refusals(target):
        if replaces:
            scored = scored.localCheckpoint()  # computed before the old table is removed
        scored.write.mode("overwrite" if overwrite else "errorifexists").saveAsTable(target)
        counted = session.table(target).groupBy(f"{prefix}label").count().collect()
    labels = {row[0]: row[1] for row in sorted(counted)}
    return {
        "model": to_name(model),
        "input_table": source,
        "output_table": target,
        "count": sum(labels.values()),
        "labels": labels,
    }


def with_predictions(
    frame: DataFrame, model: Place, *, text_column: str | None = None, revision: str | None = None, prefix: str = ""
) -> DataFrame:
    """Return a Spark DataFrame with ``label`` and ``score``, the columns of :func:`predict`, after all of its own.

    Args and errors are those of :func:`spark_predict`. Nothing is computed before the frame is used.
    """
    from sentiment140_bert import models
    from sentiment140_bert.data import tables
    from sentiment140_bert.data.columns import find_columns

    data = DataConfig(text_column=text_column)
    column = frame.columns[find_columns(frame.columns, data, "the table", labelled=False).text]
    names = [prefix + name for name in COLUMNS]
    if taken := {name.lower() for name in names} & {name.lower() for name in frame.columns}:
        raise DataError(
            f"The table already has a column {' and a column '.join(sorted(taken))}.",
            "Name the new columns with --prefix, as in --prefix predicted_.",
        )
    from pyspark.sql import functions

    classifier = load_classifier(model, revision)  # raises its errors before a worker starts
    with tempfile.TemporaryDirectory(prefix="s140-") as place, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
        folder = Path(place) / "model"
        models.save_model(classifier.model.cpu(), classifier.tokenizer, folder)
        sent = send_model(tables.get_session(), folder)
        predictions = make_column(sent, tables.read_text(column), _load_predictor)
    fields = [functions.col(f"`s140 prediction`.{name}").alias(new) for name, new in zip(COLUMNS, names, strict=True)]
    own = [functions.col(tables.quote_column(name)) for name in frame.columns]
    return frame.withColumn("s140 prediction", predictions).select(*own, *fields)


def _load_predictor(folder: str) -> Callable[[Iterable[str]], Iterable[tuple[str, float | None]]]:
    """Load the model on a worker."""
    return load_classifier(folder).predict
