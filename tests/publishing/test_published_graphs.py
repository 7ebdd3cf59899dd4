"""``s140 push-to-hub --onnx``: the graphs on the Hub and the card, and what ``s140 verify`` says of them."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result

import sentiment140_bert
from hub_server import HubServer
from on_hub import DATA, MODEL, changed_by_last, commits_of_ours
from sentiment140_bert.files import hash_file
from sentiment140_bert.run import RunDir

pytest.importorskip("onnxscript", reason="the extra onnx is not installed")
pytest_plugins = "hub_fixtures"

Push = Callable[..., Result]
NOTE, FP32, INT8 = "onnx/export.json", "onnx/model.onnx", "onnx/model_quantized.onnx"
GRAPHS = {NOTE, FP32, INT8}
MODEL_ALONE = ("--repo-id", MODEL)


@pytest.fixture
def with_graphs(pushed: Path, push: Push) -> Path:
    """Return a run after a push of its model with graphs."""
    push("--onnx", to=MODEL_ALONE)
    return pushed


def test_they_are_added_in_one_commit_and_kept_by_the_next_push(hub: HubServer, pushed: Path, push: Push) -> None:
    listed = json.loads(push("--onnx", "--dry-run", "--json", to=MODEL_ALONE).stdout)["model"]["files"]
    assert listed.keys() >= GRAPHS
    assert not (pushed / "model" / "onnx").exists()  # a dry run writes nothing
    before = commits_of_ours(hub)[1]
    push("--onnx", to=MODEL_ALONE)
    assert commits_of_ours(hub)[1] == before + 1
    assert changed_by_last(hub, MODEL) == GRAPHS | {"README.md"}
    files = hub.files(MODEL)
    note = json.loads(files[NOTE])
    assert note["weights_sha256"] == json.loads(files["metrics.json"])["weights_sha256"]
    assert note["graphs"]["fp32"]["sha256"] == hash_file(pushed / "model" / FP32)
    agree = [note["graphs"][kind]["labels_agree"] for kind in ("fp32", "int8")]
    card = files["README.md"].decode()
    assert f"| `{FP32}` | `fp32` | {agree[0]} of {note['texts']} texts |" in card
    assert f"| `{INT8}` | `q8` | {agree[1]} of {note['texts']} texts |" in card
    assert f'"{MODEL}"' in card.split("```js")[1]
    push(to=MODEL_ALONE)
    assert commits_of_ours(hub)[1] == before + 1  # the graphs are of the same weights: nothing changed


def test_they_answer_from_the_hub_as_the_run_does(hub: HubServer, with_graphs: Path, tmp_path: Path) -> None:
    """Load what is on the Hub with onnxruntime and the tokenizer there alone, as a browser does."""
    import onnxruntime
    from tokenizers import Tokenizer

    for name, content in hub.files(MODEL).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    text = "@someone so good http://example.com &lt;3"
    (answer,) = sentiment140_bert.open_classifier(with_graphs).predict([text])
    encoding = Tokenizer.from_file(str(tmp_path / "tokenizer.json")).encode(text)
    session = onnxruntime.InferenceSession(tmp_path / FP32)
    inputs = {"input_ids": [encoding.ids], "attention_mask": [encoding.attention_mask]}
    inputs |= {"token_type_ids": [encoding.type_ids]}
    (logits,) = session.run(None, {node.name: inputs[node.name] for node in session.get_inputs()})
    labels = json.loads((tmp_path / "config.json").read_text("utf-8"))["id2label"]
    assert labels[str(logits[0].argmax())] == answer.label


def test_graphs_of_other_weights_are_made_again(hub: HubServer, with_graphs: Path, push: Push) -> None:
    """Change the weights as a later training does, score them, and push without naming the graphs."""
    from safetensors.torch import load_file, save_file

    weights = with_graphs / "model" / "model.safetensors"
    tensors = load_file(weights)
    tensors["classifier.bias"] += 0.5
    save_file(tensors, weights, {"format": "pt"})
    sentiment140_bert.evaluate(with_graphs)
    before = hub.files(MODEL)
    push(to=MODEL_ALONE)
    after = hub.files(MODEL)
    assert all(before[name] != after[name] for name in GRAPHS)
    assert json.loads(after[NOTE])["weights_sha256"] == hash_file(weights)


def test_files_of_others_in_that_folder_stay(hub: HubServer, pushed: Path, push: Push) -> None:
    """On the Hub graphs of another tool are kept by a push without graphs; here they stop one with graphs."""
    hub.write(MODEL, FP32, b"of another tool")
    push(to=MODEL_ALONE)
    assert hub.files(MODEL)[FP32] == b"of another tool"
    notes = pushed / "model" / "onnx" / "notes.txt"
    notes.parent.mkdir()
    notes.write_text("mine")
    result = push("--onnx", to=MODEL_ALONE, code=1)
    assert "holds files that are not of `s140 push-to-hub --onnx`: notes.txt" in result.output
    assert notes.read_text() == "mine"


def test_a_push_without_them_removes_its_own_from_the_hub(hub: HubServer, with_graphs: Path, push: Push) -> None:
    shutil.rmtree(with_graphs / "model" / "onnx")
    push(to=MODEL_ALONE)
    assert not GRAPHS & hub.files(MODEL).keys()


def test_graphs_need_a_model(pushed: Path, push: Push) -> None:
    assert "no model is published" in push("--onnx", to=("--dataset-repo-id", DATA), code=1).output


def test_they_are_verified(hub: HubServer, with_graphs: Path) -> None:
    result = sentiment140_bert.verify(MODEL)
    assert result.verdict == "true"
    assert f"{NOTE}: graphs.int8.labels_agree" in [check.claim for check in result.checks]
    assert sentiment140_bert.verify(with_graphs).verdict == "true"


@pytest.fixture(scope="module")
def make_forged() -> Callable[[Path], bytes]:
    """Make a graph from another one: its head has another bias."""
    import onnx
    from onnx.numpy_helper import from_array, to_array

    def make(file: Path) -> bytes:
        graph = onnx.load(file)
        (bias,) = (tensor for tensor in graph.graph.initializer if tensor.name.endswith("classifier.bias"))
        bias.CopyFrom(from_array(to_array(bias) + np.array([1, 0], dtype=np.float32), bias.name))
        return bytes(graph.SerializeToString())

    return make


def test_forged_ones_are_found(hub: HubServer, with_graphs: Path, make_forged: Callable[[Path], bytes]) -> None:
    """Change the graph, then its hash in the note too; then put one in another's place; then change the note."""
    forged, right = make_forged(with_graphs / "model" / FP32), hub.files(MODEL)
    note = json.loads(right[NOTE])
    as_forged = {"sha256": hashlib.sha256(forged).hexdigest(), "labels_agree": note["texts"]}
    changes: tuple[tuple[dict[str, bytes], dict[str, Any], str], ...] = (
        ({FP32: forged}, {}, "ONNX graphs"),
        ({FP32: forged}, {"graphs": note["graphs"] | {"fp32": as_forged}}, "ONNX graphs"),
        ({INT8: right[FP32]}, {}, f"{NOTE}: graphs.int8.sha256"),
        ({}, {"texts": note["texts"] + 1}, f"{NOTE}: texts"),
        ({}, {"weights_sha256": "0" * 64}, f"card, use: | `{FP32}`"),
    )
    for files, values, claim in changes:
        for name in (FP32, INT8):
            hub.write(MODEL, name, files.get(name, right[name]))
        hub.write(MODEL, NOTE, json.dumps(note | values).encode())
        false = [check.claim for check in sentiment140_bert.verify(MODEL).checks if check.verdict == "false"]
        assert any(name.startswith(claim) for name in false), (claim, false)


def test_graphs_of_other_weights_on_a_page_that_does_not_mention_them_are_false(
    hub: HubServer, with_graphs: Path, push: Push
) -> None:
    graphs = {name: content for name, content in hub.files(MODEL).items() if name in (NOTE, FP32, INT8)}
    assert len(graphs) == 3
    shutil.rmtree(with_graphs / "model" / "onnx")
    push(to=MODEL_ALONE)
    graphs[NOTE] = json.dumps(json.loads(graphs[NOTE]) | {"weights_sha256": "0" * 64}).encode()
    for name, content in graphs.items():
        hub.write(MODEL, name, content)
    false = [check.claim for check in sentiment140_bert.verify(MODEL).checks if check.verdict == "false"]
    assert false == [NOTE]


def test_graphs_that_nothing_describes_are_named(hub: HubServer, pushed: Path) -> None:
    hub.write(MODEL, "onnx/model_fp16.onnx", b"whatever")
    result = sentiment140_bert.verify(MODEL)
    assert result.verdict == "true"
    assert "onnx/model_fp16.onnx" in [check.claim for check in result.checks if check.verdict == "warning"]


def test_other_graphs_than_the_noted_ones_are_not_published(hub: HubServer, with_graphs: Path, push: Push) -> None:
    right = hub.files(MODEL)[FP32]
    RunDir(with_graphs).remember()  # as a training does
    (with_graphs / "model" / FP32).write_bytes(b"anything")
    push("--citation", "@misc{x}", to=MODEL_ALONE)
    assert hub.files(MODEL)[FP32] == right


def test_graphs_and_a_note_that_a_run_of_somebody_else_brings_are_not_published(
    hub: HubServer, with_graphs: Path, push: Push
) -> None:
    right = hub.files(MODEL)[FP32]
    note = json.loads((with_graphs / "model" / NOTE).read_text("utf-8"))
    for name, kind in ((FP32, "fp32"), (INT8, "int8")):
        (with_graphs / "model" / name).write_bytes(b"anything")
        note["graphs"][kind]["sha256"] = hash_file(with_graphs / "model" / name)
    (with_graphs / "model" / NOTE).write_text(json.dumps(note), "utf-8")
    push("--citation", "@misc{x}", to=MODEL_ALONE)
    assert hub.files(MODEL)[FP32] == right
