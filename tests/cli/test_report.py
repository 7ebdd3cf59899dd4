"""``s140 report``: what is counted, listed and kept out of a push, and runs without a page."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from report_fixtures import write_predictions, wrong_rows
from sentiment140_bert.evaluation import mistakes
from sentiment140_bert.run import RunDir

pytest_plugins = ("model_fixtures", "report_fixtures")


@pytest.fixture
def copy(scored_run: RunDir, tmp_path: Path) -> RunDir:
    """Return a run that may be changed."""
    return RunDir(shutil.copytree(scored_run.path, tmp_path / "copy"))


def test_what_is_counted_and_listed(copy: RunDir, s140) -> None:
    rows = pq.read_table(copy.predictions).to_pylist()
    result = json.loads(s140("report", copy.path, "--errors", 3, "--no-attributions", "--json").stdout)
    assert result["report"] == str(copy.report)
    test = result["splits"]["test"]
    assert test == {"errors": len(wrong_rows(rows, "test")), "listed": 3}
    text = copy.report.read_text("utf-8")
    assert text.count('<tr data-split="test"') == 3
    assert f"test: 3 of {test['errors']}" in text
    assert not re.search('class="[pn][1-5]"', text)
    assert "speaks for positive" not in text


def test_weighs_the_most_confident_mistakes_of_each_split(copy: RunDir, s140, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mistakes, "MAX_WEIGHED", 2)
    listed = json.loads(s140("report", copy.path, "--errors", 4, "--json").stdout)["splits"]
    rows = re.findall(r'<tr data-split="(\w+)".*?</tr>', copy.report.read_text("utf-8"))
    assert sorted(rows) == sorted(split for split, counts in listed.items() for _ in range(counts["listed"]))
    weighed = re.findall(r'<tr data-split="(\w+)"[^\n]*?<span class="[pn]\d"', copy.report.read_text("utf-8"))
    assert all(weighed.count(split) <= 2 for split in listed)
    assert weighed
    assert f"Only the {2 * len(listed)} most confident of these tweets are weighed" in copy.report.read_text("utf-8")


def test_a_page_lists_no_errors_on_request_and_overwrites_no_other_file(copy: RunDir, s140) -> None:
    s140("report", copy.path, "--errors", 0)
    assert "<tr data-split" not in copy.report.read_text("utf-8")
    before = copy.metrics.read_bytes()
    assert (
        ".html"
        in s140("report", copy.path, "--no-attributions", "--output", copy.path.parent / "page.json", code=1).stderr
    )
    assert copy.metrics.read_bytes() == before


def test_a_run_of_an_older_version_is_to_be_scored_again(copy: RunDir, s140) -> None:
    whole = copy.metrics.read_text("utf-8")
    for key in ("baselines", "slices", "risk_coverage"):
        metrics = json.loads(whole)
        del metrics["splits"]["test"][key]
        copy.metrics.write_text(json.dumps(metrics), "utf-8")
        error = s140("report", copy.path, code=1).stderr
        assert key in error
        assert f"s140 evaluate {copy.path}" in error
        assert not copy.report.exists()


def test_predictions_that_are_missing_damaged_or_not_those_that_were_scored(copy: RunDir, s140) -> None:
    table = pq.read_table(copy.predictions)
    at, positive = table.column_names.index("positive"), table["positive"].to_pylist()[1:]
    copy.predictions.unlink()
    error = s140("report", copy.path, code=1).stderr
    assert "has no predictions.parquet" in error
    assert "s140 evaluate" in error
    copy.predictions.write_bytes(b"PAR1")
    assert "damaged" in s140("report", copy.path, code=1).stderr
    pq.write_table(table.drop_columns("positive"), copy.predictions)
    assert "predictions.parquet" in s140("report", copy.path, code=1).stderr
    for wrong in (7.0, -0.1, None):
        column = pa.array([wrong, *positive], pa.float64())
        pq.write_table(table.set_column(at, "positive", column), copy.predictions)
        assert "damaged" in s140("report", copy.path, code=1).stderr, wrong
    assert not copy.report.exists()
    rows = table.to_pylist()
    wrong_rows(rows, "test")[0]["label"] ^= 1
    write_predictions(copy, rows)
    copy.report.write_text("older", "utf-8")
    assert "does not belong" in s140("report", copy.path, code=1).stderr
    assert copy.report.read_text("utf-8") == "older"


def test_other_weights_or_no_run_at_all(copy: RunDir, s140) -> None:
    with copy.weights.open("ab") as file:
        file.write(b" ")
    assert "sha256" in s140("report", copy.path, code=1).stderr
    for place in ("nowhere", "."):
        assert "no run" in s140("report", place, code=1).stderr


def test_without_captum(copy: RunDir, s140, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    assert "[report]" in s140("report", copy.path, code=1).stderr
    s140("report", copy.path, "--no-attributions")


def test_neither_the_page_nor_the_tweets_are_published_or_outlive_a_new_training(copy: RunDir, s140) -> None:
    s140("report", copy.path, "--no-attributions")
    dry = s140("push-to-hub", copy.path, "--repo-id", "you/model", "--dry-run", "--json").stdout
    assert "report.html" not in dry
    assert "predictions" not in dry
    copy.clear()
    assert not copy.report.exists()
    assert not copy.predictions.exists()
