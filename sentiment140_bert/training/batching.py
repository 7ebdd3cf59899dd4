"""Batch tweets of like length, so that hardly any padding is computed, and share a step out over processes.

Tokenized tweets are flat arrays, so a padded batch of any size is one gather.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from sentiment140_bert.models.architecture import find_padding_id
from sentiment140_bert.models.tokenizer import pad_rows

if TYPE_CHECKING:
    from datasets import Dataset as Table
    from transformers import TrainingArguments

Floats = npt.NDArray[np.float32]
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


IGNORED = -100  # a label that counts for nothing, as torch's cross entropy and Trainer's count of labels know it


class TokenRows(Dataset[Any]):
    """A map-style dataset whose ``__getitems__`` returns a complete batch, which needs no collating.

    Args:
        table: ``input_ids`` (lists) and ``labels``, read into memory: 4 bytes a token.
        tokenizer: Decides the side of the padding, and its number unless ``padding`` does.
        multiple: The width of a batch is a multiple of it; 8 for tensor cores.
        padding: The number that fills rows up.
    """

    soft_targets: Floats | None = None  # shape (rows, labels); see ``distillation``

    def __init__(self, table: Table, tokenizer: Any, multiple: int = 1, padding: int | None = None) -> None:
        columns = table.with_format("arrow")[:]
        lists = columns["input_ids"].combine_chunks()
        self.tokens = lists.flatten().to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
        self.lengths: npt.NDArray[np.int64] = lists.value_lengths().to_numpy(zero_copy_only=False).astype(np.int64)
        self.labels = columns["labels"].to_numpy().astype(np.int64)
        self.starts = np.cumsum(self.lengths) - self.lengths
        self.padding = int(tokenizer.pad_token_id or 0) if padding is None else padding
        self.on_the_right = tokenizer.padding_side == "right"
        self.multiple = multiple

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> dict[str, torch.Tensor]:
        return {name: values[0] for name, values in self.__getitems__([row]).items()}

    def __getitems__(self, rows: Sequence[int]) -> dict[str, torch.Tensor]:
        """Return ``input_ids`` and ``attention_mask`` of shape (rows, longest), ``labels`` of shape (rows,); all int64.

        With soft targets also ``soft_targets`` of shape (rows, labels), float32.

        Without rows, as in a process when a step has fewer tweets than parts, return one row that counts for nothing.
        """
        if not len(rows):
            nothing = {
                "input_ids": torch.full((1, 2), self.padding),
                "attention_mask": torch.ones((1, 2), dtype=torch.int64),
                "labels": torch.tensor([IGNORED]),
            }
            return nothing | self._pick_soft_targets(np.zeros(1, dtype=np.int64))
        chosen = np.asarray(rows)
        columns, inside = pad_rows(
            {"input_ids": self.tokens},
            self.starts[chosen],
            self.lengths[chosen],
            {"input_ids": self.padding},
            left=not self.on_the_right,
            multiple=self.multiple,
        )
        batch = {
            "input_ids": torch.from_numpy(columns["input_ids"]),
            "attention_mask": torch.from_numpy(inside.astype(np.int64)),
            "labels": torch.from_numpy(self.labels[chosen]),
        }
        return batch | self._pick_soft_targets(chosen)

    def _pick_soft_targets(self, rows: npt.NDArray[np.int64]) -> dict[str, torch.Tensor]:
        return {} if self.soft_targets is None else {"soft_targets": torch.from_numpy(self.soft_targets[rows])}

    def longest_first(self) -> TokenRows:
        """Return the same rows by length, so that scoring them computes hardly any padding."""
        return self.select(np.argsort(-self.lengths, kind="stable"))

    def select(self, rows: npt.NDArray[np.int64]) -> TokenRows:
        """Return those rows in that order; the tokens are shared."""
        chosen = object.__new__(TokenRows)
        chosen.__dict__ |= self.__dict__
        chosen.lengths, chosen.starts, chosen.labels = self.lengths[rows], self.starts[rows], self.labels[rows]
        return chosen


def keep_batch(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return a batch unchanged: ``TokenRows`` has collated it."""
    return batch


def lengths_of(table: Any) -> npt.NDArray[np.int64]:
    """Return the number of tokens of each row of a split, from Arrow's offsets, without reading the tokens."""
    import pyarrow.compute as pc

    return np.asarray(pc.list_value_length(table.with_format("arrow")[:]["input_ids"]).to_numpy())


def share_of(arguments: TrainingArguments) -> Share:
    """Return how the arguments share a step out."""
    processes, accumulated = arguments.world_size, arguments.gradient_accumulation_steps
    return Share(arguments.per_device_train_batch_size * accumulated * processes, processes, accumulated)


def make_rows(
    model: Any, tokenizer: Any, splits: Any, arguments: TrainingArguments, soft_targets: Floats | None = None
) -> dict[str, TokenRows]:
    """Return the splits that training reads as batches, padded as model and precision want it."""
    if getattr(model.config, "pad_token_id", None) is None:  # GPT-2 and similar models find the end of a text by it
        model.config.pad_token_id = tokenizer.pad_token_id
    multiple = 8 if arguments.fp16 or arguments.bf16 else 1  # as tensor cores want it
    padding = find_padding_id(model, tokenizer)
    rows = {name: TokenRows(splits[name], tokenizer, multiple, padding) for name in ("train", "validation")}
    rows["train"].soft_targets = soft_targets
    return rows
