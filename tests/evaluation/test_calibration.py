"""Calibration: cases that can be worked out by hand, and what must hold for any probabilities."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment140_bert.evaluation.calibration import BINS, reliability

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
    assert found["expected_calibration_error"] == pytest.approx((below + above) / 20)
    assert found["brier_score"] == pytest.approx(sum((p - t) ** 2 for p, t in rows) / 20)


def test_a_perfect_model_has_no_error() -> None:
    found = measured([(0.0, 0)] * 10 + [(1.0, 1)] * 10)
    assert (found["expected_calibration_error"], found["brier_score"]) == (0, 0)


def test_a_model_that_knows_how_little_it_knows_is_well_calibrated() -> None:
    """What is said to be positive with 0.2, 0.5 and 0.8 is so in two, five and eight of ten cases."""
    rows = [(share, int(at < 10 * share)) for share in (0.2, 0.5, 0.8) for at in range(10)]
    assert measured(rows * 10)["expected_calibration_error"] == pytest.approx(0, abs=1e-9)


def test_a_sure_and_wrong_model_has_all_the_error_there_is() -> None:
    found = measured([(1.0, 0)] * 10 + [(0.0, 1)] * 10)
    assert (found["expected_calibration_error"], found["brier_score"]) == (1, 1)


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
    assert 0 <= found["expected_calibration_error"] <= 1 + 1e-12
    assert found["brier_score"] == pytest.approx(sum((p - t) ** 2 for p, t in rows) / len(rows))
    mean = sum(p for p, _ in rows) / len(rows)
    assert math.fsum(each["n"] * each["predicted"] for each in bins) / len(rows) == pytest.approx(mean)
    assert math.fsum(each["n"] * each["observed"] for each in bins) == pytest.approx(sum(t for _, t in rows))
    # The error cannot be smaller than what the model is off by in total.
    off = abs(mean - sum(t for _, t in rows) / len(rows))
    assert found["expected_calibration_error"] >= off - 1e-9
    json.dumps(found, allow_nan=False)


@given(TIED, st.randoms(use_true_random=False))
def test_the_order_of_the_tweets_does_not_matter(rows: list[tuple[float, int]], random) -> None:
    """Above all where probabilities are equal: the corpus is sorted by label."""
    shuffled = random.sample(rows, len(rows))
    one, other = measured(rows), measured(shuffled)
    assert one["expected_calibration_error"] == pytest.approx(other["expected_calibration_error"], abs=1e-9)
    assert one["brier_score"] == pytest.approx(other["brier_score"])


def test_equal_probabilities_sorted_by_label_are_calibrated_all_the_same() -> None:
    """One half of what is said to be positive with 0.5 is positive."""
    assert measured([(0.5, 0)] * 50 + [(0.5, 1)] * 50)["expected_calibration_error"] == pytest.approx(0)
