"""Tokenize: word by word or text by text, and truncated later, the tokens are the tokenizer's own, for any text."""

from __future__ import annotations

import csv
import logging
from itertools import islice

import pyarrow as pa
import pytest
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from sentiment140_bert.data import clean, pipeline, tokenize, word_by_word
from sentiment140_bert.models import load_tokenizer
from sentiment140_bert.recipe import DataConfig

LEVELS = {level: load_tokenizer("bundled:minilm", None, clean.make_normalizer(level)) for level in clean.LEVELS}
# Made once, for each copies the vocabulary.
BY_WORD = {level: word_by_word.WordTokenizer(tokenize.copy_backend(LEVELS[level]), 128) for level in LEVELS}
# Words, entities, misread characters, special tokens, scripts, marks and white space, by spaces.
WORDS = """
a The isn't tweet ... ! @ _ @bob http:// www. WWW.a :// amp; & &amp; &am p; &nbsp; &lt; &#39; &rsquo; &#x27; &# [ SEP]
[SEP] [CLS] [MASK] [PAD] [UNK] ##ing telecommunications Télécommunications telecommunication s ß İ Σ ς 中 文 ♥ 日本語
한국어 한 กำ 🤷🏽‍♀️ \xe2\u20ac\u2122 \xf0\u0178\u02dc\u201a
\xf0\u0178 \u00c2 \u00c3 \u00a9 \u00e2 \u00ef\u00bf\u00bd \ufffd
"""
SIGNS = ["́", "̣", "\u200b", "\u200d", "\xad", "\ufeff", "\x80", "\x99", "\x00", "\x07", "¨", "ͺ", "é"]
SPACES = ["\u00a0", "\t", "\n", "\r", "\x85", "\u2028", "\u3000", " ", "  ", " telecommunications "]
PIECES = [*WORDS.split(), *SIGNS, *SPACES, "x" * 101]
TEXTS = st.lists(
    st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=12).map("".join), st.just("")),
    min_size=1,
    max_size=8,
)


def tokenize_by_word(texts: list[str], level: str, max_length: int) -> tokenize.Tokens:
    BY_WORD[level].max_length = max_length
    return BY_WORD[level].tokenize(make_column(texts))


def tokenize_by_text(texts: list[str], level: str, max_length: int) -> tokenize.Tokens:
    backend = tokenize.copy_backend(LEVELS[level])
    return tokenize.tokenize_text_by_text(backend, max_length, make_column(texts))


def make_column(texts: list[str]) -> pa.ChunkedArray:
    return pa.chunked_array([texts[: len(texts) // 2], texts[len(texts) // 2 :]], pa.string())


def check(tokens: tokenize.Tokens, texts: list[str], level: str, max_length: int) -> None:
    ids, lengths, truncated = tokens
    expected = LEVELS[level](texts, truncation=True, max_length=max_length)["input_ids"]
    assert (ids.type, ids.to_pylist()) == (pa.list_(pa.int32()), expected)
    assert lengths.tolist() == list(map(len, expected))
    assert truncated == sum(len(text_ids) > max_length for text_ids in LEVELS[level](texts)["input_ids"])


@given(texts=TEXTS, max_length=st.integers(3, 20), level=st.sampled_from(list(LEVELS)))
def test_any_text_becomes_the_tokenizers_own_tokens(texts, max_length, level):
    check(tokenize_by_word(texts, level, max_length), texts, level, max_length)


@given(texts=TEXTS, max_length=st.integers(3, 20), level=st.sampled_from(list(LEVELS)))
@settings(max_examples=15)
def test_so_does_any_text_by_itself(texts, max_length, level):
    check(tokenize_by_text(texts, level, max_length), texts, level, max_length)


def test_the_number_of_words_and_texts_at_once_makes_no_difference(monkeypatch):
    monkeypatch.setattr(word_by_word, "WORDS_IN_A_ROW", 3)
    monkeypatch.setattr(word_by_word, "ROWS_AT_ONCE", 2)
    monkeypatch.setattr(word_by_word, "TEXTS_AT_ONCE", 4)
    texts = [f"tweet {n} of telecommunications{n % 2} at {n * n}" for n in range(50)]
    check(tokenize_by_word(texts, "repair", 128), texts, "repair", 128)


@pytest.mark.realdata
def test_real_tweets(real_data):
    with (real_data / "original_format_random.csv").open(encoding="latin-1", newline="") as file:
        texts = [row[5] for row in islice(csv.reader(file), 5_000)]
    check(tokenize_by_word(texts, "repair", 48), texts, "repair", 48)


# ---- tokenizers that may look past a space


def make_bert(**parts):
    backend = Tokenizer.from_str(LEVELS["repair"].backend_tokenizer.to_str())
    for name, part in parts.items():
        setattr(backend, name, part)
    return backend


def add_token(content: str, **options: bool):
    backend = make_bert()
    backend.add_tokens([AddedToken(content, **{"normalized": False} | options)])
    return backend


NFKC = normalizers.Sequence([normalizers.NFKC(), normalizers.BertNormalizer()])
ROBERTA = processors.RobertaProcessing(("[SEP]", 102), ("[CLS]", 101))
OBSTACLES = {
    "its normalizer has an unsupported step (Replace)": make_bert(normalizer=normalizers.Replace(" ", "")),
    "its normalizer has an unsupported step (NFKC)": make_bert(normalizer=NFKC),
    "not a BERT tokenizer (WordPiece after Whitespace)": make_bert(pre_tokenizer=pre_tokenizers.Whitespace()),
    "not a BERT tokenizer (BPE after BertPreTokenizer)": make_bert(model=models.BPE()),
    "special tokens in an unsupported way (None)": Tokenizer(models.WordPiece({"a": 0, "[UNK]": 1})),
    "special tokens in an unsupported way (RobertaProcessing)": make_bert(post_processor=ROBERTA),
    "added token 'two words'": add_token("two words"),
    "added token 'normalized'": add_token("normalized", normalized=True),
    "added token 'alone'": add_token("alone", single_word=True),
    "added token ' '": add_token(" "),
}


def test_tokenizers_that_may_look_past_a_space_get_whole_texts():
    for obstacle, backend in OBSTACLES.items():
        backend.pre_tokenizer = backend.pre_tokenizer or pre_tokenizers.BertPreTokenizer()
        assert obstacle in (word_by_word.find_obstacle(backend) or "")
    for backend in (*map(tokenize.copy_backend, LEVELS.values()), add_token("harmless")):
        assert word_by_word.find_obstacle(backend) is None


def test_another_tokenizer_makes_the_tokens_itself_and_the_log_has_the_reason(cache, write, caplog):
    caplog.set_level(logging.INFO, "sentiment140_bert")
    backend = make_bert(normalizer=normalizers.Replace(" ", ""))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]")
    prepared = pipeline.prepare_splits(DataConfig(dataset=str(write("t.csv")), validation_size=0.1, test_size=0.1))
    tokens = pipeline.tokenize_splits(prepared, tokenizer, 128).splits()["train"]
    assert tokens["input_ids"][:] == tokenizer(prepared.splits()["train"]["text"][:])["input_ids"]
    assert "tokenized tweet by tweet, not word by word: its normalizer has an unsupported step (Replace)" in caplog.text


def test_only_sampled_tweets_are_tokenized(cache, write, monkeypatch):
    tokenized: list[str] = []

    class Recorder(word_by_word.WordTokenizer):
        def tokenize(self, texts, name=""):
            tokenized.extend(texts.to_pylist())
            return super().tokenize(texts, name)

    monkeypatch.setattr(word_by_word, "WordTokenizer", Recorder)
    path = write("t.csv", [[str(n % 2), f"tweet {n}"] for n in range(300)])
    data = DataConfig(dataset=str(path), max_samples=60, validation_size=0.1, test_size=0.1)
    prepared = pipeline.prepare_splits(data)
    pipeline.tokenize_splits(prepared, LEVELS["repair"], 128)
    assert len(tokenized) == len(set(tokenized)) == prepared.report["steps"]["drawn"] == 60
    assert set(tokenized) == {text for split in prepared.splits().values() for text in split["text"]}


# ---- truncated later

SHORT_AND_LONG = ["short", "", *(" ".join(f"word{at}" for at in range(count)) for count in (1, 5, 9, 40))]


def make_split(ids: pa.ChunkedArray) -> Dataset:
    return Dataset(pa.table({"input_ids": ids, "labels": pa.array([at % 2 for at in range(len(ids))], pa.int64())}))


@pytest.mark.parametrize("max_length", [3, 4, 7, 12, 63, 64, 100])
def test_truncating_tokens_is_tokenizing_again(max_length: int) -> None:
    texts, tokenizer = pa.chunked_array([SHORT_AND_LONG]), LEVELS["repair"]
    split = make_split(tokenize.tokenize(texts, tokenizer, 64)[0])
    shorter = tokenize.truncate_tokens(split, max_length, tokenize.count_closing_tokens(tokenizer))
    assert shorter["input_ids"][:] == tokenize.tokenize(texts, tokenizer, min(max_length, 64))[0].to_pylist()
    assert (shorter["labels"][:], shorter.features) == (split["labels"][:], split.features)


@pytest.mark.parametrize(("template", "closing"), [("[CLS] $A [SEP] [SEP]", 2), ("[CLS] $A", 0), ("$A [SEP]", 1)])
def test_special_tokens_after_a_text_stay(template: str, closing: int) -> None:
    special = [(name, LEVELS["repair"].convert_tokens_to_ids(name)) for name in ("[CLS]", "[SEP]")]
    backend = make_bert(post_processor=processors.TemplateProcessing(single=template, special_tokens=special))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend)
    assert tokenize.count_closing_tokens(tokenizer) == closing

    def tokenize_to(max_length: int) -> pa.ChunkedArray:
        texts = pa.chunked_array([SHORT_AND_LONG])
        return tokenize.tokenize_text_by_text(tokenize.copy_backend(tokenizer), max_length, texts)[0]

    shorter = tokenize.truncate_tokens(make_split(tokenize_to(64)), 9, closing)
    assert shorter["input_ids"][:] == tokenize_to(9).to_pylist()
