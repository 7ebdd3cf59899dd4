"""How the next values are chosen, and when a trial is not worth going on with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

SAMPLERS = ("tpe", "random")
PRUNERS = ("median", "hyperband", "none")
AT_RANDOM = 5  # trials before anything is learned from them


def sampler(name: str, seed: int, number: int) -> BaseSampler:
    """The sampler of one trial.

    Each trial has one of its own, so that what it draws depends on its number and on what is known by then, not on how
    often the process was begun anew: one that starts again with ``seed`` would draw the first values again.

    Args:
        name: Of :data:`SAMPLERS`.
        seed: Of the study.
        number: Of the trial.
    """
    import optuna

    own = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    if name == "random":
        return optuna.samplers.RandomSampler(seed=own)
    # What runs elsewhere counts as bad, so that two processes do not try the same (constant_liar).
    return optuna.samplers.TPESampler(seed=own, n_startup_trials=AT_RANDOM, constant_liar=True)


def pruner(name: str) -> BasePruner:
    """The pruner of a study.

    Args:
        name: Of :data:`PRUNERS`.
    """
    import optuna

    if name == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=AT_RANDOM)
    return optuna.pruners.HyperbandPruner() if name == "hyperband" else optuna.pruners.NopPruner()
