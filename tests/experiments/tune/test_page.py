"""Page, figures and lines of a tuning show what its numbers are."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment140_bert.experiments.tune.page import make_page
from sentiment140_bert.experiments.tune.study import Attempt
from sentiment140_bert.experiments.tune.trials import Progress

SIDE = {"value": 0.82, "min": 0.81, "max": 0.83}
SPLIT = {"n": 2000, "first": SIDE, "second": SIDE, "p_value": 0.4, "sentence": "Not significant."}
GAP = {"difference": {"value": 0.01, "low": -0.01, "high": 0.03}}


def make_content(seeds: list[int], **changes: Any) -> dict[str, Any]:
    values = {"learning_rate": 1e-4}
    trial = {"number": 0, "state": "complete", "value": 0.8, "values": values, "reason": None, "seconds": 3.0}
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
        "trials": [trial | changes],
        "counts": {"complete": 1, "pruned": 0, "failed": 0, "running": 0, "waiting": 0},
        "best": {"number": 0, "value": 0.8, "values": values},
        "importances": {"refused": "1 complete trials do not tell."},
        "final": {"seeds": seeds, "runs": {}, "splits": {"test": SPLIT | GAP | {"seeds": len(seeds)}}},
    }


def test_an_interval_is_for_other_seeds_where_there_were_several() -> None:
    for seeds, sentence, accuracy in (
        ([42], "with the seed 42 alone. The interval is for other tweets, not for other seeds.", "| 0.8200 | 0.8200 |"),
        ([42, 43], "with the seeds 42, 43: means", "| 0.8200 (0.8100 to 0.8300) | 0.8200 (0.8100 to 0.8300) |"),
    ):
        page = make_page(make_content(seeds), ["parallel_coordinates.png"])
        for text in (sentence, accuracy, "| test | 2,000 |", "| +1.00 | -1.00 to +3.00 | 0.4 |", "| 0.0001 | 1e-05 to"):
            assert text in page
        assert "(figures/parallel_coordinates.png)" in page


def test_a_page_without_a_best_trial_or_a_comparison_says_so() -> None:
    page = make_page(make_content([42]) | {"best": None, "final": None}, [])
    assert "the test tweets were not looked at" in page
    assert "No trial is complete." in page
    same = make_page(make_content([42]) | {"final": {"trial": 0, "same": "Nothing to compare."}}, [])
    assert "Nothing to compare." in same


def test_a_reason_breaks_no_table_and_is_not_markup() -> None:
    page = make_page(make_content([42], state="failed", value=None, reason="one | two\n<b>three</b>"), [])
    assert r"| failed: one \| two &lt;b&gt;three&lt;/b&gt; |" in page


STATES = {"complete": 0, "pruned": 1, "failed": 2, "running": 2}
TRIALS = st.lists(st.tuples(st.sampled_from([*STATES]), st.sampled_from([0.25, 0.5, 0.75])), min_size=1, max_size=8)


@given(TRIALS, st.booleans())
def test_trials_are_sorted_best_first_and_those_without_a_score_last(
    rows: list[tuple[str, float]], maximize: bool
) -> None:
    content = make_content([42]) | {"direction": "maximize" if maximize else "minimize"}
    (trial,) = content["trials"]
    content["trials"] = [
        trial | {"number": number, "state": state, "value": score if STATES[state] < 2 else None}
        for number, (state, score) in enumerate(rows)
    ]
    table = make_page(content, []).split("## Trials")[1].splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table if line.startswith("| ")][1:]
    ranks = []
    for number, score, state, *_ in cells:
        assert rows[int(number)][0] == state
        assert score == ("" if STATES[state] == 2 else f"{rows[int(number)][1]:.4f}")
        ranks.append((STATES[state], (-float(score) if maximize else float(score)) if score else 0, int(number)))
    assert len(ranks) == len(rows)
    assert ranks == sorted(ranks)


def test_each_line_of_the_progress_names_the_best_so_far(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    for direction, scores, best in (("maximize", (0.5, 0.7, 0.6), [0, 1, 1]), ("minimize", (0.5, 0.7, 0.4), [0, 0, 2])):
        caplog.clear()
        progress = Progress(4, 1, direction, None)
        for number, score in enumerate(scores):
            values = {"learning_rate": 0.000123456, "max_length": 32}
            progress.begin(Attempt(number, values, {}, is_retry=number == 2, trial=None))  # type: ignore[arg-type]
            progress.end(f": {score:.4f}", score)
        progress.bar.close()
        for number, (begin, end) in enumerate(zip(caplog.messages[::2], caplog.messages[1::2], strict=True)):
            again = " (resumed)" if number == 2 else ""
            assert begin == f"tune: trial {number} ({number + 2} of 4){again}: learning_rate 0.000123, max_length 32"
            best_so_far = f" (best so far: {scores[best[number]]:.4f}, trial {best[number]})"
            assert end.endswith(", the best so far" if best[number] == number else best_so_far)
