"""Wilson's interval: against printed tables, against its formula, and what must hold for any counts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment140_bert.evaluation import intervals
from sentiment140_bert.evaluation.calibration import reliability
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


@pytest.mark.parametrize(("successes", "n"), [(305, 359), (0, 5), (5, 5), (1_829, 2_200)])
def test_statsmodels_agrees(successes: int, n: int) -> None:
    from statsmodels.stats.proportion import proportion_confint

    expected = proportion_confint(successes, n, alpha=1 - CONFIDENCE_LEVEL, method="wilson")
    assert wilson(successes, n) == pytest.approx(expected, abs=1e-12)


def tweets(n: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """As many of each class, and a model that is right on 85 of 100 and a little too sure."""
    truth = np.arange(n) % 2
    return random.normal(np.where(truth == 1, 1.55, -1.55), 1.5), truth


def shares(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-1.8 * logits))


def test_a_mean_has_the_interval_that_scipy_s_bootstrap_gives() -> None:
    """Of one class, which is what scipy resamples; its percentile method, of as many resamples."""
    from scipy.stats import bootstrap

    values = np.random.default_rng(3).exponential(size=500)
    found = intervals.of_means(values, np.zeros(500, dtype=int))
    theirs = bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1))
    limits = theirs.confidence_interval
    assert (found["low"], found["high"]) == pytest.approx((limits.low, limits.high), abs=0.012)


def test_ties_and_order_are_nothing_to_the_area_under_the_curve() -> None:
    from sklearn.metrics import roc_auc_score

    logits, truth = tweets(400, np.random.default_rng(2))
    positive = np.round(shares(logits), 1)
    found = intervals.of_ranking(positive, truth)
    assert found["low"] < roc_auc_score(truth, positive) < found["high"]
    mirrored = intervals.of_ranking(1 - positive, truth)
    assert mirrored == {"low": pytest.approx(1 - found["high"]), "high": pytest.approx(1 - found["low"])}


def test_the_same_tweets_give_the_same_limits() -> None:
    logits, truth = tweets(300, np.random.default_rng(5))
    assert intervals.of_ranking(logits, truth) == intervals.of_ranking(logits, truth)


def test_so_many_tweets_that_they_are_drawn_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    values, truth = np.random.default_rng(6).random(50), np.arange(50) % 2
    in_one = intervals.of_means(values, truth)
    monkeypatch.setattr(intervals, "AT_ONCE", 1_000)
    assert intervals.of_means(values, truth) == pytest.approx(in_one, abs=0.02)


def f1(counts: np.ndarray) -> np.ndarray:
    return 2 * counts[:, 1, 1] / (2 * counts[:, 1, 1] + counts[:, 0, 1] + counts[:, 1, 0])


def coverage(n: int, rounds: int, seed: int = 11) -> dict[str, float]:
    """How often the intervals of samples of ``n`` tweets hold the scores of 400,000."""
    from sklearn.metrics import f1_score, roc_auc_score

    random = np.random.default_rng(seed)
    logits, truth = tweets(400_000, random)
    positive = shares(logits)
    right = {
        "accuracy": ((positive >= 0.5) == truth).mean(),
        "F1": f1_score(truth, positive >= 0.5),
        "log loss": losses(logits, truth).mean(),
        "ROC AUC": roc_auc_score(truth, positive),
        "Brier score": ((positive - truth) ** 2).mean(),
        "calibration error": reliability(positive, truth)["expected_calibration_error"]["value"],
    }
    covered = dict.fromkeys(right, 0)
    for _ in range(rounds):
        logits, truth = tweets(n, random)
        for name, limits in limits_of(logits, truth).items():
            covered[name] += bool(limits["low"] <= right[name] <= limits["high"])
    return {name: count / rounds for name, count in covered.items()}


def losses(logits: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return np.log1p(np.exp(-np.where(truth == 1, 1.8, -1.8) * logits))


def limits_of(logits: np.ndarray, truth: np.ndarray) -> dict[str, dict[str, float]]:
    positive = shares(logits)
    said = positive >= 0.5
    counts = np.array([[((truth == one) & (said == other)).sum() for other in (0, 1)] for one in (0, 1)])
    low, high = wilson(int(np.trace(counts)), len(truth))
    curve = reliability(positive, truth)
    return {
        "accuracy": {"low": low, "high": high},
        "F1": intervals.of_counts(counts, f1),
        "log loss": intervals.of_means(losses(logits, truth), truth),
        "ROC AUC": intervals.of_ranking(positive, truth),
        "Brier score": curve["brier_score"],
        "calibration error": curve["expected_calibration_error"],
    }


@pytest.mark.parametrize("n", [359, 2_200])
def test_intervals_hold_the_truth_as_often_as_they_say(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawn 1,000 times: 95% intervals cover 93 to 97% (the draws themselves are uncertain by 1.4 points)."""
    monkeypatch.setattr(intervals, "RESAMPLES", 199)  # the limits are a little noisier, and as wide
    covered = coverage(n, 1_000)
    assert covered.pop("calibration error") > 0.88  # the basic bootstrap mends its bias in part only
    assert all(0.93 <= share <= 0.97 for share in covered.values()), covered
