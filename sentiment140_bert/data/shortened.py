"""Tokens of fewer places than were kept: what tokenizing again with a smaller ``max_length`` would give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sentiment140_bert.data.tokenization import bare

if TYPE_CHECKING:
    from datasets import Dataset


def closing(tokenizer: Any) -> int:
    """How many special tokens stand behind a text: one of BERT, ``[SEP]``."""
    mask = bare(tokenizer).encode("a").special_tokens_mask
    return len(mask) - 1 - max((at for at, special in enumerate(mask) if not special), default=len(mask) - 1)


def shortened(table: Dataset, max_length: int, behind: int) -> Dataset:
    """A tokenized split whose rows have ``max_length`` tokens at most: a text's last ones go, special ones stay.

    Args:
        table: Columns ``input_ids`` and ``labels``.
        max_length: More than the special tokens are.
        behind: From :func:`closing`.
    """
    from datasets import Dataset
    from datasets.table import InMemoryTable

    arrow = table.with_format("arrow")[:]
    lists = arrow["input_ids"].combine_chunks()
    lengths = lists.value_lengths().to_numpy(zero_copy_only=False).astype(np.int64)
    if not (lengths > max_length).any():
        return table
    tokens = lists.flatten().to_numpy(zero_copy_only=False)
    place = np.arange(len(tokens)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    length = np.repeat(lengths, lengths)
    kept = (place < max_length - behind) | (length <= max_length) | (place >= length - behind)
    offsets = np.concatenate([[0], np.cumsum(np.minimum(lengths, max_length))]).astype(np.int32)
    cut = pa.ListArray.from_arrays(pa.array(offsets), pa.array(tokens[kept], pa.int32()))
    at = arrow.column_names.index("input_ids")
    return Dataset(InMemoryTable(arrow.set_column(at, "input_ids", cut.cast(arrow.schema.field(at).type))), table.info)
