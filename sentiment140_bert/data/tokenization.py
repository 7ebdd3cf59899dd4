"""Texts to ``input_ids``, not padded: padding belongs to the batch."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tqdm import tqdm

from sentiment140_bert.data import word_by_word

TEXTS_AT_ONCE = 10_000


def bare(tokenizer: Any) -> Any:
    """A copy of the backend of a fast tokenizer, which neither pads nor cuts."""
    from tokenizers import Tokenizer

    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    backend.no_padding()
    backend.no_truncation()
    return backend


def identity(tokenizer: Any) -> str:
    """sha256 of all that decides which tokens a text becomes, normalizer included."""
    return hashlib.sha256(bare(tokenizer).to_str().encode()).hexdigest()


def obstacle(tokenizer: Any) -> str | None:
    """Why this tokenizer's texts are tokenized one by one, in words; None where :mod:`word_by_word` does it."""
    return word_by_word.obstacle(bare(tokenizer))


def tokenize(
    texts: pa.ChunkedArray, tokenizer: Any, max_length: int, name: str = ""
) -> tuple[pa.ChunkedArray, npt.NDArray[np.int64], int]:
    """Tokenizes a column of tweets, special tokens included.

    Args:
        texts: Strings, no nulls.
        tokenizer: A fast tokenizer of transformers; it is not changed.
        max_length: Tokens kept of each tweet.
        name: Of the split, for the progress bar.

    Returns:
        ``input_ids`` as lists of int32; the length of each; how many tweets were cut.
    """
    backend = bare(tokenizer)
    if word_by_word.obstacle(backend) is None:
        return word_by_word.tokenize(texts, backend, max_length, name)
    return text_by_text(texts, backend, max_length, name)


def text_by_text(
    texts: pa.ChunkedArray, backend: Any, max_length: int, name: str = ""
) -> tuple[pa.ChunkedArray, npt.NDArray[np.int64], int]:
    """As :func:`tokenize`, by any tokenizer's backend."""
    backend.enable_truncation(max_length)
    chunks, lengths, truncated = [], [], 0
    with tqdm(desc=f"tokenize {name}", total=len(texts), unit=" tweets", unit_scale=True, disable=None) as bar:
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            part: Sequence[str] = texts.slice(start, TEXTS_AT_ONCE).to_pylist()
            encodings = backend.encode_batch_fast(part)
            chunks.append(pa.array([each.ids for each in encodings], pa.list_(pa.int32())))
            lengths.append(np.array([len(each.ids) for each in encodings], dtype=np.int64))
            truncated += sum(bool(each.overflowing) for each in encodings)
            bar.update(len(part))
    return pa.chunked_array(chunks, pa.list_(pa.int32())), np.concatenate(lengths), truncated
