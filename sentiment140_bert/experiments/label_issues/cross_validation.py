"""Answers for every training tweet by something that was not trained on it: each fold is answered by the others."""

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

from sentiment140_bert.data import pinning, preparing
from sentiment140_bert.errors import Interrupted, RunError, first_line
from sentiment140_bert.models.labels import map_labels
from sentiment140_bert.run_dir import RunDir, written_whole
from sentiment140_bert.runs import duration
from sentiment140_bert.training import volumes

if TYPE_CHECKING:
    from sentiment140_bert.data.cache import Prepared
    from sentiment140_bert.recipe import Recipe

log = logging.getLogger(__name__)
Answers = npt.NDArray[np.float64]
Folds = npt.NDArray[np.int64]
# With 5% of 20,000 real labels flipped, three times, 64% of the first 50 suspects were flipped ones; with every answer
# taken as it is 51%, with 2 terms 64%, with 6 terms 59%.
ENOUGH_TERMS = 3
OF_NO_INFLUENCE = ("report_to", "run_name")  # of a recipe, on the weights


def by_baseline(train: Any, folds: Folds) -> Answers:
    """P(positive) of each training tweet by a baseline that was fitted to the other folds.

    A tweet of which the baseline knows hardly a word gets 0.5. Texts are scaled to length 1, so that a bare "@user"
    would count as one of the most positive tweets there are.

    Args:
        train: The training split, columns ``text`` and ``label``.
        folds: The fold of each of its rows.
    """
    from sentiment140_bert.evaluation import baseline

    texts, labels = np.array(train["text"], dtype=object), np.array(train["label"])
    answers = np.empty(len(texts))
    for fold in np.unique(folds):
        left = folds == fold
        fitted = baseline.fit(texts[~left], labels[~left])
        answers[left] = np.where(fitted.terms_in(texts[left]) < ENOUGH_TERMS, 0.5, fitted.positive(texts[left]))
    return answers


def by_model(run: RunDir, recipe: Recipe, folds: Folds) -> Answers:
    """P(positive) of each training tweet by a model that was trained, as the run was, on the other folds.

    What a fold answered is kept in the run, under a name made of all that it depends on, and found there by the next
    call; a training that was stopped goes on from its checkpoint.

    Args:
        run: A finished one; its ``environment.json`` tells how long its training took.
        recipe: Its own.
        folds: The fold of each row of its training split.

    Raises:
        RunError: This is one of several processes, or nothing can be written into the run.
        Interrupted: A signal stopped training; the folds that were finished and a checkpoint are kept.
    """
    prepared, tokens, tokenizer = preparing.tokenized(recipe)
    home = run.suspects / _name(recipe, prepared, folds)
    count = int(folds.max()) + 1
    answers = np.full(len(folds), np.nan)
    for fold in range(count):
        kept = _kept(home / f"fold-{fold + 1}.parquet", int((folds == fold).sum()))
        if kept is not None:
            answers[folds == fold] = kept
    missing = [fold for fold in range(count) if np.isnan(answers[folds == fold]).any()]
    _announce(run, count, len(missing), len(folds))
    for fold in missing:
        log.info("suspects: training %d of %d", fold + 1, count)
        with _workplace(run, home, fold) as place:
            answers[folds == fold] = _answered(recipe, prepared, tokens, tokenizer, folds == fold, place)
            _keep(home / f"fold-{fold + 1}.parquet", answers[folds == fold])
    return answers


def _answered(
    recipe: Recipe, prepared: Prepared, tokens: Prepared, tokenizer: Any, left: npt.NDArray[np.bool_], place: Path
) -> Answers:
    """Trains on the rows that are not ``left``, in ``place``, and answers those that are."""
    from sentiment140_bert import models
    from sentiment140_bert.evaluation.metrics import trainer_metrics
    from sentiment140_bert.inference.torch_backend import TorchClassifier
    from sentiment140_bert.training import arguments, trainer
    from sentiment140_bert.training.checkpoints import newest_whole

    checkpoints = place / "checkpoints"
    settings = arguments.training_arguments(recipe.training, arguments.choose_precision(recipe.training), checkpoints)
    if arguments.processes_of(settings).num_processes > 1:
        raise RunError("Suspects are looked for in one process.", "Start it without torchrun or accelerate.")
    exact = pinning.at_one_commit(recipe, data=(prepared, tokens, tokenizer)).model
    model = models.load_encoder(exact.model_name_or_path, exact.model_revision, recipe.training.seed, exact.dropouts())
    splits = tokens.splits()
    outcome = trainer.train(
        model,
        tokenizer,
        {"train": splits["train"].select(np.flatnonzero(~left)), "validation": splits["validation"]},
        settings,
        history=place / "history.jsonl",
        compute_metrics=trainer_metrics,
        resume_from=newest_whole(checkpoints),
        finds_batch=recipe.training.auto_find_batch_size,
        lr_decay=recipe.training.layerwise_lr_decay,
    )
    if outcome.signal:
        raise Interrupted(
            "The search for suspects was stopped by a signal; the folds that were finished are kept, and a checkpoint.",
            "Go on with the same command.",
            outcome.signal,
        )
    texts = prepared.splits()["train"].select(np.flatnonzero(left))["text"]
    classifier = TorchClassifier(model, tokenizer)
    return map_labels(classifier.labels).positive_share(classifier.probabilities(list(texts)))


def _name(recipe: Recipe, prepared: Prepared, folds: Folds) -> str:
    """A name for all that the answers depend on."""
    plain = recipe.to_dict()
    settings = {key: value for key, value in plain["training"].items() if key not in OF_NO_INFLUENCE}
    parts = [prepared.report["fingerprint"], plain["model"], recipe.data.max_length, settings]
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode())
    digest.update(folds.tobytes())
    return digest.hexdigest()[:16]


def _kept(file: Path, rows: int) -> Answers | None:
    """What a fold answered in an earlier call, None where there is nothing that is whole."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not file.is_file():
        return None
    try:
        answers = pq.read_table(file, page_checksum_verification=True)["positive"].to_numpy()
        if len(answers) != rows or not np.isfinite(answers).all():
            raise ValueError(f"it does not hold {rows} probabilities")
        return np.asarray(answers)
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        log.warning("suspects: %s is damaged: %s; that fold is trained anew", file, first_line(error))
        return None


def _keep(file: Path, answers: Answers) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with written_whole(file) as temporary:
        pq.write_table(pa.table({"positive": answers}), temporary, write_page_checksum=True)


@contextmanager
def _workplace(run: RunDir, home: Path, fold: int) -> Iterator[Path]:
    """Where a fold is trained: removed once it is finished, kept when it is stopped."""
    if volumes.is_volume(run.path):  # where nothing can be appended to a file; a training that is stopped begins anew
        with tempfile.TemporaryDirectory(prefix="s140-fold-") as temporary:
            yield Path(temporary)
        return
    place = home / f"training-{fold + 1}"
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{place} cannot be made: {error.strerror}.", "The folds are kept in the run.") from None
    yield place
    shutil.rmtree(place)


def _announce(run: RunDir, count: int, missing: int, rows: int) -> None:
    """Says how much there is to do, by the time that the run itself took."""
    if missing < count:
        log.info("suspects: %d of %d folds were answered before", count - missing, count)
    if not missing:
        return
    environment = run.read(run.environment)
    seconds = environment["training"]["seconds"]
    machine = environment["gpu"] or environment["cpu"]
    log.info(
        "suspects: %s on %s tweets each, about %s in all: the run's own took %s on %s",
        "1 training" if missing == 1 else f"{missing} trainings",
        f"{rows * (count - 1) // count:,}",
        duration(missing * seconds * (count - 1) / count),
        duration(seconds),
        machine,
    )
