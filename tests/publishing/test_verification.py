"""Claims beside measurements: what counts as true, as false, and as not to be said."""

from __future__ import annotations

import json
import math
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_score, recall_score

from sentiment140_bert.publishing import checks, claims
from sentiment140_bert.publishing.checks import FALSE, TRUE, UNCHECKED, Check
from sentiment140_bert.publishing.claims import Claim
from sentiment140_bert.recipe import SCORES

CELLS = ("true_negative", "false_positive", "false_negative", "true_positive")


def compare(claimed: dict[str, Any], measured: dict[str, Any], tolerance: float = 0.001) -> list[Check]:
    """Return the checks of the splits of a metrics.json."""
    return checks.check_metrics({"splits": claimed}, {"splits": measured}, tolerance)[1]


def split(**scores: float) -> dict[str, Any]:
    return {"n": 60} | {name: {"value": value} for name, value in scores.items()}


def of_cells(tn: int, fp: int, fn: int, tp: int) -> dict[str, Any]:
    return split(**dict(zip(CELLS, (tn, fp, fn, tp), strict=True)))


# ---- single checks


def test_what_needs_no_tolerance() -> None:
    rows = [(1, 1, TRUE), (1, 2, FALSE), ("a", "a", TRUE), (None, 1, FALSE)]
    assert [checks.check_exactly("x", claimed, right).verdict for claimed, right, _ in rows] == [row[2] for row in rows]


def test_a_score_within_the_tolerance() -> None:
    rows = [(0.8, TRUE), (0.8009, TRUE), (0.7991, TRUE), (0.8011, FALSE), (0.7989, FALSE), (math.nan, FALSE)]
    rows.append((math.inf, FALSE))
    assert [(value, checks.check_about("x", value, 0.8, checks.TOLERANCE).verdict) for value, _ in rows] == rows
    assert [(value, checks.check_about("x", 0.8, value, checks.TOLERANCE).verdict) for value, _ in rows] == rows


def test_the_difference_is_measured_minus_claimed() -> None:
    assert checks.check_about("x", 0.8, 0.9, 0.001).difference == pytest.approx(0.1)
    assert checks.check_exactly("x", "a", "b").difference is None
    assert checks.leave_unchecked("x", 0.8, "why").difference is None


def test_what_a_card_says_is_shown_on_one_line_and_as_json() -> None:
    shown = Check("a\nb\x1b[2J" + "c" * 300, math.nan, "x\ty" * 100, FALSE, "z\r\n" * 500).to_dict()
    assert shown["claim"].startswith("a b [2Jccc")
    assert (len(shown["claim"]), len(shown["measured"]), len(shown["why"])) == (200, 200, 400)
    assert all(text.isprintable() for text in (shown["claim"], shown["measured"], shown["why"]))
    assert (shown["claimed"], shown["difference"], shown["verdict"]) == ("nan", None, FALSE)
    shown = Check("x", 3, 4.5, TRUE).to_dict()
    assert (shown["claimed"], shown["measured"], shown["difference"]) == (3, 4.5, 1.5)


@given(st.lists(st.sampled_from([TRUE, FALSE, UNCHECKED]), max_size=6))
def test_the_verdict_is_the_worst_there_is(verdicts: list[str]) -> None:
    found = checks.reach_verdict(Check("x", 1, 1, each) for each in verdicts)
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
    results = {each.claim: each.verdict for each in compare(claimed, measured, 0.001)}
    assert results["test: f1"] == FALSE
    assert {name for name, verdict in results.items() if verdict == TRUE} >= {
        *("test: tweets", "test: accuracy", "manual: tweets", "manual: accuracy")
    }


def test_another_number_of_tweets() -> None:
    claimed, measured = {"test": split(accuracy=0.8) | {"n": 6_000}}, {"test": split(accuracy=0.8)}
    results = {each.claim: each.verdict for each in compare(claimed, measured, 0.001)}
    assert results["test: tweets"] == FALSE


def test_a_split_that_is_not_there() -> None:
    """One that nobody measured, and one that was left out."""
    results = compare({"manual": split(accuracy=0.8)}, {"test": split(accuracy=0.8)})
    assert {(check.claim, check.verdict) for check in results} == {
        ("manual: scores", UNCHECKED),
        ("test: scores", FALSE),
    }


def test_a_score_that_was_not_measured_is_not_said_to_be_true() -> None:
    results = list(compare({"test": split(accuracy=0.8, roc_auc=0.9)}, {"test": split(accuracy=0.8)}, 0.001))
    assert [each.verdict for each in results if "roc_auc" in each.claim] == [UNCHECKED]


def placed(path: str, value: float, n: int) -> dict[str, Any]:
    """A split of 5,000 tweets with a number at a path; what stands before ``|`` is a part of it with ``n`` tweets."""

    def nested(keys: str, content: Any) -> Any:
        for key in reversed(keys.split(".")):
            content = [content] if key == "0" else {key: content}
        return content

    part, bar, inner = path.rpartition("|")
    content = nested(inner, value)
    if bar:
        names = {"name": "short", "worse": False} if part.startswith("slices") else {}
        content = nested(part, {"n": n} | names | content)
    return {"n": 5_000} | content


# Path, measured value, tweets of the part, and how far a claim may be off with a tolerance of 0.01.
LIMITS = [
    ("accuracy.value", 0.8, 5_000, 0.01),
    ("log_loss.value", 2.5, 5_000, 0.01),
    ("accuracy.low", 0.7, 5_000, 0.01),
    ("true_positive.value", 2_000, 5_000, 50),
    ("calibration.brier_score.value", 0.2, 5_000, 0.01),
    ("calibration.bins.0|predicted", 0.5, 40, 0.01 + 2 / 40),
    ("calibrated.bins.0|observed", 0.5, 10, 0.01 + 2 / 10),
    ("slices.0|accuracy.value", 0.8, 50, 0.01 + 2 / 50),
    ("slices.0|difference.low", 0.1, 400, 0.01 + 2 / 400),
    ("slices.0|errors", 20, 50, 1),
    ("slices.0|errors", 300, 400, 4),
    ("slices.0|n", 20, 50, 0),
    ("baselines.tfidf|lift.value", 0.1, 200, 0.01 + 2 / 200),
    ("risk_coverage.0|accuracy", 0.9, 100, 0.01 + 2 / 100),
    ("abstaining|accuracy", 0.9, 100, 0.01 + 2 / 100),
    ("three_way|accuracy.value", 0.6, 100, 0.01 + 2 / 100),
    ("three_way|n", 300, 300, 0),
    ("neutral_left_out", 20, 5_000, 0),
    ("leakage.exact", 3, 5_000, 0),
    ("leakage.near", 0, 5_000, 0),
    ("baselines.tfidf|p_value", 0.001, 500, 0.0205),
    ("baselines.tfidf|p_value", 0.4, 500, 0.22),
]


def test_how_far_a_number_may_be_off() -> None:
    """By what another machine's rounding explains, and by no more: a count of tweets, a share of them, a p-value."""
    wrong = []
    for path, measured, n, limit in LIMITS:
        found = placed(path, measured, n)
        whole = isinstance(measured, int)
        steps = (
            [(int(limit), TRUE), (int(limit) + 1, FALSE)] if whole else [(limit - 1e-6, TRUE), (limit + 1e-6, FALSE)]
        )
        for off, verdict in steps:
            for side in (-1, 1):
                results = [*compare({"test": placed(path, measured + side * off, n)}, {"test": found}, 0.01)]
                if checks.reach_verdict(results) != verdict:
                    wrong.append((path, measured, side * off, verdict))
    assert wrong == []


def test_two_tweets_may_change_between_bins_of_calibration() -> None:
    measured = {"n": 900, "calibration": {"bins": [{"n": 90, "predicted": 0.5}]}}
    for off, verdict in ((2, TRUE), (-2, TRUE), (3, FALSE), (-3, FALSE)):
        claimed = {"n": 900, "calibration": {"bins": [{"n": 90 + off, "predicted": 0.5}]}}
        assert checks.reach_verdict(compare({"test": claimed}, {"test": measured}, 0.001)) == verdict, off


def test_scores_are_named_singly_and_the_rest_is_counted() -> None:
    names = [name for name in SCORES if name != "accuracy"]
    metrics = split(**dict.fromkeys(names, 0.5)) | {"accuracy": {"value": 0.8, "low": 0.7, "high": 0.9}, "flag": True}
    results = list(compare({"test": metrics}, {"test": metrics}, 0.001))
    assert {check.claim for check in results} == {
        *("test: tweets", f"test: {checks.OTHER_PARTS}", "test: accuracy"),
        *(f"test: {name}" for name in names),
    }
    assert [check.claimed for check in results if check.claim.endswith(checks.OTHER_PARTS)] == ["3 values"]
    claimed = metrics | {"accuracy": {"value": 0.8, "low": 0.75, "high": 0.9}}
    (false,) = [each for each in compare({"test": claimed}, {"test": metrics}, 0.001) if each.verdict == FALSE]
    assert (false.claim, false.claimed, false.measured) == ("test: accuracy.low", 0.75, 0.7)


def test_kinds_of_tweets_that_are_said_to_be_worse() -> None:
    def slices(**worse: bool) -> dict[str, Any]:
        return {"test": {"n": 60, "slices": [{"name": name, "n": 20, "worse": flag} for name, flag in worse.items()]}}

    rows = [
        (slices(short=True, long=False), slices(short=True, long=False), set()),
        (slices(short=False), slices(short=True), {("slices.short.worse", FALSE)}),
        (slices(short=True, long=False), slices(short=True), {("slices.long", UNCHECKED)}),
        (slices(short=True), slices(short=True, long=True), {("slices.long", FALSE)}),
        (slices(long=True, short=True), slices(short=True, long=True), {("slices.order", FALSE)}),
        ({"test": {"n": 60}}, slices(short=False), {("slices", FALSE)}),
    ]
    for claimed, measured, wrong in rows:
        results = {(check.claim, check.verdict) for check in compare(claimed, measured) if check.verdict != TRUE}
        assert results == {(f"test: {claim}", verdict) for claim, verdict in wrong}


def test_what_was_learned_of_the_validation_split() -> None:
    """Ten times the tolerance of a score; but what the model folder says twice must agree to the last digit."""
    measured = {"temperature": {"value": 1.5}, "abstention": {"threshold": 0.7}}
    rows = [(0, TRUE), (0.0099, TRUE), (-0.0099, TRUE), (0.0101, FALSE), (-0.0101, FALSE), (0.5, FALSE)]
    for off, verdict in rows:
        for moved in ("temperature", "abstention"):
            temperature = 1.5 + off * (moved == "temperature")
            threshold = 0.7 + off * (moved == "abstention")
            claimed = {"temperature": {"value": temperature}, "abstention": {"threshold": threshold}}
            noted = {"temperature": temperature, "neutral_below": threshold}
            found = [*checks.check_metrics(claimed, measured, 0.001)[1], *checks.check_config(claimed, noted)]
            results = {each.claim: each.verdict for each in found}
            right = {"temperature": TRUE, "abstention threshold": TRUE}
            changed = "temperature" if moved == "temperature" else "abstention threshold"
            assert results == right | {changed: verdict}, (off, moved)
    for noted in (None, [], {"temperature": 1.5000001, "neutral_below": 0.7000001}):
        results = {each.claim: each.verdict for each in checks.check_config(measured, noted)}
        assert results["config.json: temperature"] == results["config.json: neutral_below"] == FALSE


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
def test_only_what_is_the_same_in_all_is_settled_as_claimed(claimed: Any, measured: Any) -> None:
    same, leaves = checks.settle(claimed, claimed)
    assert (json.dumps(same), {leaf.verdict for leaf in leaves} - {TRUE}) == (json.dumps(claimed), set())
    settled, leaves = checks.settle(claimed, measured)
    assert json.dumps(settled) == json.dumps(measured)
    agree = all(leaf.verdict == TRUE for leaf in leaves)
    assert agree == (json.dumps(claimed, sort_keys=True) == json.dumps(measured, sort_keys=True))


@given(st.floats(0, 1), st.floats(-0.5, 0.5))
def test_a_claimed_number_is_settled_if_it_is_near(right: float, off: float) -> None:
    settled, (leaf,) = checks.settle({"a": [right + off]}, {"a": [right]}, lambda path, measured, n: 0.1)
    near = abs((right + off) - right) <= 0.1
    assert (settled["a"][0], leaf.verdict, leaf.path) == (
        right + off if near else right,
        TRUE if near else FALSE,
        ("a", "0"),
    )


ANSWERS = [{"text": "a", "label": "positive", "score": 0.9}, {"text": "b", "label": "negative", "score": 0.6}]


def test_the_answers_of_a_card() -> None:
    for at in (0, 1):
        for change, verdict in (
            ({}, TRUE),
            ({"score": ANSWERS[at]["score"] + 0.0009}, TRUE),
            ({"score": ANSWERS[at]["score"] - 0.0011}, FALSE),
            ({"label": "neutral"}, FALSE),
        ):
            said = list(ANSWERS)
            said[at] = ANSWERS[at] | change
            right = [TRUE, TRUE]
            right[at] = verdict
            results = checks.check_metrics({"examples": said}, {"examples": ANSWERS}, 0.001)[1]
            verdicts = [[check.verdict for check in results if repr(text) in check.claim] for text in "ab"]
            assert [FALSE if FALSE in found else TRUE for found in verdicts] == right


# ---- others' claims: model-index


def of_index(metric: Any = "accuracy", value: Any = 0.8634, **dataset: Any) -> list[Claim]:
    """The claims of a model-index with one metric."""
    found = {"task": {"type": "text-classification"}, "dataset": {"type": "a/b", "name": "b"} | dataset}
    return list(claims.read_model_index([{"name": "m", "results": [found | {"metrics": [each(metric, value)]}]}]))


def each(metric: Any, value: Any) -> dict[str, Any]:
    return {"type": metric, "value": value}


VALUES = [
    (0.8634, 0.8634, 4),
    (0.86, 0.86, 2),
    (86.34, 0.8634, 4),
    (86, 0.86, 2),
    ("0.8634", 0.8634, 4),
    ("86.3%", 0.863, 3),
    ("86.3 %", 0.863, 3),
    ("0.5%", 0.005, 3),
    ("1%", 0.01, 2),
]


def test_a_value_and_how_exact_it_is() -> None:
    for value, read, digits in VALUES:
        (claim,) = of_index(value=value)
        assert (claim.value, claim.digits) == (pytest.approx(read), digits), value


def test_where_a_claim_stands_and_what_it_is_about() -> None:
    (claim,) = of_index("ROC AUC", split="test", revision="abc")
    assert claim == Claim("model-index, test: roc_auc", "roc_auc", 0.8634, 4, "a/b", "test", "abc")


def test_a_loss_is_no_share() -> None:
    (claim,) = of_index("loss", 1.25)
    assert (claim.metric, claim.value, claim.digits) == ("log_loss", 1.25, 2)


def test_metrics_that_we_do_not_know_and_values_that_are_no_numbers() -> None:
    assert [of_index(metric) for metric in ("bleu", "wer", "", 3, None, ["accuracy"], {"a": 1})] == [[]] * 7
    values = ["high", "", None, [1], {"a": 1}, True, math.nan, math.inf, "nan", "-inf"]
    assert [of_index(value=value) for value in values] == [[]] * len(values)


# ---- others' claims: text


LINES = [
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
]


def test_a_line_that_states_a_score() -> None:
    for line, metric, value, digits in LINES:
        (claim,) = claims.read_text(f"# Model\n\n{line}\n\nmore text\n")
        assert (claim.metric, claim.value, claim.digits) == (metric, pytest.approx(value), digits), line
        assert claim.where.startswith("card text")


def test_a_line_that_states_none() -> None:
    lines = [
        "The accuracy is what counts.",
        "Its accuracy: very high",
        "BLEU: 31.2",
        "Version: 0.86",
        "| Training Loss | Epoch | Accuracy |",
        "accuracy of 0.86",
    ]
    assert [list(claims.read_text(line)) for line in lines] == [[]] * len(lines)


def test_a_number_is_read_whole_or_not_at_all() -> None:
    """Not as 5, 0 and 0.8."""
    for line in ("Loss: 5e-05", "Accuracy: 0,861", "Accuracy: 0.8.1"):
        stated = list(claims.read_text(line))
        assert [each.value for each in stated] in ([], [pytest.approx(5e-05)], [pytest.approx(0.861)])


def test_reading_a_text_takes_work_that_grows_with_its_length() -> None:
    """Work that grows with the square would take minutes: the processor's time is compared, not the clock."""
    for text in ("\n", " \n", "-", "| - * ", "accuracy"):
        spent = []
        for length in (20_000, 200_000):
            before = time.process_time()
            assert list(claims.read_text(text * (length // len(text)) + "x")) == []
            spent.append(time.process_time() - before)
        assert spent[1] < 40 * spent[0] + 0.5, (text, spent)


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
        assert claims.check_claim(claim, measured, 0.0).verdict == TRUE


@given(st.floats(0, 1), st.integers(2, 4), st.sampled_from([-1, 1]))
def test_one_more_in_the_last_digit_is_false(right: float, digits: int, side: int) -> None:
    claim = Claim("x", "accuracy", round(right, digits) + side * 10.0**-digits * 1.01, digits)
    assert claims.check_claim(claim, split(accuracy=right), 0.0).verdict == FALSE


def test_a_round_number_is_no_licence() -> None:
    """1 and 0 are claims about every tweet; and a small number has no fewer digits for being written with an e."""
    for value in (0, 1, 1.0, 5e-05, 1e-7):
        (claim,) = of_index(value=value)
        for right in (0.4, 0.5375, 0.96):
            assert claims.check_claim(claim, split(accuracy=right), 0.001).verdict == FALSE, (value, right)


def test_what_cannot_be_measured_here() -> None:
    check = claims.check_claim(Claim("x", "roc_auc", 0.8, 2), split(accuracy=0.8), 0.001)
    assert (check.verdict, check.measured) == (UNCHECKED, None)
    assert claims.check_claim(Claim("x", "accuracy", 0.8, 2), {}, 0.001).verdict == UNCHECKED


def test_neutral_tweets_that_were_left_out_leave_others_claims_open() -> None:
    """They are about three classes, and two were measured."""
    measured = split(accuracy=0.9) | {"neutral_left_out": 20}
    assert claims.check_claim(Claim("x", "accuracy", 0.6, 2), measured, 0.001).verdict == UNCHECKED


@given(st.tuples(*[st.integers(0, 30)] * 4).filter(any))
def test_the_averages_are_those_of_scikit_learn(cells: tuple[int, ...]) -> None:
    tn, fp, fn, tp = cells
    truth = np.array([0] * (tn + fp) + [1] * (fn + tp))
    said = np.array([0] * tn + [1] * fp + [0] * fn + [1] * tp)
    functions = {"f1": f1_score, "precision": precision_score, "recall": recall_score}
    for metric, function in functions.items():
        found = claims.average_classes(metric, of_cells(*cells))
        for average in ("macro", "weighted"):
            right = function(truth, said, labels=[0, 1], average=average, zero_division=0.0)
            assert found[average] == pytest.approx(right), (metric, average)


def test_the_average_that_is_meant_is_named() -> None:
    cells = of_cells(30, 10, 5, 15)
    means = claims.average_classes("f1", cells)
    binary = 2 * 15 / (2 * 15 + 10 + 5)
    measured = cells | split(f1=binary)
    for value, name in ((binary, "x"), (means["macro"], "x (macro)"), (means["weighted"], "x (weighted)")):
        check = claims.check_claim(Claim("x", "f1", value, 6), measured, 0.0)
        assert (check.claim, check.verdict) == (name, TRUE)
    assert claims.check_claim(Claim("x", "f1", 0.99, 6), measured, 0.001).verdict == FALSE


def test_accuracy_has_no_averages() -> None:
    measured = of_cells(30, 10, 5, 15) | split(accuracy=0.75)
    value = claims.average_classes("f1", measured)["macro"]
    assert claims.check_claim(Claim("x", "accuracy", value, 6), measured, 0.001).verdict == FALSE


def test_every_score_of_ours_can_be_claimed_by_its_name() -> None:
    assert tuple(of_index(name, 0.5)[0].metric for name in SCORES) == SCORES


def test_a_tweet_that_rounding_takes_over_a_limit_makes_no_claim_false() -> None:
    """On 10,000 tweets another machine's last bit moves one; on 100 a moved one is a false number."""
    for n, verdict in ((10_000, TRUE), (100, FALSE)):
        claimed = {"n": n, "neutral_left_out": 0, "true_positive": {"value": n // 2}}
        found = claimed | {"true_positive": {"value": n // 2 + 1}}
        assert checks.reach_verdict(compare({"test": claimed}, {"test": found}, 0.001)) == verdict
    bins = {"n": 1_000, "calibration": {"bins": [{"n": 100, "predicted": 0.5, "observed": 0.50}]}}
    moved = {"n": 1_000, "calibration": {"bins": [{"n": 100, "predicted": 0.5, "observed": 0.51}]}}
    assert checks.reach_verdict(compare({"test": bins}, {"test": moved}, 0.001)) == TRUE
