"""The folder that ``s140 export`` writes: what is in it, and whether it is still the model that it was made of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sentiment140_bert.errors import ModelError
from sentiment140_bert.run_dir import TRAINING_ROWS, sha256_of

MANIFEST, CONFIG, TOKENIZER = "export.json", "config.json", "tokenizer.json"
# The names under which transformers.js and optimum look for them.
GRAPHS = {"fp32": "model.onnx", "int8": "model_int8.onnx"}


def is_export(folder: Path) -> bool:
    """Whether an export lies there."""
    return (folder / MANIFEST).is_file()


def sources_of(folder: Path) -> dict[str, str]:
    """The sha256 of all files in a model folder that an export is made of, by name."""
    files = [*folder.glob("*.safetensors"), folder / CONFIG, folder / TOKENIZER]
    made_of = [each for each in files if each.is_file() and each.name != TRAINING_ROWS]
    return {each.name: sha256_of(each) for each in sorted(made_of)}


def check_fresh(folder: Path, model: Path) -> None:
    """Raises ModelError where ``folder`` was not exported from what is in the model folder ``model`` now."""
    then, now = read(folder, MANIFEST)["made_of"], sources_of(model)
    changed = sorted(name for name in then.keys() | now.keys() if then.get(name) != now.get(name))
    if changed:
        raise ModelError(
            f"The export in {folder} was made of another model than the one in {model}: {', '.join(changed)} changed.",
            "Export it anew with `s140 export`.",
        )


def read(folder: Path, name: str) -> dict[str, Any]:
    """One of an export's JSON files.

    Raises:
        ModelError: It is missing or damaged.
    """
    needed = {MANIFEST: ("made_of", "files", "max_length"), CONFIG: ("id2label",)}.get(name, ())
    try:
        content = json.loads((folder / name).read_text("utf-8"))
        missing = [key for key in needed if key not in content]
        if not isinstance(content, dict) or missing:
            raise ValueError(f"it lacks {', '.join(missing)}" if missing else "it is no object")
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(
            f"{folder / name} cannot be read: {error}.", "Export the model anew with `s140 export`."
        ) from None
    return content
