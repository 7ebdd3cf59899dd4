"""Claims compared with measurements: what counts as true, as false, and as unchecked."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sentiment140_bert.publishing.checks import (
    FALSE,
    TOLERANCE,
    TRUE,
    UNCHECKED,
    Check,
    check_about,
    check_config,
    check_exactly,
    check_metrics,
    leave_unchecked,
    reach_verdict,
    settle,
)


def compare(claimed: dict[str, Any], measured: dict[str, Any], tolerance: float = 0.001) -> list[Check]:
    """Return the checks of the splits of a metrics.json."""
    return check_metrics({"splits": claimed}, {"splits": measured}, tolerance)[1]


def split(**scores: float) -> dict[str, Any]:
    return {"n": 60} | {name: {"value": value} for name, value in scores.items()}


def test_a_single_value() -> None:
    """Exactly, or within the tolerance; the difference is measured minus claimed."""
    for claimed, right, verdict in ((1, 1, TRUE), (1, 2, FALSE), ("a", "a", TRUE), (None, 1, FALSE)):
        assert check_exactly("x", claimed, right).verdict == verdict
    for value, verdict in ((0.8, TRUE), (0.8009, TRUE), (0.8011, FALSE), (math.nan, FALSE), (math.inf, FALSE)):
        for claimed, right in ((value, 0.8), (0.8, value), (1.6 - value, 0.8)):
            assert check_about("x", claimed, right, TOLERANCE).verdict == verdict, value
    assert check_about("x", 0.8, 0.9, 0.001).difference == pytest.approx(0.1)
    assert check_exactly("x", "a", "b").difference is leave_unchecked("x", 0.8, "why").difference is None


def test_a_check_is_safe_on_a_terminal_and_in_json() -> None:
    odd = Check("a\nb\x1b[2J" + "c" * 300, math.nan, "x\ty" * 100, FALSE, "z\r\n" * 500).clean().to_dict()
    assert odd["claim"].startswith("a b [2Jccc")
    assert [len(odd[name]) for name in ("claim", "measured", "why")] == [200, 200, 400]
    assert all(odd[name].isprintable() for name in ("claim", "measured", "why"))
    assert (odd["claimed"], odd["difference"], odd["verdict"]) == ("nan", None, FALSE)
    plain = Check("x", 3, 4.5, TRUE).to_dict()
    assert (plain["claimed"], plain["measured"], plain["difference"]) == (3, 4.5, 1.5)


@given(st.lists(st.sampled_from([TRUE, FALSE, UNCHECKED]), max_size=6))
def test_the_verdict_is_the_worst(verdicts: list[str]) -> None:
    worst = FALSE if FALSE in verdicts else UNCHECKED if UNCHECKED in verdicts or not verdicts else TRUE
    assert reach_verdict(Check("x", 1, 1, verdict) for verdict in verdicts) == worst


SLICES = [("short", True), ("long", False)]


def slices(*parts: tuple[str, bool]) -> dict[str, Any]:
    return {"test": {"n": 60, "slices": [{"name": name, "n": 20, "worse": worse} for name, worse in parts]}}


# What a page claims, what is measured, and the checks that are not true.
WRONG: list[tuple[dict[str, Any], dict[str, Any], set[tuple[str, str]]]] = [
    ({"test": split(accuracy=0.8, f1=0.7)}, {"test": split(accuracy=0.8, f1=0.75)}, {("test: f1", FALSE)}),
    ({"test": split(f1=0.7) | {"n": 6_000}}, {"test": split(f1=0.7)}, {("test: tweets", FALSE)}),
    ({"manual": split()}, {"test": split()}, {("manual: scores", UNCHECKED), ("test: scores", FALSE)}),
    ({"test": split(f1=0.8)}, {"test": split(f1=0.8, macro_f1=0.7)}, set()),  # an earlier page has none
    (
        {"test": split(macro_f1=0.7), "manual": split()},
        dict.fromkeys(("test", "manual"), split(macro_f1=0.7)),
        {("manual: macro_f1", FALSE)},
    ),
    ({"test": split(f1=0.8, roc_auc=0.9)}, {"test": split(f1=0.8)}, {("test: roc_auc", UNCHECKED)}),
    (slices(*SLICES), slices(*SLICES), set()),
    (slices(("short", False)), slices(("short", True)), {("test: slices.short.worse", FALSE)}),
    (slices(*SLICES), slices(SLICES[0]), {("test: slices.long", UNCHECKED)}),
    (slices(SLICES[0]), slices(*SLICES), {("test: slices.long", FALSE)}),
    (slices(*SLICES[::-1]), slices(*SLICES), {("test: slices.order", FALSE)}),
    ({"test": {"n": 60}}, slices(("short", False)), {("test: slices", FALSE)}),
]


def test_every_part_of_every_split_is_compared() -> None:
    for claimed, measured, wrong in WRONG:
        checks = compare(claimed, measured)
        assert {(check.claim, check.verdict) for check in checks if check.verdict != TRUE} == wrong


def nest(path: str, value: float, n: int) -> dict[str, Any]:
    """Return a split of 5,000 tweets with a number at a path; the part before ``|`` has ``n`` tweets."""

    def put(keys: str, content: Any) -> Any:
        for key in reversed(keys.split(".")):
            content = [content] if key == "0" else {key: content}
        return content

    part, bar, inner = path.rpartition("|")
    content = put(inner, value)
    if bar:
        names = {"name": "short", "worse": False} if part.startswith("slices") else {}
        content = put(part, {"n": n} | names | content)
    return {"n": 5_000} | content


# Path, measured value, tweets of the part, and how far a claim may be off with a tolerance of 0.01.
LIMITS = [
    ("accuracy.value", 0.8, 5_000, 0.01),
    ("log_loss.value", 2.5, 5_000, 0.01),
    ("accuracy.low", 0.7, 5_000, 0.01),
    ("true_positive.value", 2_000, 5_000, 50),
    ("calibration.brier_score.value", 0.2, 5_000, 0.01),
    ("calibration.bins.0|predicted", 0.5, 40, 0.01),
    ("calibration.bins.0|n", 90, 90, 0),
    ("calibration.bins.0|n", 900, 900, 9),
    ("calibrated.bins.0|observed", 0.5, 10, 0.01),
    ("slices.0|accuracy.value", 0.8, 50, 0.01),
    ("slices.0|difference.low", 0.1, 400, 0.01),
    ("slices.0|errors", 20, 50, 0),
    ("slices.0|errors", 300, 400, 4),
    ("slices.0|n", 20, 50, 0),
    ("baselines.tfidf|accuracy.value", 0.7, 60, 0.01),
    ("baselines.tfidf|lift.value", 0.1, 200, 0.01),
    ("baselines.tfidf|lift.value", -0.002, 5_000, 0.002),
    ("risk_coverage.0|accuracy", 0.9, 100, 0.01),
    ("abstaining|accuracy", 0.9, 100, 0.01),
    ("three_way|accuracy.value", 0.6, 100, 0.01),
    ("three_way|n", 300, 300, 0),
    ("neutral_left_out", 20, 5_000, 0),
    ("leakage.exact", 3, 5_000, 0),
    ("leakage.near", 0, 5_000, 0),
    ("baselines.tfidf|p_value", 0.4, 60, 0.01),
    ("baselines.tfidf|p_value", 0.045, 60, 0.005),
    ("baselines.tfidf|p_value", 0.001, 500, 0.0205),
    ("baselines.tfidf|p_value", 0.4, 500, 0.22),
    ("baselines.tfidf|p_value", 0.08, 500, 0.03),
    ("baselines.tfidf|p_value", 0.04, 500, 0.01),
]


def test_a_number_may_differ_by_what_rounding_explains() -> None:
    """By the tolerance, as a share of the tweets; a p-value by more only if that is a tweet or more."""
    wrong = []
    for path, measured, n, limit in LIMITS:
        right, is_count = nest(path, measured, n), isinstance(measured, int)
        for off, verdict in ((limit - (0 if is_count else 1e-6), TRUE), (limit + (1 if is_count else 1e-6), FALSE)):
            for side in (-1, 1):
                value = measured + side * (int(off) if is_count else off)
                if reach_verdict(compare({"test": nest(path, value, n)}, {"test": right}, 0.01)) != verdict:
                    wrong.append((path, measured, side * off, verdict))
    assert wrong == []
    exact = nest("baselines.tfidf|p_value", 0.4, 5_000)
    assert reach_verdict(compare({"test": nest("baselines.tfidf|p_value", 0.4001, 5_000)}, {"test": exact}, 0)) == FALSE


def test_temperature_and_threshold() -> None:
    """Within the tolerance of a score; but a model folder's two places must agree to the last digit."""
    measured = {"temperature": {"value": 1.5}, "abstention": {"threshold": 0.7}}
    for off, verdict in ((0, TRUE), (0.0009, TRUE), (-0.0009, TRUE), (0.0011, FALSE), (-0.0011, FALSE), (0.5, FALSE)):
        for changed in ("temperature", "abstention threshold"):
            temperature = 1.5 + off * (changed == "temperature")
            threshold = 0.7 + off * (changed != "temperature")
            claimed = {"temperature": {"value": temperature}, "abstention": {"threshold": threshold}}
            config = {"temperature": temperature, "neutral_below": threshold}
            checks = [*check_metrics(claimed, measured, 0.001)[1], *check_config(claimed, config)]
            expected = {"temperature": TRUE, "abstention threshold": TRUE} | {changed: verdict}
            assert {check.claim: check.verdict for check in checks} == expected, (off, changed)
    for config in (None, [], {"temperature": 1.5000001, "neutral_below": 0.7000001}):
        names = {check.claim: check.verdict for check in check_config(measured, config)}
        assert names == {"config.json: temperature": FALSE, "config.json: neutral_below": FALSE}


JSON = st.recursive(
    st.integers()
    | st.floats(allow_nan=False).map(lambda number: number + 0.0)
    | st.booleans()
    | st.text(max_size=3)
    | st.none(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "name", "n"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(JSON, JSON)
@example({"a": 1}, {"a": True})
@example({"a": 1}, {"a": 1.0})
@example([], {})
@example([{"name": "x"}], [{"name": "x"}, {"name": "x"}])
def test_only_equal_json_is_settled_as_claimed(claimed: Any, measured: Any) -> None:
    same, leaves = settle(claimed, claimed)
    assert (json.dumps(same), {leaf.verdict for leaf in leaves} - {TRUE}) == (json.dumps(claimed), set())
    settled, leaves = settle(claimed, measured)
    assert json.dumps(settled) == json.dumps(measured)
    agree = all(leaf.verdict == TRUE for leaf in leaves)
    assert agree == (json.dumps(claimed, sort_keys=True) == json.dumps(measured, sort_keys=True))
