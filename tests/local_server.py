"""A server in a process of its own, on a free port of loopback that it keeps, that can be killed and come back."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from urllib.error import URLError


class LocalServer:
    """``python -m WORDS --host 127.0.0.1 --port PORT`` in a folder, which gets its output as ``server.log``.

    ``ready``: a path of the server that answers with 200 once it serves.
    """

    def __init__(
        self, folder: Path, *words: object, ready: str = "/health", env: Mapping[str, str] | None = None
    ) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder, self.ready, self.environment = folder, ready, env
        self.command = [sys.executable, "-m", *map(str, words), "--host", "127.0.0.1", "--port", str(self.port)]
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command,
                env=self.environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        while not self._answers():
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.2)

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}{self.ready}", timeout=5) as answer:
                return answer.status == 200
        except (URLError, OSError):
            return False

    def kill(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def __enter__(self) -> LocalServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
