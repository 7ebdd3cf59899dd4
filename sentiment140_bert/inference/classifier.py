"""Texts to labels and scores: in the input's order, in bounded memory, with the answers of ``pipeline``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from sentiment140_bert.errors import ModelError
from sentiment140_bert.inference.tokens import Numbers, Tokenization
from sentiment140_bert.progress import progress_bar

WINDOW = 4_096  # texts that are sorted by length together and held in memory at once
CPU_TOKENS = 1_024  # of a batch on a CPU, padding included; larger ones are no faster
NEUTRAL = "neutral"


class Backend(Protocol):
    """A loaded model, whatever library computes it."""

    @property
    def labels(self) -> Sequence[str]:
        """Names of the labels by position."""

    @property
    def tokens_per_batch(self) -> int:
        """The best size of a batch in tokens, padding included."""

    def logits(self, inputs: Mapping[str, Numbers]) -> npt.NDArray[np.float32]:
        """Compute logits of shape (rows, labels).

        Args:
            inputs: Matrices of shape (rows, tokens) by their names in transformers: ``input_ids``; ``attention_mask``
                where some of it is padding; ``token_type_ids`` where they are not all 0.
        """


def split_into_batches(
    lengths: npt.NDArray[np.int64], budget: int, pads: bool = True
) -> Iterator[npt.NDArray[np.int64]]:
    """Yield rows, longest first, cut so that a padded batch holds at most ``budget`` tokens (or a single row).

    Args:
        lengths: Tokens of each row.
        budget: Tokens of a batch.
        pads: Rows of different lengths may go together.
    """
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        longest = int(lengths[order[start]])
        size = max(1, budget // max(1, longest))
        if not pads:
            size = min(size, int((lengths[order[start : start + size]] == longest).sum()))
        yield order[start : start + size]
        start += size


class Prediction(NamedTuple):
    """The likeliest label of a text and its probability; ``neutral``, where the model abstains, has none."""

    label: str
    score: float | None


@dataclass
class Classifier:
    """A sequence classifier ready to answer.

    Args:
        backend: Computes the logits of its labels.
        tokenization: The model's own tokenization.
        config: Content of its ``config.json``.
        temperature: Divides the logits before scores are made of them; it changes no label.
        neutral_below: Score under which the label is ``neutral``.
        pads: Compute texts of different lengths together; False if that changes the model's answers.
        empty: Number of texts so far without any word.
        truncated: Number of texts so far that were longer than the model takes.
    """

    backend: Backend
    tokenization: Tokenization
    config: Mapping[str, Any] = field(default_factory=dict)
    temperature: float = 1.0
    neutral_below: float = 0.0
    pads: bool = True
    empty: int = 0
    truncated: int = 0

    def __post_init__(self) -> None:
        if self.config.get("problem_type") == "regression":
            raise ModelError(
                "The model is not a classifier: by its config.json (problem_type) it predicts numbers, not labels.",
                "Choose another model, or correct its config.json.",
            )

    @property
    def labels(self) -> list[str]:
        """Names of the labels by position."""
        return list(self.backend.labels)

    @property
    def max_length(self) -> int:
        """The most tokens of a text; longer ones are cut."""
        return self.tokenization.max_length

    def predict(self, texts: Iterable[str], first: int = 1) -> Iterator[Prediction]:
        """Yield a prediction for each text, in order; the input is read window by window.

        Args:
            texts: Any number of them.
            first: The number of the first of them, for messages.
        """
        labels = self.labels
        for row in self.stream(texts, first):
            best = int(row.argmax())
            score = float(row[best])
            yield Prediction(NEUTRAL, None) if score < self.neutral_below else Prediction(labels[best], score)

    def stream(self, texts: Iterable[str], first: int = 1) -> Iterator[npt.NDArray[np.float32]]:
        """Yield the probabilities of all labels for each text, in order; arrays of shape (labels,)."""
        remaining = iter(texts)
        while window := list(islice(remaining, WINDOW)):
            yield from self._window(window, first)
            first += len(window)

    def probabilities(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return the probabilities of all labels, shape (texts, labels); with a progress bar for many texts."""
        with progress_bar("score", len(texts), "tweets", shown=len(texts) > WINDOW) as bar:
            parts = []
            for start in range(0, len(texts), WINDOW):
                parts.append(self._window(texts[start : start + WINDOW], start + 1))
                bar.update(len(parts[-1]))
        return np.concatenate([np.zeros((0, len(self.labels)), dtype=np.float32), *parts])

    def logits(self, texts: Sequence[str], first: int = 1) -> npt.NDArray[np.float32]:
        """Return logits, shape (texts, labels), for as many texts as fit into memory; equal ones are computed once.

        Args:
            texts: Any.
            first: The number of the first of them, for messages.

        Raises:
            ModelError: Its tokenizer or its graph fails on one of them, or a logit is not a finite number.
        """
        tokens = self.tokenization(texts)
        self.empty += sum(not text.strip() for text in texts)
        self.truncated += tokens.truncated
        chosen, places = tokens.find_distinct()
        result = np.empty((len(chosen), len(self.labels)), dtype=np.float32)
        for part in split_into_batches(tokens.lengths[chosen], self.backend.tokens_per_batch, self.pads):
            result[part] = self.backend.logits(tokens.pad(chosen[part]))
        finite = np.isfinite(result.sum(axis=1, dtype=np.float64))
        if not finite.all():
            number = first + int(np.argmin(finite[places]))
            raise ModelError(
                f"The model's answer to text {number:,} is not a finite number.",
                "Its weights are damaged, or its training went wrong: fetch it again, or choose another model.",
            )
        return result[places]

    def _window(self, texts: Sequence[str], first: int) -> npt.NDArray[np.float32]:
        logits = self.logits(texts, first) / np.float32(self.temperature)
        independent = len(self.labels) == 1 or self.config.get("problem_type") == "multi_label_classification"
        return sigmoid(logits) if independent else softmax(logits)  # as ``pipeline`` does


def softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return probabilities, shape (texts, labels)."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: npt.NDArray[np.float32] = powers / powers.sum(axis=1, keepdims=True)
    return result


def sigmoid(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return probabilities of labels that do not exclude each other, shape (texts, labels)."""
    result: npt.NDArray[np.float32] = np.float32(0.5) * (1 + np.tanh(np.float32(0.5) * logits))
    return result
