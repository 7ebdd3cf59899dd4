"""What text on a card claims: a score, or a source of the tweets; and markup that hides what follows it."""

from __future__ import annotations

import bisect
import html
import itertools
import re
import unicodedata
from collections.abc import Iterator
from urllib.parse import unquote

METRIC = (
    r"(?:accura\w+|genauigkeit\w*|exactitu\w+|précision|precisi[oó]n|präzision|f[- ]?(?:beta|1|score|measure)|recall"
    r"|rappel|auc|roc|auroc|mcc|matthews|kappa|error rate"
    r"|scor(?:e|es|ed|ing)|sota|state[- ]of[- ]the[- ]art|leaderboard"
    r"|outperforms?)"
)
# A share, plain or in percent; 0.0001, 3.11, 2026 and 5.23.0 are none.
DECIMAL = r"(?<![\w.,])(?:0?[.,][1-9]\d{0,15}|[1-9]\d[.,]\d{1,15}|100[.,]0{1,15})(?![\w]|[.,]\d)"
WHOLE = r"(?<![\w.,])(?:[1-9]\d|100)(?![\w%]|[.,]\d)"
UNITS = r"(?!\s{0,3}(?:steps?|epochs?|hours?|minutes?|seconds?|days?|years?|tokens?|layers?|[hms]|ms|[gmkt]i?b)\b)"
PERCENT = re.compile(r"\d\s{0,3}%|\b(?:per ?cent|percentage points?|prozent|pour ?cents?|por ?ciento)\b")
RATIO = re.compile(r"(?<![\d/.,])\d[\d.,]{0,15}\s{0,3}(?:/|of|out of|von|sur|de|su)\s{0,3}\d[\d.,]{1,15}(?![\w/])")
TWEETS = re.compile(
    r"\d[\d.,]{0,15}\s{0,3}(?:k|m|thousand|million|tausend|mio)?\s{0,3}(?:[a-z-]{1,20}\s{1,3}){0,2}"
    r"(?:tweets|examples|samples|texts|messages|reviews)\b"
)
NEAR = rf"(?:(?!{METRIC})[^.!?]|[.](?=\d)){{0,40}}?"
LINK = r"\W{1,4}(?:(?:of|is|was|at|von|de|ist)\W{1,4})?"
SCORE = re.compile(
    rf"\b{METRIC}\b(?:{NEAR}{DECIMAL}|{LINK}{WHOLE}){UNITS}|{DECIMAL}{UNITS}{NEAR}\b{METRIC}\b|{WHOLE}\s{{1,3}}{METRIC}\b"
)
CELL = re.compile(f"{DECIMAL}|{WHOLE}")
WORD = re.compile(rf"\b{METRIC}\b")
# What cards of any version say of Sentiment140, and of no other source; and how a person would say it.
OF_SENTIMENT140 = {
    "the dataset": r"tuned on sentiment140 to tell|tweets of sentiment140, cleaned|sentiment140, cleaned and split"
    r"|\b(?:this model|it) (?:was|is|has been) (?:fine-?tuned|trained) on (?:[\w-]{1,20} ){0,3}sentiment140\b(?! bert)",
    "the language": r"an english tweet|informal english texts|in english, by the twitter users",
    "the labels": r"distant supervision: a tweet|held a (?:happy|sad) emoticon|how well the emoticon is guessed",
    "the licence": r"sentiment140 has no licen[cs]e|sentiment140 was collected through",
}
NAME = re.compile(r"\bsentiment140\b(?!.bert)", re.IGNORECASE)
TAG = re.compile(r"<(/?)([a-z][a-z0-9]{0,20})\b[^<>]{0,2000}>", re.IGNORECASE)
ALONE = {"br", "hr", "img", "input", "link", "meta", "source", "wbr", "p", "li", "col", "area", "base", "embed"}
FENCE = re.compile(r"^ {0,3}(```+|~~~+)", re.MULTILINE)
LINK_TEXT = re.compile(r"!?\[([^\[\]]{0,500})\]\([^()]{0,500}\)")
FORMULA = re.compile(r"\\[a-z]{1,20}\{([^{}]{0,500})\}", re.IGNORECASE)
REVERSING = re.compile("[\u202a-\u202e\u2066-\u2069]")
# What looks like another sign: a word of two alphabets, or a point, percent sign or digit of another script.
TWO_ALPHABETS = re.compile(r"[a-z][\u0370-\u052f\u0531-\u0587]|[\u0370-\u052f\u0531-\u0587][a-z]")
LOOKS_LIKE = str.maketrans(
    {**dict.fromkeys("\u00b7\u2022\u2219\u22c5\u066b\u201a\u2024", "."), "\u066a": "%", "\u2030": "%"}
)
CLAIMS = (SCORE, PERCENT, TWEETS, RATIO, TWO_ALPHABETS)
LONGEST = 120


def find_claims(text: str) -> Iterator[str]:
    """Yield the places of a text that state a score, a share in percent, or a number of tweets, or that may: words of
    two alphabets, and what is shown reversed.

    Years, versions, and counts of steps are none unless a metric's name is next to them.
    """
    if match := REVERSING.search(html.unescape(unquote(text))):
        yield f"text that is shown reversed ({match[0].encode('unicode_escape').decode()})"
    plain = _plain(text)
    for block in re.split(r"\n\s*\n", "\n\n".join(dict.fromkeys((plain, LINK_TEXT.sub(r"\1", plain))))):
        is_table = block.count("|") > 1
        spans = [
            match.span()
            for pattern in (SCORE, PERCENT, TWEETS, RATIO, TWO_ALPHABETS)
            for match in pattern.finditer(block)
        ]
        if is_table and WORD.search(block):
            spans += [match.span() for match in CELL.finditer(block)]
        lines = block.split("\n")
        ends = [*itertools.accumulate(len(line) + 1 for line in lines)]
        for number in sorted({bisect.bisect_left(ends, end) for _, end in spans}):
            yield lines[number].strip()[:LONGEST]


def find_source_claims(text: str) -> dict[str, str]:
    """Return what a text says of its tweets that is true of Sentiment140 alone, each with its words."""
    shown = " ".join(_plain(text).split())
    found = {claim: re.search(pattern, shown) for claim, pattern in OF_SENTIMENT140.items()}
    return {claim: match[0] for claim, match in found.items() if match}


def _without_comments(text: str) -> str:
    """Return a text without its comments; each ends where the next ``-->`` stands, whatever is in it."""
    parts, at = [], 0
    while (begin := text.find("<!--", at)) >= 0 and (end := text.find("-->", begin + 4)) >= 0:
        parts.append(text[at:begin])
        at = end + 3
    return "".join([*parts, text[at:]])


def _plain(text: str) -> str:
    """Return a text as it is read: tags, entities, formulas and emphasis resolved, in lower case, in plain signs."""
    shown = html.unescape(unquote(text))
    shown = "".join(_plain_sign(sign) for sign in unicodedata.normalize("NFKC", shown)).translate(LOOKS_LIKE)
    shown = re.sub(r"</?t[dh]\b[^<>]{0,2000}>", " | ", shown, flags=re.IGNORECASE)
    shown = re.sub(r"</?[a-z][^<>]{0,2000}>", "", _without_comments(shown), flags=re.IGNORECASE)
    shown = FORMULA.sub(r"\1", shown)
    return re.sub(r"[*`~\\$]", "", shown).replace("_", " ").lower()


def _plain_sign(sign: str) -> str:
    """Return a sign, a digit of any script as one of ours; nothing of what takes no place."""
    if sign.isascii():
        return sign
    kind = unicodedata.category(sign)
    if kind in ("Cf", "Mn", "Me") or sign in "\u115f\u1160\u3164\uffa0":
        return ""
    return str(unicodedata.digit(sign)) if kind == "Nd" else sign


def is_open(text: str) -> bool:
    """Return True if a block of code, a comment or an element begins in a text and does not end in it: what follows
    is shown otherwise then, or not at all."""
    if len(FENCE.findall(text)) % 2 or text.rfind("<!--") > text.rfind("-->"):
        return True
    depth: dict[str, int] = {}
    for closing, name in TAG.findall(_without_comments(text)):
        if name.lower() not in ALONE:
            depth[name.lower()] = depth.get(name.lower(), 0) + (-1 if closing else 1)
    return any(count > 0 for count in depth.values())
