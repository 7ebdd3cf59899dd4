"""Which labels are most likely wrong: confident learning on probabilities that were given out of sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sentiment140_bert.errors import DataError, MissingExtra

Indices = npt.NDArray[np.int64]
BOTH = 2  # stratum of a text that carries both labels


@dataclass(frozen=True)
class Noise:
    """What the probabilities say against the labels.

    Args:
        suspects: Rows whose label is confidently contradicted, the worst first.
        quality: P(given label) of each row, shape (n,).
        rates: For the rows labelled negative and those labelled positive the estimated share whose label is wrong.
    """

    suspects: Indices
    quality: npt.NDArray[np.float64]
    rates: tuple[float, float]


def folds(priorities: npt.NDArray[np.uint64], labels: npt.NDArray[np.int64], count: int) -> Indices:
    """The fold of each row, 0 to ``count`` - 1, stratified by label; rows of one text are in the same.

    Args:
        priorities: The number of each row's text, the same for equal texts, in whose order texts are dealt out.
        labels: 0 or 1 of each row.
        count: At least 2.

    Raises:
        DataError: There are fewer texts of a label than folds.
    """
    texts, text = np.unique(priorities, return_inverse=True)
    positive, total = np.bincount(text, labels), np.bincount(text)
    stratum = np.where(positive == 0, 0, np.where(positive == total, 1, BOTH))
    fold = np.empty(len(texts), dtype=np.int64)
    for each in range(BOTH + 1):
        members = np.flatnonzero(stratum == each)
        if each != BOTH and len(members) < count:
            raise DataError(
                f"{count} folds need {count} texts or more of each label; one label has {len(members)}.",
                "Lower --folds.",
            )
        fold[members] = np.arange(len(members)) % count
    return fold[text]


def find(labels: npt.NDArray[np.int64], positive: npt.NDArray[np.float64]) -> Noise:
    """Finds the labels that are contradicted, by confident learning (Northcutt, Jiang and Chuang 2021).

    A row is suspect where the other label's probability is above that label's own average (over the rows that carry
    it) and is the higher one: the off-diagonal of the confident joint. They are ranked by the probability of their
    given label. ``rates`` come from the confident joint, calibrated to the counts of the labels; the weaker the
    answers, the more of their own mistakes these rates hold.

    Args:
        labels: 0 or 1, shape (n,); both occur.
        positive: P(positive) of each row by something that was not trained on it.

    Raises:
        MissingExtra: cleanlab is not installed.
    """
    try:
        from cleanlab import count, filter, rank
    except ImportError:
        raise MissingExtra("Looking for wrong labels", "noise") from None

    answers = np.column_stack([1 - positive, positive])
    # Of cleanlab's ways to choose this was the most precise: with 5% of 90,000 real tweets flipped, 26% of what it
    # chose were flipped ones and it found 58% of them; "prune_by_noise_rate", cleanlab's default: 21% and 69%.
    suspects = filter.find_label_issues(
        labels, answers, filter_by="confident_learning", return_indices_ranked_by="self_confidence", n_jobs=1
    )
    joint = count.estimate_joint(labels, answers)
    negative, positive_rate = (float(1 - joint[label, label] / joint[label].sum()) for label in (0, 1))
    quality = rank.get_label_quality_scores(labels, answers, method="self_confidence")
    return Noise(np.asarray(suspects, dtype=np.int64), np.asarray(quality), (negative, positive_rate))
