"""Linear layers by oneDNN on AMD's processors, where MKL, which torch takes on its own, uses half of the machine."""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn
from torch.autograd.function import once_differentiable

Model = TypeVar("Model", bound=nn.Module)


def use_onednn(model: Model) -> Model:
    """Lets oneDNN compute the linear layers of a float32 model on AMD's processors; returns the same model.

    MKL takes AVX-512 on Intel's processors only. On an EPYC that has it, the products of BERT came to twice the
    operations a second with oneDNN (docs/performance.md). Outputs and gradients differ in their last digits. On a
    GPU, in half precision and in an export the layers are what they were.
    """
    if torch._C.has_mkl and torch._C._has_mkldnn and made_by_amd():
        for each in model.modules():
            if type(each) is nn.Linear and each.weight.dtype == torch.float32:
                each.__class__ = OneDnnLinear
    return model


def product(rows: torch.Tensor, weights: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """``rows @ weights.T + bias`` by oneDNN; (n, inner), (m, inner), (m,) to (n, m). Transposed views are as good."""
    result: torch.Tensor = torch.ops.mkldnn._linear_pointwise(rows, weights, bias, "none", [], "")
    return result


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, rows: torch.Tensor, weights: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        context.save_for_backward(rows, weights)
        return product(rows, weights, bias)

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        rows, weights = context.saved_tensors
        wanted = context.needs_input_grad
        return (
            product(gradient, weights.T) if wanted[0] else None,
            product(gradient.T, rows.T) if wanted[1] else None,
            gradient.sum(0) if wanted[2] else None,
        )


class OneDnnLinear(nn.Linear):
    """A linear layer computed by oneDNN; its weights are as they were."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        plain = input.device.type != "cpu" or input.dtype != torch.float32 or self.weight.dtype != torch.float32
        if plain or not input.numel() or torch.compiler.is_compiling():
            return super().forward(input)
        rows = input.reshape(-1, input.shape[-1])
        result: torch.Tensor = _Linear.apply(rows, self.weight, self.bias)  # type: ignore[no-untyped-call]
        return result.view(*input.shape[:-1], -1)


@cache
def made_by_amd() -> bool:
    """Whether AMD made the processor."""
    try:
        return "AuthenticAMD" in Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return "AuthenticAMD" in platform.processor()  # Windows
