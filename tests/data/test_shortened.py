from __future__ import annotations

import datasets
import pyarrow as pa
import pytest

from sentiment140_bert import models
from sentiment140_bert.data.clean import make_normalizer
from sentiment140_bert.data.tokenize import (
    copy_backend,
    count_closing_tokens,
    tokenize,
    tokenize_text_by_text,
    truncate_tokens,
)

TEXTS = ["short", "", *(" ".join(f"word{at}" for at in range(count)) for count in (1, 5, 9, 40))]


@pytest.fixture(scope="module")
def tokenizer():
    return models.load_tokenizer(models.BUNDLED, normalizer=make_normalizer("repair"))


def as_table(ids: pa.ChunkedArray) -> datasets.Dataset:
    table = pa.table({"input_ids": ids, "labels": pa.array([at % 2 for at in range(len(ids))], pa.int64())})
    return datasets.Dataset(table)


@pytest.mark.parametrize("max_length", [3, 4, 7, 12, 63, 64, 100])
def test_cutting_tokens_is_tokenizing_again(tokenizer, max_length: int) -> None:
    texts = pa.chunked_array([TEXTS])
    whole = as_table(tokenize(texts, tokenizer, 64)[0])
    cut = truncate_tokens(whole, max_length, count_closing_tokens(tokenizer))
    assert cut["input_ids"][:] == tokenize(texts, tokenizer, min(max_length, 64))[0].to_pylist()
    assert cut["labels"][:] == whole["labels"][:]
    assert cut.features == whole.features


@pytest.mark.parametrize(("template", "behind"), [("[CLS] $A [SEP] [SEP]", 2), ("[CLS] $A", 0), ("$A [SEP]", 1)])
def test_whatever_stands_behind_a_text_stays(tokenizer, template: str, behind: int) -> None:
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    backend = copy_backend(tokenizer)
    special = [(name, tokenizer.convert_tokens_to_ids(name)) for name in ("[CLS]", "[SEP]")]
    backend.post_processor = TemplateProcessing(single=template, special_tokens=special)
    other = PreTrainedTokenizerFast(tokenizer_object=backend)
    assert count_closing_tokens(other) == behind
    texts = pa.chunked_array([TEXTS])
    whole = as_table(tokenize_text_by_text(copy_backend(other), 64, texts)[0])
    assert (
        truncate_tokens(whole, 9, behind)["input_ids"][:]
        == tokenize_text_by_text(copy_backend(other), 9, texts)[0].to_pylist()
    )
