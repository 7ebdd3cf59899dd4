"""Open files and folders of strangers: limits to the byte, and nothing outside of a folder becomes its tweets."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, DatasetDict

from sentiment140_bert.data import files
from sentiment140_bert.data.sources import locate
from sentiment140_bert.errors import DataError
from sentiment140_bert.recipe import DataConfig

FILE = "data-00000-of-00001.arrow"
SIZES = {  # unpacked and packed bytes: refused
    (50_000_000, 1): False,  # small enough for any packing
    (50_000_001, 1): True,
    (50_000_001, 250_000): True,
    (200 * 300_000, 300_000): False,  # 200 times as much
    (200 * 300_000 + 1, 300_000): True,
    (20_000_000_000, 10_000_000_000): False,
    (20_000_000_001, 10_000_000_000): True,
    (240_000_000, 81_363_704): False,  # the corpus
}


def is_refused(unpacked: int, packed: int) -> bool:
    try:
        files.check_size(unpacked, packed, "t.csv.gz")
    except DataError as error:
        return "this is not a file of tweets" in error.message
    return False


def test_the_largest_size_of_unpacked_files() -> None:
    assert {sizes: is_refused(*sizes) for sizes in SIZES} == SIZES


@pytest.mark.parametrize("block", [1, 7, 64, 1 << 18])
def test_the_longest_line_is_measured_to_the_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(files, "BLOCK", block)
    short = [b"x" * 100, b"a\n" + b"x" * 100, b"a\r" + b"x" * 100, (b"x" * 99 + b"\n") * 5, b""]
    long = [b"x" * 101, b"a\n" + b"x" * 101, b"a\r" + b"x" * 101, b"x" * 5000]
    for content in short + long:
        for name in ("t.csv", "t.csv.gz"):
            (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
            with files.open_bytes(tmp_path / name, None, name, 100) as file:
                if content in short:
                    assert file.read() == content
                else:
                    with pytest.raises(DataError, match="a line of more than 100 bytes"):
                        file.read()


# ---- folders saved by datasets


def load_texts(folder: Path) -> list[str]:
    dataset = locate(DataConfig(dataset=str(folder)))[0].dataset
    assert dataset is not None
    return list(dataset["text"])


def save(folder: Path, text: str) -> Path:
    Dataset.from_dict({"text": [text], "label": [0]}).save_to_disk(str(folder))
    return folder


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder next to another one, and to a folder of splits."""
    save(tmp_path / "other", "a secret")
    DatasetDict(train=Dataset.from_dict({"text": ["own"], "label": [0]})).save_to_disk(str(tmp_path / "splits"))
    assert load_texts(tmp_path / "splits") == ["own"]
    return save(tmp_path / "own", "own")


def edit(file: Path, **values: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def check_refused(folder: Path, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_texts(folder)


def test_a_file_elsewhere_does_not_become_its_tweets(own: Path) -> None:
    other, splits = own.with_name("other"), own.with_name("splits")
    names = [f"../other/{FILE}", str(other / FILE), f"./{FILE}", "", "..", "gone", 5, None, "a\0b"]
    for name in names:
        edit(own / "state.json", _data_files=[{"filename": FILE}, {"filename": name}])
        check_refused(own, "No such file" if name == "gone" else "not a file of its own")
    (splits / "link").symlink_to(other)
    for name in ("../other", str(other), "link", "..", "file://x", "gone", [1]):
        edit(splits / "dataset_dict.json", splits=["train", name])
        check_refused(splits, "No such file" if name == "gone" else "not a folder of its own")
    edit(splits / "dataset_dict.json", splits=["train"])
    edit(splits / "train" / "state.json", _data_files=[{"filename": f"../../other/{FILE}"}])
    check_refused(splits, "not a file of its own")


def test_a_link_and_a_pipe_do_not_either(own: Path) -> None:
    (own / FILE).unlink()
    (own / FILE).symlink_to(own.with_name("other") / FILE)
    check_refused(own, "not a file of its own")
    assert load_texts(shutil.copytree(own, own.with_name("copied"))) == ["a secret"]  # the advice of the message
    os.mkfifo(own / "pipe")
    edit(own / "state.json", _data_files=[{"filename": "pipe"}])
    check_refused(own, "not a file of its own")


NONSENSE = {
    "state.json": ["{}", '{"_data_files": 3}', '{"_data_files": ["x"]}', "", "[]", "5", "[" * 100_000],
    "dataset_dict.json": ["{}", '{"splits": 3}', '{"splits": null}', "", "[]", "5", "[" * 100_000],
    "dataset_info.json": ["", "[]", "5", "[" * 100_000],
}


def test_nonsense_is_an_error(own: Path, tmp_path: Path) -> None:
    for name, contents in NONSENSE.items():
        for number, content in enumerate(contents):
            folder = Path(shutil.copytree(own, tmp_path / f"{name} {number}"))
            if name == "dataset_dict.json":
                (folder / "state.json").unlink()
            (folder / name).write_text(content)
            check_refused(folder, "not one saved by datasets")
