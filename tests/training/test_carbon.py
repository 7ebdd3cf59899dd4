"""The CO2 of a training: estimated, added up over resumes, and claimed on the card; weights are as without it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from huggingface_hub import ModelCard

from hub_server import HubServer
from killing import same, trained
from on_hub import BOTH, MODEL
from tiny_run import flags

pytest_plugins = "hub_fixtures"
S140 = Callable[..., Result]
needs_codecarbon = pytest.mark.skipif(not find_spec("codecarbon"), reason="the extra carbon is not installed")


def read_carbon(run: Path) -> dict[str, Any]:
    carbon: dict[str, Any] = json.loads((run / "environment.json").read_text())["carbon"]
    return carbon


@needs_codecarbon
def test_it_is_on_the_card_and_nothing_else_changes(
    encoder: Path,
    small_run: Path,
    tmp_path: Path,
    hub: HubServer,
    impatient: list[float],
    monkeypatch: pytest.MonkeyPatch,
    s140: S140,
) -> None:
    """Settings of codecarbon's own that would write or send something have no effect."""
    monkeypatch.setenv("CODECARBON_OUTPUT_METHODS", "csv,api")
    monkeypatch.setenv("CODECARBON_OUTPUT_DIR", str(tmp_path))
    run = tmp_path / "run"
    words = flags(model_name_or_path=encoder, num_train_epochs=1, carbon_country="DEU")
    result = s140("train", "--output-dir", run, *words)
    assert "codecarbon" not in result.output
    assert same(run, small_run)
    assert {path.name for path in tmp_path.iterdir()} <= {"run"}
    assert not any(Path(os.environ["HOME"]).rglob("*codecarbon*"))

    carbon = read_carbon(run)
    assert carbon["grams"] > 0
    assert carbon["country"] == "Germany"
    s140("push-to-hub", run, *BOTH)
    claimed = ModelCard(hub.files(MODEL)["README.md"].decode()).data.co2_eq_emissions
    assert (claimed["emissions"], claimed["source"]) == (carbon["grams"], carbon["source"])
    assert (claimed["training_type"], claimed["geographical_location"]) == ("fine-tuning", "Germany")
    verified = json.loads(s140("verify", MODEL, "--json").stdout)
    assert verified["verdict"] == "true"
    assert [check["verdict"] for check in verified["checks"] if check["claim"] == "CO2"] == ["claimed"]


@needs_codecarbon
def test_it_is_added_up_when_a_run_resumes(encoder: Path, tmp_path: Path) -> None:
    # Once the second checkpoint is whole, what was emitted until the first one is written.
    saves = {"save_strategy": "steps", "save_steps": 3, "eval_strategy": "steps", "eval_steps": 3}
    words = flags(model_name_or_path=encoder, carbon_country="DEU", **saves)
    run = tmp_path / "run"
    assert trained(run, words, "step 8/", whole=6).code == -signal.SIGKILL
    environment = json.loads((run / "environment.json").read_text())
    environment["carbon"]["grams"] += 1000  # far more than the rest can emit
    (run / "environment.json").write_text(json.dumps(environment))
    ended = trained(run, words)
    assert ended.code == 0, ended.stderr
    assert environment["carbon"]["grams"] < read_carbon(run)["grams"] < environment["carbon"]["grams"] + 100


@needs_codecarbon
def test_an_unknown_country_is_refused_before_training(encoder: Path, tmp_path: Path, s140: S140) -> None:
    words = flags(model_name_or_path=encoder, carbon_country="XXX")
    stderr = s140("train", "--output-dir", tmp_path / "run", *words, code=1).stderr
    assert "codecarbon does not know XXX" in stderr
    assert not (tmp_path / "run" / "recipe.yaml").exists()


def test_it_needs_its_extra(encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, s140: S140) -> None:
    monkeypatch.setattr("sentiment140_bert.machine.carbon.find_spec", lambda name: None)
    words = flags(model_name_or_path=encoder, carbon_country="USA")
    stderr = s140("train", "--output-dir", tmp_path / "run", *words, code=1).stderr
    assert "An estimate of the CO2 needs the optional extra [carbon]" in stderr


@needs_codecarbon
def test_settings_in_the_current_folder_do_not_decide_on_it(encoder: Path, tmp_path: Path, monkeypatch, s140) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".codecarbon.config").write_text("[codecarbon]\nforce_carbon_intensity_g_co2e_kwh = 0.001\n")
    words = flags(model_name_or_path=encoder, carbon_country="DEU")
    result = s140("train", "--output-dir", tmp_path / "run", *words, code=1)
    assert ".codecarbon.config in the current folder" in result.stderr
    assert not (tmp_path / "run").exists()
