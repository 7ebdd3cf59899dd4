"""Tokens made word by word are the tokenizer's own, for any text; where that is not sure they are made otherwise."""

from __future__ import annotations

import csv
import json
import logging
from itertools import islice

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from sentiment140_bert.data import clean, pipeline, tokenize, word_by_word
from sentiment140_bert.data.word_by_word import Encoder, _list_steps
from sentiment140_bert.models import load_tokenizer
from sentiment140_bert.recipe import DataConfig

LEVELS = {level: load_tokenizer("bundled:minilm", None, clean.make_normalizer(level)) for level in clean.LEVELS}
PIECES = [
    *(
        "a",
        "The",
        "isn't",
        "tweet",
        "...",
        "!",
        "x" * 101,
        "@",
        "_",
        "@bob",
        "http://",
        "www.",
        "WWW.a",
        "://",
        "amp;",
        "&",
    ),
    *(
        "&amp;",
        "&am",
        "p;",
        "&nbsp;",
        "&lt;",
        "&#39;",
        "&rsquo;",
        "&#x27;",
        "&#",
        "\xe2\u20ac\u2122",
        "\xf0\u0178\u02dc\u201a",
        "\xf0\u0178",
        "[SEP]",
        "[CLS]",
        "[MASK]",
        "[PAD]",
        "[UNK]",
        "[",
        "SEP]",
        "##ing",
    ),
    *("telecommunications", "Télécommunications", " telecommunications ", "telecommunication", "s", "\u00c2", "\u00a0"),
    *("\u00c3", "\u00a9", "\u00e2", "\u0080", "\u0099", "\u00ef\u00bf\u00bd", "\ufffd", "e\u0301", "\u0301", "\u0323"),
    *(
        "ß",
        "İ",
        "Σ",
        "ς",
        "中",
        "文",
        "日本語",
        "한국어",
        "한",
        "กำ",
        "♥",
        "🤷🏽‍♀️",
        "\u200b",
        "\u200d",
        "\u00ad",
        "\ufeff",
    ),
    *("\t", "\n", "\r", "\x00", "\x07", "\x85", "\u2028", "\u3000", "\u00a8", "\u037a", " ", "  "),
]
TEXTS = st.lists(
    st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=12).map("".join), st.just("")),
    min_size=1,
    max_size=8,
)


BACKENDS = {level: [tokenize.copy_backend(tokenizer) for _ in range(2)] for level, tokenizer in LEVELS.items()}


def both_ways(texts: list[str], level: str, max_length: int):
    """Tokens made word by word, and text by text; the copies of the vocabulary are made once, for they take long."""
    column = pa.chunked_array([texts[: len(texts) // 2], texts[len(texts) // 2 :]], pa.string())
    untouched, cutting = BACKENDS[level]
    words = word_by_word.WordTokenizer(untouched, max_length).tokenize(column)
    return words, tokenize.tokenize_text_by_text(cutting, max_length, column)


@given(texts=TEXTS, max_length=st.integers(3, 20), level=st.sampled_from(list(LEVELS)))
def test_any_text_becomes_the_tokenizers_own_tokens(texts, max_length, level):
    (ids, lengths, truncated), (own, own_lengths, own_truncated) = both_ways(texts, level, max_length)
    assert ids.to_pylist() == own.to_pylist()
    assert (ids.type, lengths.tolist(), truncated) == (own.type, own_lengths.tolist(), own_truncated)
    theirs = LEVELS[level](texts, truncation=True, max_length=max_length)["input_ids"]
    assert ids.to_pylist() == theirs
    assert lengths.tolist() == list(map(len, theirs))
    assert truncated == sum(len(one) > max_length for one in LEVELS[level](texts)["input_ids"])


def test_only_what_looks_like_something_to_repair_goes_through_the_rules():
    backend = tokenize.copy_backend(LEVELS["repair"])
    encoder = Encoder(backend)
    assert len(_list_steps(json.loads(encoder.without_repairs.to_str())["normalizer"])) == len(clean.MASKING) + 1
    for level in ("raw", "mask"):  # nothing to leave out
        assert Encoder(tokenize.copy_backend(LEVELS[level])).without_repairs is None
    backend.add_tokens([AddedToken("caf\xc3\xa9", normalized=True)])
    assert Encoder(backend).without_repairs is None


def test_more_words_than_are_given_to_the_tokenizer_at_once(monkeypatch):
    monkeypatch.setattr(word_by_word, "WORDS_IN_A_ROW", 3)
    monkeypatch.setattr(word_by_word, "ROWS_AT_ONCE", 2)
    monkeypatch.setattr(word_by_word, "TEXTS_AT_ONCE", 4)
    texts = [f"tweet {n} of telecommunications{n % 2} at {n * n}" for n in range(50)]
    words, own = both_ways(texts, "repair", 128)
    assert words[0].to_pylist() == own[0].to_pylist()


@pytest.mark.realdata
def test_real_tweets(real_data):
    with (real_data / "original_format_random.csv").open(encoding="latin-1", newline="") as file:
        texts = [row[5] for row in islice(csv.reader(file), 5_000)]
    words, own = both_ways(texts, "repair", 48)
    assert words[0].combine_chunks() == own[0].combine_chunks()
    assert words[2] == own[2]


def bert(**parts):
    backend = Tokenizer.from_str(LEVELS["repair"].backend_tokenizer.to_str())
    for name, part in parts.items():
        setattr(backend, name, part)
    return backend


def with_token(content: str, **how: bool):
    backend = bert()
    backend.add_tokens([AddedToken(content, **{"normalized": False} | how)])
    return backend


OTHERS = {
    "its normalizer has a step of its own (Replace)": bert(normalizer=normalizers.Replace(" ", "")),
    "its normalizer has a step of its own (NFKC)": bert(
        normalizer=normalizers.Sequence([normalizers.NFKC(), normalizers.BertNormalizer()])
    ),
    "not of BERT's kind (WordPiece after Whitespace)": bert(pre_tokenizer=pre_tokenizers.Whitespace()),
    "not of BERT's kind (BPE after BertPreTokenizer)": bert(model=models.BPE()),
    "special tokens in its own way (None)": Tokenizer(models.WordPiece({"a": 0, "[UNK]": 1})),
    "special tokens in its own way (RobertaProcessing)": bert(
        post_processor=processors.RobertaProcessing(("[SEP]", 102), ("[CLS]", 101))
    ),
    "added token 'two words'": with_token("two words"),
    "added token 'normalized'": with_token("normalized", normalized=True),
    "added token 'alone'": with_token("alone", single_word=True),
    "added token ' '": with_token(" "),
}


def test_a_tokenizer_that_may_look_past_a_space_is_given_whole_texts():
    for why, backend in OTHERS.items():
        if not backend.pre_tokenizer:
            backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        assert why in (word_by_word.find_obstacle(backend) or "")
    assert [word_by_word.find_obstacle(backend) for backend, _ in BACKENDS.values()] == [None] * len(LEVELS)
    assert word_by_word.find_obstacle(with_token("harmless")) is None


def test_another_tokenizer_is_told_and_makes_the_tokens_itself(cache, write, caplog):
    caplog.set_level(logging.INFO, "sentiment140_bert")
    backend = bert(normalizer=normalizers.Replace(" ", ""))
    other = PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]")
    prepared = pipeline.prepare_splits(DataConfig(dataset=str(write("t.csv")), validation_size=0.1, test_size=0.1))
    tokens = pipeline.tokenize_splits(prepared, other, 128).splits()["train"]
    assert tokens["input_ids"][:] == other(prepared.splits()["train"]["text"][:])["input_ids"]
    assert "tokenized tweet by tweet, not word by word: its normalizer has a step of its own (Replace)" in caplog.text


def test_no_tweet_that_was_not_drawn_is_tokenized(cache, write, monkeypatch):
    seen: list[str] = []

    class Watched(word_by_word.WordTokenizer):
        def tokenize(self, texts, name=""):
            seen.extend(texts.to_pylist())
            return super().tokenize(texts, name)

    monkeypatch.setattr(word_by_word, "WordTokenizer", Watched)
    rows = [[str(n % 2), f"tweet {n}"] for n in range(300)]
    prepared = pipeline.prepare_splits(
        DataConfig(dataset=str(write("t.csv", rows)), max_samples=60, validation_size=0.1, test_size=0.1)
    )
    pipeline.tokenize_splits(prepared, LEVELS["repair"], 128)
    assert len(seen) == len(set(seen)) == prepared.report["steps"]["drawn"] == 60
    assert set(seen) == {text for split in prepared.splits().values() for text in split["text"]}
