"""A run directory to its model card: pure, offline, every number out of the run's own JSON files."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from sentiment140_bert.errors import RunError
from sentiment140_bert.recipe import SCORES
from sentiment140_bert.run_dir import RunDir

HEADLINES = {"test": "held-out tweets of the training data", "manual": "hand-labelled tweets"}
# Where a base model that is not named by its Hub id can be read about.
HUB_IDS = {"bundled:minilm": "sentence-transformers/all-MiniLM-L6-v2"}
# Values of transformers.TrainingArguments that a reader may take for granted.
ROUTINE = {"logging_steps", "report_to", "run_name", "save_total_limit", "per_device_eval_batch_size", "precision"}


def model_card(run: RunDir, recipe: dict[str, Any], metrics: dict[str, Any]) -> str:
    """The README of a finished run's model.

    Args:
        run: With ``data.json`` and ``environment.json``.
        recipe: Content of its ``recipe.yaml``.
        metrics: Content of its ``metrics.json``.

    Raises:
        RunError: One of the files is missing or damaged.
    """
    import jinja2

    data, environment = run.read(run.data), run.read(run.environment)
    base = recipe["model"]["model_name_or_path"]
    hub_id = HUB_IDS.get(base, base if base.count("/") == 1 and not Path(base).exists() else None)
    title = recipe["training"]["run_name"] or run.path.resolve().name
    template = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=False, keep_trailing_newline=True, autoescape=False
    ).from_string(_template("model_card.md"))
    return template.render(
        yaml=_yaml(title, hub_id, metrics, data),
        title=title,
        base=hub_id or Path(base).name,
        base_link=f"(https://huggingface.co/{hub_id})" if hub_id else "",
        headlines=HEADLINES,
        scores=metrics["splits"],
        metrics=SCORES,
        number=lambda score: f"{score['value']:.4f}",
        invented=data["sources"]["training"]["name"] == "sample",
        model_id=f"{run.path.resolve().name}/model" if run.path.is_absolute() else str(run.model),
        data=data,
        environment=environment,
        weights_sha256=metrics["weights_sha256"],
        hyperparameters=_unusual(recipe["training"]),
    )


def _yaml(title: str, hub_id: str | None, metrics: dict[str, Any], data: dict[str, Any]) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    sources = {"test": data["sources"]["training"], "manual": data["sources"].get("manual")}
    results = [
        EvalResult(
            task_type="text-classification",
            task_name="Sentiment analysis",
            dataset_type=sources[name]["name"],
            dataset_name=f"{sources[name]['name']} ({name})",
            dataset_split=name,
            metric_type=metric,
            metric_value=float(split[metric]["value"]),
        )
        for name, split in metrics["splits"].items()
        for metric in SCORES
        if name in HEADLINES and metric in split
    ]
    card = ModelCardData(
        language="en",
        base_model=hub_id,
        base_model_relation="finetune" if hub_id else None,
        library_name="transformers",
        pipeline_tag="text-classification",
        tags=["sentiment-analysis", "sentiment140", "twitter"],
        metrics=[metric for metric in SCORES if metric != "log_loss"],
        model_name=title,
        eval_results=results,
    )
    return str(card.to_yaml()).strip()


def _unusual(training: dict[str, Any]) -> dict[str, Any]:
    """What of the recipe differs from the defaults of TrainingArguments."""
    import dataclasses

    from transformers import TrainingArguments

    defaults = {each.name: each.default for each in dataclasses.fields(TrainingArguments)}
    return {name: value for name, value in training.items() if name not in ROUTINE and value != defaults.get(name)}


def _template(name: str) -> str:
    packaged = files("sentiment140_bert").joinpath("model_card", name)
    beside = Path(__file__).parents[1] / "model_card" / name  # in a checkout
    for place in (packaged, beside):
        if place.is_file():
            return place.read_text("utf-8")
    raise RunError(f"The card template {name} is not installed.", "Install the package again.")
