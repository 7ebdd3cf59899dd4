"""What a classifier asks of the library that computes its logits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]


class Backend(Protocol):
    """A model that is loaded and waits for tokens."""

    @property
    def labels(self) -> Sequence[str]:
        """Names of the labels by position."""

    @property
    def tokens_per_batch(self) -> int:
        """How many tokens, padding included, it is best handed at once."""

    def logits(self, inputs: Mapping[str, Numbers]) -> npt.NDArray[np.float32]:
        """Logits of shape (rows, labels).

        Args:
            inputs: Matrices of shape (rows, tokens) by their names in transformers: ``input_ids``; ``attention_mask``
                where some of it is padding; ``token_type_ids`` where they are not all 0.
        """
