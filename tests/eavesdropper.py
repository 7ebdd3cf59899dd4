"""A server on loopback that records everything: it passes it on to another one, or refuses it and repeats it."""

from __future__ import annotations

import http.client
import json
import threading
from http.server import ThreadingHTTPServer
from typing import Any, NamedTuple

from relaying import Relaying

LOGINS = ("authorization", "proxy-authorization")  # headers in which a secret belongs


class Heard(NamedTuple):
    """A request without its login, and whether it had one."""

    line: str
    rest: bytes
    login: bool


class Eavesdropper:
    """A server that records requests.

    Args:
        port: On loopback, to which they are passed on; None: each is answered ``status``, with all of its headers in
            the body and in the headers that clients show to people.
        status: Of such an answer.
        content: The whole of each answer, in place of that.
    """

    def __init__(self, port: int | None = None, status: int = 401, content: bytes | None = None) -> None:
        self.port, self.status, self.content = port, status, content
        self.heard: list[Heard] = []
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"ear": self}))
        self.http.daemon_threads = True
        self.address = f"127.0.0.1:{self.http.server_address[1]}"
        self.url = f"http://{self.address}"

    def __enter__(self) -> Eavesdropper:
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.http.shutdown()
        self.http.server_close()


class _Handler(Relaying):
    ear: Eavesdropper

    def log_message(self, *_: Any) -> None:
        """Log nothing."""

    def _any(self) -> None:
        chunked = self.headers.get("Transfer-Encoding") == "chunked"
        body = self.chunks() if chunked else self.rfile.read(int(self.headers.get("Content-Length") or 0))
        others = "\n".join(f"{name}: {value}" for name, value in self.headers.items() if name.lower() not in LOGINS)
        login = any(name in self.headers for name in LOGINS)
        self.ear.heard.append(Heard(f"{self.command} {self.path}", f"{others}\n".encode() + body, login))
        if self.ear.content is not None:
            self.answer(200, {}, self.ear.content)
        elif self.ear.port is not None:
            self._pass_on(self.ear.port, body)
        else:
            text = "; ".join(f"{name}: {value}" for name, value in self.headers.items())
            headers = {"X-Error-Message": f"not with {text}", "Content-Type": "application/json"}
            self.answer(self.ear.status, headers, json.dumps({"error": f"not with {text}", "message": text}).encode())

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _any  # noqa: N815 - http.server's names

    def _pass_on(self, port: int, body: bytes) -> None:
        server = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        unwanted = ("connection", "transfer-encoding", "content-length", "date", "server")
        headers = {name: value for name, value in self.headers.items() if name.lower() not in unwanted}
        server.request(self.command, self.path, body, headers)
        answer = server.getresponse()
        content = answer.read().replace(f"127.0.0.1:{port}".encode(), self.ear.address.encode())
        headers = {name: value for name, value in answer.getheaders() if name.lower() not in unwanted}
        length = answer.headers.get("Content-Length") if self.command == "HEAD" else None
        server.close()
        self.answer(answer.status, headers, content, length)
