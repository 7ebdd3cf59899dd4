"""The predictions of a model on a split, and the file of a run that keeps them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sentiment140_bert.errors import RunError, first_line
from sentiment140_bert.files import write_whole
from sentiment140_bert.models.labels import LABEL_NAMES, NEUTRAL, map_labels
from sentiment140_bert.run import RunDir, suggest_remedy

if TYPE_CHECKING:
    import pyarrow as pa

    from sentiment140_bert.inference.classifier import Classifier

log = logging.getLogger(__name__)
COLUMNS = ("split", "text", "label", "positive", "topic")
Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Predictions:
    """The predictions of a model on the tweets of one split.

    Args:
        texts: Raw tweets.
        truth: 0, 1, or 2 for neutral, shape (n,).
        positive: P(positive | not neutral), shape (n,).
        neutral: P(neutral), shape (n,); None of a model without that label.
        topics: The query by which each tweet was found, if that is known.
        shown: The texts as a person reads them, if they differ from ``texts``.
    """

    texts: Sequence[str]
    truth: Labels
    positive: Floats
    neutral: Floats | None = None
    topics: Sequence[str | None] | None = None
    shown: Sequence[str] | None = None

    @property
    def has_three_labels(self) -> bool:
        """True if the model has a neutral label and some of the tweets are neutral."""
        return self.neutral is not None and bool((self.truth == NEUTRAL).any())

    @property
    def _shares(self) -> Floats:
        """P(negative), P(positive) and, where there are three labels, P(neutral); shape (labels, n)."""
        sides = np.stack([1 - self.positive, self.positive])
        if self.neutral is None or not self.has_three_labels:
            return sides
        return np.vstack([sides * (1 - self.neutral), self.neutral])

    @property
    def labels(self) -> Labels:
        """The likelier of negative and positive (at exactly one half positive), or the likeliest of three labels."""
        sides = (self.positive >= 0.5).astype(np.int64)
        return np.where(self._shares.argmax(axis=0) == NEUTRAL, NEUTRAL, sides)

    @property
    def confidence(self) -> Floats:
        """The probability of that label, shape (n,)."""
        return np.asarray(self._shares.max(axis=0))

    @property
    def correct(self) -> Flags:
        """True where that is the label of the tweet."""
        return np.asarray(self.labels == self.truth)

    def drop_neutral(self) -> Predictions:
        """Return those of tweets that are not neutral."""
        return self.select(self.truth != NEUTRAL)

    def select(self, rows: Flags) -> Predictions:
        """Return those where ``rows`` is True."""
        chosen = np.flatnonzero(rows).tolist()
        return Predictions(
            [self.texts[at] for at in chosen],
            self.truth[rows],
            self.positive[rows],
            None if self.neutral is None else self.neutral[rows],
            None if self.topics is None else [self.topics[at] for at in chosen],
            None if self.shown is None else [self.shown[at] for at in chosen],
        )


def predict_split(classifier: Classifier, table: pa.Table, name: str) -> Predictions:
    """Predict the labels of labeled tweets.

    Args:
        classifier: A sentiment classifier.
        table: Columns ``text`` and ``label``, perhaps ``topic``.
        name: Name of the split, for the log.
    """
    from sentiment140_bert.data import clean

    log.info("scoring %s: %s tweets", name, f"{len(table):,}")
    topics = table["topic"].to_pylist() if "topic" in table.column_names else None
    texts, truth = table["text"].to_pylist(), table["label"].to_numpy().astype("int64")
    shown = clean.clean(table["text"], "repair")[0].to_pylist()  # "&amp; " is not an emoticon
    probabilities, mapping = classifier.probabilities(texts), map_labels(classifier.labels)
    neutral = mapping.neutral_share(probabilities)
    return Predictions(texts, truth, mapping.positive_share(probabilities), neutral, topics, shown)


def write_predictions(run: RunDir, predictions: Mapping[str, Predictions]) -> None:
    """Write the predictions on each split to the run's ``predictions.parquet``."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts = [
        pa.table(
            {
                "split": pa.array([name] * len(some.truth), pa.string()),
                "text": pa.array(some.texts, pa.string()),
                "label": pa.array(some.truth, pa.int8()),
                "positive": pa.array(some.positive, pa.float64()),
                "topic": pa.array(some.topics or [None] * len(some.truth), pa.string()),
            }
            | ({} if some.neutral is None else {"neutral": pa.array(some.neutral, pa.float64())})
        )
        for name, some in predictions.items()
    ]
    with write_whole(run.predictions) as temporary:
        pq.write_table(pa.concat_tables(parts), temporary)


def read_predictions(run: RunDir) -> dict[str, Predictions]:
    """Read the predictions of a scored run, by split.

    Raises:
        RunError: The file is missing or damaged.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    from sentiment140_bert.data.files import read_parquet

    hint = suggest_remedy(run.predictions)
    if not run.predictions.is_file():
        raise RunError(f"{run.path} has no {run.predictions.name}.", hint)
    try:
        table = read_parquet(run.predictions)
        if missing := {*COLUMNS} - {*table.column_names}:
            raise ValueError(f"it has no column {min(missing)}")
        shares = [table[name].to_numpy() for name in ("positive", "neutral") if name in table.column_names]
        if not (
            set(table["label"].to_numpy()) <= LABEL_NAMES.keys() and all(((s >= 0) & (s <= 1)).all() for s in shares)
        ):
            raise ValueError("it holds a value that is not a label or a probability")
        return {
            split: _make_split(table.filter(pc.equal(table["split"], split)))
            for split in table["split"].unique().to_pylist()
        }
    except (pa.ArrowException, OSError, ValueError, TypeError) as error:
        raise RunError(f"{run.predictions} is damaged: {first_line(error)}.", hint) from None


def _make_split(rows: pa.Table) -> Predictions:
    return Predictions(
        rows["text"].to_pylist(),
        rows["label"].to_numpy().astype(np.int64),
        rows["positive"].to_numpy(),
        rows["neutral"].to_numpy() if "neutral" in rows.column_names else None,
        rows["topic"].to_pylist(),
    )
