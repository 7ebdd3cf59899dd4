"""Clean tweets: as a second implementation does, in Arrow columns and inside a tokenizer, and idempotently."""

from __future__ import annotations

import csv
import html
import re
import shutil
from functools import cache
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sentiment140_bert.data import clean

LEVELS = tuple(clean.LEVELS)
# A second implementation in Python's own regular expressions detects any change of rules or of their order.
WINDOWS = dict(enumerate("€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ", start=0x80))
NAMES = [*("quot", "ldquo", "rdquo", "apos", "lsquo", "rsquo", "hellip", "ndash", "mdash", "nbsp"), "lt", "gt"]
NAMES += ["pound", "euro", "trade", "bull", "hearts"]
WRITTEN = {"\u2019": "'", "\u2018": "'", "\u201c": '"', "\u201d": '"', "\u2026": "...", "\u2013": "-", "\u2014": "-"}
AS_ENTITIES = WRITTEN | dict.fromkeys("\u00a0\t\n\r ", " ") | {same: same for same in "\"<>'/`=@£€™•♥"}
LATIN = {"\u00a0": " ", "\u00b4": "'", "£": "£", "°": "°", "½": "½"}
SAME = "áàâäãåæçéèêëíìîïñóòôöõøúùûüýßÄÅÇÉÑÓÖØÚÜ€™•♥♡♫♪★☆☀☺☹❤✨✌\ufe0f"
SAME += "😀😁😂😃😄😅😉😊😋😌😍😎😏😒😔😘😜😞😡😢😩😭😱😳🙄🙌🙏🤔🤣🥰👀👍👎👏💔💕💙💜💪💯🎉🔥"
MISREAD = {same: same for same in SAME} | WRITTEN | {"\ufffd": "'"}
ENDS_A_WORD = "ÅÖ"  # misread as windows-1252, they are what AMANHÃ… and AMANHÃ– end with


def latin_1(text: str) -> str:
    return text.encode().decode("latin-1")


def windows_1252(text: str) -> str:
    return latin_1(text).translate(WINDOWS)


PIECES = [misread(character) for character in LATIN | MISREAD for misread in (latin_1, windows_1252)]
PIECES += [windows_1252(windows_1252(character)) for character in "’‘“”…–—é€"]
PIECES += [f"&{name};" for name in (*NAMES, "copy", "Quot")]
PIECES += [f"&#{number};" for number in ("38", "038", "39", "8217", "146", "x27", "x2019", "X201D", "x26", "128514")]
SIGNS = (
    "&amp; &amp;amp; & amp; quot; #39; ; \xc3 \xc2 \xe2 \xef \x80 \x99 \xbf . !! :) \U0001f600 @ / #tag \ufffd \u2019"
)
WORDS = "hello Good caf\xe9 @bob_1 http://x.example/y HTTPS:// :// www. wWw.a http"
PIECES += f"{SIGNS} {WORDS}".split(" ")
PIECES += [" ", "  ", "\t", "\n", "\r\n", "\xa0", "\u3000", "\x85"]
tweets = st.one_of(st.lists(st.sampled_from(PIECES), max_size=12).map("".join), st.text(max_size=40))


def resolve_entity(reference: re.Match[str]) -> str:
    """Return the character of a reference, or the reference itself."""
    decimal, hexadecimal, name = reference.groups()
    if name:
        return AS_ENTITIES[html.unescape(f"&{name};")] if name in NAMES else reference[0]
    number = int(decimal or f"0{hexadecimal}", 10 if decimal else 16)
    character = WINDOWS.get(number) or (chr(number) if number < 0x110000 else "")
    return AS_ENTITIES.get(character, reference[0])


def expect(text: str, level: str) -> str:
    """Resolve entities, then misread UTF-8, then mask URLs, then mentions; white space at the ends stays."""
    if level == "repair":
        text = re.sub("&(?:amp;|#0*38;|#[xX]0*26;)+", "&", text)
        text = re.sub("&(?:#([0-9]+)|#[xX]([0-9a-fA-F]+)|([A-Za-z]+));", resolve_entity, text)
        for character, repaired in WRITTEN.items():
            text = text.replace(windows_1252(windows_1252(character)), repaired)
        for character, repaired in LATIN.items():
            text = re.sub("\xc2+" + latin_1(character)[1:], repaired, text)
        for character, repaired in MISREAD.items():
            text = text.replace(latin_1(character), repaired)
            if character not in ENDS_A_WORD:
                text = text.replace(windows_1252(character), repaired)
    if level != "raw":
        text = re.sub(r"(?i:https?)://[^ \t\r\n]+|[Ww]{3}\.[^ \t\r\n]+", "http", text)
        text = re.sub("@[A-Za-z0-9_]+", "@user", text)
    return text


def make_column(texts: list[str]) -> pa.ChunkedArray:
    return pa.chunked_array([texts[:1], texts[1:]], pa.string())


def trim(texts: list[str]) -> list[str]:
    return pc.utf8_trim_whitespace(pa.array(texts, pa.string())).to_pylist()


def clean_texts(texts: list[str], level: str) -> list[str]:
    return clean.clean(make_column(texts), level)[0].to_pylist()


def normalize(texts: list[str], level: str) -> list[str]:
    """Apply the normalizer of a level, as ``tokenizer.json`` holds it."""
    rules = make_normalizer(level)
    return [rules.normalize_str(text) for text in texts] if rules else texts


@cache
def make_normalizer(level: str):
    return clean.make_normalizer(level)


@cache
def load_tokenizer_of(level: str):
    from sentiment140_bert.models import load_tokenizer

    return load_tokenizer("bundled:minilm", None, clean.make_normalizer(level))


def tokenize(level: str, texts: list[str]) -> list[list[int]]:
    return load_tokenizer_of(level)(texts)["input_ids"]


@given(texts=st.lists(tweets, min_size=1, max_size=20))
@settings(max_examples=100)
@example(texts=["&amp;amp;quot;x", "&a&amp;mp;", "\xc3\xa2\x99\xa5", "\xc3\xaf\xc2\xbf\xc2\xbd"])
@example(texts=["&&amp;lt;b", "&nbsp;", "\xc3\xa2\x80\x99"])
@example(texts=["http://x.example/a&nbsp;b", "www.x.example\xc2\xa0b", "WWW.X.EXAMPLE", "HTTPS://A.EXAMPLE b"])
def test_cleaning_is_that_of_a_second_implementation_in_columns_and_tokenizers(texts):
    for level in LEVELS:
        once = [expect(text, level) for text in texts]
        assert normalize(texts, level) == once, level
        assert clean_texts(texts, level) == trim(once), level
        assert clean_texts(trim(once), level) == trim(once), f"{level}: cleaning twice changes something"
        _, counts = clean.clean(make_column(texts), level)
        repaired = [repair(text) if level == "repair" else text for text in texts]
        assert counts == {
            "repaired": sum(one != other for one, other in zip(texts, repaired, strict=True)),
            "masked": sum(one != other for one, other in zip(repaired, once, strict=True)),
        }, level


def repair(text: str) -> str:
    """Repair a text without masking it."""
    hidden = {"@": "\ue000", "/": "\ue001", "W": "\ue002", "w": "\ue003"}  # without them nothing is masked
    for character, other in hidden.items():
        text = text.replace(character, other)
    text = expect(text, "repair")
    for character, other in hidden.items():
        text = text.replace(other, character)
    return text


def test_a_model_of_an_earlier_version_keeps_its_rules_or_gets_the_new_ones(tmp_path):
    from tokenizers import Regex, normalizers
    from transformers import AutoTokenizer

    from sentiment140_bert.models import load_tokenizer
    from sentiment140_bert.models.locate import locate

    earlier = {"&(?:amp;)+": "&", "&quot;": '"', "&#39;": "'", "\xc2+\xa0": " ", "\xc3\xa9": "é", "\xe2\x80\x99": "'"}
    rules = [
        normalizers.Replace(Regex(pattern), now) for pattern, now in (earlier | {"@[A-Za-z0-9_]+": "@user"}).items()
    ]
    load_tokenizer("bundled:minilm", None, normalizers.Sequence(rules)).save_pretrained(tmp_path)
    shutil.copy(Path(locate("bundled:minilm"), "config.json"), tmp_path)
    texts = ["@bob &amp;quot;caf\xc3\xa9&quot; don\xe2\x80\x99t", "don\xe2\u20ac\u2122t &rsquo; \xc3\xa9 &#38;#39;"]
    as_it_was = load_tokenizer(str(tmp_path))(texts)["input_ids"]
    assert as_it_was == AutoTokenizer.from_pretrained(tmp_path)(texts)["input_ids"]
    assert [before == now for before, now in zip(as_it_was, tokenize("repair", texts), strict=True)] == [True, False]
    trained_on = load_tokenizer(str(tmp_path), None, clean.make_normalizer("repair"))
    assert trained_on(texts)["input_ids"] == tokenize("repair", texts)


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
    (
        "i don\u00e2\u20ac\u2122t \u00e2\u20ac\u0153mind\u00e2\u20ac\x9d caf\u00c3\u00a9 \u00c3\u2030t\u00c3\u00a9",
        None,
        'i don\'t "mind" café Été',
    ),
    ("\u00f0\u0178\u02dc\u201a \u00f0\x9f\x98\x82 \u00e2\x9d\u00a4\u00ef\u00b8\x8f", None, "😂 😂 ❤\ufe0f"),
    ("don\u00c3\u00a2\u00e2\u201a\u00ac\u00e2\u201e\u00a2t", None, "don't"),  # misread twice
    ("it&#x27;s &ldquo;on&#8221;&hellip; &#8217; &#039; &#146; &amp;#39;", None, "it's \"on\"... ' ' ' '"),
    (
        "&#64;bob &pound;5 &hearts; &#128514; &#xD800; &#99999999999;",
        None,
        "@user £5 ♥ &#128514; &#xD800; &#99999999999;",
    ),
    ("http://x.example/a&nbsp;then", "http", "http then"),  # repaired first, then masked
]


def test_examples():
    for raw, masked, repaired in EXAMPLES:
        assert clean_texts([raw], "raw") == [raw.strip()]
        assert clean_texts([raw], "mask") == [masked or raw]
        assert clean_texts([raw], "repair") == [repaired or masked]


CORRECT = [
    "très bien, « là-bas » à 10 €, ça va… l’été, être ou ne pas être",
    "NÃO! AMANHÃ… “A IRMÔ, amanhã, manhã – MANHÃ– maçã, 5€ ou ‘LÃ’ ÃO • FÃ™",
    "â, â€ and Ã, ï or ð alone; â € ‚ ™ ž; Ã€ 5; naïve façade",
    "Grüße aus Österreich: „schön“, 20 °C, 50 €, ½ l",
    "şarkı, hâlâ, ĐÃ, Việt Nam, ação, pâté, 日本語, привет, 😂👍🏽 ☺️ don’t — “quoted”",
    "AT&T, R&D; a&b; &; &#; &#x; &#12a; &rsquo &#8217 &euro5; & rsquo;",
]


def test_a_long_run_of_one_sign_is_tried_once():
    """Tried from each of its signs, this text would take the tokenizer half an hour."""
    assert clean.make_normalizer("repair").normalize_str("\xc2" * 200_000 + "\xc2\xb0") == "°"


def test_correct_texts_stay():
    assert clean_texts(CORRECT, "repair") == CORRECT
    assert normalize(CORRECT, "repair") == CORRECT


@given(text=st.text(st.sampled_from([*"aB 1,'", *sorted({*MISREAD, *LATIN} - {*ENDS_A_WORD, "â"})]), max_size=30))
@settings(max_examples=200)
def test_a_misread_text_is_restored(text):
    right = "".join((MISREAD | LATIN).get(character, character) for character in text).strip()
    for misread in (latin_1, windows_1252):
        assert clean_texts([misread(text)], "repair") == [right], misread


@given(texts=st.lists(tweets, min_size=1, max_size=20))
@settings(max_examples=100)
def test_a_key_is_the_repaired_text_in_lower_case_with_single_spaces(texts):
    repaired = trim([expect(text, "repair") for text in texts])
    lower = pc.utf8_lower(pa.array(repaired, pa.string())).to_pylist()
    keys = [re.sub("[ \t\r\n\xa0]+", " ", text) for text in lower]
    assert clean.make_keys(make_column(texts)).to_pylist() == keys
    assert clean.make_keys(make_column(repaired)).to_pylist() == keys


@pytest.mark.realdata
def test_6000_real_tweets(real_data):
    texts = []
    for name in ("original_format_head_and_tail.csv", "original_format_random.csv"):
        with (real_data / name).open(encoding="latin-1", newline="") as file:
            texts += [row[5] for row in islice(csv.reader(file), 3_000)]
    for level in LEVELS:
        once = [expect(text, level) for text in texts]
        assert clean_texts(texts, level) == trim(once), level
        assert normalize(texts, level) == once, level
    changed = [(raw, new) for raw, new in zip(texts, trim(once), strict=True) if raw != new]
    assert len(changed) > 2_000
    before, after = (tokenize("repair", list(column)) for column in zip(*changed, strict=True))
    assert before == after, "some tweets are tokenized otherwise when they are cleaned first"
