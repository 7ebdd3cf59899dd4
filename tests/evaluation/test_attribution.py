"""Weights of words: complete, exact in whatever batch, and of the tweet's own text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import decoders, pre_tokenizers, processors, trainers

from sentiment140_bert import models
from sentiment140_bert.data.clean import make_normalizer
from sentiment140_bert.evaluation.attribution import Piece, explain_texts, split_into_pieces
from sentiment140_bert.inference.torch_backend import TorchClassifier

pytest_plugins = "model_fixtures"

TWEETS = [
    *("what a lovely surprise, made my whole week", "no"),
    "@some_user you have GOT to hear this http://example.com/song?a=1 &amp; tell me what you think :)",
    "missed the last bus home, and now it's raaaaining cats and dogs, caf\xe9 closed",
    *("\U0001f468\u200d\U0001f469\u200d\U0001f467 family \U0001f600 unbelievably good", ""),
]
POSITIVE, NEGATIVE = 1, 0


def explain(
    classifier: TorchClassifier, texts: list[str], sides=(POSITIVE, NEGATIVE), **more: Any
) -> list[list[Piece]]:
    length = more.pop("max_length", classifier.max_length)
    return [*map(list, explain_texts(classifier.model, classifier.tokenizer, texts, *sides, length, **more))]


def add_up(explained: list[list[Piece]]) -> list[float]:
    return [sum(piece.weight or 0.0 for piece in pieces) for pieces in explained]


def list_words(pieces: list[Piece]) -> list[str]:
    return [piece.text for piece in pieces if piece.weight is not None]


def measure_distance(classifier: TorchClassifier, text: str) -> float:
    """Measure the due sum of a tweet's weights: its margin minus that of padding in its place."""
    encoded = classifier.tokenizer(
        text, truncation=True, max_length=classifier.max_length, return_special_tokens_mask=True, return_tensors="pt"
    )
    special = encoded.pop("special_tokens_mask").bool()
    embeddings = classifier.model.get_input_embeddings()
    with torch.inference_mode():
        empty = embeddings(encoded["input_ids"].where(special, classifier.tokenizer.pad_token_id))
        tweet = classifier.model(**encoded).logits[0]
        hook = embeddings.register_forward_hook(lambda *_: empty)
        padding = classifier.model(**encoded).logits[0]
        hook.remove()
    return float((tweet - padding)[POSITIVE] - (tweet - padding)[NEGATIVE])


def make_bert(small_bert: Callable[..., Path]) -> TorchClassifier:
    return TorchClassifier(*models.load_model_and_tokenizer(str(small_bert())))


def make_distilbert(small_bert: Callable[..., Path]) -> TorchClassifier:
    tokenizer = models.load_tokenizer(models.BUNDLED, normalizer=make_normalizer("repair"))
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    config = transformers.DistilBertConfig(
        vocab_size=len(tokenizer), dim=32, n_layers=2, n_heads=2, hidden_dim=64, initializer_range=0.2
    )
    transformers.set_seed(2)
    return TorchClassifier(transformers.DistilBertForSequenceClassification(config), tokenizer)


def make_roberta(small_bert: Callable[..., Path]) -> TorchClassifier:
    """Make a model with positions that are computed from the ids, and tokens of bytes."""
    backend = tokenizers.Tokenizer(tokenizers.models.BPE())
    backend.normalizer = make_normalizer("mask")
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    backend.train_from_iterator(
        TWEETS, trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet)
    )
    backend.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_input_names=["input_ids", "attention_mask"],
        model_max_length=128,
        **{"bos_token": "<s>", "cls_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "sep_token": "</s>"},
    )
    config = transformers.RobertaConfig(
        vocab_size=backend.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=130,
        initializer_range=0.2,
        pad_token_id=1,
    )
    transformers.set_seed(3)
    return TorchClassifier(transformers.RobertaForSequenceClassification(config), tokenizer)


ARCHITECTURES = {"bert": make_bert, "distilbert": make_distilbert, "roberta": make_roberta}


@pytest.fixture(scope="module", params=ARCHITECTURES)
def classifier(request: pytest.FixtureRequest, small_bert: Callable[..., Path]) -> TorchClassifier:
    return ARCHITECTURES[request.param](small_bert)


def test_the_weights_add_up(classifier: TorchClassifier) -> None:
    """Check completeness to 2% of the distance or 0.02 logits. These weights are random, so it takes many steps."""
    expected = [measure_distance(classifier, text) for text in TWEETS]
    assert max(map(abs, expected)) > 0.3
    assert np.allclose(add_up(explain(classifier, TWEETS, steps=400)), expected, rtol=0.02, atol=0.02)


@pytest.mark.long
def test_weights_of_the_bundled_encoder_add_up_and_follow_the_words(run: Path) -> None:
    """Check it to 5% of the distance, or of the largest distance if one is small, with the default steps."""
    classifier = TorchClassifier(*models.load_model_and_tokenizer(str(run)))
    expected = [measure_distance(classifier, text) for text in TWEETS[:4]]
    largest = max(map(abs, expected))
    assert largest > 0.01
    assert np.allclose(add_up(explain(classifier, TWEETS[:4])), expected, rtol=0.05, atol=0.05 * largest)
    glad, sad = explain(classifier, ["what a lovely day", "what a horrible day"])
    weights = {piece.text: piece.weight or 0 for piece in (*glad, *sad)}
    assert weights["lovely"] > 0 > weights["horrible"]


def test_a_tweet_has_the_same_weights_alone_and_in_a_batch(classifier: TorchClassifier) -> None:
    """Give padding no weight; it changes others only by rounding."""
    together = explain(classifier, [*TWEETS, "long " * 60])
    assert explain(classifier, [*TWEETS, "long " * 60]) == together
    for text, pieces in zip(TWEETS, together, strict=False):
        (alone,) = explain(classifier, [text])
        (turned,) = explain(classifier, [text], sides=(NEGATIVE, POSITIVE))
        assert [piece.text for piece in pieces] == [piece.text for piece in alone]
        for other, sign in ((alone, 1), (turned, -1)):
            weights = [[sign * (piece.weight or 0) for piece in other], [piece.weight or 0 for piece in pieces]]
            assert np.allclose(*weights, rtol=1e-3, atol=1e-4)
    assert explain(classifier, []) == []


def test_the_side_of_the_padding_does_not_matter(small_bert: Callable[..., Path]) -> None:
    """The positions of a tweet are others then, but not of the longest."""
    classifier = make_bert(small_bert)
    expected = add_up(explain(classifier, TWEETS[:2]))
    classifier.tokenizer.padding_side = "left"
    assert np.allclose(add_up(explain(classifier, TWEETS[:2]))[0], expected[0], rtol=1e-3, atol=1e-4)


# ---- the text


def test_the_pieces_are_the_words_of_the_tweets(classifier: TorchClassifier) -> None:
    explained = explain(classifier, TWEETS, steps=2)
    for text, pieces in zip(TWEETS, explained, strict=True):
        assert "".join(piece.text for piece in pieces) == text
        assert all(word.strip() == word for word in list_words(pieces))
    assert "lovely" in list_words(explained[0])
    assert {"unbelievably", "\U0001f468\u200d\U0001f469\u200d\U0001f467"} <= {*list_words(explained[4])}


def test_replaced_text_is_shown_as_written_and_cut_text_without_a_weight(small_bert: Callable[..., Path]) -> None:
    classifier = make_bert(small_bert)
    explained = explain(classifier, [TWEETS[2], "it\xe2\x80\x99s &quot;hi&quot; @a,@b_c"], steps=2)
    words = ["@some_user", "you", "have", "GOT", "to", "hear", "this", "http://example.com/song?a=1", "&amp;"]
    assert list_words(explained[0])[:9] == words
    assert list_words(explained[1]) == ["it", "\xe2\x80\x99", "s", "&quot;", "hi", "&quot;", "@a", ",", "@b_c"]
    (pieces,) = explain(classifier, ["one two three four five"], max_length=4, steps=2)
    assert list_words(pieces) == ["one", "two"]
    assert "".join(piece.text for piece in pieces) == "one two three four five"


@given(
    st.text(alphabet="ab @.\n\u200b", max_size=12).flatmap(
        lambda text: st.tuples(
            st.just(text),
            st.lists(st.tuples(*[st.integers(0, len(text))] * 2, st.sampled_from([None, 0, 1, 2])), max_size=6),
        )
    )
)
def test_whatever_the_offsets_the_text_is_whole_and_no_weight_is_lost(case: Any) -> None:
    text, tokens = case
    tokens = sorted(((min(one, two), max(one, two), word) for one, two, word in tokens), key=lambda token: token[:2])
    offsets, words = [token[:2] for token in tokens], [token[2] for token in tokens]
    pieces = list(split_into_pieces(text, offsets, words, [1.0] * len(tokens)))
    assert "".join(piece.text for piece in pieces) == text
    assert sum(piece.weight or 0 for piece in pieces) == sum(word is not None for word in words)
