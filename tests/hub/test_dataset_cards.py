"""Cards and other files of a stranger's dataset that name addresses: none of these is asked for anything."""

from __future__ import annotations

import io
import itertools
import json
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from datasets import Dataset

from hub_server import HubServer
from sentiment140_bert.data.sources import locate
from sentiment140_bert.errors import DataError
from sentiment140_bert.recipe import DataConfig

pytest_plugins = "hub_fixtures"

TWEETS = "text,label\n" + "".join(f"tweet number {number} of ours,{number % 2}\n" for number in range(60))
NUMBERS = itertools.count()


class Elsewhere:
    """A server whose address strangers write into their files; ``requests`` are those that arrive."""

    def __init__(self, port: int) -> None:
        self.requests: list[str] = []
        self.host = f"127.0.0.1:{port}"
        self.url = f"http://{self.host}"


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            place.requests.append(f"{self.command} {self.path}")
            self.send_response(200)
            self.end_headers()
            self.wfile.write(TWEETS.encode())

        do_HEAD = do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        place = Elsewhere(server.server_port)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield place
        server.shutdown()
        thread.join()


def card(**values: Any) -> bytes:
    return f"---\n{yaml.safe_dump(values)}---\n".encode()


def configs(*data_files: Any, **more: Any) -> dict[str, Any]:
    names = itertools.chain(["default"], (f"c{number}" for number in itertools.count(1)))
    return {"configs": [{"config_name": next(names), "data_files": files, **more} for files in data_files]}


def hostile_addresses(elsewhere: Elsewhere, other: str, private: Path) -> list[str]:
    url = f"{elsewhere.url}/train.csv"
    return [
        url,
        url.replace("http", "HTTP"),
        f" {url}",
        url.replace("http:", "ht\ntp:"),
        f"zip://train.csv::{url}",
        f"simplecache::{url}",
        f"filecache::{url}",
        f"train.csv::{url}",
        f"ftp://{elsewhere.host}/train.csv",
        "github://somebody:tweets@main/train.csv",
        f"hf://datasets/{other}/train.csv",
        f"hf://buckets/{other}/train.csv",
        f"s3://{elsewhere.host}/train.csv",
        f"reference://::{url}",
        f"file://{private}",
        str(private),
        f"../../../../../../..{private}",
        "data/../../../train.csv",
        f"\\\\{elsewhere.host}\\train.csv",
        "train\0.csv",
    ]


def repositories(elsewhere: Elsewhere, other: str, private: Path) -> dict[str, dict[str, bytes]]:
    """Files of dataset repositories, each of which would lead out of itself."""
    table: dict[str, dict[str, bytes]] = {}
    for address in hostile_addresses(elsewhere, other, private):
        table[f"data_files {address!r}"] = {"README.md": card(**configs(address))}
    url = f"{elsewhere.url}/train.csv"
    split = [{"split": "train", "path": [url]}]
    table |= {
        "one of several": {"README.md": card(**configs(["train.csv", url]))},
        "a split": {"README.md": card(**configs(split))},
        "a split of another config": {"README.md": card(**configs("train.csv", split))},
        "a folder": {"README.md": card(**configs("train.csv", data_dir=elsewhere.url))},
        "a folder alone": {"README.md": card(configs=[{"config_name": "default", "data_dir": elsewhere.url}])},
        "a folder above": {"README.md": card(**configs("*.csv", data_dir="../x"))},
        "a name by an alias": {
            "README.md": f"---\nx: &x {url}\nconfigs:\n- config_name: default\n  data_files: *x\n---\n".encode()
        },
        "other line ends": {"README.md": card(**configs(url)).replace(b"\n", b"\r\n")},
        "spaces before": {"README.md": b"\n  \n" + card(**configs(url))},
        "huggingface.yaml": {".huggingface.yaml": yaml.safe_dump(configs(url)).encode()},
        "both": {"README.md": card(**configs("train.csv")), ".huggingface.yaml": yaml.safe_dump(configs(url)).encode()},
        "a file's name": {f"data/train.csv::{elsewhere.url.replace('//', '/')}/train.csv": TWEETS.encode()},
        "images": {
            "metadata.csv": f"file_name,text,label\n{url},a tweet,1\n".encode(),
            "train.jpg": b"\xff\xd8\xff",
            "train.csv": b"",
        },
        "a table of addresses": {
            "metadata.jsonl": json.dumps({"file_name": url, "text": "a", "label": 1}).encode(),
            "1.wav": b"RIFF",
            "train.csv": b"",
        },
        "infos": {
            "dataset_infos.json": json.dumps({"default": {"download_checksums": {url: {}}, "features": 5}}).encode()
        },
        "odd configs": {"README.md": card(configs=[{"config_name": ["a"], "data_files": [{"split": 5}]}])},
        "configs of no kind": {"README.md": card(configs={"a": url})},
        "a config elsewhere": {"README.md": card(configs=[{"config_name": "../../x", "data_files": "train.csv"}])},
        "no zip": {"train.zip": b"PK\x03\x04 cut off", "train.csv": b""},
        "half a zip": {"train.zip": archive(TWEETS.encode())[:-30], "train.csv": b""},
        "no gzip": {"train.csv.gz": b"\x1f\x8b cut off", "train.csv": b""},
        "a zip that climbs": {"train.zip": archive(b"x", "../../../climbed.csv"), "train.csv": b""},
        "no parquet": {"train.parquet": b"PAR1", "train.csv": b""},
        "no arrow": {"train.arrow": b"ARROW1", "train.csv": b""},
        "a table of links": {"train.h5": b"\x89HDF\r\n\x1a\n" + b"\0" * 90, "train.csv": b""},
        "a huge card": {"README.md": card(**configs("train.csv")) + b" " * 10_000_000},
        "a huge front": {"README.md": card(**configs("train.csv"), x="x" * 300_000)},
        "deep YAML": {"README.md": f"---\nconfigs: {'[' * 150}{']' * 150}\n---\n".encode()},
        "YAML that multiplies": {"README.md": bomb()},
    }
    return table


def bomb() -> bytes:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, 6)]
    return "\n".join(["---", *lines, "configs: *a5", "---", ""]).encode()


def archive(content: bytes, name: str = "train.csv") -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr(name, content)
    return packed.getvalue()


@pytest.fixture
def put(hub: HubServer) -> Any:
    def make(files: dict[str, bytes]) -> str:
        repo_id = f"somebody/card-{next(NUMBERS)}"
        hub.create(repo_id, "dataset")
        for path, content in files.items():
            if content:
                hub.write(repo_id, path, content, "dataset")
        return repo_id

    return make


def problem_of(repo_id: str) -> str | None:
    """Return what is wrong with how the dataset is refused."""
    with ThreadPoolExecutor(1) as thread:
        error = thread.submit(locate, DataConfig(dataset=repo_id)).exception()
    right = isinstance(error, DataError) and repo_id in str(error) and len(str(error)) < 2000
    return None if right else repr(error)[:300]


def test_no_address_is_asked(put, elsewhere: Elsewhere, tmp_path: Path) -> None:
    private = tmp_path / "private.csv"
    private.write_text(TWEETS.replace("ours", "secret"))
    other = put({"train.csv": TWEETS.encode()})
    wrong = []
    for name, files in repositories(elsewhere, other, private).items():
        repo_id = put({"train.csv": TWEETS.encode()} | files)
        problem = problem_of(repo_id)
        if problem or elsewhere.requests:
            wrong.append((name, problem, list(elsewhere.requests)))
        elsewhere.requests.clear()
    assert wrong == []


def test_addresses_of_its_own_are_read(put, s140, encoder: Path) -> None:
    csv = TWEETS.encode()
    packed = {"data/part.zip": archive(csv)}
    for files in (
        {"data/train.csv": csv, "README.md": card(**configs("data/*.csv"))},
        {"data/a/train.csv": csv, "README.md": card(**configs([{"split": "train", "path": ["data/**"]}]))},
        {"x/train.csv": csv, "README.md": card(configs=[{"config_name": "default", "data_dir": "x"}])},
        {
            "train.jsonl": b"".join(
                b'{"text": "tweet %d", "label": %d}\n' % (number, number % 2) for number in range(60)
            )
        },
        packed | {"README.md": card(**configs("data/part.zip"))},
        {"train.csv": csv, "README.md": b"# A card without front matter, http://127.0.0.1\n"},
        {"train.csv": csv, ".huggingface.yaml": yaml.safe_dump(configs("train.csv")).encode()},
    ):
        result = s140("prepare", "--dataset", put(files), "--model-name-or-path", encoder, "--json")
        assert json.loads(result.stdout)["splits"]["train"]["rows"] > 0


def test_the_name_that_leads_out_is_shown(put, s140, elsewhere: Elsewhere, encoder: Path) -> None:
    repo_id = put({"train.csv": TWEETS.encode(), "README.md": card(**configs(f"{elsewhere.url}/evil.csv"))})
    result = s140("prepare", "--dataset", repo_id, "--model-name-or-path", encoder, code=1)
    assert f"{elsewhere.url}/evil.csv" in result.stderr
    assert "README.md" in result.stderr


def test_no_address_in_a_saved_folder_is_asked(elsewhere: Elsewhere, s140, encoder: Path, tmp_path: Path) -> None:
    """datasets itself opens what a column of images names, when it shows a row."""
    url = f"{elsewhere.url}/a.png"
    kinds: dict[str, dict[str, Any]] = {
        "info": {"features": {"text": {"_type": "Image"}, "label": {"_type": "Value", "dtype": "int64"}}},
        "sounds": {"features": {"text": {"_type": "Audio"}, "label": {"_type": "Value", "dtype": "int64"}}},
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
    assert elsewhere.requests == []
