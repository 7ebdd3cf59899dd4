"""``s140 export``: a model as ONNX graphs for places without torch, compared with torch before they are kept."""

from __future__ import annotations

import io
import json
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, redirect_stderr, suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired

from typing_extensions import TypedDict

from sentiment140_bert import confined
from sentiment140_bert.errors import MissingExtra, ModelError, first_line
from sentiment140_bert.files import Place, expand_path, hash_file, to_name, write_folder_whole, write_json
from sentiment140_bert.inference.onnx_backend import (
    CONFIG,
    GRAPHS,
    MANIFEST,
    TOKENIZER,
    TOKENIZER_SETTINGS,
    find_graphs,
    hash_sources,
    is_export,
    load_export,
    read_json_file,
)
from sentiment140_bert.inference.predict import check_model_name, fetch_registered, pin_revision
from sentiment140_bert.locks import lock_if_writable
from sentiment140_bert.recipe.privacy import strip_folders
from sentiment140_bert.run import RunDir

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from transformers import PreTrainedModel

    from sentiment140_bert.inference.torch_backend import TorchClassifier

log = logging.getLogger(__name__)
TOLERANCE = 1e-3  # of a logit, for a graph that computes in float32 as torch does
CHECK_TWEETS = 100  # tweets of the packaged sample
PACKAGES = ("sentiment140-bert", "torch", "transformers", "onnx", "onnxruntime")
OPSET = 20  # the first with an operator for BERT's Gelu; onnxruntime knows it since 1.17
MAX_PROTOBUF = 2**31  # bytes that one protobuf file can hold
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


class Export(TypedDict):
    """The folder that was written, the bytes of each graph, and its comparison with torch."""

    folder: str
    files: dict[str, int]
    check: Check


def export(
    model: Place, *, output: Place | None = None, quantize: str | None = None, revision: str | None = None
) -> Export:
    """Write a folder with a classifier as ONNX graphs and all that they need, whole or not at all, and check it.

    Args:
        model: A run directory, a model folder, a Hub id or a model of MLflow's registry.
        output: The folder; default: ``onnx/`` in a run. An earlier export there is replaced.
        quantize: ``int8`` for a second graph with weights of eight bits.
        revision: Revision of a Hub model.

    Raises:
        MissingExtra: A package of the extra ``onnx`` is missing.
        ModelError: The model cannot be loaded or exported, or its graph does not compute the same as torch.
        RunError: The folder cannot be written, or another process is at work in the run.
    """
    if not all(find_spec(name) for name in ("onnx", "onnxscript", "onnxruntime")):
        raise MissingExtra("An export to ONNX", "onnx")
    model = to_name(model)
    run = expand_path(model)
    with lock_if_writable(run, "exporting") if RunDir(run).is_run() else nullcontext():
        folder = _choose_folder(model, expand_path(output, "output") if output else None)
        return _write_export(model, folder, quantize, pin_revision(model, revision))


def _choose_folder(model: str, output: Path | None) -> Path:
    """Return the folder to write; only an earlier export is ever replaced."""
    run = RunDir(expand_path(model))
    if not (output or run.is_run()):
        check_model_name(model)
        raise ModelError(f"{model} is not a run directory, so the export needs a folder.", "Name one with --output.")
    folder = output.expanduser() if output else run.onnx
    if any(RunDir(parent).is_run() for parent in folder.resolve().parents) and folder.resolve() != run.onnx.resolve():
        raise ModelError(f"{folder} is in a run directory.", "Choose another folder with --output.")
    if folder.exists() and not is_export(folder) and not (folder.is_dir() and not any(folder.iterdir())):
        raise ModelError(f"{folder} exists and is not an export.", "Remove it, or choose a new folder with --output.")
    _refuse_other_files(folder)
    return folder


def _refuse_other_files(folder: Path) -> None:
    """Refuse to replace an earlier export together with files that it did not write."""
    if is_export(folder):
        own = {MANIFEST, CONFIG, TOKENIZER, TOKENIZER_SETTINGS, *GRAPHS.values()}
        with suppress(ModelError):  # a damaged one is replaced, too
            own |= {*read_json_file(folder, MANIFEST)["files"]}
        if others := {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()} - own:
            raise ModelError(
                f"{folder} holds more than an export: {', '.join(sorted(others)[:3])}.",
                "Choose a new folder with --output, or move those files.",
            )


def _write_export(model: str, folder: Path, quantize: str | None, revision: str | None) -> Export:
    from sentiment140_bert import models
    from sentiment140_bert.inference.torch_backend import TorchClassifier

    with fetch_registered(model) as name:
        classifier = TorchClassifier(*models.load_model_and_tokenizer(name, revision), device="cpu")
        source = models.find_folder(name, revision)
        made_of = hash_sources(source)
        config = json.loads((source / CONFIG).read_text("utf-8"))
    with write_folder_whole(folder) as temporary:
        (temporary / GRAPHS["fp32"]).parent.mkdir()
        log.info("writing the ONNX graph")
        write_graph(classifier.model, classifier.tokenization.names, temporary / GRAPHS["fp32"])
        if quantize:
            log.info("writing its %s", quantize)
            write_int8(temporary / GRAPHS["fp32"], temporary / GRAPHS[quantize])
        graphs = [name for name in GRAPHS.values() if (temporary / name).is_file()]
        write_json(temporary / CONFIG, config | _describe_labels(classifier))
        models.save_tokenizer(classifier.tokenizer, temporary)
        manifest: dict[str, Any] = {
            "model": strip_folders(model),
            "revision": models.find_cached_commit(model, revision),
            "made_of": made_of,
            "files": {
                file.relative_to(temporary).as_posix(): hash_file(file)
                for file in sorted(temporary.rglob("*"))
                if file.is_file()
            },
            "max_length": classifier.max_length,
            "pads": classifier.pads,
            "packages": {name: version(name) for name in PACKAGES},
        }
        write_json(temporary / MANIFEST, manifest)
        check = _check_against_torch(classifier, temporary)
        write_json(temporary / MANIFEST, manifest | {"check": check})
    return {"folder": str(folder), "files": {name: (folder / name).stat().st_size for name in graphs}, "check": check}


def _describe_labels(classifier: TorchClassifier) -> dict[str, Any]:
    """Return the settings of the labels, which a config leaves out where they are LABEL_0 and LABEL_1."""
    return {
        "id2label": {str(at): name for at, name in enumerate(classifier.labels)},
        "label2id": {name: at for at, name in enumerate(classifier.labels)},
    }


# ---- graphs


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


def _check_against_torch(classifier: TorchClassifier, folder: Path) -> Check:
    """Compare the graphs of an export with torch.

    Raises:
        ModelError: The one in float32 does not compute the same.
    """
    texts = _load_check_texts()
    log.info("comparing it with torch on %d texts", len(texts))
    expected = classifier.logits(texts)
    try:
        check: Check = {
            "texts": len(texts),
            "fp32": _compare_logits(load_export(folder, "fp32").logits(texts), expected),
        }
        if "int8" in find_graphs(folder):
            check["int8"] = _compare_logits(load_export(folder, "int8").logits(texts), expected)
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
