"""How fast this machine multiplies matrices: no model can be faster than its products."""

from __future__ import annotations

import time
from collections.abc import Callable

from sentiment140_bert.benchmark.contender import Work

FORWARD, TRAINING = 2, 6  # operations for a token and parameter: a product and a sum; twice that again for gradients
REPEATS = 10
CPU_SIZES = ((1024, 1024, 1024), (2048, 2048, 2048))
GPU_SIZES = ((8192, 8192, 8192), (16384, 8192, 8192))


def products(shapes: tuple[tuple[int, int, int], ...]) -> Callable[[], Work]:
    """A contender that multiplies matrices of random numbers, in fp32 on a CPU and bf16 on a GPU that has it.

    Args:
        shapes: (rows, inner, columns) of the products that a model consists of; larger ones are added.

    Returns:
        What gives the operations and seconds of the fastest product of the turn.
    """
    import torch

    gpu = torch.cuda.is_available()
    device = torch.device("cuda" if gpu else "cpu")
    half = torch.bfloat16 if gpu and torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    sizes = shapes + (GPU_SIZES if gpu else CPU_SIZES)

    def random(rows: int, columns: int) -> torch.Tensor:
        return torch.randn(rows, columns, device=device, dtype=half if gpu else torch.float32)

    def seconds(one: torch.Tensor, other: torch.Tensor) -> float:
        if gpu:
            torch.cuda.synchronize()
        began = time.perf_counter()
        torch.mm(one, other)
        if gpu:
            torch.cuda.synchronize()
        return time.perf_counter() - began

    def turn() -> Work:
        best = Work(flops=1.0, seconds=float("inf"))
        for rows, inner, columns in sizes:
            one, other = random(rows, inner), random(inner, columns)
            took = min(seconds(one, other) for _ in range(REPEATS))
            flops = 2.0 * rows * inner * columns
            if flops / took > best.flops / (best.seconds or 1.0):
                best = Work(flops=flops, seconds=took)
        return best

    return turn
