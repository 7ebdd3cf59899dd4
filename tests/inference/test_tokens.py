"""Texts to token ids, and batches of them: against transformers' own tokenizers."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from sentiment140_bert import load_classifier, models
from sentiment140_bert.inference.torch_backend import TorchBackend, make_tokenization
from sentiment140_bert.models.tokenizer import pad_rows

pytest_plugins = "model_fixtures"

TEXTS = ["so good", "", "a day as long as it was sad, and then it rained on all of us", "so good", "meh", "so  good"]
ROWS = st.lists(st.lists(st.integers(1, 99), max_size=9), max_size=6)


@given(rows=ROWS, chosen=st.lists(st.integers(0, 5), max_size=8), left=st.booleans(), multiple=st.integers(1, 8))
def test_rows_in_any_order_are_padded_on_either_side(rows, chosen, left: bool, multiple: int) -> None:
    chosen = [at for at in chosen if at < len(rows)]
    flat = np.array([number for row in rows for number in row], dtype=np.int32)
    starts = np.array([sum(map(len, rows[:at])) for at in chosen], dtype=np.int64)
    lengths = np.array([len(rows[at]) for at in chosen], dtype=np.int64)
    filling = {"a": -9, "b": 0}
    matrices, inside = pad_rows({"a": flat, "b": flat * 10}, starts, lengths, filling, left=left, multiple=multiple)
    longest = max(lengths, default=0)
    width = next(width for width in range(longest, longest + multiple) if width % multiple == 0)
    for name, times in (("a", 1), ("b", 10)):
        padding = [[filling[name]] * (width - len(rows[at])) for at in chosen]
        numbers = [[times * number for number in rows[at]] for at in chosen]
        expected = [pad + row if left else row + pad for pad, row in zip(padding, numbers, strict=True)]
        assert matrices[name].tolist() == expected
        assert matrices[name].dtype == np.int64
        assert matrices[name].shape == inside.shape == (len(chosen), width)
        assert inside.tolist() == [[number != filling[name] for number in row] for row in expected]


@pytest.mark.parametrize(("padding", "truncation"), [*itertools.product(["right", "left"], repeat=2)])
def test_the_matrices_are_the_tokenizers(classifier_folder: Path, padding: str, truncation: str) -> None:
    model, tokenizer = models.load_model_and_tokenizer(str(classifier_folder))
    tokenizer.padding_side, tokenizer.truncation_side = padding, truncation
    before = tokenizer.backend_tokenizer.to_str()
    texts = [*TEXTS, "so sad " + "word " * 600 + "so good"]
    tokens = make_tokenization(model, tokenizer)(texts)
    assert tokenizer.backend_tokenizer.to_str() == before
    matrices = tokens.pad(np.arange(len(texts)))
    expected = tokenizer(texts, truncation=True, padding=True, return_tensors="np")
    assert set(matrices) == {"input_ids", "attention_mask"}  # all types are 0
    for name, matrix in matrices.items():
        np.testing.assert_array_equal(matrix, expected[name])
    assert tokens.truncated == 1


def test_texts_are_truncated_at_the_length_of_the_model(classifier_folder: Path) -> None:
    model, tokenizer = models.load_model_and_tokenizer(str(classifier_folder))
    tokenizer.model_max_length = 8
    texts = ["word " * count for count in range(12)]
    lengths = [len(ids) for ids in tokenizer(texts)["input_ids"]]
    tokens = make_tokenization(model, tokenizer)(texts)
    assert 8 in lengths
    assert tokens.lengths.tolist() == [min(length, 8) for length in lengths]
    assert tokens.truncated == sum(length > 8 for length in lengths)


def test_types_that_differ_are_passed_on(classifier_folder: Path) -> None:
    model, tokenizer = models.load_model_and_tokenizer(str(classifier_folder))
    content = tokenizer.backend_tokenizer.to_str().replace('"type_id":0', '"type_id":1')
    tokenizer._tokenizer = Tokenizer.from_str(content)
    expected = tokenizer(TEXTS, padding=True, return_tensors="np")["token_type_ids"]
    assert expected.any()
    matrices = make_tokenization(model, tokenizer)(TEXTS).pad(np.arange(len(TEXTS)))
    np.testing.assert_array_equal(matrices["token_type_ids"], expected)


def test_positions_of_roberta_begin_after_those_of_padding(small_bert: Callable[..., Path]) -> None:
    tokenizer = models.load_model_and_tokenizer(str(small_bert()))[1]
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    config = transformers.RobertaConfig(vocab_size=len(tokenizer), max_position_embeddings=66, pad_token_id=1, **sizes)
    model = transformers.RobertaForSequenceClassification(config)
    assert make_tokenization(model, tokenizer).max_length == 64


def test_equal_texts_are_computed_once_and_a_mask_of_ones_changes_nothing(classifier_folder: Path) -> None:
    classifier = load_classifier(str(classifier_folder))
    computed = 0

    def count(module: torch.nn.Module, positional: tuple, named: dict) -> None:
        nonlocal computed
        computed += len(named["input_ids"])

    hook = classifier.model.register_forward_pre_hook(count, with_kwargs=True)
    probabilities = classifier.probabilities(TEXTS)
    hook.remove()
    assert computed == 4  # "so good" is there three times
    np.testing.assert_array_equal(probabilities[[0, 0]], probabilities[[3, 5]])
    ids = np.random.default_rng(0).integers(1_000, 2_000, (5, 9))
    backend = TorchBackend(classifier.model)
    masked = backend.logits({"input_ids": ids, "attention_mask": np.ones_like(ids)})
    np.testing.assert_allclose(backend.logits({"input_ids": ids}), masked, atol=1e-6)
