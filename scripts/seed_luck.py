"""Estimate how much luck a comparison inherits from the choice of the best trial, if its first seed is the trials' own.

Simulate tunings in which no value is better than another: each model's accuracy is 0.80 plus the effect of its seed.
The best trial on validation is compared with the recipe on test tweets, as in `s140 tune`; every "gain" is luck. The
numbers are in docs/tuning.md: python scripts/seed_luck.py
"""

from __future__ import annotations

import argparse

import numpy as np
import numpy.typing as npt

from sentiment140_bert.experiments.series import compare_over_seeds

TRIALS, ACCURACY, LUCK, TWEETS = 30, 0.80, 0.008, 5_000  # luck: standard deviation from seed to seed


def simulate_gain(seeds: int, fresh: bool, draw: np.random.Generator) -> float | None:
    """Return the difference that one simulated tuning reports; None where the recipe itself is the best trial.

    Args:
        seeds: Number of seeds in the comparison.
        fresh: True if none of them is the seed of the trials.
        draw: The source of randomness.
    """
    accuracy = ACCURACY + LUCK * draw.normal(size=TRIALS)  # with the trials' seed; the first trial is the recipe
    best = int(draw.binomial(TWEETS, accuracy).argmax())
    if best == 0:
        return None
    others = ACCURACY + LUCK * draw.normal(size=(2, seeds))
    if not fresh:
        others[:, 0] = accuracy[[best, 0]]
    hard = draw.normal(size=TWEETS)  # the same tweets are hard for all models
    right = simulate_correct(others.ravel(), hard, draw).reshape(2, seeds, TWEETS)
    labels = np.repeat([0, 1], TWEETS // 2)
    return float(compare_over_seeds(right[0], right[1], labels)["difference"]["value"])


def simulate_correct(
    accuracy: npt.NDArray[np.float64], hard: npt.NDArray[np.float64], draw: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Return which tweets models of these accuracies label correctly: half depends on the tweet, half on the model."""
    from scipy.stats import norm

    difficulty = (hard + draw.normal(size=(len(accuracy), TWEETS))) / np.sqrt(2)
    right: npt.NDArray[np.bool_] = difficulty < norm.ppf(accuracy)[:, None]
    return right


def main() -> None:
    """Print a line for each number of seeds, with and without the seed of the trials."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--tunings", type=int, default=4_000, help="Tunings to simulate for each line (default: 4,000)."
    )
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    print("seeds  first seed     mean gain, in points  standard error")
    for seeds in (1, 2, 3, 5):
        for fresh in (False, True):
            draw = np.random.default_rng([arguments.seed, seeds, fresh])
            simulated = [simulate_gain(seeds, fresh, draw) for _ in range(arguments.tunings)]
            gains = [gain for gain in simulated if gain is not None]
            error = np.std(gains) / np.sqrt(len(gains))
            name = "fresh" if fresh else "the trials'"
            print(f"{seeds:5}  {name:13}  {100 * np.mean(gains):+20.2f}  {100 * error:14.2f}", flush=True)


if __name__ == "__main__":
    main()
