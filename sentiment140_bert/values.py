"""What a recipe's values may be: rules for them, and plain values turned into the types of their fields."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from sentiment140_bert.errors import S140Error, first_line

Words = tuple[str, ...]
LARGEST = 2**63 - 1  # what the libraries take for a whole number
Rule = tuple[Callable[[Any], bool], str]

POSITIVE: Rule = (lambda value: value > 0, "must be greater than 0")
NOT_NEGATIVE: Rule = (lambda value: value >= 0, "must be 0 or more")
A_WORD: Rule = (lambda value: value >= 3, "must be 3 or more: two tokens are special")
PROPORTION: Rule = (lambda value: 0 <= value <= 1, "must lie between 0 and 1")
DROPOUT: Rule = (lambda value: 0 <= value < 1, "must be 0 or more, and below 1")
DECAY: Rule = (lambda value: 0 < value <= 1, "must be greater than 0, and at most 1")
SEED: Rule = (lambda value: 0 <= value < 2**32, "must lie between 0 and 4,294,967,295")
SOME_ROWS: Rule = (
    lambda value: 0 < value < 1 or (value >= 1 and float(value).is_integer()),
    "must be a share between 0 and 1, or a whole number of rows",
)
REGISTERED: Rule = (
    lambda value: re.fullmatch(r"[^\s/:.]+(\.[^\s/:.]+\.[^\s/:.]+)?", value) is not None,
    "must be a name, or catalog.schema.name, without spaces, slashes and colons",
)
ALIAS: Rule = (
    lambda value: re.fullmatch(r"(?!v\d+$)(?!latest$)[A-Za-z0-9_.-]+", value) is not None,
    "must be letters, digits, _ . or -, and neither v1, v2, … nor latest",
)
LANGUAGES: Rule = (
    lambda value: all(re.fullmatch(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*", code) for code in value),
    "must be language codes, by commas, as in es or pt-BR,gl",
)
LICENSE: Rule = (
    lambda value: re.fullmatch(r"[a-z0-9][a-z0-9.+-]*", value) is not None,
    "must be a licence as the Hub names it, as in cc-by-4.0, mit or other",
)
MAPPED: Rule = (
    lambda value: label_pairs(value) is not None,
    "must be pairs as in 0=negative,1=neutral,2=positive: each label once, each to negative, neutral, positive or drop",
)
ROWS: Rule = (lambda value: value == 0 or SOME_ROWS[0](value), SOME_ROWS[1] + " (0: none)")


def checked(raw: Any, kind: Any, rule: Rule | None) -> tuple[Any, str]:
    """The value in the type of its field, or a sentence that says what is wrong with it."""
    options = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    if raw is None:
        return (None, "") if NoneType in options else (None, "needs a value")
    target = next(option for option in options if option is not NoneType)
    if get_origin(target) is Literal:
        if raw is False and "no" in get_args(target):
            raw = "no"  # YAML 1.1 reads a bare no as false
        choices = get_args(target)
        return (
            (raw, "")
            if isinstance(raw, str) and raw in choices
            else (None, f"{shown(raw)} is none of {', '.join(choices)}")
        )
    value = _words(raw) if target == Words else _converted(raw, target)
    if value is None:
        return None, f"expected {TYPE_NAMES[target]}, got {shown(raw)}"
    if rule and not rule[0](value):
        return None, f"{rule[1]}, got {shown(raw)}"
    return value, ""


def shown(raw: Any) -> str:
    """A value in a sentence, cut where it is long."""
    said = repr(raw)
    return said if len(said) <= 200 else said[:199] + "…"


def path_named(name: str) -> Path:
    """The path that a name stands for, whether there is anything or not.

    Raises:
        S140Error: No file can have such a name, or nothing can be found out of it.
    """
    path = Path(os.path.expanduser(name))  # noqa: PTH111 - Path's own raises where there is no such user
    try:
        path.exists()
    except (OSError, ValueError) as error:
        raise S140Error(f"{shown(name)} cannot be a file or folder: {first_line(error)[:100]}.", "Check it.") from None
    return path


def label_pairs(text: str) -> dict[str, str] | None:
    """Labels and what they mean, as in ``0=negative, 1=drop``, in lower case; None where the text is not like that."""
    pairs: dict[str, str] = {}
    for pair in text.lower().split(","):
        label, _, meaning = (part.strip() for part in pair.partition("="))
        if not label or label in pairs or meaning not in ("negative", "neutral", "positive", "drop"):
            return None
        pairs[label] = meaning
    return pairs


TYPE_NAMES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Words: "words, by commas or as a list",
}


def _words(raw: Any) -> Words | None:
    parts = raw.split(",") if isinstance(raw, str) else raw
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        return None
    return tuple(stripped for part in parts if (stripped := part.strip()))


def _converted(raw: Any, target: type) -> Any:
    if target is bool:
        return raw if isinstance(raw, bool) else {"true": True, "false": False}.get(str(raw).lower())
    if target is str:
        return str(raw) if isinstance(raw, str | int | float) and not isinstance(raw, bool) else None
    if isinstance(raw, bool) or not isinstance(raw, str | int | float):
        return None
    try:
        if target is int and str(raw).strip().lstrip("+-").isdecimal():
            number: int | float = int(raw)
        else:
            number = float(raw)
    except (ValueError, OverflowError):  # no number, or one of thousands of digits
        return None
    if number != number or number in (float("inf"), float("-inf")):
        return None
    if target is int:
        return int(number) if int(number) == number and abs(number) <= LARGEST else None
    return number
