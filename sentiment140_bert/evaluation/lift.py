"""By how much a model is better than answers that cost nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sentiment140_bert.evaluation import comparison
from sentiment140_bert.evaluation.answers import Answers


@dataclass(frozen=True)
class Baselines:
    """Answers that cost nothing, beside which a score means something.

    Args:
        majority: Share of positive among the training tweets: the commoner class is the constant answer.
        tfidf: From texts to P(positive), trained on the same tweets as the model; None where these are not at hand.
    """

    majority: float
    tfidf: Callable[[Sequence[str]], npt.NDArray[np.float64]] | None = None

    def beside(self, answers: Answers) -> dict[str, Any]:
        """``accuracy`` of each baseline, and ``lift``: by how much the model is better, with its interval."""
        constant = np.full(len(answers.truth), self.majority)
        found = {"majority": _lift(answers, constant)}
        if self.tfidf:
            found["tfidf"] = _lift(answers, self.tfidf(answers.texts))
        return found


def _lift(answers: Answers, positive: npt.NDArray[np.float64]) -> dict[str, Any]:
    theirs = (positive >= 0.5) == (answers.truth == 1)
    both = comparison.compared(answers.right, theirs, answers.truth)
    return {"accuracy": both["second"], "lift": both["difference"], "p_value": both["p_value"]}
