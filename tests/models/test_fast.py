"""The last layer for the first token only, and linear layers by oneDNN: the same logits, gradients and weights."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess

import pytest
import torch
import transformers
from torch import nn
from transformers import PreTrainedModel

from sentiment140_bert.models import fast
from sentiment140_bert.training.trainer import READY_MASKS

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48, "vocab_size": 90}
DISTILBERT_SIZES = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48, "vocab_size": 90}
FAMILIES = {"bert": "Bert", "roberta": "Roberta", "xlm-roberta": "XLMRoberta", "distilbert": "DistilBert"}


def make_pair(kind: str, attention: str = "sdpa") -> tuple[PreTrainedModel, PreTrainedModel]:
    """The same model twice, plain and for the first token only."""
    family = FAMILIES[kind]
    config = getattr(transformers, f"{family}Config")(**(DISTILBERT_SIZES if kind == "distilbert" else SIZES))
    torch.manual_seed(3)
    plain, changed = (getattr(transformers, f"{family}ForSequenceClassification")(config) for _ in range(2))
    changed.load_state_dict(plain.state_dict())
    for model in (plain, changed):
        model.set_attn_implementation(attention)
    return plain.eval(), fast.compute_first_token_only(changed).eval()


def make_batch(padded: bool) -> dict[str, torch.Tensor]:
    ids = torch.randint(5, 90, (7, 11), generator=torch.Generator().manual_seed(5))
    ends = 4 + torch.arange(7) if padded else torch.full((7,), 11)
    return {"input_ids": ids, "attention_mask": (torch.arange(11) < ends[:, None]).long()}


@pytest.mark.parametrize("kind", FAMILIES)
def test_logits_gradients_and_names_of_weights_are_the_same(kind: str) -> None:
    for padded, attention in itertools.product([True, False], ["sdpa", "eager"]):
        models, labels = make_pair(kind, attention), torch.arange(7) % 2
        plain, changed = (model(**make_batch(padded), labels=labels) for model in models)
        torch.testing.assert_close(changed.logits, plain.logits, atol=1e-6, rtol=1e-5)
        plain.loss.backward()
        changed.loss.backward()
        gradients = [{name: values.grad for name, values in model.named_parameters()} for model in models]
        torch.testing.assert_close(gradients[1], gradients[0], atol=1e-6, rtol=1e-5)
        assert list(models[0].state_dict()) == list(models[1].state_dict())
        rows = [model.base_model(**make_batch(padded))[0].shape[1] for model in models]
        assert rows == [11, 1]


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_mask_that_is_ready_for_attention_gives_the_same(kind: str) -> None:
    """On a GPU the trainer passes the mask in the form of attention; padding must weigh nothing then, either."""
    assert set(FAMILIES) == READY_MASKS
    batch = make_batch(True)
    ready = batch | {"attention_mask": batch["attention_mask"].bool()[:, None, None, :]}
    unmasked = batch | {"attention_mask": torch.ones_like(batch["attention_mask"])}
    for model in make_pair(kind):
        expected = model(**batch).logits
        assert torch.allclose(model(**ready).logits, expected, atol=1e-6)
        assert not torch.allclose(model(**unmasked).logits, expected, atol=1e-6)


@pytest.mark.parametrize("kind", FAMILIES)
def test_dropout_is_that_of_the_whole_layer(kind: str) -> None:
    """Over many draws, logits have the same mean and spread, with all dropout and with that of attention only."""
    for only_attention in (False, True):
        batch = {name: values[:1].expand(2000, -1) for name, values in make_batch(False).items()}
        logits = []
        for model in make_pair(kind):
            if only_attention:
                keep_attention_dropout(model)
            torch.manual_seed(1)
            with torch.no_grad():
                logits.append(model.train()(**batch).logits)
        spread = logits[0].std(0)
        assert (spread > 0).all()
        assert ((logits[0].mean(0) - logits[1].mean(0)).abs() < 5 * spread / 1000**0.5).all()
        torch.testing.assert_close(logits[1].std(0), spread, rtol=0.2, atol=0)


def keep_attention_dropout(model: PreTrainedModel) -> None:
    """Switch all dropout off but that of the attention weights of the last layer."""
    encoder = getattr(model.base_model, "encoder", None) or model.base_model.transformer
    attention = encoder.layer[-1].attention
    dropout = getattr(attention, "self", attention).dropout
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.5 if module is dropout else 0.0


def test_other_models_and_processors_keep_their_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = make_pair("bert")[0].bert
    layers = [type(layer) for layer in encoder.encoder.layer]
    assert [type(layer) for layer in fast.compute_first_token_only(encoder).encoder.layer] == layers
    monkeypatch.setattr(fast, "is_amd", lambda: False)
    assert type(fast.use_onednn(nn.Linear(7, 3))) is nn.Linear


def make_linear(monkeypatch: pytest.MonkeyPatch, bias: bool = True) -> tuple[nn.Linear, nn.Linear]:
    """The same layer twice, torch's and oneDNN's, whatever processor this is."""
    monkeypatch.setattr(fast, "is_amd", lambda: True)
    torch.manual_seed(0)
    plain, changed = nn.Linear(7, 3, bias=bias), nn.Linear(7, 3, bias=bias)
    changed.load_state_dict(plain.state_dict())
    assert type(fast.use_onednn(changed)) is fast.OneDnnLinear
    return plain, changed


@pytest.mark.parametrize("frozen", ["", "weight", "bias"])
@pytest.mark.parametrize("shape", [(5, 7), (3, 4, 7), (1, 1, 7), (2, 0, 7)])
def test_outputs_and_gradients_of_onednn_are_torchs(monkeypatch, shape: tuple[int, ...], frozen: str) -> None:
    inputs = torch.randn(shape)
    results = []
    for layer in make_linear(monkeypatch):
        if frozen:
            getattr(layer, frozen).requires_grad_(False)
        rows = inputs.clone().requires_grad_()
        output = layer(rows)
        output.square().sum().backward()
        results.append((output, rows.grad, layer.weight.grad, layer.bias.grad))
    torch.testing.assert_close(results[1], results[0])


def test_onednn_takes_layers_without_bias_and_leaves_half_precision_to_torch(monkeypatch) -> None:
    inputs = torch.randn(4, 7)
    plain, changed = make_linear(monkeypatch, bias=False)
    torch.testing.assert_close(changed(inputs), plain(inputs))
    plain, changed = (layer.bfloat16() for layer in make_linear(monkeypatch))
    assert torch.equal(changed(inputs.bfloat16()), plain(inputs.bfloat16()))
    plain, changed = make_linear(monkeypatch)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(changed(inputs), plain(inputs))
        assert changed(inputs).dtype == torch.bfloat16


def test_detects_the_processor_that_lscpu_names() -> None:
    lscpu = shutil.which("lscpu")
    if not lscpu:
        pytest.skip("lscpu is not installed")
    output = subprocess.run(
        [lscpu], capture_output=True, text=True, check=True, env=os.environ | {"LC_ALL": "C"}
    ).stdout
    vendors = [line.split(":")[1].strip() for line in output.splitlines() if line.startswith("Vendor ID")]
    if not vendors:
        pytest.skip("lscpu names no vendor")
    assert fast.is_amd() == (vendors[0] == "AuthenticAMD")
