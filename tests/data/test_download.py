"""The download, against a server on loopback that breaks off, lies or is not there."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sentiment140_bert.data.download import download
from sentiment140_bert.errors import DataError

CONTENT = bytes(range(256)) * 4096  # 1 MiB
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Sends CONTENT; the first ``breaks`` answers end in the middle of what is left."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.breaks, self.behaviour, self.ranges = 0, "", []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/archive.zip"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
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
    with Server() as one:
        thread = threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield one
        one.shutdown()
        thread.join()


@pytest.fixture
def target(tmp_path):
    return tmp_path / "downloads" / "archive.zip"


def test_it_arrives_and_the_second_time_nothing_is_fetched(server, target):
    for _ in range(2):
        assert download(server.url, target, SHA256, len(CONTENT)).read_bytes() == CONTENT
    assert server.ranges == [None]
    assert [each.name for each in target.parent.iterdir()] == ["archive.zip"]


@pytest.mark.parametrize("behaviour", ["", "no ranges", "chunked"])
def test_what_broke_off_is_continued(server, target, behaviour):
    server.breaks, server.behaviour = 2, behaviour
    if behaviour == "no ranges":
        server.breaks = 1
    assert download(server.url, target, SHA256, len(CONTENT)).read_bytes() == CONTENT
    if behaviour != "chunked":  # what came of a broken chunk need not be kept
        assert server.ranges[:2] == [None, f"bytes={len(CONTENT) // 2}-"]


def test_what_broke_off_is_continued_by_the_next_call(server, target):
    target.parent.mkdir()
    target.with_name("archive.zip.part").write_bytes(CONTENT[: len(CONTENT) // 2])
    assert download(server.url, target, SHA256, len(CONTENT), attempts=1).read_bytes() == CONTENT
    assert server.ranges == [f"bytes={len(CONTENT) // 2}-"]


def test_all_of_it_had_arrived_before(server, target):
    target.parent.mkdir()
    target.with_name("archive.zip.part").write_bytes(CONTENT)
    assert download(server.url, target, SHA256, len(CONTENT)).read_bytes() == CONTENT


def test_another_file_than_expected_is_removed(server, target):
    with pytest.raises(DataError, match="sha256"):
        download(server.url, target, "0" * 64, len(CONTENT))
    assert list(target.parent.iterdir()) == []


def test_a_damaged_file_in_the_cache_is_fetched_again(server, target):
    target.parent.mkdir()
    target.write_bytes(CONTENT[:-1])
    assert download(server.url, target, SHA256, len(CONTENT)).read_bytes() == CONTENT


@pytest.mark.parametrize("behaviour", ["missing", "garbage"])
def test_a_server_without_the_file(server, target, behaviour):
    server.behaviour = behaviour
    with pytest.raises(DataError, match="could not be downloaded"):
        download(server.url, target, SHA256, len(CONTENT), attempts=2)


def test_nobody_listens(target):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(DataError, match="could not be downloaded") as caught:
        download(f"http://127.0.0.1:{port}/archive.zip", target, SHA256, len(CONTENT), attempts=2)
    assert "refused" in caught.value.message
    assert "--dataset archive.zip" in caught.value.hint


def test_odd_headers_and_an_endless_answer_are_explained(server, target):
    server.behaviour = "odd length"  # of a connection that is closed at the end
    assert download(server.url, target, SHA256, len(CONTENT)).read_bytes() == CONTENT
    target.unlink()
    for server.behaviour, problem in (
        ("odd redirect", "could not be downloaded: Invalid IPv6 URL"),
        ("endless", "removed"),
    ):
        with pytest.raises(DataError, match=problem):
            download(server.url, target, SHA256, len(CONTENT), attempts=1)
        assert not list(target.parent.iterdir())
