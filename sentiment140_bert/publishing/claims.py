"""Claims in the text of a card, of scores or of a source of the tweets; and the scores on other people's cards."""

from __future__ import annotations

import bisect
import html
import itertools
import math
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
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
DATASET_KEYS = ("type", "split", "revision", "name", "config")  # of a model-index, in the order of a Claim
VERIFIED_BY = ("verified", "verifyToken")  # keys by which a score is said to be measured by the Hub
MIN_DIGITS = 2  # "1" claims every tweet, and is not a rounded 0.6


def find_claims(text: str, *, is_literal: bool = False) -> Iterator[str]:
    """Yield the places of a text that state a score, a share in percent, or a number of tweets, or that may: words of
    two alphabets, and what is displayed reversed.

    Years, versions, and counts of steps are not, unless a metric's name is next to them. A literal text is one whose
    markup a card shows as it is written; it is read both ways.
    """
    if match := REVERSING.search(html.unescape(unquote(text))):
        yield f"text that is shown reversed ({match[0].encode('unicode_escape').decode()})"
    plain = _read_text(text)
    shown = ("".join(texts) for tag in TAG.finditer(text) for texts in SHOWN.findall(tag[0]))
    readings = (plain, LINK_TEXT.sub(r"\1", plain), *map(_read_text, shown))
    readings = (_read_signs(text).replace("_", " ").lower(), *readings) if is_literal else readings
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
    plain = _read_signs(html.unescape(unquote(text)))
    plain = re.sub(r"</?t[dh]\b[^<>]{0,2000}>", " | ", plain, flags=re.IGNORECASE)
    plain = BREAK.sub(" ", plain)
    plain = re.sub(r"</?[a-z][^<>]{0,2000}>", "", _remove_comments(plain), flags=re.IGNORECASE)
    plain = FORMULA.sub(r"\1", FRACTION.sub(r"\1/\2", plain))
    return re.sub(r"[*`~\\$]", "", plain).replace("_", " ").lower()


def _read_signs(text: str) -> str:
    return "".join(_simplify_sign(sign) for sign in unicodedata.normalize("NFKC", text)).translate(LOOKS_LIKE)


def _simplify_sign(sign: str) -> str:
    """Return a character, a digit of any script as an ASCII one, and nothing for a character without width."""
    if sign.isascii():
        return sign
    category = unicodedata.category(sign)
    if category in ("Cf", "Mn", "Me") or sign in "\u115f\u1160\u3164\uffa0":
        return ""
    return str(unicodedata.digit(sign)) if category == "Nd" else sign


@dataclass(frozen=True)
class Claim:
    """A score on a card: ``value`` as written; what it is of, where the card names that."""

    where: str
    metric: str
    value: float
    digits: int
    dataset: str | None = None
    split: str | None = None
    revision: str | None = None
    dataset_name: str | None = None
    config: str | None = None
    metric_name: str | None = None


def read_model_index(index: Any) -> Iterator[Claim]:
    """Yield the claims of a card's ``model-index``; entries of another form than the Hub's are skipped."""
    for model in index if isinstance(index, list) else ():
        for result in _list_members(model, "results"):
            about = result.get("dataset") if isinstance(result, dict) else None
            names = [about.get(key) if isinstance(about, dict) else None for key in DATASET_KEYS]
            if not all(isinstance(text, str | None) for text in names):  # list_unread_scores has them
                names = [None] * len(names)
            _, split, _, name, _ = names
            for entry in _list_members(result, "metrics"):
                if isinstance(entry, dict):
                    where, metric_name = f"model-index, {split or name or 'data not named'}", entry.get("name")
                    names_of_both = (*names, None if metric_name is None else str(metric_name))
                    yield from _read_score(where, entry.get("type"), entry.get("value"), *names_of_both)


def list_unread_scores(index: Any) -> Iterator[str]:
    """Yield what :func:`read_model_index` skips in a card's ``model-index``: entries, names that are no text or read
    like claims, and the word of others who are said to have measured."""
    for model in index if isinstance(index, list) else ():
        yield from _list_source(model)
        for result in _list_members(model, "results"):
            yield from _list_source(result)
            for entry in _list_members(result, "metrics"):
                if not isinstance(entry, dict) or not [*_read_score("", entry.get("type"), entry.get("value"))]:
                    yield str(entry)[:MAX_LENGTH]
                else:
                    yield from find_claims(str(entry.get("name", "")))
                    yield from (f"{key}: {entry[key]}"[:MAX_LENGTH] for key in VERIFIED_BY if entry.get(key))
            if isinstance(result, dict):
                about = result.get("dataset", "")
                names = [about.get(key) for key in DATASET_KEYS] if isinstance(about, dict) else [about or None]
                if not all(isinstance(text, str | None) for text in names):
                    yield f"dataset: {about}"[:MAX_LENGTH]
            yield from find_claims(str({**result, "metrics": ""} if isinstance(result, dict) else result))


def _list_source(part: Any) -> Iterator[str]:
    if isinstance(part, dict) and part.get("source"):
        yield f"source: {part['source']}"[:MAX_LENGTH]


def _list_members(content: Any, key: str) -> list[Any]:
    members = content.get(key) if isinstance(content, dict) else None
    return members if isinstance(members, list) else []


def read_text(text: str) -> Iterator[Claim]:
    """Yield the scores that a card's text states like "Accuracy: 0.861"."""
    for name, number, percent in WRITTEN.findall(text):
        yield from _read_score("card text", name, number + percent)


def drop_read_numbers(text: str) -> str:
    """Return a text without the numbers that :func:`read_text` reads; the names of their metrics stay."""
    return WRITTEN.sub(lambda score: score[0][: score.start(2) - score.start()], text)


def _read_score(where: str, name: Any, written: Any, *about: str | None) -> Iterator[Claim]:
    """Yield the claim, unless it is no score that is measured here; 86.1 and "86.1%" are a share of 0.861."""
    key = str(name).strip().lower().replace(" ", "_")
    metric = ALIASES.get(key, key)
    if metric not in SCORES or isinstance(written, bool) or not isinstance(written, int | float | str):
        return
    text = str(written).strip()
    try:
        share = Decimal(text.rstrip("%")[:40])
        is_number = math.isfinite(share)
    except (InvalidOperation, ValueError):
        return
    if not is_number:
        return
    if text.endswith("%") or (share > 1 and metric != "log_loss"):
        share = share.scaleb(-2)
    digits = max(0, -int(share.as_tuple().exponent))
    digits = max(digits, MIN_DIGITS) if share in (0, 1) else digits or MIN_DIGITS
    yield Claim(f"{where}: {metric}", metric, float(share), digits, *about)


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
    import numpy as np
    from sklearn import metrics

    counts = np.array(get_matrix(split))
    truth, predicted = np.indices(counts.shape).reshape(2, -1)
    score = getattr(metrics, f"{metric}_score")
    options = {"sample_weight": counts.ravel(), "zero_division": 0.0}
    return {mean: float(score(truth, predicted, average=mean, **options)) for mean in ("macro", "weighted")}
