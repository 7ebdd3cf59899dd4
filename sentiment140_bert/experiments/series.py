"""A training that is one of many, in a run directory of its own: begin it or resume it, and read its predictions."""

from __future__ import annotations

import gc
import shutil
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from sentiment140_bert.data import loading
from sentiment140_bert.errors import Interrupted, RunError, first_line
from sentiment140_bert.locks import lock_folder
from sentiment140_bert.recipe import Recipe, list_differences
from sentiment140_bert.run import RunDir, saved_recipe
from sentiment140_bert.training.run import train as train_run

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def refuse_other_training(run: RunDir, recipe: Recipe, fingerprint: str) -> None:
    """Refuse a run directory that holds another training.

    Args:
        run: Empty, or of an earlier call.
        recipe: Recipe of this call.
        fingerprint: Fingerprint of its tweets.

    Raises:
        RunError: It was made by another recipe, or of other tweets.
    """
    if not run.is_run():
        return
    changed = list_differences(saved_recipe(run.path), recipe)
    then = run.read_data()["fingerprint"]
    if then != fingerprint:
        changed.append(f"the tweets: fingerprint {then[:12]} then, {fingerprint[:12]} now")
    if changed:
        raise RunError(
            f"{run.path} was trained with other settings: {'; '.join(changed)}.",
            "Use the recipe and tweets that it was started with, or choose another OUTPUT.",
        )


def train(
    run: RunDir,
    recipe: Recipe,
    data: loading.PreparedData,
    *,
    keep_model: bool,
    restart: bool = False,
    hint: str,
    arguments_given: list[str] | None = None,
) -> None:
    """Train a run to its end, or resume it, then remove its checkpoints. Remains of a failed start are removed.

    Args:
        run: The run directory.
        recipe: The recipe of the run.
        data: The prepared data of the recipe.
        keep_model: Keep the weights after scoring.
        restart: Replace an existing run.
        hint: What to do after an interruption.
        arguments_given: The arguments after ``s140`` on the command line.

    Raises:
        Interrupted: A signal stopped it; a checkpoint is kept.
        S140Error: As :func:`training.train`.
    """
    if run.path.exists() and not run.path.is_dir():
        raise RunError(f"{run.path} is a file.", "Remove it, or choose another OUTPUT.")
    with lock_folder(run.path, "training", create=True):
        if not run.is_run():
            run.clear()
        try:
            train_run(
                recipe,
                run.path,
                overwrite=restart,
                arguments_given=arguments_given,
                data=data,
                scores_only=not keep_model,
            )
        except Interrupted as stopped:
            raise Interrupted(stopped.message, hint, stopped.exit_code - 128) from None
        finally:
            free_memory()
        clean_up(run, keep_model)


def clean_up(run: RunDir, keep_model: bool) -> None:
    """Remove the checkpoints of a finished run and, unless it is to be kept, its model."""
    for folder in (run.checkpoints, *([] if keep_model else [run.model])):
        shutil.rmtree(folder, ignore_errors=True)


class Predictions(NamedTuple):
    """The labels of the tweets of a split that are not neutral, and which of them a model predicts correctly."""

    right: npt.NDArray[np.bool_]
    labels: npt.NDArray[np.int64]
    sha256: str  # of these tweets


def read_predictions(run: RunDir, splits: Iterable[str]) -> dict[str, Predictions]:
    """Return the predictions of a finished training, by split; a split that it was not scored on is omitted.

    Raises:
        RunError: ``predictions.parquet`` is missing or damaged.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    from sentiment140_bert.data.files import read_parquet
    from sentiment140_bert.data.report import hash_rows

    try:
        table = read_parquet(run.predictions, ["split", "text", "label", "positive"])
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise RunError(
            f"{run.predictions} cannot be read: {first_line(error)}.",
            f"Remove {run.path}; the command that made it trains it again.",
        ) from None
    predictions = {}
    for split in splits:
        rows = table.filter(pc.and_(pc.equal(table["split"], split), pc.less(table["label"], 2)))
        if len(rows):
            labels = rows["label"].to_numpy().astype("int64")
            is_right = (rows["positive"].to_numpy() >= 0.5) == (labels == 1)
            predictions[split] = Predictions(is_right, labels, hash_rows(rows))
    return predictions


def free_memory() -> None:
    """Give back the memory of the training before."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
