"""Calibration: cases that can be worked out by hand, and what must hold for any probabilities."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentiment140_bert.evaluation.calibration import (
    ABSTAINING,
    BINS,
    STEPS,
    confidence,
    fitted,
    reliability,
    risk_coverage,
    scaled,
)

# Few different values, so that many of them are equal; shares from float32 logits often are.
TIED = st.lists(st.tuples(st.sampled_from([0.0, 0.25, 0.5, 0.9, 1.0]), st.integers(0, 1)), min_size=1, max_size=60)
ANY = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=1, max_size=60)


def measured(rows: list[tuple[float, int]]) -> dict:
    return reliability(np.array([row[0] for row in rows]), np.array([row[1] for row in rows]))


def test_by_hand() -> None:
    """Twenty tweets make ten bins of two."""
    rows = [(at / 20, int(at >= 10)) for at in range(20)]
    found = measured(rows)
    assert [each["n"] for each in found["bins"]] == [2] * 10
    assert [each["predicted"] for each in found["bins"]] == pytest.approx([0.025 + 0.1 * at for at in range(10)])
    assert [each["observed"] for each in found["bins"]] == [0] * 5 + [1] * 5
    below = sum(0.025 + 0.1 * at for at in range(5)) * 2
    above = sum(1 - 0.025 - 0.1 * at for at in range(5, 10)) * 2
    assert found["expected_calibration_error"]["value"] == pytest.approx((below + above) / 20)
    assert found["brier_score"]["value"] == pytest.approx(sum((p - t) ** 2 for p, t in rows) / 20)


def test_a_perfect_model_has_no_error() -> None:
    found = measured([(0.0, 0)] * 10 + [(1.0, 1)] * 10)
    assert (found["expected_calibration_error"]["value"], found["brier_score"]["value"]) == (0, 0)


def test_a_model_that_knows_how_little_it_knows_is_well_calibrated() -> None:
    """What is said to be positive with 0.2, 0.5 and 0.8 is so in two, five and eight of ten cases."""
    rows = [(share, int(at < 10 * share)) for share in (0.2, 0.5, 0.8) for at in range(10)]
    assert measured(rows * 10)["expected_calibration_error"]["value"] == pytest.approx(0, abs=1e-9)


def test_a_sure_and_wrong_model_has_all_the_error_there_is() -> None:
    found = measured([(1.0, 0)] * 10 + [(0.0, 1)] * 10)
    assert (found["expected_calibration_error"]["value"], found["brier_score"]["value"]) == (1, 1)


def by_definition(rows: list[tuple[float, int]]) -> list[list[tuple[float, int]]]:
    """Part the tweets into bins of equal size, in plain Python; equal probabilities stay in the lower bin."""
    rows = sorted(rows)
    count = min(BINS, len(rows))
    bins: list[list[tuple[float, int]]] = []
    end = 0
    for number in range(count):
        wanted = sum(len(rows) // count + (at < len(rows) % count) for at in range(number + 1))
        while wanted < len(rows) and rows[wanted][0] == rows[wanted - 1][0]:
            wanted += 1
        if wanted > end:
            bins.append(rows[end:wanted])
            end = wanted
    return bins


@given(ANY | TIED)
def test_bins_are_of_equal_size_and_tear_no_equals_apart(rows: list[tuple[float, int]]) -> None:
    found, bins = measured(rows), by_definition(rows)
    assert [part["n"] for part in found["bins"]] == [len(part) for part in bins]
    predicted, observed = ([sum(row[at] for row in part) / len(part) for part in bins] for at in (0, 1))
    assert [part["predicted"] for part in found["bins"]] == pytest.approx(predicted, abs=1e-12)
    assert [part["observed"] for part in found["bins"]] == pytest.approx(observed, abs=1e-12)
    error = sum(len(part) * abs(one - other) for part, one, other in zip(bins, predicted, observed, strict=True))
    assert found["expected_calibration_error"]["value"] == pytest.approx(error / len(rows), abs=1e-12)
    for score in (found["expected_calibration_error"], found["brier_score"]):
        assert score["low"] - 1e-12 <= score["value"] <= score["high"] + 1e-12


@given(ANY | TIED)
def test_what_holds_for_any_probabilities(rows: list[tuple[float, int]]) -> None:
    found = measured(rows)
    bins = found["bins"]
    assert sum(each["n"] for each in bins) == len(rows)
    assert [each["predicted"] for each in bins] == pytest.approx(sorted(each["predicted"] for each in bins))
    assert all(0 <= each[name] <= 1 + 1e-12 for each in bins for name in ("predicted", "observed"))
    assert 0 <= found["expected_calibration_error"]["value"] <= 1 + 1e-12
    assert found["brier_score"]["value"] == pytest.approx(sum((p - t) ** 2 for p, t in rows) / len(rows))
    mean = sum(p for p, _ in rows) / len(rows)
    assert math.fsum(each["n"] * each["predicted"] for each in bins) / len(rows) == pytest.approx(mean)
    assert math.fsum(each["n"] * each["observed"] for each in bins) == pytest.approx(sum(t for _, t in rows))
    # The error cannot be smaller than what the model is off by in total.
    off = abs(mean - sum(t for _, t in rows) / len(rows))
    assert found["expected_calibration_error"]["value"] >= off - 1e-9
    json.dumps(found, allow_nan=False)


@given(TIED, st.randoms(use_true_random=False))
def test_the_order_of_the_tweets_does_not_matter(rows: list[tuple[float, int]], random) -> None:
    """Above all where probabilities are equal: the corpus is sorted by label."""
    shuffled = random.sample(rows, len(rows))
    one, other = measured(rows), measured(shuffled)
    assert one["expected_calibration_error"]["value"] == pytest.approx(
        other["expected_calibration_error"]["value"], abs=1e-9
    )
    assert one["brier_score"]["value"] == pytest.approx(other["brier_score"]["value"])


def test_equal_probabilities_sorted_by_label_are_calibrated_all_the_same() -> None:
    """One half of what is said to be positive with 0.5 is positive."""
    assert measured([(0.5, 0)] * 50 + [(0.5, 1)] * 50)["expected_calibration_error"]["value"] == pytest.approx(0)


def too_sure(n: int, by: float, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of a model whose logits are ``by`` times what they should be."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, n)
    truth = (random.random(n) < 1 / (1 + np.exp(-logits))).astype(np.int64)
    return 1 / (1 + np.exp(-by * logits)), truth


@pytest.mark.parametrize("by", [0.5, 1.0, 4.0])
def test_the_temperature_undoes_what_was_too_much(by: float) -> None:
    learned = fitted(*too_sure(20_000, by))
    assert learned.temperature == pytest.approx(by, rel=0.06)
    held_out, truth = too_sure(20_000, by, seed=2)
    corrected = reliability(scaled(held_out, learned.temperature), truth)["expected_calibration_error"]["value"]
    assert corrected < 0.015
    if by != 1.0:
        assert corrected < reliability(held_out, truth)["expected_calibration_error"]["value"]


@settings(max_examples=50)
@given(st.lists(st.tuples(st.floats(0.001, 0.999), st.integers(0, 1)), min_size=1, max_size=40))
def test_no_other_temperature_has_less_log_loss(rows: list[tuple[float, int]]) -> None:
    """Of a grid from the lowest to the highest that may be."""
    positive, truth = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    logits = np.log(positive / (1 - positive))

    def loss(temperature: float) -> float:
        return float(np.logaddexp(0, np.where(truth == 1, -1, 1) * logits / temperature).mean())

    learned = fitted(positive, truth)
    grid = np.geomspace(0.05, 20, 400)
    assert loss(learned.temperature) <= min(map(loss, grid)) + 1e-4
    assert learned.temperature == round(learned.temperature, 4)
    np.testing.assert_allclose(scaled(positive, 2.5), 1 / (1 + np.exp(-logits / 2.5)), rtol=1e-9)


@given(st.lists(st.floats(0.001, 0.999), min_size=1, max_size=60, unique=True), st.randoms(use_true_random=False))
def test_the_threshold_leaves_a_fifth_unanswered_and_answers_its_equals(positive: list[float], random) -> None:
    """The threshold is the confidence of a tweet, and who is just as sure answers."""
    shares = np.array(positive)
    learned = fitted(shares, np.array([random.randint(0, 1) for _ in positive]))
    sure = confidence(scaled(shares, learned.temperature))
    threshold = np.sort(sure)[math.ceil(ABSTAINING * (len(sure) - 1))]
    assert threshold - 1e-8 <= learned.neutral_below <= threshold
    assert ABSTAINING == 0.2


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50), st.floats(0.05, 20))
def test_no_label_changes(positive: list[float], temperature: float) -> None:
    before = np.array(positive)
    after = scaled(before, temperature)
    assert np.all((after >= 0.5) == (before >= 0.5))
    assert np.all((after >= 0) & (after <= 1))


def test_extremes_have_a_temperature() -> None:
    for truth in ([1, 1, 1], [0, 0, 0], [0, 1, 1]):
        learned = fitted(np.array([0.0, 1.0, 1.0]), np.array(truth))
        assert 0 < learned.temperature < 21


def test_risk_and_coverage_by_hand() -> None:
    """Confidences 0.9, 0.8, 0.7, 0.6; wrong on the second and the last."""
    points = risk_coverage(np.array([0.9, 0.2, 0.7, 0.4]), np.array([1, 1, 1, 1]))
    assert [each["coverage"] for each in points] == [0.25, 0.5, 0.75, 1.0]
    assert [each["risk"] for each in points] == [0.0, 0.5, pytest.approx(1 / 3), 0.5]
    assert [each["confidence"] for each in points] == pytest.approx([0.9, 0.8, 0.7, 0.6])


@given(ANY | TIED | st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=60, max_size=90))
def test_every_point_counts_those_that_are_at_least_as_sure(rows: list[tuple[float, int]]) -> None:
    """A point for every twentieth of the tweets; whoever is just as sure as the last one counts, too."""
    positive, truth = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    sure = np.maximum(positive, 1 - positive)
    expected: list[dict[str, float]] = []
    for step in range(1, STEPS + 1):
        least = sorted(sure, reverse=True)[math.ceil(step * len(rows) / STEPS) - 1]
        answered = sure >= least
        wrong = ((positive >= 0.5) != (truth == 1)) & answered
        point = {"coverage": answered.mean(), "risk": wrong.sum() / answered.sum(), "confidence": least}
        if point not in expected:
            expected.append(point)
    points = risk_coverage(positive, truth)
    assert [[*point] for point in points] == [[*point] for point in expected]
    for point, other in zip(points, expected, strict=True):
        assert point == pytest.approx(other)
