"""The memory that training took and the temperature of the GPU, looked at seldom while training runs."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path

from sentiment140_bert import schemas
from sentiment140_bert.machine import gpu

SECONDS_BETWEEN = 10.0
MIB = 2**20
NEARLY_FULL = 0.9  # of the GPU's memory: beyond it a longer tweet, or another program, may be one too many


class Usage:
    """A context manager; :meth:`summary` covers the time while it was open.

    Args:
        look: Gives the GPU's present state, None where it cannot be known.
        between: Seconds between two looks.
    """

    def __init__(self, look: Callable[[], gpu.Gpu | None] | None = None, between: float = SECONDS_BETWEEN) -> None:
        self.look = look or (lambda: gpu.choose_used_gpu(gpu.list_gpus()))
        self.between = between
        self.samples: list[gpu.Gpu] = []
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Usage:
        import torch

        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
            self._thread = threading.Thread(target=self._watch, name="gpu-usage", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join()

    def _watch(self) -> None:
        while True:
            state = self.look()
            if state is None:
                return  # no driver to ask, now or later
            self.samples.append(state)
            if self._stop.wait(self.between):
                return

    def summary(self) -> schemas.UsedMemory:
        """Return memory in MiB and temperatures in degrees Celsius, or None where they are not known.

        ``memory_peak`` is :func:`read_peak_memory`. ``gpu`` is None without one.
        """
        return {"memory_peak": read_peak_memory(), "gpu": self._gpu()}

    def _gpu(self) -> schemas.Gpu | None:
        import torch

        if not torch.cuda.is_available():
            return None
        total = torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory
        return {
            "memory_total": round(total / MIB),
            "memory_allocated_peak": round(torch.cuda.max_memory_allocated() / MIB),
            "memory_reserved_peak": round(torch.cuda.max_memory_reserved() / MIB),
            **self.summarize_heat(),
        }

    def summarize_heat(self) -> schemas.Heat:
        """Return the highest temperature and the share of samples in which the GPU was slowed by heat."""
        temperatures = [sample.temperature for sample in self.samples if sample.temperature is not None]
        slowed = [sample.slowed_by_heat for sample in self.samples if sample.slowed_by_heat is not None]
        return {
            "samples": len(self.samples),
            "temperature_peak": max(temperatures, default=None),
            "slowed_by_heat": round(sum(slowed) / len(slowed), 4) if slowed else None,
        }


def read_peak_memory() -> int | None:
    """Return the most that this process ever held in memory, in MiB, or None if that is not known.

    Linux' getrusage also counts what the process that started this one held, if that was more; VmHWM does not.
    """
    own = _read_high_water_mark()
    if own is not None:
        return own
    try:
        import resource
    except ImportError:  # Windows has none
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (MIB if sys.platform == "darwin" else 1024))  # bytes there, KiB on Linux


def _read_high_water_mark() -> int | None:
    try:
        lines = Path("/proc/self/status").read_text("ascii", errors="replace").splitlines()
    except OSError:  # no Linux
        return None
    kibibytes = [int(line.split()[1]) for line in lines if line.startswith("VmHWM:")]  # gVisor tells none
    return round(kibibytes[0] / 1024) if kibibytes else None


def list_advice(usage: schemas.UsedMemory) -> list[str]:
    """Return sentences about what a user should know of a summary."""
    state = usage["gpu"]
    if not state:
        return []
    advice = []
    share = state["memory_reserved_peak"] / state["memory_total"]
    if share >= NEARLY_FULL:
        advice.append(
            f"The GPU's memory was filled to {share:.0%}: longer tweets or another program may be too much. "
            "--auto-find-batch-size, or a smaller --per-device-train-batch-size, leaves room."
        )
    if state["slowed_by_heat"]:
        advice.append(
            f"The GPU slowed itself down because of heat in {state['slowed_by_heat']:.0%} of {state['samples']} "
            "samples: better cooling would make it faster. The result is not affected."
        )
    if state["temperature_peak"] is None:
        advice.append("Temperature unknown: nvidia-smi does not report it.")
    return advice
