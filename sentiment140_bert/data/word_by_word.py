"""Texts to ``input_ids`` word by word: a word that occurs a thousand times is tokenized once, with the same result.

A tokenizer of BERT's kind never looks past a space: its normalizer changes no character because of one beyond a space,
its words end at white space, and WordPiece knows nothing but the word. So the tokens of a text are those of what stands
between its spaces, one after the other, between the special tokens. :func:`obstacle` says where this is not known.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from tqdm import tqdm

from sentiment140_bert.data import clean
from sentiment140_bert.data.encoder import Encoder, as_step, flatten

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TEXTS_AT_ONCE = 50_000
WORDS_IN_A_ROW = 100  # given to the tokenizer as one text: each call costs it more than a word does
ROWS_AT_ONCE = 1_000

Ids = npt.NDArray[np.int32]
Numbers = npt.NDArray[np.int64]


class Words(NamedTuple):
    """Tokens of distinct words: all ``ids``, one word after the other, and where each begins and how many it has."""

    ids: Ids
    starts: Numbers
    counts: Numbers


class Split(NamedTuple):
    """Some texts as words: how many each has, at least one, and the numbers of all of them."""

    counts: Numbers
    words: Numbers


class Separator(NamedTuple):
    """A word to put between others, and its token."""

    word: str
    token: int


def obstacle(backend: Tokenizer) -> str | None:
    """Why texts cannot be tokenized word by word, in words; None if they can.

    Args:
        backend: Of a fast tokenizer.
    """
    parts = json.loads(backend.to_str())
    ours = [as_step(rule) for rule in clean.LEVELS["repair"]]  # none of them matches a space
    kinds = {name: (parts[name] or {}).get("type") for name in ("model", "pre_tokenizer", "post_processor")}
    for step in flatten(parts["normalizer"]):
        if step["type"] != "BertNormalizer" and step not in ours:
            return f"its normalizer has a step of its own ({step['type']})"
    if (kinds["model"], kinds["pre_tokenizer"]) != ("WordPiece", "BertPreTokenizer"):
        return f"it is not of BERT's kind ({kinds['model']} after {kinds['pre_tokenizer']})"
    if kinds["post_processor"] not in ("TemplateProcessing", "BertProcessing"):
        return f"it adds special tokens in its own way ({kinds['post_processor']})"
    for token in parts["added_tokens"]:
        if token["normalized"] or token["single_word"] or token["content"].split() != [token["content"]]:
            return f"its added token {token['content']!r} may reach past a space"
    return None if _separator(backend) else "no word of its vocabulary is one token"


class WordTokenizer:
    """Tokenizes columns of texts word by word.

    Args:
        backend: Of a fast tokenizer without an :func:`obstacle`; it neither pads nor cuts.
        max_length: Tokens kept of each text, special ones included.
    """

    def __init__(self, backend: Tokenizer, max_length: int) -> None:
        separator = _separator(backend)
        if separator is None:
            raise ValueError(obstacle(backend))
        framed = backend.encode(separator.word).ids
        at = framed.index(separator.token)
        self.encoder, self.separator = Encoder(backend), separator
        self.before, self.after = framed[:at], framed[at + 1 :]
        self.max_length = max_length

    def tokenize(self, texts: pa.ChunkedArray, name: str = "") -> tuple[pa.ChunkedArray, Numbers, int]:
        """As :func:`sentiment140_bert.data.tokenization.tokenize`."""
        special = len(self.before) + len(self.after)
        room = self.max_length - special
        parts, distinct = _split(texts)
        words = _tokens_of(distinct, self.encoder, self.separator, name)
        chunks, lengths, truncated = [], [], 0
        for part in parts:
            ids, uncut = _joined(part, words, room)
            inside = np.minimum(uncut, room)
            chunks.append(_enclosed(ids, inside, self.before, self.after))
            lengths.append(inside + special)
            truncated += int((uncut > room).sum())
        return pa.chunked_array(chunks, pa.list_(pa.int32())), np.concatenate(lengths), truncated


def _separator(backend: Tokenizer) -> Separator | None:
    """The longest word that is one token, so that few texts hold it; None if there is none."""
    vocabulary = backend.get_vocab()
    words = (word for word in vocabulary if word.isalpha() and word.islower())
    longest = max(words, key=lambda word: (len(word), word), default=None)
    if longest is None or backend.encode(longest, add_special_tokens=False).ids != [vocabulary[longest]]:
        return None
    return Separator(longest, vocabulary[longest])


def _split(texts: pa.ChunkedArray) -> tuple[list[Split], list[str]]:
    """Texts as numbers of words, and these words; what stands between two spaces is a word, even if that is nothing."""

    def pieces(some: pa.Array) -> tuple[pa.Array, pa.DictionaryArray]:
        lists = pc.split_pattern(some, pattern=" ")
        return lists.value_lengths(), pc.list_flatten(lists).dictionary_encode()

    slices = (
        chunk.slice(start, TEXTS_AT_ONCE) for chunk in texts.chunks for start in range(0, len(chunk), TEXTS_AT_ONCE)
    )
    with ThreadPoolExecutor(pa.cpu_count()) as pool:  # Arrow's kernels let go of the interpreter
        counts, words = zip(*pool.map(pieces, slices), strict=True)
    unified = pa.chunked_array(words).unify_dictionaries().chunks
    parts = [
        Split(np.asarray(count, dtype=np.int64), np.asarray(chunk.indices))
        for count, chunk in zip(counts, unified, strict=True)
    ]
    return parts, unified[0].dictionary.to_pylist()


def _tokens_of(words: Sequence[str], encoder: Encoder, separator: Separator, name: str) -> Words:
    """Tokens of each word, without special ones around it."""
    ids, counts = [], []
    with tqdm(desc=f"tokenize {name}", total=len(words), unit=" words", unit_scale=True, disable=None) as bar:
        for rows in _rows(words):
            joined = ["".join(f"{word} {separator.word} " for word in row) for row in rows]
            encodings = encoder.encode(joined, add_special_tokens=False)
            for row, encoding in zip(rows, encodings, strict=True):
                found = np.array(encoding.ids, dtype=np.int32)
                ends = np.flatnonzero(found == separator.token)
                if len(ends) == len(row):
                    ids.append(found[found != separator.token])
                    counts.append(np.diff(ends, prepend=-1) - 1)
                else:  # the separator is in one of these words
                    each = [one.ids for one in encoder.encode(row, add_special_tokens=False)]
                    ids.append(np.array([token for some in each for token in some], dtype=np.int32))
                    counts.append(np.array([len(some) for some in each]))
                bar.update(len(row))
    all_counts = np.concatenate(counts)
    return Words(np.concatenate(ids), all_counts.cumsum() - all_counts, all_counts)


def _rows(words: Sequence[str]) -> Iterator[list[Sequence[str]]]:
    """Words in rows of ``WORDS_IN_A_ROW``, many rows at a time."""
    step = WORDS_IN_A_ROW * ROWS_AT_ONCE
    for start in range(0, len(words), step):
        some = words[start : start + step]
        yield [some[at : at + WORDS_IN_A_ROW] for at in range(0, len(some), WORDS_IN_A_ROW)]


def _joined(part: Split, words: Words, room: int) -> tuple[Ids, Numbers]:
    """All tokens of these texts, ``room`` of each at most, and how many each would have."""
    counts = words.counts[part.words]
    ends = counts.cumsum()
    ids = words.ids[np.repeat(words.starts[part.words] - ends + counts, counts) + np.arange(ends[-1])]
    lengths = np.add.reduceat(counts, part.counts.cumsum() - part.counts)
    if lengths.max() > room:
        place = np.arange(len(ids)) - np.repeat(lengths.cumsum() - lengths, lengths)
        ids = ids[place < room]
    return ids, lengths


def _enclosed(ids: Ids, lengths: Numbers, before: list[int], after: list[int]) -> pa.ListArray:
    """A list for each text: its tokens with the special ones before and after them."""
    ends = (lengths + len(before) + len(after)).cumsum()
    starts = np.concatenate([[0], ends[:-1]])
    rows, inside = np.empty(ends[-1], dtype=np.int32), np.ones(ends[-1], dtype=bool)
    special = [(starts + at, token) for at, token in enumerate(before)]
    special += [(ends - len(after) + at, token) for at, token in enumerate(after)]
    for places, token in special:
        rows[places], inside[places] = token, False
    rows[inside] = ids
    offsets = np.concatenate([[0], ends]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(rows))
