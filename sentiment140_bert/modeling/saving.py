"""Model folders that ``pipeline`` loads, and what was learned of the scores, noted in them."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment140_bert import shapes
from sentiment140_bert.errors import ModelError
from sentiment140_bert.run_dir import sha256_of, write_json, write_text
from sentiment140_bert.shapes import checked

if TYPE_CHECKING:
    from transformers import PreTrainedModel

CALIBRATION = "sentiment_calibration"  # key of config.json


def save(model: Any, tokenizer: Any, folder: Path) -> str:
    """Writes model and tokenizer as ``folder``, whole or not at all, and returns the sha256 of the weights."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".model-"))
    try:
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        _tell_every_version_the_class(temporary / "tokenizer_config.json")
        temporary.chmod(0o755)
        shutil.rmtree(folder, ignore_errors=True)
        temporary.replace(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return sha256_of(folder / "model.safetensors")


def write_calibration(folder: Path, learned: dict[str, float]) -> None:
    """Notes ``temperature`` and ``neutral_below`` in a model folder's ``config.json``, where they travel along."""
    config = folder / "config.json"
    write_json(config, json.loads(config.read_text("utf-8")) | {CALIBRATION: learned})


def is_calibrated(model: PreTrainedModel) -> bool:
    """Whether its config tells what was learned of its validation split."""
    return getattr(model.config, CALIBRATION, None) is not None


def calibration_of(model: PreTrainedModel, name: str) -> dict[str, float]:
    """``temperature`` and ``neutral_below``, as :func:`write_calibration` noted them.

    Raises:
        ModelError: There are none, or they make no sense.
    """
    if not is_calibrated(model):
        raise ModelError(
            f"{name} was not calibrated: its config.json has no {CALIBRATION}.", "Score it: s140 evaluate RUN"
        )
    noted = checked(getattr(model.config, CALIBRATION), shapes.Learned, f"The {CALIBRATION} in {name}'s config.json")
    return {key: float(noted[key]) for key in ("temperature", "neutral_below")}


def _tell_every_version_the_class(config: Path) -> None:
    """transformers 5 writes a class name that 4 does not know; both know the older one."""
    settings = json.loads(config.read_text("utf-8"))
    if settings.get("tokenizer_class") == "TokenizersBackend":
        settings["tokenizer_class"] = "PreTrainedTokenizerFast"
        write_text(config, json.dumps(settings, indent=2, ensure_ascii=False) + "\n")
