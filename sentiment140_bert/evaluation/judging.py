"""``s140 evaluate`` on tweets of one's own: held against baselines, and against the model's own training."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sentiment140_bert.evaluation import origins
from sentiment140_bert.evaluation.scoring import ask
from sentiment140_bert.inference.answering import open_classifier, settled
from sentiment140_bert.models.labels import map_labels
from sentiment140_bert.recipe import DataConfig

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from sentiment140_bert.evaluation.answers import Answers
    from sentiment140_bert.evaluation.calibration import Calibration
    from sentiment140_bert.evaluation.lift import Baselines
    from sentiment140_bert.inference import Classifier

log = logging.getLogger(__name__)


def evaluate(
    model: str, data: DataConfig, model_revision: str | None = None, backend: str | None = None
) -> dict[str, Any]:
    """Scores any sentiment classifier on all tweets of a dataset, as they are.

    Args:
        model: A run directory, a model folder or a Hub id.
        data: ``dataset`` and how to read it; ``max_samples`` draws from all of it; ``manual_test`` is scored apart.
        model_revision: Of a Hub model.
        backend: What computes, see ``answering.open_classifier``.

    Returns:
        ``splits`` with ``test`` and ``manual``, and ``test_unseen`` or ``manual_unseen`` without the tweets that the
        model was trained on, where there are such; ``leaked`` their rows, counted from 0; ``unknown`` what could not
        be checked of that; ``assumed`` where the model's labels have no names.
    """
    from sentiment140_bert.data.prepare import whole
    from sentiment140_bert.evaluation.protocol import scores_of as scored

    tables = whole(data)
    judged = judge(model, tables, model_revision, backend=backend)
    splits: dict[str, Any] = {}
    for name, found in judged.answers.items():
        splits[name] = judged.splits[name]
        unseen = found.only(~judged.seen[name])
        if len(unseen.truth) < len(found.truth):
            log.info("%s_unseen leaves them out", name)
            splits[f"{name}_unseen"] = scored(unseen, judged.learned, judged.beside[name])
    return {
        "model": model,
        "dataset": data.dataset,
        "splits": splits,
        "leaked": judged.leaked,
        "unknown": judged.unknown or None,
        "assumed": judged.assumed or None,
    }


@dataclass(frozen=True)
class Judged:
    """A model's answers and scores on tweets that it may have been trained on; by split.

    ``seen`` says of each tweet whether it was; ``leaked`` has the rows of those, ``unknown`` what could not be checked.
    """

    answers: dict[str, Answers]
    splits: dict[str, dict[str, Any]]
    seen: dict[str, npt.NDArray[np.bool_]]
    beside: dict[str, Baselines]
    leaked: dict[str, dict[str, list[int]]]
    learned: Calibration | None
    unknown: str
    assumed: str


def judge(
    model: str, tables: dict[str, pa.Table], revision: str | None = None, name: str = "", backend: str | None = None
) -> Judged:
    """Asks a model, scores its answers, holds them against the baselines, and looks for its training tweets.

    Args:
        model: A run directory, a model folder or a Hub id.
        tables: Columns ``text``, ``label``, ``user``, ``time`` and ``topic`` of each split.
        revision: Of a Hub model.
        name: What it is called in messages.
        backend: What computes.
    """
    import numpy as np

    from sentiment140_bert.evaluation.protocol import scores_of as scored

    revision = settled(model, revision)
    classifier, name = open_classifier(model, revision, backend=backend), name or model
    assumed = map_labels(classifier.labels).assumed
    if assumed:
        log.warning("%s: %s", name, assumed)
    origin, learned = origins.origin_of(model, revision), _learned_by(classifier, model)
    baselines = origin.baselines()
    judged = Judged({}, {}, {}, {}, {}, learned, origin.unknown, assumed)
    for split, table in tables.items():
        found = judged.answers[split] = ask(classifier, table, f"{split} by {name}")
        judged.beside[split] = baselines or _of_the_scored(found)
        judged.splits[split] = scored(found, learned, judged.beside[split])
        judged.seen[split] = np.zeros(len(table), dtype=bool)
        leak = origins.leaked(origin, table)
        if leak:
            judged.splits[split]["leakage"] = leak["counts"]
            rows = judged.leaked[split] = leak["rows"]
            judged.seen[split][[*rows["exact"], *rows["near"]]] = True
            if judged.seen[split].any():
                log.warning("%s", _called_out(name, split, leak["counts"], len(table)))
    if origin.unknown:
        log.info("leakage: %s: %s", name, origin.unknown)
    return judged


def _of_the_scored(found: Answers) -> Baselines:
    """Where the training tweets are not known: the constant answer that is right on most of the scored ones."""
    from sentiment140_bert.evaluation.lift import Baselines

    truth = found.binary().truth
    return Baselines(float((truth == 1).mean()) if len(truth) else 0.5)


def _learned_by(classifier: Classifier, model: str) -> Calibration | None:
    """What a model brings along of its validation split."""
    from sentiment140_bert import models
    from sentiment140_bert.evaluation.calibration import Calibration

    if not models.is_calibrated(classifier.config):
        return None
    return Calibration(**models.calibration_of(classifier.config, model))


def _called_out(name: str, split: str, counts: dict[str, Any], n: int) -> str:
    """That a score is one on training tweets, in words."""
    found = f"{counts['exact']:,} of these {n:,} {split} tweets stand in its training data"
    near = f", {counts['near']:,} more nearly" if counts["near"] else ""
    return f"leakage: {name}: {found}{near}: the score on those says little."
