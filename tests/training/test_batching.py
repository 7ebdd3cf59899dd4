"""Batches of tweets of like length: every tweet once, in an order that seed and epoch alone choose."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment140_bert.training.batching import BATCHES_AT_ONCE, LengthGroupedBatches, Share

LENGTHS = st.lists(st.integers(1, 128), max_size=300)


def epoch(batches: LengthGroupedBatches, number: int) -> list[list[int]]:
    batches.set_epoch(number)
    return list(batches)


def reference(lengths: list[int], size: int, seed: int, number: int) -> list[list[int]]:
    """Return the steps of an epoch, computed without arrays."""
    random = np.random.default_rng([seed, number])
    order = [int(row) for row in random.permutation(len(lengths))]
    steps: list[list[int]] = []
    while order:
        window, order = order[: 50 * size], order[50 * size :]
        window.sort(key=lambda row: lengths[row], reverse=True)
        while window:
            steps.append(window[:size])
            window = window[size:]
    return [steps[at] for at in random.permutation(len(steps))]


@given(LENGTHS, st.integers(1, 40), st.integers(0, 2**32), st.integers(0, 5))
def test_the_order_is_that_of_a_reference_whatever_came_before(
    lengths: list[int], size: int, seed: int, number: int
) -> None:
    batches = LengthGroupedBatches(lengths, Share(size), seed)
    assert epoch(batches, number + 1) == reference(lengths, size, seed, number + 1)
    assert epoch(batches, number) == reference(lengths, size, seed, number)
    assert BATCHES_AT_ONCE == 50


@pytest.mark.parametrize("size", [8, 32])
def test_hardly_any_padding(size: int) -> None:
    random = np.random.default_rng(0)
    lengths = np.clip(random.normal(20, 9, size * BATCHES_AT_ONCE * 3).astype(int), 4, 60)

    def padding(batches: list[list[int]]) -> int:
        return sum(int(len(batch) * lengths[batch].max() - lengths[batch].sum()) for batch in batches)

    shuffled = random.permutation(len(lengths)).reshape(-1, size).tolist()
    assert padding(list(LengthGroupedBatches(lengths, Share(size), 0))) < 0.1 * padding(shuffled)


@given(LENGTHS, st.integers(1, 40), st.integers(1, 3), st.integers(1, 5), st.integers(0, 3))
def test_splitting_a_step_does_not_change_its_tweets(
    lengths: list[int], size: int, processes: int, accumulated: int, number: int
) -> None:
    share = Share(size, processes, accumulated)
    dealt = LengthGroupedBatches(lengths, share, 7)
    parts = epoch(dealt, number)
    assert len(parts) == len(dealt)
    assert len(parts) % share.parts == 0
    assert max(map(len, parts), default=0) <= share.per_device
    steps = [[row for part in parts[at : at + share.parts] for row in part] for at in range(0, len(parts), share.parts)]
    assert steps == epoch(LengthGroupedBatches(lengths, Share(size), 7), number)


@given(LENGTHS, st.integers(1, 40), st.integers(1, 3), st.integers(1, 5))
def test_the_widest_part_holds_the_longest_tweets(
    lengths: list[int], size: int, processes: int, accumulated: int
) -> None:
    """Make it as large as the largest part of any step; no part has more tokens."""
    batches = LengthGroupedBatches(lengths, Share(size, processes, accumulated), 0)
    widest = batches.widest()
    assert len(set(widest)) == len(widest)
    most = -(-size // (processes * accumulated))
    assert [lengths[row] for row in widest] == sorted(lengths, reverse=True)[:most]
    for part in batches:
        assert len(part) <= max(len(widest), 0)
