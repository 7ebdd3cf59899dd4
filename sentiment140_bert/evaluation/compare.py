"""``s140 evaluate A B …``: several models on the same tweets."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired

import numpy as np
from typing_extensions import TypedDict

from sentiment140_bert import schemas
from sentiment140_bert.errors import RunError
from sentiment140_bert.evaluation.evaluate import Evaluation, evaluate_model
from sentiment140_bert.evaluation.intervals import SIGNIFICANT, Comparison, compare_accuracy
from sentiment140_bert.evaluation.run import load_run_data, load_scored_tables
from sentiment140_bert.files import Place, expand_path, to_name, write_whole
from sentiment140_bert.inference.predict import check_model_name
from sentiment140_bert.recipe import DataConfig, as_data
from sentiment140_bert.run import RunDir

if TYPE_CHECKING:
    import pyarrow as pa

    from sentiment140_bert.evaluation.predictions import Predictions


class PairComparison(Comparison):
    """Two models on the tweets of a split."""

    split: str
    models: list[str]
    in_words: str


class ModelComparison(TypedDict):
    """Several models on the same tweets.

    ``models`` has the ``splits`` of each, as in ``metrics.json``; ``comparisons`` one entry for each split and pair,
    and for ``NAME_unseen``, without the tweets that a model was trained on. ``leaked``, ``unknown`` and ``assumed`` are
    those of :class:`Evaluation`, by model. ``differing`` counts the rows of the file of differences.
    """

    models: dict[str, dict[str, schemas.SplitScores]]
    comparisons: list[PairComparison]
    leaked: dict[str, dict[str, dict[str, list[int]]]]
    unknown: dict[str, str]
    assumed: dict[str, str]
    differing: NotRequired[int]


def compare(
    models: Sequence[Place],
    data: DataConfig | Place | None = None,
    *,
    model_revision: str | None = None,
    differences: Place | None = None,
) -> ModelComparison:
    """Score several classifiers on the same tweets, and test which differences are significant.

    Args:
        models: Run directories, model folders or Hub ids, two or more.
        data: The tweets; default: the held-out splits of the first model, which must be a run.
        model_revision: Revision of every Hub model among them.
        differences: A .csv or .parquet file for the tweets on which not all are right or all wrong.

    Raises:
        RunError: There is no ``data``, and the first model is not a run.
        DataError: ``differences`` cannot be written.
    """
    from sentiment140_bert.data.texts import check_output

    target = expand_path(differences, "differences") if differences else None
    if target:
        check_output(target, (".csv", ".parquet"))
    places = [to_name(model) for model in models]
    names = _name_models(places)
    tables = _load_tables(places[0], as_data(data) if data else None)
    evaluations = {
        name: evaluate_model(model, tables, model_revision, name) for model, name in zip(places, names, strict=True)
    }
    comparisons = [
        _compare_pair(split, first, second, predictions)
        for split, predictions in _group_by_split(evaluations, tables).items()
        for first, second in itertools.combinations(names, 2)
    ]
    result: ModelComparison = {
        "models": {name: evaluation.splits for name, evaluation in evaluations.items()},
        "comparisons": comparisons,
        "leaked": {name: evaluation.leaked for name, evaluation in evaluations.items()},
        "unknown": {name: evaluation.unknown for name, evaluation in evaluations.items() if evaluation.unknown},
        "assumed": {name: evaluation.assumed for name, evaluation in evaluations.items() if evaluation.assumed},
    }
    if target:
        result["differing"] = _write_differences(target, evaluations)
    return result


def _name_models(models: Sequence[str]) -> list[str]:
    """Return the names of models in the result; the same one twice gets a number."""
    return [model if models.count(model) == 1 else f"{model} ({at})" for at, model in enumerate(models, start=1)]


def _load_tables(first: str, data: DataConfig | None) -> dict[str, pa.Table]:
    from sentiment140_bert.data.pipeline import load_unsplit

    if data:
        return load_unsplit(data)
    run = RunDir(expand_path(first))
    if not run.is_run():
        check_model_name(first)
        raise RunError(f"{first} is not a run directory, so it has no data of its own.", "Name tweets with --dataset.")
    return load_scored_tables(load_run_data(run))


def _group_by_split(evaluations: Mapping[str, Evaluation], splits: Iterable[str]) -> dict[str, dict[str, Predictions]]:
    """Return the models' predictions on the tweets of each split that are not neutral, and on its unseen ones.

    Splits without such tweets are left out, and so is ``NAME_unseen`` if no model was trained on any of them.
    """
    groups = {}
    for split in splits:
        is_known = np.any([evaluation.in_training[split] for evaluation in evaluations.values()], axis=0)
        predictions = {name: evaluation.predictions[split] for name, evaluation in evaluations.items()}
        groups[split] = {name: some.drop_neutral() for name, some in predictions.items()}
        if is_known.any():
            groups[f"{split}_unseen"] = {
                name: some.select(~is_known).drop_neutral() for name, some in predictions.items()
            }
    return {split: group for split, group in groups.items() if len(next(iter(group.values())).truth)}


def _compare_pair(split: str, first: str, second: str, predictions: Mapping[str, Predictions]) -> PairComparison:
    truth = predictions[first].truth
    comparison = compare_accuracy(predictions[first].correct, predictions[second].correct, truth)
    words = describe_comparison(comparison, first, second)
    return {"split": split, "models": [first, second], **comparison, "in_words": words}


def describe_comparison(comparison: Comparison, first: str, second: str) -> str:
    """Say which model is better, or that the difference is not significant."""
    one, other, gap = comparison["first"], comparison["second"], comparison["difference"]
    accuracies = f"{first} {one['value']:.3f} and {second} {other['value']:.3f} on {comparison['n']:,} tweets"
    spread = f"between {gap['low']:+.3f} and {gap['high']:+.3f}, p = {comparison['p_value']:.2g}"
    if not comparison["only_first_right"] + comparison["only_second_right"]:
        return f"{accuracies}: both are right and wrong on the same tweets."
    if comparison["p_value"] >= SIGNIFICANT:
        if not gap["low"] <= 0 <= gap["high"]:
            spread += "; trust the p-value, the interval is rough where few predictions differ"
        return f"{accuracies}: the difference is not significant ({spread})."
    better = first if gap["value"] > 0 else second
    return f"{accuracies}: {better} is better (difference {spread})."


def _write_differences(path: Path, evaluations: Mapping[str, Evaluation]) -> int:
    """Write the tweets on which the models differ, and return their number."""
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    from sentiment140_bert.data.texts import escape_cell

    parts = []
    for split in next(iter(evaluations.values())).predictions:
        predictions = {name: evaluation.predictions[split].drop_neutral() for name, evaluation in evaluations.items()}
        correct = np.stack([some.correct for some in predictions.values()])
        chosen = np.flatnonzero(correct.any(axis=0) & ~correct.all(axis=0))
        first = next(iter(predictions.values()))
        columns: dict[str, Any] = {
            "split": [split] * len(chosen),
            "text": [first.texts[at] for at in chosen.tolist()],
            "label": ["positive" if first.truth[at] else "negative" for at in chosen],
        }
        columns |= {f"P(positive) {name}": some.positive[chosen] for name, some in predictions.items()}
        parts.append(pa.table(columns))
    table = pa.concat_tables(parts, promote_options="permissive")
    if path.suffix == ".csv":
        cells = pa.array(map(escape_cell, table["text"].to_pylist()), pa.string())
        table = table.set_column(table.column_names.index("text"), "text", cells)
    with write_whole(path) as temporary:
        if path.suffix == ".parquet":
            pyarrow.parquet.write_table(table, temporary)
        else:
            pyarrow.csv.write_csv(table, temporary)
    return len(table)
