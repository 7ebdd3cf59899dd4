"""Malicious models in MLflow's registry."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import sentiment140_bert
from sentiment140_bert.errors import ModelError

Register = Callable[[str], str]


@pytest.fixture
def register(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Register:
    """Register a folder with this MLmodel, and return its name."""
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    client.create_registered_model("harm")

    def make(described: str) -> str:
        logged = Path(tempfile.mkdtemp(dir=tmp_path))
        (logged / "components" / "tokenizer").mkdir(parents=True)
        (logged / "model").mkdir()
        (logged / "MLmodel").write_text(described)
        version = client.create_model_version("harm", str(logged))
        return f"models:/harm/{version.version}"

    return make


def test_its_weights_lie_in_it(register: Register, tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir()
    (private / "config.json").write_text("{}")
    for place in (f"{private}", f"../../../../../../../../../..{private}"):
        name = register(f"flavors:\n  transformers:\n    model_binary: {place}\n")
        with pytest.raises(sentiment140_bert.S140Error, match="was not logged by MLflow's transformers flavour"):
            sentiment140_bert.load_classifier(name)


ANSWERS = [
    '{"artifact_uri": {"a": 1}}',
    '{"artifact_uri": [1]}',
    "null",
    "[]",
    '"x"',
    '{"files": null}',
    '{"files": [1]}',
]
ANSWERS += ['{"files": [{"is_dir": false}]}', '{"files": [{"path": 7}]}', "[" * 100_000]


def test_an_odd_answer_of_its_server_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow")
    replies: list[bytes] = []

    class Odd(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_place = "get-download-uri" in self.path and not replies[0].startswith(b'{"artifact_uri')
            body = b'{"artifact_uri": "mlflow-artifacts:/1/models/m"}' if is_place else replies[0]
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Odd)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server.server_port}")
    for answer in ANSWERS:
        replies[:] = [answer.encode()]
        with pytest.raises(ModelError, match="The registry cannot provide models:/x/1"):
            sentiment140_bert.load_classifier("models:/x/1")
    server.shutdown()
    server.server_close()


LARGE = f"flavors: [{'{}, ' * 50_000}]"  # which takes PyYAML minutes


def test_its_description_is_only_read(register: Register) -> None:
    for described in ("flavors: [", "!!python/object/apply:os.mkdir [canary]", "7", "flavors: 7", LARGE):
        with pytest.raises(sentiment140_bert.S140Error):
            sentiment140_bert.load_classifier(register(described))
    assert not Path("canary").exists()
