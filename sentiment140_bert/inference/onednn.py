"""Matrix products by oneDNN on AMD's processors, where MKL, which torch takes on its own, uses half of the machine."""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path

import torch
from torch import nn


class OneDnnLinear(nn.Linear):
    """A linear layer that oneDNN computes where no gradient can be asked for; its weights are as they were."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if not torch.is_inference_mode_enabled():  # oneDNN's operator has no gradient, and is none of ONNX's
            return super().forward(input)
        result: torch.Tensor = torch.ops.mkldnn._linear_pointwise(input, self.weight, self.bias, "none", [], "")
        return result


def use_onednn(model: nn.Module) -> None:
    """Lets oneDNN compute the linear layers of a float32 model on the CPU, where that is the faster library.

    The results differ from MKL's in the last digits (2e-6 of a logit was seen). MKL takes AVX-512 on Intel's
    processors only: on an EPYC with AVX-512 it computed 70 to 108 GFLOP/s in one thread, oneDNN 160 to 245.
    """
    if not (torch._C.has_mkl and torch._C._has_mkldnn and by_amd()):
        return
    for each in model.modules():
        if type(each) is nn.Linear and each.weight.dtype == torch.float32:
            each.__class__ = OneDnnLinear


@cache
def by_amd() -> bool:
    """Whether AMD made the processor."""
    try:
        return "AuthenticAMD" in Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return "AuthenticAMD" in platform.processor()  # Windows
