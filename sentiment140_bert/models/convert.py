"""``s140 convert``: pickled weights to safetensors, by torch's ``weights_only``, which runs nothing in the pickle."""

from __future__ import annotations

import logging
import pickle
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from typing_extensions import TypedDict

from sentiment140_bert.errors import ModelError, first_line, is_unicode
from sentiment140_bert.files import Place, expand_output, expand_path, to_name, write_folder_whole
from sentiment140_bert.models.locate import is_hub_id
from sentiment140_bert.models.staging import SAFETENSORS, SAFETENSORS_INDEX, find_pickles
from sentiment140_bert.trust import check_folder
from sentiment140_bert.trust.model_files import check_archive, read_object

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger(__name__)
INDEX, SINGLE_FILE = "pytorch_model.bin.index.json", "pytorch_model.bin"
# Settings and tokenizers are copied. Code and everything unknown is not.
COPIED = ("*.json", "*.txt", "*.model", "*.md", "LICENSE*")
DOWNLOADED = [*COPIED, "*.bin", "*.pt", "*.pth", "*.ckpt"]
# Tensors that share memory are written once for each name; more bytes than this times the file's are a bomb: a tensor
# expanded by strides of 0 passes both `weights_only` and the check of the archive.
MAX_GROWTH = 4


class Conversion(TypedDict):
    """The folder that was written, the pickles that were read, and the commit of a Hub model."""

    folder: str
    read: list[str]
    tensors: int
    bytes: int
    commit: str | None


def convert(model: Place, output: Place, revision: str | None = None) -> Conversion:
    """Write a model folder with the weights of ``model`` as safetensors, whole or not at all.

    Args:
        model: A model folder or a Hub id, with pickled weights in one file or in several with an index.
        output: The folder to write; it must not exist.
        revision: Revision of a Hub model.

    Raises:
        ModelError: It has no pickled weights, they hold more than numbers, or ``output`` exists.
        HubError: There is no such model, or the Hub cannot be reached.
    """
    model = to_name(model)
    source, commit, target = expand_path(model), None, expand_output(output)
    if not source.exists() and is_hub_id(model):
        from sentiment140_bert.hub import fetch
        from sentiment140_bert.hub.client import Hub

        hub = Hub()
        commit = fetch.resolve_commit(hub, "model", model, revision)
        log.info("model: %s at commit %s", model, commit[:12])
        source = fetch.download(hub, "model", model, commit, DOWNLOADED)
    if not source.is_dir():
        raise ModelError(f"{model} is not a folder.", "Name the folder with the weights and config.json.")
    if target.exists():
        raise ModelError(f"{target} exists.", "Name a new folder with --output.")
    check_folder(source)
    pickles = _find_weights(source)
    weights = {name: tensor for file in pickles for name, tensor in _load_tensors(file).items()}
    _write_folder(source, target, weights)
    return {
        "folder": str(target),
        "read": [file.name for file in pickles],
        "tensors": len(weights),
        "bytes": (target / SAFETENSORS).stat().st_size,
        "commit": commit,
    }


def _write_folder(source: Path, target: Path, weights: dict[str, Tensor]) -> None:
    from safetensors.torch import save_file

    with write_folder_whole(target, replaceable=()) as temporary:  # there was none
        for file in {file for pattern in COPIED for file in source.glob(pattern)}:
            if file.is_file() and file.name not in (INDEX, SAFETENSORS_INDEX, "trainer_state.json"):
                shutil.copyfile(file, temporary / file.name)
        save_file(weights, temporary / SAFETENSORS, {"format": "pt"})


def _find_weights(source: Path) -> list[Path]:
    """Return the pickles that hold the weights of a folder."""
    index = source / INDEX
    if (source / SAFETENSORS).is_file() or (source / SAFETENSORS_INDEX).is_file():
        raise ModelError(f"{source} has safetensors weights already.", "Use it as it is.")
    names = find_pickles(sorted(file.name for file in source.iterdir() if file.is_file()))
    if index.is_file():
        try:
            shards = {str(name) for name in read_object(index)["weight_map"].values()}
        except (ValueError, LookupError, AttributeError) as error:
            raise ModelError(f"{index} is damaged: {first_line(error)}.", "Fetch the model again.") from None
        missing = sorted(shards - {*names})  # a name that leads elsewhere is not among them either
        if missing:
            raise ModelError(
                f"{source} lacks {', '.join(missing[:3])}, named in {INDEX}.", "Fetch the complete model again."
            )
        return [source / name for name in sorted(shards)]
    chosen = [SINGLE_FILE] if SINGLE_FILE in names else names
    if len(chosen) != 1:
        raise ModelError(
            f"{source} holds {len(chosen)} files of pickled weights ({', '.join(chosen) or 'none'}); one is needed.",
            f"Keep only the right one, or rename it to {SINGLE_FILE}.",
        )
    return [source / chosen[0]]


def _load_tensors(file: Path) -> dict[str, Tensor]:
    """Load the tensors of a pickle by name, each with memory of its own, as safetensors need it."""
    import torch

    try:
        check_archive(file)
        content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{file} contains code that loading would run, so it was not loaded: {_shorten_refusal(error)}.",
            "Do not open it with other tools either unless you trust its owner; ask for safetensors.",
        ) from None
    except (OSError, RuntimeError, ValueError, EOFError, LookupError, AttributeError, TypeError) as error:
        raise ModelError(f"{file} is damaged: {first_line(error)}.", "Fetch the model again.") from None
    inner = content.get("state_dict") if isinstance(content, dict) else None
    tensors = inner if isinstance(inner, dict) else content
    if not isinstance(tensors, dict) or not tensors or not all(map(_is_weight, tensors, tensors.values())):
        raise ModelError(f"{file} holds no named weights.", "Save the model's state_dict(), or ask its owner.")
    if len({*map(str, tensors)}) < len(tensors):
        raise ModelError(f"{file} holds two weights of one name.", "Save the model's state_dict(), or ask its owner.")
    total = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    if total > MAX_GROWTH * file.stat().st_size or any(
        tensor.layout != torch.strided or tensor.device.type != "cpu" for tensor in tensors.values()
    ):
        raise ModelError(f"{file} claims {total:,} bytes of weights, more than it holds.", "Do not trust it.")
    return {str(name): tensor.detach().contiguous().clone() for name, tensor in tensors.items()}


def _is_weight(name: object, value: object) -> bool:
    """Return True for a tensor that safetensors can hold, under a name that can be written and is not its own."""
    import torch

    is_plain = isinstance(value, torch.Tensor) and not (value.is_nested or value.is_quantized or value.is_complex())
    return is_plain and is_unicode(str(name)) and str(name) != "__metadata__"


def _shorten_refusal(error: Exception) -> str:
    """Return torch's reason to refuse a pickle, without its advice to open it all the same."""
    reasons = [line for line in str(error).splitlines() if "GLOBAL" in line or "Unsupported" in line]
    return (reasons or [first_line(error)])[0].strip().split(" by default")[0][:200]
