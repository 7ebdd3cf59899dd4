"""Learn from a fine-tuned teacher: its scores on the training tweets are computed once, before the first step.

Knowledge distillation after Hinton, Vinyals and Dean 2015 (arXiv:1503.02531).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sentiment140_bert import schemas
from sentiment140_bert.errors import ModelError, RunError
from sentiment140_bert.models.labels import LABEL_NAMES, map_labels
from sentiment140_bert.recipe.privacy import strip_folders
from sentiment140_bert.recipe.sections import ModelConfig
from sentiment140_bert.run import RunDir

if TYPE_CHECKING:
    from sentiment140_bert.data.cache import Prepared

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Distillation:
    """A teacher's scores, which a training learns as well as the labels.

    Args:
        soft_targets: The teacher's probabilities at ``temperature``, shape (training tweets, labels), float32.
        temperature: Divides the logits of teacher and student; higher values show more of the less likely label.
        weight: The share of the soft targets in the loss; the labels have the rest.
        teacher: The part ``teacher`` of ``environment.json``.
    """

    soft_targets: npt.NDArray[np.float32]
    temperature: float
    weight: float
    teacher: schemas.Teacher


def ask_teacher(config: ModelConfig, prepared: Prepared) -> Distillation | None:
    """Score the training tweets with the recipe's teacher; None without one.

    Args:
        config: The section ``model`` of the recipe, with the commit of a teacher on the Hub.
        prepared: The splits of the recipe.

    Raises:
        ModelError: The teacher cannot be loaded, is not a fine-tuned classifier, or lacks one of the labels.
    """
    if config.teacher is None:
        return None
    from sentiment140_bert import models
    from sentiment140_bert.inference.predict import fetch_registered, load_classifier

    with fetch_registered(config.teacher) as place:
        before = models.hash_local_weights(place)
        classifier = load_classifier(place, config.teacher_revision)
        weights = models.hash_weights(models.find_folder(place, config.teacher_revision))
    if before and before != weights:
        raise ModelError(f"The teacher {config.teacher} changed while it was loaded.", "Try again.")
    mapping = map_labels(classifier.labels)
    columns = [mapping.positions(side) for side in range(schemas.count_labels(prepared.report))]
    missing = [LABEL_NAMES[side] for side, column in enumerate(columns) if not column]
    if missing:
        raise ModelError(
            f"The teacher {config.teacher} has no label {', '.join(missing)}; its labels: "
            f"{', '.join(classifier.labels)}.",
            "Choose a teacher of the same labels.",
        )
    classifier.temperature = config.teacher_temperature
    texts = prepared.split("train")["text"][:]
    log.info("teacher: %s scores the %s training tweets", config.teacher, f"{len(texts):,}")
    answers = classifier.probabilities(texts)
    shares = np.stack([answers[:, column].sum(axis=1) for column in columns], axis=1)
    teacher: schemas.Teacher = {"name": strip_folders(config.teacher), "weights": weights}
    if config.teacher_revision:
        teacher["revision"] = config.teacher_revision
    shares = (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)
    return Distillation(shares, config.teacher_temperature, config.teacher_weight, teacher)


def check_same_teacher(run: RunDir, environment: schemas.StartedEnvironment) -> None:
    """Raise RunError if a run that resumes was started with a teacher of other weights."""
    then, now = (some.get("teacher") for some in (run.read_environment(), environment))
    if then and now and then["weights"] != now["weights"]:
        raise RunError(
            f"The teacher {now['name']} is not the one that {run.path} was started with: sha256 of the weights "
            f"{then['weights'][:12]} then, {now['weights'][:12]} now.",
            "Restore the teacher, or choose another --output-dir.",
        )
