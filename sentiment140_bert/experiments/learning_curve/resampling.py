"""How far the points of a curve may lie from where endlessly many seeds and test tweets would have them.

A bootstrap of three things at once. The test tweets are drawn again, the same ones for all points, for all points were
scored on the same tweets. The seeds of each size are drawn again. And where the means of the sizes scatter about the
fitted curve by more than both explain, each size is moved by as much: another draw of training tweets of that size
would have given another point, which seeds do not show.

On a few test tweets models of different seeds differ by chance, too. Drawing the tweets again has that in it already,
so it is taken out of what the seeds add.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sentiment140_bert.experiments.learning_curve import power_law
from sentiment140_bert.experiments.learning_curve.power_law import PowerLaws

Floats = npt.NDArray[np.float64]
Wrong = npt.NDArray[np.bool_]
LEVEL = 0.95
RESAMPLES = 999
SEED = 140
AT_ONCE = 4_000_000  # draws held in memory at the same time
LEAST = 1e-6  # an error of 0 has no relative deviation


def fitted(sizes: Floats, wrong: Sequence[Wrong], floored: bool) -> tuple[PowerLaws, PowerLaws, float]:
    """The curve through the means over seeds, and ``RESAMPLES`` curves through resampled points.

    Args:
        sizes: Training tweets, ascending, shape (sizes,).
        wrong: Of each size, which test tweets each seed's model got wrong, shape (seeds, tweets).
        floored: Fit the floor, too.

    Returns:
        Both, and by how much means scatter about the curve beyond what tweets and seeds explain: a relative standard
        deviation, 0 where the curve has as many settings as there are sizes, for then nothing can be seen.
    """
    random = np.random.default_rng(SEED)
    means = np.maximum([each.mean() for each in wrong], LEAST)
    law = power_law.fit(sizes, means[None, :], floored)
    widening = _widening(wrong)
    drawn = [_by_seeds(random, errors, widening) for errors in _by_rows(random, wrong)]
    resampled = np.stack(drawn, axis=1)
    seen, explained, freedom = _scatter(sizes, means, resampled, law, floored)
    spread = _plausible(random, seen, explained, freedom)
    moved = resampled * np.exp(spread[:, None] * random.standard_normal(resampled.shape))
    unexplained = float(np.sqrt(max(0.0, seen - explained) / max(1, freedom)))
    return law, power_law.fit(sizes, np.maximum(moved, LEAST), floored), unexplained


def _scatter(
    sizes: Floats, means: Floats, resampled: Floats, law: PowerLaws, floored: bool
) -> tuple[float, float, int]:
    """The squares of the means' relative deviations from the curve; how large resampling alone makes them; and in how
    many directions they may deviate.

    What all sizes share, as they share the test tweets, a curve follows: only what no change of its settings (to first
    order) follows is scatter.
    """
    expected = law.errors(sizes)[0]
    slopes = law.slopes(sizes, floored) / expected[:, None]  # shape (sizes, settings)
    off = np.eye(len(sizes)) - slopes @ np.linalg.pinv(slopes)  # takes away what the curve follows
    seen = (((means - expected) / expected) ** 2).sum()
    explained = (((resampled - means) / expected @ off) ** 2).sum(axis=1).mean()
    return float(seen), float(explained), max(0, len(sizes) - slopes.shape[1])


def _plausible(random: np.random.Generator, seen: float, explained: float, freedom: int) -> Floats:
    """Relative standard deviations of the scatter that is not explained, as they may be in truth; shape (draws,).

    Few sizes tell a variance badly: what is seen of it is divided by draws of chi squared, as far as they are not among
    the least tenth, which would let a band of four sizes grow without bounds.
    """
    if not freedom:
        return np.zeros(RESAMPLES)
    draws = random.chisquare(freedom, RESAMPLES)
    variances = seen / np.maximum(draws, np.quantile(draws, 0.1)) - explained / freedom
    return np.asarray(np.sqrt(np.maximum(variances, 0.0)))


def _widening(wrong: Sequence[Wrong]) -> float:
    """By which the deviations of resampled seeds are multiplied.

    A draw of s seeds has a variance that is smaller by (s - 1) / s than theirs, hence s / (s - 1) for its square; of
    that counts what test tweets do not explain: of seeds' variance, that of one tweet's answers, over the tweets, is
    chance. Both are summed over the sizes, for a few seeds tell little.
    """
    several = [each for each in wrong if len(each) > 1]
    if not several:
        return 1.0
    seen = chance = 0.0
    for each in several:
        scale = max(each.mean(), LEAST) ** 2
        seen += each.mean(axis=1).var(ddof=1) / scale
        chance += each.var(axis=0, ddof=1).mean() / each.shape[1] / scale
    seeds = float(np.mean([len(each) for each in several]))
    return float(np.sqrt(seeds / (seeds - 1) * max(0.0, 1 - chance / seen))) if seen else 0.0


def _by_rows(random: np.random.Generator, wrong: Sequence[Wrong]) -> list[Floats]:
    """The error of each point on each draw of test tweets: of each size an array of shape (draws, seeds).

    Tweets on which all points have the same answers are drawn together.
    """
    table = np.concatenate(wrong).T
    patterns, counts = np.unique(table, axis=0, return_counts=True)
    answers, shares = patterns.astype(np.float64), counts / len(table)
    at_once = max(1, AT_ONCE // len(patterns))
    parts = [min(at_once, RESAMPLES - start) for start in range(0, RESAMPLES, at_once)]
    errors = np.concatenate([random.multinomial(len(table), shares, size=part) @ answers for part in parts])
    errors /= len(table)
    return np.split(errors, np.cumsum([len(each) for each in wrong])[:-1], axis=1)


def _by_seeds(random: np.random.Generator, errors: Floats, widening: float) -> Floats:
    """The mean of seeds drawn again, shape (draws,), its deviation widened."""
    means = errors.mean(axis=1)
    chosen = random.integers(errors.shape[1], size=errors.shape)
    drawn = np.take_along_axis(errors, chosen, axis=1).mean(axis=1)
    return np.asarray(means + widening * (drawn - means))


def limits(values: Floats) -> dict[str, float]:
    """``low`` and ``high``: the middle ``LEVEL`` of resampled values, shape (draws,)."""
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(values, [tail, 1 - tail], method="weibull")
    return {"low": float(low), "high": float(high)}
