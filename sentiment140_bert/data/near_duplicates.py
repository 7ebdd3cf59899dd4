"""Find texts with nearly the same words as some text of another set: an exact join, without comparing all pairs.

Two sets of n and m words are similar where their Jaccard similarity, |common| / |together|, is p/q or more. That is so
if and only if (p + q) |common| >= p (n + m). Words are put into one order, the rarest first. If the first word in
common is at place i of one set, no more than n - i can be common. So a set need only be looked up by its first few
words, and only among sets of like size: prefix filtering (Chaudhuri, Ganti, Kaushik 2006, "A primitive operator for
similarity joins in data cleaning"; Bayardo, Ma, Srikant 2007, "Scaling up all pairs similarity search"), with the
places of the words used as by Xiao, Wang, Lin, Yu 2008, "Efficient similarity joins for near duplicate detection".
The remaining candidates are compared by 64-bit sketches, and then word for word: the result is exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sentiment140_bert.data.clean import URL_MASK, USER_MASK, map_slices

# Chosen by a comparison of 150,000 tweets of the corpus with 1.4 million others, all of different text. At 0.8 a pair
# has one word added to four, or one of nine exchanged; 3.1% of the tweets have such a partner. At 0.7 it is 4.4%, and
# three of four of the additional ones are everyday phrases of six to eight words ("looking forward to the results").
# Of tweets of a single word 49% have just the words of some other tweet, of two 33%, three 20%, four 11%, five 4%,
# seven 0.7%: below four words that is chance rather than a copy.
P, Q = 4, 5
FEWEST_WORDS = 4

ROWS_AT_ONCE = 50_000
PAIRS_AT_ONCE = 2_000_000
WORDS_AT_ONCE = 40_000_000  # of the texts of such pairs
FIRST_LOOK = 64  # candidates of each word that are compared before decided texts are dropped
NOT_A_WORD = r"[^\p{L}\p{M}\p{N}]+"

Numbers = npt.NDArray[np.int64]


class Entries(NamedTuple):
    """Words to look sets up by.

    ``reach`` is the size of the largest set that can be similar if this is the first word in common.
    """

    row: Numbers
    word: Numbers
    size: Numbers
    reach: Numbers

    def take(self, at: npt.NDArray[Any]) -> Entries:
        return Entries(*(column[at] for column in self))


def strip_masks(keys: pa.ChunkedArray) -> pa.ChunkedArray:
    """Remove the masks of mentions and URLs, and the white space that these leave."""

    def strip(part: pa.Array) -> pa.Array:
        for mask in (USER_MASK, URL_MASK):
            part = pc.replace_substring(part, pattern=mask, replacement=" ")
        return pc.utf8_trim_whitespace(pc.replace_substring_regex(part, pattern="  +", replacement=" "))

    return pa.chunked_array(map_slices(strip, keys, ROWS_AT_ONCE), pa.string())


def find_near_duplicates(texts: pa.ChunkedArray, others: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    """Return True for each text of at least ``FEWEST_WORDS`` words that is similar to any of ``others``.

    Time grows with the rows, and with the pairs that share a rare word; memory with the rows alone.

    Args:
        texts: Results of :func:`strip_masks`, like the ``others``.
        others: The texts to compare with.
    """
    sets = _make_word_sets(pa.chunked_array([*texts.chunks, *others.chunks], pa.string()))
    sizes = np.diff(sets.indptr).astype(np.int64)
    enough = np.flatnonzero(sizes >= FEWEST_WORDS)
    at = int(np.searchsorted(enough, len(texts)))
    sketches = _make_sketches(sets)
    queries = _list_entries(sets, sizes, enough[:at])
    index = _list_entries(sets, sizes, _drop_equal(sets, enough[at:]))
    width = int(sizes.max(initial=0)) + 1
    places = index.word * width + index.size
    order = np.argsort(places, kind="stable")
    index, places = index.take(order), places[order]
    low = np.searchsorted(places, queries.word * width + _find_smallest(queries.size))
    high = np.searchsorted(places, queries.word * width + np.minimum(queries.reach, width - 1), side="right")
    is_near = np.zeros(len(texts), dtype=bool)
    look = FIRST_LOOK
    while len(low):
        until = np.minimum(low + look, high)
        for entry, place in _list_pairs(low, until):
            one, other = queries.row[entry], index.row[place]
            likely = index.reach[place] >= queries.size[entry]
            together = queries.size[entry] + index.size[place]
            likely &= np.bitwise_count(sketches[one] ^ sketches[other]) <= together * (Q - P) // (P + Q)
            one, other, together = one[likely], other[likely], together[likely]
            common = _count_common_words(sets, one, other, together)
            is_near[one[(P + Q) * common >= P * together]] = True
        undecided = np.flatnonzero((until < high) & ~is_near[queries.row])
        queries, low, high = queries.take(undecided), until[undecided], high[undecided]
        look = min(8 * look, PAIRS_AT_ONCE)
    return is_near


def _count_common_words(sets: Any, one: Numbers, other: Numbers, together: Numbers) -> Numbers:
    """Return the number of words that two texts share, for each pair; ``together`` bounds the memory."""
    ends = np.arange(WORDS_AT_ONCE, int(together.sum()), WORDS_AT_ONCE)
    parts = np.split(np.arange(len(one)), np.searchsorted(np.cumsum(together), ends))
    counts = [np.diff(sets[one[some]].multiply(sets[other[some]]).tocsr().indptr) for some in parts if len(some)]
    return np.concatenate([np.zeros(0, np.int64), *counts])


def _find_smallest(sizes: Numbers) -> Numbers:
    """Return the size of the smallest set that can be similar to one of this size."""
    return -(-P * sizes // Q)


def _make_word_sets(texts: pa.ChunkedArray) -> Any:
    """Return the words of each text as a row of a ``scipy.sparse.csr_array``; columns are words, the rarest first."""
    from scipy.sparse import csr_array

    pieces = map_slices(_split_words, texts, ROWS_AT_ONCE)
    words = pa.chunked_array(
        [words for _, words in pieces], pa.dictionary(pa.int32(), pa.string())
    ).unify_dictionaries()
    indices = np.concatenate([np.zeros(0, np.int32), *(np.asarray(chunk.indices) for chunk in words.chunks)])
    counts = np.bincount(indices)
    rank = np.empty(len(counts), dtype=np.int32)
    rank[np.argsort(counts, kind="stable")] = np.arange(len(counts), dtype=np.int32)
    starts = np.concatenate([[0], *(lengths for lengths, _ in pieces)]).cumsum()
    ones = np.ones(len(indices), dtype=np.int8)
    sets = csr_array((ones, rank[indices], starts), shape=(len(texts), max(len(counts), 1)))
    sets.sum_duplicates()
    sets.data[:] = 1
    return sets


def _split_words(texts: pa.Array) -> tuple[Numbers, pa.DictionaryArray]:
    """Return the number of words of each text, and all their words in order; ``don't`` is the word ``dont``."""
    plain = pc.replace_substring(texts, pattern="'", replacement="")
    lists = pc.split_pattern_regex(plain, pattern=NOT_A_WORD)
    pieces = pc.list_flatten(lists)
    filled = pc.not_equal(pieces, "")
    starts = np.concatenate([[0], np.asarray(lists.value_lengths())[:-1]]).cumsum()  # no list is empty
    lengths = np.add.reduceat(np.asarray(filled), starts, dtype=np.int64)
    return lengths, pieces.filter(filled).dictionary_encode()


def _make_sketches(sets: Any) -> npt.NDArray[np.uint64]:
    """Return 64 bits for each set: sets that differ in d words differ in no more than d bits."""
    spread = np.arange(sets.shape[1], dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio
    bits = np.uint64(1) << (spread >> np.uint64(58))
    sketches = np.zeros(sets.shape[0], dtype=np.uint64)
    filled = np.flatnonzero(np.diff(sets.indptr))
    if len(filled):
        sketches[filled] = np.bitwise_or.reduceat(bits[sets.indices], sets.indptr[filled])
    return sketches


def _drop_equal(sets: Any, rows: Numbers) -> Numbers:
    """Return one row for each different set among these rows, none of which is empty."""
    if not len(rows):
        return rows
    chosen = sets[rows]
    numbers = np.random.default_rng(0).integers(2**64, size=sets.shape[1], dtype=np.uint64)
    names = np.add.reduceat(numbers[chosen.indices], chosen.indptr[:-1])
    _, first, same = np.unique(names, return_index=True, return_inverse=True)
    repeated = np.flatnonzero(first[same] != np.arange(len(rows)))
    differing = np.diff((chosen[repeated] != chosen[first[same[repeated]]]).tocsr().indptr) > 0  # by chance one name
    return np.asarray(rows[np.sort(np.concatenate([first, repeated[differing]]))])


def _list_entries(sets: Any, sizes: Numbers, rows: Numbers) -> Entries:
    """Return the words by which to look these rows up: those that may be the first in common with a similar set."""
    size = sizes[rows]
    # reach >= smallest, solved for the place
    counts = np.maximum((Q * size - P * _find_smallest(size)) // (P + Q) + 1, 0)
    entry = np.repeat(np.arange(len(rows)), counts)
    place = np.arange(len(entry)) - np.repeat(counts.cumsum() - counts, counts)
    word = sets.indices[sets.indptr[rows[entry]] + place].astype(np.int64)
    size = size[entry]
    return Entries(rows[entry], word, size, (Q * size - (P + Q) * place) // P)


def _list_pairs(low: Numbers, high: Numbers) -> Iterator[tuple[Numbers, Numbers]]:
    """Yield (entry, place) for each place from low to high of each entry, some millions at a time."""
    counts = high - low
    ends = counts.cumsum()
    start = 0
    while start < len(counts):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + PAIRS_AT_ONCE, side="right")))
        some = counts[start:stop]
        entry = np.repeat(np.arange(start, stop), some)
        place = np.arange(len(entry)) - np.repeat(some.cumsum() - some, some) + np.repeat(low[start:stop], some)
        yield entry, place
        start = stop
