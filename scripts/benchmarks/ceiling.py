"""Measure how fast this machine multiplies matrices: no model can be faster than its products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmark import CEILING, Contender, Work, now

FORWARD, TRAINING = 2, 6  # operations for a token and parameter: a product and a sum; twice that again for gradients
REPEATS = 10
CPU_SIZES = ((1024, 1024, 1024), (2048, 2048, 2048))
GPU_SIZES = ((8192, 8192, 8192), (16384, 8192, 8192))


def multiply_matrices(shapes: tuple[tuple[int, int, int], ...]) -> Callable[[], Work]:
    """Multiply matrices of random numbers, in fp32 on a CPU and in half precision on a GPU.

    On a CPU both libraries that torch has are tried: MKL, which it takes on its own, and oneDNN.

    Args:
        shapes: (rows, inner, columns) of the products that a model consists of; larger ones are added.

    Returns:
        A turn that gives the operations and seconds of its fastest product, and as the note ``ceiling_of_torch`` the
        GFLOP/s of the fastest one that torch made on its own.
    """
    import torch

    gpu = torch.cuda.is_available()
    device, dtype = torch.device("cuda" if gpu else "cpu"), torch.float32
    if gpu:
        dtype = torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    sizes = shapes + (GPU_SIZES if gpu else CPU_SIZES)
    libraries: list[Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = [torch.mm]
    if not gpu and torch._C._has_mkldnn:
        onednn = torch.ops.mkldnn._linear_pointwise
        libraries.append(lambda left, right: onednn(left, right.T, None, "none", [], ""))

    def measure_rate(library: Callable[..., torch.Tensor], rows: int, inner: int, columns: int) -> tuple[float, Work]:
        left, right = (torch.randn(size, device=device, dtype=dtype) for size in ((rows, inner), (inner, columns)))
        durations = []
        for _ in range(REPEATS):
            started = now()
            library(left, right)
            durations.append(now() - started)
        flops, seconds = 2.0 * rows * inner * columns, min(durations)
        return flops / seconds, Work(flops=flops, seconds=seconds)

    def turn() -> Work:
        best = [
            max((measure_rate(library, *size) for size in sizes), key=lambda rate: rate[0]) for library in libraries
        ]
        fastest = max(best, key=lambda rate: rate[0])[1]
        return Work(flops=fastest.flops, seconds=fastest.seconds, notes={"ceiling_of_torch": best[0][0] / 1e9})

    return turn


def model_ceiling(config: Any, rows: int) -> Contender:
    """Multiply what a model of this config multiplies for so many rows at once, and larger matrices."""
    hidden, inner = getattr(config, "hidden_size", 768), getattr(config, "intermediate_size", 3072)
    shapes = ((rows, hidden, inner), (rows, inner, hidden))
    return Contender(CEILING, "the best matrix product", multiply_matrices, {"shapes": shapes})


def count_parameters(config: Any) -> int:
    """Count the parameters of a classifier of this config, without its embeddings."""
    import torch
    from transformers import AutoModelForSequenceClassification

    with torch.device("meta"):
        model = AutoModelForSequenceClassification.from_config(config, trust_remote_code=False)
    return int(model.num_parameters(exclude_embeddings=True))
