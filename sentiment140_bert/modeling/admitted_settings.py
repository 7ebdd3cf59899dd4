"""What transformers is shown of a stranger's JSON files: keys that are known, with plain values that name no file."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints
from typing_extensions import TypedDict

from sentiment140_bert.model_files import UnusableFile, check_shape, read_labels, shorten
from sentiment140_bert.modeling.saving import CALIBRATION

# ---- config.json

# Keys that no class of config declares, or that lead elsewhere whatever they hold.
TAKEN_APART = {"num_labels", "id2label", "label2id", "model_type", "tokenizer_class", "dtype", "torch_dtype"}
QUANTIZED = ("quantization_config", "compression_config")
WORD = re.compile(r"[^/\\:\x00-\x1f]{0,100}")  # no path, no address
DROPPED = object()
COUNTS = re.compile("hidden|heads?$|layers?$|vocab")


def filter_config(config: Mapping[str, Any], widest: int) -> dict[str, Any]:
    """Return what is shown of a ``config.json``.

    Of the keys that the class of its ``model_type`` declares: numbers, and words that are neither path nor address. Of
    others, from older versions: numbers alone.

    Args:
        config: As it was read.
        widest: Largest size that it may name, if that is above 2^20: of the weights' dimensions.

    Raises:
        UnusableFile: Its kind is unknown, it is quantized, or a number or a label makes no sense.
    """
    from transformers import CONFIG_MAPPING, PreTrainedConfig

    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in CONFIG_MAPPING:
        raise UnusableFile(f"config.json: the model_type {shorten(kind)} is not one of transformers'")
    if any(config.get(key) is not None for key in QUANTIZED):
        raise UnusableFile("config.json: the model is quantized; name the one that it was made of")
    check_sizes(config, max(widest, 1 << 20))
    own = CONFIG_MAPPING[kind]
    declared = {*inspect.signature(own).parameters, *inspect.signature(PreTrainedConfig).parameters}
    declared |= {*own.attribute_map, "rope_scaling", CALIBRATION}
    kept = {
        key: plain
        for key, value in config.items()
        if key not in TAKEN_APART and (plain := keep_plain(value, words=key in declared)) is not DROPPED
    }
    for key in ("dtype", "torch_dtype"):
        if isinstance(config.get(key), str) and re.fullmatch(r"(b?float\d\d?)", config[key]):
            kept[key] = config[key]
    labels = read_labels(config)
    if labels:
        kept["id2label"] = {str(number): label for number, label in enumerate(labels)}
        kept["label2id"] = {label: number for number, label in enumerate(labels)}
    return kept | {"model_type": kind} | keep_tokenizer_class(config)


def keep_plain(value: Any, words: bool) -> Any:
    """Return a value of JSON if it, or what is in it, is plain: numbers, and ``words`` where they are allowed."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return value if words and WORD.fullmatch(value) else DROPPED
    if isinstance(value, list):
        items = [keep_plain(item, words) for item in value]
        return DROPPED if DROPPED in items else items
    inner = {key: keep_plain(item, words) for key, item in value.items()}
    return {key: item for key, item in inner.items() if item is not DROPPED} or DROPPED


def check_sizes(value: Any, largest: int, key: str = "") -> None:
    """Raise UnusableFile where a whole number in a config is larger than any size that the model can have."""
    if isinstance(value, dict):
        for inner, item in value.items():
            check_sizes(item, largest, inner)
    elif isinstance(value, list):
        for item in value:
            check_sizes(item, largest, key)
    elif isinstance(value, int) and value < (
        0 if COUNTS.search(key) else -1_000
    ):  # -1 and -100 mean that there is none
        raise UnusableFile(f"config.json: {key[:100]} is {shorten(value)}, which is no size")
    elif isinstance(value, int) and value > largest and "theta" not in key:
        raise UnusableFile(
            f"config.json: {key[:100]} is {shorten(value)}, more than the weights can hold ({largest:,})"
        )


# ---- tokenizer_config.json, special_tokens_map.json, added_tokens.json

Text = Annotated[str, StringConstraints(max_length=1_000)]
Word = Annotated[str, StringConstraints(pattern=r"^\w{1,50}$")]
Place = Annotated[int, Field(ge=0, lt=1 << 31)]


class AddedToken(TypedDict, total=False):
    """A token with how it is matched; see ``tokenizers.AddedToken``."""

    __pydantic_config__ = ConfigDict(extra="ignore")  # type: ignore[misc]
    content: Text
    single_word: bool
    lstrip: bool
    rstrip: bool
    normalized: bool
    special: bool


Token = Text | AddedToken | None


class SpecialTokens(TypedDict, total=False):
    """What ``special_tokens_map.json`` may say; any other key is dropped."""

    bos_token: Token
    eos_token: Token
    unk_token: Token
    sep_token: Token
    pad_token: Token
    cls_token: Token
    mask_token: Token
    additional_special_tokens: list[Token] | None
    extra_special_tokens: list[Token] | dict[Text, Token] | None


class TokenizerSettings(SpecialTokens, total=False):
    """What ``tokenizer_config.json`` may say; any other key, as all that name files, is dropped."""

    model_max_length: int | float | None
    max_len: int | float | None
    padding_side: Literal["left", "right"]
    truncation_side: Literal["left", "right"]
    pad_token_type_id: Annotated[int, Field(ge=0, lt=1_000)]
    model_input_names: list[Word]
    added_tokens_decoder: dict[Annotated[str, StringConstraints(pattern=r"^\d{1,9}$")], AddedToken]
    extra_ids: Annotated[int, Field(ge=0, le=10_000)]
    errors: Literal["strict", "replace", "ignore"]
    wordpieces_prefix: Text
    do_lower_case: bool | None
    do_basic_tokenize: bool | None
    strip_accents: bool | None
    tokenize_chinese_chars: bool | None
    clean_up_tokenization_spaces: bool | None
    add_prefix_space: bool | None
    trim_offsets: bool | None
    split_special_tokens: bool | None
    add_bos_token: bool | None
    add_eos_token: bool | None
    legacy: bool | None
    remove_space: bool | None
    keep_accents: bool | None
    split_by_punct: bool | None
    spaces_between_special_tokens: bool | None
    add_dummy_prefix_space: bool | None


def filter_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is shown of a ``tokenizer_config.json``."""
    kept = check_shape(settings, TokenizerSettings, "tokenizer_config.json")
    for key in ("model_max_length", "max_len"):
        if kept.get(key) is not None and kept[key] < 1:
            raise UnusableFile(f"tokenizer_config.json: {key} is {shorten(kept[key])}, less than 1")
    named = {
        key: value
        for key, value in settings.items()
        if key.endswith("_token") and re.fullmatch(r"\w{1,50}", key) and isinstance(value, str) and len(value) < 1_000
    }
    return named | kept | keep_tokenizer_class(settings)


def filter_special_tokens(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is shown of a ``special_tokens_map.json``."""
    return check_shape(settings, SpecialTokens, "special_tokens_map.json")


def filter_added_tokens(tokens: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is shown of an ``added_tokens.json``."""
    return check_shape(tokens, dict[Text, Place], "added_tokens.json")


def filter_tokenizer(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a ``tokenizer.json`` that pads no text to a length of its own; it is for the caller to pad and cut."""
    padding = content.get("padding")
    if not isinstance(padding, dict):
        return dict(content)
    return dict(content) | {"padding": padding | {"strategy": "BatchLongest", "pad_to_multiple_of": None}}


def keep_tokenizer_class(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the ``tokenizer_class`` if it is one of transformers' tokenizers, else the generic one."""
    import transformers

    name = settings.get("tokenizer_class")
    if name is None:
        return {}
    known = isinstance(name, str) and re.fullmatch(r"\w{1,60}(Tokenizer|TokenizerFast|Backend)", name)
    found = getattr(transformers, name, None) if known else None
    right = isinstance(found, type) and issubclass(found, transformers.PreTrainedTokenizerBase)
    return {"tokenizer_class": name if right else "PreTrainedTokenizerFast"}
