"""Probabilities for every training tweet by something that was not trained on it: cross-validation over folds."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sentiment140_bert.data import loading
from sentiment140_bert.errors import DataError, Interrupted, RunError, first_line
from sentiment140_bert.experiments import series
from sentiment140_bert.files import write_whole
from sentiment140_bert.models.labels import map_labels
from sentiment140_bert.recipe import CHANGEABLE
from sentiment140_bert.run import RunDir
from sentiment140_bert.text import format_duration
from sentiment140_bert.training import ancestors, volumes

if TYPE_CHECKING:
    from sentiment140_bert.data.cache import Prepared
    from sentiment140_bert.recipe import Recipe

log = logging.getLogger(__name__)
Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
# With 5% of 20,000 real labels flipped, three times, 64% of the first 50 suspects were flipped ones; without this limit
# 51%, with 2 terms 64%, with 6 terms 59%.
MIN_TERMS = 3


def predict_by_baseline(train: Any, folds: Indices) -> Floats:
    """Return P(positive) of each training tweet by a baseline that was fitted to the other folds.

    A tweet with hardly a word that the baseline knows gets 0.5. Texts are scaled to length 1, so that a bare "@user"
    would count as one of the most positive tweets there are.

    Args:
        train: The training split, columns ``text`` and ``label``.
        folds: The fold of each of its rows.
    """
    from sentiment140_bert.evaluation.baseline import fit_baseline

    texts, labels = np.array(train["text"], dtype=object), np.array(train["label"])
    positive = np.empty(len(texts))
    for fold in np.unique(folds):
        held_out = folds == fold
        model = fit_baseline(texts[~held_out], labels[~held_out])
        known_terms = model.terms_in(texts[held_out])
        positive[held_out] = np.where(known_terms < MIN_TERMS, 0.5, model.probabilities(texts[held_out])[:, 1])
    return positive


def predict_by_model(run: RunDir, recipe: Recipe, folds: Indices) -> Floats:
    """Return P(positive) of each training tweet by a model that was trained, as the run was, on the other folds.

    The predictions of a fold are kept in the run, under a name made of all that they depend on, for the next call; a
    training that was stopped resumes from its checkpoint.

    Args:
        run: A finished one; its ``environment.json`` tells how long its training took.
        recipe: Recipe of the run.
        folds: The fold of each row of its training split.

    Raises:
        DataError: The base model was trained on tweets of these folds.
        RunError: The run has a teacher, this is one of several processes, or nothing can be written into the run.
        Interrupted: A signal stopped training; the folds that were finished and a checkpoint are kept.
    """
    if recipe.model.teacher:
        raise RunError(f"{run.path} was trained with a teacher, and folds have none.", "Use --by baseline.")
    recipe = ancestors.pin_models(recipe, run)
    data = loading.load_data(recipe)
    ancestors.refuse_leakage(recipe.model, data.splits, ("train",), "Use --by baseline.")
    home = run.suspects / _hash_inputs(recipe, data.splits, folds)
    count = int(folds.max()) + 1
    positive = np.full(len(folds), np.nan)
    for fold in range(count):
        saved = _load_fold(home / f"fold-{fold + 1}.parquet", int((folds == fold).sum()))
        if saved is not None:
            positive[folds == fold] = saved
    missing = [fold for fold in range(count) if np.isnan(positive[folds == fold]).any()]
    _log_estimate(run, count, len(missing), len(folds))
    for fold in missing:
        log.info("suspects: training %d of %d", fold + 1, count)
        with _make_training_folder(run, home, fold) as folder:
            positive[folds == fold] = _train_and_predict(recipe, data, folds == fold, folder)
            _save_fold(home / f"fold-{fold + 1}.parquet", positive[folds == fold])
    return positive


def _train_and_predict(
    recipe: Recipe, data: loading.PreparedData, held_out: npt.NDArray[np.bool_], folder: Path
) -> Floats:
    """Train on the rows that are not ``held_out``, in ``folder``, and return P(positive) of those that are."""
    from sentiment140_bert import models
    from sentiment140_bert.evaluation.metrics import compute_trainer_metrics
    from sentiment140_bert.inference.torch_backend import TorchClassifier
    from sentiment140_bert.training import trainer
    from sentiment140_bert.training.checkpoints import newest_complete

    checkpoints = folder / "checkpoints"
    settings = series.make_settings(recipe.training, checkpoints, "the search for suspects")
    model = models.load_base_model(recipe.model, recipe.training.seed)
    splits = data.tokens.splits()
    outcome = trainer.train(
        model,
        data.tokenizer,
        {"train": splits["train"].select(np.flatnonzero(~held_out)), "validation": splits["validation"]},
        settings,
        history=folder / "history.jsonl",
        compute_metrics=compute_trainer_metrics,
        resume_from=newest_complete(checkpoints),
        finds_batch=recipe.training.auto_find_batch_size,
        lr_decay=recipe.training.layerwise_lr_decay,
        patience=recipe.training.early_stopping_patience,
    )
    if outcome.signal:
        raise Interrupted(
            "The search for suspects was stopped by a signal; finished folds and a checkpoint are kept.",
            "Run the same command again to resume.",
            outcome.signal,
        )
    texts = data.splits.splits()["train"].select(np.flatnonzero(held_out))["text"]
    classifier = TorchClassifier(model, data.tokenizer)
    return map_labels(classifier.labels).positive_share(classifier.probabilities(list(texts)))


def _hash_inputs(recipe: Recipe, prepared: Prepared, folds: Indices) -> str:
    """Return a name made of all that the predictions depend on."""
    from sentiment140_bert import models

    plain = recipe.to_dict()
    settings = {key: value for key, value in plain["training"].items() if key not in CHANGEABLE}
    parts = [prepared.report["fingerprint"], plain["model"], recipe.data.max_length, settings]
    parts += filter(None, [models.hash_local_weights(recipe.model.model_name_or_path)])
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode())
    digest.update(folds.tobytes())
    return digest.hexdigest()[:16]


def _load_fold(file: Path, rows: int) -> Floats | None:
    """Return the predictions of a fold from an earlier call; None where there are none, or they are damaged."""
    import pyarrow as pa

    from sentiment140_bert.data.files import read_parquet

    if not file.is_file():
        return None
    try:
        positive = read_parquet(file, ["positive"])["positive"].to_numpy()
        if len(positive) != rows or not np.isfinite(positive).all():
            raise ValueError(f"it does not hold {rows} probabilities")
        return np.asarray(positive)
    except (DataError, OSError, ValueError, KeyError, pa.ArrowException) as error:
        log.warning("suspects: %s is damaged: %s; that fold is trained again", file, first_line(error))
        return None


def _save_fold(file: Path, positive: Floats) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with write_whole(file) as temporary:
        pq.write_table(pa.table({"positive": positive}), temporary, write_page_checksum=True)


@contextmanager
def _make_training_folder(run: RunDir, home: Path, fold: int) -> Iterator[Path]:
    """Make the folder in which a fold is trained: removed once the fold is finished, kept when it is stopped."""
    if volumes.is_volume(run.path):  # files there cannot be appended to; a training that is stopped begins again
        with tempfile.TemporaryDirectory(prefix="s140-fold-") as temporary:
            yield Path(temporary)
        return
    folder = home / f"training-{fold + 1}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{folder} cannot be created: {error.strerror}.", "The folds are kept in the run.") from None
    yield folder
    shutil.rmtree(folder)


def _log_estimate(run: RunDir, count: int, missing: int, rows: int) -> None:
    """Log how long the trainings will take, from the time that the run itself took."""
    if missing < count:
        log.info("suspects: %d of %d folds were finished before", count - missing, count)
    if not missing:
        return
    environment = run.read_environment()
    seconds = environment["training"]["seconds"]
    machine = environment["gpu"] or environment["cpu"]
    log.info(
        "suspects: %s on %s tweets each, about %s in all: the run's own took %s on %s",
        "1 training" if missing == 1 else f"{missing} trainings",
        f"{rows * (count - 1) // count:,}",
        format_duration(missing * seconds * (count - 1) / count),
        format_duration(seconds),
        machine,
    )
