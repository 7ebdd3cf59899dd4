from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from sentiment140_bert import models
from sentiment140_bert.inference import Tokens
from sentiment140_bert.inference.torch_backend import TorchBackend, make_tokenization

pytest_plugins = "model_fixtures"

TEXTS = ["so good", "", "a day as long as it was sad, and then it rained on all of us", "so good", "meh", "so  good"]


def rows(*lengths: int, left: bool = False, types: bool = False) -> Tokens:
    """Rows whose numbers count on from one to the next."""
    flat = {"input_ids": np.arange(1, sum(lengths) + 1)}
    padding = {"input_ids": 0, "token_type_ids": 3}
    if types:
        flat["token_type_ids"] = np.ones(sum(lengths), dtype=np.int64)
    return Tokens(flat, np.array(lengths, dtype=np.int64), 0, padding, left)


def test_padding_on_either_side() -> None:
    right = rows(2, 3, 1, types=True).pad(np.array([1, 0]))
    assert right["input_ids"].tolist() == [[3, 4, 5], [1, 2, 0]]
    assert right["attention_mask"].tolist() == [[1, 1, 1], [1, 1, 0]]
    assert right["token_type_ids"].tolist() == [[1, 1, 1], [1, 1, 3]]
    left = rows(2, 3, 1, left=True).pad(np.array([2, 1]))
    assert left["input_ids"].tolist() == [[0, 0, 6], [3, 4, 5]]
    assert left["attention_mask"].tolist() == [[0, 0, 1], [1, 1, 1]]


def test_no_mask_without_padding() -> None:
    assert set(rows(3, 2, 3).pad(np.array([0, 2]))) == {"input_ids"}


def test_equal_rows_are_found() -> None:
    tokens = Tokens({"input_ids": np.array([5, 6, 5, 5, 6, 7, 5])}, np.array([2, 1, 2, 1, 1]), 0, {"input_ids": 0})
    chosen, places = tokens.find_distinct()
    assert chosen.tolist() == [1, 0, 3]
    assert places.tolist() == [1, 0, 1, 2, 0]


def test_the_matrices_are_the_tokenizers(classifier_folder: Path) -> None:
    model, tokenizer = models.load_model_and_tokenizer(str(classifier_folder))
    for padding, cutting in itertools.product(["right", "left"], repeat=2):
        tokenizer.padding_side, tokenizer.truncation_side = padding, cutting
        texts = [*TEXTS, "so sad " + "word " * 600 + "so good"]
        expected = tokenizer(texts, truncation=True, padding=True, return_tensors="np")
        tokens = make_tokenization(model, tokenizer)(texts)
        made = tokens.pad(np.arange(len(texts)))
        assert set(made) == {"input_ids", "attention_mask"}  # all types are 0
        np.testing.assert_array_equal(made["input_ids"], expected["input_ids"])
        np.testing.assert_array_equal(made["attention_mask"], expected["attention_mask"])
        assert tokens.truncated == 1


def test_a_text_is_cut_where_it_has_more_tokens_than_the_model_takes(classifier_folder: Path) -> None:
    model, tokenizer = models.load_model_and_tokenizer(str(classifier_folder))
    tokenizer.model_max_length = 8
    texts = ["word " * count for count in range(12)]
    whole = [len(ids) for ids in tokenizer(texts)["input_ids"]]
    tokens = make_tokenization(model, tokenizer)(texts)
    assert tokens.lengths.tolist() == [min(length, 8) for length in whole]
    assert 8 in whole
    assert tokens.truncated == sum(length > 8 for length in whole)


def test_types_are_passed_on_where_they_tell_something(classifier_folder: Path) -> None:
    model, tokenizer = models.load_model_and_tokenizer(str(classifier_folder))
    content = tokenizer.backend_tokenizer.to_str().replace('"type_id":0', '"type_id":1')
    tokenizer._tokenizer = Tokenizer.from_str(content)
    expected = tokenizer(TEXTS, padding=True, return_tensors="np")
    assert expected["token_type_ids"].any()
    made = make_tokenization(model, tokenizer)(TEXTS).pad(np.arange(len(TEXTS)))
    np.testing.assert_array_equal(made["token_type_ids"], expected["token_type_ids"])


def test_the_tokenizer_is_left_as_it_was(classifier_folder: Path) -> None:
    model, tokenizer = models.load_model_and_tokenizer(str(classifier_folder))
    before = tokenizer.backend_tokenizer.to_str()
    make_tokenization(model, tokenizer)(TEXTS)
    assert tokenizer.backend_tokenizer.to_str() == before


def test_equal_texts_are_computed_once(classifier_folder: Path) -> None:
    from sentiment140_bert import load_classifier

    classifier = load_classifier(str(classifier_folder))
    seen = 0

    def count(module: torch.nn.Module, positional: tuple, named: dict) -> None:
        nonlocal seen
        seen += len(named["input_ids"])

    classifier.model.register_forward_pre_hook(count, with_kwargs=True)
    found = classifier.probabilities(TEXTS)
    assert seen == 4  # "so good" stands there three times
    np.testing.assert_array_equal(found[0], found[3])
    np.testing.assert_array_equal(found[0], found[5])
    assert classifier.empty == 1


def test_leaving_the_mask_away_changes_nothing(classifier_folder: Path) -> None:
    backend = TorchBackend(models.load_model_and_tokenizer(str(classifier_folder))[0])
    ids = np.random.default_rng(0).integers(1_000, 2_000, (5, 9))
    masked = backend.logits({"input_ids": ids, "attention_mask": np.ones_like(ids)})
    np.testing.assert_allclose(backend.logits({"input_ids": ids}), masked, atol=1e-6)


def test_a_classifier_of_another_family(small_bert: Callable[..., Path]) -> None:
    """RoBERTa's positions begin behind the padding's, so its texts are cut earlier."""
    import transformers

    tokenizer = models.load_model_and_tokenizer(str(small_bert()))[1]
    config = transformers.RobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=66,
        pad_token_id=1,
    )
    model = transformers.RobertaForSequenceClassification(config)
    assert make_tokenization(model, tokenizer).max_length == 64
