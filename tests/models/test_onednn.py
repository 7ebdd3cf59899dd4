"""Linear layers by oneDNN give the outputs and gradients of torch's own."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
import torch
from torch import nn

from sentiment140_bert.models import onednn

SHAPES = [(5, 7), (3, 4, 7), (1, 1, 7), (2, 0, 7)]


@pytest.fixture
def layers(monkeypatch: pytest.MonkeyPatch) -> tuple[nn.Linear, nn.Linear]:
    """The same layer twice, torch's and oneDNN's, whatever processor this is."""
    monkeypatch.setattr(onednn, "made_by_amd", lambda: True)
    torch.manual_seed(0)
    plain, fast = nn.Linear(7, 3), nn.Linear(7, 3)
    fast.load_state_dict(plain.state_dict())
    onednn.use_onednn(fast)
    assert type(fast) is onednn.OneDnnLinear
    return plain, fast


def test_outputs_and_gradients_are_torchs(layers: tuple[nn.Linear, nn.Linear]) -> None:
    for shape in SHAPES:
        outputs, inputs = [], [torch.randn(shape).requires_grad_() for _ in range(2)]
        inputs[1].data.copy_(inputs[0].data)
        for layer, given in zip(layers, inputs, strict=True):
            layer.zero_grad()
            outputs.append(layer(given))
            outputs[-1].square().sum().backward()
        torch.testing.assert_close(outputs[1], outputs[0])
        torch.testing.assert_close(inputs[1].grad, inputs[0].grad)
        for name in ("weight", "bias"):
            torch.testing.assert_close(getattr(layers[1], name).grad, getattr(layers[0], name).grad)


@pytest.mark.parametrize("frozen", ["weight", "bias"])
def test_a_frozen_weight_gets_no_gradient(layers: tuple[nn.Linear, nn.Linear], frozen: str) -> None:
    fast = layers[1]
    getattr(fast, frozen).requires_grad_(False)
    fast(torch.randn(4, 7)).sum().backward()
    assert getattr(fast, frozen).grad is None
    assert all(each.grad is not None for name, each in fast.named_parameters() if name != frozen)


def test_a_layer_without_bias(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onednn, "made_by_amd", lambda: True)
    plain = nn.Linear(7, 3, bias=False)
    expected = plain(given := torch.randn(4, 7))
    torch.testing.assert_close(onednn.use_onednn(plain)(given), expected)


def test_half_precision_is_torchs_own(layers: tuple[nn.Linear, nn.Linear]) -> None:
    plain, fast = (layer.bfloat16() for layer in layers)
    given = torch.randn(4, 7, dtype=torch.bfloat16)
    assert torch.equal(fast(given), plain(given))


def test_the_processor_is_the_one_that_lscpu_names() -> None:
    lscpu = shutil.which("lscpu")
    if not lscpu:
        pytest.skip("lscpu is not installed")
    named = subprocess.run([lscpu], capture_output=True, text=True, check=True, env=os.environ | {"LC_ALL": "C"}).stdout
    vendors = [line.split(":")[1].strip() for line in named.splitlines() if line.startswith("Vendor ID")]
    if not vendors:
        pytest.skip("lscpu names no vendor")
    assert onednn.made_by_amd() == (vendors[0] == "AuthenticAMD")


def test_other_processors_keep_their_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onednn, "made_by_amd", lambda: False)
    assert type(onednn.use_onednn(nn.Linear(7, 3))) is nn.Linear
