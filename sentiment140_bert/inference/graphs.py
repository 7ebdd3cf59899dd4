"""The ONNX graphs of a classifier, in float32 and in eight bits, and their comparison with torch."""

from __future__ import annotations

import io
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired

from typing_extensions import TypedDict

from sentiment140_bert import confined
from sentiment140_bert.errors import MissingExtra, ModelError, first_line
from sentiment140_bert.inference.classifier import Classifier
from sentiment140_bert.inference.onnx_backend import OnnxBackend, find_graphs
from sentiment140_bert.run import GRAPHS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from transformers import PreTrainedModel

    from sentiment140_bert.inference.torch_backend import TorchClassifier

log = logging.getLogger(__name__)
TOLERANCE = 1e-3  # of a logit, for a graph that computes in float32 as torch does
CHECK_TWEETS = 100  # tweets of the packaged sample
OPSET = 20  # the first with an operator for BERT's Gelu; onnxruntime knows it since 1.17
MAX_PROTOBUF = 2**31  # bytes that one protobuf file can hold
PACKAGES = ("sentiment140-bert", "torch", "transformers", "onnx", "onnxruntime")
EXPORTABLE = "The families of BERT, DeBERTa and ModernBERT can be exported; use the others with torch."


class Agreement(TypedDict):
    """The largest difference of a logit between a graph and torch, and how many labels are the same."""

    largest_difference: float
    labels_agree: int


class Check(TypedDict):
    """The number of texts on which graphs were compared with torch, and the agreement of each."""

    texts: int
    fp32: Agreement
    int8: NotRequired[Agreement]


def require_packages() -> None:
    """Raise MissingExtra unless the packages that an export needs are installed."""
    if not all(find_spec(name) for name in ("onnx", "onnxscript", "onnxruntime")):
        raise MissingExtra("An export to ONNX", "onnx")


def export_graphs(model: Path, folder: Path) -> Check:
    """Write both graphs of a model folder, without its tokenizer and settings, and compare them with torch.

    Args:
        model: The model folder, or its run directory.
        folder: The folder above ``onnx/``, which is created.

    Raises:
        MissingExtra, ModelError: See :func:`export`.
    """
    from sentiment140_bert import models
    from sentiment140_bert.inference.torch_backend import TorchClassifier

    require_packages()
    classifier = TorchClassifier(*models.load_model_and_tokenizer(str(model)), device="cpu")
    write_graphs(classifier, folder, "int8")
    return compare_graphs(classifier, folder)


def write_graphs(classifier: TorchClassifier, folder: Path, quantize: str | None) -> None:
    """Write a classifier's graph in float32 below ``folder``, and one in eight bits if ``quantize`` is ``int8``."""
    (folder / GRAPHS["fp32"]).parent.mkdir()
    log.info("writing the ONNX graph")
    write_graph(classifier.model, classifier.tokenization.names, folder / GRAPHS["fp32"])
    if quantize:
        log.info("writing its %s", quantize)
        write_int8(folder / GRAPHS["fp32"], folder / GRAPHS[quantize])


def write_graph(model: PreTrainedModel, names: Sequence[str], path: Path) -> None:
    """Write a classifier as an ONNX graph from int64 inputs of shape (batch, tokens), both free, to ``logits``.

    Args:
        model: On the CPU.
        names: Names of its inputs, as in transformers.
        path: The file to write.

    Raises:
        ModelError: torch cannot export this kind of model, or it is too large for one file.
    """
    import torch

    weight = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    if weight >= MAX_PROTOBUF:
        raise ModelError(
            f"The model has {weight / 2**30:.1f} GiB; a graph in one file holds at most 2.", "Use a smaller model."
        )

    class Logits(torch.nn.Module):
        """The model with a plain tensor as its result."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model.eval()

        def forward(self, *inputs: torch.Tensor) -> Any:
            return self.model(**dict(zip(names, inputs, strict=True))).logits

    # An example without any size of 1, which torch would take for a constant. Its second row is padded.
    example = {name: torch.ones(2, 8, dtype=torch.int64) for name in names}
    if "attention_mask" in example:
        example["attention_mask"][1, 5:] = 0
    free = {0: torch.export.Dim("batch"), 1: torch.export.Dim("tokens")}
    try:
        with _silence_exporter(), torch.no_grad():
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
        raise ModelError(f"torch cannot export a {type(model).__name__}: {_find_reason(error)}.", EXPORTABLE) from error
    path.write_bytes(_serialize_without_notes(program.model_proto))


def _find_reason(error: BaseException) -> str:
    """Return the message of the first error; the exporter adds advice for developers of models."""
    while error.__cause__:
        error = error.__cause__
    return first_line(error).rstrip(":")


def _serialize_without_notes(model: Any) -> bytes:
    """Serialize a graph without torch's notes on the source lines and folders of its nodes.

    Shapes in between are removed, too: some versions leave wrong ones behind, and readers infer their own.
    """
    graph = model.graph
    del graph.value_info[:]
    for part in (model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        del part.metadata_props[:]
        part.doc_string = ""
    content: bytes = model.SerializeToString()
    return content


def write_int8(graph: Path, path: Path) -> None:
    """Write a graph with its matrices in eight bits, each output channel with a scale of its own.

    Their inputs are quantized by the range of each batch (dynamic quantization): nothing needs to be calibrated, and a
    logit depends a little on the other texts of its batch.
    """
    os.environ.update(confined.NO_TELEMETRY)
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with _silence_exporter():
        quantize_dynamic(graph, path, weight_type=QuantType.QInt8, per_channel=True)


@contextmanager
def _silence_exporter() -> Iterator[None]:
    """Silence the exporter's warnings about its own future, advice that does not apply, and lists of operators."""
    root = logging.getLogger()
    with ExitStack() as stack:
        for logger in map(logging.getLogger, ("torch.onnx", "torch.export", "torch.fx", "onnxscript", "onnx_ir")):
            stack.callback(logger.setLevel, logger.level)
            logger.setLevel(logging.ERROR)
        root.addFilter(_is_no_advice)
        stack.callback(root.removeFilter, _is_no_advice)
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.enter_context(redirect_stderr(io.StringIO()))
        yield


def _is_no_advice(record: logging.LogRecord) -> bool:
    return "pre-processing before quantization" not in record.getMessage()


# ---- comparison with torch


def compare_graphs(classifier: TorchClassifier, folder: Path) -> Check:
    """Compare the graphs in ``folder`` with torch, on the tokens of the classifier itself.

    Raises:
        MissingExtra: onnxruntime is not installed.
        ModelError: One cannot be used, or the one in float32 does not compute the same.
    """
    graphs = find_graphs(folder)

    def load(kind: str) -> Classifier:
        return Classifier(OnnxBackend(graphs[kind], classifier.labels), classifier.tokenization, pads=classifier.pads)

    return compare_with_torch(classifier, load, folder)


def compare_with_torch(classifier: TorchClassifier, load: Callable[[str], Classifier], folder: Path) -> Check:
    """Compare the graphs in ``folder``, which ``load`` loads by their kind, with torch; raises as the former."""
    texts = _load_check_texts()
    log.info("comparing it with torch on %d texts", len(texts))
    expected = classifier.logits(texts)
    try:
        check: Check = {"texts": len(texts), "fp32": _compare_logits(load("fp32").logits(texts), expected)}
        if "int8" in find_graphs(folder):
            check["int8"] = _compare_logits(load("int8").logits(texts), expected)
        largest = check["fp32"]["largest_difference"]
        if not largest <= TOLERANCE:
            raise ModelError(
                f"its results differ from torch's: a logit by {largest:.2g} (at most {TOLERANCE:g} is allowed)."
            )
    except ModelError as error:
        reason, kind = error.message.replace(f"{folder}{os.sep}", ""), type(classifier.model).__name__
        raise ModelError(f"The graph of a {kind} cannot be used: {reason}", EXPORTABLE) from None
    return check


def _compare_logits(logits: npt.NDArray[np.float32], expected: npt.NDArray[np.float32]) -> Agreement:
    return {
        "largest_difference": float(abs(logits - expected).max()),
        "labels_agree": int((logits.argmax(1) == expected.argmax(1)).sum()),
    }


def _load_check_texts() -> list[str]:
    """Return tweets of all lengths, an empty text, and one longer than any model takes."""
    from sentiment140_bert.data import sources, texts
    from sentiment140_bert.recipe import DataConfig

    tweets = texts.read_texts(str(sources.locate(DataConfig(dataset="sample"))[0].path))
    return [*tweets[:: max(1, len(tweets) // CHECK_TWEETS)][:CHECK_TWEETS], "", "word " * 600]
