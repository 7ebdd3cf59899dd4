"""From `s140 suspects` to `s140 train --drop-suspects`: what was listed is left out, mentions in front included."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from tiny_run import flags

pytest_plugins = "model_fixtures"


def test_what_was_listed_is_left_out(run: Path, s140, tmp_path: Path) -> None:
    listed = tmp_path / "suspects.csv"
    s140("suspects", run, "--output", listed, "--folds", 3)
    with listed.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert any(row["text"].startswith("'@user") for row in rows)
    tiny = [*flags(max_steps=1, eval_strategy="no", save_strategy="no"), "--no-load-best-model-at-end"]
    s140("train", "--output-dir", tmp_path / "without", "--drop-suspects", listed, *tiny)
    before, after = (json.loads((each / "data.json").read_text()) for each in (run, tmp_path / "without"))
    assert after["splits"]["train"]["rows"] == before["splits"]["train"]["rows"] - len(rows)
    assert after["suspects"]["found"] == len(rows)
    for split in ("validation", "test", "manual"):
        assert after["splits"][split]["sha256"] == before["splits"][split]["sha256"]
