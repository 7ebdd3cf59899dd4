"""``s140 evaluate A B …``: several models on the same tweets."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment140_bert.errors import RunError
from sentiment140_bert.evaluation import judging, scoring
from sentiment140_bert.files import expand_path
from sentiment140_bert.recipe import DataConfig
from sentiment140_bert.run_dir import RunDir, written_whole

if TYPE_CHECKING:
    import pyarrow as pa

    from sentiment140_bert.evaluation.answers import Answers
    from sentiment140_bert.evaluation.judging import Judged


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
        Where a model was trained on some of the tweets, ``NAME_unseen`` compares on those that none was trained on.
        ``leaked``, ``unknown`` and ``assumed`` as :func:`~sentiment140_bert.evaluation.judging.evaluate` gives them,
        by model. ``differing``: rows written.

    Raises:
        RunError: No tweets were named, and the first is no run.
        DataError: ``differences`` cannot be written.
    """
    from sentiment140_bert.data.texts import check_output

    if differences:
        check_output(differences, (".csv", ".parquet"))
    names = _names(models)
    tables = _tables(models[0], data)
    judged = {
        name: judging.judge(model, tables, model_revision, name) for model, name in zip(models, names, strict=True)
    }
    comparisons = [
        _compared(split, pair, found)
        for split, found in _groups(judged, tables).items()
        for pair in itertools.combinations(names, 2)
    ]
    result: dict[str, Any] = {
        "models": {name: each.splits for name, each in judged.items()},
        "comparisons": comparisons,
        "leaked": {name: each.leaked for name, each in judged.items()},
        "unknown": {name: each.unknown for name, each in judged.items() if each.unknown},
        "assumed": {name: each.assumed for name, each in judged.items() if each.assumed},
    }
    if differences:
        result["differing"] = _write(differences, {name: each.answers for name, each in judged.items()})
    return result


def _groups(judged: dict[str, Judged], splits: Iterable[str]) -> dict[str, dict[str, Answers]]:
    """What the models answered on the tweets of each split that are not neutral, and on those that none was trained on.

    Splits without such tweets are left out, and so is ``NAME_unseen`` where no model was trained on any of them.
    """
    import numpy as np

    groups = {}
    for split in splits:
        seen = np.any([each.seen[split] for each in judged.values()], axis=0)
        groups[split] = {name: each.answers[split].binary() for name, each in judged.items()}
        if seen.any():
            unseen = {name: each.answers[split].only(~seen).binary() for name, each in judged.items()}
            groups[f"{split}_unseen"] = unseen
    return {split: found for split, found in groups.items() if len(next(iter(found.values())).truth)}


def _compared(split: str, pair: tuple[str, str], found: dict[str, Answers]) -> dict[str, Any]:
    """Two models on the same tweets."""
    from sentiment140_bert.evaluation import comparison

    first, second = (found[name] for name in pair)
    told = comparison.compared(first.right, second.right, first.truth)
    return {"split": split, "models": list(pair)} | told | {"in_words": comparison.in_words(told, *pair)}


def _names(models: Sequence[str]) -> list[str]:
    """What each is called in the result; the same one twice is told apart."""
    return [model if models.count(model) == 1 else f"{model} ({at})" for at, model in enumerate(models, start=1)]


def _tables(first: str, data: DataConfig | None) -> dict[str, pa.Table]:
    from sentiment140_bert.data.prepare import whole

    if data:
        return whole(data)
    run = RunDir(expand_path(first))
    if not run.is_run():
        raise RunError(f"{first} is not a run directory, so it has no data of its own.", "Name tweets with --dataset.")
    return scoring.scored_tables(scoring.data_of(run))


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
