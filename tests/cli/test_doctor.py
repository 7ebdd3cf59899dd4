"""`s140 doctor`: through real training steps, a real process, and a driver that answers what a test wants it to."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers

from hub_server import HubServer
from sentiment140_bert import models
from tiny_run import flags

pytest_plugins = ["hub_fixtures", "driver_fixtures"]

without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")


def examined(s140: Callable, *words: object, code: int = 0) -> dict:
    result = s140("doctor", "--json", *words, code=code)
    assert result.stdout.count("\n") == 1
    return json.loads(result.stdout)


def test_a_job_is_measured_by_training_it(s140, encoder: Path, tmp_path: Path) -> None:
    result = examined(s140, *flags(model_name_or_path=encoder), "--output-dir", tmp_path / "runs")
    assert result["ready"], result["problems"]
    probe = result["probe"]
    assert probe["job"] == {"train": 180, "validation": 60, "steps": 12, "saves": 2}
    assert probe["step"]["measured"] >= 3
    seconds = probe["seconds"]
    assert 0 < seconds["low"] <= seconds["total"] <= seconds["high"]
    assert seconds["total"] == pytest.approx(seconds["training"] + seconds["scoring"] + seconds["saving"])
    assert seconds["training"] == pytest.approx(12 * probe["step"]["seconds"])
    assert probe["batch"] == {"tweets": 32, "per_device": 32, "accumulated": 1}
    assert probe["usage"]["memory_peak"] > 100
    assert list(tmp_path.iterdir()) == []  # neither a run nor the probe's own folder is left


def test_the_report_is_readable_at_a_glance(s140, encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 0.0, 0.0))  # of what else runs here nothing is told
    result = s140("doctor", *flags(model_name_or_path=encoder))
    sections = [line.split()[0] for line in result.stdout.splitlines() if not line.startswith(" ")]
    assert sections == [*("machine", "disk", "tokens", "trackers", "versions", "sources", "choice", "probe", "verdict")]
    assert "tweets/s" in result.stdout
    assert result.stdout.endswith("ready\n")
    assert max(map(len, result.stdout.splitlines())) < 160


def test_a_dropout_that_the_model_does_not_have_is_a_problem(s140, encoder: Path, tmp_path: Path) -> None:
    """Measure with the recipe's dropout: ALBERT has none of that name before its classifier."""
    folder = Path(shutil.copytree(encoder, tmp_path / "albert"))
    transformers.AlbertConfig().save_pretrained(folder)
    result = examined(s140, *flags(model_name_or_path=folder, classifier_dropout=0.3), code=1)
    assert "classifier_dropout: albert models have no such dropout." in result["problems"][0]


@without_gpu
def test_what_is_chosen_is_what_training_chooses(s140, encoder: Path) -> None:
    result = examined(s140, "--no-probe", *flags(model_name_or_path=encoder, gradient_accumulation_steps=2))
    assert result["probe"] is None
    assert (result["choice"]["precision"], result["choice"]["why"]) == ("fp32", "as requested")
    assert result["choice"]["gradient_accumulation_steps"] == 2
    assert result["machine"]["gpu"] is None


@without_gpu
def test_other_work_on_the_machine_is_told(s140, encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for load, is_told in ((3.04, True), (0.1, False)):
        monkeypatch.setattr(os, "getloadavg", lambda load=load: (load, 0.0, 0.0))
        remarks = examined(s140, "--no-probe", *flags(model_name_or_path=encoder))["remarks"]
        assert any("Other programs kept 3.0 of" in remark for remark in remarks) == is_told


@without_gpu
def test_what_training_would_refuse_is_a_problem(s140, encoder: Path) -> None:
    result = examined(s140, *flags(model_name_or_path=encoder, precision="fp16"), code=1)
    assert not result["ready"]
    assert result["probe"] is None
    assert "fp16 was requested" in result["problems"][0]


def test_missing_files_are_a_problem(s140, encoder: Path) -> None:
    for changes, words in (
        ({"model_name_or_path": "./missing"}, "There is no model folder ./missing"),
        ({"dataset": "missing.csv"}, "dataset missing.csv is not available"),
    ):
        result = s140("doctor", "--no-probe", *flags(**({"model_name_or_path": encoder} | changes)), code=1)
        assert f"not ready: The {words}" in result.stdout or words in result.stdout
        assert "Traceback" not in result.stderr


@pytest.mark.long
def test_a_model_that_is_out_of_reach_is_measured_by_its_shape(s140, hub_down: HubServer) -> None:
    """Use an address where no Hub listens; the shape of distilbert is known anyway."""
    words = flags(model_name_or_path="distilbert/distilbert-base-uncased", per_device_train_batch_size=1)
    result = examined(s140, *words, "--set", "auto_find_batch_size=false", code=1)
    assert result["sources"]["model"]["state"] == "missing"
    assert "no answer" in result["problems"][0]
    assert "bundled:minilm" in result["problems"][0]
    assert result["probe"]["tweets_per_second"] > 0
    assert result["probe"]["checkpoint"] == pytest.approx(67e6 * 12 / 2**20, rel=0.05)


def test_finds_models_and_datasets_on_the_hub(s140, hub: HubServer, encoder: Path) -> None:
    from huggingface_hub import HfApi

    HfApi().create_repo("tester/tiny")
    HfApi().upload_folder(repo_id="tester/tiny", folder_path=encoder)
    result = examined(s140, "--no-probe", *flags(model_name_or_path="tester/tiny"))
    assert result["sources"]["model"]["state"] == "reachable"
    result = examined(s140, "--no-probe", *flags(model_name_or_path="tester/tinny"), code=1)
    assert "404" in result["problems"][0] or "401" in result["problems"][0]


def test_reports_offline_mode(s140, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    result = examined(s140, "--no-probe", *flags(model_name_or_path="tester/elsewhere"), code=1)
    assert "HF_HUB_OFFLINE is set" in result["problems"][0]


def test_tokens_are_present_or_not_and_never_shown(s140, encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["--no-probe", *flags(model_name_or_path=encoder)]
    assert examined(s140, *words)["logins"]["wandb"] is False
    secrets = {"HF_TOKEN": "hf_" + "x" * 34, "WANDB_API_KEY": "w" * 40, "DATABRICKS_TOKEN": "dapi" + "d" * 32}
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    result = s140("doctor", *words)
    shown = result.stdout + result.stderr + s140("doctor", "--json", *words).stdout
    assert "wandb: yes; huggingface: yes; databricks: yes" in shown
    assert not [name for name, value in secrets.items() if value in shown or value[-8:] in shown]


def test_a_disk_that_is_too_small_is_a_problem(s140, encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sentiment140_bert.machine import facts

    monkeypatch.setattr(facts, "measure_free_disk", lambda _: 0)
    result = examined(s140, *flags(model_name_or_path=encoder), code=1)
    assert "make room" in result["problems"][0]


@without_gpu
def test_reports_a_gpu_that_torch_cannot_use_with_the_remedy(s140, encoder: Path, driver) -> None:
    driver()
    result = s140("doctor", "--no-probe", *flags(model_name_or_path=encoder))
    assert "NVIDIA driver 550.54.15, up to CUDA 12.4" in result.stdout
    if torch.version.cuda is None:
        assert "NVIDIA GeForce RTX 4060 is present, but this is the CPU build of torch: pip install" in result.stdout
    assert result.stdout.endswith("ready\n")  # slow, but it would not fail


def test_the_smallest_model_of_all_fits_the_packaged_recipe(s140) -> None:
    result = examined(s140, "--recipe", "local-8gb", "--no-probe", "--model-name-or-path", models.BUNDLED, code=1)
    assert result["choice"]["auto_find_batch_size"] is True
    assert result["choice"]["optim"] == "adamw_torch_fused"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_on_a_gpu(s140, encoder: Path) -> None:
    result = examined(s140, *flags(model_name_or_path=encoder))
    assert result["machine"]["gpu"]["memory_total"] > 1000
    assert result["machine"]["driver"]["version"]
    assert result["choice"]["precision"] in ("bf16", "fp16")
    assert 0 < result["probe"]["usage"]["gpu"]["memory_reserved_peak"] <= result["machine"]["gpu"]["memory_total"]
    assert os.environ.get("CUDA_VISIBLE_DEVICES") != ""
