"""The curve that test errors follow as training sets grow, error(n) = a * n^-b + c with a > 0, b > 0, 0 <= c, and its
uncertainty by resampling.

That errors fall as a power of the number of examples, towards a floor, is an observation on many tasks and models
(Hestness et al. 2017, "Deep Learning Scaling is Predictable, Empirically"; Rosenfeld et al. 2020). It is not a law:
what it says far beyond the largest size is an extrapolation.

The bootstrap resamples three things at once. The test tweets are drawn again, the same ones for all points, because all
points were scored on the same tweets. The seeds of each size are drawn again. And where the means of the sizes scatter
about the fitted curve by more than both explain, each size is moved by as much: another draw of training tweets of that
size would have given another point, which seeds do not show.

On a few test tweets models of different seeds differ by chance, too. Drawing the tweets again includes that already,
so it is taken out of what the seeds add.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Wrong = npt.NDArray[np.bool_]
MIN_SIZES = 3  # with fewer there is nothing to hold a curve against
MIN_SIZES_FOR_FLOOR = 4  # with fewer the floor c is 0, not fitted
AHEAD = 10  # times the largest size: where the curve is extrapolated to
STEEPEST, FLATTEST = 3.0, 0.01  # exponents to search
EXPONENTS = 120  # in each round of the search
ROUNDS = 3  # each searches between the neighbors of the best exponent of the one before
LEVEL = 0.95
RESAMPLES = 999
SEED = 140
DRAWS_AT_ONCE = 4_000_000  # in memory
MIN_ERROR = 1e-6  # an error of 0 has no relative deviation


@dataclass(frozen=True)
class PowerLaws:
    """Fitted curves, one for each row of errors: ``a``, ``b``, ``c`` have the shape (curves,).

    ``a`` is scaled: the error above the floor at the smallest size ``n0``, so that error(n) = a * (n / n0)^-b + c.
    """

    n0: float
    a: Floats
    b: Floats
    c: Floats

    def errors(self, sizes: Floats) -> Floats:
        """Return the errors at some sizes, shape (curves, sizes)."""
        ratio = np.asarray(sizes, dtype=np.float64)[None, :] / self.n0
        return np.asarray(self.a[:, None] * ratio ** -self.b[:, None] + self.c[:, None])

    def slopes(self, sizes: Floats, has_floor: bool) -> Floats:
        """Return the first curve's derivatives by a, b and, if it was fitted, c; shape (sizes, settings)."""
        ratio = np.asarray(sizes, dtype=np.float64) / self.n0
        power = ratio ** -self.b[0]
        columns = [power, -self.a[0] * power * np.log(ratio)] + ([np.ones_like(power)] if has_floor else [])
        return np.stack(columns, axis=1)


def fit_power_laws(sizes: Floats, errors: Floats, has_floor: bool) -> PowerLaws:
    """Fit the curves with the least squared relative deviations, (curve - error) / error, over the sizes.

    For a given exponent the best a and c are a linear least squares problem with an exact solution; so only the
    exponent is searched for, over a range of logarithms that is narrowed. All rows are fitted at the same time.

    Args:
        sizes: Training tweets, ascending, shape (sizes,), two or more.
        errors: Above 0, shape (curves, sizes).
        has_floor: Fit c; else it is 0.
    """
    relative = np.asarray(sizes, dtype=np.float64) / sizes[0]
    low, high = np.full(len(errors), np.log(FLATTEST)), np.full(len(errors), np.log(STEEPEST))
    for _ in range(ROUNDS):
        exponents = np.linspace(low, high, EXPONENTS)  # shape (exponents, curves)
        _, _, deviations = _solve_linear(relative, errors, np.exp(exponents), has_floor)
        best = deviations.argmin(axis=0)
        every = np.arange(len(errors))
        low = exponents[np.maximum(0, best - 1), every]
        high = exponents[np.minimum(EXPONENTS - 1, best + 1), every]
    chosen = np.exp(exponents[best, every])
    a, c, _ = _solve_linear(relative, errors, chosen[None, :], has_floor)
    return PowerLaws(float(sizes[0]), a[0], chosen, c[0])


def _solve_linear(
    relative: Floats, errors: Floats, exponents: Floats, has_floor: bool
) -> tuple[Floats, Floats, Floats]:
    """Return the best a and c for each exponent, and the remaining sum of squares; shapes (exponents, curves).

    Args:
        relative: Sizes, the smallest being 1.
        errors: Shape (curves, sizes).
        exponents: Shape (exponents, curves).
        has_floor: Let c be above 0.
    """
    u = relative ** -exponents[..., None] / errors  # of a, shape (exponents, curves, sizes)
    v = np.broadcast_to(1 / errors, u.shape)  # of c
    uu, vv, uv, u1, v1 = ((x * y).sum(axis=-1) for x, y in ((u, u), (v, v), (u, v), (u, 1.0), (v, 1.0)))
    a, c = u1 / uu, np.zeros_like(uu)
    if has_floor:
        determinant = np.maximum(uu * vv - uv**2, 1e-12 * uu * vv)
        both_a, both_c = (u1 * vv - v1 * uv) / determinant, (v1 * uu - u1 * uv) / determinant
        a, c = np.where(both_c > 0, both_a, a), np.where(both_c > 0, both_c, c)
        a, c = np.where(a < 0, 0.0, a), np.where(a < 0, v1 / vv, c)  # errors that grow: no curve falls through them
    squares = ((a[..., None] * u + c[..., None] * v - 1.0) ** 2).sum(axis=-1)
    return a, c, squares


def fit_with_resamples(sizes: Floats, wrong: Sequence[Wrong], has_floor: bool) -> tuple[PowerLaws, PowerLaws, float]:
    """Fit the curve through the means over seeds, and ``RESAMPLES`` curves through resampled points.

    Args:
        sizes: Training tweets, ascending, shape (sizes,).
        wrong: For each size, which test tweets each seed's model predicts wrongly, shape (seeds, tweets).
        has_floor: Fit the floor, too.

    Returns:
        Both, and by how much means scatter about the curve beyond what tweets and seeds explain: a relative standard
        deviation, 0 where the curve has as many settings as there are sizes, for then nothing can be measured.
    """
    random = np.random.default_rng(SEED)
    means = np.maximum([answers.mean() for answers in wrong], MIN_ERROR)
    law = fit_power_laws(sizes, means[None, :], has_floor)
    widening = _find_widening(wrong)
    resampled = np.stack(
        [_resample_seeds(random, errors, widening) for errors in _resample_rows(random, wrong)], axis=1
    )
    measured, explained, freedom = _measure_scatter(sizes, means, resampled, law, has_floor)
    spread = _draw_spread(random, measured, explained, freedom)
    moved = resampled * np.exp(spread[:, None] * random.standard_normal(resampled.shape))
    unexplained = float(np.sqrt(max(0.0, measured - explained) / max(1, freedom)))
    return law, fit_power_laws(sizes, np.maximum(moved, MIN_ERROR), has_floor), unexplained


def _measure_scatter(
    sizes: Floats, means: Floats, resampled: Floats, law: PowerLaws, has_floor: bool
) -> tuple[float, float, int]:
    """Return the squares of the means' relative deviations from the curve, how large resampling alone makes them, and
    in how many directions they may deviate.

    What all sizes share, as they share the test tweets, a curve follows: only what no change of its settings (to first
    order) follows is scatter.
    """
    expected = law.errors(sizes)[0]
    slopes = law.slopes(sizes, has_floor) / expected[:, None]  # shape (sizes, settings)
    off = np.eye(len(sizes)) - slopes @ np.linalg.pinv(slopes)  # takes away what the curve follows
    measured = (((means - expected) / expected) ** 2).sum()
    explained = (((resampled - means) / expected @ off) ** 2).sum(axis=1).mean()
    return float(measured), float(explained), max(0, len(sizes) - slopes.shape[1])


def _draw_spread(random: np.random.Generator, measured: float, explained: float, freedom: int) -> Floats:
    """Draw relative standard deviations that the unexplained scatter may have in truth; shape (draws,).

    Few sizes tell a variance badly: the measured one is divided by draws of chi squared, as far as they are not among
    the least tenth, which would let a band of four sizes grow without bounds.
    """
    if not freedom:
        return np.zeros(RESAMPLES)
    draws = random.chisquare(freedom, RESAMPLES)
    variances = measured / np.maximum(draws, np.quantile(draws, 0.1)) - explained / freedom
    return np.asarray(np.sqrt(np.maximum(variances, 0.0)))


def _find_widening(wrong: Sequence[Wrong]) -> float:
    """Return the factor by which the deviations of resampled seeds are multiplied.

    A draw of s seeds has a variance that is smaller by (s - 1) / s than theirs, hence s / (s - 1) for its square; of
    that counts what test tweets do not explain: of seeds' variance, that of one tweet's answers, over the tweets, is
    chance. Both are summed over the sizes, for a few seeds tell little.
    """
    several = [answers for answers in wrong if len(answers) > 1]
    if not several:
        return 1.0
    measured = chance = 0.0
    for answers in several:
        scale = max(answers.mean(), MIN_ERROR) ** 2
        measured += answers.mean(axis=1).var(ddof=1) / scale
        chance += answers.var(axis=0, ddof=1).mean() / answers.shape[1] / scale
    seeds = float(np.mean([len(answers) for answers in several]))
    return float(np.sqrt(seeds / (seeds - 1) * max(0.0, 1 - chance / measured))) if measured else 0.0


def _resample_rows(random: np.random.Generator, wrong: Sequence[Wrong]) -> list[Floats]:
    """Return the error of each point on each draw of test tweets: of each size an array of shape (draws, seeds).

    Tweets on which all points have the same answers are drawn together.
    """
    table = np.concatenate(wrong).T
    patterns, counts = np.unique(table, axis=0, return_counts=True)
    answers, shares = patterns.astype(np.float64), counts / len(table)
    at_once = max(1, DRAWS_AT_ONCE // len(patterns))
    parts = [min(at_once, RESAMPLES - start) for start in range(0, RESAMPLES, at_once)]
    errors = np.concatenate([random.multinomial(len(table), shares, size=part) @ answers for part in parts])
    errors /= len(table)
    return np.split(errors, np.cumsum([len(answers) for answers in wrong])[:-1], axis=1)


def _resample_seeds(random: np.random.Generator, errors: Floats, widening: float) -> Floats:
    """Return the mean of seeds drawn again, shape (draws,), its deviation widened."""
    means = errors.mean(axis=1)
    chosen = random.integers(errors.shape[1], size=errors.shape)
    drawn = np.take_along_axis(errors, chosen, axis=1).mean(axis=1)
    return np.asarray(means + widening * (drawn - means))


def find_limits(values: Floats) -> dict[str, float]:
    """Return ``low`` and ``high``: the middle ``LEVEL`` of resampled values, shape (draws,)."""
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(values, [tail, 1 - tail], method="weibull")
    return {"low": float(low), "high": float(high)}
