"""Calibration: cases that can be worked out by hand, and what must hold for any probabilities."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment140_bert.evaluation.calibration import (
    ABSTAINING,
    BINS,
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


@pytest.mark.parametrize("n", [1, 2, 9, 10, 11, 19, 359])
def test_the_bins_are_of_equal_size(n: int) -> None:
    rng = np.random.default_rng(n)
    found = reliability(rng.random(n), rng.integers(0, 2, n))
    sizes = [each["n"] for each in found["bins"]]
    assert len(sizes) == min(BINS, n)
    assert sum(sizes) == n
    assert max(sizes) - min(sizes) <= 1


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


@pytest.mark.parametrize("by", [0.5, 1.0, 2.0, 4.0])
def test_the_temperature_undoes_what_was_too_much(by: float) -> None:
    learned = fitted(*too_sure(20_000, by))
    assert learned.temperature == pytest.approx(by, rel=0.06)
    held_out, truth = too_sure(20_000, by, seed=2)
    mended = reliability(scaled(held_out, learned.temperature), truth)["expected_calibration_error"]["value"]
    assert mended < 0.015
    if by != 1.0:
        assert mended < reliability(held_out, truth)["expected_calibration_error"]["value"]


def test_the_threshold_leaves_a_fifth_unanswered() -> None:
    positive, truth = too_sure(10_000, 2.0)
    learned = fitted(positive, truth)
    unsure = confidence(scaled(positive, learned.temperature)) < learned.neutral_below
    assert unsure.mean() == pytest.approx(ABSTAINING, abs=0.01)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50), st.floats(0.05, 20))
def test_no_label_changes(positive: list[float], temperature: float) -> None:
    before = np.array(positive)
    after = scaled(before, temperature)
    assert np.all((after >= 0.5) == (before >= 0.5))
    assert np.all((after >= 0) & (after <= 1))


@pytest.mark.parametrize("truth", [[1, 1, 1], [0, 0, 0], [0, 1, 1]])
def test_extremes_have_a_temperature(truth: list[int]) -> None:
    learned = fitted(np.array([0.0, 1.0, 1.0]), np.array(truth))
    assert 0 < learned.temperature < 21


def test_risk_and_coverage_by_hand() -> None:
    """Confidences 0.9, 0.8, 0.7, 0.6; wrong on the second and the last."""
    points = risk_coverage(np.array([0.9, 0.2, 0.7, 0.4]), np.array([1, 1, 1, 1]))
    assert [each["coverage"] for each in points] == [0.25, 0.5, 0.75, 1.0]
    assert [each["risk"] for each in points] == [0.0, 0.5, pytest.approx(1 / 3), 0.5]
    assert [each["confidence"] for each in points] == pytest.approx([0.9, 0.8, 0.7, 0.6])


@given(ANY)
def test_the_last_point_is_all_tweets(rows: list[tuple[float, int]]) -> None:
    positive, truth = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    last = risk_coverage(positive, truth)[-1]
    assert last["coverage"] == 1
    assert last["risk"] == pytest.approx(((positive >= 0.5) != truth).mean())
