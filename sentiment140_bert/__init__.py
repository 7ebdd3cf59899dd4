"""Fine-tune BERT on Sentiment140 tweets, from the raw CSV to a model that strangers can trust.

The public names are resolved when they are first used; importing the package loads no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sentiment140_bert.errors import S140Error as S140Error
    from sentiment140_bert.recipe import Recipe as Recipe
    from sentiment140_bert.recipes import load as load_recipe
    from sentiment140_bert.workflows import (
        card,
        compare,
        doctor,
        evaluate,
        evaluate_run,
        export,
        learning_curve,
        load_classifier,
        open_classifier,
        predict,
        prepare,
        push_to_hub,
        report,
        suspects,
        train,
        verify,
    )
    from sentiment140_bert.workflows.publishing import Destination as Destination
    from sentiment140_bert.workflows.spark import spark_predict, spark_train, with_predictions

_HOMES = {
    "Recipe": ("recipe", "Recipe"),
    "S140Error": ("errors", "S140Error"),
    "load_recipe": ("recipes", "load"),
    "prepare": ("workflows", "prepare"),
    "train": ("workflows", "train"),
    "compare": ("workflows", "compare"),
    "evaluate": ("workflows", "evaluate"),
    "evaluate_run": ("workflows", "evaluate_run"),
    "export": ("workflows", "export"),
    "learning_curve": ("workflows", "learning_curve"),
    "predict": ("workflows", "predict"),
    "load_classifier": ("workflows", "load_classifier"),
    "open_classifier": ("workflows", "open_classifier"),
    "card": ("workflows", "card"),
    "doctor": ("workflows", "doctor"),
    "report": ("workflows", "report"),
    "push_to_hub": ("workflows", "push_to_hub"),
    "suspects": ("workflows", "suspects"),
    "verify": ("workflows", "verify"),
    "Destination": ("workflows.publishing", "Destination"),
    "spark_train": ("workflows.spark", "spark_train"),
    "spark_predict": ("workflows.spark", "spark_predict"),
    "with_predictions": ("workflows.spark", "with_predictions"),
}
__all__ = [
    "Destination",
    "Recipe",
    "S140Error",
    "card",
    "compare",
    "doctor",
    "evaluate",
    "evaluate_run",
    "export",
    "learning_curve",
    "load_classifier",
    "load_recipe",
    "open_classifier",
    "predict",
    "prepare",
    "push_to_hub",
    "report",
    "spark_predict",
    "spark_train",
    "suspects",
    "train",
    "verify",
    "with_predictions",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(import_module(f"{__name__}.{module}"), attribute)
