"""Weights that are no safetensors: refused, and converted by the very command that the error names."""

from __future__ import annotations

import json
import pickle
import re
import shlex
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from malice import Canary
from sentiment140_bert import models

pytest_plugins = ("model_fixtures", "malice")


@pytest.fixture
def whole(classifier_folder: Path, tmp_path: Path) -> Path:
    """A copy of a good model, with what a Trainer leaves beside it."""
    folder = shutil.copytree(classifier_folder, tmp_path / "whole")
    torch.save({"step": 1}, folder / "optimizer.pt")
    torch.save({"step": 1}, folder / "training_args.bin")
    return folder


@pytest.fixture
def weights(whole: Path) -> dict[str, torch.Tensor]:
    """Its weights, which from now on it has no more."""
    state = {name: each.clone() for name, each in models.load_model_and_tokenizer(str(whole))[0].state_dict().items()}
    (whole / "model.safetensors").unlink()
    return state


def one_file(folder: Path, state: dict[str, torch.Tensor]) -> None:
    torch.save(state, folder / "pytorch_model.bin")


def old_format(folder: Path, state: dict[str, torch.Tensor]) -> None:
    torch.save(state, folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)


def other_name(folder: Path, state: dict[str, torch.Tensor]) -> None:
    torch.save(state, folder / "best.pt")


def checkpoint(folder: Path, state: dict[str, torch.Tensor]) -> None:
    torch.save({"epoch": 3, "state_dict": state}, folder / "last.ckpt")


def shared_and_strided(folder: Path, state: dict[str, torch.Tensor]) -> None:
    """Tensors that share memory, and one that lies in it the other way round."""
    name = "bert.encoder.layer.0.attention.self.query.weight"
    state = state | {"tied": state["bert.embeddings.word_embeddings.weight"], name: state[name].T.contiguous().T}
    torch.save(state, folder / "pytorch_model.bin")


def in_parts(folder: Path, state: dict[str, torch.Tensor]) -> None:
    names = sorted(state)
    parts = {"pytorch_model-00001-of-00002.bin": names[::2], "pytorch_model-00002-of-00002.bin": names[1::2]}
    for file, part in parts.items():
        torch.save({name: state[name] for name in part}, folder / file)
    index = {"metadata": {}, "weight_map": {name: file for file, part in parts.items() for name in part}}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))


@pytest.mark.parametrize("saved", [one_file, old_format, other_name, checkpoint, shared_and_strided, in_parts])
def test_the_command_that_the_error_names_converts(
    whole: Path, classifier_folder: Path, weights: dict[str, torch.Tensor], s140, saved: Callable[..., None]
) -> None:
    saved(whole, weights)
    refused = s140("predict", whole, "what a day", code=1)
    assert "no safetensors weights, only" in refused.stderr
    (command,) = re.findall(r"s140 (convert .+)$", refused.stderr, re.MULTILINE)
    s140(*shlex.split(command))
    there, here = ([s140("predict", each, "what a day", "--json").stdout] for each in ("FOLDER", classifier_folder))
    assert there == here
    made = models.load_model_and_tokenizer("FOLDER")[0].state_dict()
    assert all(torch.equal(made[name], each) for name, each in weights.items())
    assert not [each.name for each in Path("FOLDER").iterdir() if each.suffix in (".bin", ".pt", ".py", ".ckpt")]


def test_an_encoder_is_converted_without_a_head(small_bert: Callable[..., Path], tmp_path: Path, s140) -> None:
    folder = shutil.copytree(small_bert("BertModel"), tmp_path / "encoder")
    from safetensors.torch import load_file

    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    s140("convert", folder, "--output", "new")
    assert models.load_encoder("new").config.num_labels == 2
    assert "no fine-tuned classifier" in s140("predict", "new", "hello", code=1).stderr


def test_settings_and_tokenizers_are_copied_and_nothing_else(whole: Path, weights, s140) -> None:
    one_file(whole, weights)
    settings = {each.name for each in whole.iterdir() if each.suffix == ".json"}
    for name in ("notes.md", "LICENSE-MIT", "vocab.txt", "spiece.model", "extra.json"):
        (whole / name).write_text("{}")
    for name in ("trainer_state.json", "model.py", "data.csv", "events.out", "state.safetensors.old"):
        (whole / name).write_text("{}")
    (whole / "folder.json").mkdir()
    shutil.copy(whole / "pytorch_model.bin", whole / "older.pt")  # the usual name counts
    result = json.loads(s140("convert", whole, "--output", "new", "--json").stdout)
    right = settings | {"notes.md", "LICENSE-MIT", "vocab.txt", "spiece.model", "extra.json", "model.safetensors"}
    assert {each.name for each in Path("new").iterdir()} == right
    size = Path("new/model.safetensors").stat().st_size
    assert (result["read"], result["tensors"], result["bytes"]) == (["pytorch_model.bin"], len(weights), size)
    assert result["commit"] is None


def test_two_pickles_of_other_names_are_one_too_many(whole: Path, weights, s140) -> None:
    for name in ("a.pt", "b.bin"):
        torch.save(weights, whole / name)
    result = s140("convert", whole, "--output", "new", code=1)
    assert "2 files of pickled weights (a.pt, b.bin)" in result.stderr


HARMFUL = [
    lambda canary: pickle.dumps(Canary(canary)),
    lambda canary: pickle.dumps({"a": Canary(canary)}, protocol=2),
    lambda canary: b"",
    lambda canary: b"PK\x03\x04 no archive",
    lambda canary: b"\x80\x02}q\x00.",
    lambda canary: pickle.dumps({"a": 1}, protocol=2),
]


def test_what_is_no_weights_is_a_sentence(whole: Path, weights, canary: Path, s140) -> None:
    for content in HARMFUL:
        (whole / "pytorch_model.bin").write_bytes(content(canary))
        result = s140("convert", whole, "--output", "new", code=1)
        assert "pytorch_model.bin" in result.stderr
        assert "weights_only" not in result.stderr
        assert not Path("new").exists()


def test_a_harmful_pickle_in_torchs_archive_is_not_run(whole: Path, weights, canary: Path, s140) -> None:
    torch.save({"a": Canary(canary)}, whole / "pytorch_model.bin")
    assert "holds more than numbers" in s140("convert", whole, "--output", "new", code=1).stderr


def test_parts_outside_of_the_folder_are_not_read(whole: Path, weights, s140) -> None:
    one_file(whole.parent, weights)
    (whole.parent / "pytorch_model.bin").rename(whole.parent / "private.bin")
    for part in ("../private.bin", "/etc/passwd", "missing.bin", "optimizer.pt"):
        (whole / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": {"a": part}}))
        assert f"lacks {part}" in s140("convert", whole, "--output", "new", code=1).stderr


def test_it_is_said_what_else_cannot_be_converted(whole: Path, weights, s140, tmp_path: Path) -> None:
    assert "exists" in s140("convert", whole, "--output", tmp_path, code=1).stderr
    assert "one is needed" in s140("convert", whole, "--output", "new", code=1).stderr
    assert "no model folder" in s140("convert", "./nothing", "--output", "new", code=1).stderr
    (whole / "tf_model.h5").touch()
    assert "only tf_model.h5" in s140("predict", whole, "hello", code=1).stderr


def test_safetensors_are_left_alone(whole: Path, s140) -> None:
    assert "already" in s140("convert", whole, "--output", "new", code=1).stderr


def test_pickles_beside_safetensors_are_not_opened(whole: Path, canary: Path, s140) -> None:
    for name in ("pytorch_model.bin", "training_args.bin", "vocab.pkl", "rng_state.pth"):
        (whole / name).write_bytes(pickle.dumps(Canary(canary)))
    assert s140("predict", whole, "hello").stdout


def test_files_behind_a_link_are_read_only_where_it_stays_in_the_folder(whole: Path, s140, tmp_path: Path) -> None:
    (whole / "model.safetensors").rename(whole / "weights")
    (whole / "model.safetensors").symlink_to("weights")
    assert s140("predict", whole, "hello").stdout
    (whole / "weights").rename(tmp_path / "elsewhere")
    (whole / "weights").symlink_to(tmp_path / "elsewhere")
    for verb in (["predict", whole, "hello"], ["convert", whole, "--output", "new"]):
        assert "leads out of" in s140(*verb, code=1).stderr


def test_weights_that_a_file_only_claims_are_refused(s140, tmp_path: Path) -> None:
    """A tensor of one number that is shown as many, and an archive that is packed: both would fill the memory."""
    weights = {f"w{number}": torch.zeros(1).expand(2_000, 500) for number in range(20)}
    for name, packing, words in (
        ("shown", zipfile.ZIP_STORED, "claims weights"),
        ("packed", zipfile.ZIP_DEFLATED, "unpacks to"),
    ):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        plain = tmp_path / "plain.bin"
        torch.save(weights if name == "shown" else {"w": torch.zeros(1_000_000)}, plain)
        with zipfile.ZipFile(plain) as source, zipfile.ZipFile(folder / "pytorch_model.bin", "w", packing) as target:
            for entry in source.namelist():
                target.writestr(entry, source.read(entry))
        assert words in s140("convert", folder, "--output", "new", code=1).stderr
