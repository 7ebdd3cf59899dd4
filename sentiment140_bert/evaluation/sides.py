"""Which of a classifier's labels is negative and which positive, whatever they are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sentiment140_bert.errors import ModelError

NEGATIVE_NAMES = {"negative", "neg", "0", "-1"}
POSITIVE_NAMES = {"positive", "pos", "4", "1"}
# A model that was saved without names: two labels in the order of this corpus, three in that of TweetEval.
UNNAMED = {2: (0, 1), 3: (0, 2)}


@dataclass(frozen=True)
class Sides:
    """Positions of negative and positive among a model's labels; ``assumed`` says so where the names do not tell."""

    negative: int
    positive: int
    assumed: str = ""

    def positive_share(self, probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """P(positive | not neutral) for rows of shape (n, labels)."""
        negative = probabilities[:, self.negative].astype(np.float64)
        positive = probabilities[:, self.positive].astype(np.float64)
        return positive / np.maximum(negative + positive, np.finfo(np.float64).tiny)


def sides_of(labels: Sequence[str]) -> Sides:
    """Finds negative and positive among a model's label names.

    Raises:
        ModelError: It has neither two nor three labels, or their names do not tell.
    """
    lower = [label.strip().lower() for label in labels]
    if len(labels) not in UNNAMED:
        raise ModelError(
            f"The model has {len(labels)} labels ({', '.join(labels)}); a sentiment classifier has two or three.",
            "Name a classifier with negative and positive (and perhaps neutral).",
        )
    if all(label.startswith("label_") for label in lower):
        negative, positive = UNNAMED[len(labels)]
        return Sides(
            negative,
            positive,
            f"labels have no names: {labels[negative]} read as negative, {labels[positive]} as positive",
        )
    negatives = [at for at, label in enumerate(lower) if label in NEGATIVE_NAMES]
    positives = [at for at, label in enumerate(lower) if label in POSITIVE_NAMES]
    if len(negatives) != 1 or len(positives) != 1:
        raise ModelError(
            f"The labels {', '.join(labels)} do not say which is negative and which is positive.",
            "Rename them in the model's config.json (id2label).",
        )
    return Sides(negatives[0], positives[0])
