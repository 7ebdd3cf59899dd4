"""Turn texts into ``input_ids``, not padded: padding belongs to the batch. Shorten them later without the text."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sentiment140_bert.data import clean, word_by_word
from sentiment140_bert.data.word_by_word import Encoder
from sentiment140_bert.models.tokenizer import copy_backend, list_steps, runs_first
from sentiment140_bert.progress import progress_bar

if TYPE_CHECKING:
    from datasets import Dataset

log = logging.getLogger(__name__)

TEXTS_AT_ONCE = 10_000
Tokens = tuple[pa.ChunkedArray, npt.NDArray[np.int64], int]  # ids, their number in each text, how many texts were cut


def hash_tokenizer(tokenizer: Any) -> str:
    """Return the sha256 of everything that decides the tokens of a text, normalizer included."""
    return hashlib.sha256(copy_backend(tokenizer).to_str().encode()).hexdigest()


def find_cleaning(tokenizer: Any) -> str | None:
    """Return the level of cleaning whose rules a fast tokenizer runs first; None if it masks by rules of its own."""
    backend = copy_backend(tokenizer)
    for level in clean.LEVELS:
        if (rules := clean.make_normalizer(level)) and runs_first(rules, backend):
            return level
    steps = list_steps(json.loads(backend.to_str())["normalizer"])
    return None if any(step.get("content") in (clean.USER_MASK, clean.URL_MASK) for step in steps) else "raw"


def tokenize(texts: pa.ChunkedArray, tokenizer: Any, max_length: int, name: str = "") -> Tokens:
    """Tokenize a column of tweets, special tokens included.

    Args:
        texts: Strings, no nulls.
        tokenizer: A fast tokenizer of transformers; it is not changed.
        max_length: Largest number of tokens of a tweet; others are cut.
        name: Name of the split, for the progress bar.

    Returns:
        ``input_ids`` as lists of int32; the length of each; how many tweets were cut.
    """
    return choose_method(tokenizer, max_length)(texts, name)


def choose_method(tokenizer: Any, max_length: int) -> Callable[[pa.ChunkedArray, str], Tokens]:
    """Return :func:`tokenize` for several columns; the choice takes a tenth of a second.

    It is done :mod:`word_by_word` if that is known to give the same; if not, the reason is logged.
    """
    backend = copy_backend(tokenizer)
    obstacle = word_by_word.find_obstacle(backend)
    if obstacle is None:
        return word_by_word.WordTokenizer(backend, max_length).tokenize
    log.info("data: tokenized tweet by tweet, not word by word: %s", obstacle)
    return partial(tokenize_text_by_text, backend, max_length)


def tokenize_text_by_text(backend: Any, max_length: int, texts: pa.ChunkedArray, name: str = "") -> Tokens:
    """Tokenize a column with the backend of any fast tokenizer, which truncates from then on."""
    backend.enable_truncation(max_length)
    encoder = Encoder(backend)
    chunks, lengths, truncated = [], [], 0
    with progress_bar(f"tokenize {name}", len(texts), "tweets", leave=False) as bar:
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            part: Sequence[str] = texts.slice(start, TEXTS_AT_ONCE).to_pylist()
            encodings = encoder.encode(part)
            chunks.append(pa.array([encoding.ids for encoding in encodings], pa.list_(pa.int32())))
            lengths.append(np.array([len(encoding.ids) for encoding in encodings], dtype=np.int64))
            truncated += sum(bool(encoding.overflowing) for encoding in encodings)
            bar.update(len(part))
    return pa.chunked_array(chunks, pa.list_(pa.int32())), np.concatenate(lengths), truncated


def count_closing_tokens(tokenizer: Any) -> int:
    """Return the number of special tokens after a text: one for BERT, ``[SEP]``."""
    mask = copy_backend(tokenizer).encode("a").special_tokens_mask
    return len(mask) - 1 - max((at for at, special in enumerate(mask) if not special), default=len(mask) - 1)


def truncate_tokens(split: Dataset, max_length: int, closing: int) -> Dataset:
    """Cut each row to ``max_length`` tokens, as tokenizing again would: a text's last ones go, special ones stay.

    Args:
        split: Columns ``input_ids`` and ``labels``.
        max_length: More than the number of special tokens.
        closing: Result of :func:`count_closing_tokens`.
    """
    from datasets import Dataset
    from datasets.table import InMemoryTable

    table = split.with_format("arrow")[:]
    lists = table["input_ids"].combine_chunks()
    lengths = lists.value_lengths().to_numpy(zero_copy_only=False).astype(np.int64)
    if not (lengths > max_length).any():
        return split
    tokens = lists.flatten().to_numpy(zero_copy_only=False)
    place = np.arange(len(tokens)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    length = np.repeat(lengths, lengths)
    remains = (place < max_length - closing) | (length <= max_length) | (place >= length - closing)
    offsets = np.concatenate([[0], np.cumsum(np.minimum(lengths, max_length))]).astype(np.int32)
    ids = pa.ListArray.from_arrays(pa.array(offsets), pa.array(tokens[remains], pa.int32()))
    at = table.column_names.index("input_ids")
    return Dataset(InMemoryTable(table.set_column(at, "input_ids", ids.cast(table.schema.field(at).type))), split.info)
