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

# What the last bits of a sum hang on, and with them, after many steps, the last digits of a score.
EXACT = ("cpu", "threads", "gpu", "cuda", "precision", "processes", "torch", "transformers", "accelerate")


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


def changes(begun: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What is otherwise than when a run began, of what its exact weights hang on.

    Args:
        begun: The run's ``environment.json``.
        now: What would stand there if it began now.

    Returns:
        "threads: 1, then 2" and the like; empty where the same weights come out, on a CPU bit for bit.
    """
    then, new = _exact(begun), _exact(now)
    return [f"{name}: {then[name]}, then {new[name]}" for name in EXACT if then[name] != new[name]]


def _exact(environment: dict[str, Any]) -> dict[str, Any]:
    flat = environment | environment["packages"] | {"precision": environment["precision"]["name"]}
    return {name: "none" if flat.get(name) is None else flat[name] for name in EXACT}


def _cpu() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown"
