"""Claims compared with measurements."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from sentiment140_bert import schemas
from sentiment140_bert.results import make_table
from sentiment140_bert.schemas import SCORES

TRUE, FALSE, UNCHECKED = "true", "false", "unchecked"
# What nobody can measure, and where it reads like a score; neither is a verdict.
CLAIMED, WARNING = "claimed", "warning"
TOLERANCE = 0.001
OTHER_PARTS = "intervals, matrix, calibration, baselines, slices"
VALUE_NAMES = {"temperature.value": "temperature", "abstention.threshold": "abstention threshold"}
VALUE_NAMES |= {"weights_sha256": "weights' sha256", "data_fingerprint": "data fingerprint"}
NAMED = {*VALUE_NAMES.values()}
SHOWN = ("tweets", *SCORES)
MAX_NUMBER = 1e300  # a longer whole number is not a float
LEARNED = (("temperature", "value"), ("abstention", "threshold"))  # from the validation split
BELOW = 1 - 1e-9  # a share of a distance that does not reach the other end


@dataclass(frozen=True)
class Check:
    """One claim: ``verdict`` is true, false, unchecked (not measured this time), claimed (nobody can measure it) or
    warning (the same, and it reads like a score); ``difference`` is measured minus claimed, of numbers."""

    claim: str
    claimed: Any
    measured: Any
    verdict: str
    why: str = ""

    @property
    def difference(self) -> float | None:
        both = (self.claimed, self.measured)
        if not all(isinstance(value, int | float) and math.isfinite(value) for value in both):
            return None
        return float(self.measured - self.claimed)

    def clean(self) -> Check:
        """Return it in words that are safe in JSON and on a terminal: the author of the card chose them."""
        claim, why = to_one_line(self.claim, 200), to_one_line(self.why, 400)
        return Check(claim, _clean(self.claimed), _clean(self.measured), self.verdict, why)

    def to_dict(self) -> dict[str, Any]:
        """Return what ``--json`` prints."""
        names = ("claim", "verdict", "why", "claimed", "measured", "difference")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, repr=False)
class VerifyResult:
    """The verdict on a page: true, false, or unchecked if nothing is false and something could not be checked."""

    model: str
    commit: str | None
    verdict: str
    tolerance: float
    checks: tuple[Check, ...]

    @property
    def warnings(self) -> int:
        """The number of places that read like a score, and that nobody can measure."""
        return self.count(WARNING)

    def count(self, verdict: str) -> int:
        """Return the number of checks with this verdict."""
        return sum(check.verdict == verdict for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Return what ``--json`` prints."""
        return {**vars(self), "warnings": self.warnings, "checks": [check.to_dict() for check in self.checks]}

    def __repr__(self) -> str:
        names = {TRUE: "agree", FALSE: "false", UNCHECKED: "unchecked", CLAIMED: "claimed, not checked"}
        counts = [f"{self.count(verdict)} {name}" for verdict, name in names.items()]
        return f"VerifyResult({self.model!r}: {self.verdict}; {', '.join(counts)}, {self.warnings} warnings)"

    def _repr_html_(self) -> str:
        shown = [check for check in self.checks if check.verdict != CLAIMED]
        rows = [[check.claim, check.claimed, check.measured, check.verdict] for check in shown]
        return make_table(["claim", "claimed", "measured", "verdict"], rows)


def to_one_line(text: str, longest: int) -> str:
    """Return printable text on one line."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())[:longest]


def _clean(value: Any) -> Any:
    if value is None or (isinstance(value, int | float) and abs(value) < MAX_NUMBER):  # NaN is not
        return value
    return to_one_line(str(value), 200)


def check_exactly(claim: str, claimed: Any, right: Any) -> Check:
    """Check a claim that needs no tolerance."""
    return Check(claim, claimed, right, TRUE if claimed == right else FALSE)


def check_about(claim: str, claimed: float, measured: float, tolerance: float) -> Check:
    """Check a claim about a score that was measured again."""
    return Check(claim, claimed, measured, TRUE if abs(claimed - measured) <= tolerance else FALSE)


def leave_unchecked(claim: str, claimed: Any, why: str) -> Check:
    """Return a claim that nothing here can check."""
    return Check(claim, claimed, None, UNCHECKED, why)


@dataclass(frozen=True)
class Leaf:
    """A value of a JSON file, compared."""

    path: tuple[str, ...]
    claimed: Any
    measured: Any
    verdict: str

    def as_check(self, claim: str) -> Check:
        """Return it under the name of a claim."""
        why = "it was not measured" if self.verdict == UNCHECKED else ""
        return Check(claim, self.claimed, self.measured, self.verdict, why)


Allowed = Callable[[tuple[str, ...], float, int], float]


def settle(claimed: Any, measured: Any, allowed: Allowed = lambda *_: 0.0) -> tuple[Any, list[Leaf]]:
    """Compare parsed JSON with what it should be.

    Args:
        claimed: The value in the file.
        measured: The value that it should be.
        allowed: Returns how far the claimed number may be off, from its path, the measured number, and the ``n``
            (tweets) of the nearest part that has one.

    Returns:
        What is measured, with the claimed numbers where they are within what is allowed; and every compared value.
    """
    leaves: list[Leaf] = []
    return _settle(claimed, measured, (), 0, allowed, leaves.append), leaves


def _settle(
    claimed: Any, measured: Any, path: tuple[str, ...], n: int, allowed: Allowed, add: Callable[[Leaf], None]
) -> Any:
    if isinstance(measured, list) and isinstance(claimed, list):
        right, stated = _index_by_name(measured), _index_by_name(claimed)
        settled = _settle(stated, right, path, n, allowed, add)
        if [name for name in stated if name in right] != [name for name in right if name in stated]:
            add(Leaf((*path, "order"), ", ".join(stated), ", ".join(right), FALSE))
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


def _index_by_name(values: list[Any]) -> dict[str, Any]:
    """Return the members of a list by their name, text, metric or split, else by their place."""
    names = [_name_member(value) for value in values if isinstance(value, dict)]
    if len({*names}) != len(values):
        names = [str(at) for at in range(len(values))]
    return dict(zip(names, values, strict=True))


def _name_member(value: dict[str, Any]) -> str:
    dataset = value.get("dataset")
    names = [value.get(key) for key in ("type", "name", "text")]
    names += [dataset.get(key) for key in ("split", "task_id")] if isinstance(dataset, dict) else []
    return str(next((name for name in names if name is not None), None))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def check_metrics(
    claimed: schemas.Metrics, measured: schemas.Metrics, tolerance: float
) -> tuple[schemas.Metrics, list[Check]]:
    """Compare a ``metrics.json`` with what is measured now.

    Returns:
        The same as :func:`settle`; of the numbers that agree only the scores are named one by one.
    """
    measured = _drop_later_scores(claimed, measured)
    settled, leaves = settle(claimed, measured, lambda path, right, n: _find_tolerance(path, right, n, tolerance))
    checks, rest = [], dict.fromkeys(measured.get("splits", {}), 0)
    for leaf in leaves:
        name = _name_value(leaf.path)
        if leaf.verdict != TRUE or name in {*NAMED, *(f"{split}: {score}" for split in rest for score in SHOWN)}:
            checks.append(leaf.as_check(name))
        elif leaf.path[0] == "examples" and leaf.path[-1] == "score":
            checks.append(leaf.as_check(name.removesuffix(", score")))
        elif leaf.path[0] == "splits":
            rest[leaf.path[1]] += 1
    checks += [Check(f"{name}: {OTHER_PARTS}", f"{n} values", f"{n} values", TRUE) for name, n in rest.items() if n]
    return settled, checks


def _drop_later_scores(claimed: schemas.Metrics, measured: schemas.Metrics) -> schemas.Metrics:
    """Leave out the later scores that no split of an earlier page has."""
    measured = copy.deepcopy(measured)
    for name in schemas.LATER_SCORES.difference(*claimed.get("splits", {}).values()):
        for split in measured.get("splits", {}).values():
            cast(dict[str, Any], split).pop(name, None)
    return measured


def check_config(claimed: schemas.Metrics, config: Any) -> Iterator[Check]:
    """Compare what ``metrics.json`` says was learned from the validation split with ``config.json``: exactly."""
    learned: dict[str, Any] = dict.fromkeys(("temperature", "neutral_below"))
    if "temperature" in claimed and "abstention" in claimed:
        learned = {"temperature": claimed["temperature"]["value"], "neutral_below": claimed["abstention"]["threshold"]}
    for name, value in learned.items():
        noted = config.get(name) if isinstance(config, dict) else None
        if noted != value:
            yield check_exactly(f"config.json: {name}", noted, value)


def _name_value(path: tuple[str, ...]) -> str:
    """Return the name of a value of ``metrics.json`` for a table."""
    if path[0] == "splits" and len(path) > 1:
        inner = ".".join(path[2:]).removesuffix(".value")
        return f"{path[1]}: {'tweets' if inner == 'n' else inner or 'scores'}"
    if path[0] == "examples" and len(path) > 1:
        return ", ".join([f"answer to {path[1]!r}", *path[2:]])
    name = ".".join(path)
    return VALUE_NAMES.get(name, f"metrics.json: {name}")


def _find_tolerance(where: tuple[str, ...], measured: float, n: int, tolerance: float) -> float:
    """Return how far a number may be off: another machine's rounding may take a few of many tweets over a limit.

    Args:
        where: Path of the number in ``metrics.json``.
        measured: The value that it should have.
        n: Tweets in the part of the split that it belongs to.
        tolerance: Tolerance for a score.
    """
    path = ".".join(where[2:])
    if where[0] != "splits":
        return tolerance if where[0] == "examples" or where in LEARNED else 0
    if path in ("n", "neutral_left_out", "three_way.n") or path.startswith("leakage."):
        return 0
    if path.startswith("slices.") and path.endswith(".n"):  # the model does not decide which tweets those are
        return 0
    if isinstance(measured, int):
        return tolerance * n
    if path.endswith("p_value"):
        from sentiment140_bert.evaluation.intervals import SIGNIFICANT

        # The tweets that may differ, if that is one or more, move it much further; but not to the other side.
        further = 0.02 + 0.5 * measured if tolerance * n >= 1 else tolerance
        return min(further, BELOW * abs(measured - SIGNIFICANT))
    if path.endswith("lift.value"):  # the card says which of the two is more accurate
        return min(tolerance, BELOW * abs(measured))
    return tolerance


def reach_verdict(checks: Iterable[Check]) -> str:
    """Return false if one claim is, else unchecked if one is or none is true, else true."""
    verdicts = {check.verdict for check in checks}
    return FALSE if FALSE in verdicts else UNCHECKED if UNCHECKED in verdicts or TRUE not in verdicts else TRUE
