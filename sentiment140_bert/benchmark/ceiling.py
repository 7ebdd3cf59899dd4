"""How fast this machine multiplies matrices: no model can be faster than its products."""

from __future__ import annotations

from collections.abc import Callable

from sentiment140_bert.benchmark.clock import now
from sentiment140_bert.benchmark.contender import Work

FORWARD, TRAINING = 2, 6  # operations for a token and parameter: a product and a sum; twice that again for gradients
REPEATS = 10
CPU_SIZES = ((1024, 1024, 1024), (2048, 2048, 2048))
GPU_SIZES = ((8192, 8192, 8192), (16384, 8192, 8192))


def products(shapes: tuple[tuple[int, int, int], ...]) -> Callable[[], Work]:
    """A contender that multiplies matrices of random numbers, in fp32 on a CPU and in half precision on a GPU.

    On a CPU both libraries that torch has are tried: MKL, which it takes on its own, and oneDNN.

    Args:
        shapes: (rows, inner, columns) of the products that a model consists of; larger ones are added.

    Returns:
        What gives the operations and seconds of the fastest product of the turn, and as the note ``ceiling_of_torch``
        the GFLOP/s of the fastest one that torch made on its own.
    """
    import torch

    gpu = torch.cuda.is_available()
    device, kind = torch.device("cuda" if gpu else "cpu"), torch.float32
    if gpu:
        kind = torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    sizes = shapes + (GPU_SIZES if gpu else CPU_SIZES)
    libraries: list[Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = [torch.mm]
    if not gpu and torch._C._has_mkldnn:
        onednn = torch.ops.mkldnn._linear_pointwise
        libraries.append(lambda one, other: onednn(one, other.T, None, "none", [], ""))

    def seconds(multiply: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], *both: torch.Tensor) -> float:
        began = now()
        multiply(*both)
        return now() - began

    def turn() -> Work:
        best = dict.fromkeys(libraries, (0.0, 1.0))  # operations, seconds
        for rows, inner, columns in sizes:
            both = [torch.randn(size, device=device, dtype=kind) for size in ((rows, inner), (inner, columns))]
            flops = 2.0 * rows * inner * columns
            for library in libraries:
                took = min(seconds(library, *both) for _ in range(REPEATS))
                best[library] = max(best[library], (flops, took), key=lambda each: each[0] / each[1])
        flops, took = max(best.values(), key=lambda each: each[0] / each[1])
        own = best[torch.mm]
        return Work(flops=flops, seconds=took, notes={"ceiling_of_torch": own[0] / own[1] / 1e9})

    return turn
