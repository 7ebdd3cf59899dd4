"""Calibration: cases that can be worked out by hand, and what must hold for any probabilities."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentiment140_bert.evaluation.calibration import (
    ABSTAINED_SHARE,
    BINS,
    STEPS,
    apply_temperature,
    compute_confidence,
    fit_calibration,
    measure_reliability,
    trace_risk_coverage,
)

# Few different values, so that many of them are equal; shares from float32 logits often are.
TIED = st.lists(st.tuples(st.sampled_from([0.0, 0.25, 0.5, 0.9, 1.0]), st.integers(0, 1)), min_size=1, max_size=60)
ANY = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=1, max_size=60)


def measure(rows: list[tuple[float, int]]) -> dict:
    return measure_reliability(np.array([row[0] for row in rows]), np.array([row[1] for row in rows]))


# Of what is predicted positive with 0.2, 0.5 and 0.8, two, five and eight of ten are: calibrated, though unsure.
UNSURE = [(share, int(at < 10 * share)) for share in (0.2, 0.5, 0.8) for at in range(10)] * 10


@pytest.mark.parametrize(
    ("rows", "error", "brier_score"),
    [
        ([(at / 20, int(at >= 10)) for at in range(20)], 0.25, sum(min(at, 20 - at) ** 2 for at in range(20)) / 8_000),
        ([(0.0, 0)] * 10 + [(1.0, 1)] * 10, 0, 0),
        ([(1.0, 0)] * 10 + [(0.0, 1)] * 10, 1, 1),
        (UNSURE, 0, (0.16 + 0.25 + 0.16) / 3),
        ([(0.5, 0)] * 50 + [(0.5, 1)] * 50, 0, 0.25),  # equal and sorted by label, as the corpus is
    ],
)
def test_by_hand(rows: list[tuple[float, int]], error: float, brier_score: float) -> None:
    """Make ten bins of two from twenty tweets, each 0.025 further off than the one before or after it."""
    scores = measure(rows)
    assert scores["expected_calibration_error"]["value"] == pytest.approx(error, abs=1e-9)
    assert scores["brier_score"]["value"] == pytest.approx(brier_score)


def split_by_definition(rows: list[tuple[float, int]]) -> list[list[tuple[float, int]]]:
    """Part the tweets into bins of equal size, in plain Python; equal probabilities stay in the lower bin."""
    rows = sorted(rows)
    count = min(BINS, len(rows))
    bins: list[list[tuple[float, int]]] = []
    end = 0
    for number in range(count):
        stop = sum(len(rows) // count + (at < len(rows) % count) for at in range(number + 1))
        while stop < len(rows) and rows[stop][0] == rows[stop - 1][0]:
            stop += 1
        if stop > end:
            bins.append(rows[end:stop])
            end = stop
    return bins


@given(ANY | TIED, st.randoms(use_true_random=False))
def test_bins_are_of_equal_size_and_equal_probabilities_stay_together(rows: list[tuple[float, int]], random) -> None:
    scores, bins = measure(rows), split_by_definition(rows)
    assert [part["n"] for part in scores["bins"]] == [len(part) for part in bins]
    predicted, observed = ([sum(row[at] for row in part) / len(part) for part in bins] for at in (0, 1))
    assert [part["predicted"] for part in scores["bins"]] == pytest.approx(predicted, abs=1e-12)
    assert [part["observed"] for part in scores["bins"]] == pytest.approx(observed, abs=1e-12)
    error = sum(len(part) * abs(one - other) for part, one, other in zip(bins, predicted, observed, strict=True))
    assert scores["expected_calibration_error"]["value"] == pytest.approx(error / len(rows), abs=1e-12)
    assert scores["brier_score"]["value"] == pytest.approx(sum((p - t) ** 2 for p, t in rows) / len(rows))
    for score in (scores["expected_calibration_error"], scores["brier_score"]):
        assert -1e-12 <= score["low"] - 1e-12 <= score["value"] <= score["high"] + 1e-12
    json.dumps(scores, allow_nan=False)
    shuffled = measure(random.sample(rows, len(rows)))
    for name in ("expected_calibration_error", "brier_score"):
        assert shuffled[name]["value"] == pytest.approx(scores[name]["value"], abs=1e-9)


def make_overconfident(n: int, by: float, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Make probabilities of a model whose logits are ``by`` times what they should be."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, n)
    truth = (random.random(n) < 1 / (1 + np.exp(-logits))).astype(np.int64)
    return 1 / (1 + np.exp(-by * logits)), truth


@pytest.mark.parametrize("by", [0.5, 1.0, 4.0])
def test_the_temperature_corrects_overconfidence(by: float) -> None:
    fitted = fit_calibration(*make_overconfident(20_000, by))
    assert fitted.temperature == pytest.approx(by, rel=0.06)
    held_out, truth = make_overconfident(20_000, by, seed=2)
    before, after = (
        measure_reliability(shares, truth)["expected_calibration_error"]["value"]
        for shares in (held_out, apply_temperature(held_out, fitted.temperature))
    )
    assert after < 0.015
    assert after < before or by == 1.0


@settings(max_examples=50)
@given(st.lists(st.tuples(st.floats(0.001, 0.999), st.integers(0, 1)), min_size=1, max_size=40))
def test_no_other_temperature_has_less_log_loss(rows: list[tuple[float, int]]) -> None:
    """Try a grid from the lowest to the highest allowed temperature."""
    positive, truth = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    logits = np.log(positive / (1 - positive))

    def loss(temperature: float) -> float:
        return float(np.logaddexp(0, np.where(truth == 1, -1, 1) * logits / temperature).mean())

    fitted = fit_calibration(positive, truth)
    grid = np.geomspace(0.05, 20, 400)
    assert loss(fitted.temperature) <= min(map(loss, grid)) + 1e-4
    assert fitted.temperature == round(fitted.temperature, 4)
    np.testing.assert_allclose(apply_temperature(positive, 2.5), 1 / (1 + np.exp(-logits / 2.5)), rtol=1e-9)


@given(st.lists(st.floats(0.001, 0.999), min_size=1, max_size=60, unique=True), st.randoms(use_true_random=False))
def test_the_threshold_leaves_a_fifth_unanswered_and_answers_its_equals(positive: list[float], random) -> None:
    """Use the confidence of a tweet as threshold, and answer equally confident tweets."""
    shares = np.array(positive)
    fitted = fit_calibration(shares, np.array([random.randint(0, 1) for _ in positive]))
    sure = compute_confidence(apply_temperature(shares, fitted.temperature))
    threshold = np.sort(sure)[math.ceil(ABSTAINED_SHARE * (len(sure) - 1))]
    assert threshold - 1e-8 <= fitted.neutral_below <= threshold
    assert ABSTAINED_SHARE == 0.2


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50), st.floats(0.05, 20))
def test_calibration_changes_no_label(positive: list[float], temperature: float) -> None:
    before = np.array(positive)
    after = apply_temperature(before, temperature)
    assert np.all((after >= 0.5) == (before >= 0.5))
    assert np.all((after >= 0) & (after <= 1))


@pytest.mark.parametrize("truth", [[1, 1, 1], [0, 0, 0], [0, 1, 1]])
def test_extremes_have_a_temperature(truth: list[int]) -> None:
    assert 0 < fit_calibration(np.array([0.0, 1.0, 1.0]), np.array(truth)).temperature < 21


def test_risk_and_coverage_by_hand() -> None:
    """Use confidences 0.9, 0.8, 0.7, 0.6, of which the second and the last are wrong."""
    points = trace_risk_coverage(np.array([0.9, 0.2, 0.7, 0.4]), np.array([1, 1, 1, 1]))
    assert [point["coverage"] for point in points] == [0.25, 0.5, 0.75, 1.0]
    assert [point["risk"] for point in points] == [0.0, 0.5, pytest.approx(1 / 3), 0.5]
    assert [point["confidence"] for point in points] == pytest.approx([0.9, 0.8, 0.7, 0.6])


@given(ANY | TIED | st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=60, max_size=90))
def test_every_point_counts_predictions_of_at_least_its_confidence(rows: list[tuple[float, int]]) -> None:
    """Draw a point for every twentieth of the tweets; tweets as confident as the last one count, too."""
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
    points = trace_risk_coverage(positive, truth)
    assert [[*point] for point in points] == [[*point] for point in expected]
    for point, other in zip(points, expected, strict=True):
        assert point == pytest.approx(other)
