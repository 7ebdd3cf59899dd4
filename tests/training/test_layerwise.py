"""Layer-wise learning rate decay, and dropout that a recipe asks for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers

from sentiment140_bert import models
from sentiment140_bert.errors import ModelError
from sentiment140_bert.recipe import TrainingConfig
from sentiment140_bert.training import arguments
from sentiment140_bert.training.trainer import SentimentTrainer

pytest_plugins = "model_fixtures"
SMALL = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}
KINDS = {
    "bert": transformers.BertConfig(num_hidden_layers=3, **SMALL),
    "roberta": transformers.RobertaConfig(num_hidden_layers=3, **SMALL),
    "electra": transformers.ElectraConfig(num_hidden_layers=3, embedding_size=16, **SMALL),
    "distilbert": transformers.DistilBertConfig(n_layers=3, dim=32, n_heads=2, hidden_dim=64),
}


def classifier(kind: str) -> transformers.PreTrainedModel:
    return transformers.AutoModelForSequenceClassification.from_config(KINDS[kind])


def depth_of(name: str) -> int:
    """Return the number of layers from the classifier of a three-layer model down to a parameter."""
    if "embeddings" in name:
        return 4
    if "classifier" in name or "pooler" in name:
        return 0
    return 3 - next(int(part) for part in name.split(".") if part.isdigit())


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_is_in_one_group_with_its_rates(kind: str, tmp_path: Path) -> None:
    """Derive its learning rate from its depth; its weight decay is the one of an optimizer without groups."""
    model = classifier(kind)
    frozen = next(parameter for name, parameter in model.named_parameters() if "embeddings" in name)
    frozen.requires_grad = False
    config = TrainingConfig(
        learning_rate=1e-3, weight_decay=0.1, eval_strategy="no", save_strategy="no", load_best_model_at_end=False
    )
    settings = arguments.training_arguments(config, arguments.choose_precision(config), tmp_path)
    groups = SentimentTrainer(model=model, args=settings, lr_decay=0.5).create_optimizer().param_groups
    usual = SentimentTrainer(model=model, args=settings).create_optimizer().param_groups
    assert len(usual) == 2
    assert groups[0]["lr"] == 1e-3  # it is what is logged
    decays = {id(weight): group["weight_decay"] for group in usual for weight in group["params"]}
    assert set(decays.values()) == {0.0, 0.1}
    trained = {id(parameter): name for name, parameter in model.named_parameters() if parameter is not frozen}
    expected = sorted((name, 1e-3 * 0.5 ** depth_of(name), decays[key]) for key, name in trained.items())
    rates = [
        (trained[id(weight)], group["lr"], group["weight_decay"]) for group in groups for weight in group["params"]
    ]
    assert sorted(rates) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_is_the_requested_one(kind: str, tmp_path: Path) -> None:
    classifier(kind).save_pretrained(tmp_path)
    dropouts = {"hidden_dropout_prob": 0.01, "attention_probs_dropout_prob": 0.02, "classifier_dropout": 0.03}
    model = models.load_encoder(str(tmp_path), dropouts=dropouts)
    assert models.read_dropouts(model.config) == dropouts
    used = {module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)}
    used |= {module.dropout_prob for module in model.modules() if hasattr(module, "dropout_prob")}
    assert {0.01, 0.03} <= used
    assert used <= {0.01, 0.02, 0.03}
    last = model.get_submodule("classifier" if kind in ("roberta", "electra") else "").dropout  # the classifier's own
    assert last.p == 0.03
    before = models.load_encoder(str(tmp_path))
    assert all(torch.equal(one, other) for one, other in zip(before.parameters(), model.parameters(), strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_a_probed_model_has_that_dropout_too(kind: str, tmp_path: Path) -> None:
    classifier(kind).save_pretrained(tmp_path)
    model = models.build_untrained(str(tmp_path), dropouts={"hidden_dropout_prob": 0.25})
    assert 0.25 in {module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)}
    kept_dropouts = models.read_dropouts(model.config)
    assert kept_dropouts["hidden_dropout_prob"] == 0.25
    assert kept_dropouts | {"hidden_dropout_prob": 0} == models.read_dropouts(KINDS[kind]) | {"hidden_dropout_prob": 0}


def test_the_classifiers_dropout_does_not_follow_the_hidden_one(small_bert: Callable[..., Path]) -> None:
    folder = str(small_bert("BertModel", dropout=0.2))
    model = models.load_encoder(folder, dropouts={"hidden_dropout_prob": 0.05})
    assert model.dropout.p == 0.2
    assert models.read_dropouts(model.config)["classifier_dropout"] == 0.2


def test_a_dropout_that_a_model_does_not_have_is_refused(tmp_path: Path) -> None:
    from sentiment140_bert.models.architecture import set_dropouts

    with pytest.raises(ModelError, match="no such dropout"):
        set_dropouts(transformers.T5Config(), {"attention_probs_dropout_prob": 0.1})
