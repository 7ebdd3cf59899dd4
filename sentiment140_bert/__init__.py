"""Fine-tune BERT on Sentiment140 tweets, from the raw CSV to a model that strangers can trust.

One function for each verb of the command line. Names are resolved on first use: importing the package loads no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sentiment140_bert.cards.model import card
    from sentiment140_bert.data.loading import prepare, preview
    from sentiment140_bert.errors import S140Error
    from sentiment140_bert.evaluation.compare import compare
    from sentiment140_bert.evaluation.evaluate import evaluate
    from sentiment140_bert.evaluation.mistakes import report
    from sentiment140_bert.evaluation.run import evaluate_run
    from sentiment140_bert.experiments.label_issues.suspects import suspects
    from sentiment140_bert.experiments.learning_curve.curve import learning_curve
    from sentiment140_bert.experiments.tune.tuning import tune
    from sentiment140_bert.inference.export import export
    from sentiment140_bert.inference.predict import load_classifier, open_classifier, predict
    from sentiment140_bert.models.convert import convert
    from sentiment140_bert.platforms.doctor.checkup import doctor
    from sentiment140_bert.platforms.spark.predict import spark_predict, with_predictions
    from sentiment140_bert.platforms.spark.train import spark_train
    from sentiment140_bert.publishing.destination import Destination
    from sentiment140_bert.publishing.publish import push_to_hub
    from sentiment140_bert.publishing.verify import verify
    from sentiment140_bert.recipe import Recipe, load_recipe
    from sentiment140_bert.run import saved_recipe
    from sentiment140_bert.tracking.tracks import sync_track, track
    from sentiment140_bert.training.run import train

_MODULES = {
    "Destination": "publishing.destination",
    "Recipe": "recipe",
    "S140Error": "errors",
    "card": "cards.model",
    "compare": "evaluation.compare",
    "convert": "models.convert",
    "doctor": "platforms.doctor.checkup",
    "evaluate": "evaluation.evaluate",
    "evaluate_run": "evaluation.run",
    "export": "inference.export",
    "learning_curve": "experiments.learning_curve.curve",
    "load_classifier": "inference.predict",
    "load_recipe": "recipe",
    "open_classifier": "inference.predict",
    "predict": "inference.predict",
    "prepare": "data.loading",
    "preview": "data.loading",
    "push_to_hub": "publishing.publish",
    "report": "evaluation.mistakes",
    "saved_recipe": "run",
    "spark_predict": "platforms.spark.predict",
    "spark_train": "platforms.spark.train",
    "suspects": "experiments.label_issues.suspects",
    "sync_track": "tracking.tracks",
    "track": "tracking.tracks",
    "train": "training.run",
    "tune": "experiments.tune.tuning",
    "verify": "publishing.verify",
    "with_predictions": "platforms.spark.predict",
}
__all__ = [
    "Destination",
    "Recipe",
    "S140Error",
    "card",
    "compare",
    "convert",
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
    "preview",
    "push_to_hub",
    "report",
    "saved_recipe",
    "spark_predict",
    "spark_train",
    "suspects",
    "sync_track",
    "track",
    "train",
    "tune",
    "verify",
    "with_predictions",
]


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__", *(name for name in globals() if name.startswith("__"))])


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("sentiment140-bert")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
