"""The ``tuning`` section of a recipe: among which values ``s140 tune`` looks for better ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Generic

from pydantic import AfterValidator, BeforeValidator, ConfigDict
from typing_extensions import TypedDict, TypeVar

from sentiment140_bert.recipe.sections import DataConfig, ModelConfig, TrainingConfig
from sentiment140_bert.recipe.values import PositiveNumber
from sentiment140_bert.text import shorten

Value = TypeVar("Value", default=Any)

# What may be tuned; each is a setting of the sections model, data or training.
TUNABLE = (
    *("learning_rate", "per_device_train_batch_size", "gradient_accumulation_steps", "num_train_epochs"),
    *("weight_decay", "warmup_steps", "lr_scheduler_type", "layerwise_lr_decay", "label_smoothing_factor"),
    *("max_grad_norm", "hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout", "max_length"),
)


@dataclass(frozen=True)
class Range(Generic[Value]):
    """The values among which one setting is looked for.

    Args:
        low: The least.
        high: The greatest, above ``low``.
        step: Between neighbors; None of a float that may be anything in between.
        log: Draw as many values between 1 and 10 as between 10 and 100.
        choices: In place of all that, the values themselves, two or more.

    Raises:
        ValueError: They are no range; a sentence for each reason.
    """

    low: Value | None = None
    high: Value | None = None
    step: PositiveNumber | None = None
    log: bool = False
    choices: tuple[Value, ...] | None = None

    def __post_init__(self) -> None:
        problems = list(self._problems_of_bounds() if self.choices is None else self._problems_of_choices())
        if problems:
            raise ValueError(*problems)

    def _problems_of_bounds(self) -> Iterator[str]:
        low: Any = self.low
        high: Any = self.high
        if low is None or high is None:
            yield from (f"{name} is missing" for name in ("low", "high") if getattr(self, name) is None)
            return
        if not isinstance(low, int | float):
            yield "takes only choices: it is not a number"
            return
        if low > high:
            yield f"low {low} is greater than high {high}"
        elif low == high:
            yield f"low and high are both {low}: set the value itself"
        elif self.step and self.step > high - low:
            yield f"step {self.step} is greater than the distance between low {low} and high {high}"
        if self.step and isinstance(low, int) and not float(self.step).is_integer():
            yield f"step must be a whole number, got {self.step}"
        if self.log and low <= 0:
            yield f"log needs a low above 0, got {low}"
        if self.log and self.step:
            yield "log and step exclude each other"

    def _problems_of_choices(self) -> Iterator[str]:
        choices = self.choices or ()
        others = [name for name in ("low", "high", "step", "log") if getattr(self, name)]
        if others:
            yield f"choices cannot be combined with {', '.join(others)}"
        if not choices:
            yield "choices are empty"
        elif len(choices) == 1:
            yield f"a single choice, {choices[0]!r}, leaves nothing to tune: set the value itself"
        elif len(set(choices)) < len(choices):
            yield f"choices: duplicate value in {shorten(list(choices))}"

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Range:
        """Return the range that :meth:`to_plain` converted; JSON has lists in place of tuples."""
        values = dict(plain)
        if "choices" in values:
            values["choices"] = tuple(values["choices"])
        return cls(**values)

    def to_plain(self) -> dict[str, Any]:
        """Return the range as written in a recipe."""
        if self.choices:
            return {"choices": list(self.choices)}
        plain: dict[str, Any] = {"low": self.low, "high": self.high}
        return plain | ({"step": self.step} if self.step else {}) | ({"log": True} if self.log else {})

    def holds(self, value: Any) -> bool:
        """Return True if the range contains a value."""
        if self.choices:
            return value in self.choices
        low: Any = self.low
        if value is None or not low <= value <= self.high:
            return False
        steps = (value - low) / self.step if self.step else 0.0
        return bool(abs(steps - round(steps)) < 1e-9)

    def mixes_shares(self) -> bool:
        """Return True if some values are shares of all steps, which are below 1, and others are numbers of steps."""
        values: tuple[Any, ...] = self.choices or ()
        low: Any = self.low
        high: Any = self.high
        if not self.choices and low < 1:
            values = (low, low + self.step if self.step else (low + min(high, 1)) / 2, high)
        return any(0 < value < 1 for value in values) and any(value >= 1 for value in values)


def _read_list(value: Any) -> Any:
    """Read a list as choices."""
    if isinstance(value, list | tuple):
        return {"choices": value}
    if not isinstance(value, Mapping | Range):
        raise ValueError(f"expected low and high, or a list of choices, got {shorten(value)}")
    return value


def _add_step(bounds: Range) -> Range:
    """Return a range of whole numbers with its step written out."""
    if not isinstance(bounds.low, int) or bounds.log:
        return bounds
    return dataclasses.replace(bounds, step=int(bounds.step or 1))


def _annotation(name: str) -> Any:
    """Return the type of a setting's range, whose values are checked as the setting's own."""
    section = next(cls for cls in (ModelConfig, DataConfig, TrainingConfig) if name in cls.model_fields)
    field = section.model_fields[name]
    value = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
    return Annotated[
        Range[value],  # type: ignore[valid-type]
        AfterValidator(_add_step),
        BeforeValidator(_read_list, json_schema_input_type=Range[value] | list[value]),  # type: ignore[valid-type]
    ]


Tuning = TypedDict("Tuning", {name: _annotation(name) for name in TUNABLE}, total=False)  # type: ignore[misc]
Tuning.__pydantic_config__ = ConfigDict(extra="forbid", coerce_numbers_to_str=True)  # type: ignore[attr-defined]
