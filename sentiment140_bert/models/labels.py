"""Interpret the labels of data and of models: one table of spellings, and one rule for numbers without names."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sentiment140_bert.errors import ModelError

NEGATIVE, POSITIVE, NEUTRAL = 0, 1, 2
LABEL_NAMES = {NEGATIVE: "negative", POSITIVE: "positive", NEUTRAL: "neutral"}
CLASSES_IN_ORDER = (NEGATIVE, NEUTRAL, POSITIVE)  # as they are shown, and in the matrix of three classes


def order_names(count: int) -> list[str]:
    """Return the names of two or three labels in the order of a confusion matrix."""
    return [LABEL_NAMES[label] for label in CLASSES_IN_ORDER if label < count]


_GAPS = (" ", "_", "-")
_DEGREES = ("very", "extremely", "strongly", "mostly", "somewhat", "slightly")
_SIDES = {"negative": NEGATIVE, "neg": NEGATIVE, "positive": POSITIVE, "pos": POSITIVE}
NAMED = {
    **_SIDES,
    **{"neutral": NEUTRAL, "neu": NEUTRAL, "neut": NEUTRAL},
    **{f"{degree}{gap}{name}": side for degree in _DEGREES for gap in _GAPS for name, side in _SIDES.items()},
}
_STARS = {"1": NEGATIVE, "2": NEGATIVE, "3": NEUTRAL, "4": POSITIVE, "5": POSITIVE}
_MEANING_OF_STARS = "1 and 2 negative, 3 neutral, 4 and 5 positive"
SENTIMENT140, SIGNED = "0/2/4 (Sentiment140)", "-1/0/1"
STARS, NUMBERS_AS_STARS = f"stars: {_MEANING_OF_STARS}", f"1 to 5, taken for stars: {_MEANING_OF_STARS}"
# Of labels that two schemes explain equally well, the first one counts.
SCHEMES: dict[str, Mapping[str, int]] = {
    "names": NAMED,
    SENTIMENT140: {"0": NEGATIVE, "2": NEUTRAL, "4": POSITIVE},
    "0/1": {"0": NEGATIVE, "1": POSITIVE},
    SIGNED: {"-1": NEGATIVE, "0": NEUTRAL, "1": POSITIVE},
    STARS: {
        f"{number}{gap}{word}": side
        for number, side in _STARS.items()
        for gap in ("", *_GAPS)
        for word in ("star", "stars")
    },
    NUMBERS_AS_STARS: _STARS,
}
# A label without which the others are numbers that may belong to another scheme.
_NEEDED = {SENTIMENT140: "4", SIGNED: "-1", NUMBERS_AS_STARS: "5"}
_UNNAMED = re.compile("label_([0-9]{1,9})")  # what transformers calls a label without a name
_NUMBER = re.compile(r"[+-]?[0-9]{1,9}(\.[0-9]{1,9})?")
UNCLEAR = (
    "nothing says what they mean: 2 is neutral in Sentiment140, positive in TweetEval, and negative among five stars"
)


def tidy(value: object) -> str:
    """Return a label as the schemes spell it.

    ``" 4.0 "``, ``4`` and ``"4,0"`` become ``"4"``, ``"Positive"`` becomes ``"positive"``, ``"LABEL_1"`` ``"1"``.
    """
    label = str(value).strip().strip('"').lower()
    label = label[:-2] if label.endswith((".0", ",0")) else label
    unnamed = _UNNAMED.fullmatch(label)
    return unnamed[1] if unnamed else label


def find_scheme(labels: Collection[str], rare: Collection[str] = ()) -> str | None:
    """Return the scheme that explains tidied labels, or None if no scheme or several could.

    Args:
        labels: All of them are explained.
        rare: These need not be, but may decide the scheme of the others.
    """
    every = {*labels, *rare}
    fitting = (name for name, scheme in SCHEMES.items() if is_possible(name, every) and scheme.keys() >= {*labels})
    return next(fitting, None) if labels else None


def is_possible(scheme: str, labels: Collection[str]) -> bool:
    """Return True if labels include the one without which they are not taken for a scheme of numbers."""
    return scheme not in _NEEDED or _NEEDED[scheme] in labels


def are_numbers(labels: Collection[str]) -> bool:
    """Return True if all of these tidied labels are numbers, and there is at least one."""
    return bool(labels) and all(map(_NUMBER.fullmatch, labels))


def suggest_meanings(labels: Collection[str]) -> dict[str, str]:
    """Return a meaning for each number, as if they went from negative to positive, to be shown in a message."""
    numbers = sorted(labels, key=float)
    middle = (len(numbers) - 1) / 2
    sides = {at: "neutral" if at == middle else "negative" if at < middle else "positive" for at in range(len(numbers))}
    return {number: sides[at] for at, number in enumerate(numbers)}


@dataclass(frozen=True)
class LabelMapping:
    """The meaning of each label of a classifier, by position; ``assumed`` states in words what was assumed."""

    meanings: tuple[int, ...]
    assumed: str = ""

    def positions(self, meaning: int) -> list[int]:
        """Return the positions of the labels of this meaning."""
        return [at for at, label_meaning in enumerate(self.meanings) if label_meaning == meaning]

    def positive_share(self, probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return P(positive | not neutral) for rows of shape (n, labels)."""
        negative, positive = (
            probabilities[:, self.positions(meaning)].sum(axis=1, dtype=np.float64) for meaning in (NEGATIVE, POSITIVE)
        )
        return np.asarray(positive / np.maximum(negative + positive, np.finfo(np.float64).tiny))

    def neutral_share(self, probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.float64] | None:
        """Return P(neutral) for rows of shape (n, labels); None for a model without such a label."""
        neutral = self.positions(NEUTRAL)
        if not neutral:
            return None
        total = np.maximum(probabilities.sum(axis=1, dtype=np.float64), np.finfo(np.float64).tiny)
        return np.asarray(probabilities[:, neutral].sum(axis=1, dtype=np.float64) / total)


def map_labels(names: Sequence[str]) -> LabelMapping:
    """Interpret a model's labels, by the same rules as a file's.

    Args:
        names: The names of all its labels, by position.

    Raises:
        ModelError: They do not say which is negative and which is positive.
    """
    tidied = [tidy(name) for name in names]
    scheme = find_scheme(tidied)
    meaning = SCHEMES[scheme or "names"]
    other = [name for name, label in zip(names, tidied, strict=True) if label not in meaning]
    meanings = tuple(meaning.get(label, NEUTRAL) for label in tidied)
    listed = list_names(names)
    if not scheme and are_numbers(tidied):
        sides = suggest_meanings(tidied)
        id2label = ", ".join(f'"{at}": "{sides[label]}"' for at, label in enumerate(tidied))
        raise ModelError(
            f"The model's {len(names)} labels ({listed}) are numbers, and {UNCLEAR}.",
            f'Name them in the config.json of the model or of a copy, as in "id2label": {{{id2label}}}.',
        )
    if len(other) > 1 or not {NEGATIVE, POSITIVE} <= {*meanings}:
        count = f"{len(names)} labels ({listed}) do" if len(names) > 1 else f"only label ({listed}) does"
        raise ModelError(
            f"The model's {count} not say which is negative and which is positive.",
            "Name a sentiment classifier, or name its labels in the config.json of a copy of it (id2label).",
        )
    return LabelMapping(meanings, _assume(names, meanings, other))


def list_names(names: Sequence[str]) -> str:
    """Return names of labels for a message, not more than eight of them."""
    return ", ".join(names[:8]) + (f" and {len(names) - 8} others" if len(names) > 8 else "")


def _assume(names: Sequence[str], meanings: Sequence[int], other: Sequence[str]) -> str:
    """Describe what is assumed about labels whose names do not say it."""
    if any(_UNNAMED.fullmatch(name.strip().lower()) for name in names) and not other:
        read = (f"{name} as {LABEL_NAMES[side]}" for name, side in zip(names, meanings, strict=True))
        return f"labels have no names: read {', '.join(read)}"
    return f"read {other[0]} as neutral" if other else ""
