"""The machine of a notebook: Colab's secrets, Google Drive, a GPU.

Colab's own package cannot be installed, so a few lines replace ``google.colab.userdata``, with its names and
errors.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sentiment140_bert.platforms import notebook
from sentiment140_bert.recipe import load_recipe

USERDATA = """
class SecretNotFoundError(Exception): pass
class NotebookAccessError(Exception): pass
class TimeoutException(Exception): pass
SECRETS = {secrets!r}
def get(key):
    secret = SECRETS.get(key, SecretNotFoundError)
    if isinstance(secret, str):
        return secret
    raise secret(key)
"""
SECRET = "hf_not_to_be_seen"


@pytest.fixture
def colab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """Make a google.colab with these secrets; the name of an error is raised."""

    def make(**secrets: str) -> Path:
        folder = tmp_path / "site" / "google" / "colab"
        folder.mkdir(parents=True)
        (folder / "__init__.py").touch()
        text = USERDATA.format(secrets=secrets)
        for error in ("NotebookAccessError", "TimeoutException"):
            text = text.replace(f"'{error}'", error)
        (folder / "userdata.py").write_text(text)
        monkeypatch.syspath_prepend(str(tmp_path / "site"))
        return folder / "userdata.py"

    yield make
    for name in [module for module in sys.modules if module.startswith("google.colab")]:
        del sys.modules[name]


def test_a_secret_is_put_into_the_environment_and_never_printed(colab: Callable, capsys: pytest.CaptureFixture) -> None:
    colab(HF_TOKEN=f" {SECRET}\n", WANDB_API_KEY="")
    notebook.find_secrets()
    assert os.environ["HF_TOKEN"] == SECRET
    assert "WANDB_API_KEY" not in os.environ
    output = capsys.readouterr()
    assert output.out.splitlines() == ["HF_TOKEN: found", "WANDB_API_KEY: set, but empty"]
    assert SECRET not in output.out + output.err


@pytest.mark.parametrize(
    ("secrets", "sentence"),
    [
        ({}, "not among the notebook's secrets"),
        ({"HF_TOKEN": "NotebookAccessError"}, "has no access"),
        ({"HF_TOKEN": "TimeoutException"}, "did not answer"),
    ],
    ids=["missing", "denied", "no answer"],
)
@pytest.mark.parametrize("age", ["new", "old"])
def test_a_missing_secret_is_explained(
    colab: Callable, capsys: pytest.CaptureFixture, secrets: dict[str, str], sentence: str, age: str
) -> None:
    """Remove one of the errors, as in an old runtime."""
    file = colab(**secrets)
    if age == "old" and "TimeoutException" not in secrets.values():
        file.write_text(file.read_text().replace("class TimeoutException(Exception): pass", ""))
    notebook.find_secrets()
    assert sentence in capsys.readouterr().out.splitlines()[0]
    assert "HF_TOKEN" not in os.environ


def test_the_environment_comes_first(
    colab: Callable, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Check it on Colab and elsewhere."""
    monkeypatch.setenv("WANDB_API_KEY", SECRET)
    before = dict(os.environ)
    notebook.find_secrets()
    assert dict(os.environ) == before
    assert capsys.readouterr().out == "not on Colab; in the environment: WANDB_API_KEY\n"
    monkeypatch.setenv("HF_TOKEN", "mine")
    colab(HF_TOKEN=SECRET)
    notebook.find_secrets()
    assert os.environ["HF_TOKEN"] == "mine"
    assert "in the environment already" in capsys.readouterr().out


def test_runs_are_kept_on_a_mounted_drive(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """Keep them next to the notebook elsewhere; on Colab mention the loss by a disconnect."""
    drive = tmp_path / "content" / "drive" / "MyDrive"
    assert notebook.runs_folder(drive) == Path("runs")
    assert "Drive" not in capsys.readouterr().out
    (tmp_path / "content").mkdir()
    assert notebook.runs_folder(drive) == Path("runs")
    output = capsys.readouterr().out
    assert ("a disconnect loses them" in output, "Mount Drive" in output) == (True, True)
    drive.mkdir(parents=True)
    assert notebook.runs_folder(drive) == drive / "sentiment140_bert" / "runs"
    assert "Google Drive" in capsys.readouterr().out


def test_the_recipe_depends_on_the_gpu(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    assert notebook.choose_recipe("mine.yaml") == "mine.yaml"
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert load_recipe(notebook.choose_recipe()).data.dataset == "sample"
    assert "no GPU" in capsys.readouterr().out
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert notebook.choose_recipe() == "colab-t4"


def test_colabs_recipe_is_the_real_job_with_more_checkpoints() -> None:
    """Fit them and the model into a free Drive of 15 GB, even if its bin keeps them all."""
    recipe, job = load_recipe("colab-t4"), load_recipe("bert-base-100k").to_dict()
    own = recipe.to_dict()
    assert (own["model"], own["data"]) == (job["model"], job["data"])
    different = {key for key, value in own["training"].items() if job["training"][key] != value}
    assert different == {"eval_strategy", "eval_steps", "save_strategy", "save_steps"}
    data, training = recipe.data, recipe.training
    assert training.save_steps == training.eval_steps
    tweets = data.max_samples * (1 - data.validation_size - data.test_size) * training.num_train_epochs
    saves = tweets / training.per_device_train_batch_size / training.save_steps
    assert saves * 110e6 * (4 + 8) < 13e9  # weights and optimizer
