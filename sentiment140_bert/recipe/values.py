"""The types of a recipe's values: what YAML or a flag may hold for each, and what is made of it."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticKnownError

from sentiment140_bert.schemas import SCORES
from sentiment140_bert.text import shorten

LARGEST_INTEGER = 2**63 - 1  # what the libraries accept
LARGEST_SEED = 2**32 - 1
MOST_WORKERS = 128  # processes: each takes some 20 MB, and small batches are collated faster than they are computed
MOST_BATCHES = 10_000  # of a step; all of them are held in memory
LARGEST_BATCH = 1_000_000
MIN_LENGTH = 3  # tokens: two of them are special
MEANINGS = ("negative", "neutral", "positive", "drop")

# Each is a module of the package `tracking`, with a class of the same name in title case.
TRACKERS = ("wandb", "mlflow", "trackio", "tensorboard")


def suggest(name: str, names: Sequence[str], cutoff: float = 0.6) -> str:
    """Return a hint at the nearest of the known names, or nothing if none is near."""
    near = difflib.get_close_matches(name, names, n=1, cutoff=cutoff)
    return f"; did you mean {near[0]}?" if near else ""


def parse_label_map(text: str) -> dict[str, str] | None:
    """Return labels in lower case with their meanings, as in ``0=negative,1=drop``, or None of another text."""
    pairs: dict[str, str] = {}
    for pair in text.lower().split(","):
        label, _, meaning = (part.strip() for part in pair.partition("="))
        if not label or label in pairs or meaning not in MEANINGS:
            return None
        pairs[label] = meaning
    return pairs


def _refuse_bool(value: Any) -> Any:
    """Refuse true and false, which pydantic would take for 1 and 0."""
    if isinstance(value, bool):
        raise PydanticKnownError("float_type")
    return value


def _read_integer(value: Any) -> Any:
    """Read ``1e3`` and ``"2.0"`` as whole numbers, too."""
    if isinstance(value, bool):
        raise PydanticKnownError("int_type")
    if not isinstance(value, str):
        return value
    try:
        return int(value) if value.strip().lstrip("+-").isdecimal() else float(value)
    except ValueError:  # no number, or one of thousands of digits
        raise PydanticKnownError("int_parsing") from None


def _read_no(value: Any) -> Any:
    """Read false as the word no: YAML 1.1 reads a bare no as false."""
    return "no" if value is False else value


def _read_json(value: Any) -> Any:
    """Read the JSON of a mapping, as TrainingArguments does."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        raise PydanticKnownError("dict_type") from None


def _split_words(value: Any) -> Any:
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        raise ValueError(f"must be comma-separated words or a list, got {shorten(value)}")
    return tuple(stripped for part in parts if (stripped := part.strip()))


def _matching(pattern: str, sentence: str) -> AfterValidator:
    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"{sentence}, got {shorten(text)}")
        return text

    return AfterValidator(check)


def _check_label_map(text: str) -> str:
    if parse_label_map(text) is None:
        raise ValueError(f"{LABEL_MAP_RULE}, got {shorten(text)}")
    return text


def _check_rows(size: float) -> float:
    if size > 1 and not size.is_integer():
        raise ValueError(f"must be a share between 0 and 1, or a whole number of rows, got {size:g}")
    return size


def _check_metric(name: str) -> str:
    names = (*SCORES, "loss")
    if name.removeprefix("eval_") not in names:
        raise ValueError(f"must be one of {', '.join(names)}, got {shorten(name)}{suggest(name, names)}")
    return name


def _check_trackers(names: tuple[str, ...]) -> tuple[str, ...]:
    options = (*TRACKERS, "auto", "none")
    problems = [
        f"must be one of {', '.join(options)}, got {shorten(name)}{suggest(name, TRACKERS)}"
        for name in names
        if name not in options
    ]
    if not names:
        problems.append("must be a tracker, or none")
    elif "none" in names and len(names) > 1:
        problems.append(f"none cannot be combined with others: {', '.join(names)}")
    if problems:
        raise ValueError(*problems)
    return names


def _check_optimizer(name: str) -> str:
    if name != "adamw_torch_fused":  # transformers is imported for others only
        from transformers.training_args import OptimizerNames

        _require_choice(name, [choice.value for choice in OptimizerNames])
    return name


def _check_schedule(name: str) -> str:
    if name != "linear":
        from transformers import SchedulerType

        _require_choice(name, [choice.value for choice in SchedulerType])
    return name


def _require_choice(name: str, names: list[str]) -> None:
    if name not in names:
        raise ValueError(f"transformers has no {shorten(name)}{suggest(name, names)}")


LABEL_MAP_RULE = (
    "must be pairs as in 0=negative,1=neutral,2=positive: each label once, each to negative, neutral, positive or drop"
)
_NUMBER = BeforeValidator(_refuse_bool)
_INTEGER = BeforeValidator(_read_integer)
_WORDS = BeforeValidator(_split_words, json_schema_input_type=str | list[str])

Number = Annotated[float, Field(allow_inf_nan=False), _NUMBER]
PositiveNumber = Annotated[float, Field(gt=0, allow_inf_nan=False), _NUMBER]
NonNegativeNumber = Annotated[float, Field(ge=0, allow_inf_nan=False), _NUMBER]
Probability = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False), _NUMBER]
Proportion = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False), _NUMBER]
LayerDecay = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False), _NUMBER]
Rows = Annotated[float, Field(ge=0, allow_inf_nan=False), _NUMBER, AfterValidator(_check_rows)]
SomeRows = Annotated[float, Field(gt=0, allow_inf_nan=False), _NUMBER, AfterValidator(_check_rows)]

Integer = Annotated[int, Field(ge=-LARGEST_INTEGER, le=LARGEST_INTEGER), _INTEGER]
PositiveInteger = Annotated[int, Field(gt=0, le=LARGEST_INTEGER), _INTEGER]
Workers = Annotated[int, Field(ge=0, le=MOST_WORKERS), _INTEGER]
Accumulated = Annotated[int, Field(gt=0, le=MOST_BATCHES), _INTEGER]
BatchSize = Annotated[int, Field(gt=0, le=LARGEST_BATCH), _INTEGER]
Seconds = Annotated[int, Field(gt=0, le=10**9), _INTEGER]
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED), _INTEGER]
Length = Annotated[int, Field(ge=MIN_LENGTH, le=LARGEST_INTEGER), _INTEGER]

Options = Annotated[dict[str, Any], BeforeValidator(_read_json, json_schema_input_type=dict[str, Any] | str)]
Words = Annotated[tuple[str, ...], _WORDS]
Trackers = Annotated[tuple[str, ...], AfterValidator(_check_trackers), _WORDS]
_LANGUAGE = _matching(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*", "must be comma-separated language codes, as in es or pt-BR,gl")
Languages = Annotated[tuple[Annotated[str, _LANGUAGE], ...], _WORDS]
Country = Annotated[str, _matching("[A-Z]{3}", "must be a country's code of three letters, as in USA, DEU or JPN")]
License = Annotated[
    str, _matching("[a-z0-9][a-z0-9.+-]*", "must be a license as the Hub names it, as in cc-by-4.0, mit or other")
]
Revision = Annotated[
    str, _matching(r"(?!.*\.\.)[\w/.+@-]{1,200}", "must be a branch, tag or commit of the Hub, without spaces and '..'")
]
RegisteredModel = Annotated[
    str,
    _matching(
        r"[^\s/:.]+(\.[^\s/:.]+\.[^\s/:.]+)?",
        "must be a name, or catalog.schema.name, without spaces, slashes and colons",
    ),
]
ModelAlias = Annotated[
    str,
    _matching(
        r"(?!v\d+$)(?!latest$)[A-Za-z0-9_.-]+", "must be letters, digits, _ . or -, and neither v1, v2, … nor latest"
    ),
]
Classes = Annotated[int, Field(ge=2, le=3), _INTEGER]
LabelMap = Annotated[str, AfterValidator(_check_label_map)]
Metric = Annotated[str, AfterValidator(_check_metric)]
Optimizer = Annotated[str, AfterValidator(_check_optimizer)]
Schedule = Annotated[str, AfterValidator(_check_schedule)]
YamlNo = BeforeValidator(_read_no)
