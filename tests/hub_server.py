"""The Hugging Face Hub on loopback: its HTTP protocol, in memory, with faults on demand.

The real ``huggingface_hub``, ``transformers`` and ``datasets`` work against it under ``HF_ENDPOINT=<url>`` and
``HF_HUB_DISABLE_XET=1``. Status codes, headers and field names are those that their code reads.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from hub_endpoints import ENDPOINTS, Call
from hub_repositories import GITATTRIBUTES, Blob, Commit, Refusal, Reply, Repo, goes_to_lfs

TOKEN = "hf_" + "LoopbackTokenOfTheDefaultTesterABCDE"
SOMEBODYS_TOKEN = "hf_" + "LoopbackTokenOfSomebodyElseABCDEFGHI"


@dataclass(frozen=True)
class Account:
    name: str
    orgs: tuple[str, ...] = ()
    role: str = "write"  # of its token: "write" or "read"

    def may_write(self, owner: str) -> bool:
        return self.role == "write" and owner in (self.name, *self.orgs)


@dataclass
class Request:
    """A request that arrived. ``status`` is None as long as it has no answer, and for ever when it got none."""

    endpoint: str
    method: str
    path: str
    token: str | None
    status: int | None = None


@dataclass
class Fault:
    """A thing to go wrong so many times (None: always); see HubServer.fail."""

    times: int | None = 1
    after: int = 0
    status: int | None = None
    retry_after: int | None = None
    reset: bool = False
    lose_response: bool = False
    stall: float = 0.0
    truncate: bool = False
    answer: bytes | None = None
    change: Callable[[Any], Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    meanwhile: Callable[[], object] | None = None

    def reply(self) -> Reply:
        if self.answer is not None:
            return Reply(self.answer, self.status or 200, self.headers)
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return Refusal(self.status or 500, f"This server was told to answer {self.status}", headers=headers).reply


class HubServer:
    """A Hub with no repository and two accounts, ``tester`` and ``somebody``. Use it as a context manager."""

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.lock = threading.RLock()
        self.woken = threading.Event()  # ends the stalling of requests
        self._server: _Server | None = None
        self.reset()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> HubServer:
        """After ``stop``: at the same address as before."""
        self.woken = threading.Event()
        self._server = _Server(("127.0.0.1", self.port), _Handler)
        self._server.hub, self.port = self, self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Nobody listens any more; connections are closed, stalled requests get no answer."""
        if self._server:
            self.woken.set()
            self._server.stop()
            self._server = None

    __enter__ = start

    def __exit__(self, *_: object) -> None:
        self.stop()

    def reset(self) -> None:
        """Forget all repositories, faults and requests. A stalled request does nothing and gets no answer."""
        with self.lock:
            self.woken.set()
            self.woken = threading.Event()
            self.accounts = {TOKEN: Account("tester", orgs=("testers",)), SOMEBODYS_TOKEN: Account("somebody")}
            self.repos: dict[tuple[str, str], Repo] = {}
            self.requests: list[Request] = []
            self.storage = ""  # another address that large files are fetched from; "" for this one
            self._faults: dict[str, list[Fault]] = {}

    def fail(self, endpoint: str, *, times: int | None = 1, **fault: Any) -> None:
        """Let the next ``times`` requests to ``endpoint`` fail (None: all of them), after the faults added before.

        ``status``: that answer, perhaps with ``retry_after``, and nothing is done. ``reset``: the connection is cut and
        nothing is done. ``lose_response``: the work is done and the connection cut. ``stall``: that many seconds pass
        first. ``truncate``: half of the body is sent. ``answer``: that body is sent and nothing is done. ``change``: is
        applied to an answer in JSON. ``headers``: are sent, too. ``meanwhile``: is called first; alone, all goes
        well afterwards. ``after``: that many requests go well before.
        """
        if endpoint not in ENDPOINTS:
            raise ValueError(f"no such endpoint: {endpoint}; one of {', '.join(ENDPOINTS)}")
        with self.lock:
            self._faults.setdefault(endpoint, []).append(Fault(times, **fault))

    def mend(self) -> None:
        """Remove all faults."""
        with self.lock:
            self._faults.clear()

    def create(self, repo_id: str, kind: str = "model", private: bool = False, author: str = "") -> Repo:
        """Create a repository with a first commit, as the Hub does."""
        with self.lock:
            repo = self.repos[kind, repo_id] = Repo(kind, repo_id, private)
            files = {".gitattributes": Blob(GITATTRIBUTES)}
            repo.add("refs/heads/main", Commit("initial commit", author or repo_id.split("/")[0], None, files))
            return repo

    def files(self, repo_id: str, kind: str = "model", revision: str = "main") -> dict[str, bytes]:
        return {path: blob.content for path, blob in self.commits(repo_id, kind, revision)[0].files.items()}

    def head(self, repo_id: str, kind: str = "model", revision: str = "main") -> str:
        return self.commits(repo_id, kind, revision)[0].oid

    def commits(self, repo_id: str, kind: str = "model", revision: str = "main") -> list[Commit]:
        """Return the commits, newest first."""
        with self.lock:
            return list(self.repos[kind, repo_id].history(revision))

    def write(self, repo_id: str, path: str, content: bytes, kind: str = "model", revision: str = "main") -> str:
        """Commit to any path, as on the website; return the oid."""
        with self.lock:
            repo = self.repos[kind, repo_id]
            parent, blob = repo.at(revision), Blob(content, goes_to_lfs(path, len(content)))
            repo.lfs |= {blob.sha256: content} if blob.lfs else {}
            commit = Commit(f"Update {path}", "somebody", parent.oid, parent.files | {path: blob})
            return repo.add(repo.ref(revision), commit).oid

    def arrived(self, request: Request) -> Fault:
        with self.lock:
            self.requests.append(request)
            faults = self._faults.get(request.endpoint, [])
            fault = faults[0] if faults else Fault()
            if fault.after:
                fault.after -= 1
                return Fault()
            if faults and fault.times is not None:
                fault.times -= 1
                if fault.times <= 0:
                    faults.remove(fault)
            return fault


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def serve(self) -> None:
        hub, woken = self.server.hub, self.server.hub.woken
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        call = Call(hub, self.command, self.path, self.headers, body)
        request = Request(call.endpoint, self.command, self.path, call.token)
        fault = hub.arrived(request)
        if fault.meanwhile:
            fault.meanwhile()
        if fault.reset or (fault.stall and woken.wait(fault.stall)):
            return self.cut()
        reply = fault.reply() if fault.status or fault.answer is not None else call.reply()
        if fault.change and not isinstance(reply.body, bytes):
            reply = Reply(fault.change(reply.body), reply.status, reply.headers)
        reply.headers |= fault.headers
        if fault.lose_response:
            return self.cut()
        request.status = reply.status
        self.send(reply, fault.truncate)

    do_DELETE = do_GET = do_HEAD = do_POST = do_PUT = serve  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Log nothing."""

    def send(self, reply: Reply, truncate: bool) -> None:
        self.send_response(reply.status)
        kind = "application/octet-stream" if isinstance(reply.body, bytes) else "application/json"
        size = len(reply.content)
        own = {"Content-Type": kind, "Content-Length": str(size), "Access-Control-Allow-Origin": "*"}
        for name, value in (own | reply.headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.content[: size // 2] if truncate else reply.content)
        self.close_connection = self.close_connection or truncate

    def cut(self) -> None:
        """End the connection with a reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()
        self.connection.close()
        self.close_connection = True


class _Server(ThreadingHTTPServer):
    hub: HubServer
    request_queue_size = 64

    def __init__(self, *arguments: Any) -> None:
        self.connections: set[socket.socket] = set()
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news; anything else is a bug here, and is shown."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
        for connection in list(self.connections):
            with contextlib.suppress(OSError):  # its client closed it in the meantime
                connection.shutdown(socket.SHUT_RDWR)
