"""Intervals: Wilson's against printed tables, the bootstrap against slower ways to compute it, and their coverage."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentiment140_bert.evaluation import intervals
from sentiment140_bert.evaluation.calibration import measure_reliability
from sentiment140_bert.evaluation.intervals import (
    CONFIDENCE_LEVEL,
    RESAMPLES,
    SEED,
    bound_share,
    bound_shares,
    measure_share,
)

Z = 1.959963984540054  # 97.5 % of a standard normal variable lie below it
CELLS = ("true_negative", "false_positive", "false_negative", "true_positive")


# ---- Wilson


def compute_wilson(successes: int, n: int) -> tuple[float, float]:
    """Compute Wilson 1927 as printed in Brown, Cai and DasGupta 2001, equation 4."""
    value = successes / n
    middle = (value + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * math.sqrt(value * (1 - value) / n + Z**2 / (4 * n**2))
    return middle - half, middle + half


@given(st.integers(1, 2_000_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_its_formula(counts: tuple[int, int]) -> None:
    successes, n = counts
    low, high = bound_share(successes, n)
    assert (low, high) == pytest.approx(compute_wilson(successes, n), abs=1e-9)
    assert 0 <= low <= successes / n <= high <= 1
    assert low < high
    assert (type(low), type(high)) == (float, float)
    assert measure_share(successes, n) == {"value": successes / n, "low": low, "high": high}


@given(st.tuples(*[st.integers(0, 60)] * 4).filter(any))
def test_shares_of_a_confusion_matrix(cells: tuple[int, ...]) -> None:
    """Give no limits to a share of nothing."""
    tn, fp, fn, tp = cells
    shares = {"accuracy": (tp + tn, sum(cells)), "precision": (tp, tp + fp), "recall": (tp, tp + fn)}
    limits = bound_shares(dict(zip(CELLS, cells, strict=True)) | {"log_loss": 0.3})
    assert {name: (limit["low"], limit["high"]) for name, limit in limits.items()} == {
        name: bound_share(*counts) for name, counts in shares.items() if counts[1]
    }


def test_the_level() -> None:
    """State the level in ``metrics.json``; resampled limits are the 25th and the 975th of 999."""
    assert CONFIDENCE_LEVEL == intervals.METHOD["level"] == 0.95
    assert RESAMPLES == intervals.METHOD["resamples"] == 999
    assert math.isclose(intervals.SIGNIFICANT, 0.05)
    scores = np.random.default_rng(1).permutation(np.arange(1.0, 1000.0))
    assert intervals.find_limits(scores) == {"low": pytest.approx(25, abs=1e-9), "high": pytest.approx(975, abs=1e-9)}


# ---- bootstrap


@settings(max_examples=30)
@given(st.lists(st.integers(0, 1), min_size=1, max_size=40), st.sampled_from([1, 90, 10_000, 4_000_000]))
def test_means_are_drawn_class_by_class(labels: list[int], at_once: int) -> None:
    """Draw as many tweets of each class as there are, however many are drawn at a time."""
    truth = np.array(labels)
    columns = np.column_stack([truth == 0, truth == 1, np.arange(len(truth))]).astype(float)
    drawn = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intervals, "DRAWS_AT_ONCE", at_once)
        intervals.bootstrap_means(columns, truth, lambda means: drawn.append(means) or means[:, 2])
        assert intervals.bootstrap_means(columns[:, 2], truth) == intervals.bootstrap_means(columns[:, 2], truth)
    (means,) = drawn
    assert means.shape == (RESAMPLES, 3)
    np.testing.assert_allclose(means[:, :2], np.broadcast_to(columns[:, :2].mean(axis=0), (RESAMPLES, 2)))
    if min((truth == label).sum() for label in {*labels}) > 3:
        assert len({*means[:, 2]}) > 10  # tweets are drawn with replacement
    assert means[:, 2].mean() == pytest.approx(columns[:, 2].mean(), abs=0.02 * len(truth) + 1e-9)


@settings(max_examples=30)
@given(st.lists(st.lists(st.integers(0, 30), min_size=3, max_size=3), min_size=2, max_size=3))
def test_counts_are_drawn_class_by_class(rows: list[list[int]]) -> None:
    counts, drawn = np.array(rows), []
    intervals.bootstrap_counts(counts, lambda many: drawn.append(many) or many[:, 0, 0])
    (many,) = drawn
    assert many.shape == (RESAMPLES, *counts.shape)
    assert (many.sum(axis=2) == counts.sum(axis=1)).all()
    assert not many[:, counts == 0].any()
    np.testing.assert_allclose(many.mean(axis=0), counts, atol=1.2)  # eight standard errors or more


def test_a_score_of_the_classes_alone_is_certain() -> None:
    """Leave nothing to chance if a value follows from the class, because each class is drawn by itself."""
    truth = np.array([0] * 30 + [1] * 10)
    assert intervals.bootstrap_means(truth.astype(float), truth) == {
        "low": pytest.approx(0.25, abs=1e-12),
        "high": pytest.approx(0.25, abs=1e-12),
    }
    certain = intervals.bootstrap_counts(
        np.array([[30, 0], [0, 10]]), lambda many: many[:, 1, 1] / many.sum(axis=(1, 2))
    )
    assert certain == {"low": 0.25, "high": 0.25}


def draw_weights(truth: np.ndarray, resamples: int) -> Iterator[np.ndarray]:
    """Draw each class by itself, as often as it occurs, one resample after another: how often each tweet is drawn."""
    random = np.random.default_rng(SEED)
    drawn = [
        rows[random.integers(len(rows), size=(resamples, len(rows)))]
        for rows in (np.flatnonzero(truth == label) for label in np.unique(truth))
    ]
    for parts in zip(*drawn, strict=True):
        yield np.bincount(np.concatenate(parts), minlength=len(truth)).astype(float)


CLASSES = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.5, 0.8, 1.0]) | st.floats(0, 1), st.integers(0, 1)), min_size=4, max_size=40
).filter(lambda rows: 0 < sum(truth for _, truth in rows) < len(rows))


@settings(max_examples=15)
@given(CLASSES)
def test_the_area_under_the_curve_is_scikit_learn_s_of_each_resample(rows: list[tuple[float, int]]) -> None:
    """Include ties, and draw the classes as :func:`draw_weights` does."""
    from sklearn.metrics import roc_auc_score

    positive, truth = np.array([share for share, _ in rows]), np.array([label for _, label in rows])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intervals, "RESAMPLES", 39)
        interval = intervals.bootstrap_roc_auc(positive, truth)
    areas = [roc_auc_score(truth, positive, sample_weight=weights) for weights in draw_weights(truth, 39)]
    assert interval == pytest.approx(intervals.find_limits(np.array(areas)))


@settings(max_examples=15)
@given(CLASSES)
def test_the_calibration_error_has_the_basic_bootstrap(rows: list[tuple[float, int]]) -> None:
    """Reflect the resampled errors, each from the bins of the sample, at the measured one."""
    positive, truth = np.array([share for share, _ in rows]), np.array([label for _, label in rows])
    scores = measure_reliability(positive, truth)
    ends = np.cumsum([part["n"] for part in scores["bins"]])
    order = np.argsort(positive, kind="stable")
    parts = np.split(order, ends[:-1])
    errors = [
        sum(abs((weights[part] * (positive - truth)[part]).sum()) for part in parts) / len(rows)
        for weights in draw_weights(truth, RESAMPLES)
    ]
    drawn, error = intervals.find_limits(np.array(errors)), scores["expected_calibration_error"]
    assert error["low"] == pytest.approx(min(error["value"], max(0, 2 * error["value"] - drawn["high"])), abs=1e-9)
    assert error["high"] == pytest.approx(max(error["value"], 2 * error["value"] - drawn["low"]), abs=1e-9)


# ---- coverage


def draw_tweets(n: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw as many of each class, and a model that is right on 85 of 100 and a little too sure."""
    truth = np.arange(n) % 2
    return random.normal(np.where(truth == 1, 1.55, -1.55), 1.5), truth


def compute_shares(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-1.8 * logits))


def compute_f1(counts: np.ndarray) -> np.ndarray:
    return 2 * counts[:, 1, 1] / (2 * counts[:, 1, 1] + counts[:, 0, 1] + counts[:, 1, 0])


def measure_coverage(n: int, rounds: int, seed: int = 11) -> dict[str, float]:
    """Count how often the intervals of samples of ``n`` tweets hold the scores of 400,000."""
    from sklearn.metrics import f1_score, roc_auc_score

    random = np.random.default_rng(seed)
    logits, truth = draw_tweets(400_000, random)
    positive = compute_shares(logits)
    right = {
        "accuracy": ((positive >= 0.5) == truth).mean(),
        "F1": f1_score(truth, positive >= 0.5),
        "log loss": compute_losses(logits, truth).mean(),
        "ROC AUC": roc_auc_score(truth, positive),
        "Brier score": ((positive - truth) ** 2).mean(),
        "calibration error": measure_reliability(positive, truth)["expected_calibration_error"]["value"],
    }
    covered = dict.fromkeys(right, 0)
    for _ in range(rounds):
        logits, truth = draw_tweets(n, random)
        for name, limits in bound_scores(logits, truth).items():
            covered[name] += bool(limits["low"] <= right[name] <= limits["high"])
    return {name: count / rounds for name, count in covered.items()}


def compute_losses(logits: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return np.log1p(np.exp(-np.where(truth == 1, 1.8, -1.8) * logits))


def bound_scores(logits: np.ndarray, truth: np.ndarray) -> dict[str, dict[str, float]]:
    positive = compute_shares(logits)
    predicted = positive >= 0.5
    counts = np.array([[((truth == one) & (predicted == other)).sum() for other in (0, 1)] for one in (0, 1)])
    low, high = bound_share(int(np.trace(counts)), len(truth))
    curve = measure_reliability(positive, truth)
    return {
        "accuracy": {"low": low, "high": high},
        "F1": intervals.bootstrap_counts(counts, compute_f1),
        "log loss": intervals.bootstrap_means(compute_losses(logits, truth), truth),
        "ROC AUC": intervals.bootstrap_roc_auc(positive, truth),
        "Brier score": curve["brier_score"],
        "calibration error": curve["expected_calibration_error"],
    }


@pytest.mark.parametrize(
    ("n", "rounds", "least", "most"),
    [(359, 400, 0.91, 0.98), *(pytest.param(n, 1_000, 0.93, 0.97, marks=pytest.mark.long) for n in (359, 2_200))],
)
def test_intervals_hold_the_truth_as_often_as_they_say(
    n: int, rounds: int, least: float, most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """95% intervals cover 93 to 97% of 1,000 draws (which are uncertain by 1.4 points), a little less surely of 400."""
    monkeypatch.setattr(intervals, "RESAMPLES", 199)  # the limits are a little noisier, and as wide
    covered = measure_coverage(n, rounds)
    assert covered.pop("calibration error") > 0.88  # the basic bootstrap corrects its bias in part only
    assert all(least <= share <= most for share in covered.values()), covered
