"""Tokenizers and classifiers: from the Hub, a folder or the bundled encoder; saved so that ``pipeline`` just works."""

from sentiment140_bert.models.classifier import load_classifier, load_encoder, shape_of, untrained
from sentiment140_bert.models.dropout import dropouts_of
from sentiment140_bert.models.head import ID2LABEL
from sentiment140_bert.models.intake import pinned
from sentiment140_bert.models.places import BUNDLED, commit_of, folder_of, is_hub_id, locate
from sentiment140_bert.models.saving import (
    CALIBRATION,
    calibration_of,
    is_calibrated,
    save,
    save_tokenizer,
    write_calibration,
)
from sentiment140_bert.models.tokenizer import load_tokenizer, padding_only

__all__ = [
    "BUNDLED",
    "CALIBRATION",
    "ID2LABEL",
    "calibration_of",
    "commit_of",
    "dropouts_of",
    "folder_of",
    "is_calibrated",
    "is_hub_id",
    "load_classifier",
    "load_encoder",
    "load_tokenizer",
    "locate",
    "padding_only",
    "pinned",
    "save",
    "save_tokenizer",
    "shape_of",
    "untrained",
    "write_calibration",
]
