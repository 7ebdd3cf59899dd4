"""An exported model as a classifier's backend: onnxruntime on the CPU; neither torch nor transformers is needed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from sentiment140_bert import confined
from sentiment140_bert.errors import MissingExtra, ModelError, first_line
from sentiment140_bert.inference import export_folder
from sentiment140_bert.inference.backend import Numbers
from sentiment140_bert.inference.batching import CPU_TOKENS
from sentiment140_bert.inference.classifier import Classifier
from sentiment140_bert.inference.tokens import IDS, MASK, TYPES, Tokenization
from sentiment140_bert.run_dir import sha256_of
from sentiment140_bert.trust import check_folder
from sentiment140_bert.trust.model_files import UnusableFile


class OnnxBackend:
    """Logits from an ONNX graph.

    Args:
        path: The file, with inputs named as in transformers.
        labels: Names of the labels by position.

    Raises:
        MissingExtra: onnxruntime is not installed.
        ModelError: The file is damaged, or of a newer kind than this onnxruntime knows.
    """

    tokens_per_batch = CPU_TOKENS

    def __init__(self, path: Path, labels: Sequence[str]) -> None:
        self.session, self.labels, self.path = _session(path), labels, path
        inputs, (output, *_) = self.session.get_inputs(), self.session.get_outputs()
        self.names, self.output = [each.name for each in inputs], output.name
        wrong = {each.name for each in inputs if each.name not in (IDS, MASK, TYPES) or each.type != "tensor(int64)"}
        if wrong or IDS not in self.names or output.type != "tensor(float)":
            found = ", ".join(f"{each.name}: {each.type}" for each in [*inputs, output])
            raise _unusable(path, f"its inputs and output are not those of a classifier ({found[:300]})")

    def logits(self, inputs: Mapping[str, Numbers]) -> npt.NDArray[np.float32]:
        """See :class:`Backend`."""
        values = dict(inputs)
        if MASK in self.names and MASK not in values:
            values[MASK] = np.ones_like(values[IDS])
        values = {name: value for name, value in values.items() if name in self.names}
        with _explained(self.path):
            (result,) = self.session.run([self.output], values)
        if result.shape != (len(values[IDS]), len(self.labels)):
            raise _unusable(
                self.path, f"for {len(values[IDS])} texts and {len(self.labels)} labels it gives {result.shape} logits"
            )
        logits: npt.NDArray[np.float32] = result
        return logits


def load_export(folder: Path, precision: str | None = None) -> Classifier:
    """Load a classifier from a folder that ``s140 export`` wrote.

    Args:
        folder: Where it lies.
        precision: ``fp32`` or ``int8``; default: the first of these that is there.

    Raises:
        MissingExtra: onnxruntime is not installed.
        ModelError: It has no such graph, or is damaged.
    """
    check_folder(folder)
    graphs = [kind for kind, file in export_folder.GRAPHS.items() if (folder / file).is_file()]
    chosen = precision or next(iter(graphs), "fp32")
    if chosen not in graphs:
        raise ModelError(
            f"The export in {folder} has no {export_folder.GRAPHS[chosen]}; it has: {', '.join(graphs) or 'no graph'}.",
            "Make one: s140 export MODEL --quantize int8" if chosen == "int8" else "Make one: s140 export MODEL",
        )
    config = export_folder.read(folder, export_folder.CONFIG)
    manifest = export_folder.read(folder, export_folder.MANIFEST)
    backend = OnnxBackend(folder / export_folder.GRAPHS[chosen], export_folder.labels_of(folder, config))
    tokenization = _tokenization(folder, manifest, TYPES in backend.names)
    return Classifier(backend, tokenization, config, pads=manifest.get("pads", True))


def _tokenization(folder: Path, manifest: Mapping[str, Any], typed: bool) -> Tokenization:
    settings = export_folder.read(folder, export_folder.TOKENIZER_SETTINGS)
    file = folder / export_folder.TOKENIZER
    if not file.is_file() or sha256_of(file) != manifest["files"].get(file.name):
        raise ModelError(f"{file} is not as it was exported.", export_folder.AGAIN)
    with export_folder.checked(folder):
        confined.try_tokenizer(file)
        tokenizer = Tokenizer.from_file(str(file))
        return Tokenization(
            tokenizer,
            manifest["max_length"],
            padding=tokenizer.token_to_id(str(settings.get("pad_token"))) or 0,
            padding_type=settings.get("pad_token_type_id", 0),
            typed=typed,
            padding_side=settings.get("padding_side", "right"),
            truncation_side=settings.get("truncation_side", "right"),
        )


def _session(path: Path) -> Any:
    os.environ.update(confined.NO_TELEMETRY)
    try:
        import onnxruntime
    except ImportError:
        raise MissingExtra("The backend onnx", "onnx") from None
    try:
        confined.try_graph(path)
    except UnusableFile as error:
        raise _unusable(path, error) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # errors are raised, too
    with _explained(path):
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Make a ModelError of whatever onnxruntime says of a graph."""
    from onnxruntime.capi import onnxruntime_pybind11_state as raised

    try:
        yield
    except (
        *(raised.EPFail, raised.Fail, raised.InvalidArgument, raised.InvalidGraph, raised.InvalidProtobuf),
        *(raised.NoModel, raised.NoSuchFile, raised.NotImplemented, raised.RuntimeException, RuntimeError, ValueError),
    ) as error:
        raise _unusable(path, first_line(error)) from None


def _unusable(path: Path, why: object) -> ModelError:
    return ModelError(f"{path} cannot be used by onnxruntime: {why}.", export_folder.AGAIN)


def threads() -> int:
    """Threads of one operator, as OMP_NUM_THREADS says it to torch; 0 leaves it to onnxruntime: one a physical core."""
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(asked) if asked.isdecimal() else 0
