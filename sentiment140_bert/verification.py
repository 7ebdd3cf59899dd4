"""What a card claims, beside what was measured."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sentiment140_bert.recipe import SCORES

TRUE, FALSE, UNCHECKED = "true", "false", "unchecked"
TOLERANCE = 0.001
ALIASES = {"auc": "roc_auc", "loss": "log_loss", "mcc": "matthews_correlation", "eval_loss": "log_loss"}
# A line such as "- Accuracy: 0.861" or "| F1 | 86.1% |", as Trainer and many people write it.
WRITTEN = re.compile(
    r"^[\s\-*|]*(?:eval[_ ])?(accuracy|f1|precision|recall|loss|auc|roc[_ ]auc|matthews[_ ]correlation|mcc)"
    r"\**\s*[:=|]\s*\**(\d+(?:\.\d+)?)\s*(%?)",
    re.IGNORECASE | re.MULTILINE,
)


@dataclass(frozen=True)
class Check:
    """One claim: ``verdict`` is true, false or unchecked; ``difference`` is measured minus claimed, of numbers."""

    claim: str
    claimed: Any
    measured: Any
    verdict: str
    why: str = ""

    @property
    def difference(self) -> float | None:
        both = (self.claimed, self.measured)
        return self.measured - self.claimed if all(isinstance(each, int | float) for each in both) else None


@dataclass(frozen=True)
class Claim:
    """A score as a card states it: ``value`` as written, ``dataset`` and ``split`` where it says."""

    where: str
    metric: str
    value: float
    digits: int
    dataset: str | None = None
    split: str | None = None
    revision: str | None = None


def exactly(claim: str, claimed: Any, right: Any) -> Check:
    """A claim that needs no tolerance."""
    return Check(claim, claimed, right, TRUE if claimed == right else FALSE)


def about(claim: str, claimed: float, measured: float, tolerance: float) -> Check:
    """A claim about a score that was measured again."""
    return Check(claim, claimed, measured, TRUE if abs(claimed - measured) <= tolerance else FALSE)


def unchecked(claim: str, claimed: Any, why: str) -> Check:
    """A claim that nothing here can be said about."""
    return Check(claim, claimed, None, UNCHECKED, why)


def scores(claimed: Mapping[str, Any], measured: Mapping[str, Any], tolerance: float) -> Iterator[Check]:
    """Every score of every split in one ``metrics.json`` beside another's."""
    for name, split in claimed.items():
        there = measured.get(name)
        if there is None:
            yield unchecked(f"{name}: scores", None, "the data hold no such split")
            continue
        yield exactly(f"{name}: tweets", split["n"], there["n"])
        for metric in SCORES:
            if metric in split and metric in there:
                value = float(split[metric]["value"])
                yield about(f"{name}: {metric}", value, there[metric]["value"], tolerance)


def examples(
    claimed: Iterable[Mapping[str, Any]], measured: Iterable[Mapping[str, Any]], tolerance: float
) -> Iterator[Check]:
    """The answers that a card shows beside those of the model."""
    for said, found in zip(claimed, measured, strict=False):
        name = f"answer to {said['text']!r}"
        if said["label"] != found["label"]:
            yield Check(name, said["label"], found["label"], FALSE)
        else:
            yield about(name, said["score"], found["score"], tolerance)


def of_model_index(results: Iterable[Any]) -> Iterator[Claim]:
    """The claims of a model-index, from huggingface_hub's ``EvalResult``."""
    for each in results:
        metric = _metric(each.metric_type)
        value = _number(each.metric_value)
        if metric and value is not None:
            text = str(each.metric_value)
            yield Claim(
                f"model-index, {each.dataset_split or each.dataset_name}: {metric}",
                metric,
                _share(value, metric),
                _digits(text, value, metric),
                each.dataset_type,
                each.dataset_split,
                each.dataset_revision,
            )


def of_text(text: str) -> Iterator[Claim]:
    """Scores that stand in a card's text as "Accuracy: 0.861"."""
    for name, number, percent in WRITTEN.findall(text):
        metric = _metric(name)
        if metric:
            value = float(number)
            share = value / 100 if percent else _share(value, metric)
            digits = len(number.partition(".")[2]) + (2 if share != value else 0)
            yield Claim(f"card text: {name}", metric, share, digits)


def _metric(name: str) -> str | None:
    plain = name.strip().lower().replace(" ", "_")
    plain = ALIASES.get(plain, plain)
    return plain if plain in SCORES else None


def _number(value: Any) -> float | None:
    try:
        return float(str(value).strip().rstrip("%"))
    except ValueError:
        return None


def _share(value: float, metric: str) -> float:
    return value / 100 if value > 1 and metric != "log_loss" else value


def _digits(text: str, value: float, metric: str) -> int:
    written = len(text.strip().rstrip("%").partition(".")[2])
    return written + (2 if _share(value, metric) != value else 0)


def compared(claim: Claim, split: Mapping[str, Any], tolerance: float) -> Check:
    """A foreign claim beside what was measured, within half of its last digit.

    F1, precision and recall of others may be those of the positive class, or the mean over both classes, plain or
    weighted: the one nearest to the claim counts, and is named.
    """
    candidates = {claim.metric: split[claim.metric]["value"]} if claim.metric in split else {}
    if claim.metric in ("f1", "precision", "recall") and "true_positive" in split:
        candidates |= averages(claim.metric, split)
    if not candidates:
        return unchecked(claim.where, claim.value, "it cannot be measured on these tweets")
    name = min(candidates, key=lambda each: abs(candidates[each] - claim.value))
    allowed = max(tolerance, 0.5 * 10.0**-claim.digits)
    where = claim.where if name == claim.metric else f"{claim.where} ({name})"
    return about(where, claim.value, candidates[name], allowed)


def averages(metric: str, split: Mapping[str, Any]) -> dict[str, float]:
    """``macro`` and ``weighted`` mean of a score over both classes, from a confusion matrix."""
    tn, fp, fn, tp = (
        split[name]["value"] for name in ("true_negative", "false_positive", "false_negative", "true_positive")
    )

    def of_class(hits: int, wrong: int, missed: int) -> float:
        below = {"precision": hits + wrong, "recall": hits + missed, "f1": hits + 0.5 * (wrong + missed)}[metric]
        return hits / below if below else 0.0

    positive, negative = of_class(tp, fp, fn), of_class(tn, fn, fp)
    n_positive, n_negative = tp + fn, tn + fp
    return {
        "macro": (positive + negative) / 2,
        "weighted": (positive * n_positive + negative * n_negative) / max(1, n_positive + n_negative),
    }


def verdict(checks: Iterable[Check]) -> str:
    """False if one claim is, else unchecked if one is (or there are none), else true."""
    found = {check.verdict for check in checks}
    return FALSE if FALSE in found else UNCHECKED if UNCHECKED in found or not found else TRUE
