"""How an error's sentence comes back from another process: as a line of JSON inside whatever Spark makes of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

from sentiment140_bert.errors import HardwareError, S140Error

MARK = "s140 says: "


def packed(error: S140Error) -> str:
    """An error as a line of text."""
    said = {"message": error.message, "hint": error.hint, "exit_code": error.exit_code}
    return MARK + json.dumps(said)  # ASCII only, so that no layer in between changes it


def unpacked(text: str) -> S140Error | None:
    """The error in a text that :func:`packed` is part of; None if there is none."""
    found = re.search(re.escape(MARK) + r"(\{.*\})", text)
    if not found:
        return None
    said = json.loads(found[1])
    error = S140Error(said["message"], said["hint"])
    error.exit_code = said["exit_code"]
    return error


@contextmanager
def told() -> Iterator[None]:
    """Raises the sentence of a process of Spark's in place of Spark's own error around it.

    Raises:
        S140Error: As the other process raised it.
        HardwareError: More processes were asked for than the cluster can run at once.
    """
    from py4j.protocol import Py4JJavaError
    from pyspark.errors import PySparkException

    try:
        yield
    except (RuntimeError, PySparkException, Py4JJavaError) as error:
        text = str(error)
        if said := unpacked(text):
            raise said from None
        if "SPARK-24819" in text:  # a barrier stage needs all of its tasks at once
            raise HardwareError(
                "The cluster cannot run that many processes at once.",
                "Lower --num-processes, or give the cluster more workers; a GPU runs one process.",
            ) from None
        raise
