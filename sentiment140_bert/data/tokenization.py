"""Texts to ``input_ids``, not padded: padding belongs to the batch."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tqdm import tqdm

TEXTS_AT_ONCE = 10_000


def _bare(tokenizer: Any) -> Any:
    """The tokenizer's backend alone, neither padding nor cutting."""
    from tokenizers import Tokenizer

    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    backend.no_padding()
    backend.no_truncation()
    return backend


def identity(tokenizer: Any) -> str:
    """sha256 of all that decides which tokens a text becomes, normalizer included."""
    return hashlib.sha256(_bare(tokenizer).to_str().encode()).hexdigest()


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
    backend = _bare(tokenizer)
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
