"""The cleaner: idempotent, and the same inside a tokenizer as on an Arrow column."""

from __future__ import annotations

import csv
import re
from functools import cache
from itertools import islice

import pyarrow as pa
import pyarrow.compute as pc
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


# Written a second time, in Python's own regular expressions, so that a change of rules or of their order is noticed.
MISREAD_LATIN = {"\u00a0": " ", "\u00b4": "'", "£": "£", "°": "°", "½": "½"}
MISREAD = {character: character for character in "áàâäãåæçéèêëíìîïñóòôöõøúùûüß"}
MISREAD |= {"\u2019": "'", "\u2018": "'", "\u201c": '"', "\u201d": '"', "\u2026": "...", "\u2013": "-", "\u2014": "-"}
MISREAD |= {character: character for character in "♥♫♪★☆☀☺€"} | {"\ufffd": "'"}


def expected(text: str, level: str) -> str:
    """Entities, then UTF-8 read as latin-1, then URLs, then mentions; white space at the ends stays."""
    if level == "repair":
        text = re.sub("&(?:amp;)+", "&", text)
        for entity, character in zip(("quot", "lt", "gt", "#39", "apos", "nbsp"), "\"<>'' ", strict=True):
            text = text.replace(f"&{entity};", character)
        for character, repaired in MISREAD_LATIN.items():
            text = re.sub("\xc2+" + character.encode().decode("latin-1")[1:], repaired, text)
        for character, repaired in MISREAD.items():
            text = text.replace(character.encode().decode("latin-1"), repaired)
    if level != "raw":
        text = re.sub(r"(?i:https?)://[^ \t\r\n]+|[Ww]{3}\.[^ \t\r\n]+", "http", text)
        text = re.sub("@[A-Za-z0-9_]+", "@user", text)
    return text


def column(texts: list[str]) -> pa.ChunkedArray:
    return pa.chunked_array([texts[:1], texts[1:]], pa.string())


def trimmed(texts: list[str]) -> list[str]:
    return pc.utf8_trim_whitespace(pa.array(texts, pa.string())).to_pylist()


def cleaned(texts: list[str], level: str) -> list[str]:
    return clean.clean(column(texts), level)[0].to_pylist()


def normalized(texts: list[str], level: str) -> list[str]:
    """What the normalizer of a level makes of texts, as it is in ``tokenizer.json``."""
    rules = normalizer(level)
    return [rules.normalize_str(text) for text in texts] if rules else texts


@cache
def normalizer(level: str):
    return clean.normalizer(level)


@cache
def tokenizer(level: str):
    from sentiment140_bert.modeling import load_tokenizer

    return load_tokenizer("bundled:minilm", None, clean.normalizer(level))


def ids(level: str, texts: list[str]) -> list[list[int]]:
    return tokenizer(level)(texts)["input_ids"]


@given(texts=st.lists(tweets, min_size=1, max_size=20))
@settings(max_examples=200)
@example(texts=["&amp;amp;quot;x", "&a&amp;mp;", "\xc3\xa2\x99\xa5", "\xc3\xaf\xc2\xbf\xc2\xbd"])
@example(texts=["&&amp;lt;b", "&nbsp;", "\xc3\xa2\x80\x99"])
@example(texts=["http://x.example/a&nbsp;b", "www.x.example\xc2\xa0b", "WWW.X.EXAMPLE", "HTTPS://A.EXAMPLE b"])
def test_cleaning_is_what_a_second_implementation_does_in_columns_and_in_the_tokenizer(texts):
    for level in LEVELS:
        once = [expected(text, level) for text in texts]
        assert normalized(texts, level) == once, level
        assert cleaned(texts, level) == trimmed(once), level
        assert cleaned(trimmed(once), level) == trimmed(once), f"{level}: cleaning twice changes something"
        _, counts = clean.clean(column(texts), level)
        repaired = [repair(text) if level == "repair" else text for text in texts]
        assert counts == {
            "repaired": sum(one != other for one, other in zip(texts, repaired, strict=True)),
            "masked": sum(one != other for one, other in zip(repaired, once, strict=True)),
        }, level


def repair(text: str) -> str:
    """The text repaired and not yet masked."""
    hidden = {"@": "\ue000", "/": "\ue001", "W": "\ue002", "w": "\ue003"}  # without them nothing is masked
    for character, other in hidden.items():
        text = text.replace(character, other)
    text = expected(text, "repair")
    for character, other in hidden.items():
        text = text.replace(other, character)
    return text


@given(texts=st.lists(tweets, min_size=1, max_size=20))
@settings(max_examples=25)
def test_a_tokenizer_sees_the_same_in_raw_and_cleaned_text(texts):
    for level in LEVELS:
        assert ids(level, texts) == ids(level, cleaned(texts, level)), level


def test_the_normalizer_survives_saving_and_loading(tmp_path):
    from transformers import AutoTokenizer

    texts = ["@bob &quot;hi&quot; http://x.example/a it\xef\xbf\xbds  ", "plain", " @a @b ", ""]
    for level in LEVELS:
        tokenizer(level).save_pretrained(tmp_path / level)
        loaded = AutoTokenizer.from_pretrained(tmp_path / level)
        assert loaded(texts)["input_ids"] == ids(level, texts)
        assert loaded.decode(loaded("@bob")["input_ids"][1:-1]) == ("@ bob" if level == "raw" else "@ user")


EXAMPLES = [  # raw, masked (None: as raw), repaired (None: as masked)
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
    ("http://x.example/a&nbsp;then", "http", "http then"),  # repaired first, then masked
]


def test_examples():
    for raw, masked, repaired in EXAMPLES:
        assert cleaned([raw], "raw") == [raw.strip()]
        assert cleaned([raw], "mask") == [masked or raw]
        assert cleaned([raw], "repair") == [repaired or masked]


def test_repaired_and_masked_tweets_are_counted():
    texts = pa.chunked_array([["plain", "@a"], ["x &lt; @b", "y &gt; z", " spaces "]])
    assert clean.clean(texts, "repair")[1] == {"repaired": 2, "masked": 2}
    assert clean.clean(texts, "mask")[1] == {"repaired": 0, "masked": 2}
    assert clean.clean(texts, "raw")[1] == {"repaired": 0, "masked": 0}


def test_keys_by_which_texts_are_equal():
    for one, other in (
        ("Hi @bob", "hi @alice"),
        ("a  b\tc", "A b c "),
        ("a\xa0 b\r\nc", "a b c"),
        ("x http://a.example", "x www.b.example"),
        ("&lt;3", "<3"),
        ("\xc3\x89T\xc3\xa9", "\xc3\x89t\xc3\xa9"),
    ):
        first, second = clean.keys(pa.chunked_array([[one, other]])).to_pylist()
        assert first == second, (one, other)


@given(texts=st.lists(tweets, min_size=1, max_size=20))
@settings(max_examples=100)
def test_a_key_is_the_repaired_text_in_lower_case_with_single_spaces(texts):
    repaired = trimmed([expected(text, "repair") for text in texts])
    lower = pc.utf8_lower(pa.array(repaired, pa.string())).to_pylist()
    keys = [re.sub("[ \t\r\n\xa0]+", " ", text) for text in lower]
    assert clean.keys(column(texts)).to_pylist() == keys
    assert clean.keys(column(repaired)).to_pylist() == keys


@pytest.mark.realdata
def test_6000_real_tweets(real_data):
    texts = []
    for name in ("original_format_head_and_tail.csv", "original_format_random.csv"):
        with (real_data / name).open(encoding="latin-1", newline="") as file:
            texts += [row[5] for row in islice(csv.reader(file), 3_000)]
    for level in LEVELS:
        once = [expected(text, level) for text in texts]
        assert cleaned(texts, level) == trimmed(once), level
        assert normalized(texts, level) == once, level
    changed = [(raw, new) for raw, new in zip(texts, trimmed(once), strict=True) if raw != new]
    assert len(changed) > 2_000
    before, after = (ids("repair", list(column)) for column in zip(*changed, strict=True))
    assert before == after, "some tweets are tokenized otherwise when they are cleaned first"
