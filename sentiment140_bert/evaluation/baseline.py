"""Baselines that a model has to beat: the majority class, and logistic regression on TF-IDF of words and pairs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sentiment140_bert.errors import DataError, RunError, first_line
from sentiment140_bert.evaluation import intervals
from sentiment140_bert.files import write_whole
from sentiment140_bert.models.labels import NEUTRAL

if TYPE_CHECKING:
    from sentiment140_bert.data.cache import Prepared
    from sentiment140_bert.evaluation.predictions import Predictions
    from sentiment140_bert.schemas.metrics import Baseline as BaselineScores

log = logging.getLogger(__name__)
FILE = "baseline.parquet"
FORMAT = 2  # raise it when the same tweets would give another baseline
# Words with their apostrophes. scikit-learn's own pattern makes "don" of "don't" and drops "i" and "u". Accuracy on
# 52,202 real tweets after training on 90,000: 0.7976, with scikit-learn's pattern 0.7961, with punctuation 0.7990.
WORD = r"\w+(?:['’]\w+)*"
# Terms of a single tweet help where there are few tweets (0.6192 against 0.6114 after 300), make no difference at
# 3,000, and harm where there are many (0.7941 against 0.7976 after 90,000).
MANY_TWEETS = 3_000
INTERCEPTS, VERSION = b"intercepts", b"format"
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Baseline:
    """A fitted baseline.

    Args:
        terms: Words and word pairs, sorted, shape (terms,).
        idf: Inverse document frequency of each, smoothed as scikit-learn does.
        coefficients: Coefficients of each word: one towards positive, or one towards each of three labels; shape
            (terms, 1) or (terms, 3).
        intercepts: The same of a text without any of them, shape (1,) or (3,).
    """

    terms: Sequence[str]
    idf: Floats
    coefficients: Floats
    intercepts: Floats

    @cached_property
    def _vectorizer(self) -> Any:
        vectorizer = _make_vectorizer(vocabulary=self.terms)
        vectorizer.idf_ = self.idf
        return vectorizer

    def probabilities(self, texts: Sequence[str]) -> Floats:
        """Return the probability of each label, shape (texts, 2) or (texts, 3)."""
        from scipy.special import expit, softmax

        if not len(texts):
            return np.empty((0, max(2, len(self.intercepts))))
        logits = np.asarray(self._vectorizer.transform(texts) @ self.coefficients + self.intercepts)
        if len(self.intercepts) > 1:
            return np.asarray(softmax(logits, axis=1))
        positive = expit(logits)
        return np.hstack([1 - positive, positive])

    def terms_in(self, texts: Sequence[str]) -> npt.NDArray[np.int64]:
        """Return the number of terms in each text, shape (texts,)."""
        return np.asarray(np.diff(self._vectorizer.transform(texts).indptr), dtype=np.int64)

    def save(self, path: Path) -> None:
        """Write a parquet file, whole or not at all.

        Raises:
            RunError: Nothing can be written there.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns = {f"coefficient_{at}": column for at, column in enumerate(self.coefficients.T)}
        table = pa.table({"term": pa.array(self.terms, pa.string()), "idf": self.idf, **columns})
        intercepts = " ".join(float(intercept).hex() for intercept in self.intercepts)
        table = table.replace_schema_metadata({INTERCEPTS: intercepts, VERSION: str(FORMAT)})
        with write_whole(path) as temporary:
            pq.write_table(table, temporary, write_page_checksum=True)


def fit_baseline(texts: Sequence[str], labels: npt.NDArray[np.int64]) -> Baseline:
    """Train the baseline; the same tweets give the same one on any number of cores.

    Args:
        texts: Prepared texts of the training split.
        labels: Label of each.

    Raises:
        DataError: There is one label only, or no word.
    """
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    if len(np.unique(labels)) < 2:
        raise DataError(
            f"The {len(texts):,} tweets to train the baseline on all have the same label.", "Use more tweets."
        )
    vectorizer = _make_vectorizer(min_df=1 if len(texts) < MANY_TWEETS else 2)
    try:
        matrix = vectorizer.fit_transform(texts)
    except ValueError as error:  # what scikit-learn says of an empty vocabulary
        raise DataError(
            f"The baseline finds no words to learn: {first_line(error)}.", "Are the texts tweets?"
        ) from None
    # newton-cg gets closest to the optimum in the shortest time, and draws no random numbers. Seconds for 90,000 and
    # 1,369,815 tweets (110,000 and 958,000 terms): newton-cg 0.3 and 17; lbfgs 0.6 and 10, but stops short of the
    # optimum; liblinear 1.3 and 53; saga 2.1. newton-cholesky would need the square of the terms in memory.
    # C=1, untuned: C=2 is 0.1 points better after 90,000 tweets and 0.1 points worse after 1,369,815.
    regression = LogisticRegression(C=1.0, solver="newton-cg", max_iter=1000)
    with threadpool_limits(1):  # sums of several threads differ in their last digits
        regression.fit(matrix, labels)
    terms = [str(term) for term in vectorizer.get_feature_names_out()]
    return Baseline(
        terms, np.asarray(vectorizer.idf_), np.asarray(regression.coef_.T), np.asarray(regression.intercept_)
    )


def load_baseline(path: Path) -> Baseline:
    """Load a baseline that :meth:`Baseline.save` wrote, bit for bit.

    Raises:
        DataError: The file is damaged, or of another version of this package.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, page_checksum_verification=True)
        metadata = table.schema.metadata or {}
        if metadata.get(VERSION) != str(FORMAT).encode():
            raise ValueError("it was made by another version")
        intercepts = np.array([float.fromhex(number) for number in metadata[INTERCEPTS].decode().split()])
        columns = [table[f"coefficient_{at}"].to_numpy() for at in range(len(intercepts))]
        return Baseline(table["term"].to_pylist(), table["idf"].to_numpy(), np.column_stack(columns), intercepts)
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise DataError(
            f"{path} is not a baseline: {first_line(error)}.", "Remove it; it is then fitted again."
        ) from None


def _make_vectorizer(**options: Any) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(token_pattern=WORD, ngram_range=(1, 2), sublinear_tf=True, **options)


def load_or_fit_baseline(prepared: Prepared) -> Baseline:
    """Load the baseline of prepared data from their folder; fit it to their training split if it is missing.

    Raises:
        DataError: The training split holds no words.
    """
    file = prepared.folder / FILE
    if file.is_file():
        try:
            return load_baseline(file)
        except DataError as error:
            log.warning("baseline: %s It is fitted again.", error.message)
    train = prepared.split("train")
    log.info("baseline: TF-IDF and logistic regression on %s tweets", f"{len(train):,}")
    baseline = fit_baseline(list(train["text"]), np.array(train["label"]))
    try:
        baseline.save(file)
    except (RunError, OSError) as error:  # a cache that cannot be written, or a full disk: it is only fitted again
        log.warning("baseline: not saved: %s", first_line(error))
    return baseline


# ---- compared with a model


@dataclass(frozen=True)
class Baselines:
    """The baselines of a model.

    Args:
        majority: Share of each label among the training tweets, shape (2,) or (3,), as its probability for any text.
        tfidf: Function from texts to the probabilities of the labels, shape (texts, 2) or (texts, 3), trained on the
            model's own tweets; None without these.
    """

    majority: Floats
    tfidf: Callable[[Sequence[str]], Floats] | None = None

    def compare(self, predictions: Predictions) -> dict[str, BaselineScores]:
        """Return the ``accuracy`` of each baseline, and the ``lift``, by which the model is better."""
        probabilities = {"majority": np.tile(self.majority, (len(predictions.truth), 1))}
        if self.tfidf:
            probabilities["tfidf"] = self.tfidf(predictions.texts)
        return {name: _measure_lift(predictions, shares) for name, shares in probabilities.items()}


def _measure_lift(predictions: Predictions, probabilities: Floats) -> BaselineScores:
    negative, positive, *others = probabilities.T
    labels = (positive >= negative).astype(np.int64)
    if others and predictions.has_three_labels:
        labels = np.where(others[0] > np.maximum(negative, positive), NEUTRAL, labels)
    correct = labels == predictions.truth
    comparison = intervals.compare_accuracy(predictions.correct, correct, predictions.truth)
    return {"accuracy": comparison["second"], "lift": comparison["difference"], "p_value": comparison["p_value"]}


def make_baselines(prepared: Prepared) -> Baselines:
    """Make the baselines of a model that was trained on these tweets."""
    labels = np.array(prepared.split("train")["label"])
    majority = np.bincount(labels) / len(labels)
    try:
        return Baselines(majority, partial(predict_raw, load_or_fit_baseline(prepared), prepared))
    except DataError as error:
        log.warning("baseline: %s", error.message)
        return Baselines(majority)


def predict_raw(baseline: Baseline, prepared: Prepared, texts: Sequence[str]) -> Floats:
    """Return the probabilities of the labels of texts that may be raw: they get the cleaning of the training split.

    Args:
        baseline: The baseline of ``prepared``.
        prepared: Names the cleaning of its texts, which changes nothing of a clean text.
        texts: Any.
    """
    import pyarrow as pa

    from sentiment140_bert.data import clean

    column = pa.chunked_array([pa.array(texts, pa.string())])
    cleaned, _ = clean.clean(column, prepared.report["settings"]["cleaning"])
    return baseline.probabilities(cleaned.to_pylist())
