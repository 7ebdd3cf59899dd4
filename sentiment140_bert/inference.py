"""Texts to labels and scores: in the input's order, in bounded memory, as ``pipeline`` would answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm

WINDOW = 4_096  # texts that are sorted by length together; also what is held in memory at once
TOKENS_PER_BATCH = {"cpu": 2_048, "cuda": 65_536}
NEUTRAL = "neutral"


class Prediction(NamedTuple):
    """The likeliest label of a text and its probability."""

    label: str
    score: float


@dataclass
class Classifier:
    """A sequence classifier ready to answer.

    Args:
        model: Logits of two or more labels.
        tokenizer: Its own; it does all the cleaning there is.
        temperature: By which the logits are divided before scores are made of them; it changes no label.
        neutral_below: Score under which the answer is ``neutral``.
    """

    model: Any
    tokenizer: Any
    temperature: float = 1.0
    neutral_below: float = 0.0
    empty: int = 0
    truncated: int = 0

    def __post_init__(self) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model.to(self.device).eval()
        limit = self.tokenizer.model_max_length
        self.max_length = min(limit, positions_of(self.model) or limit)

    @property
    def labels(self) -> list[str]:
        """Names of the labels by position."""
        return [self.model.config.id2label[at] for at in range(self.model.config.num_labels)]

    def predict(self, texts: Iterable[str]) -> Iterator[Prediction]:
        """A prediction for each text, in order; the input is read window by window.

        Texts without any word are answered too (and counted in ``empty``), longer ones than the model takes are
        cut (``truncated``).
        """
        labels = self.labels
        for row in self.stream(texts):
            best = int(row.argmax())
            score = float(row[best])
            yield Prediction(NEUTRAL if score < self.neutral_below else labels[best], score)

    def stream(self, texts: Iterable[str]) -> Iterator[npt.NDArray[np.float32]]:
        """Probabilities of all labels for each text, in order; arrays of shape (labels,)."""
        remaining = iter(texts)
        while window := list(islice(remaining, WINDOW)):
            yield from self._window(window)

    def probabilities(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Probabilities of all labels, shape (texts, labels); with a progress bar where there are many texts."""
        shown = None if len(texts) > WINDOW else True
        with tqdm(desc="score", total=len(texts), unit=" tweets", unit_scale=True, disable=shown) as bar:
            parts = []
            for start in range(0, len(texts), WINDOW):
                parts.append(self._window(texts[start : start + WINDOW]))
                bar.update(len(parts[-1]))
        return np.concatenate([np.zeros((0, self.model.config.num_labels), dtype=np.float32), *parts])

    def _window(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        encoded = self.tokenizer(list(texts), truncation=True, max_length=self.max_length)
        self.empty += sum(not text.strip() for text in texts)
        self.truncated += sum(bool(each.overflowing) for each in encoded.encodings or [])
        lengths = np.array([len(ids) for ids in encoded["input_ids"]])
        result = np.empty((len(texts), self.model.config.num_labels), dtype=np.float32)
        for rows in batches_by_budget(lengths, TOKENS_PER_BATCH[self.device.type]):
            inputs = self.tokenizer.pad(
                {name: [values[row] for row in rows] for name, values in encoded.items()}, return_tensors="pt"
            )
            with torch.inference_mode():
                logits = self.model(**inputs.to(self.device)).logits
            result[rows] = (logits.float() / self.temperature).softmax(-1).cpu().numpy()
        return result


def positions_of(model: Any) -> int | None:
    """Tokens that a model has positions for; in RoBERTa's family some are taken by the padding's place."""
    positions = getattr(model.config, "max_position_embeddings", None)
    embeddings = getattr(getattr(model, "base_model", None), "embeddings", None)
    padding = getattr(getattr(embeddings, "position_embeddings", None), "padding_idx", None)
    return positions - padding - 1 if positions and padding is not None else positions


def batches_by_budget(lengths: npt.NDArray[np.int64], budget: int) -> Iterator[npt.NDArray[np.int64]]:
    """Rows, longest first, cut so that a padded batch holds at most ``budget`` tokens (or a single row)."""
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        size = max(1, budget // max(1, int(lengths[order[start]])))
        yield order[start : start + size]
        start += size
