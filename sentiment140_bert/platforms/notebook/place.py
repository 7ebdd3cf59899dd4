"""What the machine under the notebook offers: a GPU, Colab's secrets, Google Drive."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

from sentiment140_bert.credentials import conceal_what_is_printed

SECRETS = ("HF_TOKEN", "WANDB_API_KEY")
DRIVE = Path("/content/drive/MyDrive")
WITH_GPU, WITHOUT_GPU = "colab-t4", "quickstart"
# What google.colab.userdata raises, by name: its classes are not to be had elsewhere, and older runtimes lack one.
REFUSALS = {
    "SecretNotFoundError": "not among the notebook's secrets",
    "NotebookAccessError": "there, but this notebook may not read it: switch on its access (key icon, on the left)",
    "TimeoutException": "not to be had: Colab did not answer in time",
}


def begin() -> None:
    """Makes what the package says visible in the notebook, and says what there is to work with."""
    warnings.filterwarnings("ignore", "IProgress not found")  # of tqdm, which then shows its bars as text
    import datasets
    import torch
    from transformers.utils import logging as transformers_logging

    logger = logging.getLogger("sentiment140_bert")
    logger.handlers = [logging.StreamHandler(sys.stdout)]
    conceal_what_is_printed()
    logger.setLevel(logging.INFO)
    logger.propagate = False
    datasets.disable_progress_bars()
    transformers_logging.disable_progress_bar()
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    names = ("sentiment140-bert", "torch", "transformers")
    print(", ".join(f"{name} {version(name)}" for name in names))
    print(f"GPU: {gpu}")


def find_secrets() -> None:
    """Puts those of Colab's secrets that there are into the environment, where the libraries look for them.

    Says of each by name whether it was found, and never its value. Outside Colab the environment stays as it is.
    """
    try:
        userdata = import_module("google.colab.userdata")
    except ModuleNotFoundError:
        found = [name for name in SECRETS if os.environ.get(name)]
        print(f"not on Colab; in the environment: {', '.join(found) or 'no ' + ', no '.join(SECRETS)}")
        return
    refused = tuple(getattr(userdata, name) for name in REFUSALS if hasattr(userdata, name))
    for name in SECRETS:
        if os.environ.get(name):
            print(f"{name}: in the environment already")
            continue
        try:
            value = (userdata.get(name) or "").strip()  # a pasted one often ends in a line break
        except refused as error:
            print(f"{name}: {REFUSALS[type(error).__name__]}")
            continue
        if value:
            os.environ[name] = value
        print(f"{name}: {'found' if value else 'there, but empty'}")


def runs_folder(drive: Path = DRIVE) -> Path:
    """Where runs are kept: on Google Drive if it is mounted, else in ``runs`` beside the notebook.

    Nothing is mounted here: that would ask, and wait for an answer.
    """
    if drive.is_dir():
        folder = drive / "sentiment140_bert" / "runs"
        print(f"runs are kept on Google Drive, in {folder}: after a disconnect run all cells again, and they go on")
        return folder
    folder = Path("runs")
    print(f"runs are kept on this machine, in {folder.resolve()}")
    if drive.parents[1].is_dir():  # /content: Colab
        print("Drive is not mounted: a disconnect loses them. To keep them: folder icon, Mount Drive, run all again")
    return folder


def choose_recipe(name: str = "auto") -> str:
    """A recipe's name or file; ``auto`` is the real job where there is a GPU, else the offline first look."""
    import torch

    if name != "auto":
        return name
    if torch.cuda.is_available():
        print(f"recipe: {WITH_GPU}, the real job: there is a GPU")
        return WITH_GPU
    print(f"recipe: {WITHOUT_GPU}, a first look on the packaged tweets: there is no GPU")
    print("On Colab: Runtime, Change runtime type, T4 GPU, and run all again for the real job")
    return WITHOUT_GPU
