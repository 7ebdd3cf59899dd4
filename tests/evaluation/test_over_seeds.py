"""Two recipes over several seeds on the same tweets: against an analysis of variance, and in words."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm, t

from sentiment140_bert.experiments import series
from sentiment140_bert.run import RunDir

pytest_plugins = "model_fixtures"


def drawn(random, gap: float, n: int, count: int, of_seeds: float = 0.01) -> tuple[np.ndarray, ...]:
    """Draw right and wrong answers of two recipes: tweets are hard or easy for both, seeds are good or bad."""
    truth = np.arange(n) % 2
    hardness = random.normal(0.75, 0.3, size=n)

    def of(better: float) -> np.ndarray:
        level = better + random.normal(0, of_seeds, size=(count, 1))
        return hardness + level + random.normal(0, 0.15, size=(count, n)) > 0.5

    return of(gap), of(0.0), truth


def by_analysis_of_variance(first: np.ndarray, second: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Estimate the variance of the mean difference from mean squares of a crossed design, in plain Python.

    The mean square of the tweets is that within the classes, each class weighted by its share.
    """
    count, n = first.shape
    gaps = [[int(first[s, i]) - int(second[s, i]) for i in range(n)] for s in range(count)]
    overall = sum(map(sum, gaps)) / (count * n)
    of_tweet = [sum(gaps[s][i] for s in range(count)) / count for i in range(n)]
    of_seed = [sum(gaps[s]) / n for s in range(count)]
    tweets = 0.0
    for label in (0, 1):
        rows = [i for i in range(n) if truth[i] == label]
        if len(rows) > 1:
            mean = sum(of_tweet[i] for i in rows) / len(rows)
            tweets += len(rows) / n**2 * sum((of_tweet[i] - mean) ** 2 for i in rows) / (len(rows) - 1)
    if count == 1:
        return {"value": overall, "tweets": tweets, "seeds": 0.0}
    seed_mean_square = n * sum((value - overall) ** 2 for value in of_seed) / (count - 1)
    rest = sum((gaps[s][i] - of_tweet[i] - of_seed[s] + overall) ** 2 for s in range(count) for i in range(n))
    rest_mean_square = rest / ((count - 1) * (n - 1))
    return {
        "value": overall,
        "tweets": max(0.0, tweets - rest_mean_square / (count * n)),
        "seeds": max(seed_mean_square, rest_mean_square) / (count * n),
    }


def half_of(level: float, tweets: float, of_seeds: float, count: int) -> float:
    """Add the limits of both parts as squares."""
    student = t.isf(level / 2, count - 1) if count > 1 else 0.0
    return math.sqrt(norm.isf(level / 2) ** 2 * tweets + student**2 * of_seeds)


def test_the_interval_is_that_of_the_analysis_of_variance() -> None:
    random = np.random.default_rng(1)
    for n, count, of_seeds, gap in itertools.product((7, 40, 150), (1, 2, 3, 5), (0.0, 0.1), (0.0, 0.1)):
        first, second, truth = drawn(random, gap, n, count, of_seeds)
        truth = np.where(np.arange(n) < n // 3, 1, 0) if n == 150 else truth
        result, expected = (
            series.compare_over_seeds(first, second, truth),
            by_analysis_of_variance(first, second, truth),
        )
        where = (n, count, of_seeds, gap)
        assert (result["n"], result["seeds"]) == (n, count), where
        for name, right in (("first", first), ("second", second)):
            accuracies = [row.mean() for row in right]
            assert result[name] == pytest.approx(
                {"value": np.mean(accuracies), "min": min(accuracies), "max": max(accuracies)}
            ), where
        assert result["of_tweets"] == pytest.approx(math.sqrt(expected["tweets"]), abs=1e-9), where
        assert result["of_seeds"] == pytest.approx(math.sqrt(expected["seeds"]), abs=1e-9), where
        half = half_of(0.05, expected["tweets"], expected["seeds"], count)
        value = expected["value"]
        assert result["difference"] == pytest.approx({"value": value, "low": value - half, "high": value + half}), where
        if expected["tweets"] + expected["seeds"] == 0:
            assert result["p_value"] == (0.0 if value else 1.0), where
        elif result["p_value"] > 1e-9:
            reached = half_of(result["p_value"], expected["tweets"], expected["seeds"], count)
            assert reached == pytest.approx(abs(value), abs=1e-7), where


def test_a_difference_of_the_classes_alone_is_certain() -> None:
    """Vary tweets within their class only: recipes that differ on one whole class differ by no chance."""
    truth = np.array([0] * 30 + [1] * 10)
    first, second = np.array([truth == 1] * 3), np.zeros((3, 40), dtype=bool)
    result = series.compare_over_seeds(first, second, truth)
    assert result["difference"]["value"] == 0.25
    assert result["of_tweets"] == pytest.approx(0, abs=1e-9)


def test_the_smallest_p_value() -> None:
    random = np.random.default_rng(2)
    first, second = random.random((3, 20_000)) < 0.95, random.random((3, 20_000)) < 0.05
    assert series.compare_over_seeds(first, second, np.arange(20_000) % 2)["p_value"] <= 1e-5
    assert series.compare_over_seeds(first[:1], second[:1], np.arange(20_000) % 2)["p_value"] == series.LEAST


def test_the_same_answers_differ_nowhere() -> None:
    same = np.ones((3, 10), dtype=bool)
    result = series.compare_over_seeds(same, same, np.arange(10) % 2)
    assert result["difference"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert result["p_value"] == 1.0


def test_words_follow_the_p_value() -> None:
    def comparison_of(value: float, p_value: float, count: int) -> dict[str, Any]:
        return {
            "n": 1_234,
            "seeds": count,
            "first": {"value": 0.8},
            "second": {"value": 0.8 - value},
            "difference": {"value": value, "low": value - 0.0151, "high": value + 0.0149},
            "p_value": p_value,
        }

    wrong = []
    for value, p_value, count in itertools.product((0.0123, -0.0123), (1e-4, 0.0499, 0.0501, 0.9), (1, 3)):
        trained = "1 seed, so the variation over seeds is unknown" if count == 1 else "3 seeds each"
        ends = ", which is not significant" if p_value > 0.05 else f": {'a' if value > 0 else 'b'} did better"
        low, high = 100 * (value - 0.0151), 100 * (value + 0.0149)
        expected = (
            f"a 0.8000 and b {0.8 - value:.4f} on 1,234 test tweets ({trained}); the difference is "
            f"{100 * value:+.2f} points ({low:+.2f} to {high:+.2f}){ends}."
        )
        sentence = series.describe_over_seeds(comparison_of(value, p_value, count), "a", "b", "test tweets")
        if sentence != expected:
            wrong.append((sentence, expected))
    assert wrong == []


def coverage(repeats: int, n: int, count: int, of_seeds: float) -> float:
    """Count how often the interval holds the difference, which is 0."""
    random = np.random.default_rng(11)
    inside = 0
    for _ in range(repeats):
        gap = series.compare_over_seeds(*drawn(random, 0.0, n, count, of_seeds))["difference"]
        inside += gap["low"] <= 0 <= gap["high"]
    return inside / repeats


@pytest.mark.parametrize(
    ("n", "count", "of_seeds"),
    [
        (500, 3, 0.02),
        (500, 3, 0.0),
        (359, 2, 0.01),
        *(
            pytest.param(n, count, of_seeds, marks=pytest.mark.long)
            for n, count, of_seeds in ((2000, 5, 0.02), (5000, 3, 0.01))
        ),
    ],
)
def test_the_interval_holds_the_truth_as_often_as_it_says(n: int, count: int, of_seeds: float) -> None:
    assert coverage(300, n, count, of_seeds) >= 0.92


def test_a_mean_over_seeds_is_a_difference_from_models_that_are_never_right() -> None:
    right, _, truth = drawn(np.random.default_rng(3), 0.1, 300, 4)
    difference = series.compare_over_seeds(right, np.zeros_like(right), truth)["difference"]
    assert series.measure_over_seeds(right, truth) == pytest.approx(difference)
    assert series.measure_over_seeds(right, truth)["value"] == pytest.approx(right.mean())


def test_the_row_of_a_table_is_of_runs_of_one_recipe(smallest_run: Path, run: Path) -> None:
    script = Path(__file__).resolve().parents[2] / "scripts" / "scores_table.py"

    def make_rows(*runs: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, script, "mine", *runs], capture_output=True, text=True, check=False)

    rows = make_rows(smallest_run, smallest_run).stdout.splitlines()
    accuracy = RunDir(smallest_run).read_metrics()["splits"]["test"]["accuracy"]["value"]
    assert rows[0].startswith(f"| mine | 2 | {accuracy:.3f} [")
    assert rows[1].startswith("| TF-IDF, the same tweets | | 0.")
    refused = make_rows(smallest_run, run)
    assert refused.returncode == 1
    assert "is of another recipe" in refused.stderr
