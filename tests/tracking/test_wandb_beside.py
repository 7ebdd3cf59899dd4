"""Track with wandb while the caller uses it too, and with a W&B that never answers."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from command_line import Command, signalled
from sentiment140_bert.tracking import wandb as wandb_tracker
from tiny_run import flags
from told import tell

pytest_plugins = "hub_fixtures"


@contextmanager
def answering(status: int | None) -> Iterator[str]:
    """A server that answers so, or never; its address."""
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            if status is None:
                ended.wait()
                return
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_PUT = do_POST  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    ended.set()
    server.shutdown()
    server.server_close()


def test_another_open_run_survives_a_refused_key(
    run_copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import wandb

    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WANDB_API_KEY", "b" * 40)
    settings = wandb.Settings(silent=True)
    with answering(401) as url:
        monkeypatch.setenv("WANDB_BASE_URL", url)
        callers = wandb.init(mode="offline", project="p", dir=tmp_path, reinit="create_new", settings=settings)
        callers.log({"a": 1})
        assert tell(run_copy, "wandb")
        callers.log({"a": 2})
        callers.finish()


def wait_a_second() -> None:
    """In the command's own process: how long it waits for an answer of W&B."""
    wandb_tracker.TO_ANSWER = 1


@pytest.mark.long
def test_a_silent_wandb_does_not_delay_a_stop(encoder: Path, tmp_path: Path) -> None:
    words = flags(model_name_or_path=encoder, report_to="wandb", num_train_epochs=3)
    with answering(None) as url:
        place = {"HOME": str(tmp_path), "WANDB_BASE_URL": url, "WANDB_API_KEY": "b" * 40}
        words = ["train", "--output-dir", tmp_path / "run", *words]
        with Command(*words, env=place, pause_at="step 8/", prepare=wait_a_second) as started:
            signalled(started, signal.SIGTERM)
    assert started.returncode == 143
