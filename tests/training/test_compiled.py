"""Compiled encoder layers: ``torch_compile`` changes the time of a step, and nothing that is learned."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from torch.testing import assert_close

from command_line import complete
from tiny_run import flags

pytest_plugins = "model_fixtures"

ONE_EPOCH: dict[str, Any] = {
    "num_train_epochs": 1,
    "optim": "sgd",
    "learning_rate": 0.05,
    # Compiled code draws other numbers.
    **dict.fromkeys(("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"), 0),
}


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("g++"), reason="compiling needs g++")
def test_compiled_layers_learn_what_others_learn(tmp_path: Path) -> None:
    runs = [tmp_path / "plain", tmp_path / "compiled"]
    environment = {"TORCH_LOGS": "graph_code", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    for run, more in zip(runs, ([], ["--set", "torch_compile=true"]), strict=True):
        words = ["train", "--output-dir", run, *flags(**ONE_EPOCH), *more]
        _, stderr = complete(*words, env=environment, fresh=True)
        assert ("TRACED GRAPH" in stderr) == bool(more)
    logs = [[json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()] for run in runs]
    plain, compiled = ([entry["loss"] for entry in log if "loss" in entry] for log in logs)
    assert compiled == pytest.approx(plain, rel=1e-4)
    weights, others = (load_file(run / "model" / "model.safetensors") for run in runs)
    assert others.keys() == weights.keys()
    for name, weight in weights.items():
        assert_close(others[name], weight, atol=1e-4, rtol=1e-3)


@pytest.mark.long
def test_without_a_compiler_it_is_an_error_that_says_what_to_install(tmp_path: Path) -> None:
    environment = {"CXX": str(tmp_path / "no-compiler"), "TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1"}
    words = ["train", "--output-dir", tmp_path / "run", *flags(num_train_epochs=1), "--set", "torch_compile=true"]
    _, stderr = complete(*words, env=environment, fresh=True, code=1)
    assert "cannot be compiled here: InvalidCxxCompiler" in stderr
    assert "Install a C++ compiler, such as g++, or train without torch_compile." in stderr
    assert "Traceback" not in stderr
