"""The model card."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

from sentiment140_bert.cards import metadata
from sentiment140_bert.cards.facts import Facts
from sentiment140_bert.cards.markup import render
from sentiment140_bert.run_dir import CALIBRATION, CONFUSION, LEARNING, RISK_COVERAGE, SLICES
from sentiment140_bert.settings import BASELINES, SCORES

LABELS = {name: name.replace("_", " ") for name in SCORES}
LABELS |= {"f1": "F1", "roc_auc": "ROC AUC", "matthews_correlation": "Matthews correlation"}
PICTURES = {CONFUSION: "Confusion matrix", CALIBRATION: "Calibration", LEARNING: "Learning curve"}
PICTURES |= {RISK_COVERAGE: "Errors among the surest answers", SLICES: "Accuracy on kinds of tweets"}


def model_card(facts: Facts, title: str, model_id: str, figures: list[str]) -> str:
    """The README of a finished run's model.

    Args:
        facts: Read from the run directory or the published folder.
        title: The model's name.
        model_id: What the snippet hands to ``pipeline``: the Hub id, or a folder.
        figures: Names of the pictures that lie in ``figures/``.
    """
    base = facts.base_model
    splits = facts.metrics["splits"]
    body = render(
        "model_card.md",
        version=version("sentiment140-bert"),
        title=title,
        base=base or Path(facts.recipe["model"]["model_name_or_path"]).name,
        base_link=Markup(f"https://huggingface.co/{quote(base)}") if base else "",
        headlines={name: splits[name] for name in metadata.HEADLINES if "accuracy" in splits.get(name, {})},
        meaning=metadata.HEADLINES,
        model_id=model_id,
        chosen=facts.recipe["training"]["load_best_model_at_end"] and facts.recipe["training"]["eval_strategy"] != "no",
        corpus=facts.corpus,
        published=facts.published,
        tracking_url=_tracking_url(facts),
        score_names=SCORES,
        labels=LABELS,
        figures=figures,
        pictures=PICTURES,
        baselines=BASELINES,
        recipe=facts.recipe,
        data=facts.data,
        environment=facts.environment,
        metrics=facts.metrics,
    )
    return metadata.front(metadata.of_model(facts, title)) + "\n" + body


def _tracking_url(facts: Facts) -> Markup | None:
    urls = [str(each.get("url")) for each in facts.tracking.values() if isinstance(each, dict)]
    shown = [Markup(quote(url, safe="/:?=&%#~+,;")) for url in urls if url.startswith(("https://", "http://"))]
    return shown[0] if shown else None
