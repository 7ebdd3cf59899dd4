"""The machine: memory, disk, GPU, and the reasons why torch does not use one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from typing_extensions import TypedDict

from sentiment140_bert.errors import HardwareError
from sentiment140_bert.machine.gpu import Gpu

MIB = 2**20
# MiB of address space that the libraries take, nearly.
WITH_TORCH, WITHOUT_TORCH = 1024, 384
FOR_THREADS = 64  # of them, for the stacks of some threads, usually of 8 MiB each
GPU_BUILD = "pip install --force-reinstall torch, from PyPI on Linux; on Windows with the index that pytorch.org names"


def read_memory_total() -> int | None:
    """Return the MiB of this machine's memory, or None if the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // MIB
    except (AttributeError, ValueError, OSError):
        return None


def read_memory_limit() -> int | None:
    """Return the MiB of address space that this process may use, or None without a limit."""
    limit = _limit("RLIMIT_AS")
    return None if limit is None else limit // MIB


def check_memory(least: int = WITH_TORCH) -> None:
    """Refuse to load libraries where the shell allows less memory than they take.

    Short of memory, some of them end the process without an error, and Python waits for ever for a thread that gets its
    stack and nothing else.

    Args:
        least: ``WITH_TORCH`` or ``WITHOUT_TORCH``.

    Raises:
        HardwareError: The limit is too low.
    """
    limit = read_memory_limit()
    if limit is not None and limit < least:
        raise HardwareError(
            f"This process may use {limit:,} MiB of memory (ulimit -v), and at least {least:,} are needed.",
            "Raise the limit: ulimit -v unlimited",
        )
    left = measure_memory_left()
    if left is not None and left < FOR_THREADS:
        raise HardwareError(
            f"{left:,} MiB of memory are left to this process (ulimit -v), and at least {FOR_THREADS:,} are needed.",
            "Raise the limit: ulimit -v unlimited",
        )


def measure_memory_left() -> int | None:
    """Return the MiB of :func:`read_memory_limit` that are left, or None without a limit or a way to know."""
    limit = _limit("RLIMIT_AS")
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    except OSError:
        return None
    return None if limit is None else (limit - pages * os.sysconf("SC_PAGE_SIZE")) // MIB


def is_first_process() -> bool:
    """Return True unless this is another one of several processes that torchrun or accelerate started."""
    return os.environ.get("RANK") in (None, "", "0")


def is_first_on_machine() -> bool:
    """Return True unless another one of several processes is the first on this machine."""
    return os.environ.get("LOCAL_RANK") in (None, "", "0")


def read_open_files_limit() -> int | None:
    """Return the number of files that this process may have open at once, or None without a limit."""
    return _limit("RLIMIT_NOFILE")


def _limit(name: str) -> int | None:
    try:
        import resource
    except ImportError:  # Windows has none
        return None
    soft = resource.getrlimit(getattr(resource, name))[0]
    return None if soft == resource.RLIM_INFINITY else soft


def count_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def count_busy_cores() -> float | None:
    """Return how many cores were in use on average in the last minute, or None if the system does not tell."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def measure_free_disk(path: Path) -> int:
    """Return the MiB that are free on the disk of ``path``, which need not exist."""
    return shutil.disk_usage(find_existing_folder(path)).free // MIB


def find_existing_folder(path: Path) -> Path:
    """Return ``path`` if it is a folder, else the nearest existing one above it."""
    path = path.expanduser().absolute()
    while not path.is_dir():
        path = path.parent
    return path


class TorchGpu(TypedDict):
    """The GPU that torch computes on; memory in MiB."""

    name: str
    count: int
    memory_total: int
    memory_free: int
    compute_capability: str
    architectures: list[str]


def describe_torch_gpu() -> TorchGpu | None:
    """Describe the GPU that torch computes on; return None without one."""
    import torch

    if not torch.cuda.is_available():
        return None
    free, total = torch.cuda.mem_get_info()
    return {
        "name": torch.cuda.get_device_name(),
        "count": torch.cuda.device_count(),
        "memory_total": total // MIB,
        "memory_free": free // MIB,
        "compute_capability": ".".join(map(str, torch.cuda.get_device_capability())),
        "architectures": torch.cuda.get_arch_list(),
    }


def multiplies_bf16() -> bool:
    """Return True if the processor has instructions for bf16, which make products faster (docs/performance.md).

    False where torch does not tell, as older versions do, and for processors other than x86, which were not measured.
    """
    import torch

    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def explain_unused_gpu(
    gpus: Sequence[Gpu], available: bool, torch_cuda: str | None, driver_cuda: str | None, visible: str | None
) -> str:
    """Return why torch does not use a GPU that the driver sees, with the remedy; nothing if it does, or without one.

    Args:
        gpus: GPUs that the driver sees.
        available: True if torch can compute on one.
        torch_cuda: The CUDA that torch was built for, ``12.8``; None for a CPU build.
        driver_cuda: The newest one that the driver knows.
        visible: ``CUDA_VISIBLE_DEVICES``.
    """
    if available or not gpus:
        return ""
    name, driver = gpus[0].name, gpus[0].driver
    if torch_cuda is None:
        return f"{name} is present, but this is the CPU build of torch: {GPU_BUILD}."
    if visible is not None and visible.strip() in ("", "-1"):
        return f"{name} is present, but CUDA_VISIBLE_DEVICES={visible!r} hides it."
    # Within a major version newer builds run on older drivers (CUDA's minor version compatibility).
    if driver_cuda and int(driver_cuda.split(".")[0]) < int(torch_cuda.split(".")[0]):
        return (
            f"{name} is present, but its driver {driver} supports CUDA {driver_cuda} and torch was built for "
            f"{torch_cuda}: install a newer driver, or a torch for the older CUDA (pytorch.org names the index)."
        )
    return (
        f"{name} is present (driver {driver}), but torch cannot start CUDA: reboot after a driver update; "
        "see nvidia-smi."
    )


def explain_old_gpu(name: str, capability: str, architectures: Sequence[str]) -> str:
    """Return why this build of torch has no code for a GPU, with the remedy; nothing if it has.

    Args:
        name: Name of the GPU.
        capability: Compute capability, as in ``8.9``.
        architectures: Targets of this build: ``sm_86`` runs on 8.6 and later 8.x, ``compute_90`` on all from 9.0.
    """
    major, minor = map(int, capability.split("."))
    for architecture in architectures:
        kind, _, digits = architecture.partition("_")
        number = "".join(filter(str.isdigit, digits))
        if not number:
            continue
        built = int(number[:-1]), int(number[-1])
        later = kind == "compute" and built <= (major, minor)
        if later or (kind == "sm" and built[0] == major and built[1] <= minor):
            return ""
    if not architectures:
        return ""
    return (
        f"{name} has compute capability {capability}, and this torch was built for {', '.join(architectures)}: install "
        "a torch for an older CUDA (pytorch.org names the index)."
    )
