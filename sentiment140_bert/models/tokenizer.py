"""Fast tokenizers that carry the cleaning of raw text within them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment140_bert.errors import ModelError
from sentiment140_bert.models.intake import admitted
from sentiment140_bert.models.loading import explained
from sentiment140_bert.models.model_inputs import ENDLESS, positions_of
from sentiment140_bert.models.weights import UNKNOWN, build_shape

if TYPE_CHECKING:
    from tokenizers.normalizers import Normalizer
    from transformers import PreTrainedTokenizerFast


def load_tokenizer(
    name_or_path: str, revision: str | None = None, normalizer: Normalizer | None = None
) -> PreTrainedTokenizerFast:
    """Load a fast tokenizer that runs ``normalizer`` before its own one, and keeps doing so when saved and loaded.

    Args:
        name_or_path: As :func:`locate` takes it.
        revision: Of a Hub repository.
        normalizer: What the model is to do to raw text; None to leave the tokenizer as it is.

    Raises:
        ModelError: It cannot be loaded, leads out of its own files, has no fast tokenizer, or nothing to pad with.
    """
    from tokenizers import Tokenizer, normalizers
    from transformers import PreTrainedTokenizerFast

    with explained(name_or_path), admitted(name_or_path, revision, tokenizer=True) as model_files:
        base = open_tokenizer(model_files.folder, name_or_path)
        padding = _read_padding(model_files.folder)
    if normalizer is None:
        return base
    backend = Tokenizer.from_str(base.backend_tokenizer.to_str())
    backend.no_padding()
    backend.no_truncation()
    wanted = _steps(normalizer)
    if _steps(backend.normalizer)[: len(wanted)] != wanted:  # a model trained here already carries them
        steps = [normalizer] + ([backend.normalizer] if backend.normalizer else [])
        backend.normalizer = normalizers.Sequence(steps)
    # A BertTokenizer would rebuild its normalizer from its own settings when loaded; the generic class keeps it.
    named = {role: token for role, token in base.special_tokens_map.items() if isinstance(token, str)}
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_input_names=_inputs(base),
        model_max_length=base.model_max_length,
        padding_side=base.padding_side,
        clean_up_tokenization_spaces=False,
        **named | {"pad_token": _find_padding_token(base, padding)},
    )


def _inputs(tokenizer: PreTrainedTokenizerFast) -> list[str]:
    """Return the inputs of a model as training gives them: no types of tokens but those that it takes for granted."""
    typed = any(tokenizer.backend_tokenizer.encode("a").type_ids)
    return [name for name in tokenizer.model_input_names if not (typed and name == "token_type_ids")]


def _read_padding(folder: Path) -> int | None:
    from transformers import AutoConfig

    number: int | None = getattr(AutoConfig.from_pretrained(folder, trust_remote_code=False), "pad_token_id", None)
    return number


def _find_padding_token(tokenizer: PreTrainedTokenizerFast, number: int | None) -> str | None:
    """Return the token that texts are padded with; None where only the model knows it, by its ``number``.

    Raises:
        ModelError: Neither knows any, and no token ends a text.
    """
    special = {at: each.content for at, each in tokenizer.added_tokens_decoder.items() if each.special}
    token: str | None = tokenizer.pad_token or special.get(number) or tokenizer.eos_token or tokenizer.sep_token
    if token is None and number is None:
        raise ModelError(
            f"{tokenizer.name_or_path} cannot be trained: its tokenizer has no token to pad texts with.",
            "Name one as pad_token in its tokenizer_config.json.",
        )
    return token


def open_tokenizer(folder: Path, name: str) -> PreTrainedTokenizerFast:
    """Open the tokenizer of a folder that :func:`~sentiment140_bert.models.intake.admitted` made.

    Args:
        folder: With ``config.json`` and the files of a tokenizer.
        name: Of the model, for messages.

    Raises:
        ModelError: It is no fast tokenizer, or gives numbers that the model does not know.
    """
    from transformers import AutoConfig, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    if not tokenizer.is_fast:
        raise ModelError(f"{name} has no fast tokenizer.", "Choose a model with a tokenizer.json.")
    tokenizer.name_or_path = name
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    limits = (tokenizer.model_max_length, positions_of(build_shape(config, UNKNOWN)) or ENDLESS)
    tokenizer.model_max_length = int(min(limits))
    encoding = tokenizer("a b")
    tokens, types = ([*tokenizer.get_vocab().values(), *encoding["input_ids"]], encoding.get("token_type_ids") or [])
    highest_known = {"tokens": (tokens, "vocab_size"), "types of tokens": (types, "type_vocab_size")}
    for what, (numbers, key) in highest_known.items():
        known, highest = getattr(config, key, None), max(numbers, default=0)
        if known and highest >= known:
            raise ModelError(
                f"{name}: the tokenizer has {what} up to number {highest:,}, the model knows {known:,}.",
                "They do not belong together: name the folder of one model.",
            )
    return tokenizer


def _steps(normalizer: Normalizer | None) -> list[Any]:
    """What a normalizer does, one thing after the other."""

    def flat(step: dict[str, Any]) -> list[Any]:
        parts = step.get("normalizers") if step.get("type") == "Sequence" else None
        return [step] if parts is None else [each for part in parts for each in flat(part)]

    return flat(json.loads(normalizer.__getstate__())) if normalizer else []


def padding_only(config: Any) -> PreTrainedTokenizerFast:
    """A tokenizer that knows no words and pads ``input_ids`` for a model of this shape."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    padding = config.pad_token_id or 0
    backend = Tokenizer(models.WordLevel({f"[{number}]": number for number in range(padding + 1)}, unk_token="[0]"))
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token=f"[{padding}]", unk_token="[0]")
