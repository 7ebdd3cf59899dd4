"""``s140 evaluate`` of a run: its own weights on its own splits."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment140_bert import run_lock
from sentiment140_bert.cards.model import redraw_figures, write_model_folder
from sentiment140_bert.data import preparing
from sentiment140_bert.errors import RunError
from sentiment140_bert.evaluation import baselines
from sentiment140_bert.inference.answering import answers, load_classifier
from sentiment140_bert.models.labels import map_labels
from sentiment140_bert.run_dir import RunDir, sha256_of, write_json, written_whole
from sentiment140_bert.runs import saved_recipe
from sentiment140_bert.tracking import tracks

if TYPE_CHECKING:
    import pyarrow as pa

    from sentiment140_bert.data.cache import Prepared
    from sentiment140_bert.evaluation.answers import Answers
    from sentiment140_bert.evaluation.calibration import Calibration
    from sentiment140_bert.inference import Classifier

log = logging.getLogger(__name__)
SPLITS = ("validation", "test", "manual")
# What the model card shows the model to answer: invented, easy and hard, with what the tokenizer masks and repairs.
EXAMPLES = (
    "what a lovely surprise, made my whole week",
    "missed the last bus home, and now it's raining",
    "@user you have GOT to hear this http://example.com/song &amp; tell me what you think",
    "not bad at all",
    "great, another monday",
)


@dataclass(frozen=True)
class Scored:
    """``metrics`` is the content of ``metrics.json``, the weights' hash aside; ``answers`` are by split."""

    metrics: dict[str, Any]
    answers: dict[str, Answers]
    calibration: Calibration


def evaluate_run(path: Path) -> dict[str, Any]:
    """Scores the weights in a run's ``model/`` on its own validation, test and manual splits, and tells its trackers.

    Writes ``metrics.json``, ``predictions.parquet``, the figures, and the model folder's card and other companions.

    Raises:
        RunError: The run has no model, or its data are no longer what it was trained on.
    """
    with run_lock.held(path, "scoring"), tracks.going_on(RunDir(path)):
        return score_run(path)


def score_run(path: Path, prepared: Prepared | None = None, *, scores_only: bool = False) -> dict[str, Any]:
    """As :func:`evaluate_run`, within a tracked run that is open.

    Args:
        path: The run directory.
        prepared: Its data, if they are at hand; else they are prepared again from its recipe.
        scores_only: Write scores and predictions alone: nothing of what makes the model folder complete.
    """
    from sentiment140_bert import models

    run = RunDir(path)
    classifier = load_classifier(str(path))
    prepared = prepared or data_of(run)
    scored = scores_of(classifier, prepared)
    metrics = scored.metrics | {"weights_sha256": sha256_of(run.weights)}
    _write_predictions(run, scored.answers)
    if not scores_only:
        models.write_calibration(run.model, asdict(scored.calibration))
        _write_training_rows(run, prepared)
        redraw_figures(run, metrics)
        write_model_folder(run, metrics)
    write_json(run.metrics, metrics)  # last: a run that has it is finished
    return metrics


def data_of(run: RunDir) -> Prepared:
    """The splits of a run, prepared again from its recipe where they are not in the cache.

    Raises:
        RunError: They are no longer what the run was trained on.
    """
    prepared, _ = preparing.splits(saved_recipe(run.path).data)
    if run.data.is_file() and run.read(run.data)["fingerprint"] != prepared.report["fingerprint"]:
        raise RunError(
            f"The data of {run.path} are not what they were when it was trained (the fingerprint differs).",
            "Give the original file back, or score another one with --dataset.",
        )
    return prepared


def scores_of(classifier: Classifier, prepared: Prepared, examples: Sequence[str] = EXAMPLES) -> Scored:
    """Scores on the validation, test and manual splits, each apart; only validation teaches anything."""
    from sentiment140_bert.evaluation import calibration, intervals, protocol

    found = {name: ask(classifier, table, name) for name, table in scored_tables(prepared).items()}
    validation = found["validation"].binary()
    learned = calibration.fitted(validation.positive, validation.truth)
    beside = baselines.of_training(prepared)
    leakage = _leakage_of(prepared)
    splits = {
        name: protocol.scores_of(each, learned, beside) | ({"leakage": leakage[name]} if name in leakage else {})
        for name, each in found.items()
    }
    metrics = {
        "splits": splits,
        "confidence_level": intervals.CONFIDENCE_LEVEL,
        "intervals": intervals.METHOD,
        "temperature": {"value": learned.temperature, "fitted_on": "validation", "n": len(validation.truth)},
        "abstention": {"threshold": learned.neutral_below, "share": calibration.ABSTAINING},
        "examples": [{"text": text, **answer._asdict()} for text, answer in answers(classifier, examples)],
        "data_fingerprint": prepared.report["fingerprint"],
    }
    return Scored(metrics, found, learned)


def _leakage_of(prepared: Prepared) -> dict[str, dict[str, Any]]:
    """What the splits share with training; of published ones it is counted again, as far as they let it."""
    from sentiment140_bert.data import leakage

    told: dict[str, dict[str, Any]] = prepared.report.get("leakage", {})
    if "published" not in prepared.report:
        return told
    splits = {name: split.with_format("arrow")[:] for name, split in prepared.splits().items()}
    found = leakage.audits({name: splits[name] for name in SPLITS if name in splits}, splits["train"])
    nothing: dict[str, Any] = {"same_user": None, "overlapping_in_time": None}
    return {
        name: nothing | told.get(name, {}) | {"exact": len(each.exact), "near": len(each.near)}
        for name, each in found.items()
    }


def scored_tables(prepared: Prepared) -> dict[str, pa.Table]:
    """Validation, test, and manual with its neutral tweets, as far as there are such."""
    import pyarrow as pa

    splits = {name: split.with_format("arrow")[:] for name, split in prepared.splits().items()}
    tables = {name: splits[name] for name in SPLITS if name in splits}
    if "manual" in tables and "manual_neutral" in splits:
        parts = [splits[name].replace_schema_metadata(None) for name in ("manual", "manual_neutral")]
        tables["manual"] = pa.concat_tables(parts)
    return tables


def ask(classifier: Classifier, table: pa.Table, name: str) -> Answers:
    """What a classifier answers on labelled tweets.

    Args:
        classifier: A sentiment classifier.
        table: Columns ``text`` and ``label``, perhaps ``topic``.
        name: Of the split, to be told.
    """
    from sentiment140_bert.data import clean
    from sentiment140_bert.evaluation.answers import asked

    log.info("scoring %s: %s tweets", name, f"{len(table):,}")
    topics = table["topic"].to_pylist() if "topic" in table.column_names else None
    texts, truth = table["text"].to_pylist(), table["label"].to_numpy().astype("int64")
    shown = clean.clean(table["text"], "repair")[0].to_pylist()  # "&amp; " is no emoticon
    return asked(texts, truth, classifier.probabilities, map_labels(classifier.labels), topics, shown)


def _write_training_rows(run: RunDir, prepared: Prepared) -> None:
    from sentiment140_bert.data import leakage

    texts = prepared.splits()["train"].with_format("arrow")[:]["text"]
    leakage.write_hashes(run.training_rows, leakage.row_hashes(texts))


def _write_predictions(run: RunDir, found: dict[str, Answers]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts = [
        pa.table(
            {
                "split": pa.array([name] * len(each.truth), pa.string()),
                "text": pa.array(each.texts, pa.string()),
                "label": pa.array(each.truth, pa.int8()),
                "positive": pa.array(each.positive, pa.float64()),
                "topic": pa.array(each.topics or [None] * len(each.truth), pa.string()),
            }
        )
        for name, each in found.items()
    ]
    with written_whole(run.predictions) as temporary:
        pq.write_table(pa.concat_tables(parts), temporary)
