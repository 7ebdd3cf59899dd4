"""How much luck a comparison inherits from the choice of the best trial, if its first seed is the trials' own.

Simulated are tunings in which no value does better than another: each model's accuracy is 0.80 and what its seed adds.
The best of the trials on validation is compared with the recipe on test tweets, as `s140 tune` does it; every "gain" is
luck. Behind docs/tuning.md: python scripts/seed_luck.py
"""

from __future__ import annotations

import argparse

import numpy as np
import numpy.typing as npt

from sentiment140_bert.experiments.seeds import compare

TRIALS, ACCURACY, LUCK, TWEETS = 30, 0.80, 0.008, 5_000  # luck: standard deviation from seed to seed


def gain(seeds: int, fresh: bool, draw: np.random.Generator) -> float | None:
    """The difference that the comparison of one tuning tells; None where the recipe itself is the best trial.

    Args:
        seeds: Of the comparison.
        fresh: None of them is the trials' own.
        draw: Where all chance comes from.
    """
    accuracy = ACCURACY + LUCK * draw.normal(size=TRIALS)  # with the trials' seed; the first trial is the recipe
    best = int(draw.binomial(TWEETS, accuracy).argmax())
    if best == 0:
        return None
    others = ACCURACY + LUCK * draw.normal(size=(2, seeds))
    if not fresh:
        others[:, 0] = accuracy[[best, 0]]
    hard = draw.normal(size=TWEETS)  # the same tweets are hard for all models
    right = answers(others.ravel(), hard, draw).reshape(2, seeds, TWEETS)
    labels = np.repeat([0, 1], TWEETS // 2)
    return float(compare(right[0], right[1], labels)["difference"]["value"])


def answers(
    accuracy: npt.NDArray[np.float64], hard: npt.NDArray[np.float64], draw: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Which tweets models of these accuracies answer rightly: half of it hangs on the tweet, half on the model."""
    from scipy.stats import norm

    said = (hard + draw.normal(size=(len(accuracy), TWEETS))) / np.sqrt(2)
    right: npt.NDArray[np.bool_] = said < norm.ppf(accuracy)[:, None]
    return right


def main() -> None:
    """Prints a line for each number of seeds, with and without the trials' own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tunings", type=int, default=4_000, help="Simulated for each line (default: 4,000).")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    print("seeds  first seed     mean gain, in points  standard error")
    for seeds in (1, 2, 3, 5):
        for fresh in (False, True):
            draw = np.random.default_rng([given.seed, seeds, fresh])
            found = [each for _ in range(given.tunings) if (each := gain(seeds, fresh, draw)) is not None]
            error = np.std(found) / np.sqrt(len(found))
            name = "fresh" if fresh else "the trials'"
            print(f"{seeds:5}  {name:13}  {100 * np.mean(found):+20.2f}  {100 * error:14.2f}", flush=True)


if __name__ == "__main__":
    main()
