"""The settings of an untrusted model that transformers may see: known keys, with plain values that name no file."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints
from typing_extensions import TypedDict

from sentiment140_bert.models.save import CALIBRATION
from sentiment140_bert.text import shorten
from sentiment140_bert.trust.model_files import UnusableFile, check_shape, read_labels

# ---- config.json
# Keys that no class of config declares, or that lead elsewhere whatever they hold.
HANDLED_APART = {"num_labels", "id2label", "label2id", "model_type", "tokenizer_class", "dtype", "torch_dtype"}
HANDLED_APART |= {"pruned_heads"}  # which transformers 4 leaves out
QUANTIZED = ("quantization_config", "compression_config")
WORD = re.compile(r"[^/\\:\x00-\x1f]{0,100}")  # no path, no address
DROPPED = object()
MAX_BLOCK = 1 << 14
BLOCKS = re.compile("attention_window|block_size|chunk_length")  # texts are padded to a multiple of these
COUNTS = re.compile("hidden|heads?$|layers?$|vocab")


def filter_config(config: Mapping[str, Any], widest: int, labels: bool) -> dict[str, Any]:
    """Return the allowed settings of a ``config.json``.

    Of the keys that the class of its ``model_type`` declares: numbers, and words that are neither path nor address. Of
    others, from older versions: numbers alone.

    Args:
        config: Content of the file.
        widest: Largest dimension of the weights: no size may be above it and above 2^20.
        labels: Keep the labels.

    Raises:
        UnusableFile: Its kind is unknown, it is quantized, or a number or a label makes no sense.
    """
    from transformers import CONFIG_MAPPING, PreTrainedConfig

    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in CONFIG_MAPPING:
        raise UnusableFile(f"config.json: the model_type {shorten(kind)} is unknown to transformers")
    if any(config.get(key) is not None for key in QUANTIZED):
        raise UnusableFile("config.json: the model is quantized; name the model that it was made from")
    config_class = CONFIG_MAPPING[kind]
    declared = {*inspect.signature(config_class).parameters, *inspect.signature(PreTrainedConfig).parameters}
    declared |= {*config_class.attribute_map, "rope_scaling", CALIBRATION}
    allowed: dict[str, Any] = {}
    for key, value in config.items():
        if key in HANDLED_APART:
            continue
        plain = keep_plain(value, words=key in declared)
        reason = next(find_implausible_sizes(plain, max(widest, 1 << 20), key), None)
        if key in declared and reason:
            raise UnusableFile(f"config.json: {reason}")
        if plain is not DROPPED and not reason:
            allowed[key] = plain
    for key in ("dtype", "torch_dtype"):
        if isinstance(config.get(key), str) and re.fullmatch(r"(b?float\d\d?)", config[key]):
            allowed[key] = config[key]
    if labels and (names := read_labels(config)):
        allowed["id2label"] = {str(number): label for number, label in enumerate(names)}
        allowed["label2id"] = {label: number for number, label in enumerate(names)}
    return allowed | {"model_type": kind} | keep_tokenizer_class(config)


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


def find_implausible_sizes(value: Any, largest: int, key: str) -> Iterator[str]:
    """Yield a message for each whole number of a config that is larger than any size that the model can have."""
    if isinstance(value, dict):
        for inner, item in value.items():
            yield from find_implausible_sizes(item, largest, inner)
    elif isinstance(value, list):
        for item in value:
            yield from find_implausible_sizes(item, largest, key)
    elif isinstance(value, int):
        least = 0 if COUNTS.search(key) else -1_000  # -1 and -100 mean that it is unset
        most = min(largest, MAX_BLOCK) if BLOCKS.search(key) else largest
        if value < least:
            yield f"{key[:100]} is {shorten(value)}, which is not a valid size"
        elif value > most and "theta" not in key:
            yield f"{key[:100]} is {shorten(value)}, more than the weights can hold ({most:,})"


# ---- tokenizer_config.json, special_tokens_map.json, added_tokens.json
Text = Annotated[str, StringConstraints(max_length=1_000)]
Word = Annotated[str, StringConstraints(pattern=r"^\w{1,50}$")]
Position = Annotated[int, Field(ge=0, lt=1 << 31)]


class AddedToken(TypedDict, total=False):
    """A token and its matching; see ``tokenizers.AddedToken``."""

    __pydantic_config__ = ConfigDict(extra="ignore")  # type: ignore[misc]
    content: Text
    single_word: bool
    lstrip: bool
    rstrip: bool
    normalized: bool
    special: bool


Token = Text | AddedToken | None
MAX_TOKENS = 2_000  # special ones: transformers compares each with all
Tokens = Annotated[list[Token], Field(max_length=MAX_TOKENS)]


class SpecialTokens(TypedDict, total=False):
    """The allowed keys of ``special_tokens_map.json``; any other is dropped."""

    bos_token: Token
    eos_token: Token
    unk_token: Token
    sep_token: Token
    pad_token: Token
    cls_token: Token
    mask_token: Token
    additional_special_tokens: Tokens | None
    extra_special_tokens: Tokens | Annotated[dict[Text, Token], Field(max_length=MAX_TOKENS)] | None


class TokenizerSettings(SpecialTokens, total=False):
    """The allowed keys of ``tokenizer_config.json``; any other, such as those that name files, is dropped."""

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


def filter_tokenizer_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the allowed settings of a ``tokenizer_config.json``."""
    allowed = check_shape(settings, TokenizerSettings, "tokenizer_config.json")
    for key in ("model_max_length", "max_len"):
        if allowed.get(key) is not None and allowed[key] < 1:
            raise UnusableFile(f"tokenizer_config.json: {key} is {shorten(allowed[key])}, less than 1")
    named = {
        key: value
        for key, value in settings.items()
        if key.endswith("_token") and re.fullmatch(r"\w{1,50}", key) and isinstance(value, str) and len(value) < 1_000
    }
    if len(named) > MAX_TOKENS:
        raise UnusableFile(f"tokenizer_config.json: it names {len(named):,} special tokens, more than {MAX_TOKENS:,}")
    return named | allowed | keep_tokenizer_class(settings)


def filter_special_tokens(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the allowed settings of a ``special_tokens_map.json``."""
    return check_shape(settings, SpecialTokens, "special_tokens_map.json")


def filter_added_tokens(tokens: Mapping[str, Any]) -> dict[str, Any]:
    """Return the allowed content of an ``added_tokens.json``."""
    return check_shape(tokens, dict[Text, Position], "added_tokens.json")


def filter_tokenizer(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a ``tokenizer.json`` that pads no text to a length of its own: the caller pads and cuts."""
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
    is_name = isinstance(name, str) and re.fullmatch(r"\w{1,60}(Tokenizer|TokenizerFast|Backend)", name)
    loaded = getattr(transformers, name, None) if is_name else None
    is_tokenizer = isinstance(loaded, type) and issubclass(loaded, transformers.PreTrainedTokenizerBase)
    return {"tokenizer_class": name if is_tokenizer else "PreTrainedTokenizerFast"}
