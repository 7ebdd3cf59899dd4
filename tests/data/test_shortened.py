from __future__ import annotations

import datasets
import pyarrow as pa
import pytest

from sentiment140_bert import models
from sentiment140_bert.data.clean import normalizer
from sentiment140_bert.data.shortened import closing, shortened
from sentiment140_bert.data.tokenization import bare, text_by_text, tokenize

TEXTS = ["short", "", *(" ".join(f"word{at}" for at in range(count)) for count in (1, 5, 9, 40))]


@pytest.fixture(scope="module")
def tokenizer():
    return models.load_tokenizer(models.BUNDLED, normalizer=normalizer("repair"))


def as_table(ids: pa.ChunkedArray) -> datasets.Dataset:
    table = pa.table({"input_ids": ids, "labels": pa.array([at % 2 for at in range(len(ids))], pa.int64())})
    return datasets.Dataset(table)


@pytest.mark.parametrize("max_length", [3, 4, 7, 12, 63, 64, 100])
def test_cutting_tokens_is_tokenizing_again(tokenizer, max_length: int) -> None:
    texts = pa.chunked_array([TEXTS])
    whole = as_table(tokenize(texts, tokenizer, 64)[0])
    cut = shortened(whole, max_length, closing(tokenizer))
    assert cut["input_ids"][:] == tokenize(texts, tokenizer, min(max_length, 64))[0].to_pylist()
    assert cut["labels"][:] == whole["labels"][:]
    assert cut.features == whole.features


@pytest.mark.parametrize(("template", "behind"), [("[CLS] $A [SEP] [SEP]", 2), ("[CLS] $A", 0), ("$A [SEP]", 1)])
def test_whatever_stands_behind_a_text_stays(tokenizer, template: str, behind: int) -> None:
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    backend = bare(tokenizer)
    special = [(name, tokenizer.convert_tokens_to_ids(name)) for name in ("[CLS]", "[SEP]")]
    backend.post_processor = TemplateProcessing(single=template, special_tokens=special)
    other = PreTrainedTokenizerFast(tokenizer_object=backend)
    assert closing(other) == behind
    texts = pa.chunked_array([TEXTS])
    whole = as_table(text_by_text(bare(other), 64, texts)[0])
    assert shortened(whole, 9, behind)["input_ids"][:] == text_by_text(bare(other), 9, texts)[0].to_pylist()
