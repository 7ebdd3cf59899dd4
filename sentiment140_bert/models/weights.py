"""Compare a config with the headers of safetensors before any memory is taken, and check the weights that were read."""

from __future__ import annotations

import copy
import math
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sentiment140_bert.errors import ModelError
from sentiment140_bert.trust.model_files import UnusableFile

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedConfig, PreTrainedModel

LARGEST_HEADER = 1 << 24  # bytes; a model of 200 tensors has 20,000


class Contents(NamedTuple):
    """The size of some weights.

    Args:
        tensors: Number of tensors.
        numbers: Elements of all of them.
        widest: The largest dimension of one.
        dtypes: Their number types, as safetensors call them.
    """

    tensors: int
    numbers: int
    widest: int
    dtypes: frozenset[str] = frozenset()


# The most that a model without weights may have: eight GiB of float32.
UNKNOWN = Contents(tensors=20_000, numbers=1 << 31, widest=1 << 20)


def read_headers(files: Iterable[Path]) -> Contents:
    """Return the size of safetensors; of each file only the header is read.

    Raises:
        UnusableFile: A header is longer than a model needs.
        SafetensorError: One is damaged, or names more bytes than the file has.
    """
    from safetensors import safe_open

    shapes: list[list[int]] = []
    dtypes: set[str] = set()
    for file in files:
        with file.open("rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
        if length > LARGEST_HEADER:
            raise UnusableFile(f"{file.name} is damaged: its header has {length:,} bytes")
        with safe_open(file, framework="pt") as tensors:
            slices = [tensors.get_slice(name) for name in tensors.keys()]  # noqa: SIM118 - no mapping
            shapes += [part.get_shape() for part in slices]
            dtypes |= {part.get_dtype() for part in slices}
    numbers = sum(map(math.prod, shapes))
    widest = max((max(shape, default=1) for shape in shapes), default=1)
    return Contents(len(shapes), numbers, widest, frozenset(dtypes))


def build_shape(config: PreTrainedConfig, contents: Contents) -> PreTrainedModel:
    """Build a classifier of this config on the meta device, which takes no memory.

    Encoders lack a head and sometimes a part, so that a few tensors more are allowed, and four times the numbers.

    Raises:
        UnusableFile: It would have far more parameters than its weights.
    """
    import torch
    from transformers import AutoModelForSequenceClassification

    most = contents
    if contents is not UNKNOWN:
        most = Contents(2 * contents.tensors + 64, 4 * contents.numbers + (1 << 24), contents.widest)
    with _limit_parameters(most), torch.device("meta"):
        return AutoModelForSequenceClassification.from_config(copy.deepcopy(config), trust_remote_code=False)


@contextmanager
def _limit_parameters(most: Contents) -> Iterator[None]:
    """Stop this thread from building a model as soon as it has more parameters than ``most``."""
    from torch.nn.modules.module import register_module_parameter_registration_hook

    builder, tensors, numbers = threading.get_ident(), 0, 0

    def count(_module: torch.nn.Module, _name: str, parameter: torch.nn.Parameter | None) -> None:
        nonlocal tensors, numbers
        if threading.get_ident() != builder or parameter is None:
            return
        tensors, numbers = tensors + 1, numbers + parameter.numel()
        if tensors > most.tensors or numbers > most.numbers:
            raise UnusableFile(
                f"config.json describes a model of more than {tensors - 1:,} tensors or "
                f"{numbers - parameter.numel():,} numbers, which is more than it can have"
            )

    handle: Any = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        handle.remove()


def check_numbers(model: PreTrainedModel, name: str) -> None:
    """Raise ModelError, naming the layer, where a weight of a model is not a finite number."""
    import torch

    for layer, values in model.named_parameters():
        if values.numel() and values.is_floating_point():
            low, high = torch.aminmax(values.detach())
            if not (torch.isfinite(low) and torch.isfinite(high)):
                raise ModelError(
                    f"The model {name!r} is not loaded: {layer} holds infinite or NaN values.",
                    "Its training went wrong, or the file is damaged: fetch it again, or choose another model.",
                )
