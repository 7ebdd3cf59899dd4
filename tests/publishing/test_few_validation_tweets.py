"""A run with too few validation tweets: nothing is calibrated, and whatever shows its scores says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from page_fixtures import Verdict, trained
from sentiment140_bert.evaluation.calibration import MIN_TWEETS
from sentiment140_bert.models import CALIBRATION
from sentiment140_bert.run import RunDir

pytest_plugins = ("model_fixtures", "hub_fixtures", "page_fixtures")


def test_no_temperature_is_fitted_to_a_few_tweets(
    classifier_folder: Path, tmp_path: Path, s140, verify: Callable[..., Verdict]
) -> None:
    run = RunDir(trained(tmp_path / "few", model_name_or_path=classifier_folder, validation_size=MIN_TWEETS - 1))
    assert "calibration: none, as 49 validation tweets are fewer than 50" in s140("evaluate", run.path).stderr
    metrics = json.loads(run.metrics.read_text("utf-8"))
    assert not {"temperature", "abstention"} & metrics.keys()
    for name, split in metrics["splits"].items():
        assert not {"calibrated", "abstaining", "three_way"} & split.keys(), name
    assert CALIBRATION not in json.loads((run.model / "config.json").read_text("utf-8"))
    assert "No temperature was fitted: 49 validation tweets are too few." in run.card.read_text("utf-8")
    s140("report", run.path, "--no-attributions")
    assert "No temperature was fitted" in run.report.read_text("utf-8")
    refused = s140("predict", run.path, "--calibrated", "a good day", code=1)
    assert "was not calibrated" in refused.stderr
    assert verify(run.path).code == 0
