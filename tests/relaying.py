"""The common base of servers on loopback that relay requests."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler


class Relaying(BaseHTTPRequestHandler):
    """Reads bodies in chunks, and answers with what another server said."""

    protocol_version = "HTTP/1.1"

    def answer(self, status: int, headers: dict[str, str], content: bytes, length: str | None = None) -> None:
        """``length`` is the content's, where that of a HEAD is told but not sent."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", length or str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def chunks(self) -> bytes:
        """A body that comes in chunks, put together."""
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body
