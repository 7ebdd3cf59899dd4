"""``s140 evaluate`` of a run: its own weights on its own splits."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sentiment140_bert import schemas
from sentiment140_bert.cards.model import redraw_figures, write_model_folder
from sentiment140_bert.data import loading
from sentiment140_bert.errors import RunError
from sentiment140_bert.evaluation import intervals
from sentiment140_bert.evaluation.baseline import make_baselines
from sentiment140_bert.evaluation.calibration import ABSTAINED_SHARE, MIN_TWEETS, fit_calibration
from sentiment140_bert.evaluation.predictions import Predictions, predict_split, write_predictions
from sentiment140_bert.evaluation.scores import score_split
from sentiment140_bert.files import Place, hash_file, write_json
from sentiment140_bert.inference.predict import load_classifier, predict_texts
from sentiment140_bert.locks import expand_folder, lock_folder
from sentiment140_bert.models.save import Calibration
from sentiment140_bert.run import RunDir, saved_recipe
from sentiment140_bert.tracking import tracks

if TYPE_CHECKING:
    import pyarrow as pa

    from sentiment140_bert.data.cache import Prepared
    from sentiment140_bert.inference.classifier import Classifier

log = logging.getLogger(__name__)
SPLITS = ("validation", "test", "manual")
# Texts for the model card: invented, easy and hard, with what the tokenizer masks and repairs.
EXAMPLES = (
    "what a lovely surprise, made my whole week",
    "missed the last bus home, and now it's raining",
    "@user you have GOT to hear this http://example.com/song &amp; tell me what you think",
    "not bad at all",
    "great, another monday",
)


@dataclass(frozen=True)
class RunScores:
    """``metrics`` is the content of ``metrics.json``; ``predictions`` are by split; ``calibration`` is None with fewer
    than ``MIN_TWEETS`` validation tweets."""

    metrics: schemas.Metrics
    predictions: dict[str, Predictions]
    calibration: Calibration | None


def evaluate_run(path: Place) -> schemas.Metrics:
    """Score the weights in a run's ``model/`` on its own validation, test and manual splits, and sync its trackers.

    Write ``metrics.json``, ``predictions.parquet``, the figures, and the model folder's card and other companions.

    >>> metrics = evaluate_run("runs/quickstart")
    >>> sorted(metrics["splits"]["test"]["accuracy"])
    ['high', 'low', 'value']

    Raises:
        RunError: The run has no model, or its data have changed since it was trained.
    """
    path = expand_folder(path)
    with lock_folder(path, "scoring"), tracks.resume_tracking(RunDir(path)):
        return score_run(path)


def score_run(path: Path, prepared: Prepared | None = None, *, scores_only: bool = False) -> schemas.Metrics:
    """Score a run as :func:`evaluate_run`, within a tracked run that is open.

    Args:
        path: The run directory.
        prepared: Data of the run; default: prepared again from its recipe.
        scores_only: Write scores and predictions, and leave the model folder as it is.
    """
    from sentiment140_bert import models
    from sentiment140_bert.data import leakage

    run = RunDir(path)
    classifier = load_classifier(str(path))
    prepared = prepared or load_run_data(run)
    scores = score_splits(classifier, prepared, hash_file(run.weights))
    metrics = scores.metrics
    write_predictions(run, scores.predictions)
    if not scores_only:
        models.write_calibration(run.model, scores.calibration)
        leakage.add_hashes(run.training_rows, leakage.hash_texts(prepared.table("train")["text"]))
        redraw_figures(run, metrics)
        write_model_folder(run, metrics)
    write_json(run.metrics, metrics)  # last: a run that has it is finished
    return metrics


def load_run_data(run: RunDir) -> Prepared:
    """Load the splits of a run, prepared again from its recipe if they are not in the cache.

    Raises:
        RunError: They have changed since the run was trained, or nothing says what they were: then the recipe may
            name any file.
    """
    fingerprint = run.read_data()["fingerprint"]
    prepared, _ = loading.load_splits(saved_recipe(run.path).data)
    if fingerprint != prepared.report["fingerprint"]:
        raise RunError(
            f"The data of {run.path} has changed since it was trained (the fingerprint differs).",
            "Restore the original file, or score another one with --dataset.",
        )
    return prepared


def score_splits(classifier: Classifier, prepared: Prepared, weights_sha256: str) -> RunScores:
    """Score the validation, test and manual splits, each apart; calibration is learned from validation only."""
    predictions = {name: predict_split(classifier, table, name) for name, table in load_scored_tables(prepared).items()}
    validation = predictions["validation"].drop_neutral()
    calibration = _calibrate(validation)
    baselines = make_baselines(prepared)
    leakage = _count_leakage(prepared)
    splits = {name: score_split(some, calibration, baselines) for name, some in predictions.items()}
    for name in splits.keys() & leakage.keys():
        splits[name]["leakage"] = leakage[name]
    metrics: schemas.Metrics = {
        "splits": splits,
        "confidence_level": intervals.CONFIDENCE_LEVEL,
        "intervals": intervals.METHOD,
        "examples": [
            {"text": text, "label": answer.label, "score": answer.score or 0.0}  # nothing abstains here
            for text, answer in predict_texts(classifier, EXAMPLES)
        ],
        "data_fingerprint": prepared.report["fingerprint"],
        "weights_sha256": weights_sha256,
    }
    if calibration:
        metrics["temperature"] = {
            "value": calibration.temperature,
            "fitted_on": "validation",
            "n": len(validation.truth),
        }
        metrics["abstention"] = {"threshold": calibration.neutral_below, "share": ABSTAINED_SHARE}
    return RunScores(metrics, predictions, calibration)


def _calibrate(validation: Predictions) -> Calibration | None:
    """Fit the calibration; a model with a neutral label has none, for it says itself where it is unsure."""
    if validation.neutral is not None:
        return None
    n = len(validation.truth)
    if n >= MIN_TWEETS:
        return fit_calibration(validation.positive, validation.truth)
    log.warning("calibration: none, as %d validation tweets are fewer than %d", n, MIN_TWEETS)
    return None


def _count_leakage(prepared: Prepared) -> dict[str, schemas.Leakage]:
    """Return what the splits share with training; of a published dataset it is counted again, as far as possible."""
    from sentiment140_bert.data import leakage

    reported = prepared.report.get("leakage", {})
    if "published" not in prepared.report:
        return reported
    splits = prepared.tables()
    audits = leakage.audit_splits({name: splits[name] for name in SPLITS if name in splits}, splits["train"])
    counted = {name: audit.counts() for name, audit in audits.items()}
    return {
        name: {**counts, **reported.get(name, counts), "exact": counts["exact"], "near": counts["near"]}
        for name, counts in counted.items()
    }


def load_scored_tables(prepared: Prepared) -> dict[str, pa.Table]:
    """Load the splits that are scored: validation, test, and manual with its neutral tweets, if there are any."""
    import pyarrow as pa

    splits = prepared.tables()
    tables = {name: splits[name] for name in SPLITS if name in splits}
    if "manual" in tables and "manual_neutral" in splits:
        parts = [splits[name].replace_schema_metadata(None) for name in ("manual", "manual_neutral")]
        tables["manual"] = pa.concat_tables(parts)
    return tables
