"""Download from a server on loopback that breaks off, lies or is missing."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sentiment140_bert.data.download import download
from sentiment140_bert.errors import DataError

CONTENT = bytes(range(256)) * 4096  # 1 MiB
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """A server of CONTENT; the first ``breaks`` answers end in the middle of the rest."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.breaks, self.behaviour, self.ranges = 0, "", []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/archive.zip"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        requested = self.headers.get("Range")
        self.server.ranges.append(requested)
        start = int(requested.removeprefix("bytes=").removesuffix("-")) if requested else 0
        if self.server.behaviour == "no ranges":
            start = 0
        if self.server.behaviour == "missing":
            return self.send_error(404)
        if self.server.behaviour == "garbage":
            self.wfile.write(b"what?\r\n\r\n")
            return None
        if start >= len(CONTENT):
            return self.send_error(416)
        if self.server.behaviour == "odd redirect":
            self.send_response(302)
            self.send_header("Location", "http://[::1")
            return self.end_headers()
        if self.server.behaviour == "endless":
            self.send_response(200)
            self.end_headers()
            while not self.wfile.closed:
                self.wfile.write(CONTENT)
        rest = CONTENT[start:]
        self.send_response(206 if start else 200)
        chunked = self.server.behaviour == "chunked"
        length = "\u00b2" if self.server.behaviour == "odd length" else str(len(rest))
        self.send_header(*(("Transfer-Encoding", "chunked") if chunked else ("Content-Length", length)))
        self.end_headers()
        whole = not self.server.breaks
        self.server.breaks -= not whole
        sent = rest if whole else rest[: len(rest) // 2]
        if chunked:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(sent), sent) + (b"0\r\n\r\n" if whole else b""))
        else:
            self.wfile.write(sent)
        return None

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def target(tmp_path):
    return tmp_path / "downloads" / "archive.zip"


def fetch(server: Server, target: Path, **options: Any) -> bytes:
    return download(server.url, target, **({"sha256": SHA256, "size": len(CONTENT)} | options)).read_bytes()


def test_it_arrives_and_the_second_time_nothing_is_fetched(server, target):
    assert fetch(server, target) == fetch(server, target) == CONTENT
    assert server.ranges == [None]
    assert [file.name for file in target.parent.iterdir()] == ["archive.zip"]
    target.write_bytes(CONTENT[:-1])  # damaged
    assert fetch(server, target) == CONTENT


@pytest.mark.parametrize(("behaviour", "breaks"), [("", 2), ("no ranges", 1), ("chunked", 2)])
def test_a_broken_download_is_continued(server, target, behaviour, breaks):
    server.breaks, server.behaviour = breaks, behaviour
    assert fetch(server, target) == CONTENT
    if behaviour != "chunked":  # a part of a broken chunk need not be kept
        assert server.ranges[:2] == [None, f"bytes={len(CONTENT) // 2}-"]


@pytest.mark.parametrize("size", [len(CONTENT) // 2, len(CONTENT)])
def test_a_broken_download_is_continued_by_the_next_call(server, target, size):
    target.parent.mkdir()
    target.with_name("archive.zip.part").write_bytes(CONTENT[:size])
    assert fetch(server, target, attempts=1) == CONTENT
    assert server.ranges == [f"bytes={size}-"]


def test_another_file_than_expected_is_removed(server, target):
    with pytest.raises(DataError, match="sha256"):
        fetch(server, target, sha256="0" * 64)
    assert list(target.parent.iterdir()) == []


def test_without_a_server_or_the_file(server, target):
    for server.behaviour in ("missing", "garbage"):
        with pytest.raises(DataError, match="could not be downloaded"):
            fetch(server, target, attempts=2)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        server.url = f"http://127.0.0.1:{free.getsockname()[1]}/archive.zip"
    with pytest.raises(DataError, match=r"could not be downloaded: .*refused") as refused:
        fetch(server, target, attempts=2)
    assert "--dataset archive.zip" in refused.value.hint


def test_odd_headers_and_an_endless_answer_are_errors(server, target):
    server.behaviour = "odd length"  # of a connection that is closed at the end
    assert fetch(server, target) == CONTENT
    target.unlink()
    for server.behaviour, problem in (
        ("odd redirect", "could not be downloaded: Invalid IPv6 URL"),
        ("endless", "removed"),
    ):
        with pytest.raises(DataError, match=problem):
            fetch(server, target, attempts=1)
        assert not list(target.parent.iterdir())
