"""The card in a run's model folder says what the run's JSON files say."""

from __future__ import annotations

import json
from pathlib import Path

from huggingface_hub import ModelCard

from sentiment140_bert.recipe import SCORES

pytest_plugins = "model_fixtures"


def test_the_hub_reads_the_same_numbers_back(run: Path) -> None:
    card = ModelCard.load(run / "model" / "README.md")
    splits = json.loads((run / "metrics.json").read_text("utf-8"))["splits"]
    read = {(each.dataset_split, each.metric_type): each.metric_value for each in card.data.eval_results}
    assert read == {(name, metric): splits[name][metric]["value"] for name in ("test", "manual") for metric in SCORES}
    assert card.data.base_model == "sentence-transformers/all-MiniLM-L6-v2"
    assert card.data.pipeline_tag == "text-classification"


def test_the_text_is_filled_and_names_no_folder_of_this_machine(run: Path) -> None:
    text = (run / "model" / "README.md").read_text("utf-8")
    metrics = json.loads((run / "metrics.json").read_text("utf-8"))
    assert f"{metrics['splits']['test']['accuracy']['value']:.4f}" in text
    assert metrics["weights_sha256"][:16] in text
    assert "{{" not in text
    assert "{%" not in text
    assert str(run.parent) not in text
