"""Folders that datasets saved and somebody changed: nothing but what lies in them becomes tweets."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, DatasetDict

from sentiment140_bert.data.sources import locate
from sentiment140_bert.errors import DataError
from sentiment140_bert.recipe import DataConfig

FILE = "data-00000-of-00001.arrow"


def texts(folder: Path) -> list[str]:
    dataset = locate(DataConfig(dataset=str(folder)))[0].dataset
    assert dataset is not None
    return list(dataset["text"])


def saved(folder: Path, text: str) -> Path:
    Dataset.from_dict({"text": [text], "label": [0]}).save_to_disk(str(folder))
    return folder


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    return saved(tmp_path / "ours", "ours")


@pytest.fixture
def other(tmp_path: Path) -> Path:
    return saved(tmp_path / "other", "a secret")


def changed(file: Path, **values: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def refused(folder: Path, said: str) -> None:
    with pytest.raises(DataError, match=said):
        texts(folder)


@pytest.mark.parametrize("name", [f"../other/{FILE}", "{other}", f"./{FILE}", "", "..", "gone", 5, None, "a\0b"])
def test_a_file_elsewhere_does_not_become_its_tweets(ours: Path, other: Path, name: Any) -> None:
    if name == "{other}":
        name = str(other / FILE)
    changed(ours / "state.json", _data_files=[{"filename": FILE}, {"filename": name}])
    refused(ours, "No such file" if name == "gone" else "no file of its own")


def test_nor_by_a_link(ours: Path, other: Path) -> None:
    (ours / FILE).unlink()
    (ours / FILE).symlink_to(other / FILE)
    refused(ours, "no file of its own")
    copied = shutil.copytree(ours, ours.with_name("copied"))  # as the sentence advises
    assert texts(copied) == ["a secret"]


def test_a_pipe_is_not_waited_for(ours: Path) -> None:
    os.mkfifo(ours / "pipe")
    changed(ours / "state.json", _data_files=[{"filename": "pipe"}])
    refused(ours, "no file of its own")


@pytest.mark.parametrize("name", ["../other", "{other}", "link", "..", "file://x", "gone", [1]])
def test_a_folder_elsewhere_does_not_become_its_split(tmp_path: Path, other: Path, name: Any) -> None:
    folder = tmp_path / "splits"
    DatasetDict(train=Dataset.from_dict({"text": ["ours"], "label": [0]})).save_to_disk(str(folder))
    assert texts(folder) == ["ours"]
    (folder / "link").symlink_to(other)
    changed(folder / "dataset_dict.json", splits=["train", str(other) if name == "{other}" else name])
    refused(folder, "No such file" if name == "gone" else "no folder of its own")


def test_a_split_names_no_file_elsewhere(tmp_path: Path, other: Path) -> None:
    folder = tmp_path / "splits"
    DatasetDict(train=Dataset.from_dict({"text": ["ours"], "label": [0]})).save_to_disk(str(folder))
    changed(folder / "train" / "state.json", _data_files=[{"filename": f"../../other/{FILE}"}])
    refused(folder, "no file of its own")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *(("state.json", each) for each in ("{}", '{"_data_files": 3}', '{"_data_files": ["x"]}')),
        *(("dataset_dict.json", each) for each in ("{}", '{"splits": 3}', '{"splits": null}')),
        *(
            (name, each)
            for name in ("state.json", "dataset_info.json", "dataset_dict.json")
            for each in ("", "[]", "5")
        ),
        *((name, "deep") for name in ("state.json", "dataset_info.json", "dataset_dict.json")),
    ],
)
def test_what_makes_no_sense_is_a_sentence(ours: Path, name: str, content: str) -> None:
    if name == "dataset_dict.json":
        (ours / "state.json").unlink()
    (ours / name).write_text("[" * 100_000 if content == "deep" else content)
    refused(ours, "no dataset saved by datasets")
