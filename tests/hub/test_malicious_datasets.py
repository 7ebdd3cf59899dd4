"""Datasets of the Hub that mean harm: nothing of them is run, no address in them is asked, and nothing but their own
files becomes tweets."""

from __future__ import annotations

import io
import itertools
import json
import pickle
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from datasets import Dataset

from eavesdropper import Eavesdropper
from hub_server import HubServer
from malice import Canary
from on_hub import DATA
from sentiment140_bert.data.reading import read_tweets
from sentiment140_bert.data.sources import locate
from sentiment140_bert.errors import DataError, S140Error
from sentiment140_bert.recipe import DataConfig

pytest_plugins = ("hub_fixtures", "malice")

TWEETS = ("text,label\n" + "".join(f"tweet number {number},{number % 2}\n" for number in range(60))).encode()
Files = dict[str, bytes | None]
Put = Callable[[Files], str]


@pytest.fixture
def elsewhere() -> Iterator[Eavesdropper]:
    """A server whose address strangers write into their files."""
    with Eavesdropper(content=TWEETS) as server:
        yield server


def card(**values: Any) -> bytes:
    return f"---\n{yaml.safe_dump(values)}---\n".encode()


def configs(*data_files: Any, **more: Any) -> dict[str, Any]:
    names = itertools.chain(["default"], (f"c{number}" for number in itertools.count(1)))
    return {"configs": [{"config_name": next(names), "data_files": files, **more} for files in data_files]}


def list_addresses(elsewhere: Eavesdropper, other: str, private: Path) -> list[str]:
    """List addresses of a server, of another repository and of files of this machine."""
    url = f"{elsewhere.url}/train.csv"
    return [
        *(url, url.replace("http", "HTTP"), f" {url}", url.replace("http:", "ht\ntp:"), f"zip://train.csv::{url}"),
        *(f"simplecache::{url}", f"filecache::{url}", f"train.csv::{url}", f"ftp://{elsewhere.address}/train.csv"),
        *("github://somebody:tweets@main/train.csv", f"hf://datasets/{other}/train.csv"),
        *(f"hf://buckets/{other}/train.csv", f"s3://{elsewhere.address}/train.csv", f"reference://::{url}"),
        *(f"file://{private}", str(private), f"../../../../../../..{private}", "data/../../../train.csv"),
        *(f"\\\\{elsewhere.address}\\train.csv", "train\0.csv"),
    ]


def describe_elsewhere(elsewhere: Eavesdropper) -> dict[str, Files]:
    """Return files of repositories of which each would lead out of itself."""
    url = f"{elsewhere.url}/train.csv"
    split = [{"split": "train", "path": [url]}]
    alias = f"---\nx: &x {url}\nconfigs:\n- config_name: default\n  data_files: *x\n---\n"
    infos = {"default": {"download_checksums": {url: {}}, "features": 5}}
    cards = {
        "one of several": card(**configs(["train.csv", url])),
        "a split": card(**configs(split)),
        "a split of another config": card(**configs("train.csv", split)),
        "a folder": card(**configs("train.csv", data_dir=elsewhere.url)),
        "a folder alone": card(configs=[{"config_name": "default", "data_dir": elsewhere.url}]),
        "a folder above": card(**configs("*.csv", data_dir="../x")),
        "a name by an alias": alias.encode(),
        "other line ends": card(**configs(url)).replace(b"\n", b"\r\n"),
        "spaces before": b"\n  \n" + card(**configs(url)),
        "odd configs": card(configs=[{"config_name": ["a"], "data_files": [{"split": 5}]}]),
        "configs of no kind": card(configs={"a": url}),
        "a config elsewhere": card(configs=[{"config_name": "../../x", "data_files": "train.csv"}]),
        "a huge card": card(**configs("train.csv")) + b" " * 10_000_000,
        "a huge front": card(**configs("train.csv"), x="x" * 300_000),
        "deep YAML": f"---\nconfigs: {'[' * 150}{']' * 150}\n---\n".encode(),
        "YAML that multiplies": make_bomb(),
    }
    table: dict[str, Files] = {name: {"README.md": content} for name, content in cards.items()}
    settings, image = yaml.safe_dump(configs(url)).encode(), f"file_name,text,label\n{url},a tweet,1\n".encode()
    sound = json.dumps({"file_name": url, "text": "a", "label": 1}).encode()
    return table | {
        "huggingface.yaml": {".huggingface.yaml": settings},
        "both": {"README.md": card(**configs("train.csv")), ".huggingface.yaml": settings},
        "a file's name": {f"data/train.csv::{elsewhere.url.replace('//', '/')}/train.csv": TWEETS},
        "images": {"metadata.csv": image, "train.jpg": b"\xff\xd8\xff", "train.csv": None},
        "a table of addresses": {"metadata.jsonl": sound, "1.wav": b"RIFF", "train.csv": None},
        "infos": {"dataset_infos.json": json.dumps(infos).encode()},
        "a name that climbs out": {"../../escaped.csv": TWEETS},
        "a zip that climbs out": {"train.zip": pack(b"x", "../../../climbed.csv"), "train.csv": None},
    }


DAMAGED = {  # the only file of a repository, and what it begins with
    **{"train.zip": b"PK\x03\x04 cut off", "train.csv.gz": b"\x1f\x8b cut off", "train.parquet": b"PAR1"},
    **{"train.arrow": b"ARROW1", "train.h5": b"\x89HDF\r\n\x1a\n" + b"\0" * 90},
}


def make_bomb() -> bytes:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, 6)]
    return "\n".join(["---", *lines, "configs: *a5", "---", ""]).encode()


def pack(content: bytes, name: str = "train.csv") -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr(name, content)
    return packed.getvalue()


def pack_samples(content: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name in ("0.pkl", "0.pyd", "0.pickle", "0.pth", "0.npy", "../../0.txt"):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def find_unexplained(put: Put, elsewhere: Eavesdropper, table: dict[str, Files]) -> list[tuple[Any, ...]]:
    """Return the repositories that are not refused in a short message with their name, or that lead elsewhere."""
    wrong = []
    for name, files in table.items():
        repo_id = put({"train.csv": TWEETS} | files)
        with ThreadPoolExecutor(1) as thread:
            error = thread.submit(locate, DataConfig(dataset=repo_id)).exception()
        is_explained = isinstance(error, S140Error) and repo_id in str(error) and len(str(error)) < 2000
        if not is_explained or elsewhere.heard:
            wrong.append((name, repr(error)[:300], list(elsewhere.heard)))
        elsewhere.heard.clear()
    return wrong


def test_no_address_is_asked_and_no_other_file_is_read(put: Put, elsewhere: Eavesdropper, tmp_path: Path) -> None:
    private = tmp_path / "private.csv"
    private.write_bytes(TWEETS)
    addresses = list_addresses(elsewhere, put({"train.csv": TWEETS}), private)
    table: dict[str, Files] = {repr(address): {"README.md": card(**configs(address))} for address in addresses}
    table |= describe_elsewhere(elsewhere) | {"half a zip": {"train.zip": pack(TWEETS)[:-30], "train.csv": None}}
    table |= {name: {name: content, "train.csv": None} for name, content in DAMAGED.items()}
    assert find_unexplained(put, elsewhere, table) == []
    with pytest.raises(DataError, match=rf"{elsewhere.url}/train\.csv.*README\.md"):
        locate(DataConfig(dataset=put({"train.csv": TWEETS, "README.md": card(**configs(addresses[0]))})))


def test_no_code_is_run_and_no_pickle_is_opened(put: Put, elsewhere: Eavesdropper, code: bytes, canary: Path) -> None:
    pickled = pickle.dumps(Canary(canary))
    scripts = {"REPO.py": code, "data.py": code, "__init__.py": code, "dataset_infos.json": b"{}"}
    table: dict[str, Files] = {"a loading script": {**scripts, "train.csv": None}}
    table["an archive of samples"] = {"train.tar": pack_samples(pickled), "train.csv": None}
    for name in ("train.pkl", "data/train-00000-of-00001.pickle", "train.pt", "state.joblib"):
        table[name] = {name: pickled, "train.csv": None}
    assert find_unexplained(put, elsewhere, table) == []


def test_addresses_of_its_own_are_read(put: Put) -> None:
    lines = b"".join(b'{"text": "tweet %d", "label": %d}\n' % (number, number % 2) for number in range(60))
    rows: list[Files] = [
        {"data/train.csv": TWEETS, "README.md": card(**configs("data/*.csv"))},
        {"data/a/train.csv": TWEETS, "README.md": card(**configs([{"split": "train", "path": ["data/**"]}]))},
        {"x/train.csv": TWEETS, "README.md": card(configs=[{"config_name": "default", "data_dir": "x"}])},
        {"train.jsonl": lines},
        {"data/part.zip": pack(TWEETS), "README.md": card(**configs("data/part.zip"))},
        {"train.csv": TWEETS, "README.md": b"# A card without front matter, http://127.0.0.1\n"},
        {"train.csv": TWEETS, ".huggingface.yaml": yaml.safe_dump(configs("train.csv")).encode()},
    ]
    for files in rows:
        data = DataConfig(dataset=put(files))
        assert len(read_tweets(locate(data)[0], data).table) == 60, files.keys()


def test_no_address_in_a_saved_folder_is_asked(elsewhere: Eavesdropper, s140, encoder: Path, tmp_path: Path) -> None:
    """datasets itself opens what a column of images names, when it shows a row."""
    url, label = f"{elsewhere.url}/a.png", {"_type": "Value", "dtype": "int64"}
    kinds: dict[str, dict[str, Any]] = {
        "info": {"features": {"text": {"_type": "Image"}, "label": label}},
        "sounds": {"features": {"text": {"_type": "Audio"}, "label": label}},
        "odd": {"features": {"text": 5}},
        "downloads": {"download_checksums": {url: {"checksum": None, "num_bytes": 1}}, "homepage": url},
    }
    for name, info in kinds.items():
        folder = tmp_path / name
        Dataset.from_dict({"text": [f"{url} {at}" for at in range(60)], "label": [0, 1] * 30}).save_to_disk(folder)
        described = json.loads((folder / "dataset_info.json").read_text())
        (folder / "dataset_info.json").write_text(json.dumps(described | info))
        result = s140("prepare", "--dataset", folder, "--model-name-or-path", encoder, code=int(name != "downloads"))
        assert "Traceback" not in result.stderr
    assert elsewhere.heard == []


@pytest.mark.parametrize("path", ["default/../../../escaped.parquet", "tokenized/../../../../../escaped.parquet"])
@pytest.mark.usefixtures("pushed")
def test_published_splits_are_only_read_by_their_own_names(hub: HubServer, s140, encoder: Path, path: str) -> None:
    hub.write(DATA, path, b"PAR1", "dataset")
    result = s140("prepare", "--dataset", DATA, "--model-name-or-path", encoder, code=1)
    assert "points outside its repository" in result.stderr


def test_all_files_are_of_one_commit_which_is_named(put: Put, hub: HubServer, s140, encoder: Path) -> None:
    repo_id = put({"train.csv": TWEETS})
    commit = hub.head(repo_id, "dataset")
    hub.requests.clear()
    result = s140("prepare", "--dataset", repo_id, "--model-name-or-path", encoder, "--json")
    assert json.loads(result.stdout)["sources"]["training"]["revision"] == commit
    paths = [request.path for request in hub.requests if request.endpoint == "resolve_get"]
    assert paths
    assert all(f"/resolve/{commit}/" in path for path in paths)
