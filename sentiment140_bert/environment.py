"""What a run ran on: machine, versions, precision. Holds no host name, no user name and no path."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

PACKAGES = (
    "sentiment140-bert",
    "torch",
    "transformers",
    "tokenizers",
    "datasets",
    "evaluate",
    "accelerate",
    "huggingface_hub",
    "numpy",
    "scikit-learn",
)


def describe() -> dict[str, Any]:
    """The content of ``environment.json``, as far as it is known before training."""
    import torch

    gpu = torch.cuda.is_available()
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu(),
        "cpu_count": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if gpu else None,
        "gpu_count": torch.cuda.device_count(),
        "cuda": torch.version.cuda,
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
    }


def _cpu() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown"
