"""The baseline of prepared data: trained on exactly their training split, and kept beside them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from sentiment140_bert.errors import DataError, RunError, first_line

if TYPE_CHECKING:
    import numpy.typing as npt

    from sentiment140_bert.data.cache import Prepared
    from sentiment140_bert.evaluation.baseline import Baseline
    from sentiment140_bert.evaluation.lift import Baselines

log = logging.getLogger(__name__)
FILE = "baseline.parquet"


def baseline_of(prepared: Prepared) -> Baseline:
    """TF-IDF and logistic regression, fitted to the training split or found beside it.

    Raises:
        DataError: The training split holds no words.
    """
    from sentiment140_bert.evaluation import baseline

    file = prepared.folder / FILE
    if file.is_file():
        try:
            return baseline.load(file)
        except DataError as error:
            log.warning("baseline: %s It is made anew.", error.message)
    train = prepared.splits()["train"]
    log.info("baseline: TF-IDF and logistic regression on %s tweets", f"{len(train):,}")
    made = baseline.fit(list(train["text"]), np.array(train["label"]))
    try:
        made.save(file)
    except (RunError, OSError) as error:  # a cache that cannot be written, or a full disk: it is only made again
        log.warning("baseline: not kept: %s", first_line(error))
    return made


def positive_of(baseline: Baseline, prepared: Prepared, texts: Sequence[str]) -> npt.NDArray[np.float64]:
    """P(positive) of texts that may be raw: they are cleaned as the training split was.

    Args:
        baseline: Of ``prepared``.
        prepared: Says how its texts were cleaned; cleaning what is clean changes nothing.
        texts: Any.
    """
    import pyarrow as pa

    from sentiment140_bert.data import clean

    column = pa.chunked_array([pa.array(texts, pa.string())])
    cleaned, _ = clean.clean(column, prepared.report["settings"]["cleaning"])
    return baseline.positive(cleaned.to_pylist())


def of_training(prepared: Prepared) -> Baselines:
    """What a model trained on these tweets has to beat, ready to answer."""
    from sentiment140_bert.evaluation.baseline import majority
    from sentiment140_bert.evaluation.lift import Baselines

    share = majority(np.array(prepared.splits()["train"]["label"]))
    try:
        return Baselines(share, partial(positive_of, baseline_of(prepared), prepared))
    except DataError as error:
        log.warning("baseline: %s", error.message)
        return Baselines(share)
