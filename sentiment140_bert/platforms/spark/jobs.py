"""``s140 spark``: training in several processes of a cluster, and scoring of a whole table."""

from __future__ import annotations

import logging
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment140_bert import tracking
from sentiment140_bert.errors import DataError
from sentiment140_bert.inference import answering
from sentiment140_bert.recipe import Recipe, parse
from sentiment140_bert.settings import DataConfig
from sentiment140_bert.tracking import registry
from sentiment140_bert.training.run import train

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

log = logging.getLogger(__name__)


def spark_train(
    recipe: Recipe,
    output_dir: Path,
    *,
    num_processes: int,
    local_mode: bool = True,
    use_gpu: bool | None = None,
    **options: Any,
) -> dict[str, Any]:
    """:func:`train` in several processes at once, started by Spark's TorchDistributor.

    Args:
        recipe: As for one process; its batch size is that of each.
        output_dir: The run directory; on several machines a path that all of them have, such as /Volumes/….
        num_processes: In all.
        local_mode: On the driver's machine; else on the cluster's workers.
        use_gpu: One GPU to each process; None: where Spark has GPUs.
        options: Further ones of :func:`train`.

    Returns:
        What :func:`train` returns in the main process.

    Raises:
        S140Error: As :func:`train`, in whichever process.
    """
    from sentiment140_bert.data import tables
    from sentiment140_bert.platforms.spark import processes

    session = tables.session()
    gpu = processes.has_gpus(session, local_mode) if use_gpu is None else use_gpu
    where = "on this machine" if local_mode else "on the workers"
    log.info("processes: %d %s, %s", num_processes, where, "a GPU each" if gpu else "without GPU")
    if not local_mode:
        recipe, output_dir = _findable(recipe), output_dir.absolute()
    tracked = "mlflow" in tracking.chosen(recipe.training.report_to)
    with _table_copies(recipe, output_dir, local_mode) as environment:
        result: dict[str, Any] = processes.run(
            _train_in_process,
            [recipe.to_dict(), output_dir, options],
            num_processes=num_processes,
            local_mode=local_mode,
            use_gpu=gpu,
            environment=environment | (registry.login() if tracked else {}),
        )
    return result


def _train_in_process(recipe: dict[str, Any], output_dir: Path, options: dict[str, Any]) -> dict[str, Any]:
    """In each of the processes."""
    import datasets
    import transformers

    datasets.disable_progress_bars()
    transformers.logging.disable_progress_bar()
    logger = logging.getLogger("sentiment140_bert")
    logger.handlers, logger.propagate = [logging.StreamHandler(sys.stderr)], False
    logger.setLevel(logging.INFO)
    return train(parse(recipe), output_dir, **options)


def _findable(recipe: Recipe) -> Recipe:
    """Paths of files made absolute: a worker's current folder is another one."""
    names = {"model_name_or_path": recipe.model.model_name_or_path}
    names |= {"dataset": recipe.data.dataset, "manual_test": recipe.data.manual_test or ""}
    here = {key: str(Path(name).absolute()) for key, name in names.items() if name and Path(name).exists()}
    return recipe.with_values(here)


@contextmanager
def _table_copies(recipe: Recipe, output_dir: Path, local_mode: bool) -> Iterator[dict[str, str]]:
    """The recipe's tables as files that the processes can read, as long as they run: none of them has a session."""
    from sentiment140_bert.data import tables

    data = recipe.data
    named = [(data.dataset, data), (data.manual_test or "", DataConfig())]
    wanted = [(name, layout) for name, layout in named if tables.is_table(name)]
    if not wanted:
        yield {}
        return
    home = None if local_mode else output_dir.parent  # on several machines: where all of them find the run as well
    if home:
        home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".s140-tables-", dir=home) as folder:
        for name, layout in wanted:
            tables.copy(name, layout, Path(folder))
        yield {tables.COPIES: folder}


def spark_predict(
    model: str,
    input_table: str,
    output_table: str,
    *,
    text_column: str | None = None,
    revision: str | None = None,
    prefix: str = "",
    overwrite: bool = False,
) -> dict[str, Any]:
    """Labels every row of a table, and writes all its columns with ``label`` and ``score`` as another table.

    Args:
        model: A run directory, a model folder, a Hub id, or ``models:/catalog.schema.name@alias``.
        input_table: ``catalog.schema.name``; it is streamed, never held in one place.
        output_table: Likewise.
        text_column: Where it is not obvious.
        revision: Of a Hub model.
        prefix: Put before the names of the two new columns.
        overwrite: Replace the output table if there is one.

    Returns:
        ``model``, ``input_table``, ``output_table``, ``count`` and ``labels`` (rows of each label).

    Raises:
        DataError: There is no such table or text column, or the output would replace something.
        ModelError: The model cannot be loaded.
    """
    from sentiment140_bert.data import tables
    from sentiment140_bert.platforms.spark.errors import told

    source, target = (name.removeprefix(tables.PREFIX) for name in (input_table, output_table))
    session = tables.session()
    frame = tables.frame(source)
    if source.lower() == target.lower():
        raise DataError(f"{target} is the table that is read.", "Name another one with --output-table.")
    with tables.refusals_explained(target):
        taken = session.catalog.tableExists(target)
    if taken and not overwrite:
        raise DataError(f"There is a table {target} already.", "Name another one, or pass --overwrite.")
    scored = with_predictions(frame, model, text_column=text_column, revision=revision, prefix=prefix)
    with told(), tables.refusals_explained(target):
        scored.write.mode("overwrite" if overwrite else "errorifexists").saveAsTable(target)
        counted = session.table(target).groupBy(f"{prefix}label").count().collect()
    labels = {row[0]: row[1] for row in sorted(counted)}
    return {
        "model": model,
        "input_table": source,
        "output_table": target,
        "count": sum(labels.values()),
        "labels": labels,
    }


def with_predictions(
    frame: DataFrame, model: str, *, text_column: str | None = None, revision: str | None = None, prefix: str = ""
) -> DataFrame:
    """A Spark DataFrame with the columns ``label`` and ``score``, those of :func:`predict`, after all of its own.

    Args and errors are those of :func:`spark_predict`. Nothing is computed before the frame is used.
    """
    from sentiment140_bert import models
    from sentiment140_bert.data import tables
    from sentiment140_bert.data.columns import find_columns
    from sentiment140_bert.platforms.spark import answers

    data = DataConfig(text_column=text_column)
    column = frame.columns[find_columns(frame.columns, data, "the table", labelled=False).text]
    names = [prefix + name for name in answers.COLUMNS]
    if taken := {each.lower() for each in names} & {each.lower() for each in frame.columns}:
        raise DataError(
            f"The table has a column {' and a column '.join(sorted(taken))} already.",
            "Name the new ones with --prefix, as in --prefix predicted_.",
        )
    from pyspark.sql import functions

    classifier = answering.load_classifier(model, revision)  # says here what is wrong with it, before a worker starts
    with tempfile.TemporaryDirectory(prefix="s140-") as place, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
        folder = Path(place) / "model"
        models.save(classifier.model.cpu(), classifier.tokenizer, folder)
        shipped = answers.ship(tables.session(), folder)
        made = answers.column(shipped, functions.col(tables.quoted(column)).cast("string"), _answers_of)
    fields = [
        functions.col(f"`s140 answer`.{name}").alias(new) for name, new in zip(answers.COLUMNS, names, strict=True)
    ]
    own = [functions.col(tables.quoted(each)) for each in frame.columns]
    return frame.withColumn("s140 answer", made).select(*own, *fields)


def _answers_of(folder: str) -> Callable[[Iterable[str]], Iterable[tuple[str, float]]]:
    """On a worker."""
    return answering.load_classifier(folder).predict
