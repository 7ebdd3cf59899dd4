"""Texts to ``input_ids``, not padded: padding belongs to the batch."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tqdm import tqdm

from sentiment140_bert.data import word_by_word
from sentiment140_bert.data.encoder import Encoder

log = logging.getLogger(__name__)

TEXTS_AT_ONCE = 10_000
Tokens = tuple[pa.ChunkedArray, npt.NDArray[np.int64], int]


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


def tokenize(texts: pa.ChunkedArray, tokenizer: Any, max_length: int, name: str = "") -> Tokens:
    """Tokenizes a column of tweets, special tokens included.

    Args:
        texts: Strings, no nulls.
        tokenizer: A fast tokenizer of transformers; it is not changed.
        max_length: Tokens kept of each tweet.
        name: Of the split, for the progress bar.

    Returns:
        ``input_ids`` as lists of int32; the length of each; how many tweets were cut.
    """
    return way(tokenizer, max_length)(texts, name)


def way(tokenizer: Any, max_length: int) -> Callable[[pa.ChunkedArray, str], Tokens]:
    """:func:`tokenize` for several columns; to find out how takes a tenth of a second.

    It is done :mod:`word_by_word` where that is known to give the same; where it is not, this is told.
    """
    backend = bare(tokenizer)
    why = word_by_word.obstacle(backend)
    if why is None:
        return word_by_word.WordTokenizer(backend, max_length).tokenize
    log.info("data: tokenized tweet by tweet, not word by word: %s", why)
    return partial(text_by_text, backend, max_length)


def text_by_text(backend: Any, max_length: int, texts: pa.ChunkedArray, name: str = "") -> Tokens:
    """As :func:`tokenize`, by the backend of any fast tokenizer, which cuts from then on."""
    backend.enable_truncation(max_length)
    encoder = Encoder(backend)
    chunks, lengths, truncated = [], [], 0
    with tqdm(desc=f"tokenize {name}", total=len(texts), unit=" tweets", unit_scale=True, disable=None) as bar:
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            part: Sequence[str] = texts.slice(start, TEXTS_AT_ONCE).to_pylist()
            encodings = encoder.encode(part)
            chunks.append(pa.array([each.ids for each in encodings], pa.list_(pa.int32())))
            lengths.append(np.array([len(each.ids) for each in encodings], dtype=np.int64))
            truncated += sum(bool(each.overflowing) for each in encodings)
            bar.update(len(part))
    return pa.chunked_array(chunks, pa.list_(pa.int32())), np.concatenate(lengths), truncated
