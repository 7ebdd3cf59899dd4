"""``s140 doctor``: what this machine has, what a job will do with it, and how long that takes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sentiment140_bert.errors import Interrupted, S140Error
from sentiment140_bert.platforms.doctor import probing
from sentiment140_bert.recipe import Recipe
from sentiment140_bert.values import path_named

ELSEWHERE = {
    "model": "Without the Hub: --model-name-or-path with a folder, or bundled:minilm.",
    "dataset": "Without the Hub: --dataset stanford, sample, or a file.",
}
IN_A_CHECKPOINT = 3  # the weights and AdamW's two averages of each of them


def doctor(recipe: Recipe, output_dir: Path, *, measure: bool = True) -> dict[str, Any]:
    """Examines the machine for a recipe; nothing is left behind but the cache of the packaged tweets.

    Args:
        recipe: The job.
        output_dir: Where it would write.
        measure: Train a few steps to tell the time.

    Returns:
        ``machine``, ``disk`` (MiB), ``logins``, ``trackers``, ``packages``, ``sources``, ``choice``, ``probe`` (None
        where it was not made), ``problems`` (each would make the job fail), ``remarks``, and ``ready``.
    """
    from sentiment140_bert import tracking
    from sentiment140_bert.platforms.doctor import readiness

    problems: list[str] = []
    machine, remarks = _machine(problems)
    packages = readiness.versions()
    problems += [
        f"{each['name']} {each['installed'] or 'is missing'}; {each['wanted']} is needed: pip install "
        f'"{each["name"]}{each["wanted"]}"'
        for each in packages
        if not each["fits"]
    ]
    trackers = _trackers(recipe, problems)
    sources = {"model": _model(recipe), "dataset": _dataset(recipe)}
    for kind, each in sources.items():
        if not each["here"]:
            elsewhere = ELSEWHERE[kind] if each["on_hub"] else ""
            problems.append(f"The {kind} {each['name']} cannot be had: {each['remark']}. {elsewhere}".strip())
    choice = _choice(recipe, problems)
    found = None
    if measure and choice:
        try:
            found = probing.probe(recipe, output_dir, sources["model"]["here"])
        except Interrupted:
            raise
        except S140Error as error:
            problems.append(f"{error.message} {error.hint}")
    disk = _disk(recipe, output_dir, found)
    if disk["needed"] and disk["free"] < disk["needed"]:
        problems.append(f"The disk has {disk['free']:,} MiB left, the job needs {disk['needed']:,}: make room.")
    return {
        "machine": machine,
        "disk": disk,
        "logins": {"wandb": tracking.has_wandb_credentials(), **readiness.logins()},
        "trackers": trackers,
        "packages": packages,
        "sources": sources,
        "choice": choice,
        "probe": found,
        "problems": problems,
        "remarks": remarks,
        "ready": not problems,
    }


def _machine(problems: list[str]) -> tuple[dict[str, Any], list[str]]:
    import torch

    from sentiment140_bert.machine import facts, gpu
    from sentiment140_bert.training import environment

    seen, gpu_here = gpu.all_gpus(), facts.torch_gpu()
    driver_cuda = gpu.driver_cuda() if seen else None
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    why = facts.why_unused(seen, gpu_here is not None, torch.version.cuda, driver_cuda, visible)
    remarks = [why] if why else []
    if gpu_here:
        unfit = facts.too_old(gpu_here["name"], gpu_here["compute_capability"], gpu_here["architectures"])
        problems += [unfit] if unfit else []
    if gpu_here and gpu_here["count"] > 1:
        number = gpu_here["count"]
        remarks.append(f"{number} GPUs: `torchrun --nproc_per_node {number} -m sentiment140_bert train …` uses all.")
    if gpu_here and gpu_here["memory_free"] < 0.8 * gpu_here["memory_total"]:
        used = gpu_here["memory_total"] - gpu_here["memory_free"]
        remarks.append(f"Other programs hold {used:,} MiB of the GPU's memory: close what is not needed.")
    described = environment.describe()
    return {
        "system": described["system"],
        "python": described["python"],
        "cpu": described["cpu"],
        "cores": facts.cores(),
        "memory": facts.memory_total(),
        "gpu": gpu_here,
        "driver": {"gpus": [each.name for each in seen], "version": seen[0].driver if seen else None}
        | {"cuda": driver_cuda},
        "torch": described["packages"]["torch"],
        "torch_cuda": described["cuda"],
    }, remarks


def _trackers(recipe: Recipe, problems: list[str]) -> dict[str, list[str]]:
    """``installed`` of the trackers, and ``used``: what the recipe's ``report_to`` comes to here."""
    from sentiment140_bert import tracking

    asked = recipe.training.report_to
    try:
        used = tracking.chosen(asked)
    except S140Error as error:
        problems.append(f"{error.message} {error.hint}")
        used = [name for name in asked if name != "none"]
    return {"installed": tracking.installed(), "used": used}


def _source(name: str, state: str, remark: str, on_hub: bool = False) -> dict[str, Any]:
    return {"name": name, "here": state != "missing", "state": state, "remark": remark, "on_hub": on_hub}


def _model(recipe: Recipe) -> dict[str, Any]:
    from sentiment140_bert import models
    from sentiment140_bert.hub import reach

    name, revision = recipe.model.model_name_or_path, recipe.model.model_revision
    try:
        if models.is_hub_id(name):
            return _source(name, *reach.state_of("model", name, revision), on_hub=True)
        models.locate(name)
    except S140Error as error:
        return _source(name, "missing", f"{error.message} {error.hint}".rstrip("."))
    return _source(name, "local", "on this machine")


def _dataset(recipe: Recipe) -> dict[str, Any]:
    from sentiment140_bert.data import download, source, tables
    from sentiment140_bert.hub import reach

    name = recipe.data.dataset
    if source.is_hub_id(name):
        return _source(name, *reach.state_of("dataset", name, recipe.data.dataset_revision), on_hub=True)
    if name == "stanford":
        if (download.cache_dir() / "downloads" / "trainingandtestdata.zip").is_file():
            return _source(name, "cached", "in the cache of this machine")
        return _source(name, "reachable", "to be downloaded from Stanford's site, which was not asked")
    if tables.is_table(name):
        return _source(name, "reachable", "a table, which Spark was not asked for")
    if name == "sample" or path_named(name).exists():
        return _source(name, "local", "on this machine")
    return _source(name, "missing", "there is no such file or folder; check the path")


def _choice(recipe: Recipe, problems: list[str]) -> dict[str, Any] | None:
    """What `s140 train` would choose here; None where it would refuse."""
    from sentiment140_bert.training import arguments

    config = recipe.training
    try:
        precision = arguments.choose_precision(config)
        arguments.training_arguments(config, precision, Path("checkpoints"))
    except S140Error as error:
        problems.append(f"{error.message} {error.hint}")
        return None
    return {
        "precision": precision.name,
        "why": precision.why,
        "per_device_train_batch_size": config.per_device_train_batch_size,
        "gradient_accumulation_steps": config.gradient_accumulation_steps,
        "auto_find_batch_size": config.auto_find_batch_size,
        "optim": config.optim,
        "processes": 1,
    }


def _disk(recipe: Recipe, output_dir: Path, found: dict[str, Any] | None) -> dict[str, Any]:
    """MiB that are free, and that the job needs: its checkpoints, one more while it is written, and the model."""
    from sentiment140_bert.data.download import cache_dir
    from sentiment140_bert.machine.facts import free_disk

    needed = None
    if found:
        kept = min(found["job"]["saves"], (recipe.training.save_total_limit or found["job"]["saves"]) + 1)
        needed = (kept + 1) * found["checkpoint"] + found["checkpoint"] // IN_A_CHECKPOINT
    return {"free": free_disk(output_dir), "cache_free": free_disk(cache_dir()), "needed": needed}
