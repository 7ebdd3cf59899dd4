from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment140_bert.training.batching import BATCHES_AT_ONCE, LengthGroupedBatches

LENGTHS = st.lists(st.integers(1, 128), max_size=300)


def epoch(batches: LengthGroupedBatches, number: int) -> list[list[int]]:
    batches.set_epoch(number)
    return list(batches)


@given(LENGTHS, st.integers(1, 40), st.integers(0, 2**32), st.integers(0, 5))
def test_every_row_comes_once_in_batches_of_the_size(lengths: list[int], size: int, seed: int, number: int) -> None:
    batches = LengthGroupedBatches(lengths, size, seed)
    made = epoch(batches, number)
    assert sorted(row for batch in made for row in batch) == list(range(len(lengths)))
    assert len(made) == len(batches) == -(-len(lengths) // size)
    assert sorted(map(len, made), reverse=True)[:-1] == [size] * (len(made) - 1) if made else True


@given(LENGTHS, st.integers(1, 40), st.integers(0, 2**32), st.integers(0, 5))
def test_the_order_depends_on_seed_and_epoch_alone(lengths: list[int], size: int, seed: int, number: int) -> None:
    straight, detour = LengthGroupedBatches(lengths, size, seed), LengthGroupedBatches(lengths, size, seed)
    epoch(detour, number + 1)
    assert epoch(straight, number) == epoch(detour, number)


def test_epochs_and_seeds_differ() -> None:
    lengths = np.random.default_rng(0).integers(5, 40, 500)
    orders = [epoch(LengthGroupedBatches(lengths, 16, seed), number) for seed in (1, 2) for number in (0, 1, 2)]
    assert all(one != other for at, one in enumerate(orders) for other in orders[:at])


def test_batches_of_an_epoch_are_not_sorted_by_length() -> None:
    lengths = np.random.default_rng(0).integers(5, 40, 800)
    longest = [max(lengths[row] for row in batch) for batch in LengthGroupedBatches(lengths, 16, 0)]
    assert longest not in (sorted(longest), sorted(longest, reverse=True))


@pytest.mark.parametrize("size", [8, 32])
def test_hardly_any_padding(size: int) -> None:
    random = np.random.default_rng(0)
    lengths = np.clip(random.normal(20, 9, size * BATCHES_AT_ONCE * 3).astype(int), 4, 60)

    def padding(batches: list[list[int]]) -> int:
        return sum(int(len(batch) * lengths[batch].max() - lengths[batch].sum()) for batch in batches)

    shuffled = random.permutation(len(lengths)).reshape(-1, size).tolist()
    assert padding(list(LengthGroupedBatches(lengths, size, 0))) < 0.1 * padding(shuffled)
