"""An exported model as a classifier's backend: onnxruntime on the CPU; neither torch nor transformers is needed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from sentiment140_bert.errors import MissingExtra, ModelError, first_line
from sentiment140_bert.inference import export_folder
from sentiment140_bert.inference.backend import Numbers
from sentiment140_bert.inference.batching import CPU_TOKENS
from sentiment140_bert.inference.classifier import Classifier
from sentiment140_bert.inference.tokens import IDS, MASK, TYPES, Tokenization
from sentiment140_bert.run_dir import sha256_of
from sentiment140_bert.trust import check_folder


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
        self.session, self.labels = _session(path), labels
        self.names = [each.name for each in self.session.get_inputs()]

    def logits(self, inputs: Mapping[str, Numbers]) -> npt.NDArray[np.float32]:
        """See :class:`Backend`."""
        given = dict(inputs)
        if MASK in self.names and MASK not in given:
            given[MASK] = np.ones_like(given[IDS])
        result: npt.NDArray[np.float32] = self.session.run(None, given)[0]
        return result


def load_export(folder: Path, precision: str | None = None) -> Classifier:
    """A classifier from a folder that ``s140 export`` wrote.

    Args:
        folder: Where it lies.
        precision: ``fp32`` or ``int8``; default: the first of these that is there.

    Raises:
        MissingExtra: onnxruntime is not installed.
        ModelError: It has no such graph, or is damaged.
    """
    check_folder(folder)
    there = [each for each, file in export_folder.GRAPHS.items() if (folder / file).is_file()]
    chosen = precision or next(iter(there), "fp32")
    if chosen not in there:
        raise ModelError(
            f"The export in {folder} has no {export_folder.GRAPHS[chosen]}; it has: {', '.join(there) or 'no graph'}.",
            "Make one: s140 export MODEL --quantize int8" if chosen == "int8" else "Make one: s140 export MODEL",
        )
    config = export_folder.read(folder, export_folder.CONFIG)
    named = config["id2label"]
    backend = OnnxBackend(folder / export_folder.GRAPHS[chosen], [named[str(at)] for at in range(len(named))])
    return Classifier(backend, _tokenization(folder, TYPES in backend.names), config)


def _tokenization(folder: Path, typed: bool) -> Tokenization:
    settings = export_folder.read(folder, "tokenizer_config.json")
    manifest = export_folder.read(folder, export_folder.MANIFEST)
    file = folder / export_folder.TOKENIZER
    if not file.is_file() or sha256_of(file) != manifest["files"].get(file.name):
        raise ModelError(f"{file} is not as it was exported.", _AGAIN)
    tokenizer = Tokenizer.from_file(str(file))
    return Tokenization(
        tokenizer,
        int(manifest["max_length"]),
        padding=tokenizer.token_to_id(str(settings.get("pad_token"))) or 0,
        padding_type=int(settings.get("pad_token_type_id", 0)),
        typed=typed,
        padding_side=settings.get("padding_side", "right"),
        truncation_side=settings.get("truncation_side", "right"),
    )


_AGAIN = "Export the model anew with `s140 export`."


def _session(path: Path) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise MissingExtra("The backend onnx", "onnx") from None
    from onnxruntime.capi import onnxruntime_pybind11_state as raised

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors
    unusable = (raised.InvalidProtobuf, raised.InvalidGraph, raised.NoSuchFile, raised.NotImplemented, raised.Fail)
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except unusable as error:
        raise ModelError(f"{path} cannot be used by onnxruntime: {first_line(error)}.", _AGAIN) from None


def threads() -> int:
    """Threads of one operator, as OMP_NUM_THREADS says it to torch; 0 leaves it to onnxruntime: one a physical core."""
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(asked) if asked.isdecimal() else 0
