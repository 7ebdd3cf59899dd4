"""The verbs as a library: plain values in, plain values out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import sentiment140_bert
import sentiment140_bert as s140
from sentiment140_bert.errors import RunError
from sentiment140_bert.recipe import DataConfig

pytest_plugins = "model_fixtures"


def test_the_public_names_are_all_there() -> None:
    for name in s140.__all__:
        assert getattr(s140, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = s140.no_such_name


def test_changed_weights_have_another_name_in_the_metrics(
    smallest_run: Path, classifier_folder: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(smallest_run, tmp_path / "copy")
    shutil.rmtree(copy / "model")
    shutil.copytree(classifier_folder, copy / "model")
    before = json.loads((smallest_run / "metrics.json").read_text())
    after = s140.evaluate_run(copy)
    assert after["weights_sha256"] != before["weights_sha256"]
    assert after["data_fingerprint"] == before["data_fingerprint"]
    assert after["splits"]["test"]["log_loss"] != before["splits"]["test"]["log_loss"]


def test_a_run_is_not_scored_on_other_data(smallest_run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(smallest_run, tmp_path / "copy")
    data = json.loads((copy / "data.json").read_text())
    (copy / "data.json").write_text(json.dumps(data | {"fingerprint": "0" * 64}))
    before = (copy / "metrics.json").read_bytes()
    with pytest.raises(RunError, match="fingerprint"):
        s140.evaluate_run(copy)
    assert (copy / "metrics.json").read_bytes() == before


@pytest.mark.parametrize(
    ("labels", "assumed"),
    [
        (("negative", "neutral", "positive"), None),
        (("1 star", "2 stars", "3 stars", "4 stars", "5 stars"), None),
        (("negative", "mixed", "positive"), "mixed as neutral"),
        (("LABEL_0", "LABEL_1"), "LABEL_1 as positive"),
    ],
)
def test_any_sentiment_classifier_is_scored(
    small_bert: Callable[..., Path], labels: tuple[str, ...], assumed: str | None
) -> None:
    result = s140.evaluate(str(small_bert(labels=labels)), DataConfig(dataset="sample", max_samples=100))
    assert result.splits["test"]["n"] == 100
    manual = result.splits["manual"]
    assert manual["n"] + manual["neutral_left_out"] == 100
    assert (manual["neutral_left_out"] > 0) == (len(labels) == 2)  # other models have a label for them
    assert (assumed in (result.assumed or "")) if assumed else result.assumed is None


def test_prepare_and_train_agree_on_the_data(smallest_run: Path) -> None:
    recipe = sentiment140_bert.saved_recipe(smallest_run)
    s140.prepare(recipe)  # the run may have been trained by another process, with a cache of its own
    report = s140.prepare(recipe)
    assert report["cached"] == {"splits": True, "tokens": True}
    saved = json.loads((smallest_run / "data.json").read_text())
    assert {key: report[key] for key in saved} == saved
