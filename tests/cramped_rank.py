"""In the second of several processes, more than 8 tweets at once are too many."""

from __future__ import annotations

import os
from typing import Any

import torch

from sentiment140_bert import models

load_base_model = models.load_base_model


def load_cramped(*arguments: Any, **options: Any) -> Any:
    def check(model: Any, args: Any, kwargs: dict[str, Any]) -> None:
        if model.training and len(kwargs["input_ids"]) > 8:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")

    model = load_base_model(*arguments, **options)
    if os.environ["LOCAL_RANK"] == "1":
        model.register_forward_pre_hook(check, with_kwargs=True)
    return model


def install() -> None:
    """Let this process load base models that are cramped in that way."""
    models.load_base_model = load_cramped
