"""The cleaner: idempotent, and the same inside a tokenizer as on an Arrow column."""

from __future__ import annotations

import csv
from functools import cache

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sentiment140_bert.data import clean

LEVELS = tuple(clean.LEVELS)
PIECES = [rule.pattern for rule in clean.ENTITIES + clean.MOJIBAKE if not rule.regex] + [
    *("&amp;", "&amp;amp;", "&", "amp;", "quot;", "#39;", ";", "\xc3", "\xc2", "\xe2", "\xef", "\x80", "\x99", "\xbf"),
    *("@", "@bob_1", "http://x.example/y", "HTTPS://", "://", "www.", "wWw.a", "http", "/", "#tag", "\ufffd", "\u2019"),
    *(
        " ",
        "  ",
        "\t",
        "\n",
        "\r\n",
        "\xa0",
        "\u3000",
        "\x85",
        ".",
        "!!",
        ":)",
        "hello",
        "Good",
        "caf\xe9",
        "\U0001f600",
    ),
]
tweets = st.one_of(st.lists(st.sampled_from(PIECES), max_size=12).map("".join), st.text(max_size=40))


def cleaned(texts: list[str], level: str) -> list[str]:
    return clean.clean(pa.chunked_array([pa.array(texts, pa.string())]), level)[0].to_pylist()


@cache
def tokenizer(level: str):
    from sentiment140_bert.modeling import load_tokenizer

    return load_tokenizer("bundled:minilm", None, clean.normalizer(level))


def ids(level: str, texts: list[str]) -> list[list[int]]:
    return tokenizer(level)(texts)["input_ids"]


@pytest.mark.parametrize("level", LEVELS)
@given(texts=st.lists(tweets, min_size=1, max_size=20))
@settings(max_examples=150)
@example(texts=["&amp;amp;quot;x", "&a&amp;mp;", "\xc3\xa2\x99\xa5", "\xc3\xaf\xc2\xbf\xc2\xbd"])
@example(texts=["&&amp;lt;b", "&nbsp;", "\xc3\xa2\x80\x99"])
def test_cleaning_twice_changes_nothing(level, texts):
    once = cleaned(texts, level)
    assert cleaned(once, level) == once


@pytest.mark.parametrize("level", LEVELS)
@given(texts=st.lists(tweets, min_size=1, max_size=20))
@settings(max_examples=100)
def test_a_tokenizer_sees_the_same_in_raw_and_cleaned_text(level, texts):
    assert ids(level, texts) == ids(level, cleaned(texts, level))


@pytest.mark.parametrize("level", LEVELS)
def test_the_normalizer_survives_saving_and_loading(level, tmp_path):
    from transformers import AutoTokenizer

    texts = ["@bob &quot;hi&quot; http://x.example/a it\xef\xbf\xbds  ", "plain", " @a @b ", ""]
    tokenizer(level).save_pretrained(tmp_path / level)
    loaded = AutoTokenizer.from_pretrained(tmp_path / level)
    assert loaded(texts)["input_ids"] == ids(level, texts)
    assert loaded.decode(loaded("@bob")["input_ids"][1:-1]) == ("@ bob" if level == "raw" else "@ user")


@pytest.mark.parametrize(
    ("raw", "masked", "repaired"),
    [
        ("@Bob_42: hi @al!", "@user: hi @user!", None),
        ("a@b.example", "a@user.example", None),
        ("see http://short.example/x?y=1&z HTTPS://a.example", "see http http", None),
        ("WWW.shop.example, (www.x.example)", "http (http", None),
        ("  spaces all around \n", "spaces all around", None),
        ("you &amp; me &amp;amp; him &lt;3 &quot;ok&quot;", None, 'you & me & him <3 "ok"'),
        ("it&#39;s&nbsp;on &gt;:(", None, "it's on >:("),
        ("I\xef\xbf\xbdm, don\xe2\x80\x99t \xe2\x80\xa6", None, "I'm, don't ..."),
        ("\xe2\x99\xa5 \xe2\x99\xab caf\xc3\xa9 \xc2\xbd", None, "♥ ♫ café ½"),
        ("a real caf\xe9, \xe2la", "a real caf\xe9, \xe2la", None),
        ("&copy; stays, and so does AT&T", "&copy; stays, and so does AT&T", None),
    ],
)
def test_examples(raw, masked, repaired):
    assert cleaned([raw], "raw") == [raw.strip()]
    assert cleaned([raw], "mask") == [masked or raw]
    assert cleaned([raw], "repair") == [repaired or masked]


def test_repaired_and_masked_tweets_are_counted():
    texts = pa.chunked_array([["plain", "@a"], ["x &lt; @b", "y &gt; z", " spaces "]])
    assert clean.clean(texts, "repair")[1] == {"repaired": 2, "masked": 2}
    assert clean.clean(texts, "mask")[1] == {"repaired": 0, "masked": 2}
    assert clean.clean(texts, "raw")[1] == {"repaired": 0, "masked": 0}


@pytest.mark.parametrize(
    ("one", "other"),
    [("Hi @bob", "hi @alice"), ("a  b\tc", "A b c "), ("x http://a.example", "x www.b.example"), ("&lt;3", "<3")],
)
def test_keys_by_which_texts_are_equal(one, other):
    first, second = clean.keys(pa.chunked_array([[one, other]])).to_pylist()
    assert first == second


@given(texts=st.lists(tweets, min_size=1, max_size=20))
@settings(max_examples=100)
def test_the_repaired_text_has_the_key_of_the_raw_one(texts):
    raw, repaired = (pa.chunked_array([pa.array(each)]) for each in (texts, cleaned(texts, "repair")))
    assert clean.keys(repaired).to_pylist() == clean.keys(raw).to_pylist()


@pytest.mark.realdata
@pytest.mark.parametrize("level", LEVELS)
def test_20000_real_tweets(real_data, level):
    texts = []
    for name in ("original_format_head_and_tail.csv", "original_format_random.csv"):
        with (real_data / name).open(encoding="latin-1", newline="") as file:
            texts += [row[5] for row in csv.reader(file)][:10_000]
    once = cleaned(texts, level)
    assert cleaned(once, level) == once
    changed = [(raw, new) for raw, new in zip(texts, once, strict=True) if raw != new]
    assert len(changed) > 5_000
    before, after = (ids(level, list(each)) for each in zip(*changed, strict=True))
    unlike = sum(one != other for one, other in zip(before, after, strict=True))
    assert unlike == 0, f"{unlike} tweets are tokenized otherwise when they are cleaned first"
