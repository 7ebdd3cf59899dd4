"""Wilson's interval: against printed tables, against its formula, and what must hold for any counts."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment140_bert.evaluation.intervals import CONFIDENCE_LEVEL, of_shares, wilson

Z = 1.959963984540054  # 97.5 % of a standard normal variable lie below it


def by_hand(successes: int, n: int) -> tuple[float, float]:
    """Wilson 1927 as it stands in Brown, Cai and DasGupta 2001, equation 4."""
    share = successes / n
    middle = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    return middle - half, middle + half


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_printed_examples(successes: int, n: int, low: float, high: float) -> None:
    assert wilson(successes, n) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@pytest.mark.parametrize(("successes", "n"), [(305, 359), (0, 1), (1, 1), (0, 359), (359, 359), (43_123, 50_000)])
def test_the_formula(successes: int, n: int) -> None:
    low, high = by_hand(successes, n)
    assert wilson(successes, n) == (pytest.approx(max(low, 0), abs=1e-12), pytest.approx(min(high, 1), abs=1e-12))


COUNTS = st.integers(1, 2_000_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(COUNTS)
def test_it_holds_the_share_and_lies_between_0_and_1(counts: tuple[int, int]) -> None:
    successes, n = counts
    low, high = wilson(successes, n)
    assert 0 <= low <= successes / n <= high <= 1
    assert low < high
    assert (type(low), type(high)) == (float, float)


@given(COUNTS)
def test_successes_and_failures_mirror_each_other(counts: tuple[int, int]) -> None:
    successes, n = counts
    low, high = wilson(successes, n)
    assert wilson(n - successes, n) == (pytest.approx(1 - high, abs=1e-9), pytest.approx(1 - low, abs=1e-9))


def test_more_tweets_say_more() -> None:
    widths = [high - low for low, high in (wilson(85 * times, 100 * times) for times in (1, 10, 100, 1_000))]
    assert widths == sorted(widths, reverse=True)


def test_the_level() -> None:
    assert CONFIDENCE_LEVEL == 0.95


CELLS = ("true_negative", "false_positive", "false_negative", "true_positive")


def test_the_shares_of_a_confusion_matrix() -> None:
    found = of_shares(dict(zip(CELLS, (19, 11, 5, 25), strict=True)) | {"log_loss": 0.3})
    assert {name: (each["low"], each["high"]) for name, each in found.items()} == {
        "accuracy": wilson(44, 60),
        "precision": wilson(25, 36),
        "recall": wilson(25, 30),
    }


@pytest.mark.parametrize(
    ("cells", "shares"),
    [
        ((3, 0, 0, 0), {"accuracy"}),
        ((0, 3, 0, 0), {"accuracy", "precision"}),
        ((0, 0, 3, 0), {"accuracy", "recall"}),
        ((0, 0, 0, 3), {"accuracy", "precision", "recall"}),
    ],
)
def test_a_share_of_nothing_has_no_limits(cells: tuple[int, ...], shares: set[str]) -> None:
    assert of_shares(dict(zip(CELLS, cells, strict=True))).keys() == shares


@given(st.tuples(*[st.integers(0, 60)] * 4).filter(any))
def test_the_limits_hold_the_scores(cells: tuple[int, ...]) -> None:
    tn, fp, fn, tp = cells
    shares = {"accuracy": (tp + tn, sum(cells)), "precision": (tp, tp + fp), "recall": (tp, tp + fn)}
    found = of_shares(dict(zip(CELLS, cells, strict=True)))
    assert found.keys() == {name for name, (_, n) in shares.items() if n}
    for name, limits in found.items():
        assert limits["low"] <= shares[name][0] / shares[name][1] <= limits["high"]
