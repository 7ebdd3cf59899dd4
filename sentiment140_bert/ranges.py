"""The ``tuning`` section of a recipe: among which values ``s140 tune`` looks for better ones."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any, get_args

from sentiment140_bert.values import Rule, checked

# What may be tuned; each is a setting of the sections model, data or training.
TUNABLE = (
    "learning_rate",
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "num_train_epochs",
    "weight_decay",
    "warmup_steps",
    "lr_scheduler_type",
    "layerwise_lr_decay",
    "label_smoothing_factor",
    "max_grad_norm",
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "classifier_dropout",
    "max_length",
)
KEYS = ("low", "high", "step", "log", "choices")
Fields = Mapping[str, tuple[Any, Rule | None]]  # type and rule of each setting


@dataclass(frozen=True)
class Range:
    """The values among which one setting is looked for.

    Args:
        low: The least.
        high: The greatest, above ``low``.
        step: Between neighbours; None of a float that may be anything in between.
        log: As many between 1 and 10 as between 10 and 100.
        choices: In place of all that, the values themselves, two or more.
    """

    low: float | int | None = None
    high: float | int | None = None
    step: float | int | None = None
    log: bool = False
    choices: tuple[Any, ...] = ()

    def to_plain(self) -> dict[str, Any]:
        """As a recipe holds it."""
        if self.choices:
            return {"choices": list(self.choices)}
        plain: dict[str, Any] = {"low": self.low, "high": self.high}
        return plain | ({"step": self.step} if self.step else {}) | ({"log": True} if self.log else {})

    def holds(self, value: Any) -> bool:
        """Whether a value is among those that are tried."""
        if self.choices:
            return value in self.choices
        if value is None or not self.low <= value <= self.high:
            return False
        steps = (value - self.low) / self.step if self.step else 0.0
        return bool(abs(steps - round(steps)) < 1e-9)


def mixes_shares(steps: Range) -> bool:
    """Whether some values of a range are shares of all steps, which are below 1, and others are numbers of them."""
    values: tuple[Any, ...] = steps.choices
    if not values and steps.low is not None and steps.high is not None:
        between = steps.low + steps.step if steps.step else (steps.low + min(steps.high, 1)) / 2
        values = (steps.low, between, steps.high) if steps.low < 1 else ()
    return any(0 < value < 1 for value in values) and any(value >= 1 for value in values)


def parse_ranges(given: object, fields: Fields, problems: list[str]) -> dict[str, Range]:
    """The section as ranges, in its own order; what is wrong is added to ``problems``, a sentence each.

    Args:
        given: As ``yaml.safe_load`` gives it; None is an empty section.
        fields: Type and rule of every setting of a recipe, tunable or not.
        problems: Of the whole recipe.
    """
    if given is not None and not isinstance(given, Mapping):
        problems.append(f"section tuning: expected `setting: range` lines, got {given!r}")
        return {}
    found = {}
    for name, raw in (given or {}).items():
        if name not in TUNABLE:
            problems.append(_not_tunable(name, fields))
            continue
        kind, rule = fields[name]
        wrong: list[str] = []
        found[str(name)] = _range(raw, kind, rule, wrong)
        problems += [f"tuning: {name}: {each}" for each in wrong]
    return found


def _not_tunable(name: Any, fields: Fields) -> str:
    near = difflib.get_close_matches(str(name), TUNABLE, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(TUNABLE)}"
    what = f"{name} is a setting that is not tuned" if name in fields else f"unknown setting {name!r}"
    return f"tuning: {what}{hint}"


def _range(raw: Any, kind: Any, rule: Rule | None, wrong: list[str]) -> Range:
    if isinstance(raw, list | tuple):
        raw = {"choices": raw}
    if not isinstance(raw, Mapping):
        wrong.append(f"expected low and high, or a list of choices, got {raw!r}")
        return Range()
    for key in raw:
        if key not in KEYS:
            near = difflib.get_close_matches(str(key), KEYS, n=1)
            wrong.append(f"unknown key {key!r}" + (f"; did you mean {near[0]}?" if near else f"; {', '.join(KEYS)}"))
    if "choices" in raw:
        if len(raw) > 1:
            wrong.append(f"choices stand alone, without {', '.join(str(key) for key in raw if key != 'choices')}")
        return Range(choices=_choices(raw["choices"], kind, rule, wrong))
    if _number(kind) is None:
        wrong.append("takes choices only: it is no number")
        return Range()
    return _between(raw, kind, rule, wrong)


def _choices(raw: Any, kind: Any, rule: Rule | None, wrong: list[str]) -> tuple[Any, ...]:
    if not isinstance(raw, Sequence) or isinstance(raw, str):
        wrong.append(f"choices: expected a list, got {raw!r}")
        return ()
    values = []
    for each in raw:
        value, problem = checked(each, kind, rule)
        wrong += [f"choices: {problem}"] if problem else []
        values.append(value)
    if len(raw) < 2:
        wrong.append("choices are empty" if not raw else f"a single choice, {raw[0]!r}, is none: set it as it is")
    elif len(set(values)) < len(values):
        wrong.append(f"choices: a value is given twice in {list(raw)!r}")
    return tuple(values)


def _between(raw: Mapping[Any, Any], kind: Any, rule: Rule | None, wrong: list[str]) -> Range:
    found: dict[str, Any] = {}
    for key in ("low", "high"):
        if raw.get(key) is None:
            wrong.append(f"{key} is missing")
            continue
        found[key], problem = checked(raw[key], kind, rule)
        wrong += [f"{key}: {problem}"] if problem else []
    log, problem = checked(raw.get("log", False), bool, None)
    wrong += [f"log: {problem}"] if problem else []
    step = 1 if _number(kind) is int and not log else None
    if raw.get("step") is not None:
        step, problem = checked(raw["step"], kind, (lambda value: value > 0, "must be greater than 0"))
        wrong += [f"step: {problem}"] if problem else []
    if not wrong:
        wrong += _impossible(found["low"], found["high"], step, bool(log))
    return Range(**found, step=step, log=bool(log)) if not wrong else Range()


def _impossible(low: Any, high: Any, step: Any, log: bool) -> Iterator[str]:
    if low > high:
        yield f"low {low} is greater than high {high}"
    elif low == high:
        yield f"low and high are both {low}: set it as it is"
    elif step and step > high - low:
        yield f"step {step} is greater than what lies between low {low} and high {high}"
    if log and low <= 0:
        yield f"log needs a low above 0, got {low}"
    if log and step:
        yield "log and step exclude each other"


def _number(kind: Any) -> type | None:
    """int or float, where the setting is one."""
    options = [each for each in (get_args(kind) or (kind,)) if each is not NoneType]
    return options[0] if len(options) == 1 and options[0] in (int, float) else None
