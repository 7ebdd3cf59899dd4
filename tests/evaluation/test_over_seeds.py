"""Two recipes over several seeds on the same tweets."""

from __future__ import annotations

import numpy as np
import pytest

from sentiment140_bert.evaluation import comparison, seeds


def drawn(random, gap: float, n: int, count: int, of_seeds: float = 0.01) -> tuple[np.ndarray, ...]:
    """Right or wrong answers of two recipes: tweets are hard or easy for both, seeds are good or bad."""
    truth = np.arange(n) % 2
    hardness = random.normal(0.75, 0.3, size=n)

    def of(better: float) -> np.ndarray:
        level = better + random.normal(0, of_seeds, size=(count, 1))
        return hardness + level + random.normal(0, 0.15, size=(count, n)) > 0.5

    return of(gap), of(0.0), truth


def test_the_numbers_are_what_they_say() -> None:
    first = np.array([[True, True, False, True], [True, False, False, True]])
    second = np.array([[False, True, False, True], [True, False, False, False]])
    found = seeds.compared(first, second, np.array([0, 1, 0, 1]))
    assert (found["n"], found["seeds"]) == (4, 2)
    assert found["first"] == {"value": 0.625, "min": 0.5, "max": 0.75}
    assert found["second"] == {"value": 0.375, "min": 0.25, "max": 0.5}
    gap = found["difference"]
    assert gap["value"] == pytest.approx(0.25)
    assert gap["low"] < 0.25 < gap["high"]


def test_with_one_seed_it_is_the_comparison_of_two_models() -> None:
    first, second, truth = drawn(np.random.default_rng(3), 0.05, 2000, 1)
    found = seeds.compared(first, second, truth)
    one = comparison.compared(first[0], second[0], truth)
    assert found["of_seeds"] == 0
    for limit in ("value", "low", "high"):
        assert found["difference"][limit] == pytest.approx(one["difference"][limit], abs=0.003)
    assert "1 seed, so nothing is known of others" in seeds.in_words(found, "a", "b", "tweets")


def test_the_same_answers_cannot_be_told_apart() -> None:
    same = np.ones((3, 10), dtype=bool)
    found = seeds.compared(same, same, np.arange(10) % 2)
    assert found["difference"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert found["p_value"] == 1.0


def test_the_p_value_is_that_of_the_interval() -> None:
    first, second, truth = drawn(np.random.default_rng(8), 0.03, 1500, 3)
    found = seeds.compared(first, second, truth)
    half = seeds._half(found["p_value"], found["of_tweets"] ** 2, found["of_seeds"] ** 2, 3)
    assert half == pytest.approx(abs(found["difference"]["value"]))
    assert (found["p_value"] < 0.05) == (found["difference"]["low"] > 0 or found["difference"]["high"] < 0)


def test_the_same_answers_are_told_so() -> None:
    same = np.ones((3, 10), dtype=bool)
    found = seeds.compared(same, same, np.arange(10) % 2)
    assert seeds.in_words(found, "a", "b", "tweets").endswith("within noise, these cannot be told apart.")


def test_a_clear_difference_is_called_one() -> None:
    first, second, truth = drawn(np.random.default_rng(5), 0.15, 3000, 3)
    said = seeds.in_words(seeds.compared(first, second, truth), "the best", "the recipe", "test tweets")
    assert said.endswith("the best did better.")
    turned = seeds.in_words(seeds.compared(second, first, truth), "the best", "the recipe", "test tweets")
    assert turned.endswith("the recipe did better.")


def coverage(repeats: int, n: int, count: int, of_seeds: float) -> float:
    """How often the interval holds the difference, which is 0."""
    random = np.random.default_rng(11)
    inside = 0
    for _ in range(repeats):
        gap = seeds.compared(*drawn(random, 0.0, n, count, of_seeds))["difference"]
        inside += gap["low"] <= 0 <= gap["high"]
    return inside / repeats


@pytest.mark.parametrize(
    ("n", "count", "of_seeds"), [(500, 3, 0.02), (500, 3, 0.0), (2000, 5, 0.02), (359, 2, 0.01), (5000, 3, 0.01)]
)
def test_the_interval_holds_the_truth_as_often_as_it_says(n: int, count: int, of_seeds: float) -> None:
    assert coverage(300, n, count, of_seeds) >= 0.92
