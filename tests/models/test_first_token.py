"""The last layer for the first token alone gives what the whole layer gives: logits, gradients, weights on disk."""

from __future__ import annotations

import itertools

import pytest
import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    PreTrainedModel,
    RobertaConfig,
    RobertaForSequenceClassification,
    XLMRobertaConfig,
    XLMRobertaForSequenceClassification,
)

from sentiment140_bert.models.first_token import first_token_only
from sentiment140_bert.training.trainer import READY_MASKS

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48, "vocab_size": 90}
MODELS = {
    "bert": lambda: BertForSequenceClassification(BertConfig(**SIZES)),
    "roberta": lambda: RobertaForSequenceClassification(RobertaConfig(**SIZES)),
    "xlm-roberta": lambda: XLMRobertaForSequenceClassification(XLMRobertaConfig(**SIZES)),
    "distilbert": lambda: DistilBertForSequenceClassification(
        DistilBertConfig(dim=32, n_layers=2, n_heads=4, hidden_dim=48, vocab_size=90)
    ),
}


def pair(kind: str, attention: str = "sdpa") -> tuple[PreTrainedModel, PreTrainedModel]:
    """The same model twice, plain and for the first token only."""
    torch.manual_seed(3)
    plain = MODELS[kind]()
    plain.set_attn_implementation(attention)
    fast = MODELS[kind]()
    fast.load_state_dict(plain.state_dict())
    fast.set_attn_implementation(attention)
    return plain.eval(), first_token_only(fast).eval()


def batch(padded: bool) -> dict[str, torch.Tensor]:
    ids = torch.randint(5, 90, (7, 11), generator=torch.Generator().manual_seed(5))
    mask = torch.ones_like(ids)
    if padded:
        for row in range(7):
            mask[row, 4 + row :] = 0
    return {"input_ids": ids, "attention_mask": mask}


@pytest.mark.parametrize("kind", MODELS)
def test_logits_and_gradients_are_the_same(kind: str) -> None:
    for padded, attention in itertools.product([True, False], ["sdpa", "eager"]):
        plain, fast = pair(kind, attention)
        labels = torch.arange(7) % 2
        results = [model(**batch(padded), labels=labels) for model in (plain, fast)]
        torch.testing.assert_close(results[1].logits, results[0].logits, atol=1e-6, rtol=1e-5)
        for result in results:
            result.loss.backward()
        for (name, one), (_, other) in zip(plain.named_parameters(), fast.named_parameters(), strict=True):
            if one.grad is None:
                assert other.grad is None, name
            else:
                torch.testing.assert_close(other.grad, one.grad, atol=1e-6, rtol=1e-5, msg=name)


@pytest.mark.parametrize("kind", MODELS)
def test_a_mask_that_is_ready_for_attention_gives_the_same(kind: str) -> None:
    """On a GPU the trainer hands over the mask as attention takes it; padding, too, must weigh nothing then."""
    assert set(MODELS) == READY_MASKS
    inputs = batch(True)
    ready = inputs | {"attention_mask": inputs["attention_mask"].bool()[:, None, None, :]}
    unmasked = inputs | {"attention_mask": torch.ones_like(inputs["attention_mask"])}
    for model in pair(kind):
        expected = model(**inputs).logits
        assert torch.allclose(model(**ready).logits, expected, atol=1e-6)
        assert not torch.allclose(model(**unmasked).logits, expected, atol=1e-6)


@pytest.mark.parametrize("kind", MODELS)
def test_one_row_a_tweet_is_computed_and_the_same_is_saved(kind: str) -> None:
    plain, fast = pair(kind)
    assert plain.base_model(**batch(True))[0].shape == (7, 11, 32)
    assert fast.base_model(**batch(True))[0].shape == (7, 1, 32)
    assert list(plain.state_dict()) == list(fast.state_dict())


@pytest.mark.parametrize("kind", MODELS)
def test_dropout_is_as_in_the_whole_layer(kind: str) -> None:
    """Over many draws, the logits of training have the same mean and spread: with all the dropout that the model has,
    and with dropout in the attention of the last layer alone."""
    for alone in (False, True):
        plain, fast = pair(kind)
        inputs = {name: values[:1] for name, values in batch(False).items()}
        logits = []
        for model in (plain.train(), fast.train()):
            if alone:
                keep_attention_dropout(model)
            torch.manual_seed(1)
            with torch.no_grad():
                logits.append(model(**{name: values.expand(2000, -1) for name, values in inputs.items()}).logits)
        spread = logits[0].std(0)
        assert (spread > 0).all()
        assert ((logits[0].mean(0) - logits[1].mean(0)).abs() < 5 * spread / 1000**0.5).all()
        torch.testing.assert_close(logits[1].std(0), spread, rtol=0.2, atol=0)


def keep_attention_dropout(model: PreTrainedModel) -> None:
    """Switch all dropout off but that on the attention weights of the last layer."""
    encoder = getattr(model.base_model, "encoder", None) or model.base_model.transformer
    attention = encoder.layer[-1].attention
    kept = getattr(attention, "self", attention).dropout
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.5 if module is kept else 0.0


def test_other_models_stay_as_they_are() -> None:
    model = BertForSequenceClassification(BertConfig(**SIZES)).bert
    layers = [type(layer) for layer in model.encoder.layer]
    assert first_token_only(model) is model
    assert [type(layer) for layer in model.encoder.layer] == layers
