"""Tokenize texts word by word: a word that occurs a thousand times is tokenized once, with the same result.

A tokenizer of BERT's kind never looks past a space: its normalizer changes no character because of one beyond a space,
its words end at white space, and WordPiece sees nothing but the word. So the tokens of a text are those of the strings
between its spaces, in order, between the special tokens. :func:`find_obstacle` names the tokenizers of which this is
not known. It makes ``s140 prepare`` about four times as fast; docs/performance.md has the measurement.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sentiment140_bert.data import clean
from sentiment140_bert.models.tokenizer import list_steps
from sentiment140_bert.progress import progress_bar
from sentiment140_bert.trust.model_files import working_tokenizer

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

TEXTS_AT_ONCE = 50_000
WORDS_IN_A_ROW = 100  # passed to the tokenizer as one text: each call costs it more than a word does
ROWS_AT_ONCE = 1_000

Ids = npt.NDArray[np.int32]
Numbers = npt.NDArray[np.int64]


class Encoder:
    """Encodes texts as a tokenizer's backend does, by a copy without the rules where none of them matches.

    Each rule costs the normalizer a copy of the text, and hardly one of a hundred cleaned tweets holds anything that
    the rules could replace.

    Args:
        backend: The backend of a fast tokenizer; its truncation and padding must not change later.
    """

    def __init__(self, backend: Tokenizer) -> None:
        self.backend = backend
        self.without_repairs = _remove_repairs(backend)

    def encode(self, texts: Sequence[str], add_special_tokens: bool = True) -> list[Encoding]:
        """Encode some texts, without offsets.

        Raises:
            ModelError: The tokenizer fails on one of them.
        """
        if self.without_repairs is None:
            return _encode(self.backend, texts, add_special_tokens)
        needs_repair = clean.find_repairable(texts)
        repairable = [text for text, is_repairable in zip(texts, needs_repair, strict=True) if is_repairable]
        others = [text for text, is_repairable in zip(texts, needs_repair, strict=True) if not is_repairable]
        slow = iter(_encode(self.backend, repairable, add_special_tokens))
        fast = iter(_encode(self.without_repairs, others, add_special_tokens))
        return [next(slow if is_repairable else fast) for is_repairable in needs_repair]


def _encode(backend: Tokenizer, texts: Sequence[str], add_special_tokens: bool) -> list[Encoding]:
    with working_tokenizer():
        return backend.encode_batch_fast(list(texts), add_special_tokens=add_special_tokens)


def _remove_repairs(backend: Tokenizer) -> Tokenizer | None:
    """Return a copy whose normalizer does not begin with the rules; None if it does not, or tokens depend on them."""
    from tokenizers import Tokenizer

    content = json.loads(backend.to_str())
    steps = list_steps(content["normalizer"])
    rules = [_to_step(rule) for rule in clean.REPAIRS]
    if steps[: len(rules)] != rules or any(token["normalized"] for token in content["added_tokens"]):
        return None
    content["normalizer"] = {"type": "Sequence", "normalizers": steps[len(rules) :]}
    return Tokenizer.from_str(json.dumps(content))


def _to_step(rule: clean.Rule) -> dict[str, Any]:
    """Return a cleaning rule in the form of ``tokenizer.json``."""
    pattern = {"Regex" if rule.regex else "String": rule.tokenizer_pattern}
    return {"type": "Replace", "pattern": pattern, "content": rule.replacement}


# ---- words


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


def find_obstacle(backend: Tokenizer) -> str | None:
    """Return the reason why texts cannot be tokenized word by word; None if they can.

    Args:
        backend: The backend of a fast tokenizer.
    """
    parts = json.loads(backend.to_str())
    cleaning = [_to_step(rule) for rule in clean.LEVELS["repair"]]  # none of them matches a space
    kinds = {name: (parts[name] or {}).get("type") for name in ("model", "pre_tokenizer", "post_processor")}
    for step in list_steps(parts["normalizer"]):
        if step["type"] != "BertNormalizer" and step not in cleaning:
            return f"its normalizer has an unsupported step ({step['type']})"
    if (kinds["model"], kinds["pre_tokenizer"]) != ("WordPiece", "BertPreTokenizer"):
        return f"it is not a BERT tokenizer ({kinds['model']} after {kinds['pre_tokenizer']})"
    if kinds["post_processor"] not in ("TemplateProcessing", "BertProcessing"):
        return f"it adds special tokens in an unsupported way ({kinds['post_processor']})"
    for token in parts["added_tokens"]:
        if token["normalized"] or token["single_word"] or token["content"].split() != [token["content"]]:
            return f"its added token {token['content']!r} may reach past a space"
    return None if _find_separator(backend) else "no word of its vocabulary is one token"


class WordTokenizer:
    """Tokenizes columns of texts word by word.

    Args:
        backend: The backend of a fast tokenizer without an :func:`obstacle`; it neither pads nor cuts.
        max_length: Tokens kept of each text, special ones included.
    """

    def __init__(self, backend: Tokenizer, max_length: int) -> None:
        separator = _find_separator(backend)
        if separator is None:
            raise ValueError(find_obstacle(backend))
        framed = backend.encode(separator.word).ids
        at = framed.index(separator.token)
        self.encoder, self.separator = Encoder(backend), separator
        self.before, self.after = framed[:at], framed[at + 1 :]
        self.max_length = max_length

    def tokenize(self, texts: pa.ChunkedArray, name: str = "") -> tuple[pa.ChunkedArray, Numbers, int]:
        """Tokenize a column of texts; see :func:`sentiment140_bert.data.tokenize.tokenize`."""
        special = len(self.before) + len(self.after)
        room = self.max_length - special
        parts, distinct = _split_texts(texts)
        words = _tokenize_words(distinct, self.encoder, self.separator, name)
        chunks, lengths, truncated = [], [], 0
        for part in parts:
            ids, uncut = _join_words(part, words, room)
            inside = np.minimum(uncut, room)
            chunks.append(_add_special_tokens(ids, inside, self.before, self.after))
            lengths.append(inside + special)
            truncated += int((uncut > room).sum())
        return pa.chunked_array(chunks, pa.list_(pa.int32())), np.concatenate(lengths), truncated


def _find_separator(backend: Tokenizer) -> Separator | None:
    """Return the longest word that is one token, so that few texts contain it, or None."""
    vocabulary = backend.get_vocab()
    words = (word for word in vocabulary if word.isalpha() and word.islower())
    longest = max(words, key=lambda word: (len(word), word), default=None)
    if longest is None or backend.encode(longest, add_special_tokens=False).ids != [vocabulary[longest]]:
        return None
    return Separator(longest, vocabulary[longest])


def _split_texts(texts: pa.ChunkedArray) -> tuple[list[Split], list[str]]:
    """Return texts as numbers of words, and the words: every string between two spaces, even an empty one."""

    def split(part: pa.Array) -> tuple[pa.Array, pa.DictionaryArray]:
        lists = pc.split_pattern(part, pattern=" ")
        return lists.value_lengths(), pc.list_flatten(lists).dictionary_encode()

    counts, words = zip(*clean.map_slices(split, texts, TEXTS_AT_ONCE), strict=True)
    unified = pa.chunked_array(words).unify_dictionaries().chunks
    parts = [
        Split(np.asarray(count, dtype=np.int64), np.asarray(chunk.indices))
        for count, chunk in zip(counts, unified, strict=True)
    ]
    return parts, unified[0].dictionary.to_pylist()


def _tokenize_words(words: Sequence[str], encoder: Encoder, separator: Separator, name: str) -> Words:
    """Return the tokens of each word, without special ones around it."""
    ids, counts = [], []
    with progress_bar(f"tokenize {name}", len(words), "words", leave=False) as bar:
        for rows in _batch_words(words):
            joined = ["".join(f"{word} {separator.word} " for word in row) for row in rows]
            encodings = encoder.encode(joined, add_special_tokens=False)
            for row, encoding in zip(rows, encodings, strict=True):
                tokens = np.array(encoding.ids, dtype=np.int32)
                ends = np.flatnonzero(tokens == separator.token)
                if len(ends) == len(row):
                    ids.append(tokens[tokens != separator.token])
                    counts.append(np.diff(ends, prepend=-1) - 1)
                else:  # the separator is in one of these words
                    single = [encoding.ids for encoding in encoder.encode(row, add_special_tokens=False)]
                    ids.append(np.array([token for word in single for token in word], dtype=np.int32))
                    counts.append(np.array([len(word) for word in single]))
                bar.update(len(row))
    all_counts = np.concatenate(counts)
    return Words(np.concatenate(ids), all_counts.cumsum() - all_counts, all_counts)


def _batch_words(words: Sequence[str]) -> Iterator[list[Sequence[str]]]:
    """Yield words in rows of ``WORDS_IN_A_ROW``, many rows at a time."""
    step = WORDS_IN_A_ROW * ROWS_AT_ONCE
    for start in range(0, len(words), step):
        batch = words[start : start + step]
        yield [batch[at : at + WORDS_IN_A_ROW] for at in range(0, len(batch), WORDS_IN_A_ROW)]


def _join_words(part: Split, words: Words, room: int) -> tuple[Ids, Numbers]:
    """Return all tokens of these texts, at most ``room`` of each, and the number that each would have."""
    counts = words.counts[part.words]
    ends = counts.cumsum()
    ids = words.ids[np.repeat(words.starts[part.words] - ends + counts, counts) + np.arange(ends[-1])]
    lengths = np.add.reduceat(counts, part.counts.cumsum() - part.counts)
    if lengths.max() > room:
        place = np.arange(len(ids)) - np.repeat(lengths.cumsum() - lengths, lengths)
        ids = ids[place < room]
    return ids, lengths


def _add_special_tokens(ids: Ids, lengths: Numbers, before: list[int], after: list[int]) -> pa.ListArray:
    """Return a list for each text: its tokens with the special ones before and after them."""
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
