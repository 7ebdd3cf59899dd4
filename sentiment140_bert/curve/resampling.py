"""How far the points of a curve may lie from where endlessly many seeds and test tweets would have them.

A bootstrap of three things at once. The test tweets are drawn again, the same ones for all points, for all points were
scored on the same tweets. The seeds of each size are drawn again. And where the means of the sizes scatter about the
fitted curve by more than their seeds explain, each size is moved by as much: another draw of training tweets of that
size would have given another point, which seeds do not show.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sentiment140_bert.curve import power_law
from sentiment140_bert.curve.power_law import PowerLaws

Floats = npt.NDArray[np.float64]
Wrong = npt.NDArray[np.bool_]
LEVEL = 0.95
RESAMPLES = 999
SEED = 140
LEAST = 1e-6  # an error of 0 has no relative deviation


def fitted(sizes: Floats, wrong: Sequence[Wrong], floored: bool) -> tuple[PowerLaws, PowerLaws]:
    """The curve through the means over seeds, and ``RESAMPLES`` curves through resampled points.

    Args:
        sizes: Training tweets, ascending, shape (sizes,).
        wrong: Of each size, which test tweets each seed's model got wrong, shape (seeds, tweets).
        floored: Fit the floor, too.
    """
    random = np.random.default_rng(SEED)
    means = np.array([each.mean() for each in wrong])
    law = power_law.fit(sizes, np.maximum(means, LEAST)[None, :], floored)
    by_rows = _by_rows(random, wrong)
    resampled = np.stack([_by_seeds(random, errors) for errors in by_rows], axis=1)
    spread = unexplained(sizes, wrong, law, floored)
    moved = resampled * np.exp(spread * random.standard_normal(resampled.shape))
    return law, power_law.fit(sizes, np.maximum(moved, LEAST), floored)


def unexplained(sizes: Floats, wrong: Sequence[Wrong], law: PowerLaws, floored: bool) -> float:
    """By how much, relatively, means scatter about the curve beyond what their seeds explain; a standard deviation.

    0 where there are as many settings of the curve as sizes: then nothing can be seen.
    """
    means = np.array([each.mean() for each in wrong])
    freedom = len(means) - (3 if floored else 2)
    if freedom < 1:
        return 0.0
    expected = law.errors(sizes)[0]
    scatter = (((means - expected) / expected) ** 2).sum() / freedom
    of_seeds = [
        each.mean(axis=1).var(ddof=1) / len(each) / expected[at] ** 2 for at, each in enumerate(wrong) if len(each) > 1
    ]
    return float(np.sqrt(max(0.0, scatter - (np.mean(of_seeds) if of_seeds else 0.0))))


def _by_rows(random: np.random.Generator, wrong: Sequence[Wrong]) -> list[Floats]:
    """The error of each point on each draw of test tweets: of each size an array of shape (draws, seeds).

    Tweets on which all points have the same answers are drawn together.
    """
    table = np.concatenate(wrong).T
    patterns, counts = np.unique(table, axis=0, return_counts=True)
    drawn = random.multinomial(len(table), counts / len(table), size=RESAMPLES)
    errors = drawn @ patterns.astype(np.float64) / len(table)
    return np.split(errors, np.cumsum([len(each) for each in wrong])[:-1], axis=1)


def _by_seeds(random: np.random.Generator, errors: Floats) -> Floats:
    """The mean of seeds drawn again, shape (draws,).

    The deviations of so few are widened by sqrt(seeds / (seeds - 1)): a draw from s of them has a variance that is
    smaller by that factor, squared, than theirs.
    """
    seeds = errors.shape[1]
    means = errors.mean(axis=1)
    if seeds == 1:
        return np.asarray(means)
    chosen = random.integers(seeds, size=errors.shape)
    drawn = np.take_along_axis(errors, chosen, axis=1).mean(axis=1)
    return np.asarray(means + np.sqrt(seeds / (seeds - 1)) * (drawn - means))


def limits(values: Floats) -> dict[str, float]:
    """``low`` and ``high``: the middle ``LEVEL`` of resampled values, shape (draws,)."""
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(values, [tail, 1 - tail], method="weibull")
    return {"low": float(low), "high": float(high)}
