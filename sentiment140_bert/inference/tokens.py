"""Texts to token ids, held end to end, and padded only where a batch is made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from sentiment140_bert.models.tokenizer import pad_rows
from sentiment140_bert.trust.model_files import working_tokenizer

IDS, TYPES, MASK = "input_ids", "token_type_ids", "attention_mask"
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Tokens:
    """The tokens of some texts.

    Args:
        flat: ``input_ids``, and ``token_type_ids`` where they are not all 0: those of all texts end to end.
        lengths: Tokens of each text, shape (texts,).
        truncated: Number of texts that were longer than the model takes.
        padding: The padding number, by the names in ``flat``.
        left: Pad on the left side.
    """

    flat: Mapping[str, Numbers]
    lengths: Numbers
    truncated: int
    padding: Mapping[str, int]
    left: bool = False

    def find_distinct(self) -> tuple[Numbers, Numbers]:
        """Return one row for each distinct text, and for every text the index of its row among these.

        They are sorted by their tokens, so that batches, and with them the last digits, do not depend on the order of
        the texts.
        """
        rows = np.split(self.flat[IDS], np.cumsum(self.lengths)[:-1])[: len(self.lengths)]
        keys = [row.tobytes() for row in rows]
        first = {key: at for at, key in reversed(list(enumerate(keys)))}
        place = {key: at for at, key in enumerate(sorted(first))}
        chosen = np.array([first[key] for key in place], dtype=np.int64)
        return chosen, np.array([place[key] for key in keys], dtype=np.int64)

    def pad(self, rows: Numbers) -> dict[str, Numbers]:
        """Return matrices of shape (rows, longest of them), and ``attention_mask`` where there is padding in them."""
        starts = (np.cumsum(self.lengths) - self.lengths)[rows]
        matrices, inside = pad_rows(self.flat, starts, self.lengths[rows], self.padding, left=self.left)
        return matrices if inside.all() else matrices | {MASK: inside.astype(np.int64)}


class Tokenization:
    """A tokenizer that truncates texts to the length of its model; it does all the cleaning.

    Args:
        backend: A ``tokenizers.Tokenizer``, whose truncation and padding are set here.
        max_length: Tokens that the model takes.
        padding: The id of the padding token.
        padding_type: The type of a padding token.
        typed: The model reads ``token_type_ids`` that are not all 0 (BERT takes 0 for granted).
        padding_side: ``right`` or ``left``.
        truncation_side: ``right`` or ``left``.
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
        # A text without any token, such as an empty one for GPT-2, is a padding token.
        self._read: dict[str, Callable[[Any], list[int]]] = {IDS: lambda encoding: encoding.ids or [padding]}
        if typed:
            self._read[TYPES] = lambda encoding: encoding.type_ids or [padding_type]

    @property
    def names(self) -> list[str]:
        """The names of the model's inputs."""
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
        truncated = sum(bool(encodings[at].overflowing) for at in full)
        return Tokens(flat, lengths, truncated, self.padding, self.left)
