"""Models of the Hub that mean harm: nothing of them is run, only their own files are read, no token goes astray."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from eavesdropper import Eavesdropper
from hub_server import TOKEN, HubServer
from malice import Canary

pytest_plugins = ("hub_fixtures", "malice")

Put = Callable[..., str]


@pytest.fixture
def put_model(put: Put, encoder: Path) -> Put:
    """Make a repository with a whole model, of which some files are others; its id. None leaves one out."""
    return lambda changed: put({path.name: path.read_bytes() for path in encoder.iterdir()} | changed, "model")


@pytest.fixture
def settings(encoder: Path) -> Callable[..., bytes]:
    """One of the encoder's JSON files with some keys more."""

    def changed(name: str, **keys: Any) -> bytes:
        return json.dumps(json.loads((encoder / name).read_text("utf-8")) | keys).encode()

    return changed


def fine(s140: Callable[..., Result], repo_id: str) -> None:
    assert s140("predict", repo_id, "hello").stdout


def refused(s140: Callable[..., Result], repo_id: str, *words: str) -> Result:
    result = s140("predict", repo_id, "hello", code=1)
    assert result.stdout == ""
    for word in words:
        assert word in result.stderr
    return result


def test_code_of_a_model_is_not_run(put_model: Put, s140, settings, code: bytes) -> None:
    auto = dict.fromkeys(("AutoConfig", "AutoModel", "AutoModelForSequenceClassification"), "evil.Evil")
    pipelines = {"text-classification": {"impl": "evil.Evil", "pt": ["AutoModelForSequenceClassification"]}}
    config = settings("config.json", auto_map=auto, custom_pipelines=pipelines)
    tokenizer = settings("tokenizer_config.json", auto_map={"AutoTokenizer": ["evil.Evil", "evil.Evil"]})
    template = {"chat_template.jinja": b"{{ cycler.__init__.__globals__.os.system('touch canary') }}"}
    files = {"config.json": config, "tokenizer_config.json": tokenizer, "evil.py": code, "__init__.py": code}
    fine(s140, put_model(files | template))


def test_what_needs_its_own_code_is_refused(put_model: Put, s140, settings, code: bytes) -> None:
    keys = {"model_type": "evil", "tokenizer_class": "EvilTokenizer", "architectures": ["Evil"]}
    auto = {"AutoConfig": "evil.Evil", "AutoTokenizer": ["evil.Evil", None]}
    for name in ("config.json", "tokenizer_config.json"):
        changed = {name: settings(name, auto_map=auto, **keys), "evil.py": code}
        refused(s140, put_model(changed | ({"tokenizer.json": None} if "token" in name else {})), "could not be loaded")


def test_a_pickled_model_is_refused_and_named(put_model: Put, s140, hub: HubServer, canary: Path) -> None:
    repo_id = put_model({"model.safetensors": None, "pytorch_model.bin": pickle.dumps(Canary(canary))})
    result = refused(s140, repo_id, "only pytorch_model.bin", f"s140 convert {repo_id} --output FOLDER")
    assert "trust" not in result.stderr
    # transformers would look for a stranger's pull request with a conversion, or ask a service for one.
    assert not {"discussions", "unknown"} & {request.endpoint for request in hub.requests}


LEADING_OUT = [
    *("../../x.safetensors", "/etc/x.safetensors", "a/b.safetensors", "..\\\\x.safetensors", "x.bin", "x.pt", ".."),
]


def test_weights_by_another_name_are_safetensors_of_its_own(put_model: Put, s140, settings, canary: Path) -> None:
    pickled = {"adapter_model.bin": pickle.dumps(Canary(canary))}
    for name in ("adapter_model.bin", 7, ["model.safetensors"], "", "x.safetensors.json", *LEADING_OUT):
        changed = {"config.json": settings("config.json", transformers_weights=name)}
        refused(s140, put_model(changed | pickled), "transformers_weights")


def test_weights_by_another_name_of_its_own_are_read(put_model: Put, s140, settings, encoder: Path) -> None:
    weights = (encoder / "model.safetensors").read_bytes()
    changed = {"config.json": settings("config.json", transformers_weights="other.safetensors")}
    fine(s140, put_model(changed | {"model.safetensors": None, "other.safetensors": weights}))


def test_parts_of_weights_are_safetensors_of_its_own(put_model: Put, s140, canary: Path) -> None:
    for shard in ("part.bin", "/tmp/part.safetensors", "more.safetensors.index.json", *LEADING_OUT):
        index = {"metadata": {}, "weight_map": {"classifier.bias": shard}}
        changed = {"model.safetensors": None, "model.safetensors.index.json": json.dumps(index).encode()}
        refused(s140, put_model(changed | {"part.bin": pickle.dumps(Canary(canary))}), "weight_map", repr(shard))


def test_a_part_of_the_weights_that_is_missing_is_named(put_model: Put, s140) -> None:
    index = {"metadata": {}, "weight_map": {"classifier.bias": "part-2.safetensors"}}
    changed = {"model.safetensors": None, "model.safetensors.index.json": json.dumps(index).encode()}
    refused(s140, put_model(changed), "lacks part-2.safetensors")


def test_an_adapter_is_refused(put_model: Put, s140, canary: Path) -> None:
    about = {"base_model_name_or_path": "somebody/else", "peft_type": "LORA"}
    changed = {"adapter_config.json": json.dumps(about).encode(), "adapter_model.bin": pickle.dumps(Canary(canary))}
    refused(s140, put_model(changed), "is an adapter", "merge_and_unload")


def test_an_attention_of_the_hub_is_not_fetched(put_model: Put, s140, settings, hub: HubServer) -> None:
    """The model answers with transformers' own."""
    for key in ("attn_implementation", "_attn_implementation", "experts_implementation"):
        for value in ("evil/attention", {"": "evil/attention"}, ["evil/attention"]):
            fine(s140, put_model({"config.json": settings("config.json", **{key: value})}))
    assert not any("evil" in str(request) for request in hub.requests)


def test_file_names_that_climb_out_are_not_followed(put_model: Put, s140) -> None:
    from huggingface_hub import constants

    before = {*Path(constants.HF_HOME).rglob("*escaped*")}
    for path in ("../../escaped.json", "/tmp/s140-escaped.json", "a/../../../escaped.txt"):
        repo_id = put_model({path: b"escaped"})
        fine(s140, repo_id)
        result = s140("verify", repo_id, code=2)
        assert "points outside its repository" in result.stderr
        assert {*Path(constants.HF_HOME).rglob("*escaped*")} == before
    assert not Path("/tmp/s140-escaped.json").exists()


@contextmanager
def stored_elsewhere(hub: HubServer, content: bytes) -> Iterator[Eavesdropper]:
    """Let large files come from another host, whose answer is ``content``."""
    with Eavesdropper(content=content) as server:
        hub.storage = server.url.replace("127.0.0.1", "localhost")  # to a client, another host
        yield server
    hub.storage = ""


@pytest.fixture
def weights(encoder: Path) -> bytes:
    return (encoder / "model.safetensors").read_bytes()


def test_the_token_does_not_go_to_another_host(put_model: Put, s140, hub: HubServer, weights: bytes) -> None:
    with stored_elsewhere(hub, weights) as server:
        fine(s140, put_model({}))
    assert [request.login for request in server.heard] == [False] * len(server.heard) != []
    assert TOKEN in {request.token for request in hub.requests}


def test_weights_that_are_not_what_was_uploaded_are_refused(put_model: Put, s140, hub: HubServer, weights) -> None:
    repo_id = put_model({})
    with stored_elsewhere(hub, weights[:-1] + bytes([weights[-1] ^ 1])):
        refused(s140, repo_id, "sha256 differs", "was removed")
    fine(s140, repo_id)
    for content in (weights[:-1], weights + b"x"):
        with stored_elsewhere(hub, content):
            refused(s140, put_model({}), "could not be loaded")


def test_a_redirect_to_anything_but_http_is_refused(put_model: Put, s140, hub: HubServer) -> None:
    for hub.storage in ("file:///etc", "ftp://127.0.0.1:9", "gopher://x"):
        refused(s140, put_model({}), "could not be loaded")
