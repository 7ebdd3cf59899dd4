"""What a card claims, beside what was measured."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sentiment140_bert.settings import SCORES

TRUE, FALSE, UNCHECKED = "true", "false", "unchecked"
TOLERANCE = 0.001
ALIASES = {"auc": "roc_auc", "loss": "log_loss", "mcc": "matthews_correlation", "eval_loss": "log_loss"}
# A line such as "- Accuracy: 0.861" or "| F1 | 86.1% |", as Trainer and many people write it.
WRITTEN = re.compile(
    r"^[ \t\-*|]{0,20}(?:eval[_ ])?(accuracy|f1|precision|recall|loss|auc|roc[_ ]auc|matthews[_ ]correlation|mcc)"
    r"\*{0,2} {0,9}[:=|] {0,9}\*{0,2} {0,9}(\d{1,9}(?:\.\d{1,20})?(?:[eE][+-]?\d{1,3})?)(?![.,]?\d) {0,9}(%?)",
    re.IGNORECASE | re.MULTILINE,
)
PARTS = "intervals, matrix, calibration, baselines, slices"
DETAILS = ("slices.", "baselines.", "risk_coverage.", "abstaining.", "three_way.")  # where a single tweet shows
FEWEST_DIGITS = 2  # "1" claims every tweet, and is no rounded 0.6


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
        if not all(isinstance(each, int | float) and math.isfinite(each) for each in both):
            return None
        return float(self.measured - self.claimed)

    def shown(self) -> dict[str, Any]:
        """As JSON and a terminal may have it: whoever wrote the card chose the words."""
        plain = {"claim": line(self.claim, 200), "verdict": self.verdict, "why": line(self.why, 400)}
        return plain | {
            "claimed": _shown(self.claimed),
            "measured": _shown(self.measured),
            "difference": self.difference,
        }


def line(text: str, longest: int) -> str:
    """Printable text on one line."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())[:longest]


def _shown(value: Any) -> Any:
    if value is None or (isinstance(value, int | float) and math.isfinite(value)):
        return value
    return line(str(value), 200)


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
    """Every split of one ``metrics.json`` beside another's: the scores singly, the other numbers where they differ."""
    for name, split in claimed.items():
        there = measured.get(name)
        if there is None:
            yield unchecked(f"{name}: scores", None, "the data hold no such split")
            continue
        yield exactly(f"{name}: tweets", split.get("n"), there["n"])
        yield from _flags(name, split, there)
        singly = {f"{metric}.value" for metric in SCORES}
        found = {path: value for path, value, _ in numbers_in(there)}
        rest = 0
        for path, value, n in numbers_in(split):
            label = f"{name}: {path.removesuffix('.value')}"
            if path not in found:
                yield unchecked(label, value, "it was not measured")
                continue
            check = about(label, value, found[path], _allowed(path, found[path], n, tolerance))
            if path in singly or check.verdict == FALSE:
                yield check
            else:
                rest += path != "n"
        if rest:
            yield Check(f"{name}: {PARTS}", f"{rest} numbers", f"{rest} numbers", TRUE)


def _flags(name: str, split: Mapping[str, Any], there: Mapping[str, Any]) -> Iterator[Check]:
    """Which kinds of tweets there are, and which are said to be worse; told where they differ."""
    said, found = ({each["name"]: each["worse"] for each in part.get("slices", [])} for part in (split, there))
    for kind in {**said, **found}:
        if said.get(kind) != found.get(kind):
            claim = f"{name}: {kind} is said to be worse"
            yield Check(claim, str(said.get(kind, "not there")), str(found.get(kind, "not there")), FALSE)


def _allowed(path: str, measured: float, n: int, tolerance: float) -> float:
    """How far a number may be off: another machine's rounding may take a tweet over a limit.

    Args:
        path: Of the number in its split.
        measured: What it should be.
        n: Tweets in the part of the split that it belongs to.
        tolerance: Of a score of the whole split.
    """
    if path.startswith(("calibration.bins", "calibrated.bins")):  # a tenth of the tweets each; two may change places
        return 2 if path.endswith(".n") else tolerance + 2 / n
    if path in ("n", "neutral_left_out", "three_way.n") or path.startswith("leakage."):
        return 0
    if path.startswith("slices.") and path.endswith(".n"):  # which tweets those are is no matter of the model
        return 0
    if path.endswith("p_value"):  # a tweet more or less on one side moves it by a tenth of itself, or so
        return 0.02 + 0.5 * measured
    if path.startswith(DETAILS):
        return max(1, tolerance * n) if isinstance(measured, int) else tolerance + 2 / n
    return tolerance * n if isinstance(measured, int) else tolerance


def numbers_in(content: Any, path: str = "", n: int = 0) -> Iterator[tuple[str, int | float, int]]:
    """(path, number, tweets of the nearest part that says how many it has) of every number in parsed JSON."""
    if isinstance(content, dict | list):
        members = content.items() if isinstance(content, dict) else enumerate(content)
        own = content.get("n") if isinstance(content, dict) else None
        n = own if isinstance(own, int) and own > 0 else n
        for key, value in members:
            yield from numbers_in(value, f"{path}.{key}" if path else str(key), n)
    elif isinstance(content, int | float) and not isinstance(content, bool):
        yield path, content, n


def learned(claimed: Mapping[str, Any], measured: Mapping[str, Any], noted: Any, tolerance: float) -> Iterator[Check]:
    """What ``metrics.json`` says was learned of the validation split, what ``config.json`` says, and what is now."""
    for claim, section, key, noted_as in (
        ("temperature", "temperature", "value", "temperature"),
        ("abstention threshold", "abstention", "threshold", "neutral_below"),
    ):
        value = claimed[section][key]
        yield about(claim, value, measured[section][key], 10 * tolerance)
        there = noted.get(noted_as) if isinstance(noted, dict) else None
        if there != value:
            yield exactly(f"config.json: {noted_as}", there, value)


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


def of_model_index(index: Any) -> Iterator[Claim]:
    """The claims of a card's ``model-index``; what is not as the Hub describes it is passed over."""
    for result in _all(_all([index], None), "results"):
        dataset = result.get("dataset") if isinstance(result, dict) else None
        about = dataset if isinstance(dataset, dict) else {}
        if any(not isinstance(about.get(key), str | None) for key in ("type", "split", "revision", "name")):
            about = {}
        for each in _all([result], "metrics"):
            metric = _metric(each.get("type")) if isinstance(each, dict) else None
            value = _number(each.get("value")) if metric else None
            if metric and value is not None:
                where = f"model-index, {about.get('split') or about.get('name') or 'data not named'}: {metric}"
                yield Claim(
                    where,
                    metric,
                    _share(value, metric, str(each["value"])),
                    _digits(value, metric, str(each["value"])),
                    about.get("type"),
                    about.get("split"),
                    about.get("revision"),
                )


def _all(values: Iterable[Any], key: str | None) -> Iterator[Any]:
    """The members of each value, or of its list under ``key``."""
    for value in values:
        members = value if key is None else value.get(key) if isinstance(value, dict) else None
        yield from members if isinstance(members, list) else ()


def of_text(text: str) -> Iterator[Claim]:
    """Scores that stand in a card's text as "Accuracy: 0.861"."""
    for name, number, percent in WRITTEN.findall(text):
        metric = _metric(name)
        value = _number(number)
        if metric and value is not None:
            written = number + percent
            yield Claim(f"card text: {name}", metric, _share(value, metric, written), _digits(value, metric, written))


def _metric(name: Any) -> str | None:
    plain = str(name).strip().lower().replace(" ", "_")
    plain = ALIASES.get(plain, plain)
    return plain if plain in SCORES else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(str(value).strip().rstrip("%")[:40])
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _share(value: float, metric: str, written: str) -> float:
    """A score as a share, however it was written: 86.1 and "86.1%" are 0.861."""
    in_percent = written.strip().endswith("%") or (value > 1 and metric != "log_loss")
    return value / 100 if in_percent else value


def _digits(value: float, metric: str, written: str) -> int:
    """Digits after the point that the claim as a share has."""
    exponent = Decimal(written.strip().rstrip("%").strip()[:40]).as_tuple().exponent
    digits = max(0, -exponent) if isinstance(exponent, int) else 0
    share = _share(value, metric, written)
    digits += 2 if share != value else 0
    return max(digits, FEWEST_DIGITS) if digits == 0 or share in (0, 1) else digits


def compared(claim: Claim, split: Mapping[str, Any], tolerance: float) -> Check:
    """A foreign claim beside what was measured, within half of its last digit.

    F1, precision and recall of others may be those of the positive class, or the mean over both classes, plain or
    weighted: the one nearest to the claim counts, and is named.
    """
    if split.get("neutral_left_out"):
        return unchecked(claim.where, claim.value, "the tweets have neutral ones, and two classes are measured here")
    candidates = {claim.metric: split[claim.metric]["value"]} if claim.metric in split else {}
    if claim.metric in ("f1", "precision", "recall") and "true_positive" in split:
        candidates |= averages(claim.metric, split)
    if not candidates:
        return unchecked(claim.where, claim.value, "it cannot be measured on these tweets")
    name = min(candidates, key=lambda each: abs(candidates[each] - claim.value))
    allowed = max(tolerance, 0.5 * 10.0**-claim.digits) * (1 + 1e-9)  # exactly between two, either is right
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
