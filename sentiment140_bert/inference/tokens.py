"""Texts to the numbers of their tokens, held end to end, and padded only where a batch is made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from sentiment140_bert.inference.backend import Numbers
from sentiment140_bert.models.padding import padded
from sentiment140_bert.trust.model_files import working_tokenizer

IDS, TYPES, MASK = "input_ids", "token_type_ids", "attention_mask"


@dataclass(frozen=True)
class Tokens:
    """The tokens of some texts.

    Args:
        flat: ``input_ids``, and ``token_type_ids`` where they are not all 0: those of all texts end to end.
        lengths: Tokens of each text, shape (texts,).
        cut: How many of the texts were longer than the model takes.
        padding: What a row is filled up with, by the names in ``flat``.
        left: Whether it is filled up on its left side.
    """

    flat: Mapping[str, Numbers]
    lengths: Numbers
    cut: int
    padding: Mapping[str, int]
    left: bool = False

    def distinct(self) -> tuple[Numbers, Numbers]:
        """Return a row of each kind, and for every text the place of its kind among these.

        They are sorted by their tokens, so that batches, and with them the last digits, do not depend on the order in
        which texts are given.
        """
        rows = np.split(self.flat[IDS], np.cumsum(self.lengths)[:-1])[: len(self.lengths)]
        keys = [row.tobytes() for row in rows]
        first = {key: at for at, key in reversed(list(enumerate(keys)))}
        place = {key: at for at, key in enumerate(sorted(first))}
        chosen = np.array([first[key] for key in place], dtype=np.int64)
        return chosen, np.array([place[key] for key in keys], dtype=np.int64)

    def padded(self, rows: Numbers) -> dict[str, Numbers]:
        """Return matrices of shape (rows, longest of them), and ``attention_mask`` where there is padding in them."""
        starts = (np.cumsum(self.lengths) - self.lengths)[rows]
        made, inside = padded(self.flat, starts, self.lengths[rows], self.padding, left=self.left)
        return made if inside.all() else made | {MASK: inside.astype(np.int64)}


class Tokenization:
    """A tokenizer that cuts texts at what its model takes; it does all the cleaning there is.

    Args:
        backend: A ``tokenizers.Tokenizer`` of its own: how it cuts and pads is set here.
        max_length: Tokens that the model takes.
        padding: The number of the padding token.
        padding_type: The type of a padding token.
        typed: Whether the model reads ``token_type_ids`` that are not all 0 (a BERT takes 0 for granted).
        padding_side: ``right`` or ``left``.
        truncation_side: Likewise.
    """

    def __init__(
        self,
        backend: Any,
        max_length: int,
        padding: int = 0,
        padding_type: int = 0,
        typed: bool = False,
        padding_side: str = "right",
        truncation_side: str = "right",
    ) -> None:
        backend.no_padding()
        backend.enable_truncation(max_length, direction=truncation_side)
        self.backend, self.max_length, self.left = backend, max_length, padding_side == "left"
        self.padding = {IDS: padding, TYPES: padding_type}
        # A text that has no token, as nothing has for GPT-2, is a padding token.
        self._read: dict[str, Callable[[Any], list[int]]] = {IDS: lambda encoding: encoding.ids or [padding]}
        if typed:
            self._read[TYPES] = lambda encoding: encoding.type_ids or [padding_type]

    @property
    def names(self) -> list[str]:
        """The inputs of a model, as far as they are needed."""
        return [*self._read, MASK]

    def __call__(self, texts: Sequence[str]) -> Tokens:
        """Return the tokens of some texts.

        Raises:
            ModelError: The tokenizer fails on one of them.
        """
        with working_tokenizer():
            encodings = self.backend.encode_batch_fast(list(texts))
        lengths = np.maximum(1, np.fromiter(map(len, encodings), np.int64, len(encodings)))
        flat = {
            name: np.fromiter(chain.from_iterable(map(read, encodings)), np.int64, lengths.sum())
            for name, read in self._read.items()
        }
        full = np.flatnonzero(lengths >= self.max_length)
        cut = sum(bool(encodings[at].overflowing) for at in full)
        return Tokens(flat, lengths, cut, self.padding, self.left)
