"""A server on loopback that records all requests: it passes them on, answers them itself, or fails on request."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

LOGINS = ("authorization", "proxy-authorization")  # headers in which a secret belongs
STALL, DRIP, RESET, SWALLOW = "stall", "drip", "reset", "swallow"
Rule = Callable[[str, str, int], "str | int | None"]


class Heard(NamedTuple):
    """A request without its login, whether it had one, and the failure that it met."""

    line: str
    rest: bytes
    login: bool
    end: str | int | None


class Eavesdropper:
    """A server that records requests.

    A ``rule(method, path, count)`` may let one fail: by a status, ``STALL`` (it is never answered), ``DRIP`` (a byte of
    the answer comes now and then, and it never ends), ``RESET`` (hang up before the other server hears of it) or
    ``SWALLOW`` (hang up after the other server did it). ``count`` counts the requests of that method and path, from 1.

    Args:
        port: On loopback, to which they are passed on; None: each is answered here.
        status: Of the answers from here; None: 200 with ``content``, and 401 without it.
        content: Of them; None: all headers of the request, also in the headers that clients show to people.
    """

    def __init__(self, port: int | None = None, status: int | None = None, content: bytes | None = None) -> None:
        self.port, self.status, self.content = port, status or (401 if content is None else 200), content
        self.headers: dict[str, str] = {}
        self.rewrite: Callable[[str, bytes], bytes] = lambda path, content: content  # of an answer that is passed on
        self.ended = threading.Event()
        self.forget()
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"ear": self}))
        self.http.daemon_threads = True
        self.address = f"127.0.0.1:{self.http.server_address[1]}"
        self.url = f"http://{self.address}"

    def __enter__(self) -> Eavesdropper:
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.http.shutdown()
        self.http.server_close()

    def forget(self) -> None:
        """Forget all requests so far, and fail no more."""
        self.rule: Rule = lambda method, path, count: None
        self.heard: list[Heard] = []
        self.counts: Counter[tuple[str, str]] = Counter()

    def fail(self, ending: str, end: str | int, times: int = 1, method: str | None = None) -> None:
        """Let the first requests fail whose path ends like this."""
        self.rule = lambda own_method, path, count: (
            end if path.endswith(ending) and count <= times and method in (None, own_method) else None
        )


class _Handler(BaseHTTPRequestHandler):
    ear: Eavesdropper
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Log nothing."""

    def _any(self) -> None:
        ear, key = self.ear, (self.command, self.path.partition("?")[0])
        body = self._read()
        others = "\n".join(f"{name}: {value}" for name, value in self.headers.items() if name.lower() not in LOGINS)
        login = any(name in self.headers for name in LOGINS)
        ear.counts[key] += 1
        end = ear.rule(*key, ear.counts[key])
        ear.heard.append(Heard(f"{self.command} {self.path}", f"{others}\n".encode() + body, login, end))
        if end == STALL:
            ear.ended.wait()
        elif end == DRIP:
            self._drip()
        if end in (STALL, DRIP, RESET):
            self._hang_up()
        elif ear.port is not None and not isinstance(end, int):
            self._pass_on(ear.port, body, end == SWALLOW)
        elif ear.content is not None:
            self._answer(ear.status, ear.headers, ear.content)
        else:
            text = "; ".join(f"{name}: {value}" for name, value in self.headers.items())
            headers = {"X-Error-Message": f"not with {text}", "Content-Type": "application/json"} | ear.headers
            self._answer(
                end or ear.status, headers, json.dumps({"error": f"not with {text}", "message": text}).encode()
            )

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _any  # noqa: N815 - http.server's names

    def _read(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(content))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _pass_on(self, port: int, body: bytes, silently: bool) -> None:
        server = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        unwanted = ("connection", "transfer-encoding", "content-length", "date", "server")
        headers = {name: value for name, value in self.headers.items() if name.lower() not in unwanted}
        server.request(self.command, self.path, body, headers)
        answer = server.getresponse()
        content = answer.read().replace(f"127.0.0.1:{port}".encode(), self.ear.address.encode())
        content = self.ear.rewrite(self.path, content)
        headers = {name: value for name, value in answer.getheaders() if name.lower() not in unwanted}
        if self.command == "HEAD" and (length := answer.headers.get("Content-Length")):
            headers["Content-Length"] = length
        server.close()
        if silently:
            self._hang_up()
        else:
            self._answer(answer.status, headers, content)

    def _drip(self) -> None:
        self._answer(200, {"Content-Length": "1000000"}, b"")
        with contextlib.suppress(OSError):  # the client gives up
            while not self.ear.ended.wait(0.05):
                self.wfile.write(b" ")
                self.wfile.flush()

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.close()
