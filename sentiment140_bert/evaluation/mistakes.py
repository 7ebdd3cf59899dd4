"""``s140 report``: a run's scores, and the tweets that it gets wrong, on one page."""

from __future__ import annotations

import logging
import re
import shlex
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from typing_extensions import TypedDict

from sentiment140_bert import schemas
from sentiment140_bert.cards.model import read_scores
from sentiment140_bert.errors import MissingExtra, RunError
from sentiment140_bert.evaluation.predictions import Predictions, read_predictions
from sentiment140_bert.evaluation.scores import abstain_below
from sentiment140_bert.files import Place, expand_path, write_text
from sentiment140_bert.inference.predict import load_classifier
from sentiment140_bert.locks import lock_if_writable
from sentiment140_bert.models.labels import LABEL_NAMES, NEGATIVE, NEUTRAL, POSITIVE, map_labels
from sentiment140_bert.models.save import Calibration
from sentiment140_bert.run import RunDir, saved_recipe

if TYPE_CHECKING:
    from sentiment140_bert.cards.report_page import Mistake

log = logging.getLogger(__name__)
DEFAULT_ERRORS = 200
MAX_WEIGHED = 100  # of each split, the most confident; weighing a tweet's words costs as much as scoring some 70 tweets


class Report(TypedDict):
    """The file that was written, and of each split the number of ``errors`` and how many of them are ``listed``."""

    report: str
    splits: dict[str, dict[str, int]]


def report(
    path: Place, output: Place | None = None, errors: int = DEFAULT_ERRORS, attributions: bool | None = None
) -> Report:
    """Write one HTML file with a finished run's scores and its most confident wrong predictions.

    Args:
        path: The run directory.
        output: The file; default: RUN/report.html.
        errors: Tweets to list of each split, at most.
        attributions: Weigh the words of the ``MAX_WEIGHED`` most confident ones, for which the model is loaded;
            by default if captum is installed.

    Raises:
        RunError: The run is not finished, was scored with other weights, or lacks ``predictions.parquet``.
        MissingExtra: ``attributions``, and captum is not installed.
    """
    path, output = expand_path(path), expand_path(output, "output") if output else None
    if output and output.suffix.lower() not in (".html", ".htm"):
        raise RunError(f"The report must be an .html file, not {output}.", "For example report.html.")
    with lock_if_writable(path, "writing a report"):
        return _write_report(path, output, errors, attributions)


def _write_report(path: Path, output: Path | None, errors: int, attributions: bool | None) -> Report:
    from sentiment140_bert.cards.facts import collect_facts
    from sentiment140_bert.cards.report_page import render_report

    run = RunDir(path)
    metrics, recipe = read_scores(run), saved_recipe(path)
    facts = collect_facts(run, recipe, run.read_data(), metrics, tracking={})
    mistakes = _find_all_mistakes(run, facts.metrics)
    surest = [mistake for some in mistakes.values() for mistake in some[:errors][:MAX_WEIGHED]]
    others = [mistake for some in mistakes.values() for mistake in some[:errors][MAX_WEIGHED:]]
    if attributions is None and not (attributions := find_spec("captum") is not None):
        log.info("report: words are not weighed. %s", MissingExtra("Weighing them", "report"))
    if attributions and surest:
        surest = _weigh_words(path, surest)
    shown = [_mask_mistake(mistake) for mistake in surest + others]
    counts = {split: len(some) for split, some in mistakes.items()}
    target = output or run.report
    write_text(target, render_report(facts, run.choose_title(recipe), shown, counts))
    splits = {split: {"errors": count, "listed": min(count, errors)} for split, count in counts.items()}
    return {"report": str(target), "splits": splits}


# ---- which tweets


def _find_all_mistakes(run: RunDir, metrics: schemas.Metrics) -> dict[str, list[Mistake]]:
    """Return the mistakes on each split, the most confident first."""
    predictions = read_predictions(run)
    calibration = None
    if "temperature" in metrics and "abstention" in metrics:
        calibration = Calibration(metrics["temperature"]["value"], metrics["abstention"]["threshold"])
    mistakes = {}
    for split, scores in metrics["splits"].items():
        if "accuracy" not in scores:
            continue
        some = predictions.get(split) or Predictions([], np.empty(0, dtype=np.int64), np.empty(0))
        scored = some if schemas.has_three_labels(scores) else some.drop_neutral()
        wrong = int((~scored.correct).sum())
        matrix = schemas.get_matrix(scores)
        counted = sum(map(sum, matrix)) - sum(row[at] for at, row in enumerate(matrix))
        if (wrong, len(scored.truth)) != (counted, scores["n"]):
            raise RunError(
                f"{run.predictions} does not belong to {run.metrics}: {wrong:,} predictions on {split} are wrong "
                f"in the one, {counted:,} in the other.",
                f"Score the run again: s140 evaluate {shlex.quote(str(run.path))}",
            )
        mistakes[split] = find_mistakes(split, some, calibration)
    return mistakes


def find_mistakes(split: str, predictions: Predictions, calibration: Calibration | None) -> list[Mistake]:
    """Return the wrong predictions on a split, the most confident first.

    A neutral tweet is among them if the model did not abstain.

    Args:
        split: Name of the split.
        predictions: The predictions on it.
        calibration: Below its threshold the model abstains; never without one.
    """
    from sentiment140_bert.cards.report_page import Mistake

    positive = predictions.positive
    abstains = abstain_below(positive, calibration) == NEUTRAL if calibration else np.zeros(len(positive), dtype=bool)
    is_wrong = ~predictions.correct & ~(abstains & (predictions.truth == NEUTRAL))
    labels, confidence = predictions.labels, predictions.confidence
    mistakes = [
        Mistake(
            split,
            LABEL_NAMES[int(predictions.truth[at])],
            LABEL_NAMES[int(labels[at])],
            float(confidence[at]),
            ((predictions.texts[at], None),),
            predictions.topics[at] if predictions.topics else None,
            bool(abstains[at]),
        )
        for at in np.flatnonzero(is_wrong).tolist()
    ]
    return sorted(mistakes, key=lambda mistake: -mistake.confidence)


# ---- their words


def _weigh_words(path: Path, mistakes: Sequence[Mistake]) -> list[Mistake]:
    """Return mistakes with the weight of every word in the run's model."""
    from sentiment140_bert.evaluation.attribution import explain_texts, load_integrated_gradients

    load_integrated_gradients()  # raises if captum is missing, before a model is loaded
    classifier = load_classifier(str(path))
    mapping = map_labels(classifier.labels)
    positive, negative = (mapping.positions(side)[0] for side in (POSITIVE, NEGATIVE))  # a run's model has one of each
    log.info("weighing the words of %s tweets", f"{len(mistakes):,}")
    texts = [mistake.words[0][0] for mistake in mistakes]
    explained = explain_texts(classifier.model, classifier.tokenizer, texts, positive, negative, classifier.max_length)
    return [replace(mistake, words=pieces) for mistake, pieces in zip(mistakes, explained, strict=True)]


Word = tuple[str, float | None]


def _mask_mistake(mistake: Mistake) -> Mistake:
    topic = mask_words(((mistake.topic, None),))[0][0] if mistake.topic else None
    return replace(mistake, words=tuple(mask_words(mistake.words)), topic=topic)


def mask_words(words: Sequence[Word]) -> list[Word]:
    """Mask user names and addresses in a tweet by the rules of ``data.clean``; weights under one mask are added up.

    Invisible characters are removed first: a name after a character of no width is a name, too.
    """
    from sentiment140_bert.cards.markup import clean_controls
    from sentiment140_bert.data.clean import MASKING

    words = [(clean_controls(text), weight) for text, weight in words]
    whole = "".join(text for text, _ in words)
    hidden = [match.span() for rule in MASKING for match in re.finditer(rule.pattern, whole)]
    joined: list[Word] = []
    begin = 0
    for text, weight in words:
        if joined and any(first < begin < last for first, last in hidden):
            before, weight_before = joined.pop()
            weights = [some for some in (weight_before, weight) if some is not None]
            joined.append((before + text, sum(weights) if weights else None))
        else:
            joined.append((text, weight))
        begin += len(text)
    return [(_mask_text(text), weight) for text, weight in joined]


def _mask_text(text: str) -> str:
    from sentiment140_bert.data.clean import MASKING

    for rule in MASKING:
        text = re.sub(rule.pattern, rule.replacement, text)
    return text
