"""Clean the text of tweets: one list of rules, applied in two places.

The rules run over whole Arrow columns when data are prepared (:func:`clean`), and as the normalizer inside the
model's ``tokenizer.json`` (:func:`make_normalizer`), so raw tweets get the same preprocessing at inference as in
training. The rules hold no back-reference, no look-around and no ``\\w`` or ``\\s``, which RE2
(Arrow) and Oniguruma (tokenizers) read differently. Cleaning twice changes nothing: a cleaned tweet and the raw
one tokenize alike.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from tokenizers.normalizers import Normalizer

Result = TypeVar("Result")
USER_MASK = "@user"  # the two masks are those of TweetEval (Barbieri et al. 2020)
URL_MASK = "http"
KEYS_AT_ONCE = 50_000


@dataclass(frozen=True)
class Rule:
    """Replace every match of ``pattern``: a regular expression if ``regex``, else that exact text."""

    pattern: str
    replacement: str
    regex: bool = False

    @property
    def tokenizer_pattern(self) -> str:
        """The pattern for tokenizers, whose engine goes back: it tries a run from its first sign, not from each one."""
        return re.sub(r"^(\w)\+", r"(?<!\1)\1+", self.pattern) if self.regex else self.pattern


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
    """Return a pattern of the text after an ampersand: one of the names, or of the numbers, decimal or hexadecimal."""
    decimal = "|".join(map(str, numbers))
    hexadecimal = "|".join(re.sub("[a-f]", lambda digit: f"[{digit[0]}{digit[0].upper()}]", f"{n:x}") for n in numbers)
    return f"(?:{'|'.join([*names, f'#0*(?:{decimal})', f'#[xX]0*(?:{hexadecimal})'])});"


ENTITIES = (
    Rule(f"&(?:{_entity(['amp'], [38])})+", "&", regex=True),  # escaped twice or more as well
    *(Rule("&" + _entity(*forms), now, regex=True) for now, forms in _ENTITIES.items()),
)

# UTF-8 that was read as latin-1 or as windows-1252, and its original; the corpus holds the first kind in about 1 tweet
# of 110. These are its common characters, in an order in which text that was misread twice is repaired in one
# go: a form that may be part of another's misread form comes before it. U+FFFD is mostly where an apostrophe was lost.
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


def _misread(originals: str, now: str) -> Rule:
    forms = [misread(once) for once in originals for misread in (_latin_1, _windows_1252)]
    return _any_of([form for form in forms if form[0] != "Ã" or form[1] not in _AFTER_A_WORD], now)


MOJIBAKE = (
    *(_any_of([_windows_1252(_windows_1252(once)) for once in twice], now) for now, twice in _TYPOGRAPHIC.items()),
    *(Rule(f"\u00c2+{_latin_1(once)[1:]}", now, regex=True) for once, now in _LATIN.items()),
    *(_misread(same, same) for same in _LETTERS + _SIGNS + _EMOJI),
    *(_misread(originals, now) for now, originals in _TYPOGRAPHIC.items()),
    _misread("\ufffd", "'"),
)

REPAIRS = ENTITIES + MOJIBAKE
LEVELS: dict[str, tuple[Rule, ...]] = {"raw": (), "mask": MASKING, "repair": REPAIRS + MASKING}

# The beginnings of all that these rules replace.
_ENTITY = "&(?:#|[A-Za-z]+;)"
_MOJIBAKE = "[\u00c2\u00c3\u00e2\u00ef\u00f0][^\\x00-\\x7f]"


def clean(texts: pa.ChunkedArray, level: str) -> tuple[pa.ChunkedArray, dict[str, int]]:
    """Clean a column of tweets, and strip leading and trailing white space in every case.

    Args:
        texts: Strings, no nulls.
        level: ``raw``, ``mask`` or ``repair``.

    Returns:
        The cleaned column, in the same order, and how many tweets were ``repaired`` and ``masked``.
    """
    counts = {"repaired": 0, "masked": 0}
    if level == "repair":
        repaired = _replace_where(_replace_where(texts, _ENTITY, ENTITIES), _MOJIBAKE, MOJIBAKE)
        counts["repaired"] = _count_differences(repaired, texts)
        texts = repaired
    if level != "raw":
        masked = _replace_where(texts, "[@/]|[Ww][Ww][Ww]", MASKING)
        counts["masked"] = _count_differences(masked, texts)
        texts = masked
    return pc.utf8_trim_whitespace(texts), counts


def make_keys(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the key of each text, by which two tweets count as equal: repaired, masked, lower case, single spaces."""
    cleaned, _ = clean(texts, "repair")
    lower = pc.utf8_lower(cleaned)
    return pc.replace_substring_regex(lower, pattern="[ \t\r\n\u00a0]+", replacement=" ")


def hash_keys(keys: pa.ChunkedArray, seed: int) -> npt.NDArray[np.uint64]:
    """Return a number for each key, which decides its split: blake2b of the text, keyed with the seed; 8 bytes."""
    start = hashlib.blake2b(digest_size=8, key=str(seed).encode())

    def hash_key(key: str) -> bytes:
        digest = start.copy()
        digest.update(key.encode())
        return digest.digest()

    slices = (keys.slice(start, KEYS_AT_ONCE).to_pylist() for start in range(0, len(keys), KEYS_AT_ONCE))
    numbers = b"".join(b"".join(map(hash_key, part)) for part in slices)
    return np.frombuffer(numbers, dtype=">u8").astype(np.uint64)


def find_repairable(texts: Sequence[str]) -> list[bool]:
    """Return True for each text that may need repair; no rule of ``REPAIRS`` changes the others."""
    is_suspect = pc.match_substring_regex(pa.array(texts, pa.string()), pattern=f"{_ENTITY}|{_MOJIBAKE}")
    return cast(list[bool], is_suspect.to_pylist())


def make_normalizer(level: str) -> Normalizer | None:
    """Return the rules of a level as a normalizer for ``tokenizer.json``, to run before the model's own, if any."""
    from tokenizers import Regex, normalizers

    steps: list[Any] = [
        normalizers.Replace(Regex(rule.tokenizer_pattern) if rule.regex else rule.tokenizer_pattern, rule.replacement)
        for rule in LEVELS[level]
    ]
    return normalizers.Sequence(steps) if steps else None


def _replace_where(texts: pa.ChunkedArray, suspect: str, rules: tuple[Rule, ...]) -> pa.ChunkedArray:
    """Apply the rules to the tweets in which ``suspect``, a regular expression, occurs, and to no others."""

    def replace_in(chunk: pa.Array) -> pa.Array:
        is_suspect = pc.match_substring_regex(chunk, pattern=suspect)
        part = chunk.filter(is_suspect)
        for rule in rules:
            replace = pc.replace_substring_regex if rule.regex else pc.replace_substring
            part = replace(part, pattern=rule.pattern, replacement=rule.replacement)
        return pc.replace_with_mask(chunk, is_suspect, part)

    with ThreadPoolExecutor(pa.cpu_count()) as pool:  # Arrow's kernels release the GIL
        return pa.chunked_array(pool.map(replace_in, texts.chunks), pa.string())


def map_slices(function: Callable[[pa.Array], Result], column: pa.ChunkedArray, rows: int) -> list[Result]:
    """Return what a function makes of each slice of a column; in threads, for Arrow's kernels release the GIL."""
    slices = (chunk.slice(start, rows) for chunk in column.chunks for start in range(0, len(chunk), rows))
    with ThreadPoolExecutor(pa.cpu_count()) as pool:
        return list(pool.map(function, slices))


def _count_differences(one: pa.ChunkedArray, other: pa.ChunkedArray) -> int:
    return int(pc.sum(pc.not_equal(one, other)).as_py() or 0)
