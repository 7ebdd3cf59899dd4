"""Fine-tune BERT on Sentiment140 tweets, from the raw CSV to a model that strangers can trust.

One function for each verb of the command line. Names are resolved on first use: importing the package loads no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sentiment140_bert.cards.model import card as card
    from sentiment140_bert.data.loading import prepare as prepare
    from sentiment140_bert.data.loading import preview as preview
    from sentiment140_bert.errors import S140Error as S140Error
    from sentiment140_bert.evaluation.compare import compare as compare
    from sentiment140_bert.evaluation.evaluate import evaluate as evaluate
    from sentiment140_bert.evaluation.mistakes import report as report
    from sentiment140_bert.evaluation.run import evaluate_run as evaluate_run
    from sentiment140_bert.experiments.label_issues.suspects import suspects as suspects
    from sentiment140_bert.experiments.learning_curve.curve import learning_curve as learning_curve
    from sentiment140_bert.experiments.tune.tuning import tune as tune
    from sentiment140_bert.inference.export import export as export
    from sentiment140_bert.inference.predict import load_classifier as load_classifier
    from sentiment140_bert.inference.predict import open_classifier as open_classifier
    from sentiment140_bert.inference.predict import predict as predict
    from sentiment140_bert.models.convert import convert as convert
    from sentiment140_bert.platforms.doctor_checkup import doctor as doctor
    from sentiment140_bert.platforms.spark.predict import spark_predict as spark_predict
    from sentiment140_bert.platforms.spark.predict import with_predictions as with_predictions
    from sentiment140_bert.platforms.spark.train import spark_train as spark_train
    from sentiment140_bert.publishing.destination import Destination as Destination
    from sentiment140_bert.publishing.publish import push_to_hub as push_to_hub
    from sentiment140_bert.publishing.verify import verify as verify
    from sentiment140_bert.recipe import Recipe as Recipe
    from sentiment140_bert.recipe import load_recipe as load_recipe
    from sentiment140_bert.run import saved_recipe as saved_recipe
    from sentiment140_bert.tracking.tracks import sync_track as sync_track
    from sentiment140_bert.tracking.tracks import track as track
    from sentiment140_bert.training.run import train as train

_MODULES = {
    "Destination": "publishing.destination",
    "Recipe": "recipe",
    "S140Error": "errors",
    "card": "cards.model",
    "compare": "evaluation.compare",
    "convert": "models.convert",
    "doctor": "platforms.doctor_checkup",
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
__version__: str
__all__ = [*_MODULES]


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__", *(name for name in globals() if name.startswith("__"))])


if not TYPE_CHECKING:  # else each wrong name would be one of the package

    def __getattr__(name: str) -> Any:
        if name == "__version__":
            from importlib.metadata import version

            return version("sentiment140-bert")
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
