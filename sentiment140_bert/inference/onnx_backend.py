"""An exported model as a classifier's backend: onnxruntime on the CPU, without torch or transformers."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired

import numpy as np
import numpy.typing as npt
from pydantic import Field
from tokenizers import Tokenizer
from typing_extensions import TypedDict

from sentiment140_bert import confined
from sentiment140_bert.errors import MissingExtra, ModelError, first_line
from sentiment140_bert.files import hash_file
from sentiment140_bert.inference.classifier import CPU_TOKENS, Classifier
from sentiment140_bert.inference.tokens import IDS, MASK, TYPES, Numbers, Tokenization
from sentiment140_bert.run import GRAPHS, TRAINING_ROWS
from sentiment140_bert.trust import check_folder
from sentiment140_bert.trust.model_files import UnusableFile, check_shape, is_rust_failure, read_labels, read_object

MANIFEST, CONFIG, TOKENIZER = "export.json", "config.json", "tokenizer.json"
TOKENIZER_SETTINGS = "tokenizer_config.json"
EXPORT_AGAIN = "Export the model again with `s140 export`."
EARLIER_GRAPHS = {"fp32": "model.onnx", "int8": "model_int8.onnx"}


def is_export(folder: Path) -> bool:
    """Return True if an export is there."""
    return (folder / MANIFEST).is_file()


def find_graphs(folder: Path) -> dict[str, Path]:
    """Return the graphs of an export by their kind, in the order of :data:`GRAPHS`."""
    return {
        kind: files[0]
        for kind, name in GRAPHS.items()
        if (files := [file for file in (folder / name, folder / EARLIER_GRAPHS[kind]) if file.is_file()])
    }


def hash_sources(folder: Path) -> dict[str, str]:
    """Return the sha256 of all files in a model folder that an export is made of, by name."""
    files = [*folder.glob("*.safetensors"), folder / CONFIG, folder / TOKENIZER]
    made_of = [file for file in files if file.is_file() and file.name != TRAINING_ROWS]
    return {file.name: hash_file(file) for file in sorted(made_of)}


def check_fresh(folder: Path, model: Path) -> None:
    """Raise ModelError where ``folder`` was not exported from what is in the model folder ``model`` now."""
    exported, current = read_json_file(folder, MANIFEST)["made_of"], hash_sources(model)
    changed = sorted(name for name in exported.keys() | current.keys() if exported.get(name) != current.get(name))
    if changed:
        raise ModelError(
            f"The export in {folder} is not of the model in {model}: {', '.join(changed)} changed.", EXPORT_AGAIN
        )


class Manifest(TypedDict):
    """The keys of ``export.json`` that are needed to load an export."""

    made_of: dict[str, str]
    files: dict[str, str]
    max_length: Annotated[int, Field(ge=1, le=1 << 20)]
    pads: NotRequired[bool]


class TokenizerSettings(TypedDict):
    """The keys of ``tokenizer_config.json`` that are needed to load an export."""

    pad_token: NotRequired[str | dict[str, Any] | None]
    pad_token_type_id: NotRequired[Annotated[int, Field(ge=0, lt=1_000)]]
    padding_side: NotRequired[Literal["left", "right"]]
    truncation_side: NotRequired[Literal["left", "right"]]


SCHEMAS: dict[str, Any] = {MANIFEST: Manifest, TOKENIZER_SETTINGS: TokenizerSettings}


@contextmanager
def explain_damage(folder: Path) -> Iterator[None]:
    """Turn whatever is wrong with the files of an export while they are read into a ModelError."""
    try:
        yield
    except UnusableFile as error:
        raise ModelError(f"The export in {folder} cannot be read: {error}.", EXPORT_AGAIN) from None
    except BaseException as error:
        if not is_rust_failure(error):
            raise
        raise ModelError(
            f"The export in {folder} cannot be read: its tokenizer is damaged: {error}.", EXPORT_AGAIN
        ) from None


def read_json_file(folder: Path, name: str) -> dict[str, Any]:
    """Read one of an export's JSON files.

    Raises:
        ModelError: It is missing, damaged, or not of its shape.
    """
    with explain_damage(folder):
        content = read_object(folder / name)
        return content | check_shape(content, SCHEMAS[name], name) if name in SCHEMAS else content


def read_export_labels(folder: Path, config: dict[str, Any]) -> list[str]:
    """Return the names of the labels by position.

    Raises:
        ModelError: There are none, or they make no sense.
    """
    with explain_damage(folder):
        labels = read_labels(config)
        if not labels:
            raise UnusableFile(f"{CONFIG} names no labels")
    return labels


# Bytes that the graphs of this process may hold at once: weights (2 GiB of a file at most, which onnxruntime may copy)
# and results. This stops a graph whose output grows with the text: the trial in `confined` sees short texts only.
MAX_MEMORY = 6 << 30
SECONDS = 300  # of a batch; one of CPU_TOKENS tokens takes a few, with BERT on two cores


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
        self.session, self.labels, self.path = _open_session(path), labels, path
        inputs, (output, *_) = self.session.get_inputs(), self.session.get_outputs()
        self.names, self.output = [node.name for node in inputs], output.name
        are_tokens = all(node.name in (IDS, MASK, TYPES) and node.type == "tensor(int64)" for node in inputs)
        if not are_tokens or IDS not in self.names or output.type != "tensor(float)":
            types = ", ".join(f"{node.name}: {node.type}" for node in [*inputs, output])
            raise _make_error(path, f"its inputs and output are not those of a classifier ({types[:300]})")

    def logits(self, inputs: Mapping[str, Numbers]) -> npt.NDArray[np.float32]:
        """Compute logits, see :class:`Backend`."""
        values = dict(inputs)
        if MASK in self.names and MASK not in values:
            values[MASK] = np.ones_like(values[IDS])
        values = {name: value for name, value in values.items() if name in self.names}
        with _explain_errors(self.path), _bound_time() as options:
            (result,) = self.session.run([self.output], values, options)
        if result.shape != (len(values[IDS]), len(self.labels)):
            raise _make_error(
                self.path, f"for {len(values[IDS])} texts and {len(self.labels)} labels it gives {result.shape} logits"
            )
        logits: npt.NDArray[np.float32] = result
        return logits


def load_export(folder: Path, precision: str | None = None) -> Classifier:
    """Load a classifier from a folder that ``s140 export`` wrote.

    Args:
        folder: The export.
        precision: ``fp32`` or ``int8``; default: the first of these that is there.

    Raises:
        MissingExtra: onnxruntime is not installed.
        ModelError: It has no such graph, or is damaged.
    """
    check_folder(folder)
    graphs = find_graphs(folder)
    chosen = precision or next(iter(graphs), "fp32")
    if chosen not in graphs:
        raise ModelError(
            f"The export in {folder} has no {GRAPHS[chosen]}; it has: {', '.join(graphs) or 'no graph'}.",
            "Make one: s140 export MODEL --quantize int8" if chosen == "int8" else "Make one: s140 export MODEL",
        )
    config = read_json_file(folder, CONFIG)
    manifest = read_json_file(folder, MANIFEST)
    backend = OnnxBackend(graphs[chosen], read_export_labels(folder, config))
    tokenization = _load_tokenization(folder, manifest, TYPES in backend.names)
    return Classifier(backend, tokenization, config, pads=manifest.get("pads", True))


def _load_tokenization(folder: Path, manifest: Mapping[str, Any], typed: bool) -> Tokenization:
    settings = read_json_file(folder, TOKENIZER_SETTINGS)
    file = folder / TOKENIZER
    if not file.is_file() or hash_file(file) != manifest["files"].get(file.name):
        raise ModelError(f"{file} has changed since it was exported.", EXPORT_AGAIN)
    with explain_damage(folder):
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


def _open_session(path: Path) -> Any:
    os.environ.update(confined.NO_TELEMETRY)
    try:
        import onnxruntime
    except ImportError:
        raise MissingExtra("The backend onnx", "onnx") from None
    try:
        confined.try_graph(path)
    except UnusableFile as error:
        raise _make_error(path, error) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = count_threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # errors are raised, too
    options.add_session_config_entry("session.use_env_allocators", "1")
    bound_memory()
    with _explain_errors(path):
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


@cache
def bound_memory() -> None:
    """Give the graphs of this process an allocator that holds at most :data:`MEMORY` bytes."""
    import onnxruntime

    cpu = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    onnxruntime.create_and_register_allocator(cpu, onnxruntime.OrtArenaCfg(MAX_MEMORY, -1, -1, -1))


@contextmanager
def _bound_time() -> Iterator[Any]:
    """Give options that end a graph after :data:`SECONDS`; what it computes may depend on the text."""
    import onnxruntime

    options = onnxruntime.RunOptions()
    timer = threading.Timer(SECONDS, setattr, (options, "terminate", True))
    timer.daemon = True
    timer.start()
    try:
        yield options
    finally:
        timer.cancel()


@contextmanager
def _explain_errors(path: Path) -> Iterator[None]:
    """Turn whatever onnxruntime raises for a graph into a ModelError."""
    from onnxruntime.capi import onnxruntime_pybind11_state as raised

    try:
        yield
    except (
        *(raised.EPFail, raised.Fail, raised.InvalidArgument, raised.InvalidGraph, raised.InvalidProtobuf),
        *(raised.NoModel, raised.NoSuchFile, raised.NotImplemented, raised.RuntimeException, RuntimeError, ValueError),
    ) as error:
        raise _make_error(path, first_line(error)) from None


def _make_error(path: Path, why: object) -> ModelError:
    return ModelError(f"{path} cannot be used by onnxruntime: {why}.", EXPORT_AGAIN)


def count_threads() -> int:
    """Return the threads of one operator: OMP_NUM_THREADS as for torch, else 0, for onnxruntime one a physical core."""
    number = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(number) if number.isdecimal() else 0
