"""``s140 evaluate`` and ``s140 predict``."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment140_bert.errors import RunError
from sentiment140_bert.recipe import DataConfig
from sentiment140_bert.run_dir import RunDir, sha256_of, write_json
from sentiment140_bert.workflows import model_folder, preparing, tracks
from sentiment140_bert.workflows.runs import saved_recipe

if TYPE_CHECKING:
    from sentiment140_bert.data.prepare import Prepared
    from sentiment140_bert.inference import Classifier, Prediction

log = logging.getLogger(__name__)
# What the model card shows the model to answer: invented, easy and hard, with what the tokenizer masks and repairs.
EXAMPLES = (
    "what a lovely surprise, made my whole week",
    "missed the last bus home, and now it's raining",
    "@user you have GOT to hear this http://example.com/song &amp; tell me what you think",
    "not bad at all",
    "great, another monday",
)


def evaluate_run(path: Path) -> dict[str, Any]:
    """Scores the weights in a run's ``model/`` on its own validation, test and manual splits, and tells its trackers.

    Writes ``metrics.json``, the figures, and the model folder's card and other companions.

    Raises:
        RunError: The run has no model, or its data are no longer what it was trained on.
    """
    with tracks.going_on(RunDir(path)):
        return score_run(path)


def score_run(path: Path, prepared: Prepared | None = None) -> dict[str, Any]:
    """As :func:`evaluate_run`, within a tracked run that is open.

    Args:
        path: The run directory.
        prepared: Its data, if they are at hand; else they are prepared again from its recipe.
    """
    run = RunDir(path)
    classifier = load_classifier(str(path))
    prepared = prepared or preparing.splits(saved_recipe(path).data)[0]
    fingerprint = prepared.report["fingerprint"]
    if run.data.is_file() and run.read(run.data)["fingerprint"] != fingerprint:
        raise RunError(
            f"The data of {path} are not what they were when it was trained (the fingerprint differs).",
            "Give the original file back, or score another one with --dataset.",
        )
    metrics = scores_of(classifier, prepared) | {"weights_sha256": sha256_of(run.weights)}
    model_folder.redraw(run, metrics)
    model_folder.complete(run, metrics)
    write_json(run.metrics, metrics)  # last: a run that has it is finished
    return metrics


def scores_of(classifier: Classifier, prepared: Prepared, examples: Sequence[str] = EXAMPLES) -> dict[str, Any]:
    """The content of ``metrics.json``, the weights' hash aside."""
    from sentiment140_bert.evaluation.intervals import CONFIDENCE_LEVEL
    from sentiment140_bert.evaluation.protocol import score_split, sides_of

    sides = sides_of(classifier.labels)
    splits = prepared.splits()
    scores = {}
    for name in ("validation", "test", "manual"):
        if name in splits:
            log.info("scoring %s: %s tweets", name, f"{len(splits[name]):,}")
            table = splits[name].with_format("numpy")
            scores[name] = score_split(list(splits[name]["text"]), table[:]["label"], classifier.probabilities, sides)
    neutral = prepared.report["splits"].get("manual_neutral")
    if "manual" in scores and neutral:
        scores["manual"]["neutral_left_out"] = neutral["rows"]
    return {
        "splits": scores,
        "confidence_level": CONFIDENCE_LEVEL,
        "examples": [{"text": text, **answer._asdict()} for text, answer in answers(classifier, examples)],
        "data_fingerprint": prepared.report["fingerprint"],
    }


def evaluate(model: str, data: DataConfig, model_revision: str | None = None) -> dict[str, Any]:
    """Scores any sentiment classifier on all tweets of a dataset, as they are.

    Args:
        model: A run directory, a model folder or a Hub id.
        data: ``dataset`` and how to read it; ``max_samples`` draws from all of it; ``manual_test`` is scored apart.
        model_revision: Of a Hub model.

    Returns:
        ``splits`` with ``test`` and ``manual``, and ``assumed`` where the model's labels have no names.
    """
    from sentiment140_bert.data.prepare import whole
    from sentiment140_bert.evaluation.protocol import score_split, sides_of

    tables = whole(data)
    classifier = load_classifier(model, model_revision)
    sides = sides_of(classifier.labels)
    if sides.assumed:
        log.warning("%s: %s", model, sides.assumed)
    scores = {}
    for name, table in tables.items():
        log.info("scoring %s: %s tweets", name, f"{len(table):,}")
        scores[name] = score_split(
            table["text"].to_pylist(), table["label"].to_numpy(), classifier.probabilities, sides
        )
    return {"model": model, "dataset": data.dataset, "splits": scores, "assumed": sides.assumed or None}


def load_classifier(model: str, revision: str | None = None) -> Classifier:
    """A classifier ready to answer, from a run directory, a model folder, a Hub id or MLflow's registry.

    Raises:
        ModelError: It cannot be loaded, or is no fine-tuned classifier.
    """
    from sentiment140_bert import modeling, registry
    from sentiment140_bert.inference import Classifier

    if registry.is_registered(model):
        with registry.fetched(model) as folder:
            return Classifier(*modeling.load_classifier(str(folder)))
    return Classifier(*modeling.load_classifier(model, revision))


def predict(model: str, texts: Iterable[str], revision: str | None = None) -> Iterator[tuple[str, Prediction]]:
    """(text, prediction) for each text, in order, while the texts are read.

    Raises:
        ModelError: The model cannot be loaded; before the first text is read.
    """
    return answers(load_classifier(model, revision), texts)


def answers(classifier: Classifier, texts: Iterable[str]) -> Iterator[tuple[str, Prediction]]:
    """(text, prediction) for each text; the texts are held no longer than their window."""
    waiting: deque[str] = deque()

    def remembered() -> Iterator[str]:
        for text in texts:
            waiting.append(text)
            yield text

    for prediction in classifier.predict(remembered()):
        yield waiting.popleft(), prediction
