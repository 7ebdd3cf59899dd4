"""What is done to a tweet's text, said once and carried out twice.

The same list of rules runs over whole Arrow columns when data are prepared (:func:`clean`), and as the
normalizer inside the model's ``tokenizer.json`` (:func:`normalizer`), so that a bare ``pipeline(raw_tweet)``
sees what training saw. The rules hold no back-reference, no look-around and no ``\\w`` or ``\\s``, which RE2
(Arrow) and Oniguruma (tokenizers) read differently. Cleaning twice changes nothing: a cleaned tweet and the raw
one tokenize alike.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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

ENTITIES = (
    Rule("&(?:amp;)+", "&", regex=True),  # escaped twice or more as well
    Rule("&quot;", '"'),
    Rule("&lt;", "<"),
    Rule("&gt;", ">"),
    Rule("&#39;", "'"),
    Rule("&apos;", "'"),
    Rule("&nbsp;", " "),
)

# UTF-8 that was read as latin-1, and what it once was; the corpus holds it in about 1 tweet of 110. These are its
# common characters, in an order in which text that was misread twice is mended in one go. U+FFFD stands most often
# where an apostrophe was lost.
_LATIN = {"\u00a0": " ", "\u00b4": "'"} | {same: same for same in "£°½"}
_ACCENTED = {same: same for same in "áàâäãåæçéèêëíìîïñóòôöõøúùûüß"}
_SYMBOLS = {"\u2019": "'", "\u2018": "'", "\u201c": '"', "\u201d": '"', "\u2026": "...", "\u2013": "-", "\u2014": "-"}
_SYMBOLS |= {same: same for same in "♥♫♪★☆☀☺€"} | {"\ufffd": "'"}


def _misread(once: str) -> str:
    return once.encode("utf-8").decode("latin-1")


MOJIBAKE = (
    *(Rule(f"\u00c2+{_misread(once)[1:]}", now, regex=True) for once, now in _LATIN.items()),
    *(Rule(_misread(once), now) for once, now in (_ACCENTED | _SYMBOLS).items()),
)

LEVELS: dict[str, tuple[Rule, ...]] = {
    "raw": (),
    "mask": MASKING,
    "repair": ENTITIES + MOJIBAKE + MASKING,
}

_SUSPECT = "[&\u00c2\u00c3\u00e2\u00ef]"  # first characters of everything that ENTITIES and MOJIBAKE replace


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
        repaired = _replace_where(texts, _SUSPECT, ENTITIES + MOJIBAKE)
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
