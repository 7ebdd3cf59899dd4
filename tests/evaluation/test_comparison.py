"""Two models on the same tweets: against statsmodels, and in words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment140_bert.evaluation.comparison import compared, in_words


def models(n: int, only_first: int, only_second: int, both: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    first, second = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    first[: both + only_first] = True
    second[:both] = True
    second[both + only_first : both + only_first + only_second] = True
    return first, second, np.arange(n) % 2


@given(st.integers(0, 40), st.integers(0, 40))
def test_mcnemar_as_statsmodels_has_it(only_first: int, only_second: int) -> None:
    from statsmodels.stats.contingency_tables import mcnemar

    found = compared(*models(359, only_first, only_second, 200))
    expected = mcnemar([[200, only_first], [only_second, 359 - 200 - only_first - only_second]], exact=True)
    assert found["p_value"] == pytest.approx(min(1.0, expected.pvalue), abs=1e-9)
    assert found["difference"]["value"] == pytest.approx((only_first - only_second) / 359)
    assert found["difference"]["low"] <= found["difference"]["value"] <= found["difference"]["high"]


def test_a_model_beside_itself() -> None:
    first, _, truth = models(100, 0, 0, 80)
    found = compared(first, first, truth)
    assert (found["p_value"], found["difference"]) == (1.0, {"value": 0.0, "low": 0.0, "high": 0.0})
    assert "the very same ones" in in_words(found, "A", "B")


def test_359_tweets_do_not_tell_three_points_apart() -> None:
    """85% and 82%, each right where the other is wrong now and then: the official test set is small."""
    found = compared(*models(359, 30, 19, 275))
    assert found["first"]["value"] == pytest.approx(0.8496, abs=1e-4)
    assert (found["first"]["low"], found["first"]["high"]) == (
        pytest.approx(0.81, abs=0.01),
        pytest.approx(0.88, abs=0.01),
    )
    assert "cannot be told apart" in in_words(found, "A", "B")


def test_many_tweets_do() -> None:
    found = compared(*models(20_000, 1_500, 1_100, 15_500))
    assert "A is better" in in_words(found, "A", "B")
    assert "B is better" in in_words(compared(*models(20_000, 1_100, 1_500, 15_500)), "A", "B")


def test_the_paired_interval_holds_the_truth_as_often_as_it_says() -> None:
    random = np.random.default_rng(4)
    truth = np.arange(359) % 2
    covered = 0
    for _ in range(1_000):
        both, first, second = random.multinomial(1, [0.78, 0.08, 0.05, 0.09], size=359)[:, :3].T.astype(bool)
        limits = compared(both | first, both | second, truth)["difference"]
        covered += limits["low"] <= 0.03 <= limits["high"]
    assert 930 <= covered <= 970
