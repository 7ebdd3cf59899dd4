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
from sentiment140_bert.data.clean import normalizer
from sentiment140_bert.evaluation.attribution import Piece, explain, pieces
from sentiment140_bert.inference.torch_backend import TorchClassifier

pytest_plugins = "model_fixtures"

TWEETS = [
    "what a lovely surprise, made my whole week",
    "no",
    "@some_user you have GOT to hear this http://example.com/song?a=1 &amp; tell me what you think :)",
    "missed the last bus home, and now it's raaaaining cats and dogs, caf\xe9 closed",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 family \U0001f600 unbelievably good",
    "",
]
POSITIVE, NEGATIVE = 1, 0


def explained(classifier: TorchClassifier, texts: list[str], **changes: Any) -> list[tuple[Piece, ...]]:
    return explain(classifier.model, classifier.tokenizer, texts, POSITIVE, NEGATIVE, classifier.max_length, **changes)


def sums(found: list[tuple[Piece, ...]]) -> list[float]:
    return [sum(piece.weight or 0.0 for piece in each) for each in found]


def words(found: tuple[Piece, ...]) -> list[str]:
    return [piece.text for piece in found if piece.weight is not None]


def distance(classifier: TorchClassifier, text: str) -> float:
    """What a tweet's weights are to add up to: its margin beyond that of padding in its place, each asked alone."""
    encoded = classifier.tokenizer(
        text, truncation=True, max_length=classifier.max_length, return_special_tokens_mask=True, return_tensors="pt"
    )
    special = encoded.pop("special_tokens_mask").bool()
    embeddings = classifier.model.get_input_embeddings()
    with torch.inference_mode():
        empty = embeddings(encoded["input_ids"].where(special, classifier.tokenizer.pad_token_id))
        here = classifier.model(**encoded).logits[0]
        hook = embeddings.register_forward_hook(lambda *_: empty)
        there = classifier.model(**encoded).logits[0]
        hook.remove()
    return float((here - there)[POSITIVE] - (here - there)[NEGATIVE])


def bert(small_bert: Callable[..., Path]) -> TorchClassifier:
    return TorchClassifier(*models.load_classifier(str(small_bert())))


def distilbert(small_bert: Callable[..., Path]) -> TorchClassifier:
    tokenizer = models.load_tokenizer(tokenizers.models.BUNDLED, normalizer=normalizer("repair"))
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    config = transformers.DistilBertConfig(
        vocab_size=len(tokenizer), dim=32, n_layers=2, n_heads=2, hidden_dim=64, initializer_range=0.2
    )
    transformers.set_seed(2)
    return TorchClassifier(transformers.DistilBertForSequenceClassification(config), tokenizer)


def roberta(small_bert: Callable[..., Path]) -> TorchClassifier:
    """With positions that are made from the ids, and tokens of bytes."""
    backend = tokenizers.Tokenizer(tokenizers.models.BPE())
    backend.normalizer = normalizer("mask")
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


ARCHITECTURES = {"bert": bert, "distilbert": distilbert, "roberta": roberta}


@pytest.fixture(scope="module", params=ARCHITECTURES)
def classifier(request: pytest.FixtureRequest, small_bert: Callable[..., Path]) -> TorchClassifier:
    return ARCHITECTURES[request.param](small_bert)


def test_the_weights_add_up(classifier: TorchClassifier) -> None:
    """Completeness, to 2% of the distance or 0.02 logits. These weights are random and wild, so it takes many steps."""
    expected = [distance(classifier, text) for text in TWEETS]
    assert max(map(abs, expected)) > 0.3
    found = sums(explained(classifier, TWEETS, steps=400))
    assert np.allclose(found, expected, rtol=0.02, atol=0.02)


@pytest.mark.long
def test_they_add_up_for_the_bundled_encoder_with_the_steps_that_are_taken(run: Path) -> None:
    """To 5% of the distance, or of the largest distance where one is small."""
    classifier = TorchClassifier(*models.load_classifier(str(run)))
    texts = TWEETS[:4]
    expected = [distance(classifier, text) for text in texts]
    largest = max(map(abs, expected))
    assert largest > 0.01
    assert np.allclose(sums(explained(classifier, texts)), expected, rtol=0.05, atol=0.05 * largest)


def test_a_tweet_has_the_same_weights_alone_and_in_company(classifier: TorchClassifier) -> None:
    """Padding has no weight and changes none; what is left are the rounding errors of sums in another order."""
    together = explained(classifier, [*TWEETS, "long " * 60])
    for text, found in zip(TWEETS, together, strict=False):
        (alone,) = explained(classifier, [text])
        assert [piece.text for piece in found] == [piece.text for piece in alone]
        pairs = [(one.weight, other.weight) for one, other in zip(found, alone, strict=True) if one.weight is not None]
        assert np.allclose(*zip(*pairs, strict=True), rtol=1e-3, atol=1e-4) if pairs else not text


def test_the_same_call_gives_the_same_weights(classifier: TorchClassifier) -> None:
    assert explained(classifier, TWEETS) == explained(classifier, TWEETS)


def test_the_side_of_the_padding_does_not_matter(small_bert: Callable[..., Path]) -> None:
    classifier = bert(small_bert)
    expected = sums(explained(classifier, TWEETS[:2]))
    classifier.tokenizer.padding_side = "left"
    # The positions of a tweet are others then, but not so where it is the longest.
    assert np.allclose(sums(explained(classifier, TWEETS[:2]))[0], expected[0], rtol=1e-3, atol=1e-4)


def test_turning_the_sides_turns_the_signs(classifier: TorchClassifier) -> None:
    (one,) = explained(classifier, TWEETS[:1])
    (other,) = explain(classifier.model, classifier.tokenizer, TWEETS[:1], NEGATIVE, POSITIVE, classifier.max_length)
    assert np.allclose([-(piece.weight or 0) for piece in one], [piece.weight or 0 for piece in other], atol=1e-5)


def test_no_tweets(classifier: TorchClassifier) -> None:
    assert explained(classifier, []) == []


@pytest.mark.long
def test_a_word_that_moves_the_answer_weighs_most(run: Path) -> None:
    classifier = TorchClassifier(*models.load_classifier(str(run)))
    glad, sad = explained(classifier, ["what a lovely day", "what a horrible day"])
    weights = {piece.text: piece.weight or 0 for piece in (*glad, *sad)}
    assert weights["lovely"] > 0 > weights["horrible"]


# ---- the text


def test_the_pieces_are_the_tweets(classifier: TorchClassifier) -> None:
    for text, found in zip(TWEETS, explained(classifier, TWEETS, steps=2), strict=True):
        assert "".join(piece.text for piece in found) == text
        assert all(piece.text.strip() == piece.text for piece in found if piece.weight is not None)


def test_what_the_normalizer_replaced_stands_as_it_was_written(small_bert: Callable[..., Path]) -> None:
    found = explained(bert(small_bert), [TWEETS[2], "it\xe2\x80\x99s &quot;hi&quot; @a,@b_c"], steps=2)
    assert words(found[0])[:8] == [
        "@some_user",
        "you",
        "have",
        "GOT",
        "to",
        "hear",
        "this",
        "http://example.com/song?a=1",
    ]
    assert words(found[0])[8] == "&amp;"
    assert words(found[1]) == ["it", "\xe2\x80\x99", "s", "&quot;", "hi", "&quot;", "@a", ",", "@b_c"]


def test_pieces_of_words_are_words(classifier: TorchClassifier) -> None:
    found = explained(classifier, TWEETS, steps=2)
    assert "unbelievably" in words(found[4])
    assert "\U0001f468\u200d\U0001f469\u200d\U0001f467" in words(found[4])
    assert "lovely" in words(found[0])


def test_what_was_cut_is_shown_without_a_weight(small_bert: Callable[..., Path]) -> None:
    classifier = bert(small_bert)
    text = "one two three four five"
    (found,) = explain(classifier.model, classifier.tokenizer, [text], POSITIVE, NEGATIVE, max_length=4, steps=2)
    assert words(found) == ["one", "two"]
    assert "".join(piece.text for piece in found) == text


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
    tokens = sorted(((min(one, two), max(one, two), word) for one, two, word in tokens), key=lambda each: each[:2])
    offsets, ids = [each[:2] for each in tokens], [each[2] for each in tokens]
    found = list(pieces(text, offsets, ids, [1.0] * len(tokens)))
    assert "".join(piece.text for piece in found) == text
    counted = sum(word is not None for word in ids)
    assert sum(piece.weight or 0 for piece in found) == counted
