"""A planted power law is found again, and the intervals hold it as often as they say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import norm

from sentiment140_bert.experiments.learning_curve import fit

SIZES = np.array([1_000, 3_000, 10_000, 30_000, 100_000, 300_000], dtype=np.float64)


@pytest.mark.parametrize(("a", "b", "c"), [(0.2, 0.35, 0.13), (0.3, 0.1, 0.0), (0.25, 0.9, 0.2), (0.1, 0.5, 0.05)])
def test_errors_without_noise_give_the_law_itself(a: float, b: float, c: float) -> None:
    errors = a * (SIZES / SIZES[0]) ** -b + c
    law = fit.fit_power_laws(SIZES, errors[None, :], has_floor=True)
    assert (law.a[0], law.b[0], law.c[0]) == pytest.approx((a, b, c), rel=2e-2, abs=2e-3)
    assert law.errors(SIZES)[0] == pytest.approx(errors, rel=1e-4)
    assert law.errors(np.array([3_000_000.0]))[0, 0] == pytest.approx(a * 3_000**-b + c, rel=5e-3)


def test_without_a_floor_it_is_a_line_in_logarithms() -> None:
    law = fit.fit_power_laws(SIZES, (0.3 * (SIZES / 1_000) ** -0.2)[None, :], has_floor=False)
    assert (law.a[0], law.b[0], law.c[0]) == pytest.approx((0.3, 0.2, 0), rel=1e-3)


def test_every_row_is_fitted_by_itself() -> None:
    random = np.random.default_rng(1)
    errors = 0.2 * (SIZES / 1_000) ** -0.3 + 0.1 + random.normal(0, 0.002, (5, len(SIZES)))
    together = fit.fit_power_laws(SIZES, errors, has_floor=True)
    for at, row in enumerate(errors):
        alone = fit.fit_power_laws(SIZES, row[None, :], has_floor=True)
        assert (alone.a[0], alone.b[0], alone.c[0]) == (together.a[at], together.b[at], together.c[at])


def test_no_law_has_less_deviation_than_the_one_that_is_found() -> None:
    from scipy.optimize import least_squares

    errors = np.array([0.33, 0.262, 0.219, 0.1875, 0.168, 0.1545])
    law = fit.fit_power_laws(SIZES, errors[None, :], has_floor=True)

    def deviations(settings: Sequence[float]) -> npt.NDArray[np.float64]:
        a, b, c = settings
        return (a * (SIZES / SIZES[0]) ** -b + c) / errors - 1

    result = float((deviations((law.a[0], law.b[0], law.c[0])) ** 2).sum())
    best = least_squares(deviations, (0.2, 0.3, 0.1), bounds=(0, np.inf), xtol=1e-14, ftol=1e-14)
    assert result <= 2 * best.cost * (1 + 1e-4)


@pytest.mark.parametrize("errors", [[0.2, 0.2, 0.2, 0.2, 0.2, 0.2], [0.1, 0.2, 0.3, 0.3, 0.4, 0.5]])
def test_errors_that_do_not_fall_give_a_level_line(errors: list[float]) -> None:
    law = fit.fit_power_laws(SIZES, np.array([errors]), has_floor=True)
    assert law.a[0] >= 0
    ahead = law.errors(np.array([300_000.0, 3_000_000.0]))[0]
    assert np.isfinite(ahead).all()
    assert ahead[0] - ahead[1] < 0.02


def simulated(random: np.random.Generator, tweets: int, seeds: int, noise: float = 0.01) -> list[npt.NDArray[np.bool_]]:
    """Draw answers of trainings that follow the law with a = 0.2, b = 0.35, c = 0.13; subsets and seeds add noise.

    What is hard for one model is hard for the others, too.
    """
    hardness = random.standard_normal(tweets)

    def sizes() -> Iterator[npt.NDArray[np.bool_]]:
        for size in SIZES:
            of_subset = law_of(size) * np.exp(noise * random.standard_normal())
            errors = of_subset * np.exp(noise * random.standard_normal(seeds))
            own = np.sqrt(0.7) * hardness + np.sqrt(0.3) * random.standard_normal((seeds, tweets))
            yield own < norm.ppf(errors)[:, None]

    return list(sizes())


def law_of(size: float) -> float:
    return float(0.2 * (size / SIZES[0]) ** -0.35 + 0.13)


def coverage(tweets: int, seeds: int, times: int) -> tuple[float, float]:
    """Return how often the interval ten times ahead, and that of the gain, include the truth."""
    random = np.random.default_rng(11)
    places = np.array([SIZES[-1], 10 * SIZES[-1]])
    truth = [law_of(size) for size in places]
    held = [0, 0]
    for _ in range(times):
        _, many, _ = fit.fit_with_resamples(SIZES, simulated(random, tweets, seeds), has_floor=True)
        now, then = many.errors(places).T
        for at, (values, true) in enumerate(((then, truth[1]), (now - then, truth[0] - truth[1]))):
            limits = fit.find_limits(values)
            held[at] += limits["low"] <= true <= limits["high"]
    return held[0] / times, held[1] / times


@pytest.mark.parametrize("seeds", [pytest.param(1, marks=pytest.mark.long), 3])
def test_the_intervals_hold_what_they_say(seeds: int) -> None:
    """95% of 40 is 38; with 34 or more a right interval fails here once in 70 times; the seed is fixed."""
    of_accuracy, of_gain = coverage(2_000, seeds, 40)
    assert of_accuracy >= 0.85
    assert of_gain >= 0.85


def test_more_seeds_and_tweets_give_a_narrower_band() -> None:
    def width(tweets: int) -> float:
        _, many, _ = fit.fit_with_resamples(SIZES, simulated(np.random.default_rng(2), tweets, 3), has_floor=True)
        limits = fit.find_limits(many.errors(SIZES[-1:])[:, 0])
        return limits["high"] - limits["low"]

    assert width(20_000) < width(500) / 2


def test_scatter_beyond_that_of_seeds_is_seen() -> None:
    """Subsets that differ by 5%, seeds by nothing: three seeds that agree do not make the points certain."""
    random = np.random.default_rng(4)
    wrong = []
    for size in SIZES:
        answers = random.random(20_000) < law_of(size) * np.exp(0.05 * random.standard_normal())
        wrong.append(np.stack([answers] * 3))
    assert 0.02 < fit.fit_with_resamples(SIZES, wrong, has_floor=True)[2] < 0.1


def test_the_same_answers_give_the_same_curves() -> None:
    wrong = simulated(np.random.default_rng(3), 300, 2)
    first, second = (fit.fit_with_resamples(SIZES, wrong, has_floor=True)[1] for _ in range(2))
    assert np.array_equal(first.b, second.b)
    assert len(first.b) == fit.RESAMPLES
