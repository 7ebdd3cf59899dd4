"""Malicious models in MLflow's registry."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

import sentiment140_bert
from eavesdropper import Eavesdropper
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
    place = '{"artifact_uri": "mlflow-artifacts:/1/models/m"}'
    with Eavesdropper(content=b"") as server:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
        for odd in ANSWERS:

            def answer(method: str, path: str, count: int, odd: str = odd) -> None:
                is_place = path.endswith("get-download-uri") and not odd.startswith('{"artifact_uri')
                server.content = (place if is_place else odd).encode()

            server.rule = answer
            with pytest.raises(ModelError, match="The registry cannot provide models:/x/1"):
                sentiment140_bert.load_classifier("models:/x/1")


LARGE = f"flavors: [{'{}, ' * 50_000}]"  # which takes PyYAML minutes


def test_its_description_is_only_read(register: Register) -> None:
    for described in ("flavors: [", "!!python/object/apply:os.mkdir [canary]", "7", "flavors: 7", LARGE):
        with pytest.raises(sentiment140_bert.S140Error):
            sentiment140_bert.load_classifier(register(described))
    assert not Path("canary").exists()
