"""Weights that are no safetensors: refused, and converted by the very command that the error names."""

from __future__ import annotations

import json
import pickle
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from malice import Canary
from sentiment140_bert import models

pytest_plugins = ("model_fixtures", "malice")
State = dict[str, torch.Tensor]
FILE, INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"


@pytest.fixture
def folder(classifier_folder: Path, tmp_path: Path) -> Path:
    """A copy of a good model, with the state that a Trainer saves."""
    copy = shutil.copytree(classifier_folder, tmp_path / "model")
    torch.save({"step": 1}, copy / "optimizer.pt")
    torch.save({"step": 1}, copy / "training_args.bin")
    return copy


@pytest.fixture
def state(folder: Path) -> State:
    """Its weights, which are removed from it."""
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    return weights


def save_shared(folder: Path, state: State) -> None:
    """Save tensors that share memory, and one that is transposed in it."""
    name = "bert.encoder.layer.0.attention.self.query.weight"
    shared = {"tied": state["bert.embeddings.word_embeddings.weight"], name: state[name].T.contiguous().T}
    torch.save(state | shared, folder / FILE)


def save_parts(folder: Path, state: State) -> None:
    names = sorted(state)
    parts = {"pytorch_model-00001-of-00002.bin": names[::2], "pytorch_model-00002-of-00002.bin": names[1::2]}
    for file, part in parts.items():
        torch.save({name: state[name] for name in part}, folder / file)
    weight_map = {name: file for file, part in parts.items() for name in part}
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


WAYS: dict[str, Callable[[Path, State], object]] = {
    "one file": lambda folder, state: torch.save(state, folder / FILE),
    "old format": lambda folder, state: torch.save(state, folder / FILE, _use_new_zipfile_serialization=False),
    "another name": lambda folder, state: torch.save(state, folder / "best.pt"),
    "checkpoint": lambda folder, state: torch.save({"epoch": 3, "state_dict": state}, folder / "last.ckpt"),
    "shared": save_shared,
    "parts": save_parts,
}


@pytest.mark.parametrize("save", WAYS.values(), ids=WAYS)
def test_the_command_that_the_error_names_converts(
    folder: Path, classifier_folder: Path, state: State, s140, save: Callable[[Path, State], object]
) -> None:
    save(folder, state)
    refused = s140("predict", folder, "what a day", code=1)
    assert "no safetensors weights, only" in refused.stderr
    (command,) = re.findall(r"s140 (convert .+)$", refused.stderr, re.MULTILINE)
    s140(*shlex.split(command))
    new, old = (s140("predict", model, "what a day", "--json").stdout for model in ("FOLDER", classifier_folder))
    assert new == old
    converted = load_file("FOLDER/model.safetensors")
    assert all(torch.equal(converted[name], values) for name, values in state.items())
    assert not [file.name for file in Path("FOLDER").iterdir() if file.suffix in (".bin", ".pt", ".py", ".ckpt")]


def test_an_encoder_is_converted_without_a_head(small_bert: Callable[..., Path], tmp_path: Path, s140) -> None:
    encoder = shutil.copytree(small_bert("BertModel"), tmp_path / "encoder")
    torch.save(load_file(encoder / "model.safetensors"), encoder / FILE)
    (encoder / "model.safetensors").unlink()
    s140("convert", encoder, "--output", "new")
    assert models.load_encoder("new").config.num_labels == 2
    assert "not a fine-tuned classifier" in s140("predict", "new", "hello", code=1).stderr


def test_settings_and_tokenizers_are_copied_and_nothing_else(folder: Path, state: State, s140) -> None:
    torch.save(state, folder / FILE)
    settings = {file.name for file in folder.iterdir() if file.suffix == ".json"}
    copied = {"notes.md", "LICENSE-MIT", "vocab.txt", "spiece.model", "extra.json"}
    for name in (*copied, "trainer_state.json", "model.py", "data.csv", "events.out", "state.safetensors.old"):
        (folder / name).write_text("{}")
    (folder / "folder.json").mkdir()
    shutil.copy(folder / FILE, folder / "older.pt")  # the usual name counts
    result = json.loads(s140("convert", folder, "--output", "new", "--json").stdout)
    assert {file.name for file in Path("new").iterdir()} == settings | copied | {"model.safetensors"}
    size = Path("new/model.safetensors").stat().st_size
    assert result == {"folder": "new", "read": [FILE], "tensors": len(state), "bytes": size, "commit": None}


def test_pickles_of_anything_but_weights_are_refused_and_not_run(
    folder: Path, state: State, canary: Path, s140
) -> None:
    torch.save({"a": Canary(canary)}, folder / FILE)
    archive = (folder / FILE).read_bytes()
    for content, message in (
        (archive, "contains code that loading would run"),
        (pickle.dumps(Canary(canary)), "contains code that loading would run"),
        (pickle.dumps({"a": Canary(canary)}, protocol=2), "contains code that loading would run"),
        (pickle.dumps({"a": 1}, protocol=2), FILE),
        (b"\x80\x02}q\x00.", FILE),
        (b"PK\x03\x04 no archive", "is damaged"),
        (b"", "is damaged"),
    ):
        (folder / FILE).write_bytes(content)
        result = s140("convert", folder, "--output", "new", code=1)
        assert message in result.stderr, content[:20]
        assert "weights_only" not in result.stderr
        assert not Path("new").exists()


def test_weights_that_a_file_only_claims_are_refused(s140, tmp_path: Path) -> None:
    """A tensor of one number that is shown as many, and an archive that is packed: both would fill the memory."""
    for name, weights, packing, message in (
        (
            "shown",
            {f"w{at}": torch.zeros(1).expand(2_000, 500) for at in range(20)},
            zipfile.ZIP_STORED,
            "bytes of weights, more than it holds",
        ),
        ("packed", {"w": torch.zeros(1_000_000)}, zipfile.ZIP_DEFLATED, "unpacks to"),
    ):
        model = tmp_path / name
        model.mkdir()
        (model / "config.json").write_text("{}")
        torch.save(weights, tmp_path / FILE)
        with zipfile.ZipFile(tmp_path / FILE) as source, zipfile.ZipFile(model / FILE, "w", packing) as target:
            for entry in source.namelist():
                target.writestr(entry, source.read(entry))
        assert message in s140("convert", model, "--output", "new", code=1).stderr


def test_odd_tensors_names_and_indexes_are_one_error(folder: Path, state: State, s140) -> None:
    for weights in (
        {"\ud800": torch.ones(1)},
        {"w": torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])},
        {"w": torch.ones(1, dtype=torch.complex128)},
        {"w": torch.ones(1), "__metadata__": torch.ones(1)},
    ):
        torch.save(weights, folder / FILE)
        assert "holds no named weights" in s140("convert", folder, "--output", "new", code=1).stderr, weights
    # In a process without transformers, all of whose lazy modules the pickler would look through, and load.
    quantized = "{'w': torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)}"
    save = f"import sys, torch; torch.save({quantized}, sys.argv[1])"
    subprocess.run([sys.executable, "-c", save, str(folder / FILE)], check=True, capture_output=True)
    assert "holds no named weights" in s140("convert", folder, "--output", "new", code=1).stderr
    torch.save({1: torch.zeros(1), "1": torch.ones(1)}, folder / FILE)
    assert "two weights of one name" in s140("convert", folder, "--output", "new", code=1).stderr
    (folder / INDEX).write_text("[" * 200_000)
    assert "is damaged" in s140("convert", folder, "--output", "new", code=1).stderr


def test_parts_outside_of_the_folder_are_not_read(folder: Path, state: State, s140) -> None:
    torch.save(state, folder.parent / "private.bin")
    for part in ("../private.bin", "/etc/passwd", "missing.bin", "optimizer.pt"):
        (folder / INDEX).write_text(json.dumps({"weight_map": {"a": part}}))
        assert f"lacks {part}" in s140("convert", folder, "--output", "new", code=1).stderr


def test_folders_that_cannot_be_converted(
    folder: Path, state: State, classifier_folder: Path, s140, tmp_path: Path
) -> None:
    assert "already" in s140("convert", classifier_folder, "--output", "new", code=1).stderr
    assert "exists" in s140("convert", folder, "--output", tmp_path, code=1).stderr
    assert "one is needed" in s140("convert", folder, "--output", "new", code=1).stderr
    assert "no model folder" in s140("convert", "./nothing", "--output", "new", code=1).stderr
    (folder / "tf_model.h5").touch()
    assert "only tf_model.h5" in s140("predict", folder, "hello", code=1).stderr
    for name in ("a.pt", "b.bin"):
        torch.save({}, folder / name)
    assert "2 files of pickled weights (a.pt, b.bin)" in s140("convert", folder, "--output", "new", code=1).stderr


def test_pickles_next_to_safetensors_are_not_opened(folder: Path, canary: Path, s140) -> None:
    for name in (FILE, "training_args.bin", "vocab.pkl", "rng_state.pth"):
        (folder / name).write_bytes(pickle.dumps(Canary(canary)))
    assert s140("predict", folder, "hello").stdout


def test_links_are_followed_only_within_the_folder(folder: Path, s140, tmp_path: Path) -> None:
    (folder / "model.safetensors").rename(folder / "weights")
    (folder / "model.safetensors").symlink_to("weights")
    assert s140("predict", folder, "hello").stdout
    (folder / "weights").rename(tmp_path / "elsewhere")
    (folder / "weights").symlink_to(tmp_path / "elsewhere")
    for verb in (["predict", folder, "hello"], ["convert", folder, "--output", "new"]):
        assert "points outside" in s140(*verb, code=1).stderr
