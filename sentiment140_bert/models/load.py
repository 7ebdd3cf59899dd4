"""Load sequence classifiers: a pretrained encoder with a new head, a fine-tuned one, or an untrained one to measure."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment140_bert.errors import ModelError
from sentiment140_bert.files import hash_file
from sentiment140_bert.models.architecture import ID2LABEL, Head, keep_layers, make_label_settings, set_dropouts
from sentiment140_bert.models.load_errors import explain_errors, silence_transformers
from sentiment140_bert.models.locate import BUNDLED, is_hub_id, locate
from sentiment140_bert.models.staging import StagedModel, find_weights, stage_model
from sentiment140_bert.models.tokenizer import open_tokenizer
from sentiment140_bert.models.weights import UNKNOWN, build_shape, check_numbers

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

    from sentiment140_bert.recipe import ModelConfig

log = logging.getLogger(__name__)
_kept: dict[str, str | None] = {}  # the hashes of base models that are not to change, by name


def load_encoder(
    name_or_path: str,
    revision: str | None = None,
    seed: int = 42,
    dropouts: Mapping[str, float | None] | None = None,
    plain: bool = False,
    labels: int = len(ID2LABEL),
    layers: int | None = None,
) -> PreTrainedModel:
    """Load a pretrained encoder with a head of two labels, or of three with neutral; float32.

    The head is new (from ``seed``) where the checkpoint has none, or one for other labels than ours.

    Args:
        name_or_path: A model for :func:`locate`.
        revision: Revision of a Hub repository.
        seed: Seed of the head's weights.
        dropouts: Instead of the model's own, by :data:`~sentiment140_bert.models.architecture.DROPOUTS`.
        plain: Leave out :func:`~sentiment140_bert.models.fast.make_fast`.
        labels: 2 or 3.
        layers: See :func:`~sentiment140_bert.models.architecture.keep_layers`; None keeps all.

    Raises:
        ModelError: It cannot be loaded, has no safetensors weights, or not so many layers.
    """
    from transformers import set_seed

    with (
        explain_errors(name_or_path),
        silence_transformers(),
        stage_model(name_or_path, revision, weights=True) as model_files,
    ):
        config = set_dropouts(_read_config(model_files, **make_label_settings(labels)), dropouts or {})
        build_shape(config, model_files.contents)
        head = Head(config, model_files.labels)
        set_seed(seed)
        model, loading = _open(model_files.folder, config, ignore_mismatched_sizes=head.is_new)
        change = head.settle(model, loading)
    if change:
        log.info("model: %s: %s", name_or_path, change)
    if layers:
        keep_layers(model, layers)
    return _finish(model, name_or_path, plain)


def hash_weights(folder: Path) -> str:
    """Return the sha256 of a model folder's safetensors, of several that of their hashes.

    Raises:
        ModelError: It has none.
    """
    hashes = [hash_file(file) for file in find_weights(folder)]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def hash_local_weights(name: str) -> str | None:
    """Return the hash of a local model's weights; None for one of the Hub, which has a commit, or the bundled one.

    Raises:
        ModelError: It has no safetensors.
    """
    return None if name.startswith(BUNDLED) or is_hub_id(name) else hash_weights(Path(locate(name)))


@contextmanager
def keep_base_model(name_or_path: str) -> Iterator[None]:
    """Refuse to load a base model of this machine that is trained again while the block lasts."""
    _kept[name_or_path] = hash_local_weights(name_or_path)
    try:
        yield
    finally:
        del _kept[name_or_path]


def load_base_model(base: ModelConfig, seed: int, labels: int = len(ID2LABEL), plain: bool = False) -> PreTrainedModel:
    """Load the base model of a recipe, with a new head; arguments and errors as :func:`load_encoder`."""
    name, revision = base.model_name_or_path, base.model_revision
    if name in _kept and _kept[name] != hash_local_weights(name):
        raise ModelError(
            f"The base model {name} has other weights than when this command began.",
            "Restore the original ones, or begin again in another folder.",
        )
    return load_encoder(name, revision, seed, base.dropouts(), plain, labels, base.layers)


def _read_config(model_files: StagedModel, **labels: Any) -> PreTrainedConfig:
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(model_files.folder, trust_remote_code=False, **labels)


def _open(folder: Path, config: PreTrainedConfig, **options: Any) -> tuple[PreTrainedModel, dict[str, Any]]:
    """Return a classifier of staged files, and transformers' loading info."""
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


def _finish(model: PreTrainedModel, name: str, plain: bool) -> PreTrainedModel:
    """Name a model by its origin instead of the temporary folder that it was read from, check it, and make it fast."""
    from sentiment140_bert.models.fast import make_fast

    model.name_or_path = model.config.name_or_path = name
    check_numbers(model, name)
    return model if plain else make_fast(model)


def load_config(name_or_path: str, revision: str | None = None) -> PreTrainedConfig:
    """Return the config of a two-label classifier of a model's shape; for BERT and DistilBERT without the Hub.

    Raises:
        ModelError: It is not known.
    """
    from transformers import BertConfig, DistilBertConfig

    # The defaults of these classes are the shapes of these models.
    default_configs = {"bert-base-uncased": BertConfig, "distilbert-base-uncased": DistilBertConfig}
    short = name_or_path.removeprefix("google-bert/").removeprefix("distilbert/")
    if short in default_configs and is_hub_id(name_or_path):
        config = default_configs[short]()
    else:
        with explain_errors(name_or_path), stage_model(name_or_path, revision) as model_files:
            config = _read_config(model_files)
    config.num_labels, config.problem_type = len(ID2LABEL), None
    return config


def build_untrained(
    name_or_path: str,
    revision: str | None = None,
    seed: int = 42,
    plain: bool = False,
    dropouts: Mapping[str, float | None] | None = None,
    layers: int | None = None,
) -> PreTrainedModel:
    """Build a classifier of a model's shape with random weights, for measuring; of a Hub model its config is enough.

    Args:
        name_or_path: A model for :func:`locate`.
        revision: Revision of a Hub repository.
        seed: Seed of the weights.
        plain: As in :func:`load_encoder`.
        dropouts: As in :func:`load_encoder`.
        layers: As in :func:`load_encoder`.

    Raises:
        ModelError: Its shape is not known, or it has no such dropout.
    """
    from transformers import AutoModelForSequenceClassification, set_seed

    config = set_dropouts(load_config(name_or_path, revision), dropouts or {})
    with explain_errors(name_or_path):
        build_shape(config, UNKNOWN)
        set_seed(seed)
        model = AutoModelForSequenceClassification.from_config(config, dtype="float32", trust_remote_code=False)
    if layers:
        keep_layers(model, layers)
    return _finish(model, name_or_path, plain)


def load_model_and_tokenizer(
    name_or_path: str, revision: str | None = None, plain: bool = False
) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Load a fine-tuned classifier with its tokenizer, as it was saved.

    Args:
        name_or_path: A model for :func:`locate`.
        revision: Revision of a Hub repository.
        plain: As in :func:`load_encoder`.

    Raises:
        ModelError: It cannot be loaded, or its checkpoint has no trained classification head.
    """
    with (
        explain_errors(name_or_path),
        silence_transformers(),
        stage_model(name_or_path, revision, weights=True, tokenizer=True) as model_files,
    ):
        config = _read_config(model_files)
        build_shape(config, model_files.contents)
        model, loading = _open(model_files.folder, config)
        tokenizer = open_tokenizer(model_files.folder, name_or_path)
    if loading["missing_keys"]:
        raise ModelError(
            f"{name_or_path} is not a fine-tuned classifier: it lacks {', '.join(sorted(loading['missing_keys']))}.",
            "Train one with `s140 train`, and name the run directory.",
        )
    return _finish(model, name_or_path, plain), tokenizer
