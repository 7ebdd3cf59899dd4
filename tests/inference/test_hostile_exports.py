"""Exported folders of strangers: an error that the package explains or a right answer, in bounded time and memory."""

from __future__ import annotations

import json
import resource
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sentiment140_bert
from hostile import Change, answer_all, complain, copy_with, damage, put, remove, write
from hub_fixtures import write_tiny_encoder
from sentiment140_bert.errors import ModelError
from sentiment140_bert.files import hash_file
from sentiment140_bert.inference import onnx_backend
from sentiment140_bert.inference.onnx_backend import OnnxBackend

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

MANIFEST, CONFIG, SETTINGS, TOKENIZER, GRAPH = (
    *("export.json", "config.json", "tokenizer_config.json", "tokenizer.json", "onnx/model.onnx"),
)
HUGE = 10**12
INT, FLOAT = onnx.TensorProto.INT64, onnx.TensorProto.FLOAT
VALUES: dict[str, dict[str, list[Any]]] = {
    MANIFEST: {
        "max_length": [0, -1, 1, 2, HUGE, "32", 2.5, None, [32]],
        "files": [None, [], "x", {"tokenizer.json": 7}, {}],
        "made_of": [None, [], {"a": 7}],
    },
    CONFIG: {
        "id2label": [None, [], {}, {"0": "a"}, {"0": "a", "2": "b"}, {"-1": "a", "0": "b"}, {"0": 1, "1": 2}, 7],
        "num_labels": [HUGE, 0, -1, 3, "2"],
    },
    SETTINGS: {
        "pad_token": [7, None, "no such", ["a"], {"content": 7}],
        "pad_token_type_id": [HUGE, -1, "0", 2.5],
        "padding_side": ["up", 7, None, "left"],
        "truncation_side": ["up", 7, None, "left"],
    },
}


def trusted(change: Change) -> Change:
    """Return what changes a tokenizer.json and the hash that export.json has of it."""

    def both(folder: Path) -> None:
        change(folder)
        if (folder / TOKENIZER).exists():
            put(MANIFEST, "files", TOKENIZER, value=hash_file(folder / TOKENIZER))(folder)

    return both


def labelled(*names: str) -> Change:
    return put(CONFIG, "id2label", value={str(number): name for number, name in enumerate(names)})


# ---- graphs


def graph(make: Callable[[], Any]) -> Change:
    return lambda folder: (folder / GRAPH).write_bytes(make().SerializeToString())


def model(
    nodes: list[Any],
    weights: dict[str, Any],
    inputs: tuple[str, ...] = ("input_ids", "attention_mask"),
    kind: int = INT,
    output: tuple[int, list[Any]] = (FLOAT, ["batch", 2]),
) -> Any:
    """Return a graph whose last node gives ``logits``."""
    shaped = [onnx.helper.make_tensor_value_info(name, kind, ["batch", "tokens"]) for name in inputs]
    result = onnx.helper.make_tensor_value_info("logits", *output)
    held = [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()]
    whole = onnx.helper.make_graph(nodes, "g", shaped, [result], held)
    return onnx.helper.make_model(whole, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)


def node(kind: str, inputs: str, output: str, **options: Any) -> Any:
    return onnx.helper.make_node(kind, inputs.split(), [output], **options)


def first_row(value: float = 1.0, **options: Any) -> Any:
    """Return a graph that gives the first two tokens, times ``value``, as logits."""
    nodes = [
        node("Slice", "input_ids start end axis", "two"),
        node("Cast", "two", "numbers", to=FLOAT),
        node("Mul", "numbers by", "logits"),
    ]
    numbers = {"start": np.array([0]), "end": np.array([2]), "axis": np.array([1]), "by": np.float32(value)}
    return model(nodes, numbers, **options)


def roots() -> Any:
    """Return a graph whose logits are numbers for the first text only: its tokens are words, and come after signs."""
    nodes = [
        node("Slice", "input_ids start end axis", "two"),
        node("Cast", "two", "numbers", to=FLOAT),
        node("Sub", "numbers word", "rest"),
        node("Sqrt", "rest", "logits"),
    ]
    numbers = {"start": np.array([1]), "end": np.array([3]), "axis": np.array([1]), "word": np.float32(141)}
    return model(nodes, numbers)


def simple(kind: str, output: tuple[int, list[Any]], inputs: tuple[str, ...] = ("input_ids",), **options: Any) -> Any:
    """Return a graph of one node."""
    return model([node(kind, inputs[0], "logits", **options)], {}, inputs=inputs, output=output)


def looping() -> Any:
    """Return a graph with a loop that never ends."""
    boolean = onnx.helper.make_tensor_value_info
    body = onnx.helper.make_graph(
        [node("Identity", "on", "still")],
        "body",
        [boolean("at", INT, []), boolean("on", onnx.TensorProto.BOOL, [])],
        [boolean("still", onnx.TensorProto.BOOL, [])],
    )
    whole = first_row()
    whole.graph.node.insert(0, onnx.helper.make_node("Loop", ["", "true"], [], body=body))
    whole.graph.initializer.append(onnx.numpy_helper.from_array(np.array(True), "true"))
    return whole


def hidden_loop() -> Any:
    """Return a graph with that loop within a function of its own."""
    whole = looping()
    loop, true = whole.graph.node[0], whole.graph.initializer[-1]
    constant = onnx.helper.make_node("Constant", [], ["true"], value=true)
    opset = [onnx.helper.make_opsetid("", 17)]
    whole.functions.append(onnx.helper.make_function("own", "Quiet", [], [], [constant, loop], opset))
    whole.opset_import.append(onnx.helper.make_opsetid("own", 1))
    whole.graph.node[0].CopyFrom(onnx.helper.make_node("Quiet", [], [], domain="own"))
    return whole


def growing() -> Any:
    """Return a graph that tiles its input to a hundred gigabytes."""
    nodes = [node("Tile", "input_ids times", "many"), node("Cast", "many", "logits", to=FLOAT)]
    return model(nodes, {"times": np.array([10**5, 10**5])})


def outside(place: str) -> Any:
    """Return a graph whose numbers are in another file."""
    whole = first_row()
    weights = onnx.TensorProto(name="w", data_type=FLOAT, dims=[1], data_location=onnx.TensorProto.EXTERNAL)
    weights.external_data.add(key="location", value=place)
    whole.graph.initializer.append(weights)
    whole.graph.node[2].input[1] = "w"
    return whole


def table() -> dict[str, Change]:
    rows: dict[str, Change] = {"whole": lambda folder: None}
    for file in (MANIFEST, CONFIG, SETTINGS):
        rows |= damage(file)
    rows |= {name: trusted(change) for name, change in damage(TOKENIZER).items()}
    for file, keys in VALUES.items():
        for key, values in keys.items():
            rows |= {f"{file}: {key} {json.dumps(value)}": put(file, key, value=value) for value in values}
    for name in ("a\nb", "a\tb\n", "\x1b[2J", "\u202e", ""):
        rows[f"label {name!a}"] = labelled(name, "b")
    replaced = {"type": "Replace", "pattern": {"String": "o"}, "content": "o" * 10_000}
    rows |= {
        "labels: more than logits": labelled("a", "b", "c"),
        "labels: fewer than logits": labelled("a"),
        "tokenizer: another than was exported": put(TOKENIZER, "version", value="9.0"),
        "tokenizer: another version": trusted(put(TOKENIZER, "version", value="9.0")),
        "tokenizer: growing": trusted(put(TOKENIZER, "normalizer", value=replaced)),
        "tokenizer: no unknown": trusted(put(TOKENIZER, "model", "unk_token", value="no such")),
        "tokenizer: number beyond": trusted(put(TOKENIZER, "model", "vocab", "so", value=4_000_000_000)),
        "tokenizer: special token beyond": trusted(
            put(TOKENIZER, "post_processor", "special_tokens", "[CLS]", "ids", value=[10**9])
        ),
        "graph: missing": remove(GRAPH),
        "graph: empty": write(GRAPH, b""),
        "graph: text": write(GRAPH, b"not a graph"),
        "graph: half": lambda folder: (folder / GRAPH).write_bytes((folder / GRAPH).read_bytes()[:5_000]),
        "graph: length beyond its end": write(GRAPH, b"\x3a\xff\xff\xff\xff\x7f"),
        "graph: loop": graph(looping),
        "graph: loop in a function": graph(hidden_loop),
        "graph: growing": graph(growing),
        "graph: numbers of another folder": graph(partial(outside, "../private.bin")),
        "graph: numbers of an absolute path": lambda folder: graph(partial(outside, f"{folder.parent}/private.bin"))(
            folder
        ),
        "graph: another input": graph(lambda: first_row(inputs=("input_ids", "secret"))),
        "graph: no input_ids": graph(lambda: simple("Shape", (INT, [2]), ("attention_mask",))),
        "graph: inputs of another kind": graph(lambda: first_row(kind=FLOAT)),
        "graph: an output of another kind": graph(lambda: simple("Shape", (INT, [2]))),
        "graph: an output of another shape": graph(lambda: simple("Cast", (FLOAT, ["batch", "tokens"]), to=FLOAT)),
        "graph: not a number": graph(lambda: first_row(float("nan"))),
        "graph: not a number for the second text": graph(roots),
        "graph: infinite": graph(lambda: first_row(float("inf"))),
        "graph: whole": graph(first_row),
    }  # fmt: skip
    return rows


EXPECTED = {
    "graph: numbers of another folder": "cannot be used by onnxruntime",
    "graph: numbers of an absolute path": "cannot be used by onnxruntime",
    "graph: loop": "it contains the operator Loop, which no classifier needs",
    "graph: loop in a function": "it contains the operator Loop, which no classifier needs",
    "graph: not a number": "The model's answer to text 1 is not a finite number",
    "graph: not a number for the second text": "The model's answer to text 2 is not a finite number",
    "tokenizer: another than was exported": "tokenizer.json has changed since it was exported",
    f"{MANIFEST}: empty object": "export.json: made_of: Field required",
    "tokenizer: growing": "its normalizer makes one character into more than 64",
    "labels: more than logits": "for 2 texts and 3 labels it gives (2, 2) logits",
    f"{MANIFEST}: max_length -1": "max_length: Input should be greater than or equal to 1",
    f"{CONFIG}: id2label null": "config.json names no labels",
    "label 'a\\nb'": "is not a name on one line",
}
FINE = {"whole", "graph: whole"}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export that is whole; not to be changed."""
    folder = tmp_path_factory.mktemp("tiny")
    sentiment140_bert.export(str(write_tiny_encoder(folder / "model")), output=folder / "export")
    return folder / "export"


def multiplying() -> Any:
    """Return a graph that makes 300,000 numbers of each token."""
    nodes = [
        node("Cast", "input_ids", "numbers", to=FLOAT),
        node("Reshape", "numbers column", "tokens"),
        node("ConstantOfShape", "row", "zeros"),
        node("MatMul", "tokens zeros", "logits"),
    ]
    return model(nodes, {"column": np.array([-1, 1]), "row": np.array([1, 300_000])}, inputs=("input_ids",))


def test_a_graph_that_grows_with_the_text_is_stopped_before_it_takes_memory(tmp_path: Path) -> None:
    (tmp_path / "onnx").mkdir()
    graph(multiplying)(tmp_path)
    assert (tmp_path / GRAPH).stat().st_size < 1_000
    backend = OnnxBackend(tmp_path / GRAPH, ["negative", "positive"])  # the trial's two short texts are no load
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ModelError, match=r"cannot be used by onnxruntime: .*vailable memory"):
        backend.logits({"input_ids": np.ones((50, 128), dtype=np.int64)})
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 1 << 18  # KiB


def squaring() -> Any:
    """Return a graph that multiplies square matrices 2,000 times, as wide as the first token's number."""
    nodes = [
        node("Slice", "input_ids start end axis", "one"),
        node("Cast", "input_ids", "numbers", to=FLOAT),
        node("Slice", "numbers start two axis", "logits"),
        node("Reshape", "one flat", "width"),
        node("Concat", "width width", "square", axis=0),
        node("ConstantOfShape", "square", "product0"),
        *(node("MatMul", f"product{at} product0", f"product{at + 1}") for at in range(2_000)),
        node("ReduceSum", "product2000", "sum", keepdims=0),
        node("Add", "logits sum", "result"),
    ]
    numbers = {"start": np.array([0]), "end": np.array([1]), "two": np.array([2]), "axis": np.array([1])}
    whole = model(nodes, numbers | {"flat": np.array([-1])}, inputs=("input_ids",))
    whole.graph.output[0].name = "result"
    return whole


def test_a_graph_that_takes_long_for_some_texts_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "onnx").mkdir()
    graph(squaring)(tmp_path)
    backend = OnnxBackend(tmp_path / GRAPH, ["negative", "positive"])  # the trial's numbers are ones
    monkeypatch.setattr(onnx_backend, "SECONDS", 0.01)
    with pytest.raises(ModelError, match=r"cannot be used by onnxruntime: .*terminate"):
        backend.logits({"input_ids": np.full((1, 8), 1_000, dtype=np.int64)})


def ask(exported: Path, folder: Path, rows: dict[str, Change]) -> list[str]:
    """Return what is wrong with the answers of these rows' exports."""
    (folder / "private.bin").write_bytes(np.float32(1).tobytes())
    folders = [copy_with(exported, folder / str(number), change) for number, change in enumerate(rows.values())]
    outcomes = dict(zip(rows, answer_all(folders), strict=True))
    wrong = [complaint for name, outcome in outcomes.items() for complaint in complain(name, outcome)]
    silent = [name for name, words in EXPECTED.items() if name in rows and words not in outcomes[name].stderr]
    refused = [name for name in FINE & rows.keys() if outcomes[name].code]
    return wrong + [f"{name}: {outcomes[name].stderr}" for name in [*silent, *refused]]


def test_some_end_in_an_error_or_a_right_answer(exported: Path, tmp_path: Path) -> None:
    rows = table()
    named = EXPECTED.keys() | FINE
    chosen = {name: change for number, (name, change) in enumerate(rows.items()) if number % 4 == 0 or name in named}
    assert named <= chosen.keys()
    assert len(chosen) >= 40
    assert ask(exported, tmp_path, chosen) == []


@pytest.mark.long
def test_all_end_in_an_error_or_a_right_answer(exported: Path, tmp_path: Path) -> None:
    assert ask(exported, tmp_path, table()) == []
