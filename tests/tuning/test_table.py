"""The page of a tuning says what its numbers do."""

from __future__ import annotations

from typing import Any

import pytest

from sentiment140_bert.tuning.table import as_page

SIDE = {"value": 0.82, "min": 0.81, "max": 0.83}
SPLIT = {"n": 2000, "first": SIDE, "second": SIDE, "p_value": 0.4, "sentence": "Within noise."}
GAP = {"difference": {"value": 0.01, "low": -0.01, "high": 0.03}}


def tuning_of(seeds: list[int], **trial: Any) -> dict[str, Any]:
    values = {"learning_rate": 1e-4}
    tried = {"number": 0, "state": "complete", "value": 0.8, "values": values, "reason": None, "seconds": 3.0} | trial
    return {
        "name": "mine",
        "recipe": {"model": {"model_name_or_path": "bert"}},
        "space": {"learning_rate": {"low": 1e-5, "high": 1e-3, "log": True}},
        "own_values": values,
        "metric": "accuracy",
        "direction": "maximize",
        "sampler": "tpe",
        "pruner": "median",
        "seed": 42,
        "data": {"splits": {"train": {"rows": 4000}, "validation": {"rows": 1000}}},
        "trials": [tried],
        "counts": {"complete": 1, "pruned": 0, "failed": 0, "running": 0, "waiting": 0},
        "best": {"number": 0, "value": 0.8, "values": values},
        "importances": {"refused": "1 complete trials say nothing."},
        "final": {"seeds": seeds, "runs": {}, "splits": {"test": SPLIT | GAP | {"seeds": len(seeds)}}},
    }


@pytest.mark.parametrize(
    ("seeds", "said", "accuracy"),
    [
        ([42], "with the seed 42 alone. The interval is for other tweets, not for other seeds.", "| 0.8200 | 0.8200 |"),
        ([42, 43], "with the seeds 42, 43: means", "| 0.8200 (0.8100 to 0.8300) | 0.8200 (0.8100 to 0.8300) |"),
    ],
)
def test_an_interval_is_for_other_seeds_where_there_were_several(seeds: list[int], said: str, accuracy: str) -> None:
    page = as_page(tuning_of(seeds), [])
    assert said in page
    assert accuracy in page


def test_a_reason_does_not_break_the_table() -> None:
    page = as_page(tuning_of([42], state="failed", value=None, reason="one | two\nthree"), [])
    assert r"| failed: one \| two three |" in page
