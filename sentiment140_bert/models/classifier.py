"""Sequence classifiers: a pretrained encoder with a new head, one that was fine-tuned, one that is only measured."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sentiment140_bert.errors import ModelError
from sentiment140_bert.models.dropout import with_dropouts
from sentiment140_bert.models.head import ID2LABEL, LABELS, Head
from sentiment140_bert.models.intake import Admitted, admitted
from sentiment140_bert.models.loading import explained, quiet
from sentiment140_bert.models.places import is_hub_id
from sentiment140_bert.models.tokenizer import open_tokenizer
from sentiment140_bert.models.weights import UNKNOWN, build_shape, check_numbers

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

log = logging.getLogger(__name__)


def load_encoder(
    name_or_path: str,
    revision: str | None = None,
    seed: int = 42,
    dropouts: Mapping[str, float | None] | None = None,
    plain: bool = False,
) -> PreTrainedModel:
    """Load a pretrained encoder with a two-label head; float32.

    The head is new (from ``seed``) where the checkpoint has none, or one for other labels than ours.

    Args:
        name_or_path: As :func:`locate` takes it.
        revision: Of a Hub repository.
        seed: Of the head's weights.
        dropouts: In place of the model's own, by the names of :mod:`dropout`; None is the model's own.
        plain: As transformers makes it, with a last layer that computes every token.

    Raises:
        ModelError: It cannot be loaded, or has no safetensors weights.
    """
    from transformers import set_seed

    from sentiment140_bert.models.fast import fast

    with explained(name_or_path), quiet(), admitted(name_or_path, revision, weights=True) as model_files:
        config = with_dropouts(_read_config(model_files, **LABELS), dropouts or {})
        build_shape(config, model_files.contents)
        head = Head(config, model_files.labels)
        set_seed(seed)
        model, loading = _open(model_files.folder, config, ignore_mismatched_sizes=head.is_new)
        done = head.settle(model, loading)
    if done:
        log.info("model: %s: %s", name_or_path, done)
    _name(model, name_or_path)
    check_numbers(model, name_or_path)
    return model if plain else fast(model)


def _read_config(model_files: Admitted, **labels: Any) -> PreTrainedConfig:
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(model_files.folder, trust_remote_code=False, **labels)


def _open(folder: Path, config: PreTrainedConfig, **options: Any) -> tuple[PreTrainedModel, dict[str, Any]]:
    """Return a classifier of staged files, and what transformers says of loading it."""
    from transformers import AutoModelForSequenceClassification

    model, loading = AutoModelForSequenceClassification.from_pretrained(
        folder,
        config=config,
        dtype="float32",
        use_safetensors=True,
        trust_remote_code=False,
        output_loading_info=True,
        **options,
    )
    return model, loading


def _name(model: PreTrainedModel, name: str) -> None:
    """Let a model tell where it comes from, and not the temporary folder that it was read from."""
    model.name_or_path = model.config.name_or_path = name


def shape_of(name_or_path: str, revision: str | None = None) -> PreTrainedConfig:
    """Return the config of a two-label classifier of a model's shape; that of BERT is known without the Hub.

    Raises:
        ModelError: It is not known.
    """
    from transformers import BertConfig, DistilBertConfig

    # The defaults of these classes are the shapes of these models.
    known = {"bert-base-uncased": BertConfig, "distilbert-base-uncased": DistilBertConfig}
    short = name_or_path.removeprefix("google-bert/").removeprefix("distilbert/")
    if short in known and is_hub_id(name_or_path):
        config = known[short]()
    else:
        with explained(name_or_path), admitted(name_or_path, revision) as model_files:
            config = _read_config(model_files)
    config.num_labels, config.problem_type = len(ID2LABEL), None
    return config


def untrained(
    name_or_path: str,
    revision: str | None = None,
    seed: int = 42,
    plain: bool = False,
    dropouts: Mapping[str, float | None] | None = None,
) -> PreTrainedModel:
    """Make a classifier of a model's shape with random weights, for measuring; of a Hub model its config is enough.

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

    from sentiment140_bert.models.fast import fast

    config = with_dropouts(shape_of(name_or_path, revision), dropouts or {})
    with explained(name_or_path):
        build_shape(config, UNKNOWN)
        set_seed(seed)
        model = AutoModelForSequenceClassification.from_config(config, dtype="float32", trust_remote_code=False)
    _name(model, name_or_path)
    return model if plain else fast(model)


def load_classifier(
    name_or_path: str, revision: str | None = None, plain: bool = False
) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Load a fine-tuned classifier with its tokenizer, as it was saved.

    Args:
        name_or_path: As :func:`locate` takes it.
        revision: Of a Hub repository.
        plain: As transformers makes it, with a last layer that computes every token.

    Raises:
        ModelError: It cannot be loaded, or its checkpoint has no trained classification head.
    """
    from sentiment140_bert.models.fast import fast

    with (
        explained(name_or_path),
        quiet(),
        admitted(name_or_path, revision, weights=True, tokenizer=True) as model_files,
    ):
        config = _read_config(model_files)
        build_shape(config, model_files.contents)
        model, loading = _open(model_files.folder, config)
        tokenizer = open_tokenizer(model_files.folder, name_or_path)
    if loading["missing_keys"]:
        raise ModelError(
            f"{name_or_path} is no fine-tuned classifier: it lacks {', '.join(sorted(loading['missing_keys']))}.",
            "Train one with `s140 train`, and name its run directory.",
        )
    _name(model, name_or_path)
    check_numbers(model, name_or_path)
    return model if plain else fast(model), tokenizer
