"""``s140 suspects``: the training tweets whose labels are most confidently contradicted."""

from __future__ import annotations

import csv
import importlib.util
import logging
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sentiment140_bert import run_lock
from sentiment140_bert.errors import DataError, MissingExtra, RunError
from sentiment140_bert.evaluation import scoring
from sentiment140_bert.experiments.label_issues import cross_validation
from sentiment140_bert.run_dir import RunDir, written_whole
from sentiment140_bert.runs import saved_recipe, without_checkpoint_repo

if TYPE_CHECKING:
    from sentiment140_bert.data.cache import Prepared
    from sentiment140_bert.experiments.label_issues.noise import Noise

log = logging.getLogger(__name__)
COLUMNS = ("rank", "row", "label", "suggested", "confidence", "label_quality", "sample", "text")


def suspects(
    path: Path,
    output: Path,
    *,
    by: str = "baseline",
    folds: int = 5,
    most: int | None = None,
    sample: int = 50,
    seed: int = 42,
) -> dict[str, Any]:
    """Writes the training tweets of a run whose given label is confidently contradicted, the worst first.

    It shows and does not decide: nothing is changed but ``output``.

    Args:
        path: A finished run.
        output: A ``.csv`` file; its folder must exist.
        by: ``baseline``: cross-validated TF-IDF; ``model``: the run's own recipe, trained ``folds`` times.
        folds: Parts of the training split, each answered by what was trained on the others.
        most: Write no more than so many.
        sample: Mark so many of them, drawn at random, in the column ``sample``.
        seed: Of the folds and of that sample.

    Returns:
        ``looked_at``, ``suspects`` (all), ``written``, ``share`` (of the looked at), ``noise`` (for each label the
        estimated share of its rows that is wrong), ``accuracy`` (of the answers, by the given labels), ``by``,
        ``folds``, ``sample``, ``output``, and ``command`` (that trains without the written ones).

    Raises:
        RunError: The run is unfinished, or its data are no longer what it was trained on.
        DataError: ``output`` cannot be written, or there are too few tweets for the folds.
        MissingExtra: cleanlab is not installed.
        Interrupted: A signal stopped a training; what was finished is kept.
    """
    from sentiment140_bert.experiments.label_issues import noise

    _refuse(output, folds, by)
    run = RunDir(path)
    recipe = saved_recipe(path)
    prepared = _data_of(run)
    train = prepared.splits()["train"]
    labels = np.array(train["label"])
    dealt = noise.folds(_priorities(train["text"], seed), labels, folds)
    log.info("suspects: %s training tweets, %d folds, by %s", f"{len(labels):,}", folds, by)
    if by == "model":
        with run_lock.held(path, "looking for suspects"):
            positive = cross_validation.by_model(run, without_checkpoint_repo(recipe, "a search for suspects"), dealt)
    else:
        positive = cross_validation.by_baseline(train, dealt)
    found = noise.find(labels, positive)
    written = found.suspects[:most]
    marked = np.random.default_rng(seed).choice(len(written), min(sample, len(written)), replace=False)
    _write(output, train, written, positive, found, set(marked.tolist()))
    if recipe.data.drop_suspects:
        log.warning(
            "suspects: this run was itself trained without those of %s, and the new list does not hold them: put both "
            "lists into one file to leave out both",
            recipe.data.drop_suspects,
        )
    return {
        "looked_at": len(labels),
        "suspects": len(found.suspects),
        "written": len(written),
        "share": len(found.suspects) / len(labels),
        "noise": dict(zip(_names(), found.rates, strict=True)),
        "accuracy": float(np.mean((positive >= 0.5) == labels)),
        "by": by,
        "folds": folds,
        "sample": len(marked),
        "output": str(output),
        "command": _command(path, output),
    }


def _refuse(output: Path, folds: int, by: str) -> None:
    """Raises what can be said before anything is computed."""
    from sentiment140_bert.data.texts import check_output

    if by not in ("baseline", "model"):
        raise RunError(f"by is {by!r}.", "It is baseline or model.")
    if folds < 2:
        raise RunError(f"{folds} folds: one part at least must be answered by another.", "Use --folds 2 or more.")
    if importlib.util.find_spec("cleanlab") is None:
        raise MissingExtra("Looking for wrong labels", "noise")
    check_output(output, (".csv",))
    if output.is_dir() or not os.access(output.parent, os.W_OK):
        raise DataError(f"{output} cannot be written.", "Choose another --output.")


def _data_of(run: RunDir) -> Prepared:
    if not run.is_finished():
        raise RunError(f"The run in {run.path} is not finished.", f"First: s140 train --output-dir {run.path} --resume")
    return scoring.data_of(run)


def _priorities(texts: Sequence[str], seed: int) -> npt.NDArray[np.uint64]:
    """The number by which each text is dealt out: that of its key, so that texts that count as equal stay together."""
    import pyarrow as pa

    from sentiment140_bert.data import clean, split

    keys = clean.keys(pa.chunked_array([pa.array(texts, pa.string())]))
    return split.priorities(keys, seed)


def _names() -> tuple[str, str]:
    from sentiment140_bert.data.schema import LABEL_NAMES, NEGATIVE, POSITIVE

    return LABEL_NAMES[NEGATIVE], LABEL_NAMES[POSITIVE]


def _write(
    output: Path,
    train: Any,
    written: npt.NDArray[np.int64],
    positive: npt.NDArray[np.float64],
    found: Noise,
    marked: set[int],
) -> None:
    from sentiment140_bert.data.cells import as_cell

    names = _names()
    chosen = train.select(written)
    texts, labels, rows = list(chosen["text"]), list(chosen["label"]), list(chosen["row"])
    with written_whole(output) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for at, (index, text, label, row) in enumerate(zip(written, texts, labels, rows, strict=True)):
            other = positive[index] if label == 0 else 1 - positive[index]
            numbers = (f"{other:.6f}", f"{found.quality[index]:.6f}")
            drawn = "yes" if at in marked else ""
            writer.writerow([at + 1, row, names[label], names[1 - label], *numbers, drawn, as_cell(text)])


def _command(path: Path, output: Path) -> str:
    run = RunDir(path)
    without = path.parent / f"{path.resolve().name}-without-suspects"
    words = ["s140", "train", "--recipe", run.recipe, "--drop-suspects", output, "--output-dir", without]
    return shlex.join(map(str, words))
