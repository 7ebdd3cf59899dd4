from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import sentiment140_bert
from command_line import Command
from sentiment140_bert import errors, models
from sentiment140_bert.data.texts import read_texts
from sentiment140_bert.files import hash_file

pytest_plugins = "model_fixtures"

SAMPLE = Path(models.__file__).parents[1] / "data" / "sample" / "tweets.csv"
GRAPH, QUANTIZED = "onnx/model.onnx", "onnx/model_quantized.onnx"
FILES = {"config.json", "export.json", GRAPH, QUANTIZED, "tokenizer.json", "tokenizer_config.json"}
# Runs commands one after the other, and prints the packages that are loaded before and after each.
LOADED = """
import json, sys
exec(sys.argv[1])
print("LOADED", *(name for name in sys.modules if "." not in name))
from sentiment140_bert.cli import main
for words in json.loads(sys.argv[2]):
    main(words, prog_name="s140", standalone_mode=False)
    print("LOADED", *(name for name in sys.modules if "." not in name))
"""


@pytest.fixture(scope="module")
def exported(smallest_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run with an export of both precisions; not to be changed."""
    copy = tmp_path_factory.mktemp("exported") / "run"
    shutil.copytree(smallest_run, copy)
    sentiment140_bert.export(str(copy), quantize="int8")
    return copy


@pytest.fixture
def changeable(exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / "run"))


@pytest.fixture(scope="module")
def tweets() -> list[str]:
    return list(read_texts(str(SAMPLE)))[::12]


def list_names(folder: Path) -> set[str]:
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}


def test_the_folder_is_complete_and_names_no_folder_of_this_machine(exported: Path, tmp_path: Path) -> None:
    folder = exported / "onnx"
    assert list_names(folder) == FILES
    manifest = json.loads((folder / "export.json").read_text())
    assert manifest["made_of"]["model.safetensors"] == hash_file(exported / "model" / "model.safetensors")
    assert manifest["files"] == {name: hash_file(folder / name) for name in FILES - {"export.json"}}
    assert manifest["check"]["fp32"]["largest_difference"] < 1e-3
    config = json.loads((folder / "config.json").read_text())
    assert config["id2label"] == {"0": "negative", "1": "positive"}
    assert set(config["sentiment_calibration"]) == {"temperature", "neutral_below"}
    alone = shutil.copytree(folder, tmp_path / "alone")
    here, there = (sentiment140_bert.predict(place, "good")[0][1] for place in (alone, folder))
    assert here == there
    for graph in folder.glob("*.onnx"):
        content = graph.read_bytes()
        assert b"site-packages" not in content
        assert str(Path(models.__file__).parents[2]).encode() not in content


def test_labels_and_logits_match_torch_in_batches_of_any_size(exported: Path, tweets: list[str]) -> None:
    torch, onnx = (sentiment140_bert.open_classifier(str(exported), backend=name) for name in ("torch", "onnx"))
    texts = [*tweets, "", "word " * 600]
    expected = torch.logits(texts)
    clear = np.abs(expected[:, 0] - expected[:, 1]) > 1e-3
    assert clear.sum() > 100
    np.testing.assert_allclose(onnx.logits(texts), expected, atol=1e-3)
    np.testing.assert_array_equal(onnx.logits(texts).argmax(1)[clear], expected.argmax(1)[clear])
    assert (onnx.empty, onnx.truncated) == (2 * torch.empty, 2 * torch.truncated) == (2, 2)
    assert onnx.labels == torch.labels
    for some in (["x"], ["x", "a b c d e f g"], ["so good"] * 3):
        np.testing.assert_allclose(onnx.logits(some), torch.logits(some), atol=1e-3)


def test_int8_is_nearly_the_same_and_has_a_scale_for_each_column(exported: Path, tweets: list[str]) -> None:
    import onnx
    from onnx.numpy_helper import to_array

    expected = sentiment140_bert.load_classifier(str(exported)).probabilities(tweets)
    quantized = sentiment140_bert.open_classifier(str(exported), backend="onnx-int8").probabilities(tweets)
    assert (quantized.argmax(1) == expected.argmax(1)).mean() > 0.9
    assert not np.array_equal(quantized, expected)
    graph = onnx.load(exported / "onnx" / QUANTIZED).graph
    arrays = {tensor.name: to_array(tensor) for tensor in graph.initializer}
    matrices = {name: array for name, array in arrays.items() if array.dtype == np.int8 and array.ndim == 2}
    scales = {name: arrays.get(name.removesuffix("_quantized") + "_scale") for name in matrices}
    wide = [name for name, scale in scales.items() if scale is not None and scale.size == matrices[name].shape[1] > 1]
    assert len(wide) >= 2 * 6  # query, key, value, output and two of the feed-forward part, in two layers


def test_an_operator_has_the_threads_of_omp_num_threads(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sentiment140_bert.inference import onnx_backend

    for value, threads in (("3", 3), ("4,2", 4), (" 2 ", 2), ("", 0), ("many", 0)):
        monkeypatch.setenv("OMP_NUM_THREADS", value)
        assert onnx_backend.count_threads() == threads, value
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    backend = onnx_backend.OnnxBackend(exported / "onnx" / GRAPH, ["negative", "positive"])
    options = backend.session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (3, 1)


def test_an_exported_folder_answers_in_float32_if_it_can(exported: Path, tmp_path: Path, tweets: list[str]) -> None:
    folder = Path(shutil.copytree(exported / "onnx", tmp_path / "alone"))
    fp32, int8 = (sentiment140_bert.open_classifier(str(exported), backend=name) for name in ("onnx", "onnx-int8"))
    np.testing.assert_array_equal(sentiment140_bert.open_classifier(str(folder)).logits(tweets), fp32.logits(tweets))
    (folder / GRAPH).unlink()
    np.testing.assert_array_equal(sentiment140_bert.open_classifier(str(folder)).logits(tweets), int8.logits(tweets))


def test_predict_prints_what_torch_does(exported: Path, s140: Callable, tweets: list[str]) -> None:
    Path("a.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in tweets[:40]))
    calibration = json.loads((exported / "model" / "config.json").read_text())["sentiment_calibration"]
    logits = sentiment140_bert.load_classifier(str(exported)).logits(tweets[:40]).astype(np.float64)
    for flags in ([], ["--calibrated"], ["--abstain"]):
        powers = np.exp(logits / (calibration["temperature"] if flags else 1.0))
        scores = powers.max(1) / powers.sum(1)
        labels = np.array(["negative", "positive"])[logits.argmax(1)]
        if flags == ["--abstain"]:
            labels = np.where(scores < calibration["neutral_below"], "neutral", labels)
        for place, backend in ((exported, "torch"), (exported, "onnx"), (exported / "onnx", None)):
            chosen = ["--backend", backend] if backend else []
            result = s140("predict", place, "--input", "a.jsonl", "--json", *flags, *chosen)
            predictions = json.loads(result.stdout)["predictions"]
            answered = np.array([answer["score"] is not None for answer in predictions])
            measured = [answer["score"] for answer in predictions if answer["score"] is not None]
            assert measured == pytest.approx(scores[answered], abs=1e-3)
            assert answered.all() or flags == ["--abstain"]
            sure = (abs(scores - 0.5) > 1e-3) & (abs(scores - calibration["neutral_below"]) > 1e-3)
            assert sure.sum() > 20
            predicted = np.array([answer["label"] for answer in predictions])
            np.testing.assert_array_equal(predicted[sure], labels[sure])


def test_the_accuracy_of_an_export_is_measured(exported: Path, s140: Callable) -> None:
    words = ("evaluate", exported, "--dataset", "sample", "--max-samples", 60, "--json", "--backend")
    torch, onnx, int8 = (
        json.loads(s140(*words, backend).stdout)["splits"]["test"] for backend in ("torch", "onnx", "onnx-int8")
    )
    assert (onnx["accuracy"], int8["n"]) == (torch["accuracy"], torch["n"])
    assert int8["log_loss"] != torch["log_loss"]
    assert "for one model and the tweets of --dataset" in s140("evaluate", exported, "--backend", "onnx", code=1).stderr


def list_loaded(first: str, *commands: list[object]) -> list[set[str]]:
    """Return the packages that are loaded after a statement, and after each command that follows it."""
    words = json.dumps([[str(word) for word in command] for command in commands])
    program = [sys.executable, "-c", LOADED, first, words]
    lines = subprocess.run(program, capture_output=True, text=True, check=True).stdout.splitlines()
    answers = [line for line in lines if line.startswith(("positive\t", "negative\t"))]
    assert len(answers) == len(commands)
    names = [set(line.split()[1:]) for line in lines if line.startswith("LOADED")]
    return [{name for name in some if not name.startswith("_sysconfigdata_")} for some in names]  # Python's own


def test_onnx_answers_without_torch(exported: Path) -> None:
    """Allow the packages that docs/export.md names, and what these load themselves."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "export.md").read_text("utf-8")
    assert "pip install click cloup pyyaml numpy pydantic tokenizers onnxruntime pyarrow\n" in page
    allowed, *_ = list_loaded(
        "import click, cloup, yaml, numpy, pydantic.type_adapter, annotated_types, tokenizers, onnxruntime"
    )
    allowed |= {"sentiment140_bert", "__main__"} | sys.stdlib_module_names
    words = ["predict", exported / "onnx", "so good"]
    _, in_run, alone, calibrated = list_loaded(
        "", ["predict", exported, "so good", "--backend", "onnx"], words, [*words, "--calibrated"]
    )
    assert in_run | alone | calibrated <= allowed


@pytest.mark.long
def test_torch_loads_only_what_it_needs(exported: Path) -> None:
    """Ignore what transformers itself loads with a BERT (5.17 also loads scikit-learn)."""
    before, after = list_loaded("import transformers.models.bert.modeling_bert", ["predict", exported, "so good"])
    unneeded = {"datasets", "sklearn", "evaluate", "pyarrow", "wandb"} - before
    assert {"datasets", "evaluate", "wandb"} <= unneeded
    assert after & unneeded == set()


def test_an_export_of_another_model_is_refused(changeable: Path, s140: Callable) -> None:
    model = changeable / "model"
    for name, content in (
        *(
            (name, (model / name).read_bytes() + b" ")
            for name in ("model.safetensors", "config.json", "tokenizer.json")
        ),
        ("model-2.safetensors", b"more weights"),
        ("tokenizer.json", None),
    ):
        file, before = model / name, (model / name).read_bytes() if (model / name).exists() else None
        file.unlink() if content is None else file.write_bytes(content)
        result = s140("predict", changeable, "good", "--backend", "onnx", code=1)
        assert f"is not of the model in {model}: {name} changed" in result.stderr
        assert result.stdout == ""
        file.unlink() if before is None else file.write_bytes(before)
    s140("predict", changeable, "good", "--backend", "onnx")


def test_a_new_export_takes_the_place_of_the_old(changeable: Path, s140: Callable) -> None:
    (changeable / "onnx" / "export.json").write_text("{}")  # which is damaged
    result = json.loads(s140("export", changeable, "--json").stdout)
    assert set(result["files"]) == {GRAPH}
    assert result["folder"] == str(changeable / "onnx")
    assert list_names(changeable / "onnx") == FILES - {QUANTIZED}
    assert f"has no {QUANTIZED}" in s140("predict", changeable, "good", "--backend", "onnx-int8", code=1).stderr


def test_an_export_replaces_nothing_that_it_did_not_write(exported: Path, tmp_path: Path, s140: Callable) -> None:
    folder = Path(shutil.copytree(exported / "onnx", tmp_path / "web"))
    (folder / "site").mkdir()
    (folder / "site" / "index.html").write_text("my own page")
    run = Path(shutil.copytree(exported, tmp_path / "run"))
    shutil.copytree(folder, run / "onnx", dirs_exist_ok=True)
    for words, page in ((["--output", folder], folder / "site"), ([], run / "onnx" / "site")):
        shown = s140("export", run, *words, code=1)
        assert "holds more than an export: site" in shown.stderr
        assert (page / "index.html").read_text() == "my own page"
    another = Path(shutil.copytree(exported, tmp_path / "another"))
    (another / "link").symlink_to(tmp_path / "empty")
    (tmp_path / "empty").mkdir()
    for model, output in ((run, another / "onnx"), (run, another / "link"), (run / "model", run / "model" / "onnx")):
        assert "is in a run directory" in s140("export", model, "--output", output, code=1).stderr


def test_an_output_that_is_a_link_is_written_where_it_leads(exported: Path, tmp_path: Path, s140: Callable) -> None:
    disk, link = tmp_path / "disk", tmp_path / "link"
    link.symlink_to(disk)
    for words in (["export", exported], ["convert", exported / "model"]):
        assert "link is a link to" in s140(*words, "--output", link, code=1).stderr
    disk.mkdir()
    s140("export", exported, "--output", link)
    assert link.is_symlink()
    assert list_names(disk) == FILES - {QUANTIZED}


@pytest.mark.long
def test_a_model_folder_keeps_its_export_inside(classifier_folder: Path, tmp_path: Path, s140: Callable) -> None:
    folder = Path(shutil.copytree(classifier_folder, tmp_path / "model"))
    shown = s140("export", folder, "--output", folder / "onnx", "--quantize", "int8")
    assert "of 102 labels match torch's" in shown.stdout
    assert "writing the ONNX graph" in shown.stderr
    backends = ("torch", "onnx", "onnx-int8")
    lines = [s140("predict", folder, "a b c", "--backend", backend).stdout for backend in backends]
    assert len({line.split("\t")[0] for line in lines[:2]}) == 1
    assert "was not calibrated" in s140("predict", folder, "a", "--backend", "onnx", "--calibrated", code=1).stderr


def test_mistakes(exported: Path, classifier_folder: Path, s140: Callable) -> None:
    assert "which torch does not read" in s140("predict", exported / "onnx", "a", "--backend", "torch", code=1).stderr
    revision = ["--backend", "onnx", "--model-revision", "main"]
    assert "no revisions" in s140("predict", exported, "a", *revision, code=1).stderr
    assert "There is no ONNX export" in s140("predict", "some/model", "a", "--backend", "onnx", code=1).stderr
    assert "Name one with --output" in s140("export", classifier_folder, code=1).stderr
    Path("full").mkdir()
    Path("full/note.txt").write_text("mine")
    assert "is not an export" in s140("export", classifier_folder, "--output", "full", code=1).stderr
    assert [file.name for file in Path("full").iterdir()] == ["note.txt"]


@pytest.mark.parametrize("package", ["onnxruntime", "onnx"])
def test_missing_packages_are_named(
    exported: Path, s140: Callable, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    command = ("export", exported) if package == "onnx" else ("predict", exported / "onnx", "good")
    assert "needs the optional extra [onnx]" in s140(*command, code=1).stderr


@pytest.mark.parametrize("error", [0.01, 0.3])
def test_a_graph_that_computes_something_else_is_not_kept(
    changeable: Path, monkeypatch: pytest.MonkeyPatch, error: float
) -> None:
    """Let the exporter write the graph of a model whose head has another bias."""
    import onnx
    from onnx.numpy_helper import from_array, to_array

    from sentiment140_bert.inference import graphs

    graph = onnx.load(changeable / "onnx" / GRAPH)
    (bias,) = (tensor for tensor in graph.graph.initializer if tensor.name.endswith("classifier.bias"))
    bias.CopyFrom(from_array(to_array(bias) + np.array([error, 0], dtype=np.float32), bias.name))
    monkeypatch.setattr(graphs, "write_graph", lambda model, names, path: onnx.save(graph, path))
    before = hash_file(changeable / "onnx" / GRAPH)
    with pytest.raises(errors.ModelError, match="its results differ from torch's"):
        sentiment140_bert.export(str(changeable))
    assert hash_file(changeable / "onnx" / GRAPH) == before
    assert [*changeable.glob(".onnx-*")] == []


def test_overwriting_a_run_removes_its_export(changeable: Path) -> None:
    from sentiment140_bert.run import RunDir

    RunDir(changeable).clear()
    assert not (changeable / "onnx").exists()


def test_onnxruntime_sends_nothing_to_its_maker(smallest_run: Path, tmp_path: Path, cache: Path) -> None:
    """Its telemetry would leave a temporary file; with it switched off, no file appears."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    words = ["export", smallest_run, "--output", "graph"]
    with Command(*words, cwd=tmp_path, env={"TMPDIR": str(temporary), "S140_CACHE": str(cache)}) as command:
        assert command.wait() == 0, command.stderr.whole()
    assert list(temporary.rglob(".ses")) == []
