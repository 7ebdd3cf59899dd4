"""Tokenizers and classifiers: from the Hub, a folder or the bundled encoder; saved so that ``pipeline`` just works."""

from sentiment140_bert.models.architecture import ID2LABEL, read_dropouts
from sentiment140_bert.models.load import build_untrained, load_config, load_encoder, load_model_and_tokenizer
from sentiment140_bert.models.locate import BUNDLED, find_cached_commit, find_folder, is_hub_id, locate
from sentiment140_bert.models.save import (
    CALIBRATION,
    is_calibrated,
    read_calibration,
    save_model,
    save_tokenizer,
    write_calibration,
)
from sentiment140_bert.models.staging import resolve_commit
from sentiment140_bert.models.tokenizer import load_tokenizer, make_padding_tokenizer

__all__ = [
    "BUNDLED",
    "CALIBRATION",
    "ID2LABEL",
    "build_untrained",
    "find_cached_commit",
    "find_folder",
    "is_calibrated",
    "is_hub_id",
    "load_config",
    "load_encoder",
    "load_model_and_tokenizer",
    "load_tokenizer",
    "locate",
    "make_padding_tokenizer",
    "read_calibration",
    "read_dropouts",
    "resolve_commit",
    "save_model",
    "save_tokenizer",
    "write_calibration",
]
