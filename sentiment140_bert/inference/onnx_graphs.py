"""ONNX graphs of classifiers: in float32, and with weights of eight bits."""

from __future__ import annotations

import io
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment140_bert import confined
from sentiment140_bert.errors import MissingExtra, ModelError, first_line

if TYPE_CHECKING:
    from transformers import PreTrainedModel

OPSET = 20  # the first with an operator for BERT's Gelu; onnxruntime knows it since 1.17
LARGEST = 2**31  # bytes that one protobuf file can hold
EXPORTED = "The families of BERT, DeBERTa and ModernBERT can be exported; use the others with torch."


def check_installed() -> None:
    """Raises MissingExtra where one of the packages is missing that an export needs."""
    if not all(find_spec(name) for name in ("onnx", "onnxscript", "onnxruntime")):
        raise MissingExtra("An export to ONNX", "onnx")


def write_graph(model: PreTrainedModel, names: Sequence[str], path: Path) -> None:
    """Writes a classifier as an ONNX graph from int64 inputs of shape (batch, tokens), both free, to ``logits``.

    Args:
        model: On the CPU.
        names: Of its inputs, as in transformers.
        path: The file to write.

    Raises:
        ModelError: torch cannot export this kind of model, or it is too large for one file.
    """
    import torch

    weight = sum(each.numel() * each.element_size() for each in model.parameters())
    if weight >= LARGEST:
        raise ModelError(f"The model has {weight / 2**30:.1f} GiB; a graph of one file holds 2.", "Take a smaller one.")

    class Logits(torch.nn.Module):
        """With a plain tensor as its result."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model.eval()

        def forward(self, *inputs: torch.Tensor) -> Any:
            return self.model(**dict(zip(names, inputs, strict=True))).logits

    # An example, and not one of a size 1, which torch would take for a constant. Its second row is padded.
    example = {name: torch.ones(2, 8, dtype=torch.int64) for name in names}
    if "attention_mask" in example:
        example["attention_mask"][1, 5:] = 0
    free = {0: torch.export.Dim("batch"), 1: torch.export.Dim("tokens")}
    try:
        with _quiet(), torch.no_grad():
            program: Any = torch.onnx.export(
                Logits(),
                tuple(example.values()),
                dynamo=True,
                opset_version=OPSET,
                input_names=list(names),
                output_names=["logits"],
                dynamic_shapes=((free,) * len(names),),
                verbose=False,
            )
    except (torch.onnx.errors.OnnxExporterError, RuntimeError, ValueError) as error:
        raise ModelError(f"torch cannot export a {type(model).__name__}: {_find_reason(error)}.", EXPORTED) from error
    path.write_bytes(_bare(program.model_proto))


def _find_reason(error: BaseException) -> str:
    """Return what went wrong first; on top of it the exporter writes advice for developers of models."""
    while error.__cause__:
        error = error.__cause__
    return first_line(error).rstrip(":")


def _bare(graph: Any) -> bytes:
    """A graph without the notes in which torch tells, for every node, the lines and the folders it comes from, and
    without shapes in between, which some versions leave behind from before they simplified it; readers infer their own.
    """
    inner = graph.graph
    del inner.value_info[:]
    for each in (graph, inner, *inner.node, *inner.initializer, *inner.input, *inner.output):
        del each.metadata_props[:]
        each.doc_string = ""
    written: bytes = graph.SerializeToString()
    return written


def write_int8(graph: Path, path: Path) -> None:
    """Writes a graph with its matrices in eight bits, each output channel with a scale of its own.

    What they are multiplied by is brought to eight bits when it is known, by its range in that very batch (dynamic
    quantization): nothing needs to be calibrated, and an answer depends a little on its neighbours.
    """
    os.environ.update(confined.NO_TELEMETRY)
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with _quiet():
        quantize_dynamic(graph, path, weight_type=QuantType.QInt8, per_channel=True)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's warnings on its own future, and advice that does not apply to a graph made here.

    What it prints of a model that it cannot export is left out, too: all of that model's operators.
    """
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "torch.fx", "onnxscript", "onnx_ir")]
    before = [each.level for each in loggers]
    root = logging.getLogger()
    root.addFilter(_no_advice)
    for each in loggers:
        each.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        root.removeFilter(_no_advice)
        for each, level in zip(loggers, before, strict=True):
            each.setLevel(level)


def _no_advice(record: logging.LogRecord) -> bool:
    return "pre-processing before quantization" not in record.getMessage()
