"""What a model answered on labelled tweets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sentiment140_bert.models.labels import NEUTRAL, LabelMapping


@dataclass(frozen=True)
class Answers:
    """What a model answered on the tweets of one split.

    Args:
        texts: As a stranger would hand them in.
        truth: 0, 1, or 2 for neutral, shape (n,).
        positive: P(positive | not neutral), shape (n,).
        neutral: Whether the model itself says neutral, shape (n,); None of a model that cannot.
        topics: The query by which each tweet was found, where that is known.
        shown: The texts as a person reads them, where that is not how they were handed in.
    """

    texts: Sequence[str]
    truth: npt.NDArray[np.int64]
    positive: npt.NDArray[np.float64]
    neutral: npt.NDArray[np.bool_] | None = None
    topics: Sequence[str | None] | None = None
    shown: Sequence[str] | None = None

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """Whether the likelier of negative and positive is the label; False where that is neutral."""
        return np.asarray(((self.positive >= 0.5) == (self.truth == 1)) & (self.truth != NEUTRAL))

    def binary(self) -> Answers:
        """Without the neutral tweets."""
        return self.only(self.truth != NEUTRAL)

    def only(self, kept: npt.NDArray[np.bool_]) -> Answers:
        """Some of them."""
        chosen = np.flatnonzero(kept).tolist()
        return Answers(
            [self.texts[at] for at in chosen],
            self.truth[kept],
            self.positive[kept],
            None if self.neutral is None else self.neutral[kept],
            None if self.topics is None else [self.topics[at] for at in chosen],
            None if self.shown is None else [self.shown[at] for at in chosen],
        )


Scorer = Callable[[Sequence[str]], npt.NDArray[np.float32]]


def asked(
    texts: Sequence[str],
    truth: npt.NDArray[np.int64],
    score: Scorer,
    mapping: LabelMapping,
    topics: Sequence[str | None] | None = None,
    shown: Sequence[str] | None = None,
) -> Answers:
    """Ask a model.

    Args:
        texts: Tweets.
        truth: 0, 1, or 2 for neutral.
        score: From texts to probabilities of all labels, shape (n, labels).
        mapping: What its labels mean.
        topics: See :class:`Answers`.
        shown: Likewise.
    """
    probabilities = score(texts)
    neutral = mapping.says_neutral(probabilities)
    return Answers(texts, truth, mapping.positive_share(probabilities), neutral, topics, shown)
