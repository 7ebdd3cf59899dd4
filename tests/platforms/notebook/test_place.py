"""What a notebook finds: Colab's secrets, Google Drive, a GPU.

Colab's own package cannot be installed, so a few lines stand in for ``google.colab.userdata``: they have its names and
raise what it raises.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from sentiment140_bert.platforms import notebook
from sentiment140_bert.recipe import load_recipe

USERDATA = """
class SecretNotFoundError(Exception): pass
class NotebookAccessError(Exception): pass
class TimeoutException(Exception): pass
KEPT = {kept!r}
def get(key):
    kept = KEPT.get(key, SecretNotFoundError)
    if isinstance(kept, str):
        return kept
    raise kept(key)
"""
SECRET = "hf_not_to_be_seen"


@pytest.fixture
def colab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Makes a google.colab with these secrets; a name of an error is raised."""

    def make(**kept: str) -> None:
        folder = tmp_path / "site" / "google" / "colab"
        folder.mkdir(parents=True)
        (folder / "__init__.py").touch()
        text = USERDATA.format(kept=kept)
        for error in ("NotebookAccessError", "TimeoutException"):
            text = text.replace(f"'{error}'", error)
        (folder / "userdata.py").write_text(text)
        monkeypatch.syspath_prepend(str(tmp_path / "site"))

    yield make
    for name in [module for module in sys.modules if module.startswith("google.colab")]:
        del sys.modules[name]


def test_a_secret_goes_into_the_environment_unseen(colab, capsys) -> None:
    colab(HF_TOKEN=f" {SECRET}\n", WANDB_API_KEY="")
    notebook.find_secrets()
    assert os.environ["HF_TOKEN"] == SECRET
    assert "WANDB_API_KEY" not in os.environ
    said = capsys.readouterr()
    assert said.out.splitlines() == ["HF_TOKEN: found", "WANDB_API_KEY: there, but empty"]
    assert SECRET not in said.out + said.err


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        ({}, "not among the notebook's secrets"),
        ({"HF_TOKEN": "NotebookAccessError"}, "may not read it"),
        ({"HF_TOKEN": "TimeoutException"}, "did not answer"),
    ],
    ids=["missing", "denied", "no answer"],
)
def test_a_secret_that_is_not_to_be_had_is_told_in_words(colab, capsys, kept, said) -> None:
    colab(**kept)
    notebook.find_secrets()
    assert said in capsys.readouterr().out.splitlines()[0]
    assert "HF_TOKEN" not in os.environ


def test_a_runtime_without_the_newest_of_the_errors(colab, capsys, tmp_path) -> None:
    colab()
    file = tmp_path / "site" / "google" / "colab" / "userdata.py"
    file.write_text(file.read_text().replace("class TimeoutException(Exception): pass", ""))
    notebook.find_secrets()
    assert "not among" in capsys.readouterr().out


def test_what_is_in_the_environment_stays(colab, capsys, monkeypatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "mine")
    colab(HF_TOKEN=SECRET)
    notebook.find_secrets()
    assert os.environ["HF_TOKEN"] == "mine"
    assert "in the environment already" in capsys.readouterr().out


def test_elsewhere_the_environment_stays_as_it_is(capsys, monkeypatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", SECRET)
    before = dict(os.environ)
    notebook.find_secrets()
    assert dict(os.environ) == before
    assert capsys.readouterr().out == "not on Colab; in the environment: WANDB_API_KEY\n"


def test_runs_are_kept_on_drive_where_it_is_mounted(tmp_path, capsys) -> None:
    drive = tmp_path / "content" / "drive" / "MyDrive"
    drive.mkdir(parents=True)
    assert notebook.runs_folder(drive) == drive / "sentiment140_bert" / "runs"
    assert "Google Drive" in capsys.readouterr().out


def test_on_colab_without_drive_it_says_what_a_disconnect_costs(tmp_path, capsys) -> None:
    (tmp_path / "content").mkdir()
    assert notebook.runs_folder(tmp_path / "content" / "drive" / "MyDrive") == Path("runs")
    said = capsys.readouterr().out
    assert "a disconnect loses them" in said
    assert "Mount Drive" in said


def test_elsewhere_runs_lie_beside_the_notebook(tmp_path, capsys) -> None:
    assert notebook.runs_folder(tmp_path / "content" / "drive" / "MyDrive") == Path("runs")
    assert "Drive" not in capsys.readouterr().out


def test_a_named_recipe_is_taken_as_it_is() -> None:
    assert notebook.choose_recipe("mine.yaml") == "mine.yaml"


def test_without_a_gpu_the_offline_one_is_chosen(monkeypatch, capsys) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert load_recipe(notebook.choose_recipe()).data.dataset == "sample"
    assert "no GPU" in capsys.readouterr().out


def test_with_a_gpu_the_real_job_is_chosen(monkeypatch, capsys) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert notebook.choose_recipe() == "colab-t4"


def test_its_recipe_is_the_real_job_saved_more_often() -> None:
    ours, job = load_recipe("colab-t4").to_dict(), load_recipe("bert-base-100k").to_dict()
    assert ours["model"] == job["model"]
    assert ours["data"] == job["data"]
    differing = {key for key, value in ours["training"].items() if job["training"][key] != value}
    assert differing == {"eval_strategy", "eval_steps", "save_strategy", "save_steps"}
    assert ours["training"]["save_steps"] == ours["training"]["eval_steps"]


def test_its_checkpoints_fit_a_free_drive_even_if_its_bin_keeps_them_all() -> None:
    recipe = load_recipe("colab-t4")
    share = 1 - recipe.data.validation_size - recipe.data.test_size
    steps = (
        recipe.data.max_samples * share / recipe.training.per_device_train_batch_size * recipe.training.num_train_epochs
    )
    weights, optimizer = 110e6 * 4, 110e6 * 8
    assert (
        steps / recipe.training.save_steps * (weights + optimizer) < 13e9
    )  # of 15; the model itself needs a place too
