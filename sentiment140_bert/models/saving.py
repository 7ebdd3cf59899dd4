"""Model folders that ``pipeline`` loads, and what was learned of the scores, noted in them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sentiment140_bert import shapes
from sentiment140_bert.errors import ModelError
from sentiment140_bert.run_dir import folder_written_whole, sha256_of, write_json, write_text
from sentiment140_bert.shapes import checked

CALIBRATION = "sentiment_calibration"  # key of config.json


def save(model: Any, tokenizer: Any, folder: Path) -> str:
    """Writes model and tokenizer as ``folder``, whole or not at all, and returns the sha256 of the weights."""
    with folder_written_whole(folder) as temporary:
        model.save_pretrained(temporary)
        save_tokenizer(tokenizer, temporary)
    return sha256_of(folder / "model.safetensors")


def write_calibration(folder: Path, learned: dict[str, float]) -> None:
    """Notes ``temperature`` and ``neutral_below`` in a model folder's ``config.json``, where they travel along."""
    config = folder / "config.json"
    write_json(config, json.loads(config.read_text("utf-8")) | {CALIBRATION: learned})


def is_calibrated(config: Mapping[str, Any]) -> bool:
    """Whether a model's config tells what was learned of its validation split."""
    return config.get(CALIBRATION) is not None


def calibration_of(config: Mapping[str, Any], name: str) -> dict[str, float]:
    """``temperature`` and ``neutral_below``, as :func:`write_calibration` noted them in the config of model ``name``.

    Raises:
        ModelError: There are none, or they make no sense.
    """
    if not is_calibrated(config):
        raise ModelError(
            f"{name} was not calibrated: its config.json has no {CALIBRATION}.", "Score it: s140 evaluate RUN"
        )
    noted = checked(config[CALIBRATION], shapes.Learned, f"The {CALIBRATION} in {name}'s config.json")
    return {key: float(noted[key]) for key in ("temperature", "neutral_below")}


def save_tokenizer(tokenizer: Any, folder: Path) -> None:
    """Writes a tokenizer into a folder, so that every version knows its class.

    transformers 5 writes a class name that 4 does not know; both know the older one.
    """
    tokenizer.save_pretrained(folder)
    config = folder / "tokenizer_config.json"
    settings = json.loads(config.read_text("utf-8"))
    if settings.get("tokenizer_class") == "TokenizersBackend":
        settings["tokenizer_class"] = "PreTrainedTokenizerFast"
        write_text(config, json.dumps(settings, indent=2, ensure_ascii=False) + "\n")
