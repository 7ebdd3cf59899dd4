"""Fast tokenizers that clean raw text themselves, and the padding of their rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sentiment140_bert.errors import MissingExtra, ModelError
from sentiment140_bert.models.architecture import NO_LIMIT, count_positions
from sentiment140_bert.models.load_errors import explain_errors
from sentiment140_bert.models.staging import CONFIG, TOKENIZER, stage_model
from sentiment140_bert.models.weights import UNKNOWN, build_shape

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from tokenizers.normalizers import Normalizer
    from transformers import PreTrainedTokenizerFast

Numbers = npt.NDArray[np.int64]


def pad_rows(
    flat: Mapping[str, npt.NDArray[Any]],
    starts: Numbers,
    lengths: Numbers,
    filling: Mapping[str, int],
    *,
    left: bool = False,
    multiple: int = 1,
) -> tuple[dict[str, Numbers], npt.NDArray[np.bool_]]:
    """Pad rows of different lengths to matrices as wide as the longest of them.

    Args:
        flat: The numbers of all rows by name, end to end; every name has rows of the same lengths.
        starts: Index of each chosen row's first number in ``flat``, shape (rows,).
        lengths: Numbers of each chosen row, shape (rows,).
        filling: The padding number, by the names in ``flat``.
        left: Pad on the left side.
        multiple: The width is a multiple of it.

    Returns:
        Matrices of int64 by name, and a mask that is False for padding; all of shape (rows, width).
    """
    width = -(-int(lengths.max(initial=0)) // multiple) * multiple
    inside = np.arange(width) < lengths[:, None]
    inside = inside[:, ::-1] if left else inside
    before = np.cumsum(lengths) - lengths
    chosen = np.arange(lengths.sum()) + np.repeat(starts - before, lengths)
    matrices = {}
    for name, numbers in flat.items():
        matrices[name] = np.full(inside.shape, filling[name], dtype=np.int64)
        matrices[name][inside] = numbers[chosen]
    return matrices, inside


def load_tokenizer(
    name_or_path: str, revision: str | None = None, normalizer: Normalizer | None = None
) -> PreTrainedTokenizerFast:
    """Load a fast tokenizer that runs ``normalizer`` before its own one, and keeps doing so when saved and loaded.

    Args:
        name_or_path: A model for :func:`locate`.
        revision: Revision of a Hub repository.
        normalizer: The cleaning of raw text; None to leave the tokenizer as it is.

    Raises:
        ModelError: It cannot be loaded, leads out of its own files, has no fast tokenizer, or nothing to pad with.
    """
    from tokenizers import normalizers
    from transformers import PreTrainedTokenizerFast

    with explain_errors(name_or_path), stage_model(name_or_path, revision, tokenizer=True) as model_files:
        base = open_tokenizer(model_files.folder, name_or_path)
        padding = _read_padding_id(model_files.folder)
    if normalizer is None:
        return base
    backend = copy_backend(base)
    if not runs_first(normalizer, backend):  # a model trained here already carries it
        steps = [normalizer] + ([backend.normalizer] if backend.normalizer else [])
        backend.normalizer = normalizers.Sequence(steps)
    # A BertTokenizer would rebuild its normalizer from its own settings when loaded; the generic class keeps it.
    named = {role: token for role, token in base.special_tokens_map.items() if isinstance(token, str)}
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_input_names=_list_inputs(base),
        model_max_length=base.model_max_length,
        padding_side=base.padding_side,
        clean_up_tokenization_spaces=False,
        **named | {"pad_token": _find_padding_token(base, padding)},
    )


def runs_first(normalizer: Normalizer, backend: Tokenizer) -> bool:
    """Return True if a tokenizer's own normalizer begins with the steps of this one."""
    steps = list_steps(json.loads(normalizer.__getstate__()))
    return list_steps(json.loads(backend.to_str())["normalizer"])[: len(steps)] == steps


def _list_inputs(tokenizer: PreTrainedTokenizerFast) -> list[str]:
    """Return the names of a model's inputs in training: no types of tokens but those that it takes for granted."""
    typed = any(tokenizer.backend_tokenizer.encode("a").type_ids)
    return [name for name in tokenizer.model_input_names if not (typed and name == "token_type_ids")]


def _read_padding_id(folder: Path) -> int | None:
    from transformers import AutoConfig

    number: int | None = getattr(AutoConfig.from_pretrained(folder, trust_remote_code=False), "pad_token_id", None)
    return number


def _find_padding_token(tokenizer: PreTrainedTokenizerFast, number: int | None) -> str | None:
    """Return the token that texts are padded with; None where only the model knows it, by its ``number``.

    Raises:
        ModelError: Neither knows any, and no token ends a text.
    """
    special = {at: added.content for at, added in tokenizer.added_tokens_decoder.items() if added.special}
    token: str | None = tokenizer.pad_token or special.get(number) or tokenizer.eos_token or tokenizer.sep_token
    if token is None and number is None:
        raise ModelError(
            f"{tokenizer.name_or_path} cannot be trained: its tokenizer has no padding token.",
            "Name one as pad_token in its tokenizer_config.json.",
        )
    return token


def open_tokenizer(folder: Path, name: str) -> PreTrainedTokenizerFast:
    """Open the tokenizer of a folder that :func:`~sentiment140_bert.models.staging.stage_model` made.

    Args:
        folder: With ``config.json`` and the files of a tokenizer.
        name: Name of the model, for messages.

    Raises:
        ModelError: It is not a fast tokenizer, or gives numbers that the model does not know.
        MissingExtra: It is a model of SentencePiece, which is not installed.
    """
    import transformers
    from transformers import AutoConfig, AutoTokenizer

    for settings in filter(Path.exists, (folder / CONFIG, folder / "tokenizer_config.json")):
        named = json.loads(settings.read_text("utf-8")).get("tokenizer_class")
        _refuse_python_tokenizer(getattr(transformers, str(named), object), name)  # it may need files that are not here
    if not (folder / TOKENIZER).exists() and any(folder.glob("*.model")) and not find_spec("sentencepiece"):
        raise MissingExtra(f"The tokenizer of {name}, which has no {TOKENIZER},", "sentencepiece")
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    _refuse_python_tokenizer(type(tokenizer), name)
    tokenizer.name_or_path = name
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    limits = (tokenizer.model_max_length, count_positions(build_shape(config, UNKNOWN)) or NO_LIMIT)
    tokenizer.model_max_length = int(min(limits))
    encoding = tokenizer("a b")
    tokens, types = ([*tokenizer.get_vocab().values(), *encoding["input_ids"]], encoding.get("token_type_ids") or [])
    highest_known = {"tokens": (tokens, "vocab_size"), "types of tokens": (types, "type_vocab_size")}
    for what, (numbers, key) in highest_known.items():
        size, highest = getattr(config, key, None), max(numbers, default=0)
        if size and highest >= size:
            raise ModelError(
                f"{name}: the tokenizer has {what} up to number {highest:,}, the model knows {size:,}.",
                "They do not belong together: use the files of one model.",
            )
    return tokenizer


def _refuse_python_tokenizer(kind: type, name: str) -> None:
    """Refuse a tokenizer that is no fast one, as BERTweet's: what it does to a text is not in a ``tokenizer.json``."""
    from transformers import PreTrainedTokenizer

    if issubclass(kind, PreTrainedTokenizer):
        raise ModelError(
            f"{name} has no fast tokenizer: transformers has its {kind.__name__} in Python only.",
            "Choose a model with a fast one; of those for tweets: cardiffnlp/twitter-roberta-base.",
        )


def copy_backend(tokenizer: Any) -> Tokenizer:
    """Return a copy of the backend of a fast tokenizer, which neither pads nor truncates."""
    from tokenizers import Tokenizer

    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    backend.no_padding()
    backend.no_truncation()
    return backend


def list_steps(normalizer: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Return the steps of the normalizer of a ``tokenizer.json``, in order."""
    if normalizer is None or normalizer["type"] != "Sequence":
        return [normalizer] if normalizer else []
    return [step for part in normalizer["normalizers"] for step in list_steps(part)]


def make_padding_tokenizer(config: Any) -> PreTrainedTokenizerFast:
    """Make a tokenizer that knows no words and pads ``input_ids`` for a model of this config.

    It also has the config's token for the end of a text: Trainer changes the config to the tokenizer's.
    """
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    special = {"pad_token": config.pad_token_id or 0, "unk_token": 0}
    end = getattr(config, "eos_token_id", None)
    if isinstance(end, int) and 0 <= end < config.vocab_size:
        special["eos_token"] = end
    names = {f"[{number}]": number for number in range(max(special.values()) + 1)}
    backend = Tokenizer(models.WordLevel(names, unk_token="[0]"))
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, **{name: f"[{number}]" for name, number in special.items()}
    )
