"""The problems of a recipe, a sentence each, made of pydantic's errors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from pydantic import ValidationError

from sentiment140_bert.recipe.arguments import other_arguments
from sentiment140_bert.recipe.ranges import TUNABLE
from sentiment140_bert.recipe.sections import SECTION_BY_KEY, SECTIONS
from sentiment140_bert.recipe.values import suggest
from sentiment140_bert.text import shorten

LONGEST_KEY = 100  # characters; to search for the nearest known key takes a while
UNKNOWN_KEY = ("extra_forbidden", "unexpected_keyword_argument", "invalid_key")
NO_MAPPING = ("model_type", "model_attributes_type", "dict_type")


def explain(error: ValidationError, *parents: str) -> Iterator[str]:
    """Yield a sentence for each error.

    Args:
        error: The error, which names values by their places in the recipe.
        parents: The place in the recipe of what was checked.
    """
    for detail in error.errors(include_url=False):
        path = [*parents, *(part for part in detail["loc"] if isinstance(part, str))]
        where = "".join(f"{name}: " for name in path if name not in SECTIONS)
        if detail["type"] in UNKNOWN_KEY:
            yield _explain_unknown([*parents, *map(str, detail["loc"])])
        elif detail["type"] in NO_MAPPING and len(path) == 1:
            yield f"section {path[0]}: expected `key: value` lines, got {shorten(detail['input'])}"
        elif detail["type"] == "value_error":
            yield from (f"{where}{sentence}" for sentence in detail["ctx"]["error"].args)
        else:
            value = "nothing" if detail["input"] is None else shorten(detail["input"])
            yield f"{where}{_rephrase(detail['msg'])}, got {value}"


def _rephrase(message: str) -> str:
    """Return pydantic's message in plain words, without the reason that follows from the value."""
    rule = re.sub("^Input should", "must", re.sub(", (unable|got) .*", "", message)).replace("tuple", "list")
    return rule.replace("greater than or equal to", "at least").replace("less than or equal to", "at most")


def _explain_unknown(path: list[str]) -> str:
    *parents, key = path
    if len(key) > LONGEST_KEY:
        return f"unknown key {shorten(key)}"
    if parents[:1] == ["tuning"]:
        return _explain_unknown_range(parents, key)
    section = parents[0] if parents else ""
    if SECTION_BY_KEY.get(key, section) != section:
        return f"{key} belongs in section {SECTION_BY_KEY[key]}"
    return f"unknown key {key!r}{suggest(key, _list_keys(section), cutoff=0.5)}"


@cache
def _list_keys(section: str) -> list[str]:
    """Return all keys among which a misspelt one of a section is looked for."""
    names = {*SECTION_BY_KEY, *SECTIONS, "tuning"}
    return sorted(names | (other_arguments().json_schema()["properties"].keys() if section == "training" else set()))


def _explain_unknown_range(parents: list[str], key: str) -> str:
    if len(parents) > 1:
        keys = ("low", "high", "step", "log", "choices")
        return f"{': '.join(parents)}: unknown key {key!r}{suggest(key, keys) or '; ' + ', '.join(keys)}"
    hint = suggest(key, TUNABLE, cutoff=0.5) or f"; there are {', '.join(TUNABLE)}"
    kind = f"{key} is a setting that is not tuned" if key in SECTION_BY_KEY else f"unknown setting {key!r}"
    return f"tuning: {kind}{hint}"
