"""The GPUs as the NVIDIA driver describes them, by its own ``nvidia-smi``: no package is needed for that."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

FIELDS = ("uuid", "name", "driver_version", "memory.total", "memory.used", "temperature.gpu")
# The bitmask's name since driver 535, and before it.
REASONS = ("clocks_event_reasons.active", "clocks_throttle_reasons.active")
# nvml.h: nvmlClocksEventReasonSwThermalSlowdown and HwThermalSlowdown.
TOO_HOT = 0x20 | 0x40
TIMEOUT = 10.0  # seconds; a driver that hangs must not hold anything up


@dataclass(frozen=True)
class Gpu:
    """One GPU; memory in MiB, temperature in degrees Celsius. None: the driver does not say."""

    uuid: str
    name: str
    driver: str
    memory_total: int | None
    memory_used: int | None
    temperature: int | None
    slowed_by_heat: bool | None


def list_gpus() -> list[Gpu]:
    """Return every NVIDIA GPU of the machine, whatever torch can do with it; none without a driver."""
    for reasons in REASONS:
        query = ",".join((*FIELDS, reasons))
        lines = _query(f"--query-gpu={query}", "--format=csv,noheader,nounits")
        if lines is not None:
            return [gpu for line in lines.splitlines() if (gpu := _read(line.split(", ")))]
    return []


def read_driver_cuda() -> str | None:
    """Return the newest CUDA that the driver knows, as in ``12.4``, or None without a driver."""
    version = re.search(r"CUDA (?:UMD )?Version\s*:\s*(\d+\.\d+)", _query() or "")
    return version.group(1) if version else None


def choose_used_gpu(gpus: Sequence[Gpu]) -> Gpu | None:
    """Return the GPU that torch computes on, or None without one."""
    import torch

    if not torch.cuda.is_available():
        return None
    uuid = str(torch.cuda.get_device_properties(torch.cuda.current_device()).uuid)
    return next((gpu for gpu in gpus if gpu.uuid.removeprefix("GPU-") == uuid.removeprefix("GPU-")), None)


def _query(*arguments: str) -> str | None:
    try:
        answer = subprocess.run(
            ["nvidia-smi", *arguments], capture_output=True, text=True, timeout=TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout if answer.returncode == 0 else None


def _read(cells: list[str]) -> Gpu | None:
    if len(cells) != len(FIELDS) + 1:
        return None
    uuid, name, driver, total, used, temperature, reasons = (cell.strip() for cell in cells)
    mask = int(reasons, 16) if re.fullmatch(r"0x[0-9a-fA-F]+", reasons) else None
    slowed = None if mask is None else bool(mask & TOO_HOT)
    return Gpu(uuid, name, driver, _number(total), _number(used), _number(temperature), slowed)


def _number(cell: str) -> int | None:
    return int(cell) if cell.isdecimal() else None  # "[N/A]", "[Not Supported]"
