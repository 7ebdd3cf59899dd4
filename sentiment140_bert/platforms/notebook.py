"""Functions for the cells of a notebook on Colab, on Databricks and elsewhere: a cell is one call."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import warnings
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import sentiment140_bert
from sentiment140_bert import schemas
from sentiment140_bert.cards.markup import format_score
from sentiment140_bert.credentials import conceal_output
from sentiment140_bert.errors import Interrupted, RunError
from sentiment140_bert.recipe import load_recipe
from sentiment140_bert.results import make_table
from sentiment140_bert.run import CALIBRATION, CONFUSION, LEARNING, RunDir
from sentiment140_bert.schemas import SCORES
from sentiment140_bert.text import escape_hidden
from sentiment140_bert.trust import check_folder

__all__ = [
    "begin",
    "choose_recipe",
    "classify",
    "find_secrets",
    "push",
    "runs_folder",
    "show_calibration",
    "show_confusion_matrix",
    "show_curves",
    "show_scores",
    "train_or_resume",
    "widgets",
]

SECRETS = ("HF_TOKEN", "WANDB_API_KEY")
DRIVE = Path("/content/drive/MyDrive")
WITH_GPU, WITHOUT_GPU = "colab-t4", "quickstart"
# Errors of google.colab.userdata, by name: its classes exist only there, and older runtimes lack one.
REFUSALS = {
    "SecretNotFoundError": "not among the notebook's secrets",
    "NotebookAccessError": "set, but this notebook has no access: switch it on (key icon, on the left)",
    "TimeoutException": "not available: Colab did not answer in time",
}
PREFIX = "S140_NOTEBOOK_"


def begin() -> None:
    """Show the package's log in the notebook, and print versions and GPU."""
    warnings.filterwarnings("ignore", "IProgress not found")  # of tqdm, which then shows its bars as text
    import datasets
    import torch
    from transformers.utils import logging as transformers_logging

    logger = logging.getLogger("sentiment140_bert")
    logger.handlers = [logging.StreamHandler(sys.stdout)]
    conceal_output()
    logger.setLevel(logging.INFO)
    logger.propagate = False
    datasets.disable_progress_bars()
    transformers_logging.disable_progress_bar()
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    names = ("sentiment140-bert", "torch", "transformers")
    print(", ".join(f"{name} {version(name)}" for name in names))
    print(f"GPU: {gpu}")


def find_secrets() -> None:
    """Put Colab's secrets into the environment, where the libraries look for them.

    Prints which of them there are, never their values. Outside Colab the environment stays unchanged.
    """
    try:
        userdata = import_module("google.colab.userdata")
    except ModuleNotFoundError:
        present = [name for name in SECRETS if os.environ.get(name)]
        print(f"not on Colab; in the environment: {', '.join(present) or 'no ' + ', no '.join(SECRETS)}")
        return
    refused = tuple(getattr(userdata, name) for name in REFUSALS if hasattr(userdata, name))
    for name in SECRETS:
        if os.environ.get(name):
            print(f"{name}: in the environment already")
            continue
        try:
            value = (userdata.get(name) or "").strip()  # a pasted value often ends in a line break
        except refused as error:
            print(f"{name}: {REFUSALS[type(error).__name__]}")
            continue
        if value:
            os.environ[name] = value
        print(f"{name}: {'found' if value else 'set, but empty'}")


def runs_folder(drive: Path = DRIVE) -> Path:
    """Return the folder for runs: on Google Drive if it is mounted, else ``runs`` next to the notebook.

    Nothing is mounted here: that would open a question, and wait for an answer.
    """
    if drive.is_dir():
        folder = drive / "sentiment140_bert" / "runs"
        print(f"runs are kept on Google Drive, in {folder}: after a disconnect run all cells again to resume")
        return folder
    folder = Path("runs")
    print(f"runs are kept on this machine, in {folder.resolve()}")
    if drive.parents[1].is_dir():  # /content: Colab
        print("Drive is not mounted, so a disconnect loses them. To keep them: folder icon, Mount Drive, run all again")
    return folder


def choose_recipe(name: str = "auto") -> str:
    """Return a recipe's name or file; ``auto`` is the real job where there is a GPU, else the offline first look."""
    import torch

    if name != "auto":
        return name
    if torch.cuda.is_available():
        print(f"recipe: {WITH_GPU}, the real job: there is a GPU")
        return WITH_GPU
    print(f"recipe: {WITHOUT_GPU}, a first look on the packaged tweets: there is no GPU")
    print("On Colab: Runtime, Change runtime type, T4 GPU, and run all again for the real job")
    return WITHOUT_GPU


def widgets(dbutils: Any, **defaults: str) -> dict[str, str]:
    """Return the values of a notebook's text widgets, which are made if they do not exist.

    Args:
        dbutils: Databricks' own; None anywhere else, where ``S140_NOTEBOOK_<NAME>`` replaces a widget.
        defaults: The name and the first value of each widget.

    Returns:
        Name to value, white space at both ends removed.
    """
    if dbutils is None:
        return {name: os.environ.get(PREFIX + name.upper(), value).strip() for name, value in defaults.items()}
    for name, value in defaults.items():
        dbutils.widgets.text(name, value)
    return {name: str(dbutils.widgets.get(name)).strip() for name in defaults}


def train_or_resume(recipe: str, runs: Path) -> Path:
    """Start the recipe's run, resume an unfinished one, or leave a finished one alone.

    Args:
        recipe: A packaged recipe's name, or a file. An unfinished run keeps the recipe of its start.
        runs: The folder of runs; this one's is named after the recipe.

    Returns:
        The run directory.

    Raises:
        Interrupted: The cell was stopped; a checkpoint was written.
        S140Error: The same as in :func:`sentiment140_bert.train`.
    """
    from sentiment140_bert.training.checkpoints import newest_complete

    run = RunDir(runs / Path(recipe).stem)
    if run.is_finished() and run.weights.is_file():
        print(f"{run.path} is finished; nothing is trained. To train it again, remove the folder")
        return run.path
    if run.is_run() and run.is_finished() and not newest_complete(run.checkpoints):
        raise RunError(
            f"{run.path} is finished, but its model is not there.",
            "Wait until Drive has it, or remove the folder to train again.",
        )
    if resume := run.is_run():
        run.metrics.unlink(missing_ok=True)  # Drive kept the scores, but not yet the larger model
    chosen = sentiment140_bert.saved_recipe(run.path) if resume else load_recipe(recipe)
    if resume:
        without = "it has no complete checkpoint, starting again"
        if chosen.tracking.checkpoint_repo_id:
            without += f", unless {chosen.tracking.checkpoint_repo_id} keeps one"
        print(f"{run.path} is unfinished: {'resuming' if newest_complete(run.checkpoints) else without}")
    if run.path.is_relative_to(DRIVE):  # which may take a while to get the model
        chosen = chosen.with_values({"keep_checkpoints": True})
    try:
        with contextlib.redirect_stderr(sys.stdout):  # notebooks show stderr in red, as if something were wrong
            result = sentiment140_bert.train(
                chosen,
                run.path,  # not overwritten: the repository of its checkpoints may have what this folder lacks
                arguments_given=["train", "--recipe", recipe, "--output-dir", str(run.path)],
            )
    except Interrupted as stopped:
        hint = "Run this cell again to resume."
        raise Interrupted(stopped.message, hint, stopped.exit_code - 128) from None
    training = result.training
    step = training["best_step"] or training["steps"]
    print(f"trained {training['steps']:,} steps in {training['seconds']:,.0f} s, kept step {step:,}; run: {run.path}")
    return run.path


def classify(run: Path, tweet: str) -> None:
    """Print the run's prediction for a tweet."""
    if not tweet.strip():
        print("Type a tweet into the form.")
        return
    for text, prediction in sentiment140_bert.predict(run, tweet):
        print(f"{prediction.label} ({prediction.score:.1%}): {escape_hidden(text)}")


def push(run: Path, repo_id: str = "", dataset_repo_id: str = "") -> None:
    """Publish the run if a name was typed and there is a token; else print how to.

    Raises:
        S140Error: The same as in :func:`sentiment140_bert.push_to_hub`.
    """
    from huggingface_hub import get_token

    if not (repo_id.strip() or dataset_repo_id.strip()):
        print("Nothing is published. To publish, type a name such as you/sentiment into the form and run the cell.")
        return
    if not get_token():
        print("Nothing is published: HF_TOKEN is missing. Add a token that can write to the notebook's secrets.")
        return
    destination = sentiment140_bert.Destination(repo_id.strip() or None, dataset_repo_id.strip() or None)
    result = sentiment140_bert.push_to_hub(run, destination)
    for pushed in filter(None, (result.dataset, result.model)):
        print(f"{pushed.kind}: {pushed.url}")


def show_scores(run: Path) -> None:
    """Show the scores of each split, with their intervals, from ``metrics.json``."""
    ipython = import_module("IPython.display")
    directory = RunDir(run)
    splits = directory.read_metrics()["splits"]
    rows = [["tweets", *(f"{split['n']:,}" for split in splits.values())]]
    rows += [
        [name.replace("_", " "), *(format_score(schemas.get_score(split, name)) for split in splits.values())]
        for name in SCORES
    ]
    ipython.display(ipython.HTML(make_table(["", *splits], rows)))


def show_curves(run: Path) -> None:
    """Show loss and validation accuracy over the steps."""
    _show_figure(run, LEARNING)


def show_confusion_matrix(run: Path) -> None:
    """Show the predictions for the tweets of each label."""
    _show_figure(run, CONFUSION)


def show_calibration(run: Path) -> None:
    """Show how often the model is right at each confidence."""
    _show_figure(run, CALIBRATION)


def _show_figure(run: Path, name: str) -> None:
    ipython = import_module("IPython.display")
    check_folder(run)
    file = RunDir(run).figures / name
    if file.is_file():
        ipython.display(ipython.Image(filename=str(file)))
    else:
        print(f"{run} has no {name}")
