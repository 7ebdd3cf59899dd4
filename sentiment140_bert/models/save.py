"""Model folders that ``pipeline`` loads, with the calibration of their scores in ``config.json``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sentiment140_bert import schemas
from sentiment140_bert.errors import ModelError
from sentiment140_bert.files import hash_file, write_folder_whole, write_json, write_text
from sentiment140_bert.schemas import check_schema

CALIBRATION = "sentiment_calibration"  # key of config.json


def save_model(model: Any, tokenizer: Any, folder: Path) -> str:
    """Write model and tokenizer as ``folder``, whole or not at all, and return the sha256 of the weights.

    Other files of an earlier ``folder`` stay, such as a card with a text of the user's; links do not.
    """
    with write_folder_whole(folder) as temporary:
        if folder.is_dir():
            shutil.copytree(folder, temporary, ignore=_list_links_and_weights, dirs_exist_ok=True)
        model.save_pretrained(temporary)
        save_tokenizer(tokenizer, temporary)
    return hash_file(folder / "model.safetensors")


def _list_links_and_weights(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if ".safetensors" in name or Path(folder, name).is_symlink()]


@dataclass(frozen=True)
class Calibration:
    """Learned from the validation split, and published in the model's ``config.json``.

    Args:
        temperature: Divides the logits (Guo et al. 2017); above 1 the model was too sure of itself.
        neutral_below: Calibrated confidence under which the model may abstain, and say ``neutral``.
    """

    temperature: float
    neutral_below: float


def write_calibration(folder: Path, calibration: Calibration | None) -> None:
    """Write a calibration, or none, into a model folder's ``config.json``, so that it is published with the model."""
    config = folder / "config.json"
    content = json.loads(config.read_text("utf-8"))
    content.pop(CALIBRATION, None)
    write_json(config, content | ({CALIBRATION: vars(calibration)} if calibration else {}))


def is_calibrated(config: Mapping[str, Any]) -> bool:
    """Return True if a model's config holds a calibration."""
    return config.get(CALIBRATION) is not None


def read_calibration(config: Mapping[str, Any], name: str) -> Calibration:
    """Return the calibration that :func:`write_calibration` added to the config of model ``name``.

    Raises:
        ModelError: It is missing or invalid.
    """
    if not is_calibrated(config):
        raise ModelError(
            f"{name} was not calibrated: its config.json has no {CALIBRATION}.",
            "`s140 evaluate RUN` calibrates a run of two labels that has enough validation tweets.",
        )
    calibration = check_schema(
        config[CALIBRATION], schemas.LearnedCalibration, f"The {CALIBRATION} in {name}'s config.json"
    )
    return Calibration(float(calibration["temperature"]), float(calibration["neutral_below"]))


def save_tokenizer(tokenizer: Any, folder: Path) -> None:
    """Write a tokenizer into a folder under a class name that transformers 4 knows, too."""
    tokenizer.save_pretrained(folder)
    config = folder / "tokenizer_config.json"
    settings = json.loads(config.read_text("utf-8"))
    if settings.get("tokenizer_class") == "TokenizersBackend":
        settings["tokenizer_class"] = "PreTrainedTokenizerFast"
        write_text(config, json.dumps(settings, indent=2, ensure_ascii=False) + "\n")
