"""``s140 doctor``: what this machine has, what a job will choose on it, and how long it will take."""

from __future__ import annotations

import importlib.metadata
import os
from pathlib import Path

from typing_extensions import TypedDict

from sentiment140_bert.errors import Interrupted, S140Error
from sentiment140_bert.files import Place, expand_path
from sentiment140_bert.machine.facts import TorchGpu
from sentiment140_bert.platforms import doctor_probe
from sentiment140_bert.recipe import Recipe, RecipeName, as_recipe

ALTERNATIVES = {
    "model": "Without the Hub: --model-name-or-path with a folder, or bundled:minilm.",
    "dataset": "Without the Hub: --dataset stanford, sample, or a file.",
}
WEIGHTS_IN_CHECKPOINT = 3  # times: the weights, and AdamW's two averages of them
DISTRIBUTION = "sentiment140-bert"
NOTICEABLE = 0.25  # of the cores, that other programs use


class Driver(TypedDict):
    """NVIDIA's driver: the GPUs that it sees, its version, and the newest CUDA that it knows."""

    gpus: list[str]
    version: str | None
    cuda: str | None


class ExaminedMachine(TypedDict):
    """The machine and its torch; ``memory`` in MiB."""

    system: str
    python: str
    cpu: str
    cores: int
    memory: int | None
    gpu: TorchGpu | None
    driver: Driver
    torch: str
    torch_cuda: str | None


class Disk(TypedDict):
    """MiB that are free for runs and for the cache, and that the job needs."""

    free: int
    cache_free: int
    needed: int | None


class Package(TypedDict):
    """A needed package: its supported range, and the installed version."""

    name: str
    wanted: str
    installed: str | None
    fits: bool


class SourceState(TypedDict):
    """A model or dataset: ``here`` if it can be used."""

    name: str
    here: bool
    state: str
    remark: str
    on_hub: bool


class Choice(TypedDict):
    """Choices of `s140 train` on this machine."""

    precision: str
    why: str
    per_device_train_batch_size: int
    gradient_accumulation_steps: int
    auto_find_batch_size: bool
    optim: str
    processes: int


class Checkup(TypedDict):
    """The result of :func:`doctor`. Any of ``problems`` would make the job fail; ``ready`` without one."""

    machine: ExaminedMachine
    disk: Disk
    logins: dict[str, bool]
    trackers: dict[str, list[str]]
    packages: list[Package]
    sources: dict[str, SourceState]
    choice: Choice | None
    probe: doctor_probe.JobEstimate | None
    problems: list[str]
    remarks: list[str]
    ready: bool


def doctor(recipe: RecipeName, output_dir: Place, *, measure: bool = True) -> Checkup:
    """Examine the machine for a recipe; nothing stays behind but the cache of the packaged tweets.

    Args:
        recipe: The job.
        output_dir: The run directory of the job.
        measure: Train a few steps to estimate the time.
    """
    from sentiment140_bert.tracking import wandb

    recipe, output_dir = as_recipe(recipe), expand_path(output_dir, "output_dir")
    problems: list[str] = []
    machine, remarks = _describe_machine(problems)
    packages = check_packages()
    problems += _list_package_problems(packages)
    trackers = _list_trackers(recipe, problems)
    sources = {"model": _locate_model(recipe), "dataset": _locate_dataset(recipe)}
    for kind, source in sources.items():
        if not source["here"]:
            alternative = ALTERNATIVES[kind] if source["on_hub"] else ""
            problems.append(f"The {kind} {source['name']} is not available: {source['remark']}. {alternative}".strip())
    choice = _choose(recipe, problems)
    estimate = None
    if measure and choice:
        try:
            estimate = doctor_probe.probe(recipe, output_dir, sources["model"]["here"])
        except Interrupted:
            raise
        except S140Error as error:
            problems.append(f"{error.message} {error.hint}")
    disk = _measure_disk(recipe, output_dir, estimate)
    if disk["needed"] and disk["free"] < disk["needed"]:
        problems.append(f"The disk has {disk['free']:,} MiB left, the job needs {disk['needed']:,}: make room.")
    return {
        "machine": machine,
        "disk": disk,
        "logins": {"wandb": wandb.has_credentials(), **check_logins()},
        "trackers": trackers,
        "packages": packages,
        "sources": sources,
        "choice": choice,
        "probe": estimate,
        "problems": problems,
        "remarks": remarks,
        "ready": not problems,
    }


def _list_package_problems(packages: list[Package]) -> list[str]:
    """Return a sentence for each package that is missing, or of an unsupported version."""
    return [
        f"{package['name']} {package['installed'] or 'is missing'}; {package['wanted']} is needed: pip install "
        f'"{package["name"]}{package["wanted"]}"'
        for package in packages
        if not package["fits"]
    ]


def _describe_machine(problems: list[str]) -> tuple[ExaminedMachine, list[str]]:
    import torch

    from sentiment140_bert.machine import facts, gpu
    from sentiment140_bert.training import environment

    installed, gpu_here = gpu.list_gpus(), facts.describe_torch_gpu()
    driver_cuda = gpu.read_driver_cuda() if installed else None
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    why = facts.explain_unused_gpu(installed, gpu_here is not None, torch.version.cuda, driver_cuda, visible)
    remarks = [why] if why else []
    if gpu_here:
        unfit = facts.explain_old_gpu(gpu_here["name"], gpu_here["compute_capability"], gpu_here["architectures"])
        problems += [unfit] if unfit else []
    if gpu_here and gpu_here["count"] > 1:
        number = gpu_here["count"]
        remarks.append(f"{number} GPUs: `torchrun --nproc_per_node {number} -m sentiment140_bert train …` uses all.")
    if gpu_here and gpu_here["memory_free"] < 0.8 * gpu_here["memory_total"]:
        used = gpu_here["memory_total"] - gpu_here["memory_free"]
        remarks.append(f"Other programs hold {used:,} MiB of the GPU's memory: close those that are not needed.")
    if gpu_here is None:
        remarks += _find_other_work(facts.count_cores(), facts.count_busy_cores())
    described = environment.describe_machine()
    return {
        "system": described["system"],
        "python": described["python"],
        "cpu": described["cpu"],
        "cores": facts.count_cores(),
        "memory": facts.read_memory_total(),
        "gpu": gpu_here,
        "driver": {
            "gpus": [card.name for card in installed],
            "version": installed[0].driver if installed else None,
            "cuda": driver_cuda,
        },
        "torch": described["packages"]["torch"],
        "torch_cuda": described["cuda"],
    }, remarks


def _find_other_work(cores: int, busy: float | None) -> list[str]:
    """Return a sentence if other programs use cores that training would use, too."""
    if not busy or busy < NOTICEABLE * cores:
        return []
    return [
        f"Other programs kept {busy:.1f} of {cores} cores busy in the last minute, which slows training: close those "
        "that are not needed."
    ]


def _list_trackers(recipe: Recipe, problems: list[str]) -> dict[str, list[str]]:
    """Return the ``installed`` trackers, and those ``used`` by the recipe's ``report_to`` here."""
    from sentiment140_bert import tracking

    report_to = recipe.training.report_to
    try:
        used = tracking.resolve(report_to)
    except S140Error as error:
        problems.append(f"{error.message} {error.hint}")
        used = [name for name in report_to if name != "none"]
    return {"installed": tracking.list_installed(), "used": used}


def _source(name: str, state: str, remark: str, on_hub: bool = False) -> SourceState:
    return {"name": name, "here": state != "missing", "state": state, "remark": remark, "on_hub": on_hub}


def _locate_model(recipe: Recipe) -> SourceState:
    from sentiment140_bert import models
    from sentiment140_bert.hub import client

    name, revision = recipe.model.model_name_or_path, recipe.model.model_revision
    try:
        if models.is_hub_id(name):
            return _source(name, *client.look_up("model", name, revision), on_hub=True)
        models.locate(name)
    except S140Error as error:
        return _source(name, "missing", f"{error.message} {error.hint}".rstrip("."))
    return _source(name, "local", "on this machine")


def _locate_dataset(recipe: Recipe) -> SourceState:
    from sentiment140_bert import confined
    from sentiment140_bert.data import sources, tables
    from sentiment140_bert.hub import client

    name = recipe.data.dataset
    if sources.is_hub_id(name):
        return _source(name, *client.look_up("dataset", name, recipe.data.dataset_revision), on_hub=True)
    if name == "stanford":
        if (confined.cache_dir() / "downloads" / "trainingandtestdata.zip").is_file():
            return _source(name, "cached", "in the cache of this machine")
        return _source(name, "reachable", "to be downloaded from Stanford's site, which was not contacted")
    if tables.is_table(name):
        return _source(name, "reachable", "a table, which Spark did not look up")
    if name == "sample" or expand_path(name).exists():
        return _source(name, "local", "on this machine")
    return _source(name, "missing", "there is no such file or folder; check the path")


def _choose(recipe: Recipe, problems: list[str]) -> Choice | None:
    """Return what `s140 train` would choose here; None if it would raise an error."""
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


def _measure_disk(recipe: Recipe, output_dir: Path, estimate: doctor_probe.JobEstimate | None) -> Disk:
    """Return the MiB that are free, and that the job needs: its checkpoints, one more while writing, and the model."""
    from sentiment140_bert.confined import cache_dir
    from sentiment140_bert.machine.facts import measure_free_disk

    needed = None
    if estimate:
        saves, size = estimate["job"]["saves"], estimate["checkpoint"]
        checkpoints = min(saves, (recipe.training.save_total_limit or saves) + 1)
        needed = (checkpoints + 1) * size + size // WEIGHTS_IN_CHECKPOINT
    return {"free": measure_free_disk(output_dir), "cache_free": measure_free_disk(cache_dir()), "needed": needed}


def check_logins() -> dict[str, bool]:
    """Return which credentials are present, never their values."""
    from huggingface_hub import get_token

    return {
        "huggingface": get_token() is not None,
        "databricks": bool(os.environ.get("DATABRICKS_TOKEN") or os.environ.get("DATABRICKS_CLIENT_SECRET"))
        or os.path.isfile(os.path.expanduser(os.environ.get("DATABRICKS_CONFIG_FILE") or "~/.databrickscfg")),  # noqa: PTH111, PTH113 - no home, no error
        "mlflow_server": bool(os.environ.get("MLFLOW_TRACKING_URI")),
    }


def check_packages() -> list[Package]:
    """Return for each needed package ``name``, ``wanted`` range, ``installed`` version or None, and if it ``fits``."""
    from packaging.requirements import Requirement

    packages: list[Package] = []
    for line in importlib.metadata.requires(DISTRIBUTION) or []:
        requirement = Requirement(line)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            installed: str | None = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            installed = None
        fits = installed is not None and requirement.specifier.contains(installed, prereleases=True)
        versions = str(requirement.specifier)
        packages.append({"name": requirement.name, "wanted": versions, "installed": installed, "fits": fits})
    return packages
