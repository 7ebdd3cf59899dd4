"""Cards of mutated names, and merged with damaged older ones; ``scripts/fuzz.py card`` tries more of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzzing.loop import try_inputs
from fuzzing.pages import Cards

pytest_plugins = "model_fixtures"


@pytest.mark.parametrize("count", [60, pytest.param(250, marks=pytest.mark.long)])
def test_cards(smallest_run: Path, count: int) -> None:
    result = try_inputs(Cards(smallest_run), 1, range(count))
    assert not result.defects, result.defects[0]
    assert {"a model card", "a dataset card", "merged", "error: front matter"} <= result.outcomes.keys()
