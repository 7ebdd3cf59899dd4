"""``s140 predict``, and the classifier of every other verb."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sentiment140_bert.inference import Classifier, Prediction


def load_classifier(
    model: str, revision: str | None = None, *, calibrated: bool = False, abstains: bool = False
) -> Classifier:
    """A classifier ready to answer, from a run directory, a model folder, a Hub id or MLflow's registry.

    Args:
        model: Its name.
        revision: Of a Hub model.
        calibrated: Scores with the temperature that was fitted on its validation split.
        abstains: It says ``neutral`` where it is less sure than the threshold of the same split; calibrated, too.

    Raises:
        ModelError: It cannot be loaded, is no fine-tuned classifier, or was not calibrated.
    """
    from sentiment140_bert import modeling, registry
    from sentiment140_bert.inference import Classifier

    if registry.is_registered(model):
        with registry.fetched(model) as folder:
            parts = modeling.load_classifier(str(folder))
    else:
        parts = modeling.load_classifier(model, revision)
    classifier = Classifier(*parts)
    if calibrated or abstains:
        learned = modeling.calibration_of(parts[0], model)
        classifier.temperature = learned["temperature"]
        classifier.neutral_below = learned["neutral_below"] if abstains else 0.0
    return classifier


def predict(
    model: str, texts: Iterable[str], revision: str | None = None, *, calibrated: bool = False, abstains: bool = False
) -> Iterator[tuple[str, Prediction]]:
    """(text, prediction) for each text, in order, while the texts are read; arguments as :func:`load_classifier`.

    Raises:
        ModelError: The model cannot be loaded; before the first text is read.
    """
    return answers(load_classifier(model, revision, calibrated=calibrated, abstains=abstains), texts)


def answers(classifier: Classifier, texts: Iterable[str]) -> Iterator[tuple[str, Prediction]]:
    """(text, prediction) for each text; the texts are held no longer than their window."""
    waiting: deque[str] = deque()

    def remembered() -> Iterator[str]:
        for text in texts:
            waiting.append(text)
            yield text

    for prediction in classifier.predict(remembered()):
        yield waiting.popleft(), prediction
