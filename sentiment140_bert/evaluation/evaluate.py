"""``s140 evaluate`` on any tweets: a model's scores, baselines, and which of the tweets it was trained on."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sentiment140_bert import schemas
from sentiment140_bert.data import loading
from sentiment140_bert.errors import DataError, HubError, RunError
from sentiment140_bert.evaluation.baseline import Baselines, make_baselines
from sentiment140_bert.evaluation.predictions import predict_split
from sentiment140_bert.evaluation.scores import score_split
from sentiment140_bert.files import Place, expand_path, to_name
from sentiment140_bert.inference.predict import open_classifier, pin_revision
from sentiment140_bert.models.labels import map_labels
from sentiment140_bert.models.save import Calibration
from sentiment140_bert.recipe import DataConfig, as_data
from sentiment140_bert.results import DatasetScores
from sentiment140_bert.run import TRAINING_ROWS, RunDir, saved_recipe

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    from sentiment140_bert.data.cache import Prepared
    from sentiment140_bert.data.leakage import Audit
    from sentiment140_bert.evaluation.predictions import Predictions

log = logging.getLogger(__name__)


def evaluate(
    model: Place, data: DataConfig | Place | None = None, model_revision: str | None = None, backend: str | None = None
) -> DatasetScores:
    """Score any sentiment classifier on all tweets of a dataset, as they are; or a run on its own splits.

    Args:
        model: A run directory, a model folder or a Hub id.
        data: ``dataset`` and how to read it, or only its name; ``max_samples`` draws from all of it; ``manual_test`` is
            scored apart. Without it a run is scored as :func:`~sentiment140_bert.evaluation.run.evaluate_run` does.
        model_revision: Revision of a Hub model.
        backend: See :func:`~sentiment140_bert.inference.predict.open_classifier`.
    """
    from sentiment140_bert.data.pipeline import load_unsplit
    from sentiment140_bert.evaluation.run import evaluate_run

    model = to_name(model)
    if data is None:
        dataset = saved_recipe(model).data.dataset
        return DatasetScores(model, dataset, evaluate_run(model)["splits"], leaked={}, unknown=None, assumed=None)
    data = as_data(data)
    evaluation = evaluate_model(model, load_unsplit(data), model_revision, backend=backend)
    splits: dict[str, schemas.SplitScores] = {}
    for name, predictions in evaluation.predictions.items():
        splits[name] = evaluation.splits[name]
        if evaluation.in_training[name].any():
            log.info("%s_unseen leaves them out", name)
            unseen = predictions.select(~evaluation.in_training[name])
            splits[f"{name}_unseen"] = score_split(unseen, evaluation.calibration, evaluation.baselines[name])
    return DatasetScores(
        model, data.dataset, splits, evaluation.leaked, evaluation.unknown or None, evaluation.assumed or None
    )


@dataclass(frozen=True)
class Evaluation:
    """The predictions and scores of a model on tweets that it may have been trained on; by split.

    Args:
        calibration: Learned from its validation split.
        unknown: Which checks of the training tweets were impossible, and why.
        assumed: The meaning of labels without names.
        predictions: On all tweets.
        splits: Scores by split.
        baselines: To compare with.
        in_training: True for tweets that it was trained on, shape (n,).
        leaked: Rows by split, ``exact`` and ``near``.
    """

    calibration: Calibration | None
    unknown: str
    assumed: str
    predictions: dict[str, Predictions] = field(default_factory=dict)
    splits: dict[str, schemas.SplitScores] = field(default_factory=dict)
    baselines: dict[str, Baselines] = field(default_factory=dict)
    in_training: dict[str, npt.NDArray[np.bool_]] = field(default_factory=dict)
    leaked: dict[str, dict[str, list[int]]] = field(default_factory=dict)


def evaluate_model(
    model: str, tables: Mapping[str, pa.Table], revision: str | None = None, name: str = "", backend: str | None = None
) -> Evaluation:
    """Score a model, compare it with baselines, and look for its training tweets among the scored ones.

    Args:
        model: A run directory, a model folder or a Hub id.
        tables: Columns ``text``, ``label``, ``user``, ``time`` and ``topic`` of each split.
        revision: Revision of a Hub model.
        name: Name of the model in messages.
        backend: See :func:`~sentiment140_bert.inference.predict.open_classifier`.
    """
    from sentiment140_bert import models

    revision = pin_revision(model, revision)
    classifier, name = open_classifier(model, revision, backend=backend), name or model
    assumed = map_labels(classifier.labels).assumed
    if assumed:
        log.warning("%s: %s", name, assumed)
    training = find_training_data(model, revision)
    baselines = make_baselines(training.prepared) if training.prepared else None
    config = classifier.config
    calibration = models.read_calibration(config, model) if models.is_calibrated(config) else None
    evaluation = Evaluation(calibration, training.unknown, assumed)
    for split, table in tables.items():
        predictions = evaluation.predictions[split] = predict_split(classifier, table, f"{split} by {name}")
        evaluation.baselines[split] = baselines or _make_majority_baseline(predictions)
        scores = score_split(predictions, evaluation.calibration, evaluation.baselines[split])
        evaluation.splits[split] = scores
        evaluation.in_training[split] = np.zeros(len(table), dtype=bool)
        if audit := find_leakage(training, table):
            counts, rows = audit.counts(), audit.rows()
            scores["leakage"], evaluation.leaked[split] = counts, rows
            evaluation.in_training[split][[*rows["exact"], *rows["near"]]] = True
            if evaluation.in_training[split].any():
                log.warning("%s", _describe_leakage(name, split, counts, len(table)))
    if training.unknown:
        log.info("leakage: %s: %s", name, training.unknown)
    return evaluation


def _make_majority_baseline(predictions: Predictions) -> Baselines:
    """Make the baseline of a model whose training tweets are not known: the majority label of the scored ones."""
    scored = predictions if predictions.has_three_labels else predictions.drop_neutral()
    return Baselines(np.bincount(scored.truth, minlength=2) / max(1, len(scored.truth)))


def _describe_leakage(name: str, split: str, counts: schemas.Leakage, n: int) -> str:
    near = f", {counts['near']:,} more nearly" if counts["near"] else ""
    return (
        f"leakage: {name}: {counts['exact']:,} of these {n:,} {split} tweets are in its training data{near}: "
        "the score on these says little."
    )


# ---- training data


class TrainingData(NamedTuple):
    """The texts that a model was trained on.

    ``prepared`` are its own splits; ``hashes`` those of its own texts and those of the models that it was trained from.
    ``unknown`` says why one of them is missing.
    """

    prepared: Prepared | None = None
    hashes: npt.NDArray[np.uint64] | None = None
    unknown: str = ""

    def hash_texts(self) -> npt.NDArray[np.uint64] | None:
        """Return the hashes of all texts that are known, sorted; None if nothing is known."""
        from sentiment140_bert.data import leakage

        if self.prepared is None:
            return self.hashes
        own = leakage.hash_texts(self.prepared.table("train")["text"])
        return np.unique(own) if self.hashes is None else np.union1d(own, self.hashes)


def find_training_data(model: str, revision: str | None = None) -> TrainingData:
    """Find the training tweets of a run directory, a model folder or a Hub repository, as far as it has them."""
    from sentiment140_bert import models
    from sentiment140_bert.tracking import mlflow_models

    if mlflow_models.is_registered(model):
        return TrainingData(unknown="a registered model does not say what it was trained on")
    path = expand_path(model)
    if RunDir(path).is_run():
        return _find_run_data(RunDir(path))
    try:
        folder = _fetch_hashes(model, revision) if models.is_hub_id(model) else path
    except HubError as error:
        return TrainingData(unknown=f"the Hub does not say what it was trained on: {error.message.rstrip('.')}")
    return _read_hashes(folder / TRAINING_ROWS, "the model folder has no tweets")


def _find_run_data(run: RunDir) -> TrainingData:
    from sentiment140_bert.data.cache import find_cached

    described = run.read_data()
    cached = find_cached(described)
    try:
        prepared = cached[0] if cached else loading.load_splits(saved_recipe(run.path).data)[0]
        reason = "" if prepared.report["fingerprint"] == described["fingerprint"] else "its data has changed"
    except (DataError, HubError) as error:
        reason = error.message.rstrip(".")
    if reason:
        return _read_hashes(run.training_rows, f"the training tweets of {run.path} are not available: {reason}")
    hashed = _read_hashes(run.training_rows, "")
    is_damaged = hashed.hashes is None and run.training_rows.is_file()
    return TrainingData(prepared, hashed.hashes, hashed.unknown if is_damaged else "")


def _read_hashes(file: Path, reason: str) -> TrainingData:
    """Return the hashes of training tweets, which themselves are missing for this ``reason``."""
    from sentiment140_bert.data import leakage

    if not file.is_file():
        return TrainingData(unknown="the model does not say what it was trained on")
    try:
        hashes = leakage.read_hashes(file)
    except RunError as error:
        return TrainingData(unknown=error.message)
    return TrainingData(hashes=hashes, unknown=f"{reason}; near duplicates, users and times were not checked")


def _fetch_hashes(repo_id: str, revision: str | None) -> Path:
    from sentiment140_bert.hub import fetch
    from sentiment140_bert.hub.client import Hub

    hub = Hub()
    return fetch.download(hub, "model", repo_id, fetch.resolve_commit(hub, "model", repo_id, revision), [TRAINING_ROWS])


def find_leakage(training: TrainingData, table: pa.Table) -> Audit | None:
    """Find the rows of a table that a model, or one that it was trained from, was trained on; None if it is not known.

    Args:
        training: Training data of the model.
        table: Column ``text``, perhaps ``user`` and ``time``.
    """
    from sentiment140_bert.data import leakage

    own = leakage.audit(table, training.prepared.table("train")) if training.prepared else None
    if training.hashes is None:
        return own
    exact = np.flatnonzero(np.isin(leakage.hash_texts(table["text"]), training.hashes))
    if own is None:
        return leakage.Audit(exact, near=None, same_user=None, overlapping_in_time=None)
    exact = np.union1d(own.exact, exact)
    return replace(own, exact=exact, near=None if own.near is None else np.setdiff1d(own.near, exact))
