"""``s140 convert``."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from sentiment140_bert.errors import ModelError
from sentiment140_bert.files import expand_path

log = logging.getLogger(__name__)
# What a conversion reads of a Hub model. No code, and nothing out of a folder.
WANTED = ["*.json", "*.txt", "*.model", "*.md", "LICENSE*", "*.bin", "*.pt", "*.pth", "*.ckpt"]


def convert(model: str, output: Path, revision: str | None = None) -> dict[str, Any]:
    """Takes the weights of a model out of a pickle and writes them as safetensors; nothing in the pickle is run.

    Args:
        model: A model folder or a Hub id.
        output: The folder to write; it must not exist.
        revision: Of a Hub model.

    Returns:
        ``folder``, ``read`` (names of the pickles), ``tensors``, ``bytes`` and ``commit`` (of a Hub model).

    Raises:
        ModelError: It has no pickled weights, or they hold more than numbers.
        HubError: There is no such model, or the Hub cannot be reached.
    """
    from sentiment140_bert.models import conversion, is_hub_id

    source, commit = expand_path(model), None
    if not source.exists() and is_hub_id(model):
        from sentiment140_bert.hub import fetch
        from sentiment140_bert.hub.client import Hub

        hub = Hub()
        commit = fetch.commit_of(hub, "model", model, revision)
        log.info("model: %s at commit %s", model, commit[:12])
        source = fetch.snapshot(hub, "model", model, commit, WANTED)
    if not source.is_dir():
        raise ModelError(f"{model} is no folder.", "Name the folder that the weights and config.json lie in.")
    return conversion.convert(source, output.expanduser()) | {"commit": commit}
