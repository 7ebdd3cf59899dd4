"""Page, pictures and lines of a tuning say what its numbers do."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment140_bert.experiments.tune import pictures
from sentiment140_bert.experiments.tune.progress import Progress, shown
from sentiment140_bert.experiments.tune.table import as_page

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


def test_an_interval_is_for_other_seeds_where_there_were_several() -> None:
    for seeds, said, accuracy in (
        ([42], "with the seed 42 alone. The interval is for other tweets, not for other seeds.", "| 0.8200 | 0.8200 |"),
        ([42, 43], "with the seeds 42, 43: means", "| 0.8200 (0.8100 to 0.8300) | 0.8200 (0.8100 to 0.8300) |"),
    ):
        page = as_page(tuning_of(seeds), [])
        assert said in page
        assert accuracy in page
        assert "| test | 2,000 |" in page
        assert "| +1.00 | -1.00 to +3.00 | 0.4 |" in page


def test_a_reason_does_not_break_the_table() -> None:
    page = as_page(tuning_of([42], state="failed", value=None, reason="one | two\nthree"), [])
    assert r"| failed: one \| two three |" in page


STATES = {"complete": 0, "pruned": 1, "failed": 2, "running": 2}
TRIALS = st.lists(st.tuples(st.sampled_from([*STATES]), st.sampled_from([0.25, 0.5, 0.75])), min_size=1, max_size=8)


@given(TRIALS, st.booleans())
def test_trials_stand_best_first_and_those_without_a_score_last(rows: list[tuple[str, float]], maximize: bool) -> None:
    tuning = tuning_of([42]) | {"direction": "maximize" if maximize else "minimize"}
    (tried,) = tuning["trials"]
    tuning["trials"] = [
        tried | {"number": number, "state": state, "value": score if STATES[state] < 2 else None}
        for number, (state, score) in enumerate(rows)
    ]
    table = as_page(tuning, []).split("## Trials")[1].splitlines()
    shown = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table if line.startswith("| ")][1:]
    ranks = []
    for number, score, state, *_ in shown:
        assert rows[int(number)][0] == state
        assert score == ("" if STATES[state] == 2 else f"{rows[int(number)][1]:.4f}")
        ranks.append((STATES[state], (-float(score) if maximize else float(score)) if score else 0, int(number)))
    assert len(ranks) == len(rows)
    assert ranks == sorted(ranks)


NUMBERS = st.floats(1e-6, 1e3)


@given(NUMBERS, st.floats(1.01, 1e4), st.floats(0, 1), st.booleans())
def test_a_value_stands_on_its_axis_where_the_range_draws_it(
    low: float, factor: float, share: float, log: bool
) -> None:
    high = low * factor
    value = low * (high / low) ** share if log else low + share * (high - low)
    each = {"low": low, "high": high, "log": log}
    assert pictures._place(each, value, 0) == pytest.approx(share, abs=1e-6)
    middle = (low * high) ** 0.5 if log else (low + high) / 2
    assert pictures._marks(each) == [(0.0, shown(low)), (0.5, shown(middle)), (1.0, shown(high))]


def test_choices_and_steps_are_all_named_on_their_axis() -> None:
    assert pictures._marks({"choices": [16, 32, 64]}) == [(0.0, "16"), (0.5, "32"), (1.0, "64")]
    assert pictures._marks({"low": 1, "high": 5, "step": 2}) == [(0.0, "1"), (0.5, "3"), (1.0, "5")]
    apart = pictures.TIED / 2 + 1e-9
    for number in range(20):
        places = [pictures._place({"choices": [16, 32, 64]}, value, number) for value in (16, 32, 64)]
        assert places == pytest.approx([0, 0.5, 1], abs=apart)
        assert pictures._place({"low": 1, "high": 5, "step": 2}, 3, number) == pytest.approx(0.5, abs=apart)


def test_each_line_of_the_progress_names_the_best_so_far(caplog: pytest.LogCaptureFixture) -> None:
    for maximize, scores, best in ((True, (0.5, 0.7, 0.6), [0, 1, 1]), (False, (0.5, 0.7, 0.4), [0, 0, 2])):
        caplog.clear()
        caplog.set_level("INFO")
        progress = Progress(4, 1, maximize, None)
        for number, score in enumerate(scores):
            progress.begun(number, {"learning_rate": 0.000123456, "max_length": 32}, before=number == 2)
            progress.finished(number, score)
        progress.close()
        lines = [record.getMessage() for record in caplog.records]
        assert lines[::2] == [
            f"tune: trial {number} ({number + 2} of 4){' (begun before)' if number == 2 else ''}: "
            "learning_rate 0.000123, max_length 32"
            for number in range(3)
        ]
        assert lines[1::2] == [
            f"tune: trial {number}: {score:.4f}"
            + (
                ", the best so far"
                if best[number] == number
                else f" (best so far: {scores[best[number]]:.4f}, trial {best[number]})"
            )
            for number, score in enumerate(scores)
        ]
