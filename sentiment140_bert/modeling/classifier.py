"""Sequence classifiers: a pretrained encoder with a new head, one that was fine-tuned, one that is only measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sentiment140_bert.errors import ModelError
from sentiment140_bert.modeling.dropout import with_dropouts
from sentiment140_bert.modeling.intake import admitted
from sentiment140_bert.modeling.loading import explained, quiet
from sentiment140_bert.modeling.places import is_hub_id
from sentiment140_bert.modeling.tokenizer import load_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

ID2LABEL = {0: "negative", 1: "positive"}
LABELS: dict[str, Any] = {
    "num_labels": len(ID2LABEL),
    "id2label": ID2LABEL,
    "label2id": {label: number for number, label in ID2LABEL.items()},
}


def load_encoder(
    name_or_path: str,
    revision: str | None = None,
    seed: int = 42,
    dropouts: Mapping[str, float | None] | None = None,
) -> PreTrainedModel:
    """A pretrained encoder with a two-label head, new (from ``seed``) where the checkpoint has none; float32.

    Args:
        name_or_path: As :func:`locate` takes it.
        revision: Of a Hub repository.
        seed: Of the head's weights.
        dropouts: In place of the model's own, by the names of :mod:`dropout`; None is the model's own.

    Raises:
        ModelError: It cannot be loaded, or has no safetensors weights.
    """
    from transformers import AutoModelForSequenceClassification, set_seed

    from sentiment140_bert.modeling.fast import fast

    set_seed(seed)
    changed = dropouts and any(value is not None for value in dropouts.values())
    with explained(name_or_path), quiet():
        place, commit = admitted(name_or_path, revision)
        made: dict[str, Any] = {"config": config_of(name_or_path, commit, dropouts)} if changed else LABELS
        model = AutoModelForSequenceClassification.from_pretrained(
            place,
            revision=commit,
            **made,
            dtype="float32",
            use_safetensors=True,
            trust_remote_code=False,
        )
    return fast(model)


def config_of(
    name_or_path: str, revision: str | None = None, dropouts: Mapping[str, float | None] | None = None
) -> PreTrainedConfig:
    """The config of a two-label classifier that is made of an encoder.

    Args:
        name_or_path: As :func:`locate` takes it.
        revision: Of a Hub repository.
        dropouts: As :func:`load_encoder` takes them.

    Raises:
        ModelError: It cannot be loaded, or has no such dropout.
    """
    from transformers import AutoConfig

    with explained(name_or_path):
        place, commit = admitted(name_or_path, revision, weights=False)
        config = AutoConfig.from_pretrained(place, revision=commit, trust_remote_code=False, **LABELS)
    return with_dropouts(config, dropouts or {})


def shape_of(name_or_path: str, revision: str | None = None) -> PreTrainedConfig:
    """The config of a two-label classifier of that model's shape; of BERT and DistilBERT it is known without the Hub.

    Raises:
        ModelError: It is not known.
    """
    from transformers import AutoConfig, BertConfig, DistilBertConfig

    # The defaults of these classes are the shapes of these models.
    known = {"bert-base-uncased": BertConfig, "distilbert-base-uncased": DistilBertConfig}
    short = name_or_path.removeprefix("google-bert/").removeprefix("distilbert/")
    if short in known and is_hub_id(name_or_path):
        config = known[short]()
    else:
        with explained(name_or_path):
            place, commit = admitted(name_or_path, revision, weights=False)
            config = AutoConfig.from_pretrained(place, revision=commit, trust_remote_code=False)
    config.num_labels = len(ID2LABEL)
    return config


def untrained(
    name_or_path: str,
    revision: str | None = None,
    seed: int = 42,
    plain: bool = False,
    dropouts: Mapping[str, float | None] | None = None,
) -> PreTrainedModel:
    """A classifier of that model's shape with random weights, for measuring; of a Hub model its config is enough.

    Args:
        name_or_path: As :func:`locate` takes it.
        revision: Of a Hub repository.
        seed: Of the weights.
        plain: As transformers makes it, with a last layer that computes every token.
        dropouts: As :func:`load_encoder` takes them.

    Raises:
        ModelError: Its shape is not known, or it has no such dropout.
    """
    from transformers import AutoModelForSequenceClassification, set_seed

    from sentiment140_bert.modeling.fast import fast

    set_seed(seed)
    config = with_dropouts(shape_of(name_or_path, revision), dropouts or {})
    with explained(name_or_path):
        model = AutoModelForSequenceClassification.from_config(config, dtype="float32", trust_remote_code=False)
    return model if plain else fast(model)


def load_classifier(name_or_path: str, revision: str | None = None) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """A fine-tuned classifier with its tokenizer, as it was saved.

    Raises:
        ModelError: It cannot be loaded, or its checkpoint has no trained classification head.
    """
    from transformers import AutoModelForSequenceClassification

    from sentiment140_bert.modeling.fast import fast

    with explained(name_or_path), quiet():
        place, commit = admitted(name_or_path, revision)
        model, loading = AutoModelForSequenceClassification.from_pretrained(
            place,
            revision=commit,
            dtype="float32",
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    if loading["missing_keys"]:
        raise ModelError(
            f"{name_or_path} is no fine-tuned classifier: it lacks {', '.join(sorted(loading['missing_keys']))}.",
            "Train one with `s140 train`, and name its run directory.",
        )
    tokenizer = load_tokenizer(place, commit)
    known = getattr(model.config, "vocab_size", None)
    highest = max(tokenizer.get_vocab().values(), default=0)
    if known is not None and highest >= known:
        raise ModelError(
            f"{name_or_path}: the tokenizer has words up to number {highest:,}, the model knows {known:,}.",
            "They do not belong together: name the folder of one model.",
        )
    return fast(model), tokenizer
