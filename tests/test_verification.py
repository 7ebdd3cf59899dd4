"""Claims beside measurements: what counts as true, as false, and as not to be said."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_score, recall_score

from sentiment140_bert import verification
from sentiment140_bert.settings import SCORES
from sentiment140_bert.verification import FALSE, TRUE, UNCHECKED, Check, Claim

CELLS = ("true_negative", "false_positive", "false_negative", "true_positive")


def split(**scores: float) -> dict[str, Any]:
    return {"n": 60} | {name: {"value": value} for name, value in scores.items()}


def of_cells(tn: int, fp: int, fn: int, tp: int) -> dict[str, Any]:
    return split(**dict(zip(CELLS, (tn, fp, fn, tp), strict=True)))


# ---- single checks


@pytest.mark.parametrize(
    ("claimed", "right", "verdict"), [(1, 1, TRUE), (1, 2, FALSE), ("a", "a", TRUE), (None, 1, FALSE)]
)
def test_what_needs_no_tolerance(claimed: Any, right: Any, verdict: str) -> None:
    assert verification.exactly("x", claimed, right).verdict == verdict


@pytest.mark.parametrize(
    ("claimed", "measured", "verdict"),
    [
        (0.8, 0.8, TRUE),
        (0.8, 0.8009, TRUE),
        (0.8, 0.7991, TRUE),
        (0.8, 0.8011, FALSE),
        (0.8, 0.7989, FALSE),
        (math.nan, 0.8, FALSE),
        (math.inf, 0.8, FALSE),
    ],
)
def test_a_score_within_the_tolerance(claimed: float, measured: float, verdict: str) -> None:
    assert verification.about("x", claimed, measured, 0.001).verdict == verdict


def test_the_difference_is_measured_minus_claimed() -> None:
    assert verification.about("x", 0.8, 0.9, 0.001).difference == pytest.approx(0.1)
    assert verification.exactly("x", "a", "b").difference is None
    assert verification.unchecked("x", 0.8, "why").difference is None


@given(st.lists(st.sampled_from([TRUE, FALSE, UNCHECKED]), max_size=6))
def test_the_verdict_is_the_worst_there_is(verdicts: list[str]) -> None:
    found = verification.verdict(Check("x", 1, 1, each) for each in verdicts)
    if FALSE in verdicts:
        assert found == FALSE
    elif UNCHECKED in verdicts or not verdicts:
        assert found == UNCHECKED
    else:
        assert found == TRUE


# ---- our own metrics


def test_every_score_of_every_split() -> None:
    claimed = {"test": split(accuracy=0.8, f1=0.7), "manual": split(accuracy=0.9)}
    measured = {"test": split(accuracy=0.8, f1=0.75), "manual": split(accuracy=0.9)}
    checks = {each.claim: each.verdict for each in verification.scores(claimed, measured, 0.001)}
    assert checks["test: f1"] == FALSE
    assert {name for name, verdict in checks.items() if verdict == TRUE} >= {
        *("test: tweets", "test: accuracy", "manual: tweets", "manual: accuracy")
    }


def test_another_number_of_tweets() -> None:
    claimed, measured = {"test": split(accuracy=0.8) | {"n": 6_000}}, {"test": split(accuracy=0.8)}
    checks = {each.claim: each.verdict for each in verification.scores(claimed, measured, 0.001)}
    assert checks["test: tweets"] == FALSE


def test_a_split_that_is_not_there() -> None:
    (check,) = verification.scores({"manual": split(accuracy=0.8)}, {"test": split(accuracy=0.8)}, 0.001)
    assert (check.verdict, check.claim) == (UNCHECKED, "manual: scores")


def test_a_score_that_was_not_measured_is_not_said_to_be_true() -> None:
    checks = list(verification.scores({"test": split(accuracy=0.8, roc_auc=0.9)}, {"test": split(accuracy=0.8)}, 0.001))
    assert [each.verdict for each in checks if "roc_auc" in each.claim] == [UNCHECKED]


ANSWERS = [{"text": "a", "label": "positive", "score": 0.9}, {"text": "b", "label": "negative", "score": 0.6}]


@pytest.mark.parametrize(
    ("change", "verdicts"),
    [
        ({}, [TRUE, TRUE]),
        ({"score": 0.9004}, [TRUE, TRUE]),
        ({"score": 0.91}, [FALSE, TRUE]),
        ({"label": "negative"}, [FALSE, TRUE]),
    ],
)
def test_the_answers_of_a_card(change: dict[str, Any], verdicts: list[str]) -> None:
    said = [ANSWERS[0] | change, ANSWERS[1]]
    assert [each.verdict for each in verification.examples(said, ANSWERS, 0.001)] == verdicts


# ---- others' claims: model-index


def of_index(metric: Any = "accuracy", value: Any = 0.8634, **dataset: Any) -> list[Claim]:
    """The claims of a model-index with one metric."""
    found = {"task": {"type": "text-classification"}, "dataset": {"type": "a/b", "name": "b"} | dataset}
    return list(verification.of_model_index([{"name": "m", "results": [found | {"metrics": [each(metric, value)]}]}]))


def each(metric: Any, value: Any) -> dict[str, Any]:
    return {"type": metric, "value": value}


@pytest.mark.parametrize(
    ("value", "read", "digits"),
    [
        (0.8634, 0.8634, 4),
        (0.86, 0.86, 2),
        (86.34, 0.8634, 4),
        (86, 0.86, 2),
        ("0.8634", 0.8634, 4),
        ("86.3%", 0.863, 3),
        ("86.3 %", 0.863, 3),
        ("0.5%", 0.005, 3),
        ("1%", 0.01, 2),
    ],
)
def test_a_value_and_how_exact_it_is(value: Any, read: float, digits: int) -> None:
    (claim,) = of_index(value=value)
    assert (claim.value, claim.digits) == (pytest.approx(read), digits)


def test_where_a_claim_stands_and_what_it_is_about() -> None:
    (claim,) = of_index("ROC AUC", split="test", revision="abc")
    assert claim == Claim("model-index, test: roc_auc", "roc_auc", 0.8634, 4, "a/b", "test", "abc")


def test_a_loss_is_no_share() -> None:
    (claim,) = of_index("loss", 1.25)
    assert (claim.metric, claim.value, claim.digits) == ("log_loss", 1.25, 2)


@pytest.mark.parametrize("metric", ["bleu", "wer", "", 3, None, ["accuracy"], {"a": 1}])
def test_metrics_that_we_do_not_know(metric: Any) -> None:
    assert of_index(metric) == []


@pytest.mark.parametrize("value", ["high", "", None, [1], {"a": 1}, True, math.nan, math.inf, "nan", "-inf"])
def test_values_that_are_no_numbers(value: Any) -> None:
    assert of_index(value=value) == []


# ---- others' claims: text


@pytest.mark.parametrize(
    ("line", "metric", "value", "digits"),
    [
        ("- Accuracy: 0.8611", "accuracy", 0.8611, 4),
        ("Accuracy: 86.1%", "accuracy", 0.861, 3),
        ("* **Accuracy**: 86.1 %", "accuracy", 0.861, 3),
        ("**Accuracy:** 0.86", "accuracy", 0.86, 2),
        ("| Accuracy | 0.861 | 0.9 |", "accuracy", 0.861, 3),
        ("| F1 | 86.1% |", "f1", 0.861, 3),
        ("eval_accuracy = 0.91", "accuracy", 0.91, 2),
        ("- Loss: 0.3411", "log_loss", 0.3411, 4),
        ("- Matthews Correlation: 0.72", "matthews_correlation", 0.72, 2),
        ("ROC_AUC: 0.93", "roc_auc", 0.93, 2),
        ("accuracy: 0.5%", "accuracy", 0.005, 3),
    ],
)
def test_a_line_that_states_a_score(line: str, metric: str, value: float, digits: int) -> None:
    (claim,) = verification.of_text(f"# Model\n\n{line}\n\nmore text\n")
    assert (claim.metric, claim.value, claim.digits) == (metric, pytest.approx(value), digits)
    assert claim.where.startswith("card text")


@pytest.mark.parametrize(
    "line",
    [
        "The accuracy is what counts.",
        "Its accuracy: very high",
        "BLEU: 31.2",
        "Version: 0.86",
        "| Training Loss | Epoch | Accuracy |",
        "accuracy of 0.86",
    ],
)
def test_a_line_that_states_none(line: str) -> None:
    assert list(verification.of_text(line)) == []


@pytest.mark.parametrize("line", ["Loss: 5e-05", "Accuracy: 0,861", "Accuracy: 0.8.1"])
def test_a_number_is_read_whole_or_not_at_all(line: str) -> None:
    """Not as 5, 0 and 0.8."""
    claims = list(verification.of_text(line))
    assert [each.value for each in claims] in ([], [pytest.approx(5e-05)], [pytest.approx(0.861)])


@pytest.mark.timeout(10)
@pytest.mark.parametrize("text", ["\n" * 30_000, " \n" * 15_000, "-" * 30_000, "| - * " * 5_000, "accuracy" * 5_000])
def test_any_text_is_read_in_no_time(text: str) -> None:
    assert list(verification.of_text(text + "x")) == []


# ---- compared


@given(st.integers(1, 5_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.integers(2, 6))
@example((173, 200), 2)  # 0.865, which some round up and some down
@example((1, 8), 2)
def test_a_true_score_is_true_however_it_was_rounded(counts: tuple[int, int], digits: int) -> None:
    right = counts[0] / counts[1]
    measured = split(accuracy=right)
    step = 10.0**-digits
    down, up = math.floor(round(right / step, 6)) * step, math.ceil(round(right / step, 6)) * step
    nearest = {round(right, digits), float(f"{right:.{digits}f}")}
    if abs((up - right) - (right - down)) < 1e-9:  # exactly between two
        nearest |= {up, down}
    for value in nearest:
        claim = Claim("x", "accuracy", value, digits)
        assert verification.compared(claim, measured, 0.0).verdict == TRUE


@given(st.floats(0, 1), st.integers(2, 4), st.sampled_from([-1, 1]))
def test_one_more_in_the_last_digit_is_false(right: float, digits: int, side: int) -> None:
    claim = Claim("x", "accuracy", round(right, digits) + side * 10.0**-digits * 1.01, digits)
    assert verification.compared(claim, split(accuracy=right), 0.0).verdict == FALSE


@pytest.mark.parametrize("value", [0, 1, 1.0, 5e-05, 1e-7])
@pytest.mark.parametrize("right", [0.4, 0.5375, 0.96])
def test_a_round_number_is_no_licence(value: float, right: float) -> None:
    """1 and 0 are claims about every tweet; and a small number has no fewer digits for being written with an e."""
    (claim,) = of_index(value=value)
    assert verification.compared(claim, split(accuracy=right), 0.001).verdict == FALSE


def test_what_cannot_be_measured_here() -> None:
    check = verification.compared(Claim("x", "roc_auc", 0.8, 2), split(accuracy=0.8), 0.001)
    assert (check.verdict, check.measured) == (UNCHECKED, None)
    assert verification.compared(Claim("x", "accuracy", 0.8, 2), {}, 0.001).verdict == UNCHECKED


def test_neutral_tweets_that_were_left_out_leave_others_claims_open() -> None:
    """They are about three classes, and two were measured."""
    measured = split(accuracy=0.9) | {"neutral_left_out": 20}
    assert verification.compared(Claim("x", "accuracy", 0.6, 2), measured, 0.001).verdict == UNCHECKED


@given(st.tuples(*[st.integers(0, 30)] * 4).filter(any))
def test_the_averages_are_those_of_scikit_learn(cells: tuple[int, ...]) -> None:
    tn, fp, fn, tp = cells
    truth = np.array([0] * (tn + fp) + [1] * (fn + tp))
    said = np.array([0] * tn + [1] * fp + [0] * fn + [1] * tp)
    functions = {"f1": f1_score, "precision": precision_score, "recall": recall_score}
    for metric, function in functions.items():
        found = verification.averages(metric, of_cells(*cells))
        for average in ("macro", "weighted"):
            right = function(truth, said, labels=[0, 1], average=average, zero_division=0.0)
            assert found[average] == pytest.approx(right), (metric, average)


def test_the_average_that_is_meant_is_named() -> None:
    cells = of_cells(30, 10, 5, 15)
    means = verification.averages("f1", cells)
    binary = 2 * 15 / (2 * 15 + 10 + 5)
    measured = cells | split(f1=binary)
    for value, name in ((binary, "x"), (means["macro"], "x (macro)"), (means["weighted"], "x (weighted)")):
        check = verification.compared(Claim("x", "f1", value, 6), measured, 0.0)
        assert (check.claim, check.verdict) == (name, TRUE)
    assert verification.compared(Claim("x", "f1", 0.99, 6), measured, 0.001).verdict == FALSE


def test_accuracy_has_no_averages() -> None:
    measured = of_cells(30, 10, 5, 15) | split(accuracy=0.75)
    value = verification.averages("f1", measured)["macro"]
    assert verification.compared(Claim("x", "accuracy", value, 6), measured, 0.001).verdict == FALSE


def test_every_score_of_ours_can_be_claimed_by_its_name() -> None:
    assert tuple(of_index(name, 0.5)[0].metric for name in SCORES) == SCORES


def test_a_tweet_that_rounding_takes_over_a_limit_makes_no_claim_false() -> None:
    """On 10,000 tweets another machine's last bit moves one; on 100 a moved one is a false number."""
    for n, verdict in ((10_000, TRUE), (100, FALSE)):
        claimed = {"n": n, "neutral_left_out": 0, "true_positive": {"value": n // 2}}
        found = claimed | {"true_positive": {"value": n // 2 + 1}}
        assert verification.verdict(verification.scores({"test": claimed}, {"test": found}, 0.001)) == verdict
    bins = {"n": 1_000, "calibration": {"bins": [{"n": 100, "predicted": 0.5, "observed": 0.50}]}}
    moved = {"n": 1_000, "calibration": {"bins": [{"n": 100, "predicted": 0.5, "observed": 0.51}]}}
    assert verification.verdict(verification.scores({"test": bins}, {"test": moved}, 0.001)) == TRUE
