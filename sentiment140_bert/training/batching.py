"""Batches of tweets of like length, so that hardly a token of padding is computed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

BATCHES_AT_ONCE = 50  # batches' worth of tweets that are sorted together, as Transformers' group_by_length does


class LengthGroupedBatches:
    """A batch sampler: shuffle, sort within windows of ``BATCHES_AT_ONCE`` batches, cut, shuffle the batches.

    The order depends on ``seed`` and the epoch alone. Every tweet comes once in each epoch (with an
    odd number of batches on two processes accelerate deals one batch twice). It has no
    ``batch_size``, by which accelerate knows that it deals whole batches to processes.

    Args:
        lengths: Tokens of each tweet.
        size: Tweets in a batch; the last one of an epoch may be smaller.
        seed: Of the order.
    """

    def __init__(self, lengths: Sequence[int] | np.ndarray, size: int, seed: int) -> None:
        self.lengths = np.asarray(lengths)
        self.size = size
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Chooses the order of that epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.lengths) // self.size)

    def __iter__(self) -> Iterator[list[int]]:
        random = np.random.default_rng([self.seed, self.epoch])
        order = random.permutation(len(self.lengths))
        window = self.size * BATCHES_AT_ONCE
        batches = []
        for start in range(0, len(order), window):
            part = order[start : start + window]
            part = part[np.argsort(-self.lengths[part], kind="stable")]
            batches += [part[at : at + self.size] for at in range(0, len(part), self.size)]
        for at in random.permutation(len(batches)):
            yield batches[at].tolist()
