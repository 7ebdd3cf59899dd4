"""A proxy on loopback between MLflow's client and its server that can fail on request."""

from __future__ import annotations

import http.client
import threading
from collections import Counter
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from typing import Any, NamedTuple

from mlflow_server import MlflowServer
from relaying import Relaying

STALL, RESET, SWALLOW = "stall", "reset", "swallow"
Rule = Callable[[str, str, int], "str | int | None"]


class Asked(NamedTuple):
    """A request and its result."""

    method: str
    path: str
    end: str | int


class MlflowProxy:
    """Passes requests on to a server, unless ``rule(method, path, count)`` says otherwise.

    A rule answers None (pass it on), a status (the server hears nothing of it), ``STALL`` (it is never answered),
    ``RESET`` (hang up before the server hears of it) or ``SWALLOW`` (hang up after the server did it). ``count``
    counts the requests of that method and path, from 1. ``headers`` go along with a status.
    """

    def __init__(self, server: MlflowServer) -> None:
        self.server = server
        self.rule: Rule = lambda method, path, count: None
        self.headers: dict[str, str] = {}
        self.asked: list[Asked] = []
        self.counts: Counter[tuple[str, str]] = Counter()
        self.ended = threading.Event()
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"proxy": self}))
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"

    def __enter__(self) -> MlflowProxy:
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.http.shutdown()
        self.http.server_close()

    def forget(self) -> None:
        """Forget all requests so far, and fail no more."""
        self.rule = lambda method, path, count: None
        self.asked.clear()
        self.counts.clear()

    def fail(self, ending: str, end: str | int, times: int = 1, method: str | None = None) -> None:
        """Let the first requests fail whose path ends like this."""
        self.rule = lambda own_method, path, count: (
            end if path.endswith(ending) and count <= times and method in (None, own_method) else None
        )


class _Handler(Relaying):
    proxy: MlflowProxy

    def log_message(self, *_: Any) -> None:
        """Log nothing."""

    def _any(self) -> None:
        proxy, path = self.proxy, self.path.partition("?")[0]
        chunked = (self.headers.get("Transfer-Encoding") or "") == "chunked"
        body = self.chunks() if chunked else self.rfile.read(int(self.headers.get("Content-Length") or 0))
        proxy.counts[self.command, path] += 1
        end = proxy.rule(self.command, path, proxy.counts[self.command, path])
        proxy.asked.append(Asked(self.command, path, end or "passed"))
        if end == STALL:
            proxy.ended.wait()
        if end in (STALL, RESET):
            self._hang_up()
        elif isinstance(end, int):
            self.answer(end, {"Content-Type": "application/json", **proxy.headers}, b'{"error_code": "INTERNAL_ERROR"}')
        else:
            self._pass_on(body, end == SWALLOW)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _any  # noqa: N815 - http.server's names

    def _pass_on(self, body: bytes, silently: bool) -> None:
        to = http.client.HTTPConnection("127.0.0.1", self.proxy.server.port, timeout=60)
        unwanted = ("host", "connection", "transfer-encoding", "content-length")
        headers = {name: value for name, value in self.headers.items() if name.lower() not in unwanted}
        try:
            to.request(self.command, self.path, body, headers)
            answer = to.getresponse()
            content, kind = answer.read(), answer.headers.get("Content-Type", "text/plain")
        finally:
            to.close()
        if silently:
            self._hang_up()
        else:
            self.answer(answer.status, {"Content-Type": kind}, content)

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.close()
