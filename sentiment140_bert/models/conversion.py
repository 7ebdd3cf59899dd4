"""Pickled weights to safetensors: the numbers are taken out of the pickle, and nothing in it is run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment140_bert.errors import ModelError, first_line
from sentiment140_bert.models.intake import SAFE, SAFE_INDEX, pickled_weights
from sentiment140_bert.run_dir import folder_written_whole
from sentiment140_bert.trust import check_folder
from sentiment140_bert.trust.model_files import check_archive

if TYPE_CHECKING:
    from torch import Tensor

INDEX = "pytorch_model.bin.index.json"
MOST_TIMES = 4  # the file's size: weights that share memory are written for each name
WHOLE = "pytorch_model.bin"
# What goes along: settings and tokenizers. Code and everything unknown stays behind.
ALONG = ("*.json", "*.txt", "*.model", "*.md", "LICENSE*")


def convert(source: Path, target: Path) -> dict[str, Any]:
    """Writes a model folder with the weights of ``source`` as safetensors, whole or not at all.

    Args:
        source: A folder with ``config.json`` and pickled weights, in one file or in several with an index.
        target: A folder that does not exist yet.

    Returns:
        ``folder``, ``read`` (names of the pickles), ``tensors`` and ``bytes``.

    Raises:
        ModelError: There are no such weights, they hold more than numbers, or ``target`` exists.
    """
    if target.exists():
        raise ModelError(f"{target} exists.", "Name a new folder with --output.")
    check_folder(source)
    files = _files(source)
    weights: dict[str, Tensor] = {}
    for file in files:
        weights |= _numbers(file)
    from safetensors.torch import save_file

    with folder_written_whole(target) as new:
        for each in sorted({found for pattern in ALONG for found in source.glob(pattern)}):
            if each.is_file() and each.name not in (INDEX, SAFE_INDEX, "trainer_state.json"):
                shutil.copyfile(each, new / each.name)
        save_file(weights, new / SAFE, {"format": "pt"})
    size = (target / SAFE).stat().st_size
    return {"folder": str(target), "read": [each.name for each in files], "tensors": len(weights), "bytes": size}


def _files(source: Path) -> list[Path]:
    """The pickles that hold the weights of a folder."""
    index = source / INDEX
    if (source / SAFE).is_file() or (source / SAFE_INDEX).is_file():
        raise ModelError(f"{source} has safetensors weights already.", "Use it as it is.")
    names = pickled_weights(sorted(each.name for each in source.iterdir() if each.is_file()))
    if index.is_file():
        try:
            shards = {str(each) for each in json.loads(index.read_text("utf-8"))["weight_map"].values()}
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise ModelError(f"{index} is damaged: {first_line(error)}.", "Fetch the model again.") from None
        missing = sorted(shards - {*names})  # a name that leads elsewhere is not among them either
        if missing:
            raise ModelError(f"{source} lacks {', '.join(missing[:3])}, of which {INDEX} speaks.", "Fetch it whole.")
        return [source / each for each in sorted(shards)]
    chosen = [WHOLE] if WHOLE in names else names
    if len(chosen) != 1:
        raise ModelError(
            f"{source} holds {len(chosen)} files of pickled weights ({', '.join(chosen) or 'none'}); one is needed.",
            f"Leave the right one there alone, or rename it to {WHOLE}.",
        )
    return [source / chosen[0]]


def _numbers(file: Path) -> dict[str, Tensor]:
    """The tensors of a pickle by name, each with memory of its own: tied and shared ones are written twice."""
    import pickle

    import torch

    try:
        check_archive(file)
        content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{file} holds more than numbers, and what it holds would be run: {_refused(error)}. It was not.",
            "Do not open it elsewhere either, unless you trust its owner; ask for safetensors.",
        ) from None
    except (OSError, RuntimeError, ValueError, EOFError, LookupError, AttributeError, TypeError) as error:
        raise ModelError(f"{file} is damaged: {first_line(error)}.", "Fetch the model again.") from None
    inner = content.get("state_dict") if isinstance(content, dict) else None
    found = inner if isinstance(inner, dict) else content
    tensors = found if isinstance(found, dict) else {}
    if not tensors or not all(isinstance(each, torch.Tensor) for each in tensors.values()):
        raise ModelError(f"{file} holds no named weights.", "Save the model's state_dict(), or ask its owner.")
    total = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    if total > MOST_TIMES * file.stat().st_size or any(
        tensor.layout != torch.strided or tensor.device.type != "cpu" for tensor in tensors.values()
    ):
        raise ModelError(f"{file} claims weights of {total:,} bytes, which it does not hold.", "Do not trust it.")
    return {str(name): each.detach().contiguous().clone() for name, each in tensors.items()}


def _refused(error: Exception) -> str:
    """What torch says of a pickle that it does not open, without its advice to open it all the same."""
    said = [line for line in str(error).splitlines() if "GLOBAL" in line or "Unsupported" in line]
    return (said or [first_line(error)])[0].strip().split(" by default")[0][:200]
