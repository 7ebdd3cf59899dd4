"""What is done to a tweet's text, said once and carried out twice.

The same list of rules runs over whole Arrow columns when data are prepared (:func:`clean`), and as the
normalizer inside the model's ``tokenizer.json`` (:func:`normalizer`), so that a bare ``pipeline(raw_tweet)``
sees what training saw. The rules hold no back-reference, no look-around and no ``\\w`` or ``\\s``, which RE2
(Arrow) and Oniguruma (tokenizers) read differently. Cleaning twice changes nothing: a cleaned tweet and the raw
one tokenize alike.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from tokenizers.normalizers import Normalizer

USER_MASK = "@user"  # the two masks are those of TweetEval (Barbieri et al. 2020)
URL_MASK = "http"


@dataclass(frozen=True)
class Rule:
    """Replace every match of ``pattern``: a regular expression if ``regex``, else that very text."""

    pattern: str
    replacement: str
    regex: bool = False


MASKING = (
    Rule(r"[Hh][Tt][Tt][Pp][Ss]?://[^ \t\r\n]+|[Ww][Ww][Ww]\.[^ \t\r\n]+", URL_MASK, regex=True),
    Rule("@[A-Za-z0-9_]+", USER_MASK, regex=True),
)

# What tweets hold as entities, by names and by numbers; those from 128 to 159 are of windows-1252, as in browsers.
_ENTITIES: dict[str, tuple[list[str], list[int]]] = {
    '"': (["quot", "ldquo", "rdquo"], [34, 147, 148, 0x201C, 0x201D]),
    "<": (["lt"], [60]),
    ">": (["gt"], [62]),
    "'": (["apos", "lsquo", "rsquo"], [39, 145, 146, 0x2018, 0x2019]),
    " ": (["nbsp"], [9, 10, 13, 32, 160]),
    "-": (["ndash", "mdash"], [150, 151, 0x2013, 0x2014]),
    "...": (["hellip"], [133, 0x2026]),
    "/": ([], [47]),
    "`": ([], [96]),
    "=": ([], [61]),
    "@": ([], [64]),
    "£": (["pound"], [163]),
    "€": (["euro"], [128, 0x20AC]),
    "™": (["trade"], [153, 0x2122]),
    "•": (["bull"], [149, 0x2022]),
    "♥": (["hearts"], [0x2665]),
}


def _entity(names: list[str], numbers: list[int]) -> str:
    """Return a pattern of what follows an ampersand: one of the names, or of the numbers, decimal or hexadecimal."""
    decimal = "|".join(map(str, numbers))
    hexadecimal = "|".join(re.sub("[a-f]", lambda digit: f"[{digit[0]}{digit[0].upper()}]", f"{n:x}") for n in numbers)
    return f"(?:{'|'.join([*names, f'#0*(?:{decimal})', f'#[xX]0*(?:{hexadecimal})'])});"


ENTITIES = (
    Rule(f"&(?:{_entity(['amp'], [38])})+", "&", regex=True),  # escaped twice or more as well
    *(Rule("&" + _entity(*forms), now, regex=True) for now, forms in _ENTITIES.items()),
)

# UTF-8 that was read as latin-1 or as windows-1252, and what it once was; the corpus holds the first kind in about 1
# tweet of 110. These are its common characters, in an order in which text that was misread twice is repaired in one
# go: what may be a part of another's misread form comes before it. U+FFFD is mostly where an apostrophe was lost.
_TYPOGRAPHIC = {"'": "\u2019\u2018", '"': "\u201c\u201d", "...": "\u2026", "-": "\u2013\u2014"}
_LATIN = {"\u00a0": " ", "\u00b4": "'"} | {same: same for same in "£°½"}
_LETTERS = "áàâäãåæçéèêëíìîïñóòôöõøúùûüýßÄÅÇÉÑÓÖØÚÜ"
_AFTER_A_WORD = "€™•…’”–—"  # "Ã…" is not only a misread Å, but also the end of AMANHÃ…
_SIGNS = "€™•♥♡♫♪★☆☀☺☹❤✨✌\ufe0f"
_EMOJI = "😀😁😂😃😄😅😉😊😋😌😍😎😏😒😔😘😜😞😡😢😩😭😱😳🙄🙌🙏🤔🤣🥰👀👍👎👏💔💕💙💜💪💯🎉🔥"


def _latin_1(once: str) -> str:
    return once.encode("utf-8").decode("latin-1")


def _windows_1252(once: str) -> str:
    """Return UTF-8 as browsers misread it: the five bytes that windows-1252 leaves open are control characters."""
    return "".join(bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in once.encode("utf-8"))


def _any_of(forms: list[str], now: str) -> Rule:
    """Return the rule that replaces each of these texts, which begin alike and mean nothing in a regular expression."""
    first, *others = sorted({form[1:] for form in forms})
    if not others:
        return Rule(forms[0], now)
    return Rule(f"{forms[0][0]}(?:{'|'.join([first, *others])})", now, regex=True)


def _misread(onces: str, now: str) -> Rule:
    forms = [misread(once) for once in onces for misread in (_latin_1, _windows_1252)]
    return _any_of([form for form in forms if form[0] != "Ã" or form[1] not in _AFTER_A_WORD], now)


MOJIBAKE = (
    *(_any_of([_windows_1252(_windows_1252(once)) for once in onces], now) for now, onces in _TYPOGRAPHIC.items()),
    *(Rule(f"\u00c2+{_latin_1(once)[1:]}", now, regex=True) for once, now in _LATIN.items()),
    *(_misread(same, same) for same in _LETTERS + _SIGNS + _EMOJI),
    *(_misread(onces, now) for now, onces in _TYPOGRAPHIC.items()),
    _misread("\ufffd", "'"),
)

REPAIRS = ENTITIES + MOJIBAKE
LEVELS: dict[str, tuple[Rule, ...]] = {
    "raw": (),
    "mask": MASKING,
    "repair": REPAIRS + MASKING,
}

# How everything begins that these replace.
_ENTITY = "&(?:#|[A-Za-z]+;)"
_MOJIBAKE = "[\u00c2\u00c3\u00e2\u00ef\u00f0][^\\x00-\\x7f]"


def clean(texts: pa.ChunkedArray, level: str) -> tuple[pa.ChunkedArray, dict[str, int]]:
    """Cleans a column of tweets; leading and trailing white space goes in every case.

    Args:
        texts: Strings, no nulls.
        level: ``raw``, ``mask`` or ``repair``.

    Returns:
        The cleaned column, in the same order, and how many tweets were ``repaired`` and ``masked``.
    """
    counts = {"repaired": 0, "masked": 0}
    if level == "repair":
        repaired = _replace_where(_replace_where(texts, _ENTITY, ENTITIES), _MOJIBAKE, MOJIBAKE)
        counts["repaired"] = _differences(repaired, texts)
        texts = repaired
    if level != "raw":
        masked = _replace_where(texts, "[@/]|[Ww][Ww][Ww]", MASKING)
        counts["masked"] = _differences(masked, texts)
        texts = masked
    return pc.utf8_trim_whitespace(texts), counts


def keys(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """The text by which two tweets count as equal: repaired, masked, lower case, white space collapsed."""
    cleaned, _ = clean(texts, "repair")
    lower = pc.utf8_lower(cleaned)
    return pc.replace_substring_regex(lower, pattern="[ \t\r\n\u00a0]+", replacement=" ")


def find_repairable(texts: Sequence[str]) -> list[bool]:
    """Return which texts hold what looks like something to repair; no rule of ``REPAIRS`` changes the others."""
    found = pc.match_substring_regex(pa.array(texts, pa.string()), pattern=f"{_ENTITY}|{_MOJIBAKE}")
    return cast(list[bool], found.to_pylist())


def normalizer(level: str) -> Normalizer | None:
    """The rules of a level as a normalizer for ``tokenizer.json``, to run before the model's own; None for ``raw``."""
    from tokenizers import Regex, normalizers

    steps: list[Any] = [
        normalizers.Replace(Regex(rule.pattern) if rule.regex else rule.pattern, rule.replacement)
        for rule in LEVELS[level]
    ]
    return normalizers.Sequence(steps) if steps else None


def _replace_where(texts: pa.ChunkedArray, suspect: str, rules: tuple[Rule, ...]) -> pa.ChunkedArray:
    """Applies the rules to the tweets in which ``suspect``, a regular expression, occurs, and to no others."""

    def replaced(chunk: pa.Array) -> pa.Array:
        chosen = pc.match_substring_regex(chunk, pattern=suspect)
        part = chunk.filter(chosen)
        for rule in rules:
            replace = pc.replace_substring_regex if rule.regex else pc.replace_substring
            part = replace(part, pattern=rule.pattern, replacement=rule.replacement)
        return pc.replace_with_mask(chunk, chosen, part)

    with ThreadPoolExecutor(pa.cpu_count()) as pool:  # Arrow's kernels let go of the interpreter
        return pa.chunked_array(pool.map(replaced, texts.chunks), pa.string())


def _differences(one: pa.ChunkedArray, other: pa.ChunkedArray) -> int:
    return int(pc.sum(pc.not_equal(one, other)).as_py() or 0)
