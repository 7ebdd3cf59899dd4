"""``s140 evaluate A B …``: several models on the same tweets."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment140_bert.errors import DataError, RunError
from sentiment140_bert.recipe import DataConfig
from sentiment140_bert.run_dir import RunDir, written_whole
from sentiment140_bert.workflows import origins, scoring
from sentiment140_bert.workflows.answering import load_classifier

if TYPE_CHECKING:
    import pyarrow as pa

    from sentiment140_bert.evaluation.answers import Answers

log = logging.getLogger(__name__)


def compare(
    models: Sequence[str],
    data: DataConfig | None = None,
    *,
    model_revision: str | None = None,
    differences: Path | None = None,
) -> dict[str, Any]:
    """Scores several classifiers on the same tweets, and says which differences are more than chance.

    Args:
        models: Run directories, model folders or Hub ids, two or more.
        data: The tweets; without them those that the first one, a run, was held out from.
        model_revision: Of all Hub models among them.
        differences: A .csv or .parquet file for the tweets on which not all are right or all wrong.

    Returns:
        ``models``: ``splits`` of each, as in ``metrics.json``. ``comparisons``: for each split and pair ``split``,
        ``models``, what :func:`~sentiment140_bert.evaluation.comparison.compared` gives, and ``in_words``.
        ``differing``: rows written.

    Raises:
        RunError: No tweets were named, and the first is no run.
        DataError: ``differences`` cannot be written.
    """
    from sentiment140_bert.evaluation import comparison, protocol
    from sentiment140_bert.evaluation.lift import Baselines

    if differences:
        _check(differences)
    names = _names(models)
    tables = _tables(models[0], data)
    found: dict[str, dict[str, Answers]] = {}
    result: dict[str, Any] = {"models": {}, "comparisons": []}
    for model, name in zip(models, names, strict=True):
        classifier = load_classifier(model, model_revision)
        origin = origins.origin_of(model, model_revision)
        found[name] = {split: scoring.ask(classifier, table, f"{split} by {name}") for split, table in tables.items()}
        learned = scoring.learned_by(classifier, model)
        splits = result["models"][name] = {}
        for split, each in found[name].items():
            constant = Baselines(float((each.binary().truth == 1).mean()))
            splits[split] = protocol.scores_of(each, learned, constant)
            seen = origins.leaked(origin, tables[split])
            if seen:
                splits[split]["leakage"] = seen["counts"]
                if seen["counts"]["exact"] or seen["counts"]["near"]:
                    log.warning("%s", scoring.called_out(name, split, seen["counts"], len(tables[split])))
    for split, (one, other) in itertools.product(tables, itertools.combinations(names, 2)):
        first, second = found[one][split].binary(), found[other][split].binary()
        if len(first.truth):
            told = comparison.compared(first.right, second.right, first.truth)
            words = comparison.in_words(told, one, other)
            result["comparisons"].append({"split": split, "models": [one, other]} | told | {"in_words": words})
    if differences:
        result["differing"] = _write(differences, found)
    return result


def _names(models: Sequence[str]) -> list[str]:
    """What each is called in the result; the same one twice is told apart."""
    return [model if models.count(model) == 1 else f"{model} ({at})" for at, model in enumerate(models, start=1)]


def _tables(first: str, data: DataConfig | None) -> dict[str, pa.Table]:
    from sentiment140_bert.data.prepare import whole

    if data:
        return whole(data)
    run = RunDir(Path(first).expanduser())
    if not run.is_run():
        raise RunError(f"{first} is not a run directory, so it has no data of its own.", "Name tweets with --dataset.")
    return scoring.scored_tables(scoring.data_of(run))


def _check(path: Path) -> None:
    if path.suffix not in (".csv", ".parquet"):
        raise DataError(f"{path} has no ending that can be written.", "Known: .csv, .parquet.")
    if not path.parent.is_dir():
        raise DataError(f"The folder {path.parent} does not exist.", "Make it first.")


def _write(path: Path, found: dict[str, dict[str, Answers]]) -> int:
    """Writes the tweets on which the models differ, and returns how many there are."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    from sentiment140_bert.data.cells import as_cell

    parts = []
    for split in next(iter(found.values())):
        each = {name: answers[split].binary() for name, answers in found.items()}
        right = np.stack([answers.right for answers in each.values()])
        chosen = np.flatnonzero(right.any(axis=0) & ~right.all(axis=0))
        one = next(iter(each.values()))
        columns: dict[str, Any] = {
            "split": [split] * len(chosen),
            "text": [one.texts[at] for at in chosen.tolist()],
            "label": ["positive" if one.truth[at] else "negative" for at in chosen],
        }
        columns |= {f"P(positive) {name}": answers.positive[chosen] for name, answers in each.items()}
        parts.append(pa.table(columns))
    table = pa.concat_tables(parts, promote_options="permissive")
    if path.suffix == ".csv":
        cells = pa.array(map(as_cell, table["text"].to_pylist()), pa.string())
        table = table.set_column(table.column_names.index("text"), "text", cells)
    with written_whole(path) as temporary:
        if path.suffix == ".parquet":
            pyarrow.parquet.write_table(table, temporary)
        else:
            pyarrow.csv.write_csv(table, temporary)
    return len(table)
