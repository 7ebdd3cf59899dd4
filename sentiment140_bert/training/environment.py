"""Write ``environment.json``: machine, versions, precision, command and duration; no host, user or path."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import logging
import os
import platform
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sentiment140_bert import schemas
from sentiment140_bert.credentials import conceal
from sentiment140_bert.data.corpora import add_description as describe_data
from sentiment140_bert.files import write_json, write_text
from sentiment140_bert.recipe import Recipe
from sentiment140_bert.recipe.privacy import make_arguments_public, strip_folders
from sentiment140_bert.run import RunDir
from sentiment140_bert.training import arguments

if TYPE_CHECKING:
    from sentiment140_bert.machine.usage import Usage
    from sentiment140_bert.training.arguments import Precision
    from sentiment140_bert.training.trainer import Outcome

log = logging.getLogger(__name__)
PACKAGES = (
    *("sentiment140-bert", "torch", "transformers", "tokenizers", "datasets"),
    *("evaluate", "accelerate", "huggingface_hub", "numpy", "scikit-learn"),
)
# The last bits of a sum depend on these, and with them, after many steps, the last digits of a score.
EXACT = ("cpu", "threads", "gpu", "cuda", "precision", "processes", "torch", "transformers", "accelerate")


def describe_machine() -> schemas.Machine:
    """Return the part of ``environment.json`` that describes the machine and its packages."""
    import torch

    has_gpu = torch.cuda.is_available()
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu(),
        "cpu_count": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if has_gpu else None,
        "gpu_count": torch.cuda.device_count(),
        "cuda": torch.version.cuda,
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
    }


def describe_environment(
    recipe: Recipe, precision: Precision, processes: int, arguments_given: list[str] | None
) -> schemas.StartedEnvironment:
    """Return ``environment.json`` of a training that starts now, without the part ``training``."""
    return cast(
        schemas.StartedEnvironment,
        {
            **describe_machine(),
            "precision": dataclasses.asdict(precision),
            "processes": processes,
            "base_model": _describe_base_model(recipe),
            "unusual_arguments": arguments.unusual(recipe.training),
            "command": conceal(shlex.join(["s140", *make_arguments_public(arguments_given)]))
            if arguments_given
            else None,
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    )


def resume_environment(run: RunDir, now: schemas.StartedEnvironment) -> schemas.StartedEnvironment:
    """Return ``environment.json`` of a run that resumes: as it started, with later differences under ``changed``.

    Args:
        run: The run to resume.
        now: Result of :func:`describe_environment`.
    """
    before = run.read_environment()
    earlier, changes = before.get("changed", []), list_changes(before, now)
    if changes:
        log.info("resume: the environment has changed, so the last digits may differ (%s)", "; ".join(changes))
    if earlier or changes:
        before["changed"] = list(dict.fromkeys([*earlier, *changes]))
    return before


def list_changes(before: schemas.StartedEnvironment, now: schemas.StartedEnvironment) -> list[str]:
    """Compare what the exact weights depend on: "threads: 1, then 2" and the like.

    Without changes the same weights come out, on a CPU bit for bit.

    Args:
        before: The run's ``environment.json``.
        now: Result of :func:`describe_environment`.
    """
    old, new = _exact_values(before), _exact_values(now)
    return [f"{name}: {old[name]}, then {new[name]}" for name in EXACT if old[name] != new[name]]


def describe_training(outcome: Outcome, usage: Usage) -> schemas.Training:
    """Return the part ``training`` of ``environment.json``."""
    share = outcome.share
    batch = {"tweets": share.tweets, "per_device": share.per_device, "accumulated": share.accumulated}
    values = {key: value for key, value in dataclasses.asdict(outcome).items() if key not in ("signal", "share")}
    return cast(schemas.Training, values | {"batch": batch, "usage": usage.summary()})


def start_run(run: RunDir, recipe: Recipe, report: schemas.Data, environment: schemas.StartedEnvironment) -> None:
    """Write ``data.json``, ``environment.json`` and, last, the recipe: from then on the folder is a run."""
    write_json(run.data, describe_data(report, recipe.card))
    write_json(run.environment, environment)
    write_text(run.recipe, recipe.to_yaml())


def _describe_base_model(recipe: Recipe) -> schemas.BaseModel:
    """Return the base model's name and commit; ``on_hub`` is True if others find it by that name."""
    from sentiment140_bert import models

    name = recipe.model.model_name_or_path
    commit = models.find_cached_commit(name, recipe.model.model_revision)
    return {"name": strip_folders(name), "revision": commit, "on_hub": models.is_hub_id(name)}


def _exact_values(environment: schemas.StartedEnvironment) -> dict[str, Any]:
    flat: dict[str, Any] = {**environment, **environment["packages"]} | {"precision": environment["precision"]["name"]}
    return {name: "none" if flat.get(name) is None else flat[name] for name in EXACT}


def _cpu() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown"
