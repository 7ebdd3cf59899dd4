from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import torch
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models
from transformers import DataCollatorWithPadding, PreTrainedTokenizerFast

from sentiment140_bert.training.batching import IGNORED, TokenRows

TWEETS = st.lists(st.lists(st.integers(1, 99), min_size=1, max_size=20), min_size=1, max_size=30)


def tokenizer(side: str = "right", padding: int = 0) -> PreTrainedTokenizerFast:
    backend = Tokenizer(models.WordLevel({f"w{number}": number for number in range(100)}, unk_token="w1"))
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token=f"w{padding}", padding_side=side)


def table(tweets: list[list[int]]) -> Dataset:
    return Dataset.from_dict({"input_ids": tweets, "labels": [at % 2 for at in range(len(tweets))]})


@given(TWEETS, st.data(), st.sampled_from(["right", "left"]), st.sampled_from([0, 7]), st.sampled_from([1, 8]))
def test_a_batch_is_what_transformers_collator_makes(
    tweets: list[list[int]], data: st.DataObject, side: str, padding: int, multiple: int
) -> None:
    rows = data.draw(st.lists(st.integers(0, len(tweets) - 1), min_size=1, max_size=40))
    pad, whole = tokenizer(side, padding), table(tweets)
    expected = DataCollatorWithPadding(pad, pad_to_multiple_of=multiple)(
        [{**whole[row], "attention_mask": [1] * len(tweets[row])} for row in rows]
    )
    batch = TokenRows(whole, pad, multiple).__getitems__(rows)
    assert set(batch) == set(expected)
    for name, values in batch.items():
        assert values.dtype == torch.int64
        assert torch.equal(values, expected[name]), name


@given(TWEETS)
def test_longest_first_is_the_same_rows_in_another_order(tweets: list[list[int]]) -> None:
    rows = TokenRows(table(tweets), tokenizer())
    other = rows.longest_first()
    assert (np.diff(other.lengths) <= 0).all()
    loaded = [other[at] for at in range(len(other))]
    content = sorted((row["input_ids"].tolist(), int(row["labels"])) for row in loaded)
    assert content == sorted((tweet, at % 2) for at, tweet in enumerate(tweets))


def test_rows_of_a_selection_are_those_of_the_selection() -> None:
    whole = table([[1, 2], [3], [4, 5, 6], [7]])
    rows = TokenRows(whole.select([2, 0]), tokenizer())
    assert rows[0]["input_ids"].tolist() == [4, 5, 6]
    assert rows.lengths.tolist() == [3, 2]
    assert rows.labels.tolist() == [0, 0]


def test_without_rows_a_batch_counts_for_nothing() -> None:
    for padding in (0, 7, None):
        pad = SimpleNamespace(pad_token_id=padding, padding_side="right")
        batch = TokenRows(table([[1]]), pad).__getitems__([])
        assert batch["labels"].tolist() == [IGNORED]
        assert batch["input_ids"].shape == batch["attention_mask"].shape == (1, 2)
