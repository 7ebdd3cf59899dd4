"""A server on loopback that hears everything: it passes it on to another one, or refuses it and repeats it."""

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
    """

    def __init__(self, port: int | None = None, status: int = 401) -> None:
        self.port, self.status = port, status
        self.heard: list[Heard] = []
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"ear": self}))
        self.http.daemon_threads = True
        self.address = f"127.0.0.1:{self.http.server_address[1]}"
        self.url = f"http://{self.address}"

    def __enter__(self) -> Eavesdropper:
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
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
        if self.ear.port is None:
            request_headers = "; ".join(f"{name}: {value}" for name, value in self.headers.items())
            headers = {"X-Error-Message": f"not with {request_headers}", "Content-Type": "application/json"}
            self.answer(
                self.ear.status,
                headers,
                json.dumps({"error": f"not with {request_headers}", "message": request_headers}).encode(),
            )
        else:
            self._pass_on(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _any  # noqa: N815 - http.server's names

    def _pass_on(self, body: bytes) -> None:
        to = http.client.HTTPConnection("127.0.0.1", self.ear.port or 0, timeout=60)
        unwanted = ("connection", "transfer-encoding", "content-length")
        headers = {name: value for name, value in self.headers.items() if name.lower() not in unwanted}
        to.request(self.command, self.path, body, headers)
        answer = to.getresponse()
        content = answer.read()
        response_headers = {
            name: value for name, value in answer.getheaders() if name.lower() not in (*unwanted, "date", "server")
        }
        length = answer.headers.get("Content-Length") if self.command == "HEAD" else None
        to.close()
        self.answer(answer.status, response_headers, content, length)
