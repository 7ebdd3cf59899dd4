"""The answer that a model has to beat: TF-IDF of words and word pairs, and a logistic regression on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sentiment140_bert.errors import DataError, first_line
from sentiment140_bert.run_dir import written_whole

FORMAT = 1  # raise it when the same tweets would give another baseline
# Words with their apostrophes. scikit-learn's own pattern makes "don" of "don't" and drops "i" and "u". Accuracy on
# 52,202 real tweets after training on 90,000: 0.7976, with scikit-learn's pattern 0.7961, with punctuation 0.7990.
WORD = r"\w+(?:['’]\w+)*"
# Terms of a single tweet help where there are few tweets (0.6192 against 0.6114 after 300), make no difference at
# 3,000, and harm where there are many (0.7941 against 0.7976 after 90,000).
MANY = 3_000
INTERCEPT, VERSION = b"intercept", b"format"


@dataclass(frozen=True)
class Baseline:
    """A fitted baseline.

    Args:
        terms: Words and word pairs, sorted, shape (terms,).
        idf: Inverse document frequency of each, smoothed as scikit-learn does.
        coefficients: Of each, towards positive.
        intercept: Log odds of a text without any of them.
    """

    terms: Sequence[str]
    idf: npt.NDArray[np.float64]
    coefficients: npt.NDArray[np.float64]
    intercept: float

    @cached_property
    def _vectorizer(self) -> Any:
        vectorizer = _tfidf(vocabulary=self.terms)
        vectorizer.idf_ = self.idf
        return vectorizer

    def positive(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """P(positive) of each text, shape (texts,)."""
        from scipy.special import expit

        if not len(texts):
            return np.empty(0)
        return np.asarray(expit(self._vectorizer.transform(texts) @ self.coefficients + self.intercept))

    def terms_in(self, texts: Sequence[str]) -> npt.NDArray[np.int64]:
        """How many of the terms each text holds, shape (texts,): what its answer rests on."""
        return np.asarray(np.diff(self._vectorizer.transform(texts).indptr), dtype=np.int64)

    def save(self, path: Path) -> None:
        """Writes a parquet file, whole or not at all.

        Raises:
            RunError: Nothing can be written there.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.table({"term": pa.array(self.terms, pa.string()), "idf": self.idf, "coefficient": self.coefficients})
        table = table.replace_schema_metadata({INTERCEPT: self.intercept.hex(), VERSION: str(FORMAT)})
        with written_whole(path) as temporary:
            pq.write_table(table, temporary, write_page_checksum=True)


def fit(texts: Sequence[str], labels: npt.NDArray[np.int64]) -> Baseline:
    """Trains the baseline; the same tweets give the same one on any number of cores.

    Args:
        texts: Of the training split, as they were prepared.
        labels: 0 or 1 of each.

    Raises:
        DataError: There is one label only, or no word.
    """
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    if len(np.unique(labels)) < 2:
        raise DataError(f"The {len(texts):,} tweets to train the baseline on have one label only.", "Take more tweets.")
    vectorizer = _tfidf(min_df=1 if len(texts) < MANY else 2)
    try:
        matrix = vectorizer.fit_transform(texts)
    except ValueError as error:  # what scikit-learn says of an empty vocabulary
        raise DataError(
            f"The baseline finds no words to learn: {first_line(error)}.", "Are the texts tweets?"
        ) from None
    # newton-cg comes nearest to the optimum in the shortest time, and draws no random numbers. Seconds for 90,000 and
    # 1,369,815 tweets (110,000 and 958,000 terms): newton-cg 0.3 and 17; lbfgs 0.6 and 10, but stops short of the
    # optimum; liblinear 1.3 and 53; saga 2.1. newton-cholesky would need the square of the terms in memory.
    # C=1, untuned: C=2 is 0.1 points better after 90,000 tweets and 0.1 points worse after 1,369,815.
    regression = LogisticRegression(C=1.0, solver="newton-cg", max_iter=1000)
    with threadpool_limits(1):  # sums of several threads differ in their last digits
        regression.fit(matrix, labels)
    terms = [str(term) for term in vectorizer.get_feature_names_out()]
    coefficients, (intercept,) = regression.coef_[0], regression.intercept_
    return Baseline(terms, np.asarray(vectorizer.idf_), np.asarray(coefficients), float(intercept))


def load(path: Path) -> Baseline:
    """Reads what :meth:`Baseline.save` wrote; it answers exactly as the saved one.

    Raises:
        DataError: The file is damaged, or of another version of this package.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, page_checksum_verification=True)
        about = table.schema.metadata or {}
        if about.get(VERSION) != str(FORMAT).encode():
            raise ValueError("it was made by another version")
        idf, coefficients = (table[name].to_numpy() for name in ("idf", "coefficient"))
        return Baseline(table["term"].to_pylist(), idf, coefficients, float.fromhex(about[INTERCEPT].decode()))
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise DataError(f"{path} is no baseline: {first_line(error)}.", "Remove it; it is made anew.") from None


def majority(labels: npt.NDArray[np.int64]) -> float:
    """The share of positive among the training labels: the constant answer, P(positive) of any text."""
    return float(np.mean(labels))


def _tfidf(**options: Any) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(token_pattern=WORD, ngram_range=(1, 2), sublinear_tf=True, **options)
