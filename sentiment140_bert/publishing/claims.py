"""Claims in the text of a card, of scores or of a source of the tweets; and the scores on other people's cards."""

from __future__ import annotations

import bisect
import html
import itertools
import math
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

from sentiment140_bert.publishing.checks import Check, check_about, leave_unchecked
from sentiment140_bert.schemas import SCORES, SplitScores, get_matrix, get_score

METRIC = (
    r"(?:accura\w+|acc\b|top-?1\b|performances?\b|correct(?:ness|ly)?\b|准确率|精确率|召回率|正解率"
    r"|genauigkeit\w*|exactitu\w+|précision|precisi[oó]n|präzision|f[- ]?(?:beta|1|score|measure)|recall"
    r"|rappel|auc|roc|auroc|mcc|matthews|kappa|error rate"
    r"|scor(?:e|es|ed|ing)|sota|state[- ]of[- ]the[- ]art|leaderboard"
    r"|outperforms?)"
)
# A share, plain, in percent or with an exponent; 0.0001, 3.11, 2026 and 5.23.0 are not.
SHARE = r"0?[.,][1-9]\d{0,15}|1[.,]0{1,15}|[1-9]\d[.,]\d{1,15}|100[.,]0{1,15}|\d[\d.,]{0,15}e-0?[12]"
DECIMAL = rf"(?<![\w.,])(?:{SHARE})(?![\w]|[.,]\d)"
WHOLE = r"(?<![\w.,])(?:[1-9]\d|100)(?![\w%]|[.,]\d)"
UNITS = r"(?!\s{0,3}(?:steps?|epochs?|hours?|minutes?|seconds?|days?|years?|tokens?|layers?|[hms]|ms|[gmkt]i?b)\b)"
PERCENT = re.compile(r"\d\s{0,3}%|\b(?:per ?cent|percentage points?|prozent|pour ?cents?|por ?ciento)\b")
YEARS = r"(?!(?:19|20)\d\d/\d\d(?!\d))"  # 2025/26
RATIO = re.compile(
    rf"(?<![\d/.,]){YEARS}\d[\d.,]{{0,15}}\s{{0,3}}(?:/|of|out of|von|sur|de|su)\s{{0,3}}\d[\d.,]{{1,15}}(?![\w/])"
)
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
# Sentences about Sentiment140, and no other source, on cards of any version; and as a person would put it.
SOURCE_CLAIMS = {
    "the dataset": r"tuned on (?:[\d,]{1,15} tweets of )?sentiment140 to tell|tweets of sentiment140, cleaned"
    r"|sentiment140, cleaned and split"
    r"|\b(?:this model|it) (?:was|is|has been) (?:fine-?tuned|trained) on (?:[\w-]{1,20} ){0,3}sentiment140\b(?! bert)",
    "the language": r"an english tweet|informal english texts|in english, by the twitter users",
    "the labels": r"distant supervision: a tweet|held a (?:happy|sad) emoticon|how well the emoticon is guessed",
    "the license": r"sentiment140 has no licen[cs]e|sentiment140 was collected through",
}
NAME = re.compile(r"\bsentiment140\b(?!.bert)", re.IGNORECASE)
TAG = re.compile(r"<(/?)([a-z][a-z0-9]{0,20})\b[^<>]{0,2000}>", re.IGNORECASE)
BREAK = re.compile(r"</?(?:br|hr|p|div|li|[ou]l|tr|h[1-6]|details|summary)\b[^<>]{0,2000}>", re.IGNORECASE)
# Texts that are shown in place of a picture, or next to the pointer.
SHOWN = re.compile(
    r"""\b(?:alt|title|aria-label)\s{0,3}=\s{0,3}(?:"([^"]{1,500})|'([^']{1,500})|([^\s"'>]{1,500}))""", re.I
)
EMPTY_ELEMENTS = {"br", "hr", "img", "input", "link", "meta", "source", "wbr"}
EMPTY_ELEMENTS |= {"p", "li", "col", "area", "base", "embed"}  # or those that may stay open
FENCE = re.compile(r"^ {0,3}(```+|~~~+)", re.MULTILINE)
LINK_TEXT = re.compile(r"!?\[([^\[\]]{0,500})\]\([^()]{0,500}\)")
FORMULA = re.compile(r"\\[a-z]{1,20}\{([^{}]{0,500})\}", re.IGNORECASE)
FRACTION = re.compile(r"\\[dtc]?frac\s?\{([^{}]{0,100})\}\s?\{([^{}]{0,100})\}", re.IGNORECASE)
REVERSING = re.compile("[\u202a-\u202e\u2066-\u2069]")
# Characters that look like others: a word of two alphabets, or a point, percent sign or digit of another script.
TWO_ALPHABETS = re.compile(r"[a-z][\u0370-\u052f\u0531-\u0587]|[\u0370-\u052f\u0531-\u0587][a-z]")
LOOKS_LIKE = str.maketrans(
    {**dict.fromkeys("\u00b7\u2022\u2219\u22c5\u066b\u201a\u2024", "."), "\u066a": "%", "\u2030": "%"}
)
MAX_LENGTH = 120
ALIASES = {"auc": "roc_auc", "loss": "log_loss", "mcc": "matthews_correlation", "eval_loss": "log_loss"}
NAMES = "|".join(name.replace("_", "[_ ]") for name in (*SCORES, *ALIASES))
# A line such as "- Accuracy: 0.861" or "| F1 | 86.1% |", as Trainer and many people write it.
WRITTEN = re.compile(
    rf"^[ \t\-*|]{{0,20}}(?:eval[_ ])?({NAMES})"
    r"\*{0,2} {0,9}[:=|] {0,9}\*{0,2} {0,9}(\d{1,9}(?:\.\d{1,20})?(?:[eE][+-]?\d{1,3})?)(?![.,]?\d) {0,9}(%?)",
    re.IGNORECASE | re.MULTILINE,
)
MIN_DIGITS = 2  # "1" claims every tweet, and is not a rounded 0.6


def find_claims(text: str) -> Iterator[str]:
    """Yield the places of a text that state a score, a share in percent, or a number of tweets, or that may: words of
    two alphabets, and what is displayed reversed.

    Years, versions, and counts of steps are not, unless a metric's name is next to them.
    """
    if match := REVERSING.search(html.unescape(unquote(text))):
        yield f"text that is shown reversed ({match[0].encode('unicode_escape').decode()})"
    plain = _read_text(text)
    shown = ("".join(texts) for tag in TAG.finditer(text) for texts in SHOWN.findall(tag[0]))
    readings = (plain, LINK_TEXT.sub(r"\1", plain), *map(_read_text, shown))
    for block in re.split(r"\n\s*\n", "\n\n".join(dict.fromkeys(readings))):
        is_table = block.count("|") > 1
        patterns = (SCORE, PERCENT, TWEETS, RATIO, TWO_ALPHABETS)
        spans = [match.span() for pattern in patterns for match in pattern.finditer(block)]
        if is_table and WORD.search(block):
            spans += [match.span() for match in CELL.finditer(block)]
        lines = block.split("\n")
        ends = [*itertools.accumulate(len(line) + 1 for line in lines)]
        for number in sorted({bisect.bisect_left(ends, end) for _, end in spans}):
            yield lines[number].strip()[:MAX_LENGTH]


def find_source_claims(text: str) -> dict[str, str]:
    """Return the claims of a text about its tweets that are true of Sentiment140 alone, with its words."""
    text = " ".join(_read_text(text).split())
    matches = {claim: re.search(pattern, text) for claim, pattern in SOURCE_CLAIMS.items()}
    return {claim: match[0] for claim, match in matches.items() if match}


def _remove_comments(text: str) -> str:
    """Return a text without its comments; each ends at the next ``-->``, whatever is in it."""
    parts, at = [], 0
    while (begin := text.find("<!--", at)) >= 0 and (end := text.find("-->", begin + 4)) >= 0:
        parts.append(text[at:begin])
        at = end + 3
    return "".join([*parts, text[at:]])


def _read_text(text: str) -> str:
    """Return a text the way people read it: tags, entities, formulas and emphasis resolved, in lower case, in plain
    signs."""
    plain = html.unescape(unquote(text))
    plain = "".join(_simplify_sign(sign) for sign in unicodedata.normalize("NFKC", plain)).translate(LOOKS_LIKE)
    plain = re.sub(r"</?t[dh]\b[^<>]{0,2000}>", " | ", plain, flags=re.IGNORECASE)
    plain = BREAK.sub(" ", plain)
    plain = re.sub(r"</?[a-z][^<>]{0,2000}>", "", _remove_comments(plain), flags=re.IGNORECASE)
    plain = FORMULA.sub(r"\1", FRACTION.sub(r"\1/\2", plain))
    return re.sub(r"[*`~\\$]", "", plain).replace("_", " ").lower()


def _simplify_sign(sign: str) -> str:
    """Return a character, a digit of any script as an ASCII one, and nothing for a character without width."""
    if sign.isascii():
        return sign
    category = unicodedata.category(sign)
    if category in ("Cf", "Mn", "Me") or sign in "\u115f\u1160\u3164\uffa0":
        return ""
    return str(unicodedata.digit(sign)) if category == "Nd" else sign


def is_open(text: str) -> bool:
    """Return True if a block of code, a comment or an element begins in a text and does not end in it: then the text
    that follows looks different, or is hidden."""
    if len(FENCE.findall(text)) % 2 or text.rfind("<!--") > text.rfind("-->"):
        return True
    depth: dict[str, int] = {}
    for closing, name in TAG.findall(_remove_comments(text)):
        if name.lower() not in EMPTY_ELEMENTS:
            depth[name.lower()] = depth.get(name.lower(), 0) + (-1 if closing else 1)
    return any(count > 0 for count in depth.values())


@dataclass(frozen=True)
class Claim:
    """A score on a card: ``value`` as written, ``dataset`` and ``split`` where the card names them."""

    where: str
    metric: str
    value: float
    digits: int
    dataset: str | None = None
    split: str | None = None
    revision: str | None = None


def read_model_index(index: Any) -> Iterator[Claim]:
    """Yield the claims of a card's ``model-index``; entries of another form than the Hub's are skipped."""
    for result in _list_members(_list_members([index], None), "results"):
        dataset = result.get("dataset") if isinstance(result, dict) else None
        about = dataset if isinstance(dataset, dict) else {}
        if any(not isinstance(about.get(key), str | None) for key in ("type", "split", "revision", "name")):
            about = {}
        for entry in _list_members([result], "metrics"):
            metric = _identify_metric(entry.get("type")) if isinstance(entry, dict) else None
            value = _parse_number(entry.get("value")) if metric else None
            if metric and value is not None:
                where = f"model-index, {about.get('split') or about.get('name') or 'data not named'}: {metric}"
                yield Claim(
                    where,
                    metric,
                    _to_share(value, metric, str(entry["value"])),
                    _count_digits(value, metric, str(entry["value"])),
                    about.get("type"),
                    about.get("split"),
                    about.get("revision"),
                )


def _list_members(values: Iterable[Any], key: str | None) -> Iterator[Any]:
    """Yield the members of each value, or of its list under ``key``."""
    for value in values:
        members = value if key is None else value.get(key) if isinstance(value, dict) else None
        yield from members if isinstance(members, list) else ()


def read_text(text: str) -> Iterator[Claim]:
    """Yield the scores that a card's text states like "Accuracy: 0.861"."""
    for name, number, percent in WRITTEN.findall(text):
        metric = _identify_metric(name)
        value = _parse_number(number)
        if metric and value is not None:
            written = number + percent
            yield Claim(
                f"card text: {name}", metric, _to_share(value, metric, written), _count_digits(value, metric, written)
            )


def _identify_metric(name: Any) -> str | None:
    key = str(name).strip().lower().replace(" ", "_")
    key = ALIASES.get(key, key)
    return key if key in SCORES else None


def _parse_number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(str(value).strip().rstrip("%")[:40])
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _to_share(value: float, metric: str, written: str) -> float:
    """Return a score as a share, however it was written: 86.1 and "86.1%" are 0.861."""
    in_percent = written.strip().endswith("%") or (value > 1 and metric != "log_loss")
    return value / 100 if in_percent else value


def _count_digits(value: float, metric: str, written: str) -> int:
    """Count the digits after the point of the claim as a share."""
    exponent = Decimal(written.strip().rstrip("%").strip()[:40]).as_tuple().exponent
    digits = max(0, -exponent) if isinstance(exponent, int) else 0
    share = _to_share(value, metric, written)
    digits += 2 if share != value else 0
    return max(digits, MIN_DIGITS) if digits == 0 or share in (0, 1) else digits


def check_claim(claim: Claim, split: SplitScores, tolerance: float) -> Check:
    """Compare another author's claim with the measured score, within half of its last digit.

    F1, precision and recall may be those of the positive class, or the mean over all classes, plain or
    weighted: the one nearest to the claim counts, and is named.
    """
    if split.get("neutral_left_out"):
        return leave_unchecked(
            claim.where, claim.value, "the tweets have neutral ones, and two classes are measured here"
        )
    score = get_score(split, claim.metric)
    candidates = {claim.metric: score["value"]} if score else {}
    if claim.metric in ("f1", "precision", "recall") and "accuracy" in split:
        candidates |= average_classes(claim.metric, split)
    if not candidates:
        return leave_unchecked(claim.where, claim.value, "it cannot be measured on these tweets")
    name = min(candidates, key=lambda name: abs(candidates[name] - claim.value))
    allowed = max(tolerance, 0.5 * 10.0**-claim.digits) * (1 + 1e-9)  # exactly between two, either is right
    where = claim.where if name == claim.metric else f"{claim.where} ({name})"
    return check_about(where, claim.value, candidates[name], allowed)


def average_classes(metric: str, split: SplitScores) -> dict[str, float]:
    """Return the ``macro`` and ``weighted`` mean of a score over all classes, from a confusion matrix."""
    matrix = get_matrix(split)
    sizes = [sum(row) for row in matrix]

    def score_class(at: int) -> float:
        hits, predicted = matrix[at][at], sum(row[at] for row in matrix)
        below = {"precision": predicted, "recall": sizes[at], "f1": (predicted + sizes[at]) / 2}[metric]
        return hits / below if below else 0.0

    scores = [score_class(at) for at in range(len(matrix))]
    weighted = sum(score * size for score, size in zip(scores, sizes, strict=True))
    return {"macro": sum(scores) / len(scores), "weighted": weighted / max(1, sum(sizes))}
