"""Two models on the same tweets: against statsmodels, against the formula of the variance, and in words."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment140_bert.evaluation import intervals
from sentiment140_bert.evaluation.compare import describe_comparison
from sentiment140_bert.evaluation.intervals import compare_accuracy, measure_difference

Z = 1.959963984540054


def make_models(n: int, only_first: int, only_second: int, both: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    first, second = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    first[: both + only_first] = True
    second[:both] = True
    second[both + only_first : both + only_first + only_second] = True
    return first, second, np.arange(n) % 2


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 200))
def test_mcnemar_agrees_with_statsmodels(only_first: int, only_second: int, both: int) -> None:
    from statsmodels.stats.contingency_tables import mcnemar

    comparison = compare_accuracy(*make_models(359, only_first, only_second, both))
    expected = mcnemar([[both, only_first], [only_second, 359 - both - only_first - only_second]], exact=True)
    assert comparison["p_value"] == pytest.approx(min(1.0, expected.pvalue), abs=1e-9)
    assert (comparison["n"], comparison["only_first_right"], comparison["only_second_right"]) == (
        359,
        only_first,
        only_second,
    )
    assert comparison["first"] == intervals.measure_share(both + only_first, 359)
    assert comparison["second"] == intervals.measure_share(both + only_second, 359)
    gap = comparison["difference"]
    assert gap["value"] == pytest.approx((only_first - only_second) / 359)
    assert gap["low"] <= gap["value"] <= gap["high"]


def test_a_model_and_itself() -> None:
    first, _, truth = make_models(100, 0, 0, 80)
    comparison = compare_accuracy(first, first, truth)
    assert (comparison["p_value"], comparison["difference"]) == (1.0, {"value": 0.0, "low": 0.0, "high": 0.0})
    assert (
        describe_comparison(comparison, "A", "B")
        == "A 0.800 and B 0.800 on 100 tweets: both are right and wrong on the same tweets."
    )


def test_classes_are_drawn_apart() -> None:
    """Compare models that differ on one whole class: they differ by the same in every resample."""
    for label, positives in itertools.product((0, 1), (1, 10, 39)):
        truth = np.array([0] * (40 - positives) + [1] * positives)
        first, second = truth == label, np.zeros(40, dtype=bool)
        value = float((truth == label).mean())
        assert measure_difference(first, second, truth) == {"value": value, "low": value, "high": value}
        assert measure_difference(second, first, truth) == {"value": -value, "low": -value, "high": -value}


@pytest.mark.parametrize("p", [0.0001, 0.0499, 0.0501, 0.7])
def test_words_follow_the_test_not_the_interval(p: float) -> None:
    """Decide by McNemar's p-value, whatever the interval is; mention it only where the two disagree."""
    for value, low, high in ((0.02, 0.01, 0.03), (0.02, -0.01, 0.05), (-0.02, -0.03, -0.01), (0.02, 0.0, 0.04)):
        comparison = {
            **{"n": 1_234, "first": {"value": 0.8}, "second": {"value": 0.8 - value}, "p_value": p},
            **{"only_first_right": 30, "only_second_right": 20},
            "difference": {"value": value, "low": low, "high": high},
        }
        spread = f"between {low:+.3f} and {high:+.3f}, p = {p:.2g}"
        if p >= 0.05:
            rough = (
                "" if low <= 0 <= high else "; trust the p-value, the interval is rough where few predictions differ"
            )
            verdict = f"the difference is not significant ({spread}{rough})."
        else:
            verdict = f"{'A' if value > 0 else 'B'} is better (difference {spread})."
        expected = f"A 0.800 and B {0.8 - value:.3f} on 1,234 tweets: {verdict}"
        assert describe_comparison(comparison, "A", "B") == expected


def test_three_points_are_significant_on_many_tweets_only() -> None:
    """Compare 85% and 82%, each sometimes right where the other is wrong: the official test set is small."""
    assert "not significant" in describe_comparison(compare_accuracy(*make_models(359, 30, 19, 275)), "A", "B")
    assert "A is better" in describe_comparison(compare_accuracy(*make_models(20_000, 1_500, 1_100, 15_500)), "A", "B")
    assert "B is better" in describe_comparison(compare_accuracy(*make_models(20_000, 1_100, 1_500, 15_500)), "A", "B")


def test_the_paired_interval_holds_the_truth_as_often_as_it_says() -> None:
    random = np.random.default_rng(4)
    truth = np.arange(359) % 2
    covered = 0
    for _ in range(1_000):
        both, first, second = random.multinomial(1, [0.78, 0.08, 0.05, 0.09], size=359)[:, :3].T.astype(bool)
        limits = measure_difference(both | first, both | second, truth)
        covered += limits["low"] <= 0.03 <= limits["high"]
    assert 930 <= covered <= 970
