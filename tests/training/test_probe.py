from __future__ import annotations

import numpy as np
import pytest

from sentiment140_bert.recipe import Recipe
from sentiment140_bert.training.probe import WARM_UP, Job, job_of, step_estimate

BY_STEPS = {"eval_strategy": "steps", "save_strategy": "steps", "eval_steps": 500, "save_steps": 1000}
TOKENS = np.random.default_rng(0).integers(100, 900, 200)


def seconds(base: float, slope: float, count: int = 20) -> list[float]:
    return [60.0] * WARM_UP + [base + slope * tokens for tokens in TOKENS[WARM_UP:count]]


@pytest.mark.parametrize(("base", "slope"), [(0.04, 0.0), (0.0, 0.002), (0.1, 0.001)])
def test_the_mean_step_of_an_epoch_is_found_from_a_few(base: float, slope: float) -> None:
    estimate = step_estimate(seconds(base, slope), TOKENS)
    assert estimate.step == pytest.approx(base + slope * TOKENS.mean(), rel=1e-6)
    assert estimate.low == pytest.approx(estimate.step, rel=1e-6)
    assert estimate.high == pytest.approx(estimate.step, rel=1e-6)
    assert estimate.measured == 20 - WARM_UP


def test_a_disturbed_step_does_not_count_for_more() -> None:
    took = seconds(0.1, 0.001)
    took[10] = took[15] = 30.0
    assert step_estimate(took, TOKENS).step == pytest.approx(0.1 + 0.001 * TOKENS.mean(), rel=0.02)


def test_the_range_is_that_of_the_noise() -> None:
    noise = np.random.default_rng(1).uniform(0.8, 1.2, 100)
    took = [1.0] * WARM_UP + (noise * 0.5).tolist()
    estimate = step_estimate(took, TOKENS)
    assert estimate.step == pytest.approx(0.5, rel=0.1)
    assert estimate.low < estimate.step < estimate.high
    assert estimate.low > 0.3
    assert estimate.high < 0.7


@pytest.mark.parametrize("count", [1, WARM_UP, WARM_UP + 1])
def test_very_few_steps_are_better_than_none(count: int) -> None:
    assert step_estimate([2.0] * count, TOKENS).step == pytest.approx(2.0)


JOBS = [
    ({}, Job(3 * 5625, 3 * 5000, 3)),
    ({"num_train_epochs": 1.5}, Job(8438, 2 * 5000, 2)),
    ({"max_steps": 100}, Job(100, 5000, 1)),
    (BY_STEPS, Job(16875, 33 * 5000, 16)),
    ({"eval_strategy": "no", "save_strategy": "no", "load_best_model_at_end": False}, Job(16875, 0, 0)),
    ({"gradient_accumulation_steps": 2}, Job(3 * 2813, 3 * 5000, 3)),
    ({"save_strategy": "best", "metric_for_best_model": "eval_loss"}, Job(16875, 3 * 5000, 3)),
    (BY_STEPS | {"eval_steps": None, "logging_steps": 250}, Job(16875, 67 * 5000, 16)),
    (BY_STEPS | {"eval_steps": 0.25, "save_steps": 0.5}, Job(16875, 3 * 5000, 1)),  # every 4,219 and every 8,438 steps
]


def test_a_job_is_what_its_recipe_says() -> None:
    failures = []
    for values, expected in JOBS:
        config = Recipe().with_values(values).training
        step = config.per_device_train_batch_size * config.gradient_accumulation_steps
        if (job := job_of(config, step, 90_000, 5_000)) != expected:
            failures.append((values, expected, job))
    assert failures == []
    assert job_of(Recipe().training, 16, 3, 5) == Job(3, 15, 3)  # fewer tweets than a step has
