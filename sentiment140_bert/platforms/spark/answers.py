"""Answers for every row of a table: a pandas UDF over the text column alone, and the model's way to the workers."""

from __future__ import annotations

import hashlib
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment140_bert.errors import ModelError, S140Error
from sentiment140_bert.platforms.spark.errors import packed
from sentiment140_bert.run_dir import sha256_of

if TYPE_CHECKING:
    from pyspark.sql import Column, SparkSession

COLUMNS = ("label", "score")
# From a model folder to a function that gives (label, score) for each text, in order.
Loader = Callable[[str], Callable[[Iterable[str]], Iterable[tuple[str, float]]]]


def ship(session: SparkSession, folder: Path) -> str:
    """Sends a model folder to every worker, once a session, and returns the name it goes by there.

    So it does not matter where the driver has it from, and no worker needs a login or the network.
    """
    from pyspark.errors import PySparkException

    files = sorted(each for each in folder.iterdir() if each.is_file())
    content = "".join(f"{each.name} {sha256_of(each)}\n" for each in files)
    name = f"s140-{hashlib.sha256(content.encode()).hexdigest()[:16]}.zip"
    path = Path(_outbox().name) / name
    if not path.is_file():
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for each in files:
                archive.write(each, each.name)
    try:
        session.addArtifacts(str(path), archive=True)
    except PySparkException as error:
        if error.getCondition() != "DUPLICATED_ARTIFACT":  # this very content was sent before: that is its name
            raise
    return name


@lru_cache(maxsize=1)
def _outbox() -> tempfile.TemporaryDirectory[str]:
    """Workers fetch what lies in it when they first need it, so it lasts as long as this process."""
    return tempfile.TemporaryDirectory(prefix="s140-models-")


def column(name: str, texts: Column, load: Loader) -> Column:
    """A column of structs ``label`` (string) and ``score`` (double) for a column of texts (null counts as empty).

    Args:
        name: From :func:`ship`.
        texts: Strings.
        load: Importable by name on the workers; called once in each of their Python processes.
    """
    import pandas as pd
    from pyspark.sql import functions

    def answer(batches: Iterator[pd.Series[str]]) -> Iterator[pd.DataFrame]:
        try:
            answers = _loaded(name, load)
            for batch in batches:
                texts = [text if isinstance(text, str) else "" for text in batch]
                yield pd.DataFrame(answers(texts), columns=list(COLUMNS))
        except S140Error as error:
            raise RuntimeError(packed(error)) from None

    answer.__annotations__ = {"batches": Iterator[pd.Series], "return": Iterator[pd.DataFrame]}
    # Not deterministic for the optimizer: or each field of the struct might have all rows answered anew.
    udf = functions.pandas_udf(answer, "label string, score double").asNondeterministic()
    return udf(texts)


@lru_cache(maxsize=1)
def _loaded(name: str, load: Loader) -> Callable[[Iterable[str]], Iterable[tuple[str, float]]]:
    _own_gpu()
    return load(str(_arrived(name)))


def _arrived(name: str) -> Path:
    from pyspark import SparkFiles

    for home in (Path(SparkFiles.getRootDirectory()), Path()):
        if (home / name).is_dir():
            return home / name
    raise ModelError(
        f"The model did not arrive on a worker: there is no {name}.",
        "Workers get it through Spark's addArtifacts, which needs Spark 4.",
    )


def _own_gpu() -> None:
    """Where Spark gives each task a GPU, that one is used, and not the first by all."""
    import torch
    from pyspark import TaskContext

    context = TaskContext.get()
    given: dict[str, Any] = context.resources() if context else {}
    if "gpu" in given and torch.cuda.device_count() > 1:
        torch.cuda.set_device(int(given["gpu"].addresses[0]))
