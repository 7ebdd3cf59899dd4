"""``s140 suspects``: the training tweets whose labels are most likely wrong, by confident learning."""

from __future__ import annotations

import csv
import importlib.util
import logging
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from typing_extensions import TypedDict

from sentiment140_bert import schemas
from sentiment140_bert.errors import DataError, MissingExtra, RunError
from sentiment140_bert.evaluation.run import load_run_data
from sentiment140_bert.experiments.label_issues import cross_validation
from sentiment140_bert.files import Place, expand_path, write_whole
from sentiment140_bert.locks import expand_folder, lock_folder
from sentiment140_bert.models.labels import LABEL_NAMES, NEGATIVE, POSITIVE
from sentiment140_bert.recipe import drop_checkpoint_repo
from sentiment140_bert.recipe.values import LARGEST_SEED
from sentiment140_bert.run import RunDir, saved_recipe

if TYPE_CHECKING:
    from datasets import Dataset

    from sentiment140_bert.recipe import Recipe

log = logging.getLogger(__name__)
COLUMNS = ("rank", "row", "label", "suggested", "confidence", "label_quality", "sample", "text")
METHODS = ("baseline", "model")
NAMES = LABEL_NAMES[NEGATIVE], LABEL_NAMES[POSITIVE]
BOTH = 2  # stratum of a text that carries both labels
Indices = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LabelIssues:
    """The labels that out-of-sample probabilities contradict.

    Args:
        rows: Rows whose label is confidently contradicted, the worst first.
        quality: P(its label) of each row, shape (n,).
        rates: The estimated share of wrong labels among the rows labeled negative, and among those labeled positive.
    """

    rows: Indices
    quality: Floats
    rates: tuple[float, float]


class SuspectsResult(TypedDict):
    """The numbers of tweets, and the command that trains without the written ones.

    ``share`` is that of the suspects among the tweets that were looked at, ``noise`` for each label the estimated share
    of its rows that is wrong, ``accuracy`` that of the predictions, by the labels.
    """

    looked_at: int
    suspects: int
    written: int
    sample: int
    share: float
    noise: dict[str, float]
    accuracy: float
    by: str
    folds: int
    output: str
    command: str


def suspects(
    path: Place,
    output: Place,
    *,
    by: str = "baseline",
    folds: int = 5,
    most: int | None = None,
    sample: int = 50,
    seed: int = 42,
) -> SuspectsResult:
    """Write the training tweets of a run whose label is confidently contradicted, the worst first; change nothing else.

    Args:
        path: A finished run.
        output: A ``.csv`` file; its folder must exist.
        by: ``baseline``: cross-validated TF-IDF; ``model``: the run's own recipe, trained ``folds`` times.
        folds: Parts of the training split, each predicted by what was trained on the others.
        most: Write at most this many.
        sample: Mark this many of them, chosen at random, in the column ``sample``.
        seed: Seed of the folds and of that sample.

    Raises:
        S140Error: The run, its data, ``output``, the folds or cleanlab are unusable; or a signal stopped a training.
    """
    path, output = expand_folder(path), expand_path(output, "output")
    _check_arguments(output, folds, by, seed)
    run, recipe = RunDir(path), saved_recipe(path)
    train = _read_train_split(run)
    labels = np.array(train["label"])
    fold_of_row = split_folds(_order_texts(train["text"], seed), labels, folds)
    positive = _predict_out_of_sample(run, recipe, train, fold_of_row, by)
    issues = find_label_issues(labels, positive)
    written = issues.rows[:most]
    marked = np.random.default_rng(seed).choice(len(written), min(sample, len(written)), replace=False)
    _write(output, train, written, positive, issues.quality, set(marked.tolist()))
    _warn_of_earlier_list(recipe)
    return {
        "looked_at": len(labels),
        "suspects": len(issues.rows),
        "written": len(written),
        "sample": len(marked),
        "share": len(issues.rows) / len(labels),
        "noise": dict(zip(NAMES, issues.rates, strict=True)),
        "accuracy": float(np.mean((positive >= 0.5) == labels)),
        "by": by,
        "folds": folds,
        "output": str(output),
        "command": _format_command(path, output),
    }


def _warn_of_earlier_list(recipe: Recipe) -> None:
    if recipe.data.drop_suspects:
        log.warning(
            "suspects: this run was itself trained without the tweets of %s, which the new list does not include: "
            "merge both lists into one file to leave out all of them",
            recipe.data.drop_suspects,
        )


def _check_arguments(output: Path, folds: int, by: str, seed: int) -> None:
    """Raise an error for whatever is wrong before anything is computed."""
    from sentiment140_bert.data.texts import check_output

    if by not in METHODS:
        raise RunError(f"by must be baseline or model, not {by!r}.", "Choose one.")
    if folds < 2:
        raise RunError(f"--folds must be at least 2, not {folds}.", "Each fold is predicted by a model of the others.")
    if not 0 <= seed <= LARGEST_SEED:
        raise RunError(f"--seed must be between 0 and {LARGEST_SEED:,}, not {seed}.", "Choose another.")
    if importlib.util.find_spec("cleanlab") is None:
        raise MissingExtra("Looking for wrong labels", "noise")
    check_output(output, (".csv",))
    if output.is_dir() or not os.access(output.parent, os.W_OK):
        raise DataError(f"{output} cannot be written.", "Choose another --output.")


def _read_train_split(run: RunDir) -> Dataset:
    if not run.is_finished():
        raise RunError(f"The run in {run.path} is not finished.", f"First: s140 train --output-dir {run.path} --resume")
    prepared = load_run_data(run)
    if schemas.count_labels(prepared.report) > 2:
        raise RunError(
            f"{run.path} was trained on three labels, and label issues are looked for among two.",
            "Train a run with --labels 2, and look there.",
        )
    return prepared.splits()["train"]


def _order_texts(texts: Sequence[str], seed: int) -> npt.NDArray[np.uint64]:
    """Return a random number for each text, the same for texts that count as equal."""
    import pyarrow as pa

    from sentiment140_bert.data import clean

    keys = clean.make_keys(pa.chunked_array([pa.array(texts, pa.string())]))
    return clean.hash_keys(keys, seed)


def split_folds(priorities: npt.NDArray[np.uint64], labels: Indices, count: int) -> Indices:
    """Return the fold of each row, 0 to ``count`` - 1, stratified by label; equal texts share a fold.

    Args:
        priorities: A number for each row, the same for equal texts; texts are dealt out in its order.
        labels: 0 or 1 of each row.
        count: At least 2.

    Raises:
        DataError: There are fewer texts of a label than folds.
    """
    texts, text = np.unique(priorities, return_inverse=True)
    positive, total = np.bincount(text, labels), np.bincount(text)
    strata = np.where(positive == 0, 0, np.where(positive == total, 1, BOTH))
    fold = np.empty(len(texts), dtype=np.int64)
    for stratum in range(BOTH + 1):
        members = np.flatnonzero(strata == stratum)
        if stratum != BOTH and len(members) < count:
            raise DataError(
                f"{count} folds need {count} texts or more of each label; one label has {len(members)}.",
                "Lower --folds.",
            )
        fold[members] = np.arange(len(members)) % count
    return fold[text]


def _predict_out_of_sample(run: RunDir, recipe: Recipe, train: Dataset, fold_of_row: Indices, by: str) -> Floats:
    from sentiment140_bert import models

    log.info("suspects: %s training tweets, %d folds, by %s", f"{len(train):,}", fold_of_row.max() + 1, by)
    if by == "baseline":
        return cross_validation.predict_by_baseline(train, fold_of_row)
    base = recipe.model.model_name_or_path
    with models.keep_base_model(base), lock_folder(run.path, "looking for suspects"):
        recipe = drop_checkpoint_repo(recipe, "a search for suspects")
        return cross_validation.predict_by_model(run, recipe, fold_of_row)


def find_label_issues(labels: Indices, positive: Floats) -> LabelIssues:
    """Find the labels that are contradicted, by confident learning (Northcutt, Jiang and Chuang 2021).

    A row is suspect where the other label's probability is above that label's own average (over the rows that carry
    it) and is the higher one: the off-diagonal of the confident joint. They are ranked by the probability of their
    own label. ``rates`` come from the confident joint, calibrated to the counts of the labels; the weaker the
    predictions, the more of their own mistakes these rates include.

    Args:
        labels: 0 or 1, shape (n,); both occur.
        positive: P(positive) of each row by something that was not trained on it.
    """
    from cleanlab import count, filter, rank

    probabilities = np.column_stack([1 - positive, positive])
    # Of cleanlab's ways to choose this was the most precise: with 5% of 90,000 real tweets flipped, 26% of what it
    # chose were flipped ones and it found 58% of them; "prune_by_noise_rate", cleanlab's default: 21% and 69%.
    rows = filter.find_label_issues(
        labels, probabilities, filter_by="confident_learning", return_indices_ranked_by="self_confidence", n_jobs=1
    )
    joint = count.estimate_joint(labels, probabilities)
    negative_rate, positive_rate = (float(1 - joint[label, label] / joint[label].sum()) for label in (0, 1))
    quality = rank.get_label_quality_scores(labels, probabilities, method="self_confidence")
    return LabelIssues(np.asarray(rows, dtype=np.int64), np.asarray(quality), (negative_rate, positive_rate))


def _write(output: Path, train: Dataset, written: Indices, positive: Floats, quality: Floats, marked: set[int]) -> None:
    from sentiment140_bert.data.texts import escape_cell

    rows = train.select(written)
    with write_whole(output) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        columns = (list(rows[name]) for name in ("text", "label", "row"))
        for at, (index, text, label, row) in enumerate(zip(written, *columns, strict=True)):
            confidence = positive[index] if label == 0 else 1 - positive[index]
            numbers = (f"{confidence:.6f}", f"{quality[index]:.6f}")
            sampled = "yes" if at in marked else ""
            writer.writerow([at + 1, row, NAMES[label], NAMES[1 - label], *numbers, sampled, escape_cell(text)])


def _format_command(path: Path, output: Path) -> str:
    run = RunDir(path)
    without = path.parent / f"{path.resolve().name}-without-suspects"
    words = ["s140", "train", "--recipe", run.recipe, "--drop-suspects", output, "--output-dir", without]
    return shlex.join(map(str, words))
