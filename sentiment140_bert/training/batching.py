"""Batch tweets of like length, so that hardly any padding is computed, and share a step out over processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

BATCHES_AT_ONCE = 50  # batches' worth of tweets that are sorted together, as Transformers' group_by_length does


@dataclass(frozen=True)
class Share:
    """The parts of one optimizer step.

    Args:
        tweets: The global batch: the tweets of a step, of all processes together.
        processes: They compute at the same time.
        accumulated: The parts that each process computes one after the other.
    """

    tweets: int
    processes: int = 1
    accumulated: int = 1

    @property
    def parts(self) -> int:
        """The number of parts of a step."""
        return self.processes * self.accumulated

    @property
    def per_device(self) -> int:
        """The most tweets of a part, which must fit into a device's memory at once."""
        return -(-self.tweets // self.parts)

    def halved(self) -> Share:
        """Return the same step in parts of half the size."""
        return replace(self, accumulated=2 * self.accumulated)


class LengthGroupedBatches:
    """A batch sampler: shuffle, sort within windows of ``BATCHES_AT_ONCE`` batches, cut, shuffle the batches.

    Each batch is one optimizer step's and is dealt in ``share.parts`` parts of like size. So neither the number of
    processes nor that of accumulated parts changes which tweets a step learns from: they depend on the size of the
    step, ``seed`` and the epoch alone. Every tweet comes once in each epoch; the parts of its smallest step may be
    empty (see ``rows.TokenRows``). It has no ``batch_size``, which tells accelerate to deal whole parts to processes.

    Args:
        lengths: The number of tokens of each tweet.
        share: The size of a step (the last one may be smaller), and its parts.
        seed: The seed of the order.
    """

    def __init__(self, lengths: Sequence[int] | np.ndarray, share: Share, seed: int) -> None:
        self.lengths = np.asarray(lengths)
        self.share = share
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of that epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.lengths) // self.share.tweets) * self.share.parts

    def __iter__(self) -> Iterator[list[int]]:
        for step in self.steps():
            for part in np.array_split(step, self.share.parts):
                yield part.tolist()

    def steps(self) -> Iterator[np.ndarray]:
        """Yield the rows of each optimizer step of the epoch, the longest tweet first."""
        random = np.random.default_rng([self.seed, self.epoch])
        order = random.permutation(len(self.lengths))
        size = self.share.tweets
        window = size * BATCHES_AT_ONCE
        batches = []
        for start in range(0, len(order), window):
            part = order[start : start + window]
            part = part[np.argsort(-self.lengths[part], kind="stable")]
            batches += [part[at : at + size] for at in range(0, len(part), size)]
        for at in random.permutation(len(batches)):
            yield batches[at]

    def widest(self) -> list[int]:
        """Return the rows of the most demanding part that could come: full, of the longest tweets of all."""
        rows: list[int] = np.argsort(-self.lengths, kind="stable")[: self.share.per_device].tolist()
        return rows
