"""Claims compared with measurements."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sentiment140_bert.settings import SCORES

TRUE, FALSE, UNCHECKED = "true", "false", "unchecked"
CLAIMED, WARNING = (
    "claimed",
    "warning",
)  # what nobody can measure, and where it reads like a score; neither is a verdict
TOLERANCE = 0.001
ALIASES = {"auc": "roc_auc", "loss": "log_loss", "mcc": "matthews_correlation", "eval_loss": "log_loss"}
# A line such as "- Accuracy: 0.861" or "| F1 | 86.1% |", as Trainer and many people write it.
WRITTEN = re.compile(
    r"^[ \t\-*|]{0,20}(?:eval[_ ])?(accuracy|f1|precision|recall|loss|auc|roc[_ ]auc|matthews[_ ]correlation|mcc)"
    r"\*{0,2} {0,9}[:=|] {0,9}\*{0,2} {0,9}(\d{1,9}(?:\.\d{1,20})?(?:[eE][+-]?\d{1,3})?)(?![.,]?\d) {0,9}(%?)",
    re.IGNORECASE | re.MULTILINE,
)
PARTS = "intervals, matrix, calibration, baselines, slices"
NAMES = {"temperature.value": "temperature", "abstention.threshold": "abstention threshold"}
NAMES |= {"weights_sha256": "weights' sha256", "data_fingerprint": "data fingerprint"}
NAMED = {*NAMES.values()}
SHOWN = ("tweets", *SCORES)
LARGEST = 1e300  # of a number on a card; a longer whole number is no float
DETAILS = ("slices.", "baselines.", "risk_coverage.", "abstaining.", "three_way.")  # where a single tweet shows
FEWEST_DIGITS = 2  # "1" claims every tweet, and is no rounded 0.6


@dataclass(frozen=True)
class Check:
    """One claim: ``verdict`` is true, false, unchecked (not measured this time), claimed (nobody can measure it) or
    warning (so, and it reads like a score); ``difference`` is measured minus claimed, of numbers."""

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
    if value is None or (isinstance(value, int | float) and abs(value) < LARGEST):  # which NaN is not
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


@dataclass(frozen=True)
class Leaf:
    """A value of a JSON file, compared."""

    path: tuple[str, ...]
    claimed: Any
    measured: Any
    verdict: str


Allowed = Callable[[tuple[str, ...], float, int], float]


def settle(claimed: Any, measured: Any, allowed: Allowed = lambda *_: 0.0) -> tuple[Any, list[Leaf]]:
    """Compare parsed JSON with what it should be.

    Args:
        claimed: As the file has it.
        measured: As it should be.
        allowed: Says of a path, the measured number, and the ``n`` (tweets) of the nearest part that has one, how far
            the claimed number may be off.

    Returns:
        What is measured, with the claimed numbers where they are within what is allowed; and every compared value.
    """
    leaves: list[Leaf] = []
    return _settle(claimed, measured, (), 0, allowed, leaves.append), leaves


def _settle(
    claimed: Any, measured: Any, path: tuple[str, ...], n: int, allowed: Allowed, add: Callable[[Leaf], None]
) -> Any:
    if isinstance(measured, list) and isinstance(claimed, list):
        right, there = _by_name(measured), _by_name(claimed)
        settled = _settle(there, right, path, n, allowed, add)
        if [name for name in there if name in right] != [name for name in right if name in there]:
            add(Leaf((*path, "order"), ", ".join(there), ", ".join(right), FALSE))
        return list(settled.values())
    if isinstance(measured, dict) and isinstance(claimed, dict):
        own = measured.get("n")
        n = own if isinstance(own, int) and own > 0 else n
        for key in [key for key in claimed if key not in measured]:
            add(Leaf((*path, str(key)), claimed[key], None, UNCHECKED))
        for key in [key for key in measured if key not in claimed]:
            add(Leaf((*path, str(key)), "left out", measured[key], FALSE))
        return {
            key: _settle(claimed[key], value, (*path, str(key)), n, allowed, add) if key in claimed else value
            for key, value in measured.items()
        }
    if _is_number(measured) and _is_number(claimed) and isinstance(claimed, int) == isinstance(measured, int):
        agrees = claimed == measured or abs(claimed - measured) <= allowed(path, measured, n)
    else:
        agrees = type(claimed) is type(measured) and claimed == measured
    add(Leaf(path, claimed, measured, TRUE if agrees else FALSE))
    return claimed if agrees else measured


def _by_name(values: list[Any]) -> dict[str, Any]:
    """Return the members of a list by the name or text they have, else by their place."""
    names = [str(value.get("name", value.get("text"))) for value in values if isinstance(value, dict)]
    if len({*names}) != len(values):
        names = [str(at) for at in range(len(values))]
    return dict(zip(names, values, strict=True))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def metrics(
    claimed: Mapping[str, Any], measured: Mapping[str, Any], tolerance: float
) -> tuple[dict[str, Any], list[Check]]:
    """Compare a ``metrics.json`` with what is measured now.

    Returns:
        As :func:`settle`; of the numbers that agree only the scores are named one by one.
    """
    settled, leaves = settle(claimed, measured, lambda path, right, n: _allowed(path, right, n, tolerance))
    checks, rest = [], dict.fromkeys(measured.get("splits", {}), 0)
    for leaf in leaves:
        name = _name_of(leaf.path)
        if leaf.verdict == UNCHECKED:
            checks.append(unchecked(name, leaf.claimed, "it was not measured"))
        elif leaf.verdict == FALSE or name in {*NAMED, *(f"{split}: {score}" for split in rest for score in SHOWN)}:
            checks.append(Check(name, leaf.claimed, leaf.measured, leaf.verdict))
        elif leaf.path[0] == "examples" and leaf.path[-1] == "score":
            checks.append(Check(name.removesuffix(", score"), leaf.claimed, leaf.measured, TRUE))
        elif leaf.path[0] == "splits":
            rest[leaf.path[1]] += 1
    checks += [Check(f"{name}: {PARTS}", f"{n} values", f"{n} values", TRUE) for name, n in rest.items() if n]
    return settled, checks


def noted(claimed: Mapping[str, Any], config: Any) -> Iterator[Check]:
    """Compare what ``metrics.json`` says was learned of the validation split with ``config.json``: exactly."""
    for section, key, name in (("temperature", "value", "temperature"), ("abstention", "threshold", "neutral_below")):
        there = config.get(name) if isinstance(config, dict) else None
        if there != claimed[section][key]:
            yield exactly(f"config.json: {name}", there, claimed[section][key])


def _name_of(path: tuple[str, ...]) -> str:
    """Return how a value of ``metrics.json`` is called in a table."""
    if path[0] == "splits" and len(path) > 1:
        inner = ".".join(path[2:]).removesuffix(".value")
        return f"{path[1]}: {'tweets' if inner == 'n' else inner or 'scores'}"
    if path[0] == "examples" and len(path) > 1:
        return ", ".join([f"answer to {path[1]!r}", *path[2:]])
    name = ".".join(path)
    return NAMES.get(name, f"metrics.json: {name}")


def _allowed(where: tuple[str, ...], measured: float, n: int, tolerance: float) -> float:
    """Return how far a number may be off: another machine's rounding may take a tweet over a limit.

    Args:
        where: Its path in ``metrics.json``.
        measured: What it should be.
        n: Tweets in the part of the split that it belongs to.
        tolerance: Of a score of the whole split.
    """
    path = ".".join(where[2:])
    if where[0] != "splits":
        if where in (("temperature", "value"), ("abstention", "threshold")):
            return 10 * tolerance
        return tolerance if where[0] == "examples" else 0
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
    """Return false if one claim is, else unchecked if one is or none is true, else true."""
    verdicts = {check.verdict for check in checks}
    return FALSE if FALSE in verdicts else UNCHECKED if UNCHECKED in verdicts or TRUE not in verdicts else TRUE
